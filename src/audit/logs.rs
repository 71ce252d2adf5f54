//! The logs of both sides: every copy there is, each a whole chain, all of one side the same.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use super::{
    Verdict,
    documents::Documents,
    evidence::Evidence,
    lockstep::{Copy, Lockstep},
};
use crate::{
    Error, Result,
    encoding::Hash,
    folder,
    log::{self, Event, MAX_LINE, MAX_LOG},
    plan::{Plan, Side, Way},
    rule::Rule,
    side::counterpart::{self, Verified},
};

/// How much of each copy is in memory at a time, in bytes.
const CHUNK: usize = 1 << 16;

/// The longest log of each side.
pub struct Logs {
    sides: Vec<(Side, Verified)>,
}

/// The side whose log a file is, by its first entry.
pub fn side_of(path: &Path) -> Result<Side> {
    let mut first = Vec::new();
    BufReader::new(folder::open_file(path, MAX_LOG)?)
        .take(MAX_LINE)
        .read_until(b'\n', &mut first)
        .map_err(|error| Error::file(path, error))?;
    let mut side = None;
    log::read(first.as_slice(), &path.display().to_string(), |entry| {
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
        let mut sides = Vec::new();
        for side in [Side::Tenant, Side::Hoster] {
            let copies = copies(evidence, documents, side)?;
            let count = copies.len();
            let Some(mut lockstep) = Lockstep::new(copies) else {
                if plan.way == Way::Cloud && side == Side::Hoster {
                    continue; // It takes no part.
                }
                verdict.missing.push(format!("the log of the {side}"));
                continue;
            };
            let (name, asked) = (lockstep.name(), documents.heads(side));
            let log = BufReader::with_capacity(CHUNK, &mut lockstep);
            let verified =
                counterpart::verify_asked(plan, side, log, &name, |seq| asked.contains(&seq));
            // A fork ended the reading; what reading says of that is not what happened.
            lockstep.agree(side)?;
            let verified = verified?;
            verdict.holds.push(format!(
                "the log of the {side} is one chain of {} entries ({count} copies agree), each step allowed by the one before; its head is {}",
                verified.head.seq, verified.head.hash
            ));
            if verified.state.phase != crate::phase::Phase::Closed {
                verdict
                    .missing
                    .push(format!("the end of the {side}'s log: it is not closed there"));
            }
            sides.push((side, verified));
        }
        Ok(Logs { sides })
    }

    /// The log of a side.
    pub fn of(&self, side: Side) -> Option<&Verified> {
        self.sides.iter().find(|(of, _)| *of == side).map(|(_, log)| log)
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

/// Every copy there is of a side's log.
fn copies(evidence: &[Evidence], documents: &Documents, side: Side) -> Result<Vec<Copy>> {
    let own = evidence.iter().filter_map(Evidence::log);
    let own = own.filter(|(of, _)| *of == side);
    let own = own.map(|(_, path)| Copy::open(&path.display().to_string(), &path, None));
    let travelled = documents.travelled_logs().filter(|log| log.side == side);
    let travelled = travelled.map(|log| Copy::open(&log.name, &log.path, Some(log.listed)));
    own.chain(travelled).collect()
}
