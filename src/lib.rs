//! Keyferry.
// One file may: hsm/raw.rs.
#![deny(unsafe_code)]

pub mod encoding;
pub mod error;
pub mod fingerprint;
pub mod rule;

pub use error::{Error, Refusal, Result};
pub mod document;

#[cfg(feature = "hsm")]
pub mod hsm;
pub mod wrapped_key;
