//! placeholder until the custody branch is merged
use crate::encoding::Hash;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareListing {
    pub custodian: String,
    pub x: u8,
    pub commitment: Hash,
    pub confirm: Hash,
    pub file: Hash,
}
