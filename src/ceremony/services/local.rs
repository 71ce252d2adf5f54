//! The built-in target: a registry, `registry.json`, of every key set ever registered and one
//! primary. It belongs to the service, not to a ceremony, and is replaced in one step.

use std::path::Path;

use crate::services::{Service, TargetStep};
use record::service::Brief;
use record::service::local::{RegisteredSet, Registry};
use record::{PrimaryKey, Result};

/// A service that keeps a registry.
pub struct Local;

const STEPS: &[TargetStep] = &[
    TargetStep { name: "register", program: "register" },
    TargetStep {
        name: "prove",
        program: "node prove --module MODULE --token TOKEN --register FOLDER --node NODE --registry REGISTRY --out FOLDER",
    },
    TargetStep { name: "activate", program: "primary" },
    TargetStep { name: "roll-back", program: "rollback" },
];

const FILES: &[(&str, &str)] =
    &[("INSTRUCTIONS.txt", include_str!("../../../templates/local/INSTRUCTIONS.txt"))];

impl Service for Local {
    fn steps(&self) -> &'static [TargetStep] {
        STEPS
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        FILES
    }

    fn register(&self, at: &Path, brief: &Brief) -> Result<()> {
        Registry::open(at)?.register(RegisteredSet::of(brief))
    }

    fn primaries(&self, at: &Path) -> Result<Option<Vec<PrimaryKey>>> {
        Ok(Some(Registry::open(at)?.primaries()))
    }

    fn activate(&self, at: &Path, brief: &Brief) -> Result<()> {
        Registry::open(at)?.make_primary(brief.plan_hash)
    }

    fn goes_back_to(&self, _: &[PrimaryKey]) -> bool {
        true
    }

    fn roll_back(&self, at: &Path, former: &[PrimaryKey]) -> Result<()> {
        Registry::open(at)?.restore(former)
    }
}
