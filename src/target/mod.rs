//! How a key becomes primary, one file per kind of target.

pub mod hgs;
pub mod local;
