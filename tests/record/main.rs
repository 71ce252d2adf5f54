//! The record, in process and without an HSM: plans, signatures, quorums, documents, parsers, the
//! kept ceremonies, and what the pages claim.
mod arrows;
mod bodies;
mod changes;
mod claims;
#[path = "../common/mod.rs"]
mod common;
mod entries;
mod fields;
mod order;
mod parsers;
#[path = "../people/mod.rs"]
mod people;
mod plan;
mod quorum;
mod replayed;
mod rules;
mod signature;
