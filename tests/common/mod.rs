//! What tests share: real tokens, and a stage for whole ceremonies.
#![allow(unused_imports)] // Each test program uses its part.

pub mod ending;
pub mod kill;
pub mod preload;
pub mod production;
pub mod setting;
pub mod simulated;
pub mod stage;
pub mod tokens;
pub mod verdict;
pub mod walk;

pub use tokens::*;
