//! The age plugins of custodians' recipients and identities: programs that run with a share in
//! hand, or with its file, found on the PATH by age (age-plugin-NAME).

use std::path::PathBuf;

use machine::preflight::software;
use record::{Error, Hash, Mode, Plan, Result, Rule, escape, folder};

/// Where a program is, as age looks for it; none where it is not.
fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    let runs = |file: &PathBuf| {
        let metadata = std::fs::metadata(file);
        metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(runs)
}

/// Looks for a plugin; in production it is the one that the plan names.
///
/// # Errors
/// `AGE-PLUGIN` where there is none; in production `PREFLIGHT-SOFTWARE` where the plan names
/// another, or none, and waives nothing.
pub fn require(plan: &Plan, program: &str) -> Result<String> {
    let shown = escape(program);
    let Some(path) = find(program) else {
        return Err(Rule::AgePlugin.refuse(
            format!("no program {shown} on the PATH"),
            format!("{shown}, which the recipient or identity of a custodian needs"),
            format!("install {shown} here, from where the officers have it, with its SHA-256 in the plan's [software]; or agree on a plan whose recipients need none"),
        ));
    };
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
