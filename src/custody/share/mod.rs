//! Shares of the seal secret: split, committed to, and taken back only as the ones that were dealt
//! (design, section 4.4). The library that splits neither rejects x = 0, duplicates or too low a
//! threshold, nor notices a flipped bit; the types here do.

mod encoded;
mod quorum;
mod secret;

pub use encoded::{Deal, RECORD, Share};
pub use quorum::Quorum;
pub use secret::{Secret, deal};
