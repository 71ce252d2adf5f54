//! The logs of both sides: every copy there is, each a whole chain, all of one side the same.

use std::path::Path;

use super::{Verdict, documents::Documents, evidence::Evidence};
use crate::{
    Error, Result,
    encoding::Hash,
    folder,
    log::{self, Event, MAX_LOG},
    plan::{Plan, Side},
    rule::Rule,
    side::counterpart::{self, Verified},
};

/// The longest log of each side.
pub struct Logs {
    sides: Vec<(Side, Verified)>,
}

/// One copy of a log.
struct Copy {
    side: Side,
    name: String,
    bytes: Vec<u8>,
}

/// The side whose log a file is, by its first entry.
pub fn side_of(path: &Path) -> Result<Side> {
    let bytes = folder::read_file(path, MAX_LOG)?;
    let mut side = None;
    let first = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    log::read(first, &path.display().to_string(), |entry| {
        if let Event::Init { side: of, .. } = entry.event {
            side = Some(of);
        }
        Ok(())
    })?;
    side.ok_or_else(|| {
        Rule::LogEvent.refuse(
            format!("{} does not begin with init", path.display()),
            "a ceremony's log",
            "name a ceremony folder or an archive",
        )
    })
}

impl Logs {
    /// Reads every copy: the folders' own, and those that travelled with acceptance and closing.
    pub fn read(
        evidence: &[Evidence],
        plan: &Plan,
        documents: &Documents,
        verdict: &mut Verdict,
    ) -> Result<Self> {
        let mut copies = Vec::new();
        for (side, path) in evidence.iter().filter_map(Evidence::log) {
            copies.push(Copy {
                side,
                name: path.display().to_string(),
                bytes: folder::read_file(&path, MAX_LOG)?,
            });
        }
        for (side, name, bytes) in documents.travelled_logs() {
            let bytes = bytes.to_vec();
            copies.push(Copy { side, name, bytes });
        }
        let mut sides = Vec::new();
        for side in [Side::Tenant, Side::Hoster] {
            let mut of_side: Vec<&Copy> = copies.iter().filter(|copy| copy.side == side).collect();
            of_side.sort_by_key(|copy| std::cmp::Reverse(copy.bytes.len()));
            let Some(longest) = of_side.first() else {
                verdict.missing.push(format!("the log of the {side}"));
                continue;
            };
            of_side.iter().try_for_each(|copy| same(longest, copy))?;
            let verified = counterpart::verify(plan, side, &longest.bytes, &longest.name)?;
            verdict.holds.push(format!(
                "the log of the {side} is one chain of {} entries ({} copies agree), each step allowed by the one before",
                verified.head.seq,
                of_side.len()
            ));
            if verified.state.phase != crate::phase::Phase::Closed {
                verdict.missing.push(format!(
                    "the end of the {side}'s log: it is not closed there"
                ));
            }
            sides.push((side, verified));
        }
        Ok(Logs { sides })
    }

    /// The log of a side.
    pub fn of(&self, side: Side) -> Option<&Verified> {
        self.sides
            .iter()
            .find(|(of, _)| *of == side)
            .map(|(_, log)| log)
    }

    /// Each side of which there is a log, with it.
    pub fn sides(&self) -> impl Iterator<Item = (Side, &Verified)> {
        self.sides.iter().map(|(side, log)| (*side, log))
    }

    /// Every log.
    pub fn all(&self) -> impl Iterator<Item = &Verified> {
        self.sides.iter().map(|(_, log)| log)
    }

    /// Whether a log says that the ceremony was aborted.
    pub fn aborted(&self) -> bool {
        self.all().any(|log| log.state.aborted.is_some())
    }

    /// Where each log ends.
    pub fn ends(&self) -> impl Iterator<Item = (Side, Hash)> {
        self.sides.iter().map(|(side, log)| (*side, log.head.hash))
    }

    /// What people noted, and what was refused or mended.
    pub fn remarks(&self) -> impl Iterator<Item = (Side, u64, &Event)> {
        self.sides
            .iter()
            .flat_map(|(side, log)| log.remarks.iter().map(|(seq, event)| (*side, *seq, event)))
    }
}

/// A shorter copy is the beginning of the longest; else the log was forked.
fn same(longest: &Copy, copy: &Copy) -> Result<()> {
    if longest.bytes.starts_with(&copy.bytes) {
        return Ok(());
    }
    let lines = |copy: &Copy| {
        copy.bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (left, right) = (lines(longest), lines(copy));
    let differs = left
        .iter()
        .zip(&right)
        .position(|(left, right)| left != right)
        .unwrap_or(right.len().min(left.len()));
    let show = |line: Option<&Vec<u8>>| {
        String::from_utf8_lossy(line.map_or(&[], Vec::as_slice))
            .chars()
            .take(300)
            .collect::<String>()
    };
    Err(forked(
        longest,
        copy,
        differs + 1,
        &show(left.get(differs)),
        &show(right.get(differs)),
    ))
}

fn forked(longest: &Copy, copy: &Copy, number: usize, left: &str, right: &str) -> Error {
    Rule::LogChain.refuse(
        crate::escape::escape(&format!("a fork: entry {number} is {left} in {}, and {right} in {}", longest.name, copy.name)),
        format!("one entry {number} in every copy of the {}'s log", longest.side),
        "somebody rewrote a log: ask both sides for their copies, and compare them with the signed heads",
    )
}
