//! Killed at random moments over whole ceremonies, and resumed: it always ends the same, with one import.
#![cfg(all(feature = "hsm", feature = "custody"))]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    ending::went_on,
    run,
    stage::{Done, Setting, Stage},
    walk::ASKS,
};

/// How many kills must have hit a running program.
const KILLS: usize = 200;

/// A small generator with a known seed, so that a failure can be run again.
struct Random(u64);

impl Random {
    /// A number below `limit`.
    fn below(&mut self, limit: u128) -> u128 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        u128::from(self.0 >> 33) % limit.max(1)
    }
}

#[test]
fn killed_at_200_moments_it_always_ends_the_same() {
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let walkers: Vec<_> = [11, 29]
            .map(|seed| scope.spawn(move || kill_until(Setting::default, seed, KILLS / 2)))
            .into_iter()
            .collect();
        walkers
            .into_iter()
            .map(|walker| walker.join().unwrap())
            .collect()
    });
    let killed: usize = counts.iter().sum();
    println!("{killed} kills hit a running program");
    assert!(killed >= KILLS);
}

#[test]
fn keys_that_are_born_at_the_hoster_survive_kills_too() {
    let killed = kill_until(Setting::born, 17, KILLS / 5);
    assert!(killed >= KILLS / 5);
}

/// Walks ceremonies until this many kills have hit.
fn kill_until(setting: fn() -> Setting, seed: u64, kills: usize) -> usize {
    let mut random = Random(seed);
    let mut durations: BTreeMap<String, Duration> = BTreeMap::new();
    let mut killed = 0;
    while killed < kills {
        let mut stage = Stage::with(setting(), |plan| plan);
        // The first ceremony of a walker measures, the others are killed in.
        stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
            let name = format!("{side} {}", arguments[..arguments.len().min(2)].join(" "));
            match durations.get(&name).copied() {
                None => {
                    let begun = Instant::now();
                    let status = command(stage, side, arguments).status().unwrap();
                    let code = status.code().unwrap();
                    assert!([0, ASKS].contains(&code), "{name}");
                    durations.insert(name, begun.elapsed());
                    code
                }
                Some(whole) => {
                    let (hits, code) = resume(stage, side, arguments, whole, &mut random);
                    killed += hits;
                    code
                }
            }
        });
        stage.ends_the_same(&format!("seed {seed}"));
    }
    killed
}

