//! Who: the people of both sides, the witnesses, and the custodians.

use serde::Deserialize;
use ssh_key::public::KeyData;

use crate::{Id, Plan, Result, Rule, Side, TokenIdentity, escape, list, list_or, quote};

/// A person with an SSH key: an officer, or a witness who signs with one.
#[derive(Debug, Clone)]
pub struct Person {
    /// Stands in file names and as signer.
    pub id: Id,
    /// Only shown.
    pub name: String,
    /// ed25519, ECDSA P-256/P-384 or their FIDO2 `sk-` forms.
    pub key: KeyData,
    /// The key as the allowed-signers file has it: algorithm and base64.
    pub openssh: String,
}

/// A witness; one without a key signs on paper only.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Stands in file names and as signer.
    pub id: Id,
    /// Only shown.
    pub name: String,
    /// The key to sign with, if any.
    pub person: Option<Person>,
}

/// Which HSMs a side may use. Required in production, and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmPlan {
    /// CK_TOKEN_INFO.manufacturerID.
    pub manufacturer: String,
    /// CK_TOKEN_INFO.model.
    pub model: String,
    /// CK_TOKEN_INFO.serialNumber of each HSM that may be used.
    pub serials: Vec<String>,
    /// For a network HSM: the one interface that may be up.
    pub network: Option<NetworkPlan>,
}

impl HsmPlan {
    /// Whether this is one of the HSMs that may be used, by what its module says.
    pub fn names(&self, token: &TokenIdentity) -> bool {
        self.manufacturer == token.manufacturer
            && self.model == token.model
            && self.serials.contains(&token.serial)
    }
}

impl std::fmt::Display for HsmPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, serial {}", self.manufacturer, self.model, self.serials.join(" or "))
    }
}

/// The one network interface that a network HSM needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    /// The interface's name.
    pub interface: String,
    /// The HSM's address.
    pub peer: std::net::IpAddr,
}

/// One side's people and HSM.
#[derive(Debug, Clone)]
pub struct Party {
    /// The organisation's name; only shown.
    pub name: String,
    /// How many officers must sign, at least 2.
    pub approvals: usize,
    /// Who may sign; at least `approvals`.
    pub officers: Vec<Person>,
    /// The HSMs that may be used.
    pub hsm: Option<HsmPlan>,
}

/// A holder of one share.
#[derive(Debug, Clone)]
pub struct Custodian {
    /// Stands in file names.
    pub id: Id,
    /// Only shown.
    pub name: String,
    /// age recipients; the first is the custodian's, further ones a deputy's.
    pub recipients: Vec<String>,
}

impl Custodian {
    /// Whether somebody else may come for them.
    pub fn has_deputy(&self) -> bool {
        self.recipients.len() > 1
    }
}

/// M of N. Keys that are born at the hoster do not travel: then nobody holds a share, and both are
/// zero.
#[derive(Debug, Clone, Default)]
pub struct QuorumPlan {
    /// M, at least 2.
    pub threshold: u8,
    /// The N custodians, at most 16; share x is the x-th custodian's, from 1.
    pub custodians: Vec<Custodian>,
}

impl QuorumPlan {
    /// The custodian with this id.
    pub fn custodian(&self, id: &str) -> Option<&Custodian> {
        self.custodians.iter().find(|one| one.id.as_str() == id)
    }

    /// The custodian with an id that was given.
    ///
    /// # Errors
    /// `SHARE-CUSTODIAN` where the plan has none.
    pub fn require(&self, id: &str) -> Result<&Custodian> {
        self.custodian(id).ok_or_else(|| {
            Rule::ShareCustodian.refuse(
                quote(&escape(id)),
                list(self.custodians.iter().map(|one| &one.id)),
                "give the custodian's id, as the plan has it",
            )
        })
    }
}

impl Plan {
    /// Whether an id is that of somebody of the plan: an officer of either side, a witness or a
    /// custodian.
    pub fn has_person(&self, id: &Id) -> bool {
        self.name(id).is_some()
    }

    fn name(&self, id: &Id) -> Option<&str> {
        let officers = self.tenant.officers.iter().chain(&self.hoster.officers);
        let officers = officers.map(|one| (&one.id, &one.name));
        let witnesses = self.witnesses.iter().map(|one| (&one.id, &one.name));
        let custodians = self.quorum.custodians.iter().map(|one| (&one.id, &one.name));
        let mut people = officers.chain(witnesses).chain(custodians);
        people.find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    /// What people call somebody of the plan: by name, with the id where that is another word.
    pub fn name_of(&self, id: &Id) -> String {
        match self.name(id) {
            Some(name) if name.eq_ignore_ascii_case(id.as_str()) => escape(name),
            Some(name) => format!("{} ({id})", escape(name)),
            None => id.to_string(),
        }
    }

    /// The same of several, with a word for none.
    pub fn names_of<'i>(&self, none: &str, ids: impl IntoIterator<Item = &'i Id>) -> String {
        list_or(none, ids.into_iter().map(|id| self.name_of(id)))
    }

    /// Whether a person signs for these sides, as their officer or as a witness.
    pub fn may_sign(&self, id: &Id, sides: &[Side]) -> bool {
        let witness = self.witnesses.iter().any(|witness| witness.id == *id);
        witness || sides.iter().any(|side| self.party(*side).has_officer(id))
    }
}

impl Party {
    /// Whether somebody is an officer of this side.
    pub fn has_officer(&self, id: &Id) -> bool {
        self.officers.iter().any(|officer| officer.id == *id)
    }
}

/// The name of the plugin that an age recipient `age1NAME1…` needs; none for one of age itself.
pub(super) fn plugin(recipient: &str) -> Option<String> {
    let (prefix, _) = bech32::decode(recipient).ok()?;
    prefix.as_str().strip_prefix("age1").map(str::to_owned)
}
