//! The plan as TOML has it: every field of the format, with the place of each that can be wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Deployment, Evidence, HsmPlan, Mode, Origin, Role, Source};
use crate::{
    document::parts::{Mechanism, OaepHash},
    encoding::{Fixed, Hash},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlan {
    pub format: Spanned<String>,
    pub ceremony: Spanned<String>,
    pub mode: Spanned<Mode>,
    pub nonce: Fixed<32>,
    pub supersedes: Option<Hash>,
    pub tenant: Spanned<RawParty>,
    pub hoster: Spanned<RawParty>,
    #[serde(default)]
    pub witnesses: Vec<RawWitness>,
    pub quorum: RawQuorum,
    #[serde(default)]
    pub transfer: RawTransfer,
    pub keys: Spanned<Vec<RawKey>>,
    pub target: Spanned<RawTarget>,
    #[serde(default)]
    pub software: BTreeMap<String, Hash>,
    #[serde(default)]
    pub after: RawAfter,
    #[serde(default)]
    pub waivers: Vec<RawWaiver>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawParty {
    pub name: String,
    pub approvals: Spanned<u8>,
    pub officers: Vec<RawOfficer>,
    pub hsm: Option<HsmPlan>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOfficer {
    pub id: Spanned<String>,
    pub name: String,
    pub key: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWitness {
    pub id: Spanned<String>,
    pub name: String,
    pub key: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawQuorum {
    pub threshold: Spanned<u8>,
    pub custodians: Vec<RawCustodian>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCustodian {
    pub id: Spanned<String>,
    pub name: String,
    pub recipients: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTransfer {
    pub origin: Origin,
    pub mechanism: Mechanism,
    pub oaep_hash: OaepHash,
    pub kek_bits: Option<Spanned<u32>>,
    pub evidence: Evidence,
    pub roots: Vec<Hash>,
}

impl Default for RawTransfer {
    fn default() -> Self {
        RawTransfer {
            origin: Origin::Tenant,
            mechanism: Mechanism::SingleShot,
            oaep_hash: OaepHash::Sha256,
            kek_bits: None,
            evidence: Evidence::Witnessed,
            roots: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawKey {
    pub label: Spanned<String>,
    pub role: Role,
    #[serde(rename = "type")]
    pub key_type: Spanned<String>,
    pub bits: Spanned<u32>,
    pub usage: Option<Spanned<Vec<String>>>,
    pub subject: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum RawTarget {
    Local {
        nodes: Vec<String>,
    },
    Hgs {
        nodes: Vec<String>,
        ksp: String,
        deployment: Deployment,
        #[serde(default)]
        soak_hours: u32,
        trial: Option<Hash>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAfter {
    pub source: Source,
}

impl Default for RawAfter {
    fn default() -> Self {
        RawAfter {
            source: Source::Keep,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWaiver {
    pub rule: Spanned<String>,
    pub reason: Spanned<String>,
}
