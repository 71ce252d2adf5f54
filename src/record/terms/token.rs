//! What a token says of itself and of an object: claims, not evidence.

use crate::strict_json;
use crate::terms::{Fits, differs};

/// Which token it was, as its module says: a claim, not evidence.
#[strict_json]
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

impl std::fmt::Display for TokenIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, serial {}", self.manufacturer, self.model, self.serial)
    }
}

/// One attribute of an object as read back in a new session.
#[strict_json]
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
pub fn require(found: &[ReadBack], required: &[(&str, &str)]) -> Fits {
    for (attribute, value) in required {
        let mut all = found.iter().filter(|read| read.attribute == *attribute);
        let read = all.next();
        if all.next().is_some() {
            return differs(format!("{attribute} twice"), "each attribute once");
        }
        if read.is_none_or(|read| read.value != *value) {
            let found = read.map_or("not read", |read| read.value.as_str());
            let found = crate::escape::escape(found);
            return differs(format!("{attribute} {found}"), format!("{attribute} {value}"));
        }
    }
    Ok(())
}
