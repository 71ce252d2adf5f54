//! The age plugins of custodians' recipients and identities: programs that run with a share in
//! hand, or with its file, found on the PATH by age (age-plugin-NAME).

use custody::custodian;
use machine::preflight::software;
use record::{Error, Hash, Mode, Plan, Result, Rule, escape, folder};

/// Looks for a plugin; in production it is the one that the plan names.
///
/// # Errors
/// `AGE-PLUGIN` where there is none; in production `PREFLIGHT-SOFTWARE` where the plan names
/// another, or none, and waives nothing.
pub fn require(plan: &Plan, program: &str) -> Result<String> {
    let shown = escape(program);
    let path = custodian::plugin_program(program)?;
    if plan.mode != Mode::Production || plan.waives(Rule::PreflightSoftware) {
        return Ok(format!("{shown}: {}", folder::shown(&path)));
    }
    let real = std::fs::canonicalize(&path).map_err(|error| Error::file(&path, error))?;
    let file = std::fs::File::open(&real).map_err(|error| Error::file(&real, error))?;
    let (hash, _): (Hash, u64) = folder::hash_open(file, &real)?;
    software(&plan.software, program, hash)
}

/// Looks for every plugin that the shares of a plan are made with.
///
/// # Errors
/// As [`require`].
pub fn require_all(plan: &Plan) -> Result<()> {
    plan.plugins().iter().try_for_each(|(program, _)| require(plan, program).map(drop))
}
