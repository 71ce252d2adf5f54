//! The programs that tests run, from one place: cargo builds them before it runs a test, and says
//! where they are.
#![allow(dead_code)] // Each test program uses its part.

pub use super::modules::{kryoptic, nss, shim};

pub const TENANT: &str = env!("CARGO_BIN_EXE_keyferry-tenant");
pub const HOSTER: &str = env!("CARGO_BIN_EXE_keyferry-hoster");
pub const CUSTODIAN: &str = env!("CARGO_BIN_EXE_keyferry-custodian");
pub const OFFICER: &str = env!("CARGO_BIN_EXE_keyferry-officer");
pub const AUDIT: &str = env!("CARGO_BIN_EXE_keyferry-audit");

/// The program of a side.
pub fn of_side(side: &str) -> &'static str {
    match side {
        "tenant" => TENANT,
        _ => HOSTER,
    }
}
