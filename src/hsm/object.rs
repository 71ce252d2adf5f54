//! Finding, reading, examining and destroying the objects of a token. Attributes are read whatever
//! the module says of their lengths.

use cryptoki_sys::*;
use sha2::{Digest, Sha256};

use crate::attribute::{Attribute, Value, bytes, found, number};
use crate::layout::{Member, TokenMechanism, bytes_of};
use crate::public_key::{PublicHalf, curve_params};
use crate::raw::Object;
use crate::{Hsm, TokenSession};
use record::encoding::{self, CkaId, enc};
use record::rule::Rule;
use record::terms::KeyType;
use record::{Error, Result};

/// More than any attribute that Keyferry reads but a certificate (the modulus of RSA-4096 has 512
/// bytes).
const MOST_BYTES: usize = 8 * 1024;
/// More than any certificate that Keyferry stores.
pub(super) const MOST_CERTIFICATE: usize = 64 * 1024;
/// More members than any list attribute that Keyferry sets has.
const MOST_MEMBERS: usize = 32;

/// How an object deviates from a rule: what was found and what was expected of it.
pub(super) struct Deviation {
    pub rule: Rule,
    pub found: String,
    pub expected: String,
}

impl Deviation {
    /// Of an attribute that is not what it must be.
    pub fn of(rule: Rule, wanted: &Attribute, value: Option<&Value>) -> Self {
        Deviation { rule, found: found(wanted.kind, value), expected: wanted.to_string() }
    }
}

/// Why an object is not taken.
pub(super) enum Fault {
    /// It deviates from what it must be.
    Deviation(Deviation),
    /// The token failed.
    Failure(Error),
}

/// What comes of an examination.
pub(super) type Examination<T> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Failure(error)
    }
}

impl From<Deviation> for Fault {
    fn from(deviation: Deviation) -> Self {
        Fault::Deviation(deviation)
    }
}

impl Fault {
    /// The deviation from a rule.
    pub fn of(rule: Rule, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Deviation { rule, found: found.into(), expected: expected.into() }.into()
    }

    /// The error for it, with what mends a deviation.
    pub fn error(self, remedy: &str) -> Error {
        match self {
            Fault::Deviation(Deviation { rule, found, expected }) => {
                rule.refuse(found, expected, remedy)
            }
            Fault::Failure(error) => error,
        }
    }
}

/// What was examined, or none where it deviates.
pub(super) fn if_exact<T>(examination: Examination<T>) -> Result<Option<T>> {
    match examination {
        Ok(exact) => Ok(Some(exact)),
        Err(Fault::Deviation(_)) => Ok(None),
        Err(Fault::Failure(error)) => Err(error),
    }
}

