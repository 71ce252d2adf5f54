//! The tenant's steps: each with its arguments and its run in one file.

pub mod accept;
pub mod export;
pub mod heard;
pub mod keys;
pub mod metadata;
pub mod shares;
pub mod source;
pub mod trust;
