//! Two verifiers that share no code: the auditor, and `ceremony-scripts/verify` with ordinary tools alone. Both hold what is
//! whole and refuse what was changed, and where one refuses what the other accepts, the reason stands in a list here.
#![cfg(all(feature = "hsm", feature = "custody"))]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use common::{
    run,
    stage::{Done, Ended, Stage, ended},
};
use keyferry::{
    audit::{self, Against},
    encoding::Hash,
};

/// Bits flipped with SHA256SUMS left as it was.
const FLIPS: usize = 2000;
/// Bits flipped with SHA256SUMS made to fit, for the auditor; every third of them for the script too.
const DEEP_FLIPS: usize = 450;

/// What both verifiers accept although it was changed, and why that can't be otherwise.
const NOBODY_VOUCHES: &[(&str, &str)] = &[(
    "VERIFY.txt",
    "explains itself to people; once SHA256SUMS is rewritten, nothing signed names it",
)];

/// What one verifier accepts and the other refuses, and why.
const ONE_ALONE: &[(&str, &str)] = &[];

/// A finished ceremony whose heads officers and a witness have signed, and one whose first attempt was given up.
fn finished(restarted: bool) -> Stage {
    let mut stage = Stage::new(|plan| plan);
    if restarted {
        stage.walk_to(Done::PackageCheck);
        for side in ["hoster", "tenant"] {
            let restart = ["restart", "--reason", "the room had to be left"];
            stage.pass(side, "restart", &restart);
            stage.side(side, &restart).ok();
        }
        stage.done = Some(Done::Init);
        stage.walk_to(Done::OfferCheck);
        let trust = ["kek", "trust", "--so-pin-file", "so-pin"];
        stage.tenant(&trust).ok();
        stage.done = Some(Done::KeysCreate);
    }
    stage.walk_to(Done::TenantClose);
    for (side, ids) in [("tenant", ["ada", "ben"]), ("hoster", ["hana", "hugo"])] {
        let head = stage.path(&format!("{side}/archive/head.json"));
        for id in ids.into_iter().chain(["iris"]) {
            stage.sign(&head, "keyferry-head", id);
        }
    }
    stage
}

fn script(archive: &Path, more: &[&str]) -> Ended {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    let ended = ended(Command::new(script).arg(archive).args(more));
    assert!(
        matches!(ended.code, 0 | 1),
        "ended with {}: {}{}",
        ended.code,
        ended.out,
        ended.err
    );
    assert!(
        ended.code == 0 || ended.err.contains("FALSE: "),
        "{}",
        ended.err
    );
    ended
}

fn audited(archive: &Path) -> keyferry::Result<audit::Verdict> {
    audit::verify(&[archive.to_owned()], &Against::default())
}

/// A copy of an archive that is changed and put back.
struct Copy {
    dir: tempfile::TempDir,
    original: PathBuf,
}

impl Copy {
    fn of(original: &Path) -> Self {
        let copy = Copy {
            dir: tempfile::tempdir().unwrap(),
            original: original.to_owned(),
        };
        copy.renew();
        copy
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("archive")
    }

