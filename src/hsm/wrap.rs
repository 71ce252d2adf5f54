//! Wrapping a target key out of the tenant's token (design, section 4.3, composite).

use cryptoki::session::Session;
use cryptoki_sys::*;

use super::Hsm;
use super::mechanism::{ephemeral_aes, wrapping_public};
use super::object::PublicKey;
use super::packed::Call;
use super::raw::Object;
use super::target::Target;
use crate::Result;
use crate::document::parts::{Mechanism, OaepHash};
use crate::rule::Rule;
use crate::wrapped_key::WrappedKey;

impl Hsm<'_> {
    /// Wraps a target key under the KEK: AES-KWP under an AES-256 key made for it alone in the token, RSA-OAEP of
    /// that key under the KEK's public half, then destroyed. Call [`Hsm::target_check`] and [`Hsm::wrap_canary`] before.
    ///
    /// # Errors
    /// `KEK-KEY` and `TARGET-KEY` for other public keys than RSA with exponent 65537; `WRAP-SINGLE-SHOT`, `PLAN-UNSUPPORTED`, `WRAP-KWP` where the token cannot;
    /// `WRAP-AES-KEY` where the token makes the AES key otherwise than asked; `WRAP-FORMAT` where the result has not the length of one;
    /// [`crate::Error::Hsm`] where the token fails.
    pub fn wrap(
        &self,
        target: &Target,
        kek_spki: &[u8],
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<WrappedKey> {
        self.require_composite(mechanism)?;
        let kek = PublicKey::of_spki(kek_spki, Rule::KekKey)?;
        let key = PublicKey::of_spki(&target.spki, Rule::TargetKey)?;
        let session = self.session()?;
        let key_wrap = self.key_wrap(&session)?;
        let wrapped = self.wrap_under(&session, target.private, &kek, key_wrap, oaep)?;
        WrappedKey::parse(wrapped, kek.bits, key.bits)
    }

    /// The calls of a composite wrap; the AES key and the imported public key are gone whatever happens.
    pub(super) fn wrap_under(
        &self,
        session: &Session,
        key: Object,
        kek: &PublicKey,
        key_wrap: Call,
        oaep: OaepHash,
    ) -> Result<Vec<u8>> {
        let kek = self.raw().create(session, &wrapping_public(kek))?;
        let aes = self.raw().generate_aes(session, &ephemeral_aes())?;
        let wrapped = self.check_ephemeral(session, aes).and_then(|()| {
            let mut wrapped = self.raw().wrap(session, Call::Oaep(oaep), kek, aes)?;
            wrapped.extend(self.raw().wrap(session, key_wrap, aes, key)?);
            Ok(wrapped)
        });
        // They would also end with the session; the AES key must not live longer than it serves.
        self.discard(session, &[aes, kek]);
        wrapped
    }

    /// The AES key is what it was asked to be: readable by nobody, 256 bits.
    fn check_ephemeral(&self, session: &Session, aes: Object) -> Result<()> {
        let wanted: Vec<_> = (ephemeral_aes().into_iter())
            .filter(|attribute| {
                [CKA_TOKEN, CKA_SENSITIVE, CKA_DECRYPT, CKA_VALUE_LEN].contains(&attribute.kind)
            })
            .collect();
        match self.first_miss(session, aes, &wanted, Rule::WrapAesKey)? {
            None => Ok(()),
            Some(miss) => Err(miss.refuse("use a token that makes keys as it is asked to")),
        }
    }
}
