//! Plans: written, checked further than reading them does, rehearsed, renewed; and what the reports
//! of two tokens foretell of one.

pub mod forecast;
mod foretelling;
mod planning;
pub mod proposal;
mod rehearsal;
mod renewal;

pub use foretelling::{Probes, Reports};
pub use planning::{CheckedPlan, check_plan, new_plan};
pub use rehearsal::rehearse_plan;
pub use renewal::renew_plan;
