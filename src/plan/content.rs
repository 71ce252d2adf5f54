//! What crosses, how, where to, and what becomes of the originals.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Id;
use crate::{
    document::parts::{Mechanism, OaepHash},
    encoding::Hash,
};

/// In which HSM the keys are born.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The tenant's.
    Tenant,
    /// The hoster's; nothing secret travels.
    Hoster,
}

/// In which form keys of the tenant's reach the hoster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Keyferry's package, sealed.
    Package,
    /// A plain wrapped key that another tool has made (CKM_RSA_AES_KEY_WRAP; PKCS#11 v3.1, 6.1.27).
    Pkcs11,
}

/// How keys come to where they are used: which documents and steps a ceremony has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Born in the tenant's HSM, wrapped, sealed, and carried to the hoster's.
    #[default]
    Carried,
    /// Born in the hoster's HSM.
    Born,
    /// Born in the tenant's HSM, wrapped by another tool, and brought to the hoster's.
    Brought,
    /// Born in the tenant's HSM, and wrapped for a cloud service, which imports them itself.
    Cloud,
}

impl Way {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Way::Carried => "carried",
            Way::Born => "born",
            Way::Brought => "brought",
            Way::Cloud => "cloud",
        }
    }

    /// Whether it is the usual one, which logs do not name.
    pub fn is_usual(&self) -> bool {
        *self == Way::default()
    }

    /// Whether the tenant takes the hoster's word on which keys there are, and asks for proofs:
    /// then its own HSM takes no part.
    pub fn is_challenged(self) -> bool {
        matches!(self, Way::Born | Way::Brought)
    }
}

/// A level of HSM attestation, the least first: what a plan asks for, and what was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// People watched.
    #[default]
    Witnessed,
    /// The vendor attests where the key was made.
    Origin,
    /// The vendor attests where it was made and what it may do.
    OriginAndUsage,
}

impl Evidence {
    /// The level in words.
    pub fn said(self) -> &'static str {
        match self {
            Evidence::Witnessed => "witnessed only",
            Evidence::Origin => "origin attested",
            Evidence::OriginAndUsage => "origin and usage attested",
        }
    }
}

/// How keys cross.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// How they are wrapped.
    pub mechanism: Mechanism,
    /// The OAEP hash of every wrap and challenge.
    pub oaep_hash: OaepHash,
    /// The KEK's modulus, in bits: 3072 or 4096.
    pub kek_bits: u32,
    /// The least attestation.
    pub evidence: Evidence,
    /// SHA-256 of pinned attestation roots.
    pub roots: Vec<Hash>,
}

/// What a target key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs; proves itself by a signature.
    Signing,
    /// Decrypts; proves itself by an answer to a challenge.
    Encryption,
}

/// The kind and size of a target key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// RSA with a modulus of 2048, 3072 or 4096 bits and e = 65537.
    Rsa(u32),
    /// P-256 or P-384, by its bits.
    Ec(u32),
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyType::Rsa(bits) => write!(f, "RSA-{bits}"),
            KeyType::Ec(bits) => write!(f, "P-{bits}"),
        }
    }
}

/// What the hoster's copy of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CKA_SIGN.
    pub sign: bool,
    /// CKA_DECRYPT.
    pub decrypt: bool,
}

/// A key that travels.
#[derive(Debug, Clone)]
pub struct KeyPlan {
    /// Its name, in file names and as CKA_LABEL at the tenant.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// Its kind and size.
    pub key_type: KeyType,
    /// What the hoster's copy may do.
    pub usage: Usage,
    /// The subject of its certificate (RFC 4514).
    pub subject: String,
    /// SHA-256 of its SubjectPublicKeyInfo, where another tool brings it.
    pub spki: Option<Hash>,
}

/// The service that will use the keys.
#[derive(Debug, Clone)]
pub enum Target {
    /// Built in: a registry of key sets with one primary.
    Local {
        /// The hosts that use the keys.
        nodes: Vec<Id>,
    },
    /// Windows Host Guardian Service.
    Hgs {
        /// The nodes of the cluster.
        nodes: Vec<Id>,
        /// The CNG key storage provider of the HSM.
        ksp: String,
        /// New cluster, added keys, or a rotation.
        deployment: Deployment,
        /// Hours between `primary` and the evidence that `accept` takes.
        soak_hours: u32,
    },
    /// A cloud service, which imports wrapped keys itself: the hoster's side has no steps.
    Cloud(CloudFormat),
}

/// The form in which a cloud service takes wrapped keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloudFormat {
    /// Azure Key Vault's `.byok`.
    AzureByok,
    /// AWS KMS, RSA_AES_KEY_WRAP_SHA_256 or _SHA_1.
    AwsKms,
    /// Google Cloud KMS, RSA_OAEP_…_AES_256.
    GcpKms,
}

impl CloudFormat {
    /// Every one of them.
    pub const ALL: [CloudFormat; 3] =
        [CloudFormat::AzureByok, CloudFormat::AwsKms, CloudFormat::GcpKms];

    /// The name in plans, logs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CloudFormat::AzureByok => "azure-byok",
            CloudFormat::AwsKms => "aws-kms",
            CloudFormat::GcpKms => "gcp-kms",
        }
    }
}

/// A rehearsal on the real HSMs and nodes with throwaway keys, which stops before activation and
/// removes what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// None is asked for.
    None,
    /// This ceremony is one; a rehearsal only.
    This,
    /// One must have gone before: SHA-256 of its closing; production only.
    After(Hash),
}

/// What an HGS cluster has when the keys come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deployment {
    /// Nothing yet.
    New,
    /// Other keys, which stay primary elsewhere.
    Added,
    /// Former primaries.
    Rotation,
}

impl Target {
    /// The name a plan and a registration use.
    pub fn kind(&self) -> &'static str {
        match self {
            Target::Local { .. } => "local",
            Target::Hgs { .. } => "hgs",
            Target::Cloud(format) => format.name(),
        }
    }

    /// Hours between activation and the evidence that `accept` takes.
    pub fn soak_hours(&self) -> u32 {
        match self {
            Target::Local { .. } | Target::Cloud(_) => 0,
            Target::Hgs { soak_hours, .. } => *soak_hours,
        }
    }

    /// The hosts that use the keys.
    pub fn nodes(&self) -> &[Id] {
        match self {
            Target::Local { nodes } | Target::Hgs { nodes, .. } => nodes,
            Target::Cloud(_) => &[],
        }
    }
}

/// What becomes of the tenant's originals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// They stay in the tenant's HSM.
    Keep,
    /// They are destroyed after acceptance.
    Destroy,
}

/// The place of the proof that a key makes when it is imported.
pub const IMPORT: &str = "import";

/// When a node proves a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the key is primary.
    Ready,
    /// After.
    Active,
}

impl Stage {
    /// The name in a place.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Ready => "ready",
            Stage::Active => "active",
        }
    }
}
