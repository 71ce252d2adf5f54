//! The plan, `ceremony.toml`: the one reviewed file that says who, what, how many, and which rules
//! are waived. A [`Plan`] exists only where every rule of the format holds; its identity is the
//! SHA-256 of its bytes (design, section 6).

mod check;
mod content;
mod fault;
mod people;
mod raw;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

use crate::encoding::cka_id;
use crate::{
    CkaId, Fixed, Hash, Id, Mechanism, Mode, Originals, Program, Result, Rule, Side, Stage,
    TransferRoute, Trial, folder,
};
pub use content::{IMPORT, KeyPlan, ServicePlan, Transfer};
pub use fault::{Fault, Faults};
pub use people::{Custodian, HsmPlan, NetworkPlan, Party, Person, QuorumPlan, Witness};
pub use written::canonical;

/// The greatest size of a plan, in bytes.
pub const MAX_PLAN: u64 = 1 << 20;
/// The file name of the plan in a ceremony folder.
pub const PLAN_FILE: &str = "ceremony.toml";

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
    pub way: TransferRoute,
    /// How the keys cross.
    pub transfer: Transfer,
    /// What crosses.
    pub keys: Vec<KeyPlan>,
    /// Where to.
    pub target: ServicePlan,
    /// Whether it is tried first.
    pub trial: Trial,
    /// SHA-256 of each program and PKCS#11 module, by file name.
    pub software: Vec<(String, Hash)>,
    /// What becomes of the originals.
    pub source: Originals,
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

    /// Reads a plan that nobody has signed yet, or no ceremony has begun with.
    ///
    /// # Errors
    /// As [`Plan::read`] and [`canonical`].
    pub fn read_new(path: &Path) -> Result<Self> {
        let plan = Plan::read(path)?;
        canonical(&String::from_utf8_lossy(plan.bytes()))?;
        Ok(plan)
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

    /// What production will refuse, by what the plan alone says: the rule, and what it will find.
    /// Nothing of a rehearsal.
    pub fn refused_in_production(&self) -> Vec<(Rule, String)> {
        let rule = Rule::PreflightSoftware;
        if self.mode != Mode::Production || self.waives(rule) {
            return Vec::new();
        }
        let programs = match self.way {
            TransferRoute::Cloud => &[Program::Tenant][..],
            _ => &[Program::Tenant, Program::Hoster],
        };
        let named = |name: &str| self.software.iter().any(|(file, _)| file == name);
        let lacking = programs.iter().map(|program| program.name()).filter(|name| !named(name));
        let mut refused: Vec<_> = lacking
            .map(|name| (rule, format!("[software] names no {name} with its SHA-256")))
            .collect();
        let ours = |name: &str| Program::ALL.iter().any(|program| program.name() == name);
        if self.software.iter().all(|(file, _)| ours(file)) {
            refused.push((rule, "[software] names no PKCS#11 module with its SHA-256".into()));
        }
        refused
    }

    /// Whether the plan waives a rule.
    pub fn waives(&self, rule: Rule) -> bool {
        self.waivers.iter().any(|waiver| waiver.rule == rule)
    }

    /// The closing of the trial that must have gone before, where one must.
    pub fn trial_before(&self) -> Option<Hash> {
        match self.trial {
            Trial::After(closing) => Some(closing),
            Trial::None | Trial::This => None,
        }
    }

    /// The programs that age runs for the recipients of this plan, each with its custodians; none
    /// for recipients of age itself.
    pub fn plugins(&self) -> BTreeMap<String, Vec<Id>> {
        let mut plugins: BTreeMap<String, Vec<Id>> = BTreeMap::new();
        for custodian in &self.quorum.custodians {
            let names = custodian.recipients.iter().filter_map(|one| people::plugin(one));
            for name in names {
                let custodians = plugins.entry(format!("age-plugin-{name}")).or_default();
                if !custodians.contains(&custodian.id) {
                    custodians.push(custodian.id.clone());
                }
            }
        }
        plugins
    }

    /// Whether only a KEK that the tenant's security officer has marked trusted may wrap a target
    /// key (`kek trust`). Composite cannot have it: its ephemeral AES key can't be trusted.
    pub fn trusted_only(&self) -> bool {
        self.single_shot() && !self.waives(Rule::TargetWrapWithTrusted)
    }

    /// Whether the tenant wraps keys for the hoster, each in one call.
    fn single_shot(&self) -> bool {
        self.way == TransferRoute::Carried && self.transfer.mechanism == Mechanism::SingleShot
    }

    /// Where each key must prove itself (design, section 4.5): `import`, then `<node>/ready` and
    /// `<node>/active` for each node.
    pub fn places(&self) -> Vec<String> {
        let of_nodes = Stage::ALL.into_iter().flat_map(|stage| self.node_places(stage));
        std::iter::once(IMPORT.to_owned()).chain(of_nodes).collect()
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
