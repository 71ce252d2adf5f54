//! Wrapping target keys out of the tenant's token (design, section 4.3).

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm,
    mechanism::{Way, ephemeral_aes, wrapping_public},
    packed::Call,
    parallel::on_threads,
    public_key::PublicKey,
    raw::Object,
    target::Target,
    wrapped_key::WrappedKey,
};
use record::{
    Result,
    encoding::CkaId,
    rule::Rule,
    terms::{Mechanism, OaepHash},
};

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

/// One session of the token that wraps keys under the KEK, one after the other.
struct Wrapper<'h> {
    hsm: &'h Hsm<'h>,
    session: Session,
    way: Way,
    kek: PublicKey,
    // The KEK's public half on the token.
    with: Object,
}

impl Hsm<'_> {
    /// Wraps target keys, each under the KEK: the public half that the security officer has made
    /// trusted, or else a session object of it. Call [`Hsm::target_check`] and [`Hsm::wrap_canary`]
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
        targets: &[&Target],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<WrappedKey>> {
        let numbered: Vec<_> = targets.iter().enumerate().collect();
        on_threads(
            order.sessions,
            &numbered,
            || self.wrapper(order),
            |wrapper, (n, target)| {
                progress(*n);
                wrapper.wrap(target)
            },
        )
    }

    /// Refuses what [`Hsm::wrap`] would refuse of the KEK and the token, before anything is begun.
    ///
    /// # Errors
    /// As [`Hsm::wrap`].
    pub fn wrap_ready(&self, order: &WrapOrder) -> Result<()> {
        self.wrapper(order).map(drop)
    }

    fn wrapper(&self, order: &WrapOrder) -> Result<Wrapper<'_>> {
        let kek = PublicKey::rsa_of_spki(order.kek_spki, Rule::KekKey)?;
        let session = self.session()?;
        let way = self.way(&session, order.mechanism, order.oaep)?;
        let with = match order.trusted {
            Some(id) => self.trusted_kek(&session, id, &kek)?,
            None => self.raw().create(&session, &wrapping_public(&kek))?,
        };
        Ok(Wrapper { hsm: self, session, way, kek, with })
    }

    /// The calls of one wrap. In composite, AES-KWP under an AES-256 key made for this wrap alone
    /// in the token, after RSA-OAEP of that key; it is gone whatever happens.
    pub(super) fn wrap_under(
        &self,
        session: &Session,
        key: Object,
        kek: Object,
        way: Way,
    ) -> Result<Vec<u8>> {
        let (oaep, key_wrap) = match way {
            Way::SingleShot(oaep) => {
                return self.raw().wrap(session, Call::RsaAes(oaep), kek, key);
            }
            Way::Composite { oaep, key_wrap } => (oaep, key_wrap),
        };
        let aes = self.raw().generate_aes(session, &ephemeral_aes())?;
        let wrapped = self.check_ephemeral(session, aes).and_then(|()| {
            let mut wrapped = self.raw().wrap(session, Call::Oaep(oaep), kek, aes)?;
            wrapped.extend(self.raw().wrap(session, key_wrap, aes, key)?);
            Ok(wrapped)
        });
        // It would also end with the session; it must not live longer than it serves.
        self.discard(session, &[aes]);
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

impl Wrapper<'_> {
    fn wrap(&self, target: &Target) -> Result<WrappedKey> {
        let key = PublicKey::of_spki(&target.spki, Rule::TargetKey)?;
        let (hsm, session) = (self.hsm, &self.session);
        let wrapped = hsm.wrap_under(session, target.private, self.with, self.way)?;
        WrappedKey::parse(wrapped, self.kek.bits(), key.kind())
    }
}
