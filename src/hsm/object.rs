//! Finding, reading and destroying the objects of a token, and RSA public keys as both sides name them.

use cryptoki::session::Session;
use cryptoki_sys::*;
use rsa::BoxedUint;
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;

use super::Hsm;
use super::attribute::{Attribute, Value, bytes, flag, found, number};
use super::raw::Object;
use crate::rule::Rule;
use crate::{Error, Result};

/// The one public exponent of every RSA key that Keyferry handles, 65537.
pub(super) const EXPONENT: [u8; 3] = [1, 0, 1];

/// An RSA public key: its SubjectPublicKeyInfo and its numbers, big-endian without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub spki: Vec<u8>,
    pub modulus: Vec<u8>,
    pub exponent: Vec<u8>,
    pub bits: u32,
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo: DER, rsaEncryption with NULL parameters (RFC 8017, appendix A.1), exponent
    /// 65537, and the only encoding of it.
    ///
    /// # Errors
    /// Refuses by `rule`.
    pub fn of_spki(spki: &[u8], rule: Rule) -> Result<Self> {
        let key = rsa::PublicKey::from_public_key_der(spki).ok();
        let key = key.and_then(|key| Self::of_parts(&key.n_bytes(), &key.e_bytes()));
        key.filter(|key| key.spki == spki && key.exponent == EXPONENT)
            .ok_or_else(|| {
                rule.refuse(
                    "a public key of another kind or encoding",
                    "the DER SubjectPublicKeyInfo of an RSA key with exponent 65537",
                    "ask its sender for the document again; it was not made by Keyferry, or was changed",
                )
            })
    }

    /// The key of these numbers; `None` where they are no RSA public key.
    pub fn of_parts(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let key = rsa::PublicKey::new(
            BoxedUint::from_be_slice_vartime(modulus),
            BoxedUint::from_be_slice_vartime(exponent),
        )
        .ok()?;
        let spki = key.to_public_key_der().ok()?.into_vec();
        Some(PublicKey {
            spki,
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
            bits: 8 * u32::try_from(modulus.len()).ok()? - modulus.first()?.leading_zeros(),
        })
    }

    /// The attributes that name the key on a token.
    pub fn attributes(&self) -> [Attribute; 2] {
        [
            bytes(CKA_MODULUS, &self.modulus),
            bytes(CKA_PUBLIC_EXPONENT, &self.exponent),
        ]
    }
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
    let mut template = vec![
        number(CKA_CLASS, CKO_PUBLIC_KEY),
        number(CKA_KEY_TYPE, CKK_RSA),
    ];
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

    /// The RSA public key of a public or private key object; `None` where it is no RSA key or shows no numbers.
    pub(super) fn public_key_of(
        &self,
        session: &Session,
        object: Object,
    ) -> Result<Option<PublicKey>> {
        let kind = self
            .raw()
            .read(session, object, &number(CKA_KEY_TYPE, CKK_RSA))?;
        if kind != Some(Value::Number(CKK_RSA)) {
            return Ok(None);
        }
        let modulus = self.raw().read(session, object, &bytes(CKA_MODULUS, &[]))?;
        let exponent = (self.raw()).read(session, object, &bytes(CKA_PUBLIC_EXPONENT, &[]))?;
        Ok(match (modulus, exponent) {
            (Some(Value::Bytes(modulus)), Some(Value::Bytes(exponent))) => {
                PublicKey::of_parts(&modulus, &exponent)
            }
            _ => None,
        })
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
        assert_eq!((key.bits, key.modulus.len()), (2048, 256));
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
