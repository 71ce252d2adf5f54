//! Keyferry.
pub mod document;
pub mod encoding;
pub mod error;
pub mod fingerprint;
pub mod folder;
pub mod log;
pub mod phase;
pub mod plan;
pub mod proof;
pub mod rule;
pub mod share;
pub mod signature;
pub mod spki;
pub mod terminal;

pub use error::{Error, Refusal, Result};
