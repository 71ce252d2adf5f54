//! Unwrapping a target key under the KEK (design, section 4.3): the calls, and the templates that
//! they pin.

use cryptoki_sys::*;

use crate::TokenSession;
use crate::attribute::Attribute;
use crate::layout::{KeyUse, TokenMechanism};
use crate::mechanism::KekUse;
use crate::object::AS_UNWRAPPED;
use crate::raw::Object;
use crate::table::{Table, unwrapping_aes};
use crate::wrapped_key::WrappedKey;
use record::{ReadBack, Result};

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
    /// The calls of one unwrap, of a key that becomes what `table` says, where `unwrap` makes it by
    /// the last of them. In composite the AES key is gone afterwards whatever happens. Says what
    /// held the key to its template meanwhile.
    ///
    /// # Errors
    /// `WRAP-AES-KEY` where the token makes the AES key otherwise than asked; [`record::Error::Hsm`]
    /// where it opens nothing.
    pub fn unwrap_under(
        &self,
        KekUse { kek, method }: KekUse,
        wrapped: &WrappedKey,
        table: &Table,
        unwrap: impl FnOnce(KeyUse, &[u8]) -> Result<Object>,
    ) -> Result<(Object, TemplatePin)> {
        let Some(key_wrap) = method.key_wrap else {
            let with = TokenMechanism::RsaAes(method.oaep).with(kek);
            return Ok((unwrap(with, wrapped.as_bytes())?, TemplatePin::Kek));
        };
        let (wrapped_aes, wrapped_key) = wrapped.split();
        let with = TokenMechanism::Oaep(method.oaep).with(kek);
        let (aes, pin) = self.unwrap_aes(with, wrapped_aes, table)?;
        let key = unwrap(key_wrap.with(aes), wrapped_key);
        self.discard(&[aes]);
        Ok((key?, pin))
    }

    /// Unwraps the AES key: sensitive, not extractable, for unwrapping only, and pinning the target
    /// key where the token allows. The first is a throwaway key's, by which it is found what the
    /// token takes of one.
    pub fn unwrap_aes(
        &self,
        with: KeyUse,
        wrapped: &[u8],
        target: &Table,
    ) -> Result<(Object, TemplatePin)> {
        let table = unwrapping_aes(target);
        let unwrap = |template: &[Attribute]| self.unwrap(with, wrapped, template);
        let aes = match self.hsm.left_out(&table) {
            Some(_) => unwrap(&self.hsm.fitted(table.clone()).template())?,
            None => self.fit(&table, unwrap, |aes| self.discard(&[aes]))?,
        };
        let examined = self.expect(aes, &table, AS_UNWRAPPED);
        let examined = examined.inspect_err(|_| self.discard(&[aes]))?;
        let unpinned = examined.missed.iter().any(|miss| miss.kind == Some(CKA_UNWRAP_TEMPLATE));
        Ok((aes, if unpinned { TemplatePin::None } else { TemplatePin::AesKey }))
    }
}
