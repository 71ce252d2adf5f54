//! Unwrapping a target key under the KEK (design, section 4.3): the calls, and the templates that
//! they pin.

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm,
    attribute::{Attribute, flag, template},
    import::imported_key,
    kek::unwrapped_aes,
    mechanism::Way,
    packed::Call,
    raw::Object,
    wrapped_key::WrappedKey,
};
use record::{
    Result,
    rule::Rule,
    terms::{KeyType, ReadBack, Usage},
};

/// A target key in the token, and what held it to its template meanwhile.
pub(super) struct Unwrapped {
    pub key: Object,
    pub pinned: Pinned,
}

/// What forced the unwrapped key to stay in the token, beside the template that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    /// The KEK's own CKA_UNWRAP_TEMPLATE: single-shot.
    ByKek,
    /// The CKA_UNWRAP_TEMPLATE of the AES key of this wrap, made by Keyferry: composite.
    ByAesKey,
    /// Nothing: the token took no template on the AES key.
    Not,
}

impl Pinned {
    /// For the record, what the record of the KEK does not say already.
    pub(super) fn read_back(self) -> Option<ReadBack> {
        let value = match self {
            Pinned::ByKek => return None,
            Pinned::ByAesKey => "held",
            Pinned::Not => "not held",
        };
        Some(ReadBack {
            attribute: "CKA_UNWRAP_TEMPLATE of the AES key".to_owned(),
            value: value.to_owned(),
        })
    }
}

/// The AES key of a composite wrap at the hoster: it unwraps one key and is destroyed. The KEK's
/// UNWRAP_TEMPLATE is restated whole, because some tokens demand it.
pub(super) fn aes_template() -> Vec<Attribute> {
    let mut template = unwrapped_aes();
    template.extend([
        flag(CKA_TOKEN, false),
        flag(CKA_PRIVATE, true),
        flag(CKA_UNWRAP, true),
        flag(CKA_SIGN, false),
        flag(CKA_VERIFY, false),
        flag(CKA_DERIVE, false),
    ]);
    template
}

/// Attributes that a token need not take at an unwrap. Tried in this order, each list last in its
/// template.
pub(super) fn endings() -> [Vec<Attribute>; 3] {
    let (copyable, modifiable) = (flag(CKA_COPYABLE, false), flag(CKA_MODIFIABLE, false));
    [vec![copyable.clone(), modifiable], vec![copyable], vec![]]
}

impl Hsm<'_> {
    /// The calls of one unwrap. In composite the AES key is gone afterwards whatever happens.
    ///
    /// # Errors
    /// `WRAP-AES-KEY` where the token makes the AES key otherwise than asked; [`record::Error::Hsm`]
    /// where it opens nothing.
    pub(super) fn unwrap_under(
        &self,
        session: &Session,
        kek: Object,
        way: Way,
        wrapped: &WrappedKey,
        what: (KeyType, Usage),
        template: &[Attribute],
    ) -> Result<Unwrapped> {
        let (oaep, key_wrap) = match way {
            Way::SingleShot(oaep) => {
                let call = Call::RsaAes(oaep);
                let key = self.unwrap_as(session, call, kek, wrapped.as_bytes(), template)?;
                let pinned = Pinned::ByKek;
                return Ok(Unwrapped { key, pinned });
            }
            Way::Composite { oaep, key_wrap } => (oaep, key_wrap),
        };
        let (wrapped_aes, wrapped_key) = wrapped.split();
        let call = Call::Oaep(oaep);
        let (aes, pinned) = self.unwrap_aes(session, call, kek, wrapped_aes, what)?;
        let key = self.unwrap_as(session, key_wrap, aes, wrapped_key, template);
        self.discard(session, &[aes]);
        Ok(Unwrapped { key: key?, pinned })
    }

    /// Unwraps the AES key: sensitive, not extractable, for unwrapping only, and pinning the target
    /// where the token allows.
    pub(super) fn unwrap_aes(
        &self,
        session: &Session,
        call: Call,
        kek: Object,
        wrapped: &[u8],
        (kind, usage): (KeyType, Usage),
    ) -> Result<(Object, Pinned)> {
        let mut pinning = aes_template();
        let pin = template(CKA_UNWRAP_TEMPLATE, imported_key(kind, usage));
        pinning.push(pin.clone());
        let aes = self.unwrap_as(session, call, kek, wrapped, &pinning);
        let aes = aes.or_else(|_| self.unwrap_as(session, call, kek, wrapped, &aes_template()))?;
        // CKA_VALUE_LEN is not asked for: SoftHSM says 0 of an unwrapped key.
        if let Some(miss) = self.first_miss(session, aes, &aes_template(), Rule::WrapAesKey)? {
            self.discard(session, &[aes]);
            return Err(miss.refuse("use a token that unwraps keys as it is asked to"));
        }
        let held = self.raw().read(session, aes, &pin)?;
        let pinned = match held.is_some_and(|held| held.same(&pin.value)) {
            true => Pinned::ByAesKey,
            false => Pinned::Not,
        };
        Ok((aes, pinned))
    }

    /// C_UnwrapKey with the template and the first of the endings that the token takes.
    fn unwrap_as(
        &self,
        session: &Session,
        call: Call,
        with: Object,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<Object> {
        let [strict, middle, plain] = endings().map(|ending| {
            let whole = [template, &ending[..]].concat();
            move || self.raw().unwrap(session, call, with, wrapped, &whole)
        });
        // The first refusal is the one that speaks of the wrapped key, not of a template that lacks
        // something.
        strict().or_else(|error| middle().or_else(|_| plain()).map_err(|_| error))
    }
}