fn command(stage: &Stage, side: &str, arguments: &[String]) -> Command {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = stage.command(side, &arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// SoftHSM's own record of each token. It rewrites that file at every login, in place: a kill in that moment leaves half of
/// it, and the token is gone. No HSM loses itself so; the file is put back, and only it.
fn token_files(stage: &Stage) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folders = fs::read_dir(stage.path("tokens"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    folders
        .map(|folder| folder.join("token.object"))
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

/// Kills a command at random moments, up to three times, and then lets it end. Says how many kills hit.
fn resume(
    stage: &Stage,
    side: &str,
    arguments: &[String],
    whole: Duration,
    random: &mut Random,
) -> (usize, i32) {
    let mut hits = 0;
    let tokens = token_files(stage);
    for _ in 0..3 {
        let mut child = command(stage, side, arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_nanos(
            random.below(whole.as_nanos() * 11 / 10) as u64,
        ));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if ended || status.code().is_some() {
            break;
        }
        hits += 1;
        for (file, whole) in &tokens {
            if fs::metadata(file).unwrap().len() != whole.len() as u64 {
                fs::write(file, whole).unwrap();
            }
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let last = stage.side(side, &arguments);
    assert!(went_on(&arguments, &last), "{side} {arguments:?}: {last:?}");
    (hits, last.code)
}

/// What a kill in the middle of SoftHSM's first write leaves: an object file with a generation and no attribute at all.
#[test]
fn an_object_without_any_attribute_is_passed_over() {
    let stage = Stage::at(Done::OfferCheck);
    for folder in fs::read_dir(stage.path("tokens")).unwrap() {
        let name = "11111111-2222-3333-4444-555555555555.object";
        fs::write(folder.unwrap().path().join(name), [0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    }
    let listed = stage.pkcs11_tool("tenant", &["--list-objects"]);
    assert!(String::from_utf8_lossy(&listed).contains("application:    <empty>"));
    let mut stage = stage;
    stage.walk_to(Done::TenantClose);
}

/// Less than a first entry is no ceremony: `init` is run again, and nothing else is.
#[test]
fn an_init_that_was_killed_is_run_again() {
    let whole = Stage::at(Done::Init);
    let line = fs::read(whole.path("tenant/log.jsonl")).unwrap();
    for length in [0, 1, line.len() / 2, line.len() - 1] {
        let stage = whole.copy();
        fs::write(stage.path("tenant/log.jsonl"), &line[..length]).unwrap();
        let said = stage.tenant(&["status"]).ended_with(1);
        assert!(said.contains("run the same `init` again"), "{said}");
        stage
            .tenant(&["init", "plan/ceremony.toml", "--words", "plan.words"])
            .ok();
        stage.tenant(&["status"]).ok();
    }
    // An emptied log beside documents is something else.
    let begun = Stage::at(Done::KekCreate);
    fs::write(begun.path("hoster/log.jsonl"), "").unwrap();
    begun
        .hoster(&["init", "plan/ceremony.toml", "--words", "plan.words"])
        .refused("CEREMONY-EXISTS");
}

/// Shares and packages of an export that was interrupted open and import nothing.
#[test]
fn an_older_attempts_shares_and_package_are_refused_by_name() {
    let mut stage = Stage::at(Done::KeysCreate);
    stage.pass("tenant", "export", &["export"]);
    let staged = stage.path("tenant/outbox/.attempt-1");
    let old = stage.path("old");
    // Killed as soon as the share files are written, and before the log names them.
    let mut killed = false;
    for _ in 0..50 {
        let copy = stage.copy();
        let mut child = command(&copy, "tenant", &["export".to_owned()])
            .spawn()
            .unwrap();
        let shares = copy.path("tenant/outbox/.attempt-1/shares/gus.age");
        while child.try_wait().unwrap().is_none() && !shares.exists() {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = fs::read_to_string(copy.path("tenant/log.jsonl")).unwrap();
        if shares.exists() && !log.contains("\"event\":\"export\"") {
            stage = copy;
            killed = true;
            break;
        }
    }
    assert!(
        killed,
        "no export could be killed between its shares and its result"
    );
    let staged = stage.path(
        staged
            .strip_prefix(staged.ancestors().nth(3).unwrap())
            .unwrap()
            .to_str()
            .unwrap(),
    );
    let old = stage.path(old.file_name().unwrap().to_str().unwrap());
    run(Command::new("cp").arg("-a").arg(&staged).arg(&old));
    stage.walk_to(Done::PackageRelease);
    assert_eq!(
        stage.json("tenant/outbox/package/package.json")["header"]["attempt"],
        2
    );
    assert!(!staged.exists(), "the abandoned attempt is erased");
    // Its package was released by nobody; released or not, the log of the tenant names another.
    for id in ["ada", "ben"] {
        stage.sign(&old.join("package/package.json"), "keyferry-document", id);
    }
    stage.walk_to(Done::PackageCheck);
    let import = |shares: &[String]| {
        let mut arguments = vec!["import", "medium/package"];
        arguments.extend(shares.iter().map(String::as_str));
        stage.hoster(&arguments)
    };
    let mut shares = stage.shares(&["cyd", "eve", "gus"]);
    shares[5] = old.join("shares/eve.age").display().to_string();
    stage.pass("hoster", "import", &["import", "medium/package"]);
    import(&shares).refused("SHARE-FILE");
    let old_package = old.join("package").display().to_string();
    stage
        .hoster(&["import", &old_package])
        .refused("DOCUMENT-ATTEMPT");
    stage.walk_to(Done::TenantClose);
}
