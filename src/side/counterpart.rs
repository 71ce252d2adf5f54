//! The other side's log, once it is here: its chain, its steps, and the heads that its documents named.

use crate::{
    Result,
    ceremony::Replay,
    document::Header,
    encoding::Hash,
    log::{self, Entry, Event, Head},
    phase::State,
    plan::{Plan, Side},
    rule::Rule,
};

/// A log that was verified on its own, with what it names.
pub struct Verified {
    /// What it replays to.
    pub state: State,
    /// Its last entry.
    pub head: Head,
    /// Its entries' places, by sequence number from 1.
    pub heads: Vec<Hash>,
    /// The results of steps, what officers approved, what people noted, and what was refused or repaired, with the
    /// entry's number.
    pub remarks: Vec<(u64, Event)>,
}

/// Verifies a log of one side of this plan.
///
/// # Errors
/// `LOG-…`, `PLAN-CHANGED`.
pub fn verify(plan: &Plan, side: Side, bytes: &[u8], name: &str) -> Result<Verified> {
    let mut replay = Replay::new(side);
    let (mut heads, mut remarks) = (Vec::new(), Vec::new());
    let end = log::read(bytes, name, |entry: Entry| {
        heads.push(entry.head.hash);
        replay.take(&entry)?;
        if !matches!(
            entry.event,
            Event::Intent { .. } | Event::KekUntrust { .. } | Event::Quorum { .. }
        ) {
            remarks.push((entry.head.seq, entry.event));
        }
        Ok(())
    })?;
    if !end.torn.is_empty() {
        return Err(Rule::LogFormat.refuse(
            format!("{name}: a last line without an end"),
            "whole lines",
            "copy it again; on its own machine the next command mends it",
        ));
    }
    replay.check_plan(plan)?;
    Ok(Verified {
        state: replay.state,
        head: end.head,
        heads,
        remarks,
    })
}

impl Verified {
    /// Whether the log has the entry that a document of its side named, and the document was made or is
    /// being made by it.
    ///
    /// # Errors
    /// `LOG-CHAIN`: a document was made under another log than this one.
    pub fn contains(&self, header: &Header) -> Result<()> {
        let found = usize::try_from(header.head.seq)
            .ok()
            .and_then(|seq| self.heads.get(seq.checked_sub(1)?));
        if found == Some(&header.head.hash) {
            return Ok(());
        }
        let found = found.map_or("no such entry".into(), |hash| {
            format!("entry {} with hash {hash}", header.head.seq)
        });
        Err(Rule::LogChain.refuse(
            format!("the log of the {} has {found}", header.side),
            format!("entry {} with hash {}, which its {} names", header.head.seq, header.head.hash, header.document),
            "the log was rewritten after the document was made: stop, and ask that side for an explanation",
        ))
    }
}
