//! Whole ceremonies of many keys, command by command, beside what the module itself took in the
//! same run: `ceremony-scripts/bench`.
//!
//! The shim stands before SoftHSM and adds up how long its calls take. What a command takes beyond
//! that is Keyferry's: start, documents, log, fsyncs, signatures of people, throwaway keys in
//! software. RSA key pairs that the token makes are left out of the ratio, because their time is
//! chance.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    stage::{Done, Setting, Stage},
    walk::ASKS,
};
use custody::share::{Quorum, Secret, deal};
use record::{
    encoding::{Fixed, Hash},
    log::{Event, Log},
    rule::Rule,
    verify::{self, Against},
};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    starts();
    let sizes: &[usize] = if quick { &[2, 10] } else { &[2, 10, 20, 100, 500] };
    let mut flat = Vec::new();
    for keys in sizes {
        flat.push((*keys, ceremony(*keys)));
    }
    per_key(&flat);
    sessions(if quick { 4 } else { 40 });
    appends(if quick { 50 } else { 500 });
    shares();
}

/// A command that has ended: how long it took, how much memory, and what of it was the module's.
#[derive(Default, Clone)]
struct Took {
    whole: Duration,
    peak_kib: u64,
    calls: usize,
    module: Duration,
    key_pairs: Duration,
    code: i32,
}

impl Took {
    fn add(&mut self, other: &Took) {
        self.whole += other.whole;
        self.peak_kib = self.peak_kib.max(other.peak_kib);
        self.calls += other.calls;
        self.module += other.module;
        self.key_pairs += other.key_pairs;
    }

    /// Its time by the module's, key pairs apart.
    fn ratio(&self) -> f64 {
        (self.whole - self.key_pairs).as_secs_f64() / (self.module - self.key_pairs).as_secs_f64()
    }
}

fn took(stage: &Stage, mut command: Command) -> Took {
    let times = stage.path("times");
    let _ = fs::remove_file(&times);
    command.env("KEYFERRY_SHIM_TIMES", &times);
    // What is measured is the token as it is, not with the tests' faster primes.
    command.env_remove("LD_PRELOAD");
    let (out, err) = (stage.path("bench.out"), stage.path("bench.err"));
    command.stdout(Stdio::from(fs::File::create(out).unwrap()));
    command.stderr(Stdio::from(fs::File::create(&err).unwrap()));
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut took = Took::default();
    let status = loop {
        // The peak so far (proc_pid_status(5), VmHWM): the last that is seen is the whole's, or
        // nearly.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        took.peak_kib = took.peak_kib.max(peak.unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    took.whole = begun.elapsed();
    let code = status.code().unwrap();
    took.code = code;
    assert!([0, ASKS].contains(&code), "{}", fs::read_to_string(err).unwrap());
    for line in fs::read_to_string(&times).unwrap_or_default().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let time = Duration::from_nanos(fields[2].parse().unwrap());
        took.calls += fields[1].parse::<usize>().unwrap();
        took.module += time;
        if fields[0] == "C_GenerateKeyPair" {
            took.key_pairs += time;
        }
    }
    took
}

/// The commands that use the HSM, of a whole ceremony, and the audit of it; what each took.
fn ceremony(keys: usize) -> BTreeMap<String, Took> {
    let setting = Setting { keys, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan);
    let mut all: BTreeMap<String, Took> = BTreeMap::new();
    let mut order = Vec::new();
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let one = took(stage, stage.command(side, &arguments));
        let name = format!("{side} {}", arguments[..arguments.len().min(2)].join(" "));
        let name = name.split(" medium/").next().unwrap().split(" --").next().unwrap().to_owned();
        if !order.contains(&name) {
            order.push(name.clone());
        }
        all.entry(name).or_default().add(&one);
        one.code
    });
    let begun = Instant::now();
    let folders = [stage.path("tenant"), stage.path("hoster")];
    verify::verify(&folders, &Against::default()).unwrap();
    let audit = begun.elapsed();
    println!("\n### {keys} keys\n");
    println!(
        "| command | s | of it the module | outside it | calls | calls a key | ratio | peak MiB |\n|---|---|---|---|---|---|---|---|"
    );
    let (mut with, mut without) = (Took::default(), Took::default());
    for name in &order {
        let one = &all[name];
        if one.calls > 0 {
            row(name, one, keys);
            with.add(one);
        } else {
            without.add(one);
        }
    }
    row("**all of these**", &with, keys);
    println!(
        "| the {} others, which use no HSM | {:.3} | | | | | | {:.1} |",
        order.iter().filter(|name| all[*name].calls == 0).count(),
        without.whole.as_secs_f64(),
        without.peak_kib as f64 / 1024.0
    );
    let mut whole = with.clone();
    whole.add(&without);
    row("**the whole ceremony**", &whole, keys);
    println!(
        "\nAudit of both folders: {:.3} s, {:.2} ms a key.",
        audit.as_secs_f64(),
        audit.as_secs_f64() * 1e3 / keys as f64
    );
    all
}

fn row(name: &str, took: &Took, keys: usize) {
    println!(
        "| {name} | {:.3} | {:.3}, key pairs {:.3} | {:.3} | {} | {:.1} | {:.2} | {:.1} |",
        took.whole.as_secs_f64(),
        took.module.as_secs_f64(),
        took.key_pairs.as_secs_f64(),
        took.whole.saturating_sub(took.module).as_secs_f64(),
        took.calls,
        took.calls as f64 / keys as f64,
        took.ratio(),
        took.peak_kib as f64 / 1024.0
    );
}

