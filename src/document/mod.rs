//! Documents.
pub mod parts;
