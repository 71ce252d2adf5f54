//! How a key becomes primary, one file per kind of service. What is the same for all lies in
//! [`record::service`] and in the hoster's steps.

pub mod hgs;
pub mod local;

use std::path::Path;

use record::command::{CommandLine, tool};
use record::service::{Brief, OrderKind};
use record::{Error, PrimaryKey, Program, Result, Rule, ServicePlan};

/// One step of the way to a primary key.
#[derive(Debug, Clone, Copy)]
pub struct TargetStep {
    /// Its name, in scripts and on paper.
    pub name: &'static str,
    /// The script that takes it, or the command.
    pub program: &'static str,
}

impl TargetStep {
    /// What is typed.
    pub fn line(&self) -> CommandLine {
        match (self.program.ends_with(".ps1"), self.program.starts_with("node prove")) {
            (true, _) => tool(self.program),
            // On the node, which has no ceremony.
            (false, true) => Program::Hoster.bare(self.program),
            (false, false) => Program::Hoster.line(self.program),
        }
    }
}

/// A kind of service. Another one (AD FS, say) is another file like `hgs.rs`, and a line in [`of`].
pub trait Service: Sync {
    /// Everything that is done, in its order.
    fn steps(&self) -> &'static [TargetStep];

    /// The script that carries an order out, where Keyferry does not itself.
    fn script(&self, _order: OrderKind) -> Option<&'static str> {
        None
    }

    /// The files that every node is given, beside brief and certificates: byte for byte the same in
    /// every ceremony.
    fn files(&self) -> &'static [(&'static str, &'static str)];

    /// Makes the keys known to the service, where Keyferry does that itself. `at` is where the
    /// service keeps its state.
    ///
    /// # Errors
    /// What the service's state can end with.
    fn register(&self, _at: &Path, _brief: &Brief) -> Result<()> {
        Ok(())
    }

    /// What is primary now, where Keyferry can look itself.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn primaries(&self, _at: &Path) -> Result<Option<Vec<PrimaryKey>>> {
        Ok(None)
    }

    /// Makes the keys primary, where Keyferry does that itself. Done twice, it changes nothing.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn activate(&self, _at: &Path, _brief: &Brief) -> Result<()> {
        Ok(())
    }

    /// Whether these can be what is primary again: a service may need primaries, and have had none.
    fn goes_back_to(&self, former: &[PrimaryKey]) -> bool;

    /// Makes the former keys primary again, where Keyferry does that itself.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn roll_back(&self, _at: &Path, _former: &[PrimaryKey]) -> Result<()> {
        Ok(())
    }
}

/// The service of a plan.
///
/// # Errors
/// `PLAN-TARGET` for a cloud service, which imports the keys itself.
pub fn of(target: &ServicePlan) -> Result<&'static dyn Service> {
    match target {
        ServicePlan::Local { .. } => Ok(&local::Local),
        ServicePlan::Hgs { .. } => Ok(&hgs::Hgs),
        ServicePlan::Cloud(_) => Err(no_part_error()),
    }
}

/// The hoster's side of a ceremony whose keys a cloud service imports.
pub fn no_part_error() -> Error {
    Rule::PlanTarget.refuse(
        "the hoster's side of a ceremony for a cloud service",
        "the tenant's side alone: the service imports the keys itself",
        "take the tenant's side alone with this plan; the people whom it names as the hoster's sign the plan, and import the files at the service",
    )
}
