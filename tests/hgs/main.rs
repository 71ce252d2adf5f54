//! Host Guardian Service: nodes and what they prove, their metadata, and the scripts that run on
//! them.
#[path = "../common/mod.rs"]
mod common;
mod evidence;
mod metadata;
mod nodes;
#[path = "../people/mod.rs"]
mod people;
mod scripts;
