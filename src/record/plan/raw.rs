//! The plan as TOML has it: every field of the format, with the place of each that can be wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::named;
use crate::plan::HsmPlan;
use crate::{
    AttestationLevel, CloudFormat, Deployment, Fixed, Form, Hash, Mechanism, Mode, OaepHash,
    Origin, Originals, Role, TransferRoute,
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
    pub witnesses: Vec<RawPerson<Option<Spanned<String>>>>,
    pub quorum: Option<Spanned<RawQuorum>>,
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
    pub officers: Vec<RawPerson<Spanned<String>>>,
    pub hsm: Option<HsmPlan>,
}

/// An officer with a key, or a witness, who may have one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPerson<Key> {
    pub id: Spanned<String>,
    pub name: String,
    pub key: Key,
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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTransfer {
    pub origin: Origin,
    pub format: Form,
    pub mechanism: Mechanism,
    pub oaep_hash: OaepHash,
    pub kek_bits: Option<Spanned<u32>>,
    pub evidence: AttestationLevel,
    pub roots: Vec<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawKey {
    pub label: Spanned<String>,
    pub role: Spanned<Role>,
    #[serde(rename = "type")]
    pub key_type: Spanned<String>,
    pub bits: Spanned<u32>,
    pub usage: Option<Spanned<Vec<String>>>,
    pub subject: Spanned<String>,
    pub spki: Option<Spanned<Hash>>,
}

/// The fields of every kind of target side by side: a tagged enum would lose their places.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTarget {
    pub kind: TargetKind,
    pub nodes: Option<Spanned<Vec<Spanned<String>>>>,
    pub ksp: Option<Spanned<String>>,
    pub deployment: Option<Spanned<Deployment>>,
    pub soak_hours: Option<Spanned<u32>>,
    /// `true`, or a hash.
    pub trial: Option<Spanned<toml::Value>>,
}

named! {
    pub enum TargetKind {
        Local = "local",
        Hgs = "hgs",
        AzureByok = "azure-byok",
        AwsKms = "aws-kms",
        GcpKms = "gcp-kms",
    }
}

impl TargetKind {
    /// The cloud service, if it is one.
    pub fn cloud(self) -> Option<CloudFormat> {
        match self {
            TargetKind::Local | TargetKind::Hgs => None,
            TargetKind::AzureByok => Some(CloudFormat::AzureByok),
            TargetKind::AwsKms => Some(CloudFormat::AwsKms),
            TargetKind::GcpKms => Some(CloudFormat::GcpKms),
        }
    }
}

impl RawPlan {
    /// How keys come to where they are used.
    pub fn way(&self) -> TransferRoute {
        let cloud = self.target.get_ref().kind.cloud();
        match (self.transfer.origin, self.transfer.format, cloud) {
            (Origin::Hoster, ..) => TransferRoute::Born,
            (Origin::Tenant, _, Some(_)) => TransferRoute::Cloud,
            (Origin::Tenant, Form::Pkcs11, None) => TransferRoute::Brought,
            (Origin::Tenant, Form::Package, None) => TransferRoute::Carried,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAfter {
    pub source: Originals,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWaiver {
    pub rule: Spanned<String>,
    pub reason: Spanned<String>,
}
