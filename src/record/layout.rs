//! What lies where in a ceremony folder, and the head that people sign when it is closed.

use serde::{Deserialize, Serialize};

use crate::{
    encoding::Hash,
    plan::Plan,
    terms::{FORMAT, Head, Id, Side},
};

/// What people sign at the end.
pub const HEAD_FILE: &str = "head.json";

/// What officers and witnesses sign at the end, `head.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedHead {
    /// [`FORMAT`].
    pub format: String,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Whose log it is.
    pub side: Side,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// How many entries the log has.
    pub count: u64,
    /// SHA-256 of the last one's line.
    pub head: Hash,
}

impl ClosedHead {
    /// What is signed of a log of this plan that ends here.
    pub fn new(plan: &Plan, side: Side, head: Head) -> Self {
        ClosedHead {
            format: FORMAT.to_owned(),
            ceremony: plan.ceremony.clone(),
            side,
            plan_hash: plan.hash(),
            count: head.seq,
            head: head.hash,
        }
    }
}

/// The folder of requests, in a ceremony folder.
pub const APPROVALS: &str = "approvals";

/// The folder of share files, in the outbox.
pub const SHARES: &str = "shares";

/// Where the documents of attempts that were given up lie, in outbox or inbox.
pub fn attempt_folder(attempt: u32) -> String {
    format!("attempt-{attempt}")
}

/// The folder that `close` makes.
pub const ARCHIVE: &str = "archive";

/// The folder of an archive: a later close, after the service has changed, makes another one.
pub fn archive_name(closes: u32) -> String {
    match closes {
        0 | 1 => ARCHIVE.to_owned(),
        later => format!("{ARCHIVE}-{later}"),
    }
}

/// The folder that is copied to every node.
pub const REGISTER: &str = "register";

/// The folder of evidence, byte for byte as it came.
pub const EVIDENCE: &str = "evidence";
