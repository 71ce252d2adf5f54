//! The steps that both sides take: each with its arguments and its run in one file.

pub mod abort;
pub mod archive;
pub mod init;
pub mod preflight;
pub mod probe;
pub mod release;
pub mod room;
pub mod token;
pub mod trial;
