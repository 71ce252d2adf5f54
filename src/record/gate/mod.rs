//! Gates: acts that wait for signatures of enough distinct officers, over a request that says exactly
//! what is about to happen (design, section 5).

mod crossing;
mod service;
mod subject;

use crate::{Gate, Hash, Id, Mode, Side, strict_json};
pub use crossing::*;
pub use service::*;
pub use subject::*;

/// The greatest size of a request, in bytes.
pub const MAX_REQUEST: u64 = 1 << 20;

/// What officers are asked to sign.
#[strict_json]
pub struct Request<S> {
    /// [`FORMAT`](crate::terms::FORMAT).
    pub format: String,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Rehearsal or production.
    pub mode: Mode,
    /// Whose act it is.
    pub side: Side,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// The gate.
    pub gate: Gate,
    /// The side's attempt.
    pub attempt: u32,
    /// The last log entry that changed the phase: a request is void once the ceremony has moved on.
    pub entry: Hash,
    /// Exactly what is about to happen.
    pub subject: S,
    /// The same in plain words.
    pub summary: String,
}
