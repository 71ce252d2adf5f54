//! The logs of both sides: every copy there is, each a whole chain, all of one side the same.

use std::borrow::Cow;
use std::path::Path;

use crate::log::MAX_LOG;
use crate::verify::counterpart::VerifiedLog;
use crate::verify::documents::Documents;
use crate::verify::evidence::Folder;
use crate::verify::{Verdict, counterpart};
use crate::{Error, Event, Hash, Plan, Result, Rule, Side, TransferRoute, escape, folder};

/// The longest log of each side.
pub struct Logs(Vec<VerifiedLog>);

/// The side whose log a file is, by its first entry.
pub fn side_of(path: &Path) -> Result<Side> {
    let bytes = folder::read_file(path, MAX_LOG)?;
    let side = counterpart::side_of(&bytes, &path.display().to_string())?;
    side.ok_or_else(|| {
        Rule::LogEvent.refuse(
            format!("{} does not begin with init", path.display()),
            "a ceremony's log",
            "name a ceremony folder or an archive",
        )
    })
}

impl Logs {
    /// Reads every copy: the folders' own, of at most `limit` bytes, and those that travelled with
    /// acceptance and closing.
    pub fn read(
        evidence: &[Folder],
        plan: &Plan,
        documents: &Documents,
        limit: u64,
        verdict: &mut Verdict,
    ) -> Result<Self> {
        let mut sides = Vec::new();
        for side in [Side::Tenant, Side::Hoster] {
            let copies = copies(evidence, documents, side, limit)?;
            let count = copies.len();
            let Some(longest) = longest(&copies, side)? else {
                if plan.way == TransferRoute::Cloud && side == Side::Hoster {
                    continue; // It takes no part.
                }
                verdict.missing.push(format!("the log of the {side}"));
                continue;
            };
            let verified = counterpart::verify(plan, side, &longest.bytes, &longest.name)?;
            verdict.holds.push(format!(
                "the log of the {side} is one chain of {} entries ({count} copies agree), each step allowed by the one before; its head is {}",
                verified.head.seq, verified.head.hash
            ));
            sides.push(verified);
        }
        Ok(Logs(sides))
    }

    /// The log of a side.
    pub fn of(&self, side: Side) -> Option<&VerifiedLog> {
        self.all().find(|log| log.state.side == side)
    }

    /// Every log.
    pub fn all(&self) -> impl Iterator<Item = &VerifiedLog> {
        self.0.iter()
    }

    /// Whether a log says that the ceremony was aborted.
    pub fn aborted(&self) -> bool {
        self.all().any(|log| log.state.aborted.is_some())
    }

    /// Where each log ends.
    pub fn ends(&self) -> impl Iterator<Item = (Side, Hash)> {
        self.all().map(|log| (log.state.side, log.head.hash))
    }

    /// What people noted, and what was refused or mended.
    pub fn remarks(&self) -> impl Iterator<Item = (Side, u64, &Event)> {
        self.all().flat_map(|log| log.events().map(|(seq, event)| (log.state.side, seq, event)))
    }
}

/// One copy of a log.
pub struct Copy<'a> {
    /// Whose it is.
    pub side: Side,
    /// What to call it.
    pub name: String,
    /// Its bytes; of one that travelled, those that its document lists.
    pub bytes: Cow<'a, [u8]>,
}

/// Every copy there is of a side's log.
fn copies<'a>(
    evidence: &[Folder],
    documents: &'a Documents,
    side: Side,
    limit: u64,
) -> Result<Vec<Copy<'a>>> {
    let own = evidence.iter().filter_map(Folder::log).filter(|(of, _)| *of == side);
    let own = own.map(|(side, path)| {
        let bytes = Cow::Owned(folder::read_file(&path, limit)?);
        Ok(Copy { side, name: path.display().to_string(), bytes })
    });
    let travelled = documents.travelled_logs().filter(|log| log.side == side);
    own.chain(travelled.map(Ok)).collect()
}

/// The longest copy; every other is its beginning, or the log was forked.
fn longest<'a, 'b>(copies: &'b [Copy<'a>], side: Side) -> Result<Option<&'b Copy<'a>>> {
    // Of those that are as long, the first.
    let longest = copies.iter().rev().max_by_key(|copy| copy.bytes.len());
    let Some(longest) = longest else { return Ok(None) };
    // A folder's own log is never shorter than the one in its archive.
    let archived = |own: &Copy| {
        let folder = Path::new(&own.name).parent();
        folder.is_some_and(|folder| Path::new(&longest.name).starts_with(folder))
    };
    let parts = |copy: &&Copy| {
        let shorter = copy.bytes.len() < longest.bytes.len();
        !longest.bytes.starts_with(&copy.bytes) || (shorter && archived(copy))
    };
    match copies.iter().find(parts) {
        Some(other) => Err(fork(longest, other, side)),
        None => Ok(Some(longest)),
    }
}

/// The refusal of copies that part, with the first entry that differs as each has it.
fn fork(longest: &Copy, other: &Copy, side: Side) -> Error {
    let pairs = longest.bytes.iter().zip(other.bytes.iter());
    let same = &longest.bytes[..pairs.take_while(|(left, right)| left == right).count()];
    let number = 1 + same.iter().filter(|byte| **byte == b'\n').count();
    let start = same.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = |copy: &Copy| {
        let line = copy.bytes[start..].split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let shown: String = String::from_utf8_lossy(line).chars().take(300).collect();
        format!("{shown} in {}", copy.name)
    };
    Rule::LogChain.refuse(
        escape(&format!("a fork: entry {number} is {}, and {}", line(longest), line(other))),
        format!("one entry {number} in every copy of the {side}'s log"),
        "somebody rewrote a log: ask both sides for their copies, and compare them with the signed heads",
    )
}
