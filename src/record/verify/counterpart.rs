//! The other side's log, once it is here: its chain, its steps, and the heads that its documents
//! named.

use std::collections::BTreeSet;

use crate::document::Header;
use crate::flow::replay::FOREIGN_LOG;
use crate::log::{self, GENESIS};
use crate::{Entry, Event, Head, Id, Plan, Result, Rule, Side, State};

/// A log that was verified on its own.
pub struct VerifiedLog {
    /// What it replays to.
    pub state: State,
    /// Its last entry.
    pub head: Head,
    /// Every entry.
    pub entries: Vec<Entry>,
}

/// Verifies a log of one side of this plan.
///
/// # Errors
/// `LOG-…`, `PLAN-CHANGED`.
pub fn verify(plan: &Plan, side: Side, bytes: &[u8], name: &str) -> Result<VerifiedLog> {
    let entries = log::entries(bytes, name).collect::<Result<_>>()?;
    Rule::LogFormat.ensure(
        log::torn(bytes).is_empty(),
        format!("{name}: a last line without an end"),
        "whole lines",
        "copy it again; on its own machine the next command mends it",
    )?;
    VerifiedLog::of(plan, side, entries)
}

/// Verifies a log of whichever side it says it is.
///
/// # Errors
/// As [`verify`].
pub fn verify_any(plan: &Plan, bytes: &[u8], name: &str) -> Result<VerifiedLog> {
    // One that does not begin a log is refused as either's.
    let side = side_of(bytes, name)?.unwrap_or(Side::Tenant);
    verify(plan, side, bytes, name)
}

/// The side whose log it is, by its first entry; absent where that does not begin a log.
///
/// # Errors
/// As [`log::entries`].
pub fn side_of(bytes: &[u8], name: &str) -> Result<Option<Side>> {
    let first = log::entries(bytes, name).next().transpose()?;
    Ok(first.and_then(|first| match first.event {
        Event::Init { side, .. } => Some(side),
        _ => None,
    }))
}

/// Who an entry says has signed: enough officers of each side whose word it is, none twice, and
/// nobody else but witnesses.
fn signers(plan: &Plan, side: Side, entry: &Entry) -> Result<()> {
    let taken = entry.event.took().map(|(kind, _)| kind.side());
    let signed = entry.event.signatures();
    let sides = match &entry.event {
        Event::Init { .. } => Side::ALL.to_vec(),
        Event::Approval { .. } => vec![side],
        event if event.released().is_some() => vec![taken.unwrap_or(side)],
        _ => Vec::new(),
    };
    let ensure = |holds: bool, found: &str, expected: &str| {
        let found = format!("entry {} of the {side}'s log: {found}", entry.head.seq);
        Rule::SignatureMissing.ensure(holds, found, expected, FOREIGN_LOG)
    };
    let ids: BTreeSet<&Id> = signed.iter().map(|one| &one.id).collect();
    ensure(ids.len() == signed.len(), "one person signed twice", "each person once")?;
    for side in &sides {
        let party = plan.party(*side);
        let have = party.officers.iter().filter(|one| ids.contains(&one.id)).count();
        let found = format!("{have} officers of the {side} signed");
        ensure(have >= party.approvals, &found, &format!("at least {}", party.approvals))?;
    }
    ids.iter().try_for_each(|id| {
        let may = !sides.is_empty() && plan.may_sign(id, &sides);
        let name = plan.name_of(id);
        ensure(may, &format!("{name} signed"), "officers of that side, and witnesses")
    })
}

impl VerifiedLog {
    /// Replays the entries of a chain.
    ///
    /// # Errors
    /// `LOG-EVENT`, `SIGNATURE-MISSING`, `PLAN-…`, `TARGET-WRAP-WITH-TRUSTED`, `TRIAL-ENDS`.
    pub fn of(plan: &Plan, side: Side, entries: Vec<Entry>) -> Result<Self> {
        let mut state = State::new(side);
        for entry in &entries {
            state.apply(entry)?;
            signers(plan, side, entry)?;
        }
        state.check_plan(plan)?;
        let head = entries.last().map_or(GENESIS, |entry| entry.head);
        Ok(VerifiedLog { state, head, entries })
    }

    /// Every event, with its entry's number.
    pub fn events(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.entries.iter().map(|entry| (entry.head.seq, &entry.event))
    }

    /// Goes through the log once more, with the state that each entry was written in.
    ///
    /// # Errors
    /// What `each` ends with.
    pub fn walk(&self, mut each: impl FnMut(&State, &Entry) -> Result<()>) -> Result<()> {
        let mut state = State::new(self.state.side);
        for entry in &self.entries {
            each(&state, entry)?;
            state.apply(entry)?;
        }
        Ok(())
    }

    /// Whether the log has the entry that a document of its side names: the intent of a step that
    /// makes such documents, in that attempt; and, where the document carries the log, whether it
    /// carries all of it up to there.
    ///
    /// # Errors
    /// `LOG-CHAIN`: a document was made under another log than this one.
    pub fn contains(&self, header: &Header, carried: Option<&[u8]>) -> Result<()> {
        let found = self.entries.iter().find(|entry| entry.head.seq == header.head.seq);
        let begun = |entry: &&Entry| {
            matches!(entry.event, Event::Intent { step, attempt } if
                header.document.is_made_by(step) && attempt == header.attempt)
        };
        if found.filter(begun).is_some_and(|entry| entry.head == header.head) {
            let Some(carried) = carried else { return Ok(()) };
            let lines = carried.iter().filter(|byte| **byte == b'\n').count();
            return Rule::LogChain.ensure(
                lines as u64 == header.head.seq && carried.ends_with(b"\n"),
                format!("a log of {lines} entries, which the {} carries", header.document),
                format!("the log up to entry {}, which it names", header.head.seq),
                "the log that travels was cut or goes on: ask that side for an explanation",
            );
        }
        let found = found.map_or("no such entry".into(), |entry| {
            format!(
                "entry {}, {}, with hash {}",
                entry.head.seq,
                entry.event.name(),
                entry.head.hash
            )
        });
        Err(Rule::LogChain.refuse(
            format!("the log of the {} has {found}", header.side),
            format!("entry {} with hash {}, which its {} names as the intent of the step that made it, in attempt {}", header.head.seq, header.head.hash, header.document, header.attempt),
            "the log was rewritten, or the document was not made by Keyferry: stop, and ask that side for an explanation",
        ))
    }
}
