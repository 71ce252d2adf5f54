//! The registry of the local service.

use std::path::{Path, PathBuf};

use crate::service::{Brief, Statement};
use crate::{
    Error, FORMAT, Hash, Id, PrimaryKey, Result, Role, Rule, escape, folder, json_file, shown,
    strict_json,
};

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

/// What the registry's file holds.
#[strict_json]
struct Contents {
    format: String,
    /// The plan hash of the primary key set.
    primary: Option<Hash>,
    /// Every key set ever registered, in that order.
    key_sets: Vec<RegisteredSet>,
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

    fn primaries(&self) -> Vec<PrimaryKey> {
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
            serde_json::from_slice(bytes).map_err(|error| registry.broken_error(error))?;
        registry.hash = Hash::of(bytes);
        let known = |hash: Hash| registry.contents.key_sets.iter().any(|set| set.plan_hash == hash);
        if registry.contents.format != FORMAT || !registry.contents.primary.is_none_or(known) {
            let found = "another format, or a primary key set that is not registered";
            return Err(registry.broken_error(found));
        }
        Ok(registry)
    }

    fn empty(path: &Path) -> Self {
        Registry {
            path: path.to_owned(),
            contents: Contents { format: FORMAT.to_owned(), primary: None, key_sets: Vec::new() },
            hash: Hash([0; 32]),
        }
    }

    fn broken_error(&self, found: impl std::fmt::Display) -> Error {
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
    pub fn key_sets(&self) -> &[RegisteredSet] {
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
    pub fn register(&mut self, key_set: RegisteredSet) -> Result<()> {
        let plan = key_set.plan_hash;
        if self.contents.primary == Some(plan) {
            let found = format!("the key set of plan {plan} is primary before it is registered");
            return Err(self.broken_error(found));
        }
        self.contents.key_sets.retain(|set| set.plan_hash != key_set.plan_hash);
        self.contents.key_sets.push(key_set);
        self.write()
    }

    /// The keys of the primary key set, signing first.
    pub fn primaries(&self) -> Vec<PrimaryKey> {
        let primary = self.contents.primary;
        let set = self.contents.key_sets.iter().find(|set| Some(set.plan_hash) == primary);
        set.map_or(Vec::new(), RegisteredSet::primaries)
    }

    /// Which of these keys are in the registry, by their thumbprints, sorted.
    pub fn known(&self, keys: &[PrimaryKey]) -> Vec<String> {
        let all = self.contents.key_sets.iter().flat_map(|set| &set.keys);
        let ours = all.filter(|key| keys.iter().any(|one| one.thumbprint == key.thumbprint));
        let mut known: Vec<String> = ours.map(|key| key.thumbprint.clone()).collect();
        known.sort();
        known.dedup();
        known
    }

    /// Makes a registered key set primary and keeps the former one's name. Done twice, it changes
    /// nothing.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT` where it is not registered; what writing can end with.
    pub fn make_primary(&mut self, plan: Hash) -> Result<()> {
        let former = self.contents.primary;
        if former == Some(plan) {
            return Ok(());
        }
        let mut sets = self.contents.key_sets.iter_mut();
        let set = sets.find(|set| set.plan_hash == plan).ok_or_else(|| {
            Rule::RegistryFormat.refuse(
                format!("{}: no key set of plan {plan}", self.path.display()),
                "the registry in which `register` put it",
                "name that file with --registry, the same at `register`, `node prove`, `primary` and `rollback`",
            )
        })?;
        set.former = former;
        self.contents.primary = Some(plan);
        self.write()
    }

    /// Makes the key set of these keys primary again; none where there was none. Done twice, it
    /// changes nothing.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT` where no key set has exactly these keys; what writing can end with.
    pub fn restore(&mut self, former: &[PrimaryKey]) -> Result<()> {
        if self.primaries() == former {
            return Ok(());
        }
        let mut sets = self.contents.key_sets.iter();
        let set = sets.find(|set| set.primaries() == former).map(|set| set.plan_hash);
        if set.is_none() && !former.is_empty() {
            return Err(self.broken_error(format!("no key set with {}", shown(former))));
        }
        self.contents.primary = set;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let bytes = json_file(&self.contents)?;
        folder::replace(&self.path, &bytes)?;
        self.hash = Hash::of(&bytes);
        Ok(())
    }
}
