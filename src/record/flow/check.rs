//! What an entry may say where a side stands: intents before results, approvals before gated acts,
//! newer attempts only.

use crate::flow::room::MAX_WRONG;
use crate::flow::state::Opened;
use crate::gate::{Nodes, Primary, Rollback, Subject, Unconfirmed, Unpassed, subject_hash};
use crate::log::ChangedShare;
use crate::service::Order;
use crate::{Entry, Event, Gate, Hash, Id, Kind, Phase, Side, Stage, State, Step};

/// Whether an entry may be; else what it is, for people.
pub(super) type Allowed = std::result::Result<(), String>;

/// An entry that may be only where this holds.
pub(super) fn allow(holds: bool, otherwise: impl Into<String>) -> Allowed {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

impl State {
    /// The attempt that a step begun now belongs to: an export that was begun and not finished has
    /// dealt shares of a secret nobody may have kept, so the next one is another attempt.
    pub fn attempt_of(&self, step: Step) -> u32 {
        let cut_off = self.has_begun(step) && !self.made.contains_key(&Kind::Package);
        self.attempt + u32::from(step == Step::Export && cut_off)
    }

    /// Whether an entry says what may be said here, its step's place in the table apart.
    pub(super) fn check(&self, entry: &Entry) -> Allowed {
        let event = &entry.event;
        let open = self.phase != Phase::Closed || self.after_close(event);
        allow(open, "an entry after close")?;
        if let Some(step) = event.step().filter(|step| step.has_intent()) {
            allow(self.is_begun(step), format!("a result of {step} without its intent"))?;
        }
        let kek = self.kek.as_ref();
        match event {
            Event::Intent { step, attempt } => {
                self.require(*step).map_err(|error| error.to_string())?;
                let found = format!("attempt {attempt} after {}", self.attempt);
                allow(*attempt == self.attempt_of(*step), found)?;
                self.approved(*step)
            }
            Event::Approval { gate, subject, .. } => {
                let before = self.approvals.get(gate).map(|signed| signed.subject);
                allow(before != Some(*subject), format!("{gate} approved twice"))
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
                let ready = self.nodes.missing(Stage::Ready).is_empty();
                allow(ready, "primary before every node was ready")?;
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
            Event::Registration { .. } => {
                let active = self.nodes.missing(Stage::Active).is_empty();
                allow(active, "a registration before every node was active")
            }
            Event::Restart { attempt, .. } => {
                let found = format!("attempt {attempt} after {}", self.attempt);
                allow(*attempt == self.attempt + 1, found)
            }
            Event::Quorum { custodians, spent, deputies, changed } => {
                self.may_open((custodians, spent), (deputies, changed))
            }
            Event::KekTrust { kek: second, .. } => {
                let same = !self.trusted || kek.map(|kek| kek.id) == Some(second.id);
                allow(same, "a second KEK that is trusted, beside the first")
            }
            Event::KekUntrust { kek: gone } => {
                let there = self.trusted && kek == Some(gone);
                allow(there, "the end of a trusted KEK that is not there")
            }
            Event::Note { remark } => {
                let found = format!("more than {MAX_WRONG} bags that came back wrong");
                allow(!self.room.is_full(remark), found)?;
                let next = !self.room.misnumbers(remark);
                allow(next, "a copy of a page whose number is not the next")
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
                let first = !self.made.contains_key(&Kind::Closing);
                let found = "the end of a KEK without acceptance or abort, or a second one";
                allow(fits && first, found)
            }
            Event::ImportPlain(done) => {
                let same = kek.map(|kek| kek.fingerprint) == Some(done.fingerprint);
                allow(same, "keys that were wrapped for another KEK")
            }
            Event::KeysCreate { document, .. } => {
                let own = document.is_some() == (self.side == Side::Hoster);
                allow(own, "keys of the other side's origin")
            }
            Event::Close { count, .. } => {
                allow(*count == entry.head.seq, format!("a close that counts {count} entries"))?;
                let found =
                    "a close before the KEK, or the keys of an aborted ceremony, are destroyed";
                allow(!self.kek_left() && !self.born_left(), found)
            }
            _ => Ok(()),
        }
    }

    /// Whether this step was begun, and nobody has signed for another act, or mended the log, since.
    fn is_begun(&self, step: Step) -> bool {
        self.pending == Some(step) && self.intent.is_some()
    }

    /// Custodians open the seal one after the other: each entry names those before, and one more.
    /// (Programs before this one named all at once.)
    fn may_open(
        &self,
        (custodians, spent): (&[Id], &[Id]),
        (deputies, changed): (&[Id], &[ChangedShare]),
    ) -> Allowed {
        allow(self.is_begun(Step::Import), "a quorum without the intent to import")?;
        let begun = self.quorum.as_ref().filter(|quorum| quorum.open);
        let none = Opened::default();
        let before = begun.unwrap_or(&none);
        // Whoever came before has spent an identity then, or not at all.
        let fits = custodians.strip_prefix(&before.custodians[..]).is_some_and(|come| {
            let new = |id: &Id| come.contains(id);
            let grows = |now: &[Id], before: &[Id]| {
                now.strip_prefix(before).is_some_and(|more| more.iter().all(new))
            };
            let changes = changed.strip_prefix(&before.changed[..]);
            (come.len() == 1 || (begun.is_none() && !come.is_empty()))
                && grows(spent, &before.spent)
                && grows(deputies, &before.deputies)
                && changes.is_some_and(|more| more.iter().all(|one| new(&one.custodian)))
        });
        allow(fits, "a quorum that does not name those before, and one more")
    }

    /// Officers have signed for exactly this.
    fn signed_for<S: Subject>(&self, subject: &S) -> std::result::Result<Hash, String> {
        let approved = self.approvals.get(&S::GATE).map(|approval| approval.subject);
        let subject = subject_hash(subject).map_err(|error| error.to_string())?;
        allow(approved == Some(subject), format!("{} of what nobody signed for", S::GATE))?;
        Ok(subject)
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
    fn approved(&self, step: Step) -> Allowed {
        let approved = step.gate().is_none_or(|gate| self.approvals.contains_key(&gate));
        allow(approved, format!("{step} without its approval"))
    }

    /// A document that replaces one is of a later attempt.
    fn newer(&self, kind: Option<Kind>, attempt: u32) -> Allowed {
        let least = kind.map_or(self.seen_attempt, |kind| self.least_attempt(kind));
        allow(attempt >= least, format!("attempt {attempt} after {}", self.seen_attempt))
    }

    /// The least attempt that a document of the other side may have: one that comes after another
    /// of its kind, taken or given up since, is of a later attempt.
    pub fn least_attempt(&self, kind: Kind) -> u32 {
        let left = self.abandoned.iter().filter(|left| left.kind == kind);
        let left = left.map(|left| left.attempt.saturating_add(1)).max();
        let after = self.seen_attempt + u32::from(self.taken.contains_key(&kind));
        left.unwrap_or(0).max(after)
    }

    fn may_release(&self, kind: Kind, document: Hash) -> Allowed {
        let made = self.unreleased().map(|(kind, made)| (kind, made.hash));
        let found = format!("{kind} {document} is released, but was not made");
        allow(made == Some((kind, document)), found)?;
        let stands = kind != Kind::Registration || self.nodes.stage() == Stage::Active;
        allow(stands, "a registration of an activation that was taken back")?;
        let unconfirmed = Unconfirmed::of(self, document);
        let hash = subject_hash(&unconfirmed).map_err(|error| error.to_string())?;
        let deviation = self.approvals.get(&Gate::Deviation);
        let approved = deviation.is_some_and(|deviation| deviation.subject == hash);
        let confirmed = kind != Kind::Package || unconfirmed.custodians.is_empty() || approved;
        allow(confirmed, "a package is released before every custodian has confirmed")
    }
}

fn same_order(given: Option<Order>, recorded: Hash) -> Allowed {
    let same = given.is_some_and(|given| given.hash().is_ok_and(|hash| hash == recorded));
    allow(same, format!("an order {recorded} that does not follow from the log"))
}