/// What one more key costs: flat, if nothing is done once more for each key that is there.
fn per_key(sizes: &[(usize, BTreeMap<String, Took>)]) {
    println!(
        "\n### What a key costs\n\nMilliseconds a key, key pairs apart, between one size and the next.\n"
    );
    let names = ["tenant keys create", "tenant export", "hoster import"];
    println!("| from | to | {} |\n|---|---|---|---|---|", names.join(" | "));
    for pair in sizes.windows(2) {
        let [(few, before), (many, after)] = pair else {
            continue;
        };
        let cost = |name: &&str| {
            let apart = |all: &BTreeMap<String, Took>| {
                let one = all.get(*name).cloned().unwrap_or_default();
                (one.whole - one.key_pairs).as_secs_f64()
            };
            format!("{:.1}", (apart(after) - apart(before)) * 1e3 / (many - few) as f64)
        };
        println!("| {few} | {many} | {} |", names.iter().map(cost).collect::<Vec<_>>().join(" | "));
    }
}

/// Sessions at once, where each call crosses a network.
fn sessions(keys: usize) {
    println!("\n### Sessions at once, 2 ms a call, {keys} keys\n");
    println!("| sessions | export, s | import, s |\n|---|---|---|");
    let mut stage = Stage::with(Setting { keys, ..Setting::default() }, |plan| plan);
    stage.walk_to(Done::KeysCreate);
    for sessions in ["1", "2", "4", "8"] {
        let mut stage = stage.copy();
        let seconds = |stage: &Stage, side: &str, arguments: &[&str]| {
            let mut command = stage.command(side, arguments);
            command.args(["--sessions", sessions]).env("KEYFERRY_SHIM_LATENCY", "2000");
            took(stage, command).whole.as_secs_f64()
        };
        stage.pass("tenant", "export", &["export"]);
        let export = seconds(&stage, "tenant", &["export"]);
        stage.done = Some(Done::Export);
        stage.walk_to(Done::PackageCheck);
        stage.pass("hoster", "import", &["import", "medium/package"]);
        let mut import = vec!["import".to_owned(), "medium/package".into()];
        import.extend(stage.shares(&["cyd", "dan", "eve"]));
        let import: Vec<&str> = import.iter().map(String::as_str).collect();
        let import = seconds(&stage, "hoster", &import);
        println!("| {sessions} | {export:.2} | {import:.2} |");
    }
}

fn fastest(rounds: usize, mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    };
    (0..rounds).map(timed).min().unwrap_or_default()
}

/// How long each program takes to start, and to end at once.
fn starts() {
    println!("\n### Start of each program\n\n| program | ms |\n|---|---|");
    for (name, program) in [
        ("keyferry-tenant", env!("CARGO_BIN_EXE_keyferry-tenant")),
        ("keyferry-hoster", env!("CARGO_BIN_EXE_keyferry-hoster")),
        ("keyferry-custodian", env!("CARGO_BIN_EXE_keyferry-custodian")),
        ("keyferry-audit", env!("CARGO_BIN_EXE_keyferry-audit")),
    ] {
        let start = fastest(20, || {
            assert!(Command::new(program).arg("--help").output().unwrap().status.success())
        });
        println!("| {name} | {:.1} |", start.as_secs_f64() * 1e3);
    }
}

/// An entry of the log with its fsync, and the same bytes without.
fn appends(entries: usize) {
    let folder = tempfile::tempdir().unwrap();
    let event = || Event::Refusal { rule: Rule::WordsMismatch, found: "word 4 differs".into() };
    let mut log = Log::create(folder.path()).unwrap();
    let begun = Instant::now();
    (0..entries).for_each(|_| drop(log.append(event()).unwrap()));
    let synced = begun.elapsed() / entries as u32;
    let line = fs::read(folder.path().join("log.jsonl")).unwrap().len() / entries;
    let mut file = fs::File::create(folder.path().join("plain")).unwrap();
    let bytes = vec![b'x'; line];
    let begun = Instant::now();
    (0..entries).for_each(|_| std::io::Write::write_all(&mut file, &bytes).unwrap());
    let plain = begun.elapsed() / entries as u32;
    println!(
        "\n### The log\n\nAn entry of {line} bytes, on the disk before the next: {:.0} µs; the same bytes written and not waited for: {:.1} µs.",
        synced.as_secs_f64() * 1e6,
        plain.as_secs_f64() * 1e6
    );
}

/// Dealing, which tries every quorum, and recombining.
fn shares() {
    println!(
        "\n### Shares\n\n| M of N | quorums tried | deal, ms | recombine, ms |\n|---|---|---|---|"
    );
    let package = Fixed([7; 16]);
    let secret = Secret::derive(&[1; 32], &[2; 32], &package, &Hash([3; 32])).unwrap();
    for (threshold, count) in [(3, 5), (3, 8), (4, 8), (5, 10), (6, 12), (8, 16)] {
        let dealt = fastest(3, || drop(deal(&secret, package, threshold, count).unwrap()));
        let shares = deal(&secret, package, threshold, count).unwrap();
        let listings: Vec<_> =
            shares.iter().map(|share| share.listing("somebody", Hash([0; 32]))).collect();
        let again = fastest(3, || {
            let mut quorum = Quorum::new(package, threshold, &listings, &str::to_owned);
            for share in shares.iter().take(threshold.into()) {
                let record = share.record();
                quorum
                    .present(custody::share::Share::from_record(record.as_slice()).unwrap())
                    .unwrap();
            }
            drop(quorum.recombine().unwrap());
        });
        let quorums = (0..threshold.into())
            .fold(1_u64, |product, n: u64| product * (u64::from(count) - n) / (n + 1));
        println!(
            "| {threshold} of {count} | {quorums} | {:.1} | {:.2} |",
            dealt.as_secs_f64() * 1e3,
            again.as_secs_f64() * 1e3
        );
    }
}
