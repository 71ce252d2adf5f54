//! Who: officers, witnesses and custodians, and nobody in two roles that check each other.

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, PublicKey};
use toml::Spanned;

use crate::plan::check::{Checker, WHOLE, all};
use crate::plan::raw::{RawCustodian, RawParty, RawPerson, RawPlan};
use crate::plan::{Custodian, Party, Person, QuorumPlan, Witness};
use crate::{Rule, TransferRoute, quote};

impl Checker<'_> {
    pub(super) fn party(&mut self, party: &Spanned<RawParty>, needs_hsm: bool) -> Option<Party> {
        let raw = party.get_ref();
        let officers = all(&raw.officers, |officer| self.officer(officer));
        let (approvals, count) = (usize::from(*raw.approvals.get_ref()), raw.officers.len());
        if !(2..=count).contains(&approvals) {
            let found = format!("approvals = {approvals} of {count} officers");
            let expected = "at least 2, and no more than there are officers";
            self.fault(&raw.approvals, Rule::PlanApprovals, found, expected);
        }
        if needs_hsm && raw.hsm.as_ref().is_none_or(|hsm| hsm.serials.is_empty()) {
            let expected = "hsm = { manufacturer, model, serials } in production";
            self.fault(party, Rule::PlanHsm, "no hsm with serials", expected);
        }
        Some(Party { name: raw.name.clone(), approvals, officers: officers?, hsm: raw.hsm.clone() })
    }

    fn officer(&mut self, raw: &RawPerson<Spanned<String>>) -> Option<Person> {
        let id = self.person_id(&raw.id);
        let (key, openssh) = self.ssh_key(&raw.key)?;
        Some(Person { id: id?, name: raw.name.clone(), key, openssh })
    }

    pub(super) fn witness(&mut self, raw: &RawPerson<Option<Spanned<String>>>) -> Option<Witness> {
        let (id, name) = (self.person_id(&raw.id)?, raw.name.clone());
        let person = match &raw.key {
            None => None,
            Some(key) => {
                let (key, openssh) = self.ssh_key(key)?;
                Some(Person { id: id.clone(), name: name.clone(), key, openssh })
            }
        };
        Some(Witness { id, name, person })
    }

    fn ssh_key(&mut self, text: &Spanned<String>) -> Option<(KeyData, String)> {
        let key = PublicKey::from_openssh(text.get_ref()).ok();
        let key = key.filter(|key| is_allowed(&key.algorithm())).map(|key| key.key_data().clone());
        let expected = "an OpenSSH public key: ed25519, ecdsa P-256 or P-384, or an sk- form";
        self.field(key.is_some(), text, said("key", text.get_ref()), expected);
        let key = key?;
        let openssh = PublicKey::new(key.clone(), "").to_openssh().ok()?.trim_end().to_owned();
        self.once("SSH key", &openssh, text);
        Some((key, openssh))
    }

    pub(super) fn quorum(&mut self, raw: &RawPlan) -> Option<QuorumPlan> {
        let carried = raw.way() == TransferRoute::Carried;
        let quorum = match &raw.quorum {
            None => {
                let expected = "[quorum] with threshold and custodians";
                self.field(!carried, WHOLE, "no quorum", expected);
                return (!carried).then(QuorumPlan::default);
            }
            Some(quorum) if !carried => {
                let expected = "none: nothing is sealed, so nobody holds a share";
                self.fault(quorum, Rule::PlanField, "a quorum", expected);
                return None;
            }
            Some(quorum) => quorum.get_ref(),
        };
        let (threshold, count) = (*quorum.threshold.get_ref(), quorum.custodians.len());
        if !(2..=count).contains(&usize::from(threshold)) || count > 16 {
            let found = format!("threshold {threshold} of {count} custodians");
            let expected = "2 <= threshold <= custodians <= 16";
            self.fault(&quorum.threshold, Rule::PlanQuorum, found, expected);
        }
        let custodians = all(&quorum.custodians, |custodian| self.custodian(custodian, raw))?;
        Some(QuorumPlan { threshold, custodians })
    }

    /// A custodian may be an officer of the tenant, under the same id, but never one of the hoster.
    fn custodian(&mut self, raw: &RawCustodian, plan: &RawPlan) -> Option<Custodian> {
        let (id, recipients) = (raw.id.get_ref(), raw.recipients.get_ref());
        self.once("custodian", id, &raw.id);
        let officers = plan.hoster.get_ref().officers.iter().map(|officer| &officer.id);
        let mut others = officers.chain(plan.witnesses.iter().map(|witness| &witness.id));
        if others.any(|other| other.get_ref() == id) {
            let found = format!("custodian {} is an officer of the hoster or a witness", quote(id));
            self.fault(&raw.id, Rule::PlanTwoRoles, found, "a custodian who is neither");
        }
        let expected = "at least one age recipient";
        self.field(!recipients.is_empty(), &raw.recipients, "no recipient", expected);
        for recipient in recipients {
            self.once("recipient", recipient.get_ref(), recipient);
            let found = said("recipient", recipient.get_ref());
            let expected = "an age recipient, age1… with an intact checksum";
            self.field(is_age_recipient(recipient.get_ref()), recipient, found, expected);
        }
        let recipients = recipients.iter().map(|recipient| recipient.get_ref().clone()).collect();
        Some(Custodian { id: self.id("id", &raw.id)?, name: raw.name.clone(), recipients })
    }
}

/// A person's key that is none of its kind, as what it is; a secret is not shown.
fn said(what: &str, text: &str) -> String {
    let secrets = [
        ("AGE-SECRET-KEY-", "an age identity"),
        ("AGE-PLUGIN-", "an age identity"),
        ("PRIVATE KEY", "a private SSH key"),
    ];
    let upper = text.to_ascii_uppercase();
    if let Some((_, kind)) = secrets.iter().find(|(mark, _)| upper.contains(mark)) {
        return format!("{what}: {kind}, which is secret and now is no longer: make a new one");
    }
    let begins = |all: &[&str]| all.iter().any(|begin| text.trim().starts_with(begin));
    let why = match what {
        "key" if begins(&["age1"]) => ", an age recipient, as custodians have",
        "recipient" if begins(&["ssh-", "ecdsa-", "sk-"]) => ", an SSH key, as officers have",
        _ if text.trim() != text => ", with white space around it",
        _ => "",
    };
    format!("{what} {}{why}", quote(text))
}

fn is_allowed(algorithm: &Algorithm) -> bool {
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
    let decoded = bech32::decode(text).ok().filter(|_| !text.chars().any(char::is_uppercase));
    decoded.is_some_and(|(prefix, data)| {
        (prefix.as_str() == "age" && data.len() == 32) || prefix.as_str().starts_with("age1")
    })
}
