//! Keyferry.
pub mod approval;
pub mod ceremony;
#[cfg(feature = "custody")]
pub mod custodian;
pub mod document;
pub mod encoding;
pub mod error;
pub mod fingerprint;
pub mod folder;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod hoster;
#[cfg(feature = "hsm")]
pub mod hsm;
pub mod log;
pub mod phase;
pub mod plan;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod program;
pub mod proof;
pub mod report;
pub mod rule;
#[cfg(feature = "custody")]
pub mod seal;
pub mod share;
pub mod side;
pub mod signature;
pub mod spki;
pub mod target;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod tenant;
pub mod terminal;
pub mod wrapped_key;
 
pub use error::{Error, Refusal, Result};
