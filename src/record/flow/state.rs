//! Everything that a side's log says, replayed entry by entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::flow::room::Room;
use crate::flow::seen::Seen;
use crate::flow::{ABORT, Nodes, Row, SERVICE, TABLE, way_in};
use crate::log::{ChangedShare, GENESIS, KekRecord, KeyRecord, PlainImported, ShareFile};
use crate::{
    Entry, Event, Gate, Hash, Head, Id, Kind, PackageId, Phase, Program, Result, Rule, Side, Step,
    TransferRoute,
};

/// A document that this side made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// SHA-256 of it.
    pub hash: Hash,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// Whether its officers have released it.
    pub released: bool,
}

/// What officers have approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// SHA-256 of the request's subject.
    pub subject: Hash,
    /// The attempt that the request names: an export that is abandoned later raises the side's own.
    pub attempt: u32,
}

/// A document that a restart, an abort or a newer attempt has left behind; it stays in the record.
#[derive(Debug, Clone, Copy)]
pub struct Abandoned {
    /// Which kind; with the log's side it tells who made it.
    pub kind: Kind,
    /// SHA-256 of it.
    pub hash: Hash,
    /// The attempt of the side that made it.
    pub attempt: u32,
}

/// The custodians who have opened the seal.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// Who, in the order in which they came.
    pub custodians: Vec<Id>,
    /// Those whose identity was opened on this machine, and so is spent.
    pub spent: Vec<Id>,
    /// Those whose deputy came.
    pub deputies: Vec<Id>,
    /// Share files that were changed on the way.
    pub changed: Vec<ChangedShare>,
    /// Whether more may follow: the import that they came for was not begun anew since.
    pub open: bool,
    /// How many came at most to an import of the same package that was cut off.
    pub earlier: usize,
}

/// Everything that a side's log says, replayed.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose log it is.
    pub side: Side,
    /// SHA-256 of its plan, once there is `init`.
    pub(super) plan: Option<Hash>,
    /// The closing of the trial that `init` was shown.
    pub(super) trial: Option<Hash>,
    /// How keys come to where they are used, as `init` said.
    pub way: TransferRoute,
    /// How far it has come.
    pub phase: Phase,
    /// This side's attempt, from 1.
    pub attempt: u32,
    /// The last entry that changed the phase.
    pub phase_entry: Head,
    /// What officers have approved since the phase last changed, by gate.
    pub approvals: BTreeMap<Gate, Approval>,
    /// How often officers have signed for a PIN to be tried.
    pub pin_tries: u64,
    /// A step that was begun and has no result.
    pub pending: Option<Step>,
    /// The intent of the step that was begun last: none once its program has ended, as an approval
    /// or a mended line tells, which only a program's start writes.
    pub intent: Option<Head>,
    /// How often each step was begun in this attempt.
    pub begun: BTreeMap<Step, u32>,
    /// The entry that ended the ceremony without its aim.
    pub aborted: Option<Head>,
    /// Documents of this side.
    pub made: BTreeMap<Kind, Made>,
    /// Documents of the other side that were taken.
    pub taken: BTreeMap<Kind, Hash>,
    /// Documents of either side that belong to an attempt that was given up.
    pub abandoned: Vec<Abandoned>,
    /// The highest attempt seen of the other side.
    pub seen_attempt: u32,
    /// The KEK of the offer that the tenant took.
    pub offered: Option<Hash>,
    /// The KEK, at the hoster; at the tenant the one that its HSM trusts.
    pub kek: Option<KekRecord>,
    /// Whether the tenant's originals are gone, as the plan wants it.
    pub source_destroyed: bool,
    /// Whether the tenant's HSM still trusts that KEK, as far as the log says.
    pub trusted: bool,
    /// The target keys, in the plan's order.
    pub keys: Vec<KeyRecord>,
    /// The export that was made or taken.
    pub package_id: Option<PackageId>,
    /// How often keys were wrapped for a cloud service.
    pub cloud_exports: u32,
    /// The share files that were dealt.
    pub shares: Vec<ShareFile>,
    /// The custodians who have confirmed their share.
    pub confirmed: BTreeSet<Id>,
    /// Who has opened the seal, of the import that was begun last.
    pub quorum: Option<Opened>,
    /// The nodes of the service.
    pub nodes: Nodes,
    /// How often the side was closed: once more after each time that its service changed since.
    pub closes: u32,
    /// Whether the service has changed since the last close.
    pub changed_since: bool,
    /// The room: who and what came and went.
    pub room: Room,
    /// What a preflight compares with.
    pub seen: Seen,
}

