//! Finding, reading and destroying the objects of a token.

use cryptoki::session::{Session, SessionState};
use cryptoki_sys::*;
use sha2::{Digest, Sha256};

use crate::{
    Hsm,
    attribute::{Attribute, Value, bytes, flag, found, number},
    packed::Call,
    public_key::{PublicKey, curve_params, key_type},
    raw::Object,
    said,
};
use record::{
    Error, Result,
    encoding::{self, enc},
    rule::Rule,
    spki,
    terms::KeyType,
};

/// A rule that an object misses: what was found and what was expected of it.
pub(super) struct Miss {
    pub rule: Rule,
    pub found: String,
    pub expected: String,
}

impl Miss {
    /// An attribute that is not what it must be.
    pub fn attribute(rule: Rule, wanted: &Attribute, value: Option<&Value>) -> Self {
        Miss { rule, found: found(wanted.kind, value), expected: wanted.to_string() }
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

/// A public key object from its numbers: a claim about nothing, so every usage but `usages` is
/// false.
pub(super) fn public_key(key: &PublicKey, token: bool, usages: &[Attribute]) -> Vec<Attribute> {
    let mut template = vec![number(CKA_CLASS, CKO_PUBLIC_KEY), key_type(key.kind())];
    template.extend(public_usage(token, usages));
    template.extend(key.attributes());
    template
}

/// The attributes of a public key, with these usages and no others.
pub(super) fn public_usage(token: bool, usages: &[Attribute]) -> Vec<Attribute> {
    let mut template = vec![flag(CKA_TOKEN, token), flag(CKA_PRIVATE, false)];
    for kind in [CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP, CKA_DERIVE] {
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
        (wanted.iter()).map(|wanted| self.raw().read(session, object, wanted)).collect()
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
            if !value.as_ref().is_some_and(|value| value.same(&wanted.value)) {
                return Ok(Some(Miss::attribute(rule, wanted, value.as_ref())));
            }
        }
        Ok(None)
    }

    /// The public key that an object shows: RSA keys of either half, EC keys of the public half.
    /// `None` where it shows none.
    pub(super) fn public_key_of(
        &self,
        session: &Session,
        object: Object,
    ) -> Result<Option<PublicKey>> {
        let read = |kind| self.raw().read(session, object, &bytes(kind, &[]));
        let kind = self.raw().read(session, object, &number(CKA_KEY_TYPE, CKK_RSA))?;
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

    /// Whether a private or public object is half of this key. A private EC object shows no point:
    /// it must sign, a message of ours.
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
        if self.first_miss(session, object, &wanted, Rule::TargetKey)?.is_some() {
            return Ok(false);
        }
        let message = enc(c"keyferry/1 half", &[&encoding::random::<32>()?]);
        let digest = Sha256::digest(&message);
        let signature = self.raw().sign(session, Call::Plain(CKM_ECDSA), object, &digest);
        // Another key of the token may not sign at all.
        Ok(signature.is_ok_and(|signature| spki::verifies(&key.spki, &message, &signature)))
    }

    /// Every object of the token that has all of these attributes.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the session is logged in no more, or never was though C_Login said so:
    /// it is then shown no private object (PKCS#11 v3.1, 5.7.7), and each would be taken for gone.
    pub(super) fn find(&self, session: &Session, wanted: &[Attribute]) -> Result<Vec<Object>> {
        let found = self.raw().find(session, wanted)?;
        let info = session.get_session_info().map_err(said)?;
        match info.session_state() {
            SessionState::RwUser | SessionState::RwSecurityOfficer => Ok(found),
            _ => Err(Error::hsm(
                format!("{} says that nobody is logged in, though it took the PIN", self.name()),
                "find out from the HSM's own log what ended the login; then run the same command again",
            )),
        }
    }

    /// Destroys every object of this id, then looks in a new session whether any is left. Nothing
    /// to destroy is success.
    ///
    /// # Errors
    /// Refuses by `rule` where something is left; [`Error::Hsm`] where the token cannot be
    /// searched.
    pub(super) fn erase(&self, id: &[u8], rule: Rule) -> Result<()> {
        let wanted = [bytes(CKA_ID, id)];
        let session = self.session()?;
        let mut refusals = Vec::new();
        for object in self.find(&session, &wanted)? {
            // What counts is whether the object is there afterwards.
            if let Err(error) = self.raw().destroy(&session, object) {
                refusals.push(error.to_string());
            }
        }
        drop(session);
        let left = self.find(&self.session()?, &wanted)?.len();
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
