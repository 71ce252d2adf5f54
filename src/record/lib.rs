//! The record of a ceremony: everything that an auditor reads. It touches files through
//! [`folder`], and nothing else of the world: it can name no HSM, no share, no step, no terminal.
//!
//! In reading order; a module names only those above it (`tests/record/arrows.rs` holds that):
//!
//! | module | what lives there |
//! |---|---|
//! | [`escape`](mod@escape), [`rule`], [`error`] | foreign text made harmless; every named rule; how a command ends that does not end well |
//! | [`encoding`], [`fingerprint`] | the one way bytes are joined and hashed; the words that people compare |
//! | [`terms`] | small values that everyone names |
//! | [`command`] | what people are told to type |
//! | [`folder`] | the one door to the disk |
//! | [`text`](mod@text) | what editors, shells and mail programs do to a text |
//! | [`plan`] | who, what, how many, which rules are waived: parsed into types that cannot be wrong |
//! | [`signature`] | signatures of people |
//! | [`layout`] | what lies where in a ceremony folder |
//! | [`spki`], [`attestation`], [`proof`], [`share`] | public keys and certificates; what an HSM's vendor says of a key; the proof that it is the same key; shares as they are listed |
//! | [`log`] | the hash-chained log |
//! | [`gate`] | all that officers ever sign for |
//! | [`service`] | what the nodes of the service are told, and what they prove |
//! | [`document`] | what crosses between the sides, one file per document |
//! | [`flow`] | one table of which step may follow which, and a log replayed by it |
//! | [`verify`] | a whole ceremony, verified from its documents |

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod attestation;
pub mod command;
pub mod document;
pub mod encoding;
pub mod error;
pub mod escape;
pub mod fingerprint;
pub mod flow;
pub mod folder;
pub mod gate;
pub mod layout;
pub mod log;
pub mod plan;
pub mod proof;
pub mod rule;
pub mod service;
pub mod share;
pub mod signature;
pub mod spki;
pub mod terms;
pub mod text;
pub mod verify;

// What everyone names, by the crate's own name.
pub use command::{Program, with_commands};
pub use document::{Received, Released};
pub use encoding::{Blob, CkaId, Fixed, Hash, PackageId, json_file};
pub use error::{Error, Refusal, Result};
pub use escape::{escape, json, quote};
pub use flow::{Phase, State};
pub use log::{Entry, Event, LOG_FILE};
pub use plan::{KeyPlan, PLAN_FILE, Plan, ServicePlan};
pub use proof::key_set::KeySet;
pub use rule::Rule;
pub use signature::Signed;
use strict_json::strict_json;
pub use terms::*;
