//! What an HSM's vendor says of a key: a certificate that the HSM itself has signed, with a chain
//! to a root that the plan pins. Everything else that Keyferry knows of a key in an HSM is its
//! module's word.

mod chain;
mod yubihsm;

use jiff::Timestamp;

use crate::{AttestationLevel, Error, Hash, Result, Rule, Usage, with_commands};

/// The greatest size of an attestation, and of what a vendor's tool said of one, in bytes.
pub const MAX_ATTESTATION: u64 = 64 << 10;

/// What a key is for, which its attested usage must not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It unwraps, and does nothing else.
    Kek,
    /// It does what the plan says.
    Target(Usage),
}

/// What an attestation proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assurance {
    /// Its level.
    pub level: AttestationLevel,
    /// In words, for every record: foreign text in it is escaped.
    pub what: String,
}

/// Judges a PEM chain, the key's own certificate first, the root last, as it was valid at a time.
///
/// A chain without a statement about the key's origin proves no more than that people watched.
///
/// # Errors
/// `ATTESTATION-FORMAT`, `ATTESTATION-CHAIN`, `ATTESTATION-ROOT`; `ATTESTATION-KEY` where it is
/// about another key; `ATTESTATION-ORIGIN` and `ATTESTATION-USAGE` where what it says of the key
/// contradicts the ceremony.
pub fn judge(
    pem: &[u8],
    spki: &[u8],
    purpose: Purpose,
    at: Timestamp,
    roots: &[Hash],
) -> Result<Assurance> {
    let chain = chain::Chain::parse(pem)?;
    chain.verify(at, roots)?;
    let found = chain.key()?;
    if found != spki {
        let found = format!("about the key {}", Hash::of(&found));
        return Err(attestation_error(Rule::AttestationKey, found, Hash::of(spki).to_string()));
    }
    let (level, what) = yubihsm::judge(chain.leaf(), purpose)?;
    Ok(Assurance { level, what: format!("{what}, by a chain to the root {}", chain.root) })
}

fn attestation_error(rule: Rule, found: impl Into<String>, expected: impl Into<String>) -> Error {
    rule.refuse(
        crate::escape::escape(&format!("an attestation: {}", found.into())),
        expected,
        with_commands("make the attestation again with the vendor's tool, for the key that is named; look at it: `{openssl x509 -in FILE -text}`"),
    )
}