    fn renew(&self) {
        let _ = fs::remove_dir_all(self.path());
        run(Command::new("cp")
            .arg("-a")
            .arg(&self.original)
            .arg(self.path()));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Makes SHA256SUMS fit what is there now, as somebody who changes a record would.
    fn make_sums(&self) {
        let names = names(&self.path()).into_iter();
        let listed = names.filter(|name| {
            name != "SHA256SUMS" && !(name.starts_with("head.json.") && name.ends_with(".sig"))
        });
        let line = |name: String| {
            let bytes = fs::read(self.file(&name)).unwrap();
            format!("{}  {name}\n", Hash::of(&bytes))
        };
        fs::write(
            self.file("SHA256SUMS"),
            listed.map(line).collect::<String>(),
        )
        .unwrap();
    }
}

/// The files of a folder and those below it, by their names in it.
fn names(folder: &Path) -> Vec<String> {
    fn below(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(root, &path, found),
                false => {
                    let name = path.strip_prefix(root).unwrap();
                    found.push(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    below(folder, folder, &mut found);
    found.sort();
    found
}

/// SplitMix64: the same numbers in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// How often both refused, and what stands in a list.
#[derive(Default)]
struct Tally {
    both_refused: usize,
    auditor_refused: usize,
    listed: Vec<String>,
    /// What no list says: each is a defect of a verifier.
    wrong: Vec<String>,
}

impl Tally {
    /// What was changed must be refused by both, unless a list says why not.
    fn refused(&mut self, what: &str, archive: &Path) {
        let (audit, script) = (audited(archive).is_err(), script(archive, &[]).code == 1);
        match (audit, script) {
            (true, true) => self.both_refused += 1,
            (false, false) => self.listed(what, NOBODY_VOUCHES, "accepted by both"),
            (true, false) => self.listed(what, ONE_ALONE, "accepted by the script alone"),
            (false, true) => self.listed(what, ONE_ALONE, "accepted by the auditor alone"),
        }
    }

    /// The same, where only the auditor is asked.
    fn refused_by_auditor(&mut self, what: &str, archive: &Path) {
        match audited(archive) {
            Err(_) => self.auditor_refused += 1,
            Ok(_) => self.listed(what, NOBODY_VOUCHES, "accepted by the auditor"),
        }
    }

    fn listed(&mut self, what: &str, list: &[(&str, &str)], how: &str) {
        match list.iter().any(|(begin, _)| what.starts_with(begin)) {
            true => self.listed.push(what.to_owned()),
            false => self.wrong.push(format!("{what}: {how}")),
        }
    }
}

/// Every item of the work on one of two threads, each with its own copies of the archives.
fn on_two_threads(
    archives: &[PathBuf],
    items: usize,
    work: impl Fn(usize, &[Copy], &mut Tally) + Sync,
) -> Tally {
    let whole = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (whole, work) = (&whole, &work);
            scope.spawn(move || {
                let copies: Vec<Copy> = archives.iter().map(|archive| Copy::of(archive)).collect();
                let mut tally = Tally::default();
                for item in (worker..items).step_by(2) {
                    work(item, &copies, &mut tally);
                }
                let mut whole = whole.lock().unwrap();
                whole.both_refused += tally.both_refused;
                whole.auditor_refused += tally.auditor_refused;
                whole.listed.extend(tally.listed);
                whole.wrong.extend(tally.wrong);
            });
        }
    });
    let whole = whole.into_inner().unwrap();
    assert_eq!(whole.wrong, Vec::<String>::new());
    whole
}

/// Flips one bit of one file: which, the seed says.
fn flip(seed: u64, copy: &Copy, deep: bool) -> (String, Vec<u8>) {
    let mut seeded = Seeded(seed);
    let mut names = names(&copy.path());
    names.retain(|name| !deep || name != "SHA256SUMS");
    let name = names.swap_remove(seeded.below(names.len()));
    let bytes = fs::read(copy.file(&name)).unwrap();
    let bit = seeded.below(bytes.len() * 8);
    let mut flipped = bytes.clone();
    flipped[bit / 8] ^= 1 << (bit % 8);
    fs::write(copy.file(&name), flipped).unwrap();
    (format!("{name}, bit {bit}"), bytes)
}

fn put_back(copy: &Copy, what: &str, bytes: &[u8]) {
    let (name, _) = what.split_once(',').unwrap();
    fs::write(copy.file(name), bytes).unwrap();
}

/// One change of one of the archives.
struct Change {
    archive: usize,
    what: String,
    make: Box<dyn Fn(&Copy) + Sync>,
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    /// A change after which SHA256SUMS is made to fit.
    fn deep(&mut self, archive: usize, what: String, make: impl Fn(&Copy) + Sync + 'static) {
        let make = move |copy: &Copy| {
            make(copy);
            copy.make_sums();
        };
        self.0.push(Change {
            archive,
            what,
            make: Box::new(make),
        });
    }

    /// Every document removed, and another ceremony's in its place.
    fn documents(&mut self, archive: usize, original: &Path, other: &Path) {
        for name in names(original) {
            let Some((folder, file)) = name.rsplit_once('/') else {
                continue;
            };
            let kind = folder.rsplit('/').next().unwrap().to_owned();
            if file != format!("{kind}.json") {
                continue;
            }
            let gone = folder.to_owned();
            self.deep(archive, format!("no {folder}"), move |copy| {
                fs::remove_dir_all(copy.file(&gone)).unwrap();
            });
            let (folder, other) = (folder.to_owned(), other.join(&kind));
            self.deep(archive, format!("another {folder}"), move |copy| {
                fs::remove_dir_all(copy.file(&folder)).unwrap();
                let to = copy.file(&folder);
                run(Command::new("cp").arg("-a").arg(&other).arg(to));
            });
        }
    }

