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

use crate::{Result, Rule, ServicePlan};
pub use brief::{BRIEF_FILE, Brief, BriefKey, MAX_BRIEF, NodeChallenge};
pub use evidence::{
    CheckResult, Diagnosis, EvidenceContext, MAX_EVIDENCE, NodeEvidence, NodeKey, Published,
    Statement, evidence_file,
};
pub use order::{MAX_ORDER, Order, OrderKind};
pub use registered::{ClaimedState, check_registered, own_machines, same_former, soaked};

/// Whether a node's statement has the form that its service demands, beyond what every node's must.
fn check(target: &ServicePlan, said: &Statement, brief: &Brief) -> Result<()> {
    match target {
        ServicePlan::Local { .. } => local::check(said, brief),
        ServicePlan::Hgs { .. } => hgs::check(said, brief),
        ServicePlan::Cloud(_) => {
            let found = format!("evidence of the node {}", said.node);
            let expected = "none: a cloud service has no nodes that prove anything here";
            said.ensure(false, Rule::EvidenceNode, &found, expected)
        }
    }
}
