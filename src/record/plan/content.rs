//! What crosses, how, where to, and what becomes of the originals.

use crate::{
    AttestationLevel, CloudFormat, Deployment, Hash, Id, KeyType, Mechanism, OaepHash, Role, Usage,
};

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
    pub evidence: AttestationLevel,
    /// SHA-256 of pinned attestation roots.
    pub roots: Vec<Hash>,
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
pub enum ServicePlan {
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

impl ServicePlan {
    /// The name a plan and a registration use.
    pub fn kind(&self) -> &'static str {
        match self {
            ServicePlan::Local { .. } => "local",
            ServicePlan::Hgs { .. } => "hgs",
            ServicePlan::Cloud(format) => format.name(),
        }
    }

    /// Hours between activation and the evidence that `accept` takes.
    pub fn soak_hours(&self) -> u32 {
        match self {
            ServicePlan::Local { .. } | ServicePlan::Cloud(_) => 0,
            ServicePlan::Hgs { soak_hours, .. } => *soak_hours,
        }
    }

    /// The hosts that use the keys.
    pub fn nodes(&self) -> &[Id] {
        match self {
            ServicePlan::Local { nodes } | ServicePlan::Hgs { nodes, .. } => nodes,
            ServicePlan::Cloud(_) => &[],
        }
    }
}

/// The place of the proof that a key makes when it is imported.
pub const IMPORT: &str = "import";