impl TokenSession<'_> {
    /// Reads one attribute in the shape of `like`; `None` where the token does not have or show it.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the object does not even answer its class, so that a token that
    /// fell silent is not taken for one that lacks an attribute.
    pub fn read(&self, object: Object, like: &Attribute) -> Result<Option<Value>> {
        let most = match &like.value {
            Value::Flag(_) => 1,
            Value::Number(_) => size_of::<CK_ULONG>(),
            Value::Bytes(_) => MOST_BYTES,
            Value::Mechanisms(_) => MOST_MEMBERS * size_of::<CK_MECHANISM_TYPE>(),
            Value::Template(members) => {
                return Ok(self.read_template(object, like.kind, members)?.map(Value::Template));
            }
        };
        let bytes = self.read_bytes(object, like.kind, most)?;
        Ok(bytes.and_then(|bytes| like.value.like(&bytes)))
    }

    /// Whether the object has this attribute with this value.
    pub fn is(&self, object: Object, wanted: &Attribute) -> Result<bool> {
        let value = self.read(object, wanted)?;
        Ok(value.is_some_and(|value| value.same(&wanted.value)))
    }

    /// Reads an attribute of at most `most` bytes by one call into a buffer of ours; a longer one
    /// is none.
    pub fn read_bytes(
        &self,
        object: Object,
        kind: CK_ATTRIBUTE_TYPE,
        most: usize,
    ) -> Result<Option<Vec<u8>>> {
        // Words, not bytes: some modules write a CK_ULONG through a pointer that they take as
        // aligned.
        let mut words = vec![0; most.div_ceil(size_of::<CK_ULONG>())];
        let length = self.get_words(object, kind, &mut words, most)?;
        Ok(length.map(|length| {
            let mut value = bytes_of(&words);
            value.truncate(length);
            value
        }))
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
        let mut members: Vec<_> = types.take(count).map(Member::of).collect();
        if !self.get_members(object, kind, &mut members)? {
            return Ok(None);
        }
        Ok(members.iter().map(|member| member.attribute(like)).collect())
    }

    /// Looks that each attribute is as wanted; by `rule`, which the first deviation names.
    pub fn expect(&self, object: Object, wanted: &[Attribute], rule: Rule) -> Examination<()> {
        for wanted in wanted {
            let value = self.read(object, wanted)?;
            if !value.as_ref().is_some_and(|value| value.same(&wanted.value)) {
                return Err(Deviation::of(rule, wanted, value.as_ref()).into());
            }
        }
        Ok(())
    }

    /// The public half that an object shows: RSA keys of either half, EC keys of the public half.
    /// `None` where it shows none.
    pub fn public_half(&self, object: Object) -> Result<Option<PublicHalf>> {
        let read = |kind| self.read(object, &bytes(kind, &[]));
        let kind = self.read(object, &number(CKA_KEY_TYPE, CKK_RSA))?;
        let (first, second) = match kind {
            Some(Value::Number(CKK_RSA)) => (read(CKA_MODULUS)?, read(CKA_PUBLIC_EXPONENT)?),
            Some(Value::Number(CKK_EC)) => (read(CKA_EC_PARAMS)?, read(CKA_EC_POINT)?),
            _ => return Ok(None),
        };
        let (Some(Value::Bytes(first)), Some(Value::Bytes(second))) = (first, second) else {
            return Ok(None);
        };
        Ok(match kind {
            Some(Value::Number(CKK_RSA)) => PublicHalf::of_parts(&first, &second),
            _ => PublicHalf::of_point(&first, &second),
        })
    }

    /// Whether a private or public object is half of this key. A private EC object shows no point:
    /// it must sign, a message of ours.
    pub fn is_half_of(&self, object: Object, key: &PublicHalf) -> Result<bool> {
        if let Some(shown) = self.public_half(object)? {
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
        if if_exact(self.expect(object, &wanted, Rule::TargetKey))?.is_none() {
            return Ok(false);
        }
        let message = enc(c"keyferry/1 half", &[&encoding::random::<32>()?]);
        let digest = Sha256::digest(&message);
        let signature = self.sign(TokenMechanism::Plain(CKM_ECDSA).with(object), &digest);
        // Another key of the token may not sign at all.
        Ok(signature.is_ok_and(|signature| key.key.verifies(&message, &signature)))
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
}

impl Hsm<'_> {
    /// Destroys every object of this id, then looks in a new session whether any is left. Nothing
    /// to destroy is success.
    ///
    /// # Errors
    /// Refuses by `rule` where something is left; [`Error::Hsm`] where the token cannot be
    /// searched.
    pub(super) fn erase(&self, id: CkaId, rule: Rule) -> Result<()> {
        let wanted = [bytes(CKA_ID, &id.0)];
        let session = self.session()?;
        let mut refusals = Vec::new();
        for object in session.find(&wanted)? {
            // What counts is whether the object is there afterwards.
            if let Err(error) = session.destroy(object) {
                refusals.push(error.to_string());
            }
        }
        drop(session);
        let left = self.session()?.find(&wanted)?.len();
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

    /// What `make` gives, once nothing of an earlier run remains; where it fails, everything of
    /// this id is destroyed again.
    pub(super) fn make_anew<T>(
        &self,
        id: CkaId,
        rule: Rule,
        remains: bool,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if remains {
            self.erase(id, rule)?;
        }
        make().map_err(|error| match self.erase(id, rule) {
            Ok(()) => error,
            // What is still there matters more than why it had to go.
            Err(left) => left,
        })
    }
}
