//! `acceptance`: the tenant has verified every proof; the KEK may go. Carries the tenant's log.

use serde::{Deserialize, Serialize};

use super::{Body, Header, Kind, Listed};
use crate::{
    encoding::{Hash, PackageId},
    log::LOG_FILE,
    plan::Plan,
};

/// What the tenant accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The export that it is about.
    pub package_id: PackageId,
    /// SHA-256 of the receipt whose proofs hold.
    pub receipt: Hash,
    /// The KEK that may be destroyed now.
    pub kek_fingerprint: Hash,
    /// The tenant's log, up to the intent of this step.
    pub log: Listed,
}

impl Body for Acceptance {
    const KIND: Kind = Kind::Acceptance;

    fn files(&self) -> Vec<(String, Listed)> {
        vec![(LOG_FILE.to_owned(), self.log.clone())]
    }

    fn check(&self, _: &Header, _: &Plan) -> Result<(), (String, String)> {
        Ok(())
    }
}
