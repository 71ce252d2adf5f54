//! Finding, reading, examining and destroying the objects of a token. Attributes are read whatever
//! the module says of their lengths.

use cryptoki_sys::*;
use sha2::{Digest, Sha256};

use crate::TokenSession;
use crate::attribute::{Attribute, Value, bytes, flag, found, number};
use crate::layout::{MEMBER, Space, TokenMechanism};
use crate::public_key::{PublicHalf, curve_params, key_type};
use crate::raw::Object;
use record::encoding::enc;
use record::{CkaId, Error, KeyType, Result, Rule, encoding};

/// More than any attribute that Keyferry reads but a certificate (the modulus of RSA-4096 has 512
/// bytes).
const MOST_BYTES: usize = 1024;
/// More than any certificate that Keyferry stores.
const MOST_CERTIFICATE: usize = 64 * 1024;
/// More members than any list attribute that Keyferry sets has.
const MOST_MEMBERS: usize = 32;

/// What mends a key that is not made as it was asked for.
pub(super) const AS_ASKED: &str = "use a token that makes keys as it is asked to";
/// The same of a key that is unwrapped.
pub(super) const AS_UNWRAPPED: &str = "use a token that unwraps keys as it is asked to";

/// How an object deviates from a rule: what was found and what was expected of it.
pub(super) struct Deviation {
    /// Of which attribute, where it is of one.
    pub kind: Option<CK_ATTRIBUTE_TYPE>,
    pub rule: Rule,
    pub found: String,
    pub expected: String,
}

impl Deviation {
    /// Of an attribute that is not what it must be.
    pub fn of(rule: Rule, wanted: &Attribute, value: Option<&Value>) -> Self {
        let (found, expected) = (found(wanted.kind, value), wanted.to_string());
        Deviation { kind: Some(wanted.kind), rule, found, expected }
    }

    /// The refusal for it, with what mends it.
    pub fn error(self, remedy: &str) -> Error {
        self.rule.refuse(self.found, self.expected, remedy)
    }
}

