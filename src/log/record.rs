//! Keys, shares and files as entries of the log name them.

use serde::{Deserialize, Serialize};

use crate::{
    encoding::{CkaId, Hash},
    plan::Id,
};

/// Which KEK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KekRecord {
    /// Its CKA_ID.
    pub id: CkaId,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fingerprint: Hash,
}

/// Which target key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// SHA-256 of its certificate.
    pub certificate: Hash,
    /// Whether this step made it, or found it.
    pub made: bool,
}

/// Which share file went to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The custodian.
    pub custodian: Id,
    /// SHA-256 of the age file.
    pub file: Hash,
}

/// A wrapped key, as a cloud service is given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudFile {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of the file.
    pub file: Hash,
}

/// A file that somebody fetched from a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// The node.
    pub node: Id,
    /// SHA-256 of the file.
    pub file: Hash,
    /// Who fetched it.
    pub fetched_by: Id,
    /// Where in the network they stood.
    pub fetched_from: String,
}
