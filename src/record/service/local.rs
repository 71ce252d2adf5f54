//! The registry of the local service.

use std::path::Path;

use crate::service::{Brief, Statement};
use crate::{Error, FORMAT, Hash, Id, PrimaryKey, Result, Role, Rule, escape, strict_json};

/// The form of its evidence.
pub(super) fn check(said: &Statement, brief: &Brief) -> Result<()> {
    brief.primaries().iter().try_for_each(|PrimaryKey { thumbprint, .. }| {
        let found = format!("the registry that the node reads does not have {thumbprint}");
        let expected = "the registry in which `register` put the key set";
        let known = said.registered.contains(thumbprint);
        said.ensure(known, Rule::EvidenceCertificate, &found, expected)
    })
}

/// The greatest size of a registry, in bytes.
pub const MAX_REGISTRY: u64 = 64 << 20;

/// The registry of a service, as its file has it.
#[strict_json]
pub struct Registry {
    /// [`FORMAT`].
    pub format: String,
    /// The plan hash of the primary key set.
    pub primary: Option<Hash>,
    /// Every key set ever registered, in that order.
    pub key_sets: Vec<RegisteredSet>,
}

/// The keys of one ceremony.
#[strict_json]
pub struct RegisteredSet {
    /// The plan of the ceremony: what names the key set.
    pub plan_hash: Hash,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Its keys.
    pub keys: Vec<RegisteredKey>,
    /// The key set that was primary when this one became it.
    pub former: Option<Hash>,
}

impl RegisteredSet {
    /// The key set that nodes are told of.
    pub fn of(brief: &Brief) -> Self {
        let keys = brief.keys.iter().map(|key| RegisteredKey {
            label: key.label.clone(),
            role: key.role,
            hoster_label: key.container.clone(),
            id: key.id.to_string(),
            spki: key.spki,
            thumbprint: key.thumbprint.clone(),
        });
        RegisteredSet {
            plan_hash: brief.plan_hash,
            ceremony: brief.ceremony.clone(),
            keys: keys.collect(),
            former: None,
        }
    }

    /// The keys, signing first.
    pub fn primaries(&self) -> Vec<PrimaryKey> {
        let key =
            |key: &RegisteredKey| PrimaryKey { role: key.role, thumbprint: key.thumbprint.clone() };
        let mut keys: Vec<PrimaryKey> = self.keys.iter().map(key).collect();
        keys.sort();
        keys
    }
}

/// One key of a key set.
#[strict_json]
pub struct RegisteredKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// Its CKA_LABEL in the hoster's HSM.
    pub hoster_label: String,
    /// Its CKA_ID there, as hex.
    pub id: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// SHA-1 of its certificate, 40 hex characters: how Windows names it.
    pub thumbprint: String,
}

impl Registry {
    /// Reads the bytes of a registry that lies at this path.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let registry: Registry =
            serde_json::from_slice(bytes).map_err(|error| broken_error(path, error))?;
        let known = |hash: Hash| registry.key_sets.iter().any(|set| set.plan_hash == hash);
        if registry.format != FORMAT || !registry.primary.is_none_or(known) {
            let found = "another format, or a primary key set that is not registered";
            return Err(broken_error(path, found));
        }
        Ok(registry)
    }
}

/// The refusal of a registry that is not as Keyferry writes it.
pub fn broken_error(path: &Path, found: impl std::fmt::Display) -> Error {
    Rule::RegistryFormat.refuse(
        escape(&format!("{}: {found}", path.display())),
        "a registry that Keyferry wrote",
        "put back an unchanged copy of the registry",
    )
}
