//! Public halves of keys, as tokens show them and documents name them.

use cryptoki_sys::*;
use p256::elliptic_curve::sec1::ToSec1Point;
use rsa::BoxedUint;
use rsa::pkcs8::EncodePublicKey;
use rsa::traits::PublicKeyParts;
use x509_cert::der::Decode;
use x509_cert::der::asn1::OctetStringRef;

use crate::attribute::{Attribute, bytes, number};
use record::spki::PublicKey;
use record::{Error, KeyType, Result, Rule};

/// The one public exponent of every RSA key that Keyferry handles, 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// The public half of a key, with the one encoding of it that documents have.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicHalf {
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// The key; one that a token shows may have any exponent.
    pub key: PublicKey,
}

const REMEDY: &str =
    "ask its sender for the document again; it was not made by Keyferry, or was changed";

impl PublicHalf {
    /// Parses a SubjectPublicKeyInfo of any kind that a target key may have, in the only encoding
    /// of it; RSA with exponent 65537.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let key = PublicKey::parse(spki).map_err(|_| {
            rule.refuse(
                "a public key of another kind or encoding",
                "the DER SubjectPublicKeyInfo of an RSA key with exponent 65537, or of one on P-256 or P-384",
                REMEDY,
            )
        })?;
        Ok(PublicHalf { spki: spki.to_vec(), key })
    }

    /// As [`PublicHalf::of_spki`], of an RSA key only.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn rsa_of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let key = PublicHalf::of_spki(spki, rule)?;
        match key.kind() {
            KeyType::Rsa(_) => Ok(key),
            KeyType::Ec(_) => Err(rule.refuse(
                "an EC public key",
                "an RSA public key with exponent 65537",
                REMEDY,
            )),
        }
    }

    /// The public half of an RSA key, in the form that a token takes.
    ///
    /// # Errors
    /// [`Error::Failed`] where it does not encode.
    pub fn of_rsa(key: rsa::PublicKey) -> Result<Self> {
        let spki = key.to_public_key_der().map_err(Error::defect)?.into_vec();
        Ok(PublicHalf { spki, key: PublicKey::Rsa(key) })
    }

    /// The RSA key of these numbers; `None` where it is no RSA public key.
    pub fn of_parts(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let number = BoxedUint::from_be_slice_vartime;
        let (modulus, exponent) = (number(trimmed(modulus)), number(trimmed(exponent)));
        PublicHalf::of_rsa(rsa::PublicKey::new(modulus, exponent).ok()?).ok()
    }

    /// The EC key of CKA_EC_PARAMS and CKA_EC_POINT (PKCS#11 v3.1, 6.3.3): a named curve, and a DER
    /// OCTET STRING or the bare point.
    pub fn of_point(params: &[u8], point: &[u8]) -> Option<Self> {
        let bits = [256, 384].into_iter().find(|bits| curve_params(*bits) == params)?;
        let inner = <&OctetStringRef>::from_der(point).map(OctetStringRef::as_bytes).ok();
        // A bare point can look like another OCTET STRING.
        let inner = inner.filter(|inner| inner.len() == 1 + 2 * (bits as usize / 8));
        let point = inner.unwrap_or(point);
        let spki = match bits {
            256 => p256::PublicKey::from_sec1_bytes(point).ok()?.to_public_key_der(),
            _ => p384::PublicKey::from_sec1_bytes(point).ok()?.to_public_key_der(),
        };
        // A compressed point is another encoding of the same key.
        PublicHalf::of_spki(spki.ok()?.as_bytes(), Rule::TargetKey).ok()
    }

    /// Its kind and size.
    pub fn kind(&self) -> KeyType {
        self.key.kind()
    }

    /// The size of the modulus or of the field, in bits.
    pub fn bits(&self) -> u32 {
        match self.kind() {
            KeyType::Rsa(bits) | KeyType::Ec(bits) => bits,
        }
    }

    /// The RSA key that it is.
    ///
    /// # Errors
    /// [`Error::Failed`] for an EC key.
    pub fn rsa(&self) -> Result<&rsa::PublicKey> {
        match &self.key {
            PublicKey::Rsa(key) => Ok(key),
            _ => Err(Error::defect("an EC key in the place of a KEK")),
        }
    }

    /// Whether it is the one public exponent that Keyferry handles; an EC key has none.
    pub fn exponent_fits(&self) -> bool {
        match &self.key {
            PublicKey::Rsa(key) => *key.e_bytes() == EXPONENT,
            _ => true,
        }
    }

    /// What it is, for people.
    pub fn described(&self) -> String {
        match &self.key {
            PublicKey::Rsa(key) => {
                let (bits, exponent) = (self.bits(), key.e_bytes());
                format!("an RSA key of {bits} bits with exponent {exponent:02x?}")
            }
            _ => format!("an EC key on P-{}", self.bits()),
        }
    }

    /// The attributes that name the key on a token.
    pub fn attributes(&self) -> [Attribute; 2] {
        let point = match &self.key {
            PublicKey::Rsa(key) => {
                let (modulus, exponent) = (key.n_bytes(), key.e_bytes());
                return [bytes(CKA_MODULUS, &modulus), bytes(CKA_PUBLIC_EXPONENT, &exponent)];
            }
            PublicKey::P256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            PublicKey::P384(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        };
        // An OCTET STRING: one byte of length, of two coordinates and the byte before.
        let string = [&[0x04, point.len() as u8], point.as_slice()].concat();
        [bytes(CKA_EC_PARAMS, &curve_params(self.bits())), bytes(CKA_EC_POINT, &string)]
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

/// A big-endian number without the zeros that some tokens put before it.
pub(super) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_has_one_encoding() {
        let modulus = [0xC3; 256];
        let key = PublicHalf::of_parts(&[&[0, 0], &modulus[..]].concat(), &[0, 1, 0, 1]).unwrap();
        assert_eq!(key.kind(), KeyType::Rsa(2048));
        assert!(PublicHalf::of_spki(&key.spki, Rule::KekKey).is_ok());

        let mut trailing = key.spki.clone();
        trailing.push(0);
        let other = PublicHalf::of_parts(&modulus, &[3]).unwrap();
        assert!(key.exponent_fits() && !other.exponent_fits());
        for wrong in [&trailing[..], &other.spki, &key.spki[1..], b""] {
            let refused = PublicHalf::of_spki(wrong, Rule::KekKey).err().unwrap();
            assert_eq!(refused.rule(), Some(Rule::KekKey));
        }
    }
}
