//! The built-in target: a registry, `registry.json`, of every key set ever registered and one
//! primary. It belongs to the service, not to a ceremony, and is replaced in one step.

use std::path::{Path, PathBuf};

use record::service::local::{MAX_REGISTRY, RegisteredSet, Registry, broken_error};
use record::{FORMAT, Hash, PrimaryKey, Result, Rule, folder, json_file, shown};

use crate::services::{Service, TargetStep};

/// A service that keeps a registry.
pub const LOCAL: Service = Service {
    steps: &[
        TargetStep { name: "register", program: "register" },
        TargetStep {
            name: "prove",
            program: "node prove --module MODULE --token TOKEN --register FOLDER --node NODE --registry REGISTRY --out FOLDER",
        },
        TargetStep { name: "activate", program: "primary" },
        TargetStep { name: "roll-back", program: "rollback" },
    ],
    scripts: None,
    files: &[("INSTRUCTIONS.txt", include_str!("../../../templates/local/INSTRUCTIONS.txt"))],
};

/// The registry, where it lies.
pub struct RegistryFile {
    path: PathBuf,
    registry: Registry,
}

impl RegistryFile {
    /// Opens the registry, or begins one where there is none.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`.
    pub fn open(path: &Path) -> Result<Self> {
        let registry = match path.exists() {
            true => Registry::parse(path, &folder::read_file(path, MAX_REGISTRY)?)?,
            false => Registry { format: FORMAT.to_owned(), primary: None, key_sets: Vec::new() },
        };
        Ok(RegistryFile { path: path.to_owned(), registry })
    }

    /// Adds a key set. One that an interrupted run added, and that is not primary, is replaced.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`; what writing can end with.
    pub fn register(mut self, key_set: RegisteredSet) -> Result<()> {
        let plan = key_set.plan_hash;
        if self.registry.primary == Some(plan) {
            let found = format!("the key set of plan {plan} is primary before it is registered");
            return Err(broken_error(&self.path, found));
        }
        self.registry.key_sets.retain(|set| set.plan_hash != plan);
        self.registry.key_sets.push(key_set);
        self.write()
    }

    /// The keys of the primary key set, signing first.
    pub fn primaries(&self) -> Vec<PrimaryKey> {
        let primary = self.registry.primary;
        let set = self.registry.key_sets.iter().find(|set| Some(set.plan_hash) == primary);
        set.map_or(Vec::new(), RegisteredSet::primaries)
    }

    /// Which of these keys are in the registry, by their thumbprints, sorted.
    pub fn known(&self, keys: &[PrimaryKey]) -> Vec<String> {
        let all = self.registry.key_sets.iter().flat_map(|set| &set.keys);
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
    /// `REGISTRY-FORMAT`; what writing can end with.
    pub fn make_primary(mut self, plan: Hash) -> Result<()> {
        let former = self.registry.primary;
        if former == Some(plan) {
            return Ok(());
        }
        let mut sets = self.registry.key_sets.iter_mut();
        let set = sets.find(|set| set.plan_hash == plan).ok_or_else(|| {
            Rule::RegistryFormat.refuse(
                format!("{}: no key set of plan {plan}", self.path.display()),
                "the registry in which `register` put it",
                "name that file with --registry, the same at `register`, `node prove`, `primary` and `rollback`",
            )
        })?;
        set.former = former;
        self.registry.primary = Some(plan);
        self.write()
    }

    /// Makes the key set of these keys primary again; none where there was none. Done twice, it
    /// changes nothing.
    ///
    /// # Errors
    /// `REGISTRY-FORMAT`; what writing can end with.
    pub fn restore(mut self, former: &[PrimaryKey]) -> Result<()> {
        if self.primaries() == former {
            return Ok(());
        }
        let mut sets = self.registry.key_sets.iter();
        let set = sets.find(|set| set.primaries() == former).map(|set| set.plan_hash);
        if set.is_none() && !former.is_empty() {
            let found = format!("no key set with {}", shown(former));
            return Err(broken_error(&self.path, found));
        }
        self.registry.primary = set;
        self.write()
    }

    fn write(&self) -> Result<()> {
        folder::replace(&self.path, &json_file(&self.registry)?)
    }
}