/// What was examined, or none where it deviates from what it must be; not where the token failed.
pub(super) fn if_exact<T>(examined: Result<T>) -> Result<Option<T>> {
    match examined {
        Err(Error::Refused(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// How many bytes an attribute like this has at most; a longer one is none.
fn room_for(like: &Attribute) -> usize {
    match &like.value {
        Value::Flag(_) => 1,
        Value::Number(_) => size_of::<CK_ULONG>(),
        Value::Bytes(_) if like.kind == CKA_VALUE => MOST_CERTIFICATE,
        Value::Bytes(_) => MOST_BYTES,
        Value::Mechanisms(_) => MOST_MEMBERS * size_of::<CK_MECHANISM_TYPE>(),
        Value::Template(_) => MOST_MEMBERS * size_of::<CK_ATTRIBUTE>(),
    }
}

impl TokenSession<'_> {
    /// Reads one attribute in the shape of `like`; `None` where the token does not have or show it.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the object does not even answer its class, so that a token that
    /// fell silent is not taken for one that lacks an attribute.
    pub fn read(&self, object: Object, like: &Attribute) -> Result<Option<Value>> {
        if let Value::Template(members) = &like.value {
            return Ok(self.read_template(object, like.kind, members)?.map(Value::Template));
        }
        let mut space = Space::of(like.kind, room_for(like));
        self.get_values(object, std::slice::from_mut(&mut space))?;
        Ok(space.value().and_then(|bytes| like.value.like(&bytes)))
    }

    /// Reads attributes in the shapes of `like`, as far as the token can by one call.
    ///
    /// # Errors
    /// As [`TokenSession::read`].
    pub fn read_all(&self, object: Object, like: &[&Attribute]) -> Result<Vec<Option<Value>>> {
        let plain = like.iter().filter(|like| !matches!(like.value, Value::Template(_)));
        let mut spaces: Vec<_> = plain.map(|like| Space::of(like.kind, room_for(like))).collect();
        // What a token fills of a call that it does not end well differs among tokens.
        let got = spaces.is_empty() || self.get_values(object, &mut spaces)?;
        let mut spaces = spaces.iter();
        let value = |like: &&Attribute| match (&like.value, got) {
            (Value::Template(_), _) | (_, false) => self.read(object, like),
            _ => Ok(spaces.next().and_then(|space| like.value.like(&space.value()?))),
        };
        like.iter().map(value).collect()
    }

    /// Whether the object has this attribute with this value.
    pub fn is(&self, object: Object, wanted: &Attribute) -> Result<bool> {
        let value = self.read(object, wanted)?;
        Ok(value.is_some_and(|value| value.same(&wanted.value)))
    }

    /// Reads an array of attributes: its length, then one call into prepared members. Their types
    /// are set beforehand, in the order of `like`, because some tokens want to be told them.
    fn read_template(
        &self,
        object: Object,
        kind: CK_ATTRIBUTE_TYPE,
        like: &[Attribute],
    ) -> Result<Option<Vec<Attribute>>> {
        let Some(length) = self.get_length(object, kind)? else {
            return Ok(None);
        };
        let count = length / size_of::<CK_ATTRIBUTE>();
        if length % size_of::<CK_ATTRIBUTE>() != 0 || count > MOST_MEMBERS {
            return Ok(None);
        }
        let types = like.iter().map(|attribute| attribute.kind).chain([0].into_iter().cycle());
        let mut members: Vec<_> = types.take(count).map(|kind| Space::of(kind, MEMBER)).collect();
        if !self.get_members(object, kind, &mut members)? {
            return Ok(None);
        }
        Ok(members.iter().map(|member| member.member(like)).collect())
    }

    /// The public half that an object shows, if it is of this kind, whatever its size: RSA keys of
    /// either half, EC keys of the public half. `None` where it shows none.
    pub fn public_half(&self, object: Object, kind: KeyType) -> Result<Option<PublicHalf>> {
        let [first, second] = match kind {
            KeyType::Rsa(_) => [CKA_MODULUS, CKA_PUBLIC_EXPONENT],
            KeyType::Ec(_) => [CKA_EC_PARAMS, CKA_EC_POINT],
        };
        let wanted = [key_type(kind), bytes(first, &[]), bytes(second, &[])];
        let read = self.read_all(object, &wanted.each_ref())?;
        Ok(match (&read[..], kind) {
            ([of, ..], _) if *of != Some(key_type(kind).value) => None,
            ([_, Some(Value::Bytes(first)), Some(Value::Bytes(second))], KeyType::Rsa(_)) => {
                PublicHalf::of_parts(first, second)
            }
            ([_, Some(Value::Bytes(first)), Some(Value::Bytes(second))], KeyType::Ec(_)) => {
                PublicHalf::of_point(first, second)
            }
            _ => None,
        })
    }

    /// Whether a private or public object is half of this key. A private EC object shows no point:
    /// it must sign, a message of ours.
    pub fn is_half_of(&self, object: Object, key: &PublicHalf) -> Result<bool> {
        if let Some(shown) = self.public_half(object, key.kind())? {
            return Ok(shown == *key);
        }
        let KeyType::Ec(bits) = key.kind() else {
            return Ok(false);
        };
        let wanted = [
            number(CKA_CLASS, CKO_PRIVATE_KEY),
            number(CKA_KEY_TYPE, CKK_EC),
            bytes(CKA_EC_PARAMS, &curve_params(bits)),
            flag(CKA_SIGN, true),
        ];
        for wanted in &wanted {
            if !self.is(object, wanted)? {
                return Ok(false);
            }
        }
        // No key of a ceremony is one that asks for its own PIN, or does not sign.
        if self.is(object, &flag(CKA_ALWAYS_AUTHENTICATE, true))? {
            return Ok(false);
        }
        let message = enc(c"keyferry/1 half", &[&encoding::random::<32>()?]);
        let digest = Sha256::digest(&message);
        // One that should sign and does not may be that key: it is not taken for gone.
        let signature = self.sign(TokenMechanism::Plain(CKM_ECDSA).with(object), &digest)?;
        Ok(key.key.verifies(&message, &signature))
    }

    /// Every object of the token that has all of these attributes.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the session is logged in no more, or never was though C_Login said so:
    /// it is then shown no private object (PKCS#11 v3.1, 5.7.7), and each would be taken for gone.
    pub fn find(&self, wanted: &[Attribute]) -> Result<Vec<Object>> {
        let found = self.find_objects(wanted)?;
        match self.session.state()? {
            CKS_RW_USER_FUNCTIONS | CKS_RW_SO_FUNCTIONS => Ok(found),
            _ => Err(Error::hsm(
                format!(
                    "{} says that nobody is logged in, though it took the PIN",
                    self.hsm.name()
                ),
                "find out from the HSM's own log what ended the login; then run the same command again",
            )),
        }
    }

    /// Destroys session objects; a failure is of no consequence, because they end with their
    /// session.
    pub fn discard(&self, objects: &[Object]) {
        for object in objects {
            let _ = self.destroy(*object);
        }
    }

    /// Destroys every object of this id, then looks in a new session whether any is left. Nothing
    /// to destroy is success.
    ///
    /// # Errors
    /// Refuses by `rule` where something is left; [`Error::Hsm`] where the token cannot be
    /// searched.
    pub fn erase(&mut self, id: CkaId, rule: Rule) -> Result<()> {
        match self.remove(&[bytes(CKA_ID, &id.0)])? {
            None => Ok(()),
            Some((left, said)) => Err(rule.refuse(
                format!(
                    "{left} objects with this CKA_ID are still on {}; it said: {said}",
                    self.hsm.name()
                ),
                "no object with this CKA_ID",
                "destroy them with the vendor's tool, then run the same command again, which looks once more",
            )),
        }
    }

    /// Destroys every object like this, then looks in a new session whether any is left: how many,
    /// and what the token said.
    pub fn remove(&mut self, wanted: &[Attribute]) -> Result<Option<(usize, String)>> {
        let mut said = None;
        for object in self.find(wanted)? {
            // What counts is whether the object is there afterwards.
            if let Err(error) = self.destroy(object) {
                said.get_or_insert(error.to_string());
            }
        }
        self.renew()?;
        let left = self.find(wanted)?.len();
        Ok((left != 0).then(|| (left, said.unwrap_or_else(|| "nothing".to_owned()))))
    }

    /// What `make` gives, once nothing of an earlier run remains; where it fails, everything of
    /// this id is destroyed again.
    pub fn make_anew<T>(
        &mut self,
        id: CkaId,
        rule: Rule,
        remains: bool,
        make: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if remains {
            self.erase(id, rule)?;
        }
        make(self).map_err(|error| match self.renew().and_then(|()| self.erase(id, rule)) {
            Ok(()) => error,
            // What is still there matters more than why it had to go.
            Err(left) => left,
        })
    }
}
