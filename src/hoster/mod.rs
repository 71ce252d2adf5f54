//! The hoster's steps, one file per step, in the order of the ceremony.

pub mod import;
pub mod kek;
pub mod package;
pub mod primary;
pub mod proving;
pub mod quorum;
pub mod remains;
