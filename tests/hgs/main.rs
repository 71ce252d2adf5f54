//! Host Guardian Service: nodes and what they prove, their metadata, the scripts that run on them,
//! and a model of the whole cluster.
#[path = "../common/mod.rs"]
mod common;
mod metadata;
mod model;
mod nodes;
#[path = "../people/mod.rs"]
mod people;
mod scripts;
