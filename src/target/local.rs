//! The built-in target: a registry, `registry.json`, of every key set ever registered and one primary. It
//! belongs to the service, not to a ceremony, and is replaced in one step.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    document::FORMAT,
    encoding::Hash,
    escape::escape,
    folder,
    plan::{Id, Role},
    proof::Proof,
    rule::Rule,
};

/// The greatest size of a registry, in bytes.
pub const MAX_REGISTRY: u64 = 64 << 20;

/// What the registry's file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    format: String,
    /// The plan hash of the primary key set.
    primary: Option<Hash>,
    /// Every key set ever registered, in that order.
    key_sets: Vec<KeySet>,
}

/// The keys of one ceremony.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// The plan of the ceremony: what names the key set.
    pub plan_hash: Hash,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Its keys.
    pub keys: Vec<RegisteredKey>,
    /// The proofs of every node, before it became primary.
    pub ready: Vec<Proof>,
    /// The key set that was primary when this one became it.
    pub former: Option<Hash>,
}

/// One key of a key set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// The registry of a service.
pub struct Registry {
    path: PathBuf,
    contents: Contents,
    hash: Hash,
}

impl Registry {
    /// Opens the registry, or begins one where there is none.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`.
    pub fn open(path: &Path) -> Result<Self> {
        if path.exists() {
            return Registry::parse(path, &folder::read_file(path, MAX_REGISTRY)?);
        }
        Ok(Registry::empty(path))
    }

    /// Reads the bytes of a registry that lies at this path.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let mut registry = Registry::empty(path);
        registry.contents =
            serde_json::from_slice(bytes).map_err(|error| registry.broken(error.to_string()))?;
        registry.hash = Hash::of(bytes);
        let known = |hash: Hash| {
            registry
                .contents
                .key_sets
                .iter()
                .any(|set| set.plan_hash == hash)
        };
        if registry.contents.format != FORMAT || !registry.contents.primary.is_none_or(known) {
            return Err(registry
                .broken("another format, or a primary key set that is not registered".into()));
        }
        Ok(registry)
    }

    fn empty(path: &Path) -> Self {
        Registry {
            path: path.to_owned(),
            contents: Contents {
                format: FORMAT.to_owned(),
                primary: None,
                key_sets: Vec::new(),
            },
            hash: Hash([0; 32]),
        }
    }

    fn broken(&self, found: String) -> Error {
        Rule::RegistryFormat.refuse(
            escape(&format!("{}: {found}", self.path.display())),
            "a registry that Keyferry wrote",
            "put back an unchanged copy of the registry",
        )
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of its file.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Every key set ever registered, in that order.
    pub fn key_sets(&self) -> &[KeySet] {
        &self.contents.key_sets
    }

    /// The primary key set's plan hash.
    pub fn primary(&self) -> Option<Hash> {
        self.contents.primary
    }

    /// Adds a key set. One that an interrupted run added, and that is not primary, is replaced.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT` where it is primary already; what writing can end with.
    pub fn register(&mut self, key_set: KeySet) -> Result<()> {
        if self.contents.primary == Some(key_set.plan_hash) {
            return Err(self.broken(format!(
                "the key set of plan {} is primary before it is registered",
                key_set.plan_hash
            )));
        }
        self.contents
            .key_sets
            .retain(|set| set.plan_hash != key_set.plan_hash);
        self.contents.key_sets.push(key_set);
        self.write()
    }

    /// A registered key set, with the one that it replaces: the primary one of now, or of then where it is primary already.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT` where it is not registered.
    pub fn registered(&self, plan: Hash) -> Result<KeySet> {
        let found = self
            .contents
            .key_sets
            .iter()
            .find(|set| set.plan_hash == plan);
        let mut set = found.cloned().ok_or_else(|| {
            Rule::RegistryFormat.refuse(
                format!("{}: no key set of plan {plan}", self.path.display()),
                "the registry in which `register` put it",
                "name that file with --registry, the same at `register`, `primary` and `kek destroy`",
            )
        })?;
        if self.contents.primary != Some(plan) {
            set.former = self.contents.primary;
        }
        Ok(set)
    }

    /// Makes a registered key set primary and keeps the former one's name. Done twice, it changes nothing.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT` where it is not registered; what writing can end with.
    pub fn make_primary(&mut self, plan: Hash) -> Result<KeySet> {
        let set = self.registered(plan)?;
        if self.contents.primary != Some(plan) {
            let mut sets = self.contents.key_sets.iter_mut();
            if let Some(stored) = sets.find(|stored| stored.plan_hash == plan) {
                stored.former = set.former;
            }
            self.contents.primary = Some(plan);
            self.write()?;
        }
        Ok(set)
    }

    fn write(&mut self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(&self.contents)
            .map_err(|error| Error::file(&self.path, error))?;
        bytes.push(b'\n');
        folder::replace(&self.path, &bytes)?;
        self.hash = Hash::of(&bytes);
        Ok(())
    }
}
