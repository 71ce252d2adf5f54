//! What tests share: real tokens, and a stage for whole ceremonies.
#![allow(unused_imports)] // Each test program uses its part.

pub mod changes;
pub mod elsewhere;
pub mod ending;
pub mod kept;
pub mod kill;
pub mod modules;
pub mod opencryptoki;
pub mod preload;
pub mod production;
pub mod programs;
pub mod setting;
pub mod simulated;
pub mod stage;
pub mod tokens;
pub mod verdict;
pub mod walk;
pub mod what_follows;

pub use modules::*;
pub use tokens::*;
