//! A node is a host of the service that will use the keys: what it is told, in which order it acts,
//! and what it proves. The service account of a node uses the keys; whoever operates Keyferry does
//! not.

mod brief;
mod evidence;
mod order;
mod registered;

use serde::{Deserialize, Serialize};

use crate::{plan::Role, report::list_or};
pub use brief::{BRIEF_FILE, Brief, BriefKey, MAX_BRIEF, NodeChallenge};
pub use evidence::{MAX_EVIDENCE, NodeEvidence, NodeKey, Statement, Told, evidence_file};
pub use order::{MAX_ORDER, Order, OrderKind};
pub use registered::{Proven, check_registered, own_machines, same_former, soaked};

/// A key that is, or was, primary in the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimaryKey {
    /// What it is primary for.
    pub role: Role,
    /// SHA-1 of its certificate, 40 upper-case hex characters: how Windows names it.
    pub thumbprint: String,
}

/// Primary keys for people.
pub fn shown(keys: &[PrimaryKey]) -> String {
    let one = |key: &PrimaryKey| {
        let role = match key.role {
            Role::Signing => "signing",
            Role::Encryption => "encryption",
        };
        format!("{role} {}", crate::escape::escape(&key.thumbprint))
    };
    list_or("none", keys.iter().map(one))
}
