//! What custodians hold: the seal secret, its shares, the files and lines and codes that carry them.

pub mod changed;
pub mod codes;
pub mod custodian;
pub mod seal;
pub mod share;
