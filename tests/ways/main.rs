//! Whole ceremonies of every way that keys come to where they are used, and of what a plan may ask
//! for: carried, born at the hoster, brought by another tool, for a cloud; the next year's, a
//! trial's, with an HSM's attestation.
mod attestation;
mod born;
mod brought;
mod ceremony;
mod cloud;
#[path = "../common/mod.rs"]
mod common;
mod ec;
mod file_systems;
#[path = "../people/mod.rs"]
mod people;
mod renewal;
mod source;
mod trial;
