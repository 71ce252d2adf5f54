//! A node is a host of the service that will use the keys: what it is told, in which order it acts,
//! and what it proves. The service account of a node uses the keys; whoever operates Keyferry does
//! not.

mod brief;
mod evidence;
mod hgs;
pub mod local;
pub mod metadata;
mod order;
mod registered;

use crate::{plan::ServicePlan, rule::Rule};
pub use brief::{BRIEF_FILE, Brief, BriefKey, MAX_BRIEF, NodeChallenge};
pub use evidence::{
    EvidenceContext, MAX_EVIDENCE, NodeEvidence, NodeKey, Statement, evidence_file,
};
pub use order::{MAX_ORDER, Order, OrderKind};
pub use registered::{Proven, check_registered, own_machines, same_former, soaked};

/// What a statement says that its service cannot use.
struct Wrong {
    /// The rule.
    rule: Rule,
    /// What was found.
    found: String,
    /// What the service needs.
    expected: String,
}

/// Whether a statement says what its service needs.
fn ensure(
    holds: bool,
    rule: Rule,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong { rule, found: found.into(), expected: expected.into() }) }
}

/// Whether a node's statement has the form that its service demands, beyond what every node's must.
///
/// # Errors
/// The first thing that it does not say.
fn check(target: &ServicePlan, said: &Statement, brief: &Brief) -> Result<(), Wrong> {
    match target {
        ServicePlan::Local { .. } => local::check(said, brief),
        ServicePlan::Hgs { .. } => hgs::check(said, brief),
        ServicePlan::Cloud(_) => {
            let found = format!("evidence of the node {}", said.node);
            let expected = "none: a cloud service has no nodes that prove anything here";
            ensure(false, Rule::EvidenceNode, found, expected)
        }
    }
}
