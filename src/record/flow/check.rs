//! What an entry may say where a side stands: intents before results, approvals before gated acts,
//! newer attempts only.

use crate::encoding::Hash;
use crate::flow::room::MAX_WRONG;
use crate::flow::{Phase, State};
use crate::gate::{Nodes, Primary, Rollback, Subject, Unconfirmed, Unpassed, subject_hash};
use crate::log::{Entry, Event};
use crate::service::Order;
use crate::terms::{Gate, Id, Kind, Side, Stage, Step};

impl State {
    /// The attempt that a step begun now belongs to: an export that was begun and not finished has
    /// dealt shares of a secret nobody may have kept, so the next one is another attempt.
    pub fn attempt_of(&self, step: Step) -> u32 {
        self.attempt + u32::from(step == Step::Export && self.exporting)
    }

    /// Whether an entry says what may be said here, its step's place in the table apart.
    pub(super) fn check(&self, entry: &Entry) -> std::result::Result<(), String> {
        let event = &entry.event;
        let step = event.step();
        if self.phase == Phase::Closed && !self.after_close(event) {
            return Err("an entry after close".into());
        }
        if let Some(step) = step.filter(|step| step.has_intent() && self.pending != Some(*step)) {
            return Err(format!("a result of {} without its intent", step.name()));
        }
        match event {
            Event::Intent { step, attempt } => {
                self.require(*step).map_err(|error| error.to_string())?;
                if *attempt != self.attempt_of(*step) {
                    return Err(format!("attempt {attempt} after {}", self.attempt));
                }
                self.approved(*step)
            }
            Event::Approval { gate, subject, .. } => {
                match self.approvals.get(gate).is_some_and(|signed| signed.subject == *subject) {
                    true => Err(format!("{} approved twice", gate.name())),
                    false => Ok(()),
                }
            }
            Event::Abort { .. } => self.approved(Step::Abort),
            Event::Evidence { node, stage, unpassed, .. } => {
                if !unpassed.is_empty() {
                    self.signed_for(&Unpassed::of(node, *stage, unpassed))?;
                }
                self.nodes.may_prove(node, *stage)
            }
            Event::Primary { order, former } => {
                let subject = Primary::of(&self.nodes, &self.keys, former);
                let subject = subject.map_err(|error| error.to_string())?;
                let subject = self.signed_for(&subject)?;
                if !self.nodes.missing(Stage::Ready).is_empty() {
                    return Err("primary before every node was ready".into());
                }
                same_order(self.nodes.activation(former, subject), *order)
            }
            Event::Rollback { order } => {
                let subject = Rollback::of(&self.nodes).map_err(|error| error.to_string())?;
                let subject = self.signed_for(&subject)?;
                same_order(self.nodes.rollback(subject), *order)
            }
            Event::Nodes { removed, replaced } => {
                self.signed_for(&Nodes::of(&self.nodes, removed, replaced))?;
                self.nodes.may_change(removed, replaced)
            }
            Event::Registration { .. } => match self.nodes.missing(Stage::Active).is_empty() {
                true => Ok(()),
                false => Err("a registration before every node was active".into()),
            },
            Event::Restart { attempt, .. } if *attempt != self.attempt + 1 => {
                Err(format!("attempt {attempt} after {}", self.attempt))
            }
            Event::Quorum { custodians, spent, .. } => self.may_open(custodians, spent),
            Event::KekTrust { kek, .. }
                if self.trusted && self.kek.as_ref().map(|kek| kek.id) != Some(kek.id) =>
            {
                Err("a second KEK that is trusted, beside the first".into())
            }
            Event::KekUntrust { kek } if !self.trusted || self.kek.as_ref() != Some(kek) => {
                Err("the end of a trusted KEK that is not there".into())
            }
            Event::Note { remark } if self.room.is_full(remark) => {
                Err(format!("more than {MAX_WRONG} bags that came back wrong"))
            }
            Event::Note { remark } if self.room.misnumbers(remark) => {
                Err("a copy of a page whose number is not the next".into())
            }
            Event::OfferCheck { attempt, .. }
            | Event::PackageCheck { attempt, .. }
            | Event::KeysCheck { attempt, .. }
            | Event::Answer { attempt, .. } => {
                self.newer(event.took().map(|(kind, _)| kind), *attempt)
            }
            Event::Release { kind, document, .. } => self.may_release(*kind, *document),
            Event::KekDestroy { acceptance, .. } => {
                let fits = acceptance.is_none() == self.aborted.is_some();
                let again = self.made.contains_key(&Kind::Closing);
                match fits && !again {
                    true => Ok(()),
                    false => {
                        Err("the end of a KEK without acceptance or abort, or a second one".into())
                    }
                }
            }
            Event::ImportPlain(done)
                if self.kek.as_ref().map(|kek| kek.fingerprint) != Some(done.fingerprint) =>
            {
                Err("keys that were wrapped for another KEK".into())
            }
            Event::KeysCreate { document, .. }
                if document.is_some() != (self.side == Side::Hoster) =>
            {
                Err("keys of the other side's origin".into())
            }
            Event::Close { count, .. } if *count != entry.head.seq => {
                Err(format!("a close that counts {count} entries"))
            }
            Event::Close { .. } if self.kek_left() || self.born_left() => {
                Err("a close before the KEK, or the keys of an aborted ceremony, are destroyed"
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// Custodians open the seal one after the other: each entry names those before, and one more.
    /// (Programs before this one named all at once.)
    fn may_open(&self, custodians: &[Id], spent: &[Id]) -> std::result::Result<(), String> {
        if self.pending != Some(Step::Import) {
            return Err("a quorum without the intent to import".into());
        }
        let begun = self.quorum.as_ref().filter(|quorum| quorum.open);
        let (before, spent_before) =
            begun.map_or((&[][..], &[][..]), |quorum| (&quorum.custodians, &quorum.spent));
        let come = custodians.strip_prefix(before).zip(spent.strip_prefix(spent_before));
        // Whoever came before has spent an identity then, or not at all.
        let grows = come.is_some_and(|(come, opened)| {
            (come.len() == 1 || (begun.is_none() && !come.is_empty()))
                && opened.iter().all(|id| come.contains(id))
        });
        match grows {
            true => Ok(()),
            false => Err("a quorum that does not name those before, and one more".into()),
        }
    }

    /// Officers have signed for exactly this.
    fn signed_for<S: Subject>(&self, subject: &S) -> std::result::Result<Hash, String> {
        let approved = self.approvals.get(&S::GATE).map(|approval| approval.subject);
        let subject = subject_hash(subject).map_err(|error| error.to_string())?;
        match approved == Some(subject) {
            true => Ok(subject),
            false => Err(format!("{} of what nobody signed for", S::GATE.name())),
        }
    }

    /// After its end a ceremony is silent, but for what becomes of the service.
    fn after_close(&self, event: &Event) -> bool {
        let again = matches!(event, Event::Close { .. }) && self.changed_since;
        let service = [Step::Evidence, Step::Rollback, Step::Nodes, Step::Retire];
        let of = |step: &Step| service.contains(step) && self.serves(*step);
        let about = match event {
            Event::Intent { step, .. } => Some(*step),
            // What of a node's diagnostics does not pass.
            Event::Approval { gate: Gate::Deviation, .. } => Some(Step::Evidence),
            Event::Approval { gate, .. } => {
                service.into_iter().find(|step| step.gate() == Some(*gate))
            }
            event => event.step(),
        };
        self.side == Side::Hoster && (again || about.as_ref().is_some_and(of))
    }

    /// A gated step has its approval in the log.
    fn approved(&self, step: Step) -> std::result::Result<(), String> {
        match step.gate() {
            Some(gate) if !self.approvals.contains_key(&gate) => {
                Err(format!("{} without its approval", step.name()))
            }
            _ => Ok(()),
        }
    }

    /// A document that replaces one is of a later attempt.
    fn newer(&self, kind: Option<Kind>, attempt: u32) -> std::result::Result<(), String> {
        match attempt >= kind.map_or(self.seen_attempt, |kind| self.least_attempt(kind)) {
            true => Ok(()),
            false => Err(format!("attempt {attempt} after {}", self.seen_attempt)),
        }
    }

    /// The least attempt that a document of the other side may have: one that comes after another
    /// of its kind, taken or given up since, is of a later attempt.
    pub fn least_attempt(&self, kind: Kind) -> u32 {
        let left = self.abandoned.iter().filter(|left| left.kind == kind);
        let left = left.map(|left| left.attempt.saturating_add(1)).max();
        let after = self.seen_attempt + u32::from(self.taken.contains_key(&kind));
        left.unwrap_or(0).max(after)
    }

    fn may_release(&self, kind: Kind, document: Hash) -> std::result::Result<(), String> {
        let made = self.unreleased().map(|(kind, made)| (kind, made.hash));
        if made != Some((kind, document)) {
            return Err(format!("{kind} {document} is released, but was not made"));
        }
        if kind == Kind::Registration && self.nodes.stage() != Stage::Active {
            return Err("a registration of an activation that was taken back".into());
        }
        let unconfirmed = Unconfirmed::of(self, document);
        let hash = subject_hash(&unconfirmed).map_err(|error| error.to_string())?;
        let deviation = self.approvals.get(&Gate::Deviation);
        let approved = deviation.is_some_and(|deviation| deviation.subject == hash);
        match kind == Kind::Package && !unconfirmed.custodians.is_empty() && !approved {
            true => Err("a package is released before every custodian has confirmed".into()),
            false => Ok(()),
        }
    }
}

fn same_order(given: Option<Order>, recorded: Hash) -> std::result::Result<(), String> {
    let is_recorded = |hash| hash == recorded;
    match given.is_some_and(|given| given.hash().is_ok_and(is_recorded)) {
        true => Ok(()),
        false => Err(format!("an order {recorded} that does not follow from the log")),
    }
}
