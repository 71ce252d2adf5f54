//! The steps that both sides take, one file per step.

pub mod archive;
pub mod counterpart;
pub mod init;
pub mod note;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod preflight;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod probe;
pub mod release;
pub mod status;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod token;
