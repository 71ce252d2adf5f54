//! The steps that both sides take, one file per step.

pub mod abort;
pub mod archive;
pub mod counterpart;
pub mod init;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod preflight;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod print;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod probe;
pub mod release;
pub mod restart;
pub mod room;
pub mod status;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod token;
pub mod trial;
