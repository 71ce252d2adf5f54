//! The program that runs and the module that it loads, against the plan's `[software]`.

use record::Result;
use record::encoding::Hash;
use record::escape::escape;
use record::rule::Rule;

/// Whether the plan has this file, by its name, with this hash.
///
/// # Errors
/// `PREFLIGHT-SOFTWARE`.
pub fn software(planned: &[(String, Hash)], file: &str, hash: Hash) -> Result<String> {
    let shown = escape(file);
    match planned.iter().find(|(name, _)| name == file) {
        Some((_, expected)) if *expected == hash => Ok(format!("{shown} is the planned one, {hash}")),
        Some((_, expected)) => Err(Rule::PreflightSoftware.refuse(
            format!("{shown} with SHA-256 {hash}"),
            format!("the planned one, {expected}"),
            "install the file that the plan names, from where the officers have it, and compare its hash with the paper record. If another \
             version is to be used, both sides agree on and sign a new plan",
        )),
        None => Err(Rule::PreflightSoftware.refuse(
            format!("the plan's [software] does not name {shown}; its SHA-256 is {hash}"),
            "an entry with the SHA-256 of each program and PKCS#11 module",
            "both sides take the hash into a new plan and sign it, once somebody has checked where the file came from",
        )),
    }
}
