//! What a replayed state answers to those who ask.

use crate::flow::Made;
use crate::log::KekRecord;
use crate::{
    Error, Event, Hash, Head, Id, Kind, PackageId, Phase, Result, Rule, Side, Stage, State, Step,
    TransferRoute,
};

impl State {
    /// Whether a step may be taken on the service now, whatever the ceremony's phase.
    pub(super) fn serves(&self, step: Step) -> bool {
        let nodes = &self.nodes;
        let there =
            nodes.brief.is_some() && self.aborted.is_none_or(|_| self.has_begun(Step::Primary));
        there
            && match step {
                Step::Rollback => nodes.stage() == Stage::Active && self.phase != Phase::Activated,
                _ => true,
            }
    }

    /// The KEK that was made.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn kek_made(&self) -> Result<KekRecord> {
        self.kek.clone().ok_or_else(|| not_there("no KEK in the log", "an entry kek-create"))
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the KEK in the offer that was taken.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn offered_kek(&self) -> Result<Hash> {
        self.offered.ok_or_else(|| not_there("no offer in the log", "an entry offer-check"))
    }

    /// The identity of the export or challenge that was made or taken.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn package_id(&self) -> Result<PackageId> {
        let none = || not_there("no package in the log", "an entry that names its identity");
        self.package_id.ok_or_else(none)
    }

    /// The intent of the step that was begun last.
    ///
    /// # Errors
    /// `LOG-EVENT` where none was.
    pub fn intent(&self) -> Result<Head> {
        self.intent.ok_or_else(|| not_there("no intent in the log", "an entry intent"))
    }

    /// The entry that ended the ceremony without its aim.
    ///
    /// # Errors
    /// `LOG-EVENT` where there is none.
    pub fn abort_entry(&self) -> Result<Head> {
        self.aborted.ok_or_else(|| not_there("no abort in the log", "an entry abort"))
    }

    /// Whether a KEK was made and not destroyed, as far as the log says.
    pub fn kek_left(&self) -> bool {
        self.side == Side::Hoster && self.kek.is_some() && !self.made.contains_key(&Kind::Closing)
    }

    /// Whether keys that were born here must go after an abort, as far as the log says: not those
    /// that may be primary.
    pub fn born_left(&self) -> bool {
        let born = self.side == Side::Hoster && self.way == TransferRoute::Born;
        let may_go = self.aborted.is_some() && !self.has_begun(Step::Primary);
        born && may_go && !self.keys.is_empty() && !self.made.contains_key(&Kind::Closing)
    }

    /// Whether the tenant's HSM trusts the KEK of the offer that was taken.
    pub fn trusts_offer(&self) -> bool {
        let trusted = self.kek.as_ref().filter(|_| self.trusted);
        trusted.map(|kek| kek.fingerprint) == self.offered
    }

    /// Whether a trusted KEK has outlived the export that it served, as far as the log says.
    pub fn trusted_left(&self) -> bool {
        self.trusted && self.made.contains_key(&Kind::Package)
    }

    /// Whether a step was begun in this attempt: what it makes may be there, and not in the log. No
    /// attempt ends after `primary`.
    pub fn has_begun(&self, step: Step) -> bool {
        self.begun.contains_key(&step)
    }

    /// Whether the step of this event made every key, or found every key, as far as this side's log
    /// determines it: not where a run that was cut off may have made some. (What people saw of that run
    /// may be lost with the machine, so who came then determines nothing.)
    pub fn made_all(&self, event: &Event) -> Option<bool> {
        if self.side == Side::Tenant {
            return None;
        }
        let times = event.step().and_then(|step| self.begun.get(&step));
        let opened = self.quorum.as_ref().is_some_and(|one| one.open);
        match (times, event) {
            (None | Some(1), _) => Some(true),
            (_, Event::Import { .. }) if !opened => Some(false),
            _ => None,
        }
    }

    /// The custodians who were dealt a share and have not confirmed it.
    pub fn unconfirmed(&self) -> impl Iterator<Item = &Id> {
        let dealt = self.shares.iter().map(|share| &share.custodian);
        dealt.filter(|id| !self.confirmed.contains(*id))
    }

    /// The document that waits for its officers' signatures.
    pub fn unreleased(&self) -> Option<(Kind, Made)> {
        self.made.iter().find(|(_, made)| !made.released).map(|(kind, made)| (*kind, *made))
    }

    /// The hash of a document that this side has taken or made.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn document(&self, kind: Kind) -> Result<Hash> {
        let made = self.made.get(&kind).map(|made| made.hash);
        self.taken.get(&kind).copied().or(made).ok_or_else(|| missing(kind))
    }

    /// A document that this side has made.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn made(&self, kind: Kind) -> Result<Made> {
        self.made.get(&kind).copied().ok_or_else(|| missing(kind))
    }
}

fn missing(kind: Kind) -> Error {
    not_there(&format!("no {kind} in the log"), &format!("an entry that names the {kind}"))
}

/// The error of a log that has not come to what was asked of it.
pub(super) fn not_there(found: &str, expected: &str) -> Error {
    Rule::LogEvent.refuse(found, expected, "the status of the ceremony says what comes next")
}
