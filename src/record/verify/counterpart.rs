//! The other side's log, once it is here: its chain, its steps, and the heads that its documents
//! named.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use crate::{
    Result,
    document::Header,
    encoding::Hash,
    flow::{State, replay::Replay},
    log::{self, Entry, Event, PlainImported},
    plan::{Person, Plan},
    rule::Rule,
    terms::{AttestationLevel, Head, Side},
};

/// A log that was verified on its own, with what it names.
pub struct VerifiedLog {
    /// What it replays to.
    pub state: State,
    /// Its last entry.
    pub head: Head,
    /// The hashes of the entries, by sequence number from 1.
    heads: BTreeMap<u64, Hash>,
    /// The results of steps, what officers approved, what people noted, and what was refused or
    /// repaired, with the entry's number.
    pub remarks: Vec<(u64, Event)>,
    /// When this side made or took each offer and `keys`, by its clock, and which level of
    /// attestation it found.
    pub attested: Vec<AttestedAt>,
    /// What a request must name, by the number of the entry that approves it.
    pub asked: BTreeMap<u64, RequestPlace>,
}

/// What a side found of a document's attestations, and when.
#[derive(Debug, Clone)]
pub struct AttestedAt {
    /// SHA-256 of the document.
    pub document: Hash,
    /// The time of the entry.
    pub time: Timestamp,
    /// The level that it names.
    pub level: AttestationLevel,
}

impl AttestedAt {
    fn of(entry: &Entry) -> Option<Self> {
        let (document, level) = match &entry.event {
            Event::KekCreate { document, attested, .. }
            | Event::ImportPlain(PlainImported { document, attested, .. })
            | Event::OfferCheck { document, attested, .. }
            | Event::KeysCheck { taken: document, attested, .. } => (*document, *attested),
            Event::KeysCreate { document: Some(document), attested, .. } => {
                (*document, attested.unwrap_or(AttestationLevel::Witnessed))
            }
            _ => return None,
        };
        Some(AttestedAt { document, time: entry.time, level })
    }
}

/// Where a side stood when officers signed for an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPlace {
    /// The last entry that had changed the phase.
    pub entry: Hash,
    /// The side's attempt.
    pub attempt: u32,
}

impl fmt::Display for RequestPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after the entry {}, attempt {}", self.entry, self.attempt)
    }
}

/// Verifies a log of one side of this plan.
///
/// # Errors
/// `LOG-…`, `PLAN-CHANGED`.
pub fn verify(plan: &Plan, side: Side, bytes: &[u8], name: &str) -> Result<VerifiedLog> {
    let mut replay = Replay::new(side);
    let (mut heads, mut remarks) = (BTreeMap::new(), Vec::new());
    let (mut asked_at, mut attested) = (BTreeMap::new(), Vec::new());
    let end = log::read(bytes, name, |entry: Entry| {
        let seq = entry.head.seq;
        heads.insert(seq, entry.head.hash);
        if matches!(entry.event, Event::Approval { .. }) {
            let (entry, attempt) = (replay.state.phase_entry.hash, replay.state.attempt);
            asked_at.insert(seq, RequestPlace { entry, attempt });
        }
        replay.take(&entry)?;
        require_signers(plan, side, &entry)?;
        attested.extend(AttestedAt::of(&entry));
        if !matches!(
            entry.event,
            Event::Intent { .. } | Event::KekUntrust { .. } | Event::Quorum { .. }
        ) {
            remarks.push((seq, entry.event));
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
    Ok(VerifiedLog {
        state: replay.state,
        head: end.head,
        heads,
        remarks,
        attested,
        asked: asked_at,
    })
}

/// An act or a document that a log says was signed for names enough distinct officers of its side.
fn require_signers(plan: &Plan, side: Side, entry: &Entry) -> Result<()> {
    let (Event::Approval { signatures, .. } | Event::Release { signatures, .. }) = &entry.event
    else {
        return Ok(());
    };
    let party = plan.party(side);
    let signed = |officer: &&Person| signatures.iter().any(|one| one.id == officer.id);
    let have = party.officers.iter().filter(signed).count();
    match have >= party.approvals {
        true => Ok(()),
        false => Err(Rule::SignatureMissing.refuse(
            format!(
                "entry {} of the {side}'s log: {have} officers of the {side} signed",
                entry.head.seq
            ),
            format!("at least {}", party.approvals),
            "the log was not written by Keyferry: stop, and ask that side for an explanation",
        )),
    }
}

impl VerifiedLog {
    /// Whether the log has the entry that a document of its side named, and the document was made
    /// or is being made by it.
    ///
    /// # Errors
    /// `LOG-CHAIN`: a document was made under another log than this one.
    pub fn contains(&self, header: &Header) -> Result<()> {
        let found = self.heads.get(&header.head.seq);
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
