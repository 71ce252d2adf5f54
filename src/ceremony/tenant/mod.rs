//! The tenant's steps, one file per step, in the order of the ceremony.

pub mod accept;
pub mod born;
mod challenges;
pub mod cloud;
pub mod export;
pub mod keys;
pub mod metadata;
pub mod offer;
pub mod shares;
pub mod source;
pub mod trust;
