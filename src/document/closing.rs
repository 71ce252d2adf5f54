//! `closing`: the KEK is gone. The last document; carries the hoster's log.

use serde::{Deserialize, Serialize};

use super::{Body, Header, Kind, Listed, parts::TokenIdentity};
use crate::{encoding::Hash, log::LOG_FILE, plan::Plan};

/// What was destroyed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The KEK whose two halves are no longer found on the token.
    pub kek_fingerprint: Hash,
    /// The token that was looked at: a claim of the module, and silent about backups and clones.
    pub token: TokenIdentity,
    /// The hoster's log, up to the intent of this step.
    pub log: Listed,
}

impl Body for Closing {
    const KIND: Kind = Kind::Closing;

    fn files(&self) -> Vec<(String, Listed)> {
        vec![(LOG_FILE.to_owned(), self.log.clone())]
    }

    fn check(&self, _: &Header, _: &Plan) -> Result<(), (String, String)> {
        Ok(())
    }
}
