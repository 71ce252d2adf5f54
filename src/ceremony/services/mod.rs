//! How a key becomes primary, one file per kind of service. What is the same for all lies in
//! [`record::service`] and in the hoster's steps.

pub mod hgs;
pub mod local;

use std::path::Path;

use record::command::{CommandLine, tool};
use record::service::OrderKind;
use record::{Error, Program, Result, Rule, ServicePlan};

use local::RegistryFile;

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
pub struct Service {
    /// Everything that is done, in its order.
    pub steps: &'static [TargetStep],
    /// The scripts that carry out the order to make the keys primary, and that to go back; none
    /// where Keyferry does so itself, in the service's registry.
    pub scripts: Option<[&'static str; 2]>,
    /// The files that every node is given, beside brief and certificates: byte for byte the same in
    /// every ceremony.
    pub files: &'static [(&'static str, &'static str)],
}

impl Service {
    /// The script that carries an order out, where Keyferry does not itself.
    pub fn script(&self, order: OrderKind) -> Option<&'static str> {
        self.scripts.map(|[set, undo]| if order == OrderKind::Rollback { undo } else { set })
    }

    /// Where Keyferry itself makes keys known and primary. `at` is where the service keeps its
    /// state.
    ///
    /// # Errors
    /// As [`RegistryFile::open`].
    pub fn registry(&self, at: &Path) -> Result<Option<RegistryFile>> {
        self.scripts.is_none().then(|| RegistryFile::open(at)).transpose()
    }
}

/// The service of a plan.
///
/// # Errors
/// `PLAN-TARGET` for a cloud service, which imports the keys itself.
pub fn of(target: &ServicePlan) -> Result<Service> {
    match target {
        ServicePlan::Local { .. } => Ok(local::LOCAL),
        ServicePlan::Hgs { .. } => Ok(hgs::HGS),
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
