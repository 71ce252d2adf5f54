//! How a key becomes primary, one file per kind of service. What is the same for all lies in
//! [`record::service`] and in the hoster's steps.

pub mod cloud;
pub mod hgs;
pub mod local;

use std::path::Path;

use record::Result;
use record::command::{CommandLine, Program, tool};
use record::plan::ServicePlan;
use record::service::Brief;
use record::terms::PrimaryKey;

/// What is done, at each node or once for the whole service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// What was copied to the node is whole, and its turn has come.
    Check,
    /// The certificates are there.
    Install,
    /// Each is bound to its key in the HSM.
    Bind,
    /// The service's account may use the key.
    Grant,
    /// The service knows the keys; they are not primary.
    Register,
    /// The service looks at itself.
    Diagnose,
    /// The node proves itself.
    Prove,
    /// What is primary now is written down.
    Record,
    /// The keys become primary.
    Activate,
    /// The former keys become primary again.
    RollBack,
    /// What was done is looked at.
    ReadBack,
}

/// One step of the way to a primary key.
#[derive(Debug, Clone, Copy)]
pub struct TargetStep {
    /// What it is.
    pub act: Act,
    /// Its name, in scripts and on paper.
    pub name: &'static str,
    /// The script that takes it, or the command.
    pub program: &'static str,
}

impl TargetStep {
    /// What is typed.
    pub fn line(&self) -> CommandLine {
        match (self.program.ends_with(".ps1"), self.act) {
            (true, _) => tool(self.program),
            // On the node, which has no ceremony.
            (false, Act::Prove) => Program::Hoster.bare(self.program),
            (false, _) => Program::Hoster.line(self.program),
        }
    }
}

/// A kind of service. Another one (AD FS, say) is another file like `hgs.rs`, and a line in [`of`].
pub trait Service: Sync {
    /// Everything that is done, in its order.
    fn steps(&self) -> &'static [TargetStep];

    /// The files that every node is given, beside brief and certificates: byte for byte the same in
    /// every ceremony.
    fn files(&self) -> &'static [(&'static str, &'static str)];

    /// Makes the keys known to the service, where Keyferry does that itself. `at` is where the
    /// service keeps its state.
    ///
    /// # Errors
    /// What the service's state can end with.
    fn register(&self, at: &Path, brief: &Brief) -> Result<()>;

    /// What is primary now, where Keyferry can look itself.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn primaries(&self, at: &Path) -> Result<Option<Vec<PrimaryKey>>>;

    /// Makes the keys primary, where Keyferry does that itself. Done twice, it changes nothing.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn activate(&self, at: &Path, brief: &Brief) -> Result<()>;

    /// Whether these can be what is primary again: a service may need primaries, and have had none.
    fn goes_back_to(&self, former: &[PrimaryKey]) -> bool;

    /// Makes the former keys primary again, where Keyferry does that itself.
    ///
    /// # Errors
    /// As [`Service::register`].
    fn roll_back(&self, at: &Path, former: &[PrimaryKey]) -> Result<()>;
}

/// The service of a plan.
pub fn of(target: &ServicePlan) -> &'static dyn Service {
    match target {
        ServicePlan::Local { .. } => &local::Local,
        ServicePlan::Hgs { .. } => &hgs::Hgs,
        ServicePlan::Cloud(_) => &cloud::Cloud,
    }
}
