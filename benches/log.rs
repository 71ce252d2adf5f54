//! How fast a log is verified, and in how much memory: `cargo bench --bench log`.
//!
//! The log is a hoster's, 200,000 entries of what people and accidents add to one (notes, refusals,
//! intents, PIN tries), on disk. It is read and replayed as the auditor does; the SHA-256 of the
//! same lines alone, in the same run, is what no reader can do without.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use keyferry::{
    ceremony::Replay,
    encoding::Hash,
    log::{self, Event},
    phase::{Gate, Step},
    plan::{Mode, Side},
    room::Remark,
    rule::Rule,
    signature::Signed,
};

const ENTRIES: u64 = 200_000;
const ROUNDS: usize = 7;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let bytes = write_log(&path);
    println!("{ENTRIES} entries, {} bytes, {} a line", bytes, bytes / ENTRIES);
    let before = peak_kib();
    let verified = fastest(|| verify(&path));
    let after = peak_kib();
    let hashed = fastest(|| hash_only(&path));
    say("read and replayed", verified, bytes);
    say("SHA-256 only", hashed, bytes);
    println!("ratio             {:.2}", verified.as_secs_f64() / hashed.as_secs_f64());
    println!("peak memory       {before} KiB before, {after} KiB after");
}

/// The fastest of some rounds: what the machine can do when nothing disturbs it.
fn fastest(run: impl Fn()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

fn say(what: &str, time: Duration, bytes: u64) {
    let seconds = time.as_secs_f64();
    println!(
        "{what:<17} {:>9.0} entries/s {:>7.1} MB/s {:>6.0} ns/entry",
        ENTRIES as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        seconds * 1e9 / ENTRIES as f64
    );
}

fn verify(path: &Path) {
    let mut replay = Replay::new(Side::Hoster);
    let file = BufReader::with_capacity(1 << 16, File::open(path).unwrap());
    let end = log::read(file, "log", |entry| replay.take(&entry)).unwrap();
    assert_eq!(end.head.seq, ENTRIES);
}

fn hash_only(path: &Path) {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).unwrap());
    let (mut line, mut last) = (Vec::new(), Hash([0; 32]));
    while file.read_until(b'\n', &mut line).unwrap() > 0 {
        last = Hash::of(&line);
        line.clear();
    }
    std::hint::black_box(last);
}

/// The most memory that this process ever had, in KiB (proc_pid_status(5), VmHWM).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let digits: String = line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn write_log(path: &Path) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut prev, mut bytes) = (log::GENESIS.hash, 0);
    for seq in 1..=ENTRIES {
        let mut fields = serde_json::to_value(event(seq)).unwrap();
        fields["prev"] = prev.to_string().into();
        fields["seq"] = seq.into();
        let (minute, second) = (seq / 60 % 60, seq % 60);
        fields["time"] =
            format!("2026-11-24T{:02}:{minute:02}:{second:02}Z", seq / 3600 % 24).into();
        let line = format!("{fields}\n");
        prev = Hash::of(line.as_bytes());
        bytes += line.len() as u64;
        file.write_all(line.as_bytes()).unwrap();
    }
    file.flush().unwrap();
    bytes
}

fn event(seq: u64) -> Event {
    let signed =
        |id: &str| Signed { id: id.parse().unwrap(), signature: Hash::of(&seq.to_be_bytes()) };
    if seq == 1 {
        return Event::Init {
            ceremony: "bench".parse().unwrap(),
            mode: Mode::Rehearsal,
            side: Side::Hoster,
            plan: Hash::of(b"a plan"),
            way: Default::default(),
            waived: vec![Rule::WrapOaepSha1],
            signatures: vec![signed("ada"), signed("ben"), signed("hana"), signed("hugo")],
            version: "0.1.0".into(),
            superseded: None,
            trial: None,
        };
    }
    match seq % 5 {
        0 | 1 => Event::Note {
            remark: Remark::Incident {
                text: format!(
                    "the \"spare\" card reader, no. {seq}, was taken from the safe: Zoë saw it"
                ),
            },
        },
        2 => Event::Refusal {
            rule: Rule::ShareCommitment,
            found: format!("a share of cyd that is not the one that was dealt ({seq})"),
        },
        3 => Event::Intent { step: Step::KekCreate, attempt: 1 },
        _ => Event::Approval {
            gate: Gate::PinTry,
            subject: Hash::of(&seq.to_le_bytes()),
            request: Hash::of(&seq.to_be_bytes()),
            signatures: vec![signed("hana"), signed("hugo")],
        },
    }
}
