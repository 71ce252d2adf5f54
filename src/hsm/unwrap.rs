//! Unwrapping a target key under the KEK (design, section 4.3): the calls, and the templates that
//! they pin.

use cryptoki_sys::*;

use crate::TokenSession;
use crate::attribute::{Attribute, template};
use crate::layout::{KeyUse, TokenMechanism};
use crate::mechanism::KekUse;
use crate::raw::Object;
use crate::template::{endings, unwrapping_aes};
use crate::wrapped_key::WrappedKey;
use record::Result;
use record::rule::Rule;
use record::terms::ReadBack;

/// What forced the unwrapped key to stay in the token, beside the template that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemplatePin {
    /// The KEK's own CKA_UNWRAP_TEMPLATE: single-shot.
    Kek,
    /// The CKA_UNWRAP_TEMPLATE of the AES key of this wrap, made by Keyferry: composite.
    AesKey,
    /// Nothing: the token took no template on the AES key.
    None,
}

impl TemplatePin {
    /// For the record, what the record of the KEK does not say already.
    pub fn read_back(self) -> Option<ReadBack> {
        let value = match self {
            TemplatePin::Kek => return None,
            TemplatePin::AesKey => "held",
            TemplatePin::None => "not held",
        };
        let attribute = "CKA_UNWRAP_TEMPLATE of the AES key".to_owned();
        Some(ReadBack { attribute, value: value.to_owned() })
    }
}

impl TokenSession<'_> {
    /// The calls of one unwrap, of a key that becomes what `key` says, with `place` beside it. In
    /// composite the AES key is gone afterwards whatever happens. Says what held the key to its
    /// template meanwhile.
    ///
    /// # Errors
    /// `WRAP-AES-KEY` where the token makes the AES key otherwise than asked; [`record::Error::Hsm`]
    /// where it opens nothing.
    pub fn unwrap_under(
        &self,
        KekUse { kek, method }: KekUse,
        wrapped: &WrappedKey,
        key: &[Attribute],
        place: &[Attribute],
    ) -> Result<(Object, TemplatePin)> {
        let template = [key, place].concat();
        let Some(key_wrap) = method.key_wrap else {
            let with = TokenMechanism::RsaAes(method.oaep).with(kek);
            return Ok((self.unwrap_as(with, wrapped.as_bytes(), &template)?, TemplatePin::Kek));
        };
        let (wrapped_aes, wrapped_key) = wrapped.split();
        let with = TokenMechanism::Oaep(method.oaep).with(kek);
        let (aes, pin) = self.unwrap_aes(with, wrapped_aes, key)?;
        let key = self.unwrap_as(key_wrap.with(aes), wrapped_key, &template);
        self.discard(&[aes]);
        Ok((key?, pin))
    }

    /// Unwraps the AES key: sensitive, not extractable, for unwrapping only, and pinning the target
    /// key where the token allows.
    pub fn unwrap_aes(
        &self,
        with: KeyUse,
        wrapped: &[u8],
        target: &[Attribute],
    ) -> Result<(Object, TemplatePin)> {
        let pin = template(CKA_UNWRAP_TEMPLATE, target.to_vec());
        let plain = unwrapping_aes();
        let pinning = [plain.as_slice(), std::slice::from_ref(&pin)].concat();
        let aes = self.unwrap_as(with, wrapped, &pinning);
        let aes = aes.or_else(|_| self.unwrap_as(with, wrapped, &plain))?;
        // CKA_VALUE_LEN is not asked for: SoftHSM says 0 of an unwrapped key.
        self.expect(aes, &plain, Rule::WrapAesKey).map_err(|fault| {
            self.discard(&[aes]);
            fault.error("use a token that unwraps keys as it is asked to")
        })?;
        match self.is(aes, &pin)? {
            true => Ok((aes, TemplatePin::AesKey)),
            false => Ok((aes, TemplatePin::None)),
        }
    }

    /// C_UnwrapKey with the template and the first of the endings that the token takes.
    fn unwrap_as(&self, with: KeyUse, wrapped: &[u8], template: &[Attribute]) -> Result<Object> {
        first_taken(template, |whole| self.unwrap(with, wrapped, whole))
    }
}

/// What `call` makes of the template with the first of the endings that the token takes. The first
/// refusal is the one that speaks of the key, not of an attribute that a token need not know.
pub(super) fn first_taken<T>(
    template: &[Attribute],
    call: impl Fn(&[Attribute]) -> Result<T>,
) -> Result<T> {
    let [strict, middle, plain] = endings().map(|ending| [template, &ending[..]].concat());
    call(&strict).or_else(|error| call(&middle).or_else(|_| call(&plain)).map_err(|_| error))
}
