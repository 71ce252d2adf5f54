//! Public keys as tokens show them and documents name them.

use cryptoki_sys::*;
use p256::elliptic_curve::sec1::ToSec1Point;
use rsa::{BoxedUint, pkcs8::EncodePublicKey, traits::PublicKeyParts};

use crate::attribute::{Attribute, bytes, number};
use record::{Result, rule::Rule, spki, terms::KeyType};

/// The one public exponent of every RSA key that Keyferry handles, 65537.
pub(super) const EXPONENT: [u8; 3] = [1, 0, 1];

/// A public key: its SubjectPublicKeyInfo, and the numbers that name it on a token.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub spki: Vec<u8>,
    pub numbers: Numbers,
}

/// What a token shows of a public key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Big-endian without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8>, bits: u32 },
    /// The uncompressed point on the curve of this many bits (SEC 1, 2.3.3).
    Ec { bits: u32, point: Vec<u8> },
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo of any kind that a target key may have, in the only encoding
    /// of it; RSA with exponent 65537.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let numbers = match spki::PublicKey::parse(spki) {
            Ok(spki::PublicKey::Rsa(key)) => rsa_numbers(&key.n_bytes(), &key.e_bytes()),
            Ok(spki::PublicKey::P256(key)) => {
                Some(Numbers::Ec { bits: 256, point: key.to_sec1_point(false).as_bytes().to_vec() })
            }
            Ok(spki::PublicKey::P384(key)) => {
                Some(Numbers::Ec { bits: 384, point: key.to_sec1_point(false).as_bytes().to_vec() })
            }
            Err(_) => None,
        };
        let key = numbers.map(|numbers| PublicKey { spki: spki.to_vec(), numbers });
        key.ok_or_else(|| {
            rule.refuse(
                "a public key of another kind or encoding",
                "the DER SubjectPublicKeyInfo of an RSA key with exponent 65537, or of one on P-256 or P-384",
                "ask its sender for the document again; it was not made by Keyferry, or was changed",
            )
        })
    }

    /// As [`PublicKey::of_spki`], of an RSA key only.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn rsa_of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let key = PublicKey::of_spki(spki, rule)?;
        match key.kind() {
            KeyType::Rsa(_) => Ok(key),
            KeyType::Ec(_) => Err(rule.refuse(
                "an EC public key",
                "an RSA public key with exponent 65537",
                "ask its sender for the document again; it was not made by Keyferry, or was changed",
            )),
        }
    }

    /// The RSA key of these numbers; `None` where it is no RSA public key.
    pub fn of_parts(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = rsa::PublicKey::new(
            BoxedUint::from_be_slice_vartime(trimmed(modulus)),
            BoxedUint::from_be_slice_vartime(trimmed(exponent)),
        )
        .ok()?;
        Some(PublicKey {
            spki: key.to_public_key_der().ok()?.into_vec(),
            numbers: rsa_numbers(modulus, exponent)?,
        })
    }

    /// The EC key of CKA_EC_PARAMS and CKA_EC_POINT (PKCS#11 v3.1, 6.3.3): a named curve, and a DER
    /// OCTET STRING or the bare point.
    pub fn of_point(params: &[u8], point: &[u8]) -> Option<Self> {
        let bits = [256, 384].into_iter().find(|bits| curve_params(*bits) == params)?;
        let length = 1 + 2 * (bits as usize / 8);
        let point = match point {
            [0x04, count, inner @ ..] if usize::from(*count) == length && inner.len() == length => {
                inner
            }
            bare => bare,
        };
        let spki = match bits {
            256 => p256::PublicKey::from_sec1_bytes(point).ok()?.to_public_key_der(),
            _ => p384::PublicKey::from_sec1_bytes(point).ok()?.to_public_key_der(),
        };
        let spki = spki.ok()?.into_vec();
        // A compressed point is another encoding of the same key.
        PublicKey::of_spki(&spki, Rule::TargetKey).ok()
    }

    /// Its kind and size.
    pub fn kind(&self) -> KeyType {
        match &self.numbers {
            Numbers::Rsa { bits, .. } => KeyType::Rsa(*bits),
            Numbers::Ec { bits, .. } => KeyType::Ec(*bits),
        }
    }

    /// The size of the modulus or of the field, in bits.
    pub fn bits(&self) -> u32 {
        match self.kind() {
            KeyType::Rsa(bits) | KeyType::Ec(bits) => bits,
        }
    }

    /// Whether it is the one public exponent that Keyferry handles; an EC key has none.
    pub fn exponent_fits(&self) -> bool {
        match &self.numbers {
            Numbers::Rsa { exponent, .. } => *exponent == EXPONENT,
            Numbers::Ec { .. } => true,
        }
    }

    /// What it is, for people.
    pub fn described(&self) -> String {
        match &self.numbers {
            Numbers::Rsa { bits, exponent, .. } => {
                format!("an RSA key of {bits} bits with exponent {exponent:02x?}")
            }
            Numbers::Ec { bits, .. } => format!("an EC key on P-{bits}"),
        }
    }

    /// The attributes that name the key on a token.
    pub fn attributes(&self) -> [Attribute; 2] {
        match &self.numbers {
            Numbers::Rsa { modulus, exponent, .. } => {
                [bytes(CKA_MODULUS, modulus), bytes(CKA_PUBLIC_EXPONENT, exponent)]
            }
            Numbers::Ec { bits, point } => {
                // An OCTET STRING: one byte of length, of two coordinates and the byte before.
                let length = if *bits == 256 { 65 } else { 97 };
                [
                    bytes(CKA_EC_PARAMS, &curve_params(*bits)),
                    bytes(CKA_EC_POINT, &[&[0x04, length], point.as_slice()].concat()),
                ]
            }
        }
    }
}

