//! Finding, reading and destroying the objects of a token, and public keys as both sides name them.

use cryptoki::session::Session;
use cryptoki_sys::*;
use p256::elliptic_curve::sec1::ToSec1Point;
use rsa::BoxedUint;
use rsa::pkcs8::EncodePublicKey;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256};

use super::Hsm;
use super::attribute::{Attribute, Value, bytes, flag, found, number};
use super::packed::Call;
use super::raw::Object;
use crate::encoding::{self, enc};
use crate::plan::KeyType;
use crate::rule::Rule;
use crate::spki;
use crate::{Error, Result};

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
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
        bits: u32,
    },
    /// The uncompressed point on the curve of this many bits (SEC 1, 2.3.3).
    Ec { bits: u32, point: Vec<u8> },
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo of any kind that a target key may have, in the only encoding of it; RSA with exponent 65537.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let numbers = match spki::PublicKey::parse(spki) {
            Ok(spki::PublicKey::Rsa(key)) => rsa_numbers(&key.n_bytes(), &key.e_bytes()),
            Ok(spki::PublicKey::P256(key)) => Some(Numbers::Ec {
                bits: 256,
                point: key.to_sec1_point(false).as_bytes().to_vec(),
            }),
            Ok(spki::PublicKey::P384(key)) => Some(Numbers::Ec {
                bits: 384,
                point: key.to_sec1_point(false).as_bytes().to_vec(),
            }),
            Err(_) => None,
        };
        let key = numbers.map(|numbers| PublicKey {
            spki: spki.to_vec(),
            numbers,
        });
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

    /// The EC key of CKA_EC_PARAMS and CKA_EC_POINT (PKCS#11 v3.1, 6.3.3): a named curve, and a DER OCTET STRING or the bare point.
    fn of_point(params: &[u8], point: &[u8]) -> Option<Self> {
        let bits = [256, 384]
            .into_iter()
            .find(|bits| curve_params(*bits) == params)?;
        let length = 1 + 2 * (bits as usize / 8);
        let point = match point {
            [0x04, count, inner @ ..] if usize::from(*count) == length && inner.len() == length => {
                inner
            }
            bare => bare,
        };
        let spki = match bits {
            256 => p256::PublicKey::from_sec1_bytes(point)
                .ok()?
                .to_public_key_der(),
            _ => p384::PublicKey::from_sec1_bytes(point)
                .ok()?
                .to_public_key_der(),
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
            Numbers::Rsa {
                modulus, exponent, ..
            } => [
                bytes(CKA_MODULUS, modulus),
                bytes(CKA_PUBLIC_EXPONENT, exponent),
            ],
            Numbers::Ec { bits, point } => {
                // An OCTET STRING of at most 97 bytes: one byte of length.
                let length = u8::try_from(point.len()).unwrap_or(u8::MAX);
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

/// What the public half's template says of the kind of key that is to be made, and by which mechanism.
pub(super) fn generation(kind: KeyType) -> (CK_MECHANISM_TYPE, Vec<Attribute>) {
    match kind {
        KeyType::Rsa(bits) => (
            CKM_RSA_PKCS_KEY_PAIR_GEN,
            vec![
                number(CKA_MODULUS_BITS, bits.into()),
                bytes(CKA_PUBLIC_EXPONENT, &EXPONENT),
            ],
        ),
        KeyType::Ec(bits) => (
            CKM_EC_KEY_PAIR_GEN,
            vec![bytes(CKA_EC_PARAMS, &curve_params(bits))],
        ),
    }
}

/// The named curve in DER: prime256v1 or secp384r1 (RFC 5480, 2.1.1.1).
fn curve_params(bits: u32) -> Vec<u8> {
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

/// A rule that an object misses: what was found and what was expected of it.
pub(super) struct Miss {
    pub rule: Rule,
    pub found: String,
    pub expected: String,
}

impl Miss {
    /// An attribute that is not what it must be.
    pub fn attribute(rule: Rule, wanted: &Attribute, value: Option<&Value>) -> Self {
        Miss {
            rule,
            found: found(wanted.kind, value),
            expected: wanted.to_string(),
        }
    }

    /// The refusal for it.
    pub fn refuse(self, remedy: &str) -> Error {
        self.rule.refuse(self.found, self.expected, remedy)
    }
}

/// The classes of the objects that Keyferry makes under one CKA_ID.
pub(super) fn of_class(class: CK_OBJECT_CLASS, id: &[u8]) -> [Attribute; 2] {
    [number(CKA_CLASS, class), bytes(CKA_ID, id)]
}

/// A public key object from its numbers: a claim about nothing, so every usage but `usages` is false.
pub(super) fn public_key(key: &PublicKey, token: bool, usages: &[Attribute]) -> Vec<Attribute> {
    let mut template = vec![number(CKA_CLASS, CKO_PUBLIC_KEY), key_type(key.kind())];
    template.extend(public_usage(token, usages));
    template.extend(key.attributes());
    template
}

/// The attributes of a public key, with these usages and no others.
pub(super) fn public_usage(token: bool, usages: &[Attribute]) -> Vec<Attribute> {
    let mut template = vec![flag(CKA_TOKEN, token), flag(CKA_PRIVATE, false)];
    for kind in [
        CKA_ENCRYPT,
        CKA_VERIFY,
        CKA_VERIFY_RECOVER,
        CKA_WRAP,
        CKA_DERIVE,
    ] {
        let wanted = flag(kind, true);
        template.push(flag(kind, usages.contains(&wanted)));
    }
    template
}

impl Hsm<'_> {
    /// Reads each attribute in the shape of the one wanted.
    pub(super) fn read_all(
        &self,
        session: &Session,
        object: Object,
        wanted: &[Attribute],
    ) -> Result<Vec<Option<Value>>> {
        (wanted.iter())
            .map(|wanted| self.raw().read(session, object, wanted))
            .collect()
    }

    /// The first attribute that is not as wanted.
    pub(super) fn first_miss(
        &self,
        session: &Session,
        object: Object,
        wanted: &[Attribute],
        rule: Rule,
    ) -> Result<Option<Miss>> {
        for (wanted, value) in wanted.iter().zip(self.read_all(session, object, wanted)?) {
            if !value
                .as_ref()
                .is_some_and(|value| value.same(&wanted.value))
            {
                return Ok(Some(Miss::attribute(rule, wanted, value.as_ref())));
            }
        }
        Ok(None)
    }

    /// The public key that an object shows: RSA keys of either half, EC keys of the public half. `None` where it shows none.
    pub(super) fn public_key_of(
        &self,
        session: &Session,
        object: Object,
    ) -> Result<Option<PublicKey>> {
        let read = |kind| self.raw().read(session, object, &bytes(kind, &[]));
        let kind = self
            .raw()
            .read(session, object, &number(CKA_KEY_TYPE, CKK_RSA))?;
        let (first, second) = match kind {
            Some(Value::Number(CKK_RSA)) => (read(CKA_MODULUS)?, read(CKA_PUBLIC_EXPONENT)?),
            Some(Value::Number(CKK_EC)) => (read(CKA_EC_PARAMS)?, read(CKA_EC_POINT)?),
            _ => return Ok(None),
        };
        Ok(match (kind, first, second) {
            (
                Some(Value::Number(CKK_RSA)),
                Some(Value::Bytes(modulus)),
                Some(Value::Bytes(exponent)),
            ) => PublicKey::of_parts(&modulus, &exponent),
            (_, Some(Value::Bytes(params)), Some(Value::Bytes(point))) => {
                PublicKey::of_point(&params, &point)
            }
            _ => None,
        })
    }

    /// Whether a private or public object is half of this key. A private EC object shows no point: it must sign, a message of ours.
    pub(super) fn is_half_of(
        &self,
        session: &Session,
        object: Object,
        key: &PublicKey,
    ) -> Result<bool> {
        if let Some(shown) = self.public_key_of(session, object)? {
            return Ok(shown == *key);
        }
        let KeyType::Ec(bits) = key.kind() else {
            return Ok(false);
        };
        let wanted = [
            number(CKA_CLASS, CKO_PRIVATE_KEY),
            number(CKA_KEY_TYPE, CKK_EC),
            bytes(CKA_EC_PARAMS, &curve_params(bits)),
        ];
        if self
            .first_miss(session, object, &wanted, Rule::TargetKey)?
            .is_some()
        {
            return Ok(false);
        }
        let message = enc("keyferry/1 half", &[&encoding::random::<32>()?]);
        let digest = Sha256::digest(&message);
        let signature = self
            .raw()
            .sign(session, Call::Plain(CKM_ECDSA), object, &digest);
        // Another key of the token may not sign at all.
        Ok(signature.is_ok_and(|signature| spki::verifies(&key.spki, &message, &signature)))
    }

    /// Destroys every object of this id, then looks in a new session whether any is left. Nothing to destroy is success.
    ///
    /// # Errors
    /// Refuses by `rule` where something is left; [`Error::Hsm`] where the token cannot be searched.
    pub(super) fn erase(&self, id: &[u8], rule: Rule) -> Result<()> {
        let wanted = [bytes(CKA_ID, id)];
        let session = self.session()?;
        let mut refusals = Vec::new();
        for object in self.raw().find(&session, &wanted)? {
            // What counts is whether the object is there afterwards.
            if let Err(error) = self.raw().destroy(&session, object) {
                refusals.push(error.to_string());
            }
        }
        drop(session);
        let left = self.raw().find(&self.session()?, &wanted)?.len();
        if left == 0 {
            return Ok(());
        }
        let said = refusals.first().map_or("nothing", String::as_str);
        Err(rule.refuse(
            format!("{left} objects with this CKA_ID are still on {}; it said: {said}", self.name()),
            "no object with this CKA_ID",
            "destroy them with the vendor's tool, then run the same command again, which looks once more",
        ))
    }

    /// What `act` gives; where it fails, everything of this id is destroyed first.
    pub(super) fn or_erase<T>(
        &self,
        id: &[u8],
        rule: Rule,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        act().map_err(|error| match self.erase(id, rule) {
            Ok(()) => error,
            // What is still there matters more than why it had to go.
            Err(left) => left,
        })
    }
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
