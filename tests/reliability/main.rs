//! Everything that can go wrong, tried everywhere: a ceremony is walked, and before each of its
//! commands that command is tried on copies of the stage with one thing going wrong, run again,
//! and, where that led to a state not seen before, carried on to the end.
//!
//! `KEYFERRY_RELIABILITY=all` tries all of it (hours), `3/16` the third of 16 parts of it;
//! otherwise a selection is spread over the whole.
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod cores;
mod crashes;
mod disk;
mod explore;
mod hsm_faults;
mod invariants;
mod lies;
mod media;
mod secrets;
mod short_writes;
mod tampering;
mod trace;
mod trial;
