//! Keyferry carries a tenant's private keys from the tenant's HSM to the hoster's HSM, offline, in
//! front of witnesses, and makes them the hoster's primary keys. This is the map, in reading order;
//! arrows point one way: domain ← steps ← programs.
//!
//! **The domain** reads and writes through [`folder`] and [`log`].
//!
//! | module | what lives there |
//! |---|---|
//! | [`rule`], [`error`], [`escape`](mod@escape) | every named rule; how a command ends that does not end well; foreign text made harmless |
//! | [`encoding`], [`fingerprint`] | the one way bytes are joined and hashed; the words that people compare |
//! | [`plan`] | who, what, how many, which rules are waived: parsed into types that cannot be wrong |
//! | [`log`], [`phase`] | the hash-chained record; one table of which step may follow which |
//! | [`probe`] | what a token was seen to do, and what that foretells of a plan |
//! | [`preflight`] | what a machine must be like for keys that matter, judged from what the kernel says |
//! | [`document`] | what crosses between the sides, one file per document |
//! | [`signature`] | signatures of people |
//! | [`room`] | what people put into the record by hand; bags that must come back as they left |
//! | [`spki`], `certificate`, [`proof`] | public keys and certificates; the proof that it is the same key |
//! | [`attestation`] | what an HSM's vendor says of a key |
//! | [`node`] | what the hosts of the service are told, and what they prove |
//! | [`target`] | how a key becomes primary: one file per kind of service |
//! | [`wrapped_key`], [`share`], `seal` | the two locks: the KEK's, and the custodians' |
//!
//! **The steps**
//!
//! | module | what lives there |
//! |---|---|
//! | `hsm` | one token: sessions, objects, attributes, wraps; `raw.rs` holds every `unsafe` |
//! | [`ceremony`] | one side's folder: what is begun, finished, taken, settled after a crash |
//! | [`approval`] | a gate: `program/gates.rs` has a step ask (`approval::require`, before any PIN), and the step holds what it is about to do against what was signed for (`Approved::covers`); `approval/subject.rs` is all that officers ever sign for |
//! | [`side`], `tenant`, `hoster` | one file per step |
//! | `custodian` | identities and share files |
//! | [`guide`] | the numbered steps of a side, and what people read of them, by language |
//! | `paper` | QR codes, lines that people type, pages |
//! | [`audit`] | a whole ceremony, verified from its documents; one file, explained |
//!
//! **The programs**: [`terminal`], [`report`], [`hardening`], [`manual`], `program`, and four thin
//! ones in `src/bin/`.

// One file may: hsm/raw.rs.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod approval;
pub mod attestation;
pub mod audit;
pub mod ceremony;
#[cfg(feature = "hsm")]
pub mod certificate;
#[cfg(feature = "custody")]
pub mod custodian;
pub mod document;
pub mod encoding;
pub mod error;
pub mod escape;
pub mod fingerprint;
pub mod folder;
pub mod guide;
pub mod hardening;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod hoster;
#[cfg(feature = "hsm")]
pub mod hsm;
pub mod log;
pub mod manual;
pub mod node;
#[cfg(feature = "custody")]
pub mod paper;
pub mod phase;
pub mod plan;
pub mod preflight;
pub mod probe;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod program;
pub mod proof;
pub mod report;
pub mod room;
pub mod rule;
#[cfg(feature = "custody")]
pub mod seal;
pub mod share;
pub mod side;
pub mod signature;
pub mod spki;
pub mod target;
#[cfg(all(feature = "hsm", feature = "custody"))]
pub mod tenant;
pub mod terminal;
pub mod wrapped_key;

pub use error::{Error, Refusal, Result};
