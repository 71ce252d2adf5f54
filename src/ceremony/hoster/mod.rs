//! The hoster's steps: each with its arguments and its run in one file.

pub mod attesting;
pub mod closing;
pub mod held;
pub mod import;
pub mod kek;
pub mod keys;
pub mod nodes;
pub mod primary;
pub mod prove;
pub mod quorum;