    /// Every signature removed, and another person's in its place.
    fn signatures(&mut self, archive: usize, original: &Path) {
        let signatures: Vec<String> = (names(original).into_iter())
            .filter(|name| name.ends_with(".sig"))
            .collect();
        let signed = |name: &str| name.rsplitn(3, '.').last().unwrap().to_owned();
        for name in &signatures {
            let other = (signatures.iter())
                .find(|other| *other != name && signed(other) == signed(name))
                .unwrap()
                .clone();
            let to = name.clone();
            self.deep(archive, format!("{name} is {other}"), move |copy| {
                fs::copy(copy.file(&other), copy.file(&to)).unwrap();
            });
            // Nobody need sign the head: that is said, and another test's matter.
            if !name.starts_with("head.json") {
                let gone = name.clone();
                self.deep(archive, format!("no {name}"), move |copy| {
                    fs::remove_file(copy.file(&gone)).unwrap();
                });
            }
        }
    }

    /// Every request removed with its signatures.
    fn approvals(&mut self, archive: usize, original: &Path) {
        let requests = names(original).into_iter();
        for request in
            requests.filter(|name| name.starts_with("approvals/") && name.ends_with(".json"))
        {
            self.deep(archive, format!("no {request}"), move |copy| {
                for name in names(&copy.path()) {
                    if name.starts_with(&request) {
                        fs::remove_file(copy.file(&name)).unwrap();
                    }
                }
            });
        }
    }

    /// The log cut before every line, and head.json with it, whose signatures then go.
    fn cuts(&mut self, archive: usize, original: &Path, log: &'static str) {
        let lines = fs::read_to_string(original.join(log)).unwrap();
        for line in 0..lines.lines().count() {
            let cut = move |copy: &Copy| {
                let whole = fs::read_to_string(copy.file(log)).unwrap();
                let left: String = whole.split_inclusive('\n').take(line).collect();
                fs::write(copy.file(log), left).unwrap();
            };
            let what = format!("{log} cut to {line} lines");
            self.0.push(Change {
                archive,
                what: what.clone(),
                make: Box::new(cut),
            });
            self.deep(archive, format!("{what}, head.json with it"), move |copy| {
                cut(copy);
                head_to_fit(copy, log);
            });
        }
    }