/// CKA_KEY_TYPE of a kind of key.
pub(super) fn key_type(kind: KeyType) -> Attribute {
    number(
        CKA_KEY_TYPE,
        match kind {
            KeyType::Rsa(_) => CKK_RSA,
            KeyType::Ec(_) => CKK_EC,
        },
    )
}

/// What the public half's template says of the kind of key that is to be made, and by which
/// mechanism.
pub(super) fn generation(kind: KeyType) -> (CK_MECHANISM_TYPE, Vec<Attribute>) {
    match kind {
        KeyType::Rsa(bits) => (
            CKM_RSA_PKCS_KEY_PAIR_GEN,
            vec![number(CKA_MODULUS_BITS, bits.into()), bytes(CKA_PUBLIC_EXPONENT, &EXPONENT)],
        ),
        KeyType::Ec(bits) => (CKM_EC_KEY_PAIR_GEN, vec![bytes(CKA_EC_PARAMS, &curve_params(bits))]),
    }
}

/// The named curve in DER: prime256v1 or secp384r1 (RFC 5480, 2.1.1.1).
pub(super) fn curve_params(bits: u32) -> Vec<u8> {
    match bits {
        256 => vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        _ => vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
    }
}

fn rsa_numbers(modulus: &[u8], exponent: &[u8]) -> Option<Numbers> {
    let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
    Some(Numbers::Rsa {
        bits: 8 * u32::try_from(modulus.len()).ok()? - modulus.first()?.leading_zeros(),
        modulus: modulus.to_vec(),
        exponent: exponent.to_vec(),
    })
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_has_one_encoding() {
        let modulus = [0xC3; 256];
        let key = PublicKey::of_parts(&[&[0, 0], &modulus[..]].concat(), &[0, 1, 0, 1]).unwrap();
        assert_eq!(key.kind(), KeyType::Rsa(2048));
        assert!(PublicKey::of_spki(&key.spki, Rule::KekKey).is_ok());

        let mut trailing = key.spki.clone();
        trailing.push(0);
        let other = PublicKey::of_parts(&modulus, &[3]).unwrap();
        for wrong in [&trailing[..], &other.spki, &key.spki[1..], b""] {
            let refused = PublicKey::of_spki(wrong, Rule::KekKey).err().unwrap();
            assert_eq!(refused.rule(), Some(Rule::KekKey));
        }
    }
}
