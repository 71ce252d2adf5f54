//! What a log costs its reader, in processor time and memory: `cargo bench --bench log`. The longest
//! of the ceremonies that are kept, and the worst that the limits let in from elsewhere.
//!
//! Each is read and replayed as the auditor does, its entries kept, in a process of its own.

use std::{env, fs, path::Path, process::Command};

use record::{
    encoding::Hash,
    flow::State,
    log::{self, MAX_LINE, MAX_LOG},
    terms::Side,
};

/// What says to a process which log is its own.
const LOG: &str = "KEYFERRY_BENCH_LOG";
/// The first entry of each, and the fields of the chain in the others.
const INIT: &str = r#"{"ceremony":"bench","event":"init","mode":"rehearsal","plan":"0000000000000000000000000000000000000000000000000000000000000000",PREV,SEQ,"side":"hoster","signatures":[],TIME,"version":"0.1.0","waived":[]}"#;
const TIME: &str = r#""time":"2026-11-24T00:56:45Z""#;

fn main() {
    if let Some(log) = env::var_os(LOG) {
        return measure(log.as_ref());
    }
    let kept = "tests/replayed/v1/composite-hgs/hoster/hoster.log.jsonl";
    let kept = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(kept)).unwrap();
    // Lines that are as long as lines can be, but for their other fields.
    let filled = |piece: &str| piece.repeat((MAX_LINE - 300) / piece.len());
    let escapes = r"\u0001".repeat(4096);
    for (name, log) in [
        ("the longest kept", kept),
        (
            "short entries",
            whole(r#""attempt":1,"event":"intent",PREV,SEQ,"step":"kek-create",TIME"#),
        ),
        ("notes of escapes", whole(&note(&format!(r#""kind":"remark","text":"{escapes}""#)))),
        (
            "notes of nothing",
            whole(&note(&format!(r#""kind":"break","stayed":[{}""]"#, filled(r#""","#)))),
        ),
        ("a long text", broken(&format!("\"{}\"", filled("x")))),
        ("a text of escapes", broken(&format!("\"{}\"", filled(r"\u0001")))),
        ("objects side by side", broken(&format!("[{}0]", filled(r#"{"":0},"#)))),
        ("objects in each other", broken(&filled(r#"{"":"#))),
        ("a line without an end", vec![b'['; MAX_LOG as usize]),
    ] {
        assert!(log.len() as u64 <= MAX_LOG, "{name}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, log).unwrap();
        let status = Command::new(env::current_exe().unwrap()).env(LOG, path).status();
        assert!(status.unwrap().success(), "{name}");
    }
}

fn measure(path: &Path) {
    let log = fs::read(path).unwrap();
    let (mut state, mut entries) = (State::new(Side::Hoster), Vec::new());
    let end = log::entries(&log, "log").try_for_each(|entry| {
        let entry = entry?;
        state.apply(&entry)?;
        entries.push(entry.event);
        Ok(())
    });
    let (seconds, mib) = (nanoseconds() as f64 / 1e9, peak_kib() as f64 / 1024.0);
    let (name, count) = (path.file_name().unwrap().to_str().unwrap(), entries.len());
    let end =
        end.err().and_then(|error: record::Error| error.rule()).map_or("read", |rule| rule.name());
    println!(
        "{name:<22} {:>8} bytes {count:>6} entries  {end:<10} {seconds:>6.3} s {mib:>6.1} MiB",
        log.len()
    );
}

/// What this process has had of a processor, by the kernel's count (its docs, sched-stats).
fn nanoseconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// The most memory that this process ever had, in KiB (proc_pid_status(5), VmHWM).
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn note(remark: &str) -> String {
    format!(r#""event":"note",PREV,"remark":{{{remark}}},SEQ,TIME"#)
}

/// A log with as many entries of one kind as a log can have.
fn whole(fields: &str) -> Vec<u8> {
    let mut log = Vec::new();
    let mut next = entry(INIT, 1, log::GENESIS.hash);
    for seq in 2.. {
        if (log.len() + next.len()) as u64 > MAX_LOG {
            break;
        }
        log.extend_from_slice(&next);
        next = entry(&format!("{{{fields}}}"), seq, Hash::of(&next));
    }
    log
}

/// A log whose second entry is a refusal that found this.
fn broken(found: &str) -> Vec<u8> {
    let init = entry(INIT, 1, log::GENESIS.hash);
    let fields =
        format!(r#"{{"event":"refusal","found":{found},PREV,"rule":"LOG-CHAIN",SEQ,TIME}}"#);
    let second = entry(&fields, 2, Hash::of(&init));
    [init, second].concat()
}

fn entry(fields: &str, seq: u64, prev: Hash) -> Vec<u8> {
    let line = fields.replacen("PREV", &format!("\"prev\":\"{prev}\""), 1);
    let line = line.replacen("SEQ", &format!("\"seq\":{seq}"), 1).replacen("TIME", TIME, 1);
    format!("{line}\n").into_bytes()
}
