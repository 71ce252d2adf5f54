//! What attackers on both sides do, and accidents: each with the refusal that meets it, with what is
//! left and said, or with the end that the ceremony should have had all the same. What an operator
//! can do with the HSM itself is in `tests/hsm/attack.rs`; docs/reliability.md lists all of them.

mod accidents;
mod attackers;
mod conspiracies;
mod reviewed;

use crate::common::stage::{Ended, Stage};

/// The arguments of an import of this package, with these shares.
fn import(package: &str, shares: &[String]) -> Vec<String> {
    ["import", package].into_iter().map(str::to_owned).chain(shares.iter().cloned()).collect()
}

/// Imports, once two officers have signed for it.
fn imported(stage: &Stage, arguments: &[String]) -> Ended {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    stage.pass("hoster", "import", &arguments[..2]);
    stage.hoster(&arguments)
}
