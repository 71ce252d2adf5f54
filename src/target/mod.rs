//! How a key becomes primary, one file per kind of target.

pub mod local;
pub mod metadata;
