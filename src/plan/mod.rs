//! The plan, `ceremony.toml`: the one reviewed file that says who, what, how many, and which rules
//! are waived. A [`Plan`] exists only where every rule of the format holds; its identity is the
//! SHA-256 of its bytes (design, section 6).

mod check;
mod content;
mod fault;
mod people;
mod raw;

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    document::parts::Mechanism,
    encoding::{CkaId, Fixed, Hash, cka_id},
    folder,
    rule::Rule,
};
pub use content::{
    CloudFormat, Deployment, Evidence, Form, IMPORT, KeyPlan, KeyType, Origin, Role, Source, Stage,
    Target, Transfer, Trial, Usage, Way,
};
pub use fault::{Fault, Faults};
pub use people::{Custodian, HsmPlan, NetworkPlan, Party, Person, QuorumPlan, Witness};

/// The greatest size of a plan, in bytes.
pub const MAX_PLAN: u64 = 1 << 20;
/// The file name of the plan in a ceremony folder.
pub const PLAN_FILE: &str = "ceremony.toml";

/// The id of a ceremony, person, node or key: `[a-z0-9][a-z0-9-]{0,39}`, so that it can be a file
/// name and a signer's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(legal)
            && text.chars().all(|c| legal(c) || c == '-');
        if fits {
            Ok(Id(text.to_owned()))
        } else {
            Err("expected 1 to 40 of a-z, 0-9 and -, not beginning with -".into())
        }
    }
}

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether keys that matter are carried. A document of one mode is refused by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Throwaway keys; PIN files and questions on stdin are allowed.
    Rehearsal,
    /// Real keys; every rule holds.
    Production,
}

/// One of the two sides of a ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Owns the keys.
    Tenant,
    /// Runs the service that will use them.
    Hoster,
}

impl Side {
    /// The name as documents, logs and CKA_IDs have it.
    pub fn name(self) -> &'static str {
        match self {
            Side::Tenant => "tenant",
            Side::Hoster => "hoster",
        }
    }

    /// The counterpart.
    pub fn other(self) -> Side {
        match self {
            Side::Tenant => Side::Hoster,
            Side::Hoster => Side::Tenant,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule that the plan waives, and why.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// The rule.
    pub rule: Rule,
    /// The reason, for every record.
    pub reason: String,
}

/// The agreed plan. It can't be made except by [`Plan::parse`].
#[derive(Debug, Clone)]
pub struct Plan {
    bytes: Vec<u8>,
    hash: Hash,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Rehearsal or production.
    pub mode: Mode,
    /// Makes two plans with the same content different.
    pub nonce: Fixed<32>,
    /// The hash of the aborted plan that this one replaces.
    pub supersedes: Option<Hash>,
    /// Who owns the keys.
    pub tenant: Party,
    /// Who will use them.
    pub hoster: Party,
    /// Who watches.
    pub witnesses: Vec<Witness>,
    /// Who holds the shares.
    pub quorum: QuorumPlan,
    /// How keys come to where they are used.
    pub way: Way,
    /// How the keys cross.
    pub transfer: Transfer,
    /// What crosses.
    pub keys: Vec<KeyPlan>,
    /// Where to.
    pub target: Target,
    /// Whether it is tried first.
    pub trial: Trial,
    /// SHA-256 of each program and PKCS#11 module, by file name.
    pub software: Vec<(String, Hash)>,
    /// What becomes of the originals.
    pub source: Source,
    /// What is waived.
    pub waivers: Vec<Waiver>,
}

impl Plan {
    /// Parses and checks a plan.
    ///
    /// # Errors
    /// Every fault with its line and rule.
    pub fn parse(bytes: Vec<u8>) -> std::result::Result<Self, Faults> {
        check::parse(bytes)
    }

    /// Reads a plan from a file.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] where it can't be read, else its first fault's rule with all faults
    /// named.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Plan::parse(folder::read_file(path, MAX_PLAN)?)?)
    }

    /// The bytes as they were signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The plan's identity: SHA-256 of its bytes.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// One side's people.
    pub fn party(&self, side: Side) -> &Party {
        match side {
            Side::Tenant => &self.tenant,
            Side::Hoster => &self.hoster,
        }
    }

    /// Whether the plan waives a rule.
    pub fn waives(&self, rule: Rule) -> bool {
        self.waivers.iter().any(|waiver| waiver.rule == rule)
    }

    /// Whether only a KEK that the tenant's security officer has marked trusted may wrap a target
    /// key (`kek trust`). Composite cannot have it: its ephemeral AES key can't be trusted.
    pub fn trusted_only(&self) -> bool {
        self.single_shot() && !self.waives(Rule::TargetWrapWithTrusted)
    }

    /// Whether the tenant wraps keys for the hoster, each in one call.
    fn single_shot(&self) -> bool {
        self.way == Way::Carried && self.transfer.mechanism == Mechanism::SingleShot
    }

    /// Where each key must prove itself (design, section 4.5): `import`, then `<node>/ready` and
    /// `<node>/active` for each node.
    pub fn places(&self) -> Vec<String> {
        let mut places = vec![IMPORT.to_owned()];
        places.extend(self.node_places(Stage::Ready));
        places.extend(self.node_places(Stage::Active));
        places
    }

    /// The places of one stage, one per node.
    pub fn node_places(&self, stage: Stage) -> Vec<String> {
        self.target.nodes().iter().map(|node| format!("{node}/{}", stage.name())).collect()
    }

    /// The label of a target key at the hoster: the plan's label and 8 hex digits of the plan's
    /// hash, so that next year's ceremony does not collide.
    pub fn hoster_label(&self, label: &str) -> String {
        format!("{label}-{}", &self.hash.to_string()[..8])
    }

    /// The CKA_ID of the KEK at the hoster, in an attempt.
    pub fn kek_id(&self, attempt: u32) -> CkaId {
        cka_id(&self.hash, Side::Hoster.name(), "kek", "", attempt)
    }

    /// The CKA_ID of a target key at the hoster, in an attempt.
    pub fn target_id(&self, label: &str, attempt: u32) -> CkaId {
        cka_id(&self.hash, Side::Hoster.name(), "target", label, attempt)
    }
}
