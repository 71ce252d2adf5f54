//! What is printed: pages, by language.

pub mod identity;
pub mod page;
