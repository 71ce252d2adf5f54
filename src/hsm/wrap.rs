//! Wrapping target keys out of the tenant's token (design, section 4.3).

use crate::mechanism::KekUse;
use crate::object::AS_ASKED;
use crate::parallel::on_threads;
use crate::public_key::PublicHalf;
use crate::raw::Object;
use crate::table::{ephemeral_aes, wrapping_kek};
use crate::wrapped_key::WrappedKey;
use crate::{Hsm, TargetKey, TokenMechanism, TokenSession};
use record::{CkaId, Mechanism, OaepHash, Result, Rule};

/// What keys are wrapped under, and how.
#[derive(Clone, Copy)]
pub struct WrapOrder<'a> {
    /// The KEK's public half, DER SubjectPublicKeyInfo.
    pub kek_spki: &'a [u8],
    /// Where the security officer has made it trusted: its CKA_ID on this token.
    pub trusted: Option<CkaId>,
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The hash of RSA-OAEP.
    pub oaep: OaepHash,
    /// Sessions that work at once.
    pub sessions: usize,
}

impl Hsm<'_> {
    /// Wraps target keys, each under the KEK: the public half that the security officer has made
    /// trusted, or else a session object of it. Call [`Hsm::targets_check`] and [`Hsm::wrap_canary`]
    /// before.
    ///
    /// # Errors
    /// `TARGET-WRAP-WITH-TRUSTED` where the trusted KEK is not there; `KEK-KEY` and `TARGET-KEY`
    /// for other public keys than RSA with exponent 65537; `WRAP-SINGLE-SHOT`, `WRAP-KWP` where the
    /// token cannot; `WRAP-AES-KEY` where it makes an AES key otherwise than asked; `WRAP-FORMAT`
    /// where a result has not the length of one; [`record::Error::Hsm`] where the token fails.
    pub fn wrap(
        &self,
        order: &WrapOrder,
        targets: &[&TargetKey],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<WrappedKey>> {
        let numbered: Vec<_> = targets.iter().enumerate().collect();
        let kek_bits = PublicHalf::rsa_of_spki(order.kek_spki, Rule::KekKey)?.bits();
        let wrap = |wrapper: &mut (TokenSession, KekUse), (n, target): &(usize, &&TargetKey)| {
            progress(*n);
            let key = PublicHalf::of_spki(&target.spki, Rule::TargetKey)?;
            let wrapped = wrapper.0.wrap_under(wrapper.1, target.private)?;
            WrappedKey::parse(wrapped, kek_bits, key.kind())
        };
        on_threads(order.sessions, &numbered, || self.wrapper(order), wrap)
    }

    /// Refuses what [`Hsm::wrap`] would refuse of the KEK and the token, before anything is begun.
    ///
    /// # Errors
    /// As [`Hsm::wrap`].
    pub fn wrap_ready(&self, order: &WrapOrder) -> Result<()> {
        self.wrapper(order).map(drop)
    }

    /// A session that wraps keys, one after the other, and what it wraps them under.
    fn wrapper(&self, order: &WrapOrder) -> Result<(TokenSession<'_>, KekUse)> {
        let key = PublicHalf::rsa_of_spki(order.kek_spki, Rule::KekKey)?;
        let session = self.session()?;
        let method = session.wrap_method(order.mechanism, order.oaep)?;
        let kek = method.under(match order.trusted {
            Some(id) => session.trusted_kek(id, &key)?,
            None => session.create(&wrapping_kek(&key))?,
        });
        Ok((session, kek))
    }
}

impl TokenSession<'_> {
    /// The calls of one wrap. In composite, AES-KWP under an AES-256 key made for this wrap alone
    /// in the token, after RSA-OAEP of that key; it is gone whatever happens.
    pub(super) fn wrap_under(
        &self,
        KekUse { kek, method }: KekUse,
        key: Object,
    ) -> Result<Vec<u8>> {
        let Some(key_wrap) = method.key_wrap else {
            return self.wrap(TokenMechanism::RsaAes(method.oaep).with(kek), key);
        };
        let aes = self.generate_aes(&ephemeral_aes().template())?;
        // Readable by nobody, 256 bits.
        let checked = self.expect(aes, &ephemeral_aes(), AS_ASKED);
        let wrapped = checked.and_then(|_| {
            let mut wrapped = self.wrap(TokenMechanism::Oaep(method.oaep).with(kek), aes)?;
            wrapped.extend(self.wrap(key_wrap.with(aes), key)?);
            Ok(wrapped)
        });
        // It would also end with the session; it must not live longer than it serves.
        self.discard(&[aes]);
        wrapped
    }
}
