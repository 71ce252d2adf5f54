//! Tokens of every kind: what a probe says of them, and whether ceremonies between them end as it
//! foretells.
#![cfg(all(feature = "hsm", feature = "custody"))]

#[path = "../common/mod.rs"]
mod common;
mod matrix;
mod reports;