    /// Files that have no place in an archive.
    fn surplus(&mut self, archive: usize) {
        for name in [
            "offer/note.txt",
            "a b",
            "a\nb",
            "-x",
            ".hidden",
            "approvals/0-x.json",
        ] {
            self.deep(archive, format!("surplus {name:?}"), move |copy| {
                fs::write(copy.file(name), "x").unwrap();
            });
        }
        self.deep(archive, "an empty folder".into(), |copy| {
            fs::create_dir(copy.file("attempt-7")).unwrap();
            fs::create_dir(copy.file("attempt-7/notes")).unwrap();
        });
        self.deep(archive, "the other side's log".into(), |copy| {
            for log in ["tenant.log.jsonl", "hoster.log.jsonl"] {
                if !copy.file(log).exists() {
                    fs::copy(copy.file("closing/log.jsonl"), copy.file(log)).unwrap();
                }
            }
        });
        self.deep(archive, "a link".into(), |copy| {
            let file = copy.file("offer/offer.json");
            fs::rename(&file, copy.dir.path().join("elsewhere")).unwrap();
            std::os::unix::fs::symlink("../../elsewhere", &file).unwrap();
        });
        self.0.push(Change {
            archive,
            what: "a device".into(),
            make: Box::new(|copy| {
                run(Command::new("mkfifo").arg(copy.file("pipe")));
            }),
        });
    }
}

/// Makes head.json the end of the log as it is now; signatures over the former one go.
fn head_to_fit(copy: &Copy, log: &str) {
    let bytes = fs::read(copy.file(log)).unwrap();
    let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back();
    let head = copy.file("head.json");
    let mut closed: serde_json::Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    closed["count"] = bytes.iter().filter(|byte| **byte == b'\n').count().into();
    closed["head"] = Hash::of(last.unwrap_or_default()).to_string().into();
    fs::write(&head, format!("{closed:#}\n")).unwrap();
    without_head_signatures(copy);
}

fn without_head_signatures(copy: &Copy) {
    for name in names(&copy.path()) {
        if name.starts_with("head.json.") {
            fs::remove_file(copy.file(&name)).unwrap();
        }
    }
}

#[test]
fn both_accept_what_is_whole_and_refuse_what_was_changed() {
    let stages = [finished(false), finished(true)];
    let archives: Vec<PathBuf> = (stages.iter())
        .flat_map(|stage| ["tenant", "hoster"].map(|side| stage.path(side).join("archive")))
        .collect();
    archives.iter().for_each(|archive| whole(archive));
    rewritten_end(&archives[0]);
    flipped(&archives);
    let mut changes = Changes::default();
    changes.documents(0, &archives[0], &archives[2]);
    changes.documents(3, &archives[3], &archives[1]);
    changes.deep(2, "attempts exchanged".into(), |copy| {
        let exchange = [
            ("offer", "x"),
            ("attempt-1/offer", "offer"),
            ("x", "attempt-1/offer"),
        ];
        for (from, to) in exchange {
            fs::rename(copy.file(from), copy.file(to)).unwrap();
        }
    });
    changes.signatures(1, &archives[1]);
    changes.signatures(2, &archives[2]);
    for (n, archive) in archives.iter().enumerate() {
        changes.approvals(n, archive);
    }
    changes.cuts(0, &archives[0], "tenant.log.jsonl");
    changes.cuts(3, &archives[3], "hoster.log.jsonl");
    changes.surplus(0);
    let changes = changes.0;
    let tally = on_two_threads(&archives, changes.len(), |item, copies, tally| {
        let change = &changes[item];
        let copy = &copies[change.archive];
        (change.make)(copy);
        tally.refused(&change.what, &copy.path());
        copy.renew();
    });
    println!(
        "documents, signatures, requests, cuts and surplus: {} refused by both",
        tally.both_refused
    );
    assert_eq!(tally.listed, Vec::<String>::new());
}

/// Both accept it; with what is on paper too, and with what is on another paper not.
fn whole(archive: &Path) {
    let verdict = audited(archive).unwrap();
    assert!(
        verdict
            .missing
            .iter()
            .all(|line| !line.contains("the head"))
    );
    let said = script(archive, &[]);
    assert!(!said.out.contains("NOT SIGNED BY ENOUGH"), "{}", said.out);
    assert_eq!(said.code, 0, "{}", said.err);
    let plan = Hash::of(&fs::read(archive.join("ceremony.toml")).unwrap()).to_string();
    let head: serde_json::Value =
        serde_json::from_slice(&fs::read(archive.join("head.json")).unwrap()).unwrap();
    let head = head["head"].as_str().unwrap();
    let on_paper = ["--expect-plan", &plan, "--expect-head", head];
    assert_eq!(script(archive, &on_paper).code, 0);
    for other in [["--expect-plan", head], ["--expect-head", &plan]] {
        assert_eq!(script(archive, &other).code, 1);
    }
}

/// An end of the log that was made anew after the last document: nothing but the head on paper, or people's signatures over
/// it, tells. Both verifiers say that those are missing.
fn rewritten_end(archive: &Path) {
    let copy = Copy::of(archive);
    let log = copy.file("tenant.log.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    let mut close: serde_json::Value = serde_json::from_str(last).unwrap();
    close["time"] = "2020-01-01T00:00:00Z".into();
    fs::write(&log, format!("{before}\n{close}\n")).unwrap();
    let head: serde_json::Value =
        serde_json::from_slice(&fs::read(copy.file("head.json")).unwrap()).unwrap();
    head_to_fit(&copy, "tenant.log.jsonl");
    copy.make_sums();
    let missing = audited(&copy.path()).unwrap().missing;
    assert!(
        missing.iter().any(|line| line.contains("0 of 2 officers")),
        "{missing:?}"
    );
    let said = script(&copy.path(), &[]);
    assert!(
        said.out.contains("NOT SIGNED BY ENOUGH: 0 of 2"),
        "{}",
        said.out
    );
    let head = head["head"].as_str().unwrap();
    assert_eq!(script(&copy.path(), &["--expect-head", head]).code, 1);
    let against = Against {
        head: Some(head.parse().unwrap()),
        ..Against::default()
    };
    assert!(audit::verify(&[copy.path()], &against).is_err());
}

fn flipped(archives: &[PathBuf]) {
    let which = |item: usize, count: usize| (item / 2) % count;
    let flips = on_two_threads(archives, FLIPS, |item, copies, tally| {
        let copy = &copies[which(item, copies.len())];
        let (what, bytes) = flip(item as u64, copy, false);
        tally.refused(&what, &copy.path());
        put_back(copy, &what, &bytes);
    });
    println!("bits flipped: {} refused by both", flips.both_refused);
    assert_eq!(flips.listed, Vec::<String>::new());
    let deep = on_two_threads(archives, DEEP_FLIPS, |item, copies, tally| {
        let copy = &copies[which(item, copies.len())];
        let (what, bytes) = flip(item as u64 + 1_000_000, copy, true);
        copy.make_sums();
        match item % 6 < 2 {
            true => tally.refused(&what, &copy.path()),
            false => tally.refused_by_auditor(&what, &copy.path()),
        }
        put_back(copy, &what, &bytes);
    });
    println!(
        "bits flipped, SHA256SUMS made to fit: {} refused by both, {} more by the auditor, {} that nobody vouches for",
        deep.both_refused,
        deep.auditor_refused,
        deep.listed.len()
    );
    assert!(deep.both_refused > 130 && deep.auditor_refused > 280);
}
