//! What is refused, by which rule, end to end with real tokens: that nothing was changed by it, and
//! that the right act still works afterwards; gates and what comes of them; attackers, accidents
//! and kills.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::stage::{Done, Ended, Setting, Stage};
use record::encoding::Hash;

mod attacks;
mod changed_record;
#[path = "../common/mod.rs"]
mod common;
mod crafted;
mod crash;
mod documents;
mod edited;
mod entries;
mod gates;
mod order;
mod plant;
mod shares;
mod target;
mod token;

/// A stage whose offer is checked and whose plan asks for no trusted KEK, so that keys may travel
/// that were made elsewhere.
fn untrusted() -> Stage {
    let mut setting = Setting::default();
    setting.waivers.push("TARGET-WRAP-WITH-TRUSTED".into());
    Stage::of(setting, Done::OfferCheck)
}

/// Everything of a side that a refusal must leave as it was.
#[derive(Debug, PartialEq)]
struct Before {
    log: String,
    files: BTreeMap<PathBuf, Hash>,
    /// SoftHSM keeps each object of a token in a file of its own.
    objects: usize,
}

impl Before {
    fn of(stage: &Stage, side: &str) -> Self {
        let mut files = BTreeMap::new();
        let _ = contents(&stage.path(side), &mut files);
        let log = files.remove(&stage.path(side).join("log.jsonl"));
        // Requests for signatures are no change of the ceremony.
        files.retain(|path, _| !path.starts_with(stage.path(side).join("approvals")));
        let mut tokens = BTreeMap::new();
        contents(&stage.path("tokens"), &mut tokens).unwrap();
        let is_object = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "object");
        let read = |_| fs::read_to_string(stage.path(side).join("log.jsonl")).unwrap();
        Before {
            log: log.map(read).unwrap_or_default(),
            files,
            objects: tokens.keys().filter(is_object).count(),
        }
    }
}

fn contents(folder: &Path, files: &mut BTreeMap<PathBuf, Hash>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            contents(&path, files)?;
        } else if kind.is_file() && kind.len() < 1 << 24 {
            files.insert(path.clone(), Hash::of(&fs::read(&path)?));
        }
    }
    Ok(())
}

/// Refused by exactly this rule, the refusal in the log, and nothing else changed. Gives what
/// people read.
#[track_caller]
fn refused(stage: &Stage, side: &str, arguments: &[&str], rule: &str) -> String {
    refused_by(stage, side, rule, || stage.side(side, arguments))
}

#[track_caller]
fn refused_by(stage: &Stage, side: &str, rule: &str, run: impl FnOnce() -> Ended) -> String {
    let before = Before::of(stage, side);
    let text = run().refused(rule);
    let after = Before::of(stage, side);
    let added = after.log.strip_prefix(&before.log).expect("the log grew");
    let entries: Vec<serde_json::Value> = added
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        // Officers' signatures are taken into the record before the act is looked at, and custodians
        // as they come; what a preflight saw anew is no act.
        .filter(|entry: &serde_json::Value| {
            let as_they_come = entry["event"] == "quorum" || entry["step"] == "import";
            entry["event"] != "approval" && entry["event"] != "preflight" && !as_they_come
        })
        .collect();
    match &entries[..] {
        // Where no ceremony is open there is no log that could say so; a closed one stays as it was
        // signed.
        [] => {
            let last = before.log.lines().last().unwrap_or_default();
            let closed = last.contains("\"event\":\"close\"");
            assert!(before.log.is_empty() || closed, "{rule} is not in the log");
        }
        [entry] => assert_eq!((&entry["event"], &entry["rule"]), (&"refusal".into(), &rule.into())),
        more => panic!("{more:?}"),
    }
    assert_eq!((after.files, after.objects), (before.files, before.objects));
    text
}

/// As [`refused`], where the ceremony can not even be opened: not a byte is written.
#[track_caller]
fn refused_unopened(stage: &Stage, side: &str, arguments: &[&str], rule: &str) -> String {
    let before = Before::of(stage, side);
    let text = stage.side(side, arguments).refused(rule);
    assert_eq!(Before::of(stage, side), before);
    text
}

/// Runs a command that must end well, with two officers' signatures where it waits for them.
#[track_caller]
fn ends_well(stage: &Stage, side: &str, arguments: &[&str]) {
    let mut ended = stage.side(side, arguments);
    if ended.code == 6 {
        stage.approve(side, "kek-destroy", &["hana", "hedy"]);
        ended = stage.side(side, arguments);
    }
    ended.ok();
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}
