//! The hoster's steps, one file per step, in the order of the ceremony.

pub mod attesting;
pub mod closing;
pub mod evidence;
pub mod held;
pub mod import;
pub mod kek;
pub mod keys;
pub mod nodes;
pub mod plain;
pub mod primary;
pub mod prove;
pub mod quorum;
pub mod remains;
