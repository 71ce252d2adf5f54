//! Tokens of every kind: what a probe says of them, and whether ceremonies between them end as it
//! foretells.
#[path = "../common/mod.rs"]
mod common;
mod matrix;
mod opencryptoki;
mod personalities;
mod reports;