impl State {
    /// The state before the first entry.
    pub fn new(side: Side) -> Self {
        State {
            side,
            plan: None,
            trial: None,
            way: TransferRoute::default(),
            phase: Phase::Planned,
            phase_entry: GENESIS,
            approvals: BTreeMap::new(),
            pin_tries: 0,
            attempt: 1,
            pending: None,
            intent: None,
            begun: BTreeMap::new(),
            aborted: None,
            made: BTreeMap::new(),
            taken: BTreeMap::new(),
            abandoned: Vec::new(),
            seen_attempt: 0,
            offered: None,
            kek: None,
            source_destroyed: false,
            trusted: false,
            keys: Vec::new(),
            package_id: None,
            cloud_exports: 0,
            shares: Vec::new(),
            confirmed: BTreeSet::new(),
            quorum: None,
            nodes: Nodes::default(),
            closes: 0,
            changed_since: false,
            room: Room::default(),
            seen: Seen::default(),
        }
    }

    /// The steps that may follow.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let (side, phase) = (self.side, self.phase);
        let ended = phase == Phase::Closed || self.aborted.is_some();
        let steps = way_in(self.way).iter().chain(TABLE);
        let steps = steps.filter(move |row| row.phase == phase);
        let abort = ABORT.iter().filter(move |_| !ended);
        let service = SERVICE.iter().filter(move |row| self.serves(row.step));
        let all = steps.chain(abort).chain(service);
        all.filter(move |row| row.side == side)
    }

    /// Where a step leads from here.
    ///
    /// # Errors
    /// `PHASE-ORDER`, saying what may follow instead; `BAG-NUMBER` where a bag came back wrong.
    pub fn require(&self, step: Step) -> Result<&'static Row> {
        if step != Step::Abort {
            self.room.require()?;
        }
        if self.pending == Some(Step::Restart) && !matches!(step, Step::Restart | Step::Abort) {
            return Err(Rule::PhaseOrder.refuse(
                format!("{} after a restart that was begun and did not end", step.name()),
                "restart, with the same reason",
                format!("what this attempt made in the HSM may be gone already: `{}`, with the same reason, ends it", Program::of(self.side).line("restart --reason TEXT")),
            ));
        }
        self.rows().find(|row| row.step == step).ok_or_else(|| {
            let allowed: Vec<&str> = self.rows().map(|row| row.words).collect();
            let expected = if allowed.is_empty() {
                "nothing more: the ceremony is closed".into()
            } else {
                allowed.join(", or ")
            };
            Rule::PhaseOrder.refuse(
                format!("{} in the phase {}", step.name(), self.phase.name()),
                expected,
                self.see_status(),
            )
        })
    }

    /// Where the next step is shown.
    pub fn see_status(&self) -> String {
        let line = Program::of(self.side).line("status");
        format!("`{line}` shows the next step, who takes it, and the exact command")
    }

    /// Takes the next entry of the log; the first is `init`, and only the first.
    ///
    /// # Errors
    /// `LOG-EVENT` where the entry can't follow.
    pub fn apply(&mut self, entry: &Entry) -> Result<()> {
        self.begins(entry)?;
        let wrong = |found: String| {
            Rule::LogEvent.refuse(
                format!("entry {}: {found}", entry.head.seq),
                "a step that may follow the one before it",
                "do not go on with this log: compare it with its copies, and note who had access to it",
            )
        };
        let event = &entry.event;
        self.check(entry).map_err(wrong)?;
        let step = event.step().filter(|step| *step != Step::Init);
        let row = step.map(|step| self.require(step)).transpose();
        let row = row.map_err(|error| wrong(error.to_string()))?;
        self.seen.take(entry);
        self.remember(entry);
        if let Some(row) = row {
            let next = row.next.unwrap_or(self.phase);
            // What was signed for once is not signed for again.
            if self.phase != next || row.step.gate().is_some() {
                self.phase_entry = entry.head;
                self.approvals.clear();
            }
            self.changed_since =
                self.phase == Phase::Closed && next == Phase::Closed && row.step != Step::Close;
            self.phase = next;
            self.pending = None;
        }
        Ok(())
    }

    fn remember(&mut self, entry: &Entry) {
        let event = &entry.event;
        self.remember_documents(event);
        let gate = event.step().and_then(Step::gate);
        let approved = gate.and_then(|gate| self.approvals.get(&gate));
        self.nodes.take(entry, approved.map(|approval| approval.subject));
        match event {
            Event::Init { way, plan, trial, .. } => {
                (self.way, self.plan, self.trial) = (*way, Some(*plan), *trial);
                self.phase_entry = entry.head;
            }
            Event::Intent { step, attempt } => {
                self.attempt = *attempt;
                self.pending = Some(*step);
                self.intent = Some(entry.head);
                if let Some(quorum) = &mut self.quorum {
                    quorum.open = false;
                }
                *self.begun.entry(*step).or_default() += 1;
            }
            Event::Approval { gate, subject, .. } => self.approve(*gate, *subject),
            Event::Repair { .. } => self.intent = None,
            Event::Restart { attempt, .. } => self.restart(*attempt),
            Event::Abort { .. } => self.abort(entry.head),
            Event::Note { remark } => self.room.remember(remark, entry.head),
            Event::KekCreate { kek, .. } => self.kek = Some(kek.clone()),
            Event::KekTrust { kek, .. } => {
                self.kek = Some(kek.clone());
                self.trusted = true;
            }
            Event::KekUntrust { .. } => self.trusted = false,
            Event::SourceDestroy(_) => self.source_destroyed = true,
            Event::Close { .. } => self.closes += 1,
            Event::KeysCreate { keys, .. }
            | Event::KeysCheck { keys, .. }
            | Event::Import { keys, .. }
            | Event::ImportPlain(PlainImported { keys, .. }) => self.keys = keys.clone(),
            Event::CloudExport(_) => self.cloud_exports += 1,
            Event::OfferCheck { attempt, fingerprint, .. } => {
                self.seen_attempt = *attempt;
                self.offered = Some(*fingerprint);
                self.approvals.clear();
            }
            Event::PackageCheck { .. } => {
                // Who opened an older package's seal, or signed for it, has not opened or signed
                // for this one's.
                self.quorum = None;
                self.approvals.clear();
            }
            Event::Export { package_id, shares, .. } => {
                self.package_id = Some(*package_id);
                self.shares = shares.clone();
            }
            Event::ShareConfirm { custodian, .. } => {
                self.confirmed.insert(custodian.clone());
            }
            Event::Quorum { custodians, spent, deputies, changed } => {
                let (custodians, spent) = (custodians.clone(), spent.clone());
                let (deputies, changed) = (deputies.clone(), changed.clone());
                let earlier = self.quorum.as_ref().map_or(0, |before| match before.open {
                    true => before.earlier,
                    false => before.earlier.max(before.custodians.len()),
                });
                self.quorum =
                    Some(Opened { custodians, spent, deputies, changed, open: true, earlier });
            }
            Event::Release { kind, .. } => {
                if let Some(made) = self.made.get_mut(kind) {
                    made.released = true;
                }
            }
            _ => {}
        }
    }

    fn remember_documents(&mut self, event: &Event) {
        if let Some((kind, hash)) = event.made() {
            let made = Made { hash, attempt: self.attempt, released: false };
            self.made.insert(kind, made);
        }
        if let Some((kind, hash)) = event.took()
            && let Some(hash) = self.taken.insert(kind, hash)
        {
            self.leave(kind, hash, self.seen_attempt);
        }
        if let Event::KeysCheck { attempt, package_id, .. }
        | Event::Answer { attempt, package_id, .. }
        | Event::PackageCheck { attempt, package_id, .. } = event
        {
            self.seen_attempt = *attempt;
            self.package_id = Some(*package_id);
        }
    }

    fn leave(&mut self, kind: Kind, hash: Hash, attempt: u32) {
        self.abandoned.push(Abandoned { kind, hash, attempt });
    }

    fn approve(&mut self, gate: Gate, subject: Hash) {
        match gate {
            // Officers sign for a PIN while the step waits.
            Gate::PinTry => self.pin_tries += 1,
            Gate::Deviation => self.room.deviate(subject),
            _ => {}
        }
        self.intent = self.intent.filter(|_| gate == Gate::PinTry);
        let attempt = self.attempt;
        self.approvals.insert(gate, Approval { subject, attempt });
    }

    /// The next attempt: what this side made in the last one serves for nothing more.
    fn restart(&mut self, attempt: u32) {
        self.abandon(|_, _| true);
        // The offer stays taken: the tenant's next attempt wraps for the same KEK, unless a newer
        // one comes.
        for kind in [Kind::Package, Kind::Keys, Kind::Challenge] {
            if let Some(hash) = self.taken.remove(&kind) {
                self.leave(kind, hash, self.seen_attempt);
            }
        }
        if self.side == Side::Hoster || self.way.is_challenged() {
            self.kek = None;
            self.keys = Vec::new();
        }
        self.attempt = attempt;
        self.begun.clear();
        self.package_id = None;
        self.shares = Vec::new();
        self.confirmed = BTreeSet::new();
        self.quorum = None;
    }

    fn abort(&mut self, head: Head) {
        self.aborted = Some(head);
        self.abandon(|_, made| !made.released);
    }

    fn abandon(&mut self, which: impl Fn(Kind, Made) -> bool) {
        for (kind, made) in std::mem::take(&mut self.made) {
            if which(kind, made) {
                self.leave(kind, made.hash, made.attempt);
            } else {
                self.made.insert(kind, made);
            }
        }
    }
}
