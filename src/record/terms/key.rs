//! What keys are, and how they are wrapped and attested.

use std::fmt;

use crate::strict_json;
use crate::terms::list_or;

named! {
    /// A level of HSM attestation, the least first: what a plan asks for, and what was reached.
    #[derive(Default)]
    pub enum AttestationLevel {
        /// People watched.
        #[default]
        Witnessed = "witnessed",
        /// The vendor attests where the key was made.
        Origin = "origin",
        /// The vendor attests where it was made and what it may do.
        OriginAndUsage = "origin-and-usage",
    }
}

impl AttestationLevel {
    /// The level in words.
    pub fn said(self) -> &'static str {
        match self {
            AttestationLevel::Witnessed => "witnessed only",
            AttestationLevel::Origin => "origin attested",
            AttestationLevel::OriginAndUsage => "origin and usage attested",
        }
    }
}

named! {
    /// What a target key is for.
    pub enum Role {
        /// Signs; proves itself by a signature.
        Signing = "signing",
        /// Decrypts; proves itself by an answer to a challenge.
        Encryption = "encryption",
    }
}

/// The kind and size of a target key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// RSA with a modulus of 2048, 3072 or 4096 bits and e = 65537.
    Rsa(u32),
    /// P-256 or P-384, by its bits.
    Ec(u32),
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyType::Rsa(bits) => write!(f, "RSA-{bits}"),
            KeyType::Ec(bits) => write!(f, "P-{bits}"),
        }
    }
}

/// What the hoster's copy of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CKA_SIGN.
    pub sign: bool,
    /// CKA_DECRYPT.
    pub decrypt: bool,
}

named! {
    /// How a target key is wrapped (design, section 4.3).
    #[derive(Default)]
    pub enum Mechanism {
        /// One C_WrapKey with CKM_RSA_AES_KEY_WRAP (PKCS#11 v3.1, 6.1.27).
        #[default]
        SingleShot = "single-shot",
        /// An ephemeral AES-256 key made in the HSM: AES-KWP of the target under it, RSA-OAEP of it
        /// under the KEK.
        Composite = "composite",
    }
}

named! {
    /// The hash of RSA-OAEP and of its MGF1 (RFC 8017, 7.1); the label is empty.
    #[derive(Default)]
    pub enum OaepHash {
        /// SHA-256, the default.
        #[default]
        Sha256 = "sha256",
        /// SHA-1, for tokens that can do no other; needs the waiver `WRAP-OAEP-SHA1`.
        Sha1 = "sha1",
    }
}

named! {
    /// What a token's AES key wrap with padding was seen to do with a throwaway key.
    pub enum KwpFlavour {
        /// RFC 5649 over exactly the DER bytes.
        Rfc5649 = "rfc5649",
        /// RFC 5649 over the DER bytes filled with zeros to a multiple of 8.
        Rfc5649ZeroFilled = "rfc5649-zero-filled",
    }
}

/// What was observed by opening in software what the token wrapped, or the reverse: never what it
/// claims.
#[strict_json]
#[derive(Copy)]
pub struct Observed {
    /// The OAEP hash that really was used.
    pub oaep_hash: OaepHash,
    /// The AES key wrap that really was used.
    pub kwp: KwpFlavour,
}

/// A key that is, or was, primary in the service.
#[strict_json]
#[derive(PartialOrd, Ord)]
pub struct PrimaryKey {
    /// What it is primary for.
    pub role: Role,
    /// SHA-1 of its certificate, 40 upper-case hex characters: how Windows names it.
    pub thumbprint: String,
}

/// Primary keys for people.
pub fn shown(keys: &[PrimaryKey]) -> String {
    let one = |PrimaryKey { role, thumbprint }: &PrimaryKey| {
        format!("{role} {}", crate::escape::escape(thumbprint))
    };
    list_or("none", keys.iter().map(one))
}
