//! Gates, attempts, the mirror and the room's record: what two people sign for, and what happens
//! when things go wrong.

pub mod attempts;
mod mirror;
mod requests;
mod room;
mod summaries;

use std::{fs, path::Path, process::Command};

use crate::common::{
    run,
    stage::{Done, Stage},
};
use record::verify::{self, Against, Verdict};

/// The entries of a side's log.
pub fn log(stage: &Stage, side: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The entries of one kind.
pub fn events(stage: &Stage, side: &str, event: &str) -> Vec<serde_json::Value> {
    let mut entries = log(stage, side);
    entries.retain(|entry| entry["event"] == event);
    entries
}

/// Both folders hold.
#[track_caller]
pub fn audited(stage: &Stage) -> Verdict {
    verify::verify(&[stage.path("tenant"), stage.path("hoster")], &Against::default()).unwrap()
}

pub fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}
