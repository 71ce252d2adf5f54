//! What several documents and log entries say in the same words.

use serde::{Deserialize, Serialize};

use crate::{
    encoding::Hash,
    plan::{Plan, Way},
};

/// How a target key is wrapped (design, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// One C_WrapKey with CKM_RSA_AES_KEY_WRAP (PKCS#11 v3.1, 6.1.27).
    SingleShot,
    /// An ephemeral AES-256 key made in the HSM: AES-KWP of the target under it, RSA-OAEP of it
    /// under the KEK.
    Composite,
}

/// The hash of RSA-OAEP and of its MGF1 (RFC 8017, 7.1); the label is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OaepHash {
    /// SHA-256, the default.
    Sha256,
    /// SHA-1, for tokens that can do no other; needs the waiver `WRAP-OAEP-SHA1`.
    Sha1,
}

/// What a token's AES key wrap with padding was seen to do with a throwaway key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KwpFlavour {
    /// RFC 5649 over exactly the DER bytes.
    Rfc5649,
    /// RFC 5649 over the DER bytes filled with zeros to a multiple of 8.
    Rfc5649ZeroFilled,
}

/// What was observed by opening in software what the token wrapped, or the reverse: never what it
/// claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The OAEP hash that really was used.
    pub oaep_hash: OaepHash,
    /// The AES key wrap that really was used.
    pub kwp: KwpFlavour,
}

/// Which token it was, as its module says: a claim, not evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenIdentity {
    /// CK_TOKEN_INFO.manufacturerID, trimmed.
    pub manufacturer: String,
    /// CK_TOKEN_INFO.model, trimmed.
    pub model: String,
    /// CK_TOKEN_INFO.serialNumber, trimmed.
    pub serial: String,
    /// CK_TOKEN_INFO.firmwareVersion, as `major.minor`.
    pub firmware: String,
    /// CK_TOKEN_INFO.label, trimmed.
    pub label: String,
}

/// One attribute of an object as read back in a new session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadBack {
    /// The PKCS#11 name, such as `CKA_EXTRACTABLE`.
    pub attribute: String,
    /// `true`, `false`, `absent`, or for lists their members.
    pub value: String,
}

/// Whether attributes were read back as they must be. It holds a sender to its word; the word is
/// the module's.
///
/// # Errors
/// What was found and what was expected.
pub fn require(found: &[ReadBack], required: &[(&str, &str)]) -> Result<(), (String, String)> {
    for (attribute, value) in required {
        let read = found.iter().find(|read| read.attribute == *attribute);
        if read.is_none_or(|read| read.value != *value) {
            let found = read.map_or("not read", |read| read.value.as_str());
            return Err((
                format!("{attribute} {}", crate::escape::escape(found)),
                format!("{attribute} {value}"),
            ));
        }
    }
    Ok(())
}

/// A KEK is named where there was one, and only there.
///
/// # Errors
/// What was found and what was expected.
pub fn check_kek(kek: Option<Hash>, plan: &Plan) -> Result<(), (String, String)> {
    match (kek, plan.way) {
        (Some(_), Way::Carried | Way::Brought) | (None, Way::Born | Way::Cloud) => Ok(()),
        (None, Way::Carried | Way::Brought) => {
            Err(("no KEK".into(), "the KEK of this ceremony".into()))
        }
        (Some(kek), Way::Born | Way::Cloud) => {
            Err((format!("the KEK {kek}"), "none: there was no KEK".into()))
        }
    }
}
