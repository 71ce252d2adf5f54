//! Who: officers, witnesses and custodians, and nobody in two roles that check each other.

use ssh_key::{Algorithm, EcdsaCurve, PublicKey, public::KeyData};
use toml::Spanned;

use crate::{
    escape::quote,
    plan::{
        Custodian, Party, Person, QuorumPlan, Witness,
        check::Checker,
        raw::{RawCustodian, RawOfficer, RawParty, RawPlan, RawWitness},
    },
    rule::Rule,
    terms::{Mode, TransferRoute},
};

impl Checker<'_> {
    pub(super) fn party(
        &mut self,
        raw: &Spanned<RawParty>,
        (mode, has_hsm): (Mode, bool),
    ) -> Option<Party> {
        let at = raw.span().start;
        let raw = raw.get_ref();
        let officers: Vec<_> = raw.officers.iter().map(|officer| self.officer(officer)).collect();
        let approvals = usize::from(*raw.approvals.get_ref());
        if approvals < 2 || approvals > officers.len() {
            let found = format!("approvals = {approvals} of {} officers", officers.len());
            self.fault(
                raw.approvals.span().start,
                Rule::PlanApprovals,
                found,
                "at least 2, and no more than there are officers",
            );
        }
        if mode == Mode::Production
            && has_hsm
            && raw.hsm.as_ref().is_none_or(|hsm| hsm.serials.is_empty())
        {
            self.fault(
                at,
                Rule::PlanHsm,
                "no hsm with serials",
                "hsm = { manufacturer, model, serials } in production",
            );
        }
        let officers = officers.into_iter().collect::<Option<_>>()?;
        Some(Party { name: raw.name.clone(), approvals, officers, hsm: raw.hsm.clone() })
    }

    pub(super) fn officer(&mut self, raw: &RawOfficer) -> Option<Person> {
        let id = self.person_id(&raw.id);
        let key = self.ssh_key(&raw.key);
        let (key, openssh) = key?;
        Some(Person { id: id?, name: raw.name.clone(), key, openssh })
    }

    pub(super) fn witness(&mut self, raw: &RawWitness) -> Option<Witness> {
        let id = self.person_id(&raw.id)?;
        let person = match &raw.key {
            None => None,
            Some(key) => {
                let (key, openssh) = self.ssh_key(key)?;
                Some(Person { id: id.clone(), name: raw.name.clone(), key, openssh })
            }
        };
        Some(Witness { id, name: raw.name.clone(), person })
    }

    pub(super) fn ssh_key(&mut self, text: &Spanned<String>) -> Option<(KeyData, String)> {
        let at = text.span().start;
        let expected = "an OpenSSH public key: ed25519, ecdsa P-256 or P-384, or an sk- form";
        let key = match PublicKey::from_openssh(text.get_ref()) {
            Ok(key) if allowed(&key.algorithm()) => key,
            _ => {
                self.fault(at, Rule::PlanField, format!("key {}", quote(text.get_ref())), expected);
                return None;
            }
        };
        let openssh = PublicKey::new(key.key_data().clone(), "").to_openssh().ok()?;
        let openssh = openssh.trim_end().to_owned();
        self.once("SSH key", &openssh, at);
        Some((key.key_data().clone(), openssh))
    }

    pub(super) fn quorum(&mut self, raw: &RawPlan, hoster: Option<&Party>) -> Option<QuorumPlan> {
        let quorum = match (&raw.quorum, raw.way()) {
            (Some(quorum), TransferRoute::Carried) => quorum.get_ref(),
            (None, TransferRoute::Born | TransferRoute::Brought | TransferRoute::Cloud) => {
                return Some(QuorumPlan::default());
            }
            (None, TransferRoute::Carried) => {
                let expected = "[quorum] with threshold and custodians";
                self.whole(Rule::PlanField, "no quorum", expected);
                return None;
            }
            (Some(quorum), TransferRoute::Born | TransferRoute::Brought | TransferRoute::Cloud) => {
                let expected = "none: nothing is sealed, so nobody holds a share";
                self.fault(quorum.span().start, Rule::PlanField, "a quorum", expected);
                return None;
            }
        };
        let threshold = *quorum.threshold.get_ref();
        let count = quorum.custodians.len();
        if threshold < 2 || usize::from(threshold) > count || count > 16 {
            let found = format!("threshold {threshold} of {count} custodians");
            self.fault(
                quorum.threshold.span().start,
                Rule::PlanQuorum,
                found,
                "2 <= threshold <= custodians <= 16",
            );
        }
        let custodians: Vec<_> = quorum
            .custodians
            .iter()
            .map(|custodian| self.custodian(custodian, raw, hoster))
            .collect();
        Some(QuorumPlan { threshold, custodians: custodians.into_iter().collect::<Option<_>>()? })
    }

    /// A custodian may be an officer of the tenant, under the same id, but never one of the hoster.
    pub(super) fn custodian(
        &mut self,
        raw: &RawCustodian,
        plan: &RawPlan,
        hoster: Option<&Party>,
    ) -> Option<Custodian> {
        let (id, at) = (raw.id.get_ref(), raw.id.span().start);
        self.once("custodian", id, at);
        let hoster_officer = hoster
            .is_some_and(|party| party.officers.iter().any(|officer| officer.id.as_str() == id));
        if hoster_officer || plan.witnesses.iter().any(|witness| witness.id.get_ref() == id) {
            self.fault(
                at,
                Rule::PlanTwoRoles,
                format!("custodian {} is an officer of the hoster or a witness", quote(id)),
                "a custodian who is neither",
            );
        }
        if raw.recipients.get_ref().is_empty() {
            self.fault(
                raw.recipients.span().start,
                Rule::PlanField,
                "no recipient",
                "at least one age recipient",
            );
        }
        for recipient in raw.recipients.get_ref() {
            self.once("recipient", recipient.get_ref(), recipient.span().start);
            if !is_age_recipient(recipient.get_ref()) {
                let found = format!("recipient {}", quote(recipient.get_ref()));
                self.fault(
                    recipient.span().start,
                    Rule::PlanField,
                    found,
                    "an age recipient, age1… with an intact checksum",
                );
            }
        }
        let recipients =
            raw.recipients.get_ref().iter().map(|recipient| recipient.get_ref().clone()).collect();
        Some(Custodian { id: self.id(&raw.id)?, name: raw.name.clone(), recipients })
    }
}

fn allowed(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384 }
    )
}

/// Bech32 with an intact checksum and age's prefix, or a plugin's, in lower case. What a plugin's
/// own bytes mean only the plugin can tell.
fn is_age_recipient(text: &str) -> bool {
    let Ok((prefix, data)) = bech32::decode(text) else {
        return false;
    };
    match text.chars().any(char::is_uppercase) {
        true => false,
        false => {
            (prefix.as_str() == "age" && data.len() == 32) || prefix.as_str().starts_with("age1")
        }
    }
}
