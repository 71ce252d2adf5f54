//! The KEK as the tenant's security officer trusts it (PKCS#11 v3.1, 4.6.2, CKA_TRUSTED; 4.9,
//! CKA_WRAP_WITH_TRUSTED): a public key that only the SO can make so, and without which no target
//! key can be wrapped. A two-person rule inside the HSM.

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm, Pin, PinState, Token,
    attribute::{Attribute, Value, bytes, flag, read_back},
    object::{Miss, of_class, public_key},
    public_key::PublicKey,
    raw::Object,
    refuse_last_try, said,
};
use record::{
    Error, Result,
    encoding::CkaId,
    rule::Rule,
    terms::{ReadBack, TokenIdentity},
};

/// The security officer (CKU_SO), logged in to a token; dropping it logs out. An officer sees no
/// private object.
pub struct Officer<'m>(Hsm<'m>);

/// A KEK that its token trusts.
#[derive(Debug, Clone)]
pub struct TrustedKek {
    /// The attributes of the public key, as a new session reads them.
    pub attributes: Vec<ReadBack>,
    /// Whether this call made it; otherwise it was there, exact.
    pub made: bool,
}

/// What the trusted key must be: it wraps, and nothing else can be done with it or to it.
fn trusted(key: &PublicKey) -> Vec<Attribute> {
    let mut template = public_key(key, true, &[flag(CKA_WRAP, true)]);
    template.push(flag(CKA_TRUSTED, true));
    template
}

impl<'m> Token<'m> {
    /// Logs in as the security officer: one try, with this PIN, or with `None` at the token's own
    /// keypad.
    ///
    /// # Errors
    /// As [`Token::login`].
    pub fn login_officer(&self, pin: Option<&Pin>) -> Result<Officer<'m>> {
        let info = (self.module.pkcs11.get_token_info(self.slot)).map_err(said)?;
        let state = if info.so_pin_locked() {
            PinState::Locked
        } else if info.so_pin_final_try() {
            PinState::FinalTry
        } else {
            PinState::Normal
        };
        let name = format!("{} (security officer)", self.name());
        refuse_last_try(&name, CKU_SO, state)?;
        self.login_as(CKU_SO, pin).map(Officer)
    }
}

impl Officer<'_> {
    /// Which token it is, as its module says.
    pub fn identity(&self) -> &TokenIdentity {
        self.0.identity()
    }

    /// Destroys the trusted KEK of an earlier offer, then looks that it is gone. None is success.
    ///
    /// # Errors
    /// As [`Hsm::trusted_destroy`].
    pub fn untrust(&self, id: CkaId) -> Result<()> {
        self.0.trusted_destroy(id)
    }

    /// Makes the KEK's public half a trusted token object, or finds it exact.
    ///
    /// # Errors
    /// `TARGET-WRAP-WITH-TRUSTED` where the token does not make one; `KEK-KEY` for another key than
    /// RSA with exponent 65537; `KEK-GONE` where remains of an earlier run cannot be destroyed;
    /// [`Error::Hsm`] where the token fails.
    pub fn trust(&self, id: CkaId, label: &str, kek_spki: &[u8]) -> Result<TrustedKek> {
        let hsm = &self.0;
        let key = PublicKey::rsa_of_spki(kek_spki, Rule::KekKey)?;
        if let Ok((_, attributes)) = hsm.trusted_examine(&hsm.session()?, id, &key)? {
            let made = false;
            return Ok(TrustedKek { attributes, made });
        }
        hsm.erase(&id.0, Rule::KekGone)?;
        hsm.or_erase(&id.0, Rule::KekGone, || {
            let session = hsm.session()?;
            let mut template = trusted(&key);
            template.extend([bytes(CKA_ID, &id.0), bytes(CKA_LABEL, label.as_bytes())]);
            hsm.raw().create(&session, &template).map_err(|error| {
                let name = hsm.name();
                lacking(format!("{name} makes no trusted key for its security officer: {error}"))
            })?;
            drop(session);
            match hsm.trusted_examine(&hsm.session()?, id, &key)? {
                Ok((_, attributes)) => Ok(TrustedKek { attributes, made: true }),
                Err(miss) => Err(lacking(miss.found)),
            }
        })
    }
}

impl Hsm<'_> {
    /// The KEK's public half that the security officer made, for a wrap.
    ///
    /// # Errors
    /// `TARGET-WRAP-WITH-TRUSTED` where it is not there, or not as it was made.
    pub(super) fn trusted_kek(
        &self,
        session: &Session,
        id: CkaId,
        key: &PublicKey,
    ) -> Result<Object> {
        let examined = self.trusted_examine(session, id, key)?;
        examined.map(|(object, _)| object).map_err(|miss| {
            miss.refuse(
                "let the security officer run `kek trust` again, which makes what is missing",
            )
        })
    }

    /// Destroys the trusted KEK, then looks in a new session that it is gone. None is success.
    ///
    /// # Errors
    /// `KEK-GONE` where something is left; [`Error::Hsm`] where the token cannot be searched.
    pub fn trusted_destroy(&self, id: CkaId) -> Result<()> {
        self.erase(&id.0, Rule::KekGone)
    }

    fn trusted_examine(
        &self,
        session: &Session,
        id: CkaId,
        key: &PublicKey,
    ) -> Result<std::result::Result<(Object, Vec<ReadBack>), Miss>> {
        let rule = Rule::TargetWrapWithTrusted;
        let found = (self.raw()).find(session, &of_class(CKO_PUBLIC_KEY, &id.0))?;
        let [object] = found[..] else {
            return Ok(Err(Miss {
                rule,
                found: format!("{} public keys with the CKA_ID of the trusted KEK", found.len()),
                expected: "one, made by the security officer".to_owned(),
            }));
        };
        let wanted = trusted(key);
        if let Some(miss) = self.first_miss(session, object, &wanted, rule)? {
            return Ok(Err(miss));
        }
        // What makes it trusted is worth a line; that it is the KEK, its fingerprint says.
        let flags = wanted.iter().filter(|wanted| matches!(wanted.value, Value::Flag(_)));
        let attributes = flags.map(|wanted| read_back(wanted.kind, Some(&wanted.value)));
        Ok(Ok((object, attributes.collect())))
    }
}

fn lacking(found: String) -> Error {
    Rule::TargetWrapWithTrusted.refuse(
        found,
        "a token on which the security officer can make a CKA_TRUSTED public key",
        "use a token that can, or agree on a new plan that waives TARGET-WRAP-WITH-TRUSTED with a reason",
    )
}
