//! The KEK as the tenant's security officer trusts it (PKCS#11 v3.1, 4.6.2, CKA_TRUSTED; 4.9,
//! CKA_WRAP_WITH_TRUSTED): a public key that only the SO can make so, and without which no target
//! key can be wrapped. A two-person rule inside the HSM.

use cryptoki_sys::*;

use crate::object::if_exact;
use crate::public_key::PublicHalf;
use crate::raw::Object;
use crate::table::{named, of_class, trusted_kek};
use crate::{Hsm, Pin, Token, TokenSession};
use record::{CkaId, Error, ReadBack, Result, Rule, TokenIdentity, with_commands};

/// What mends a token that trusts no KEK.
const TRUST: &str = "use a token that can, or agree on a new plan that waives TARGET-WRAP-WITH-TRUSTED with a reason";

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

impl<'m> Token<'m> {
    /// Logs in as the security officer: one try, with this PIN, or with `None` at the token's own
    /// keypad.
    ///
    /// # Errors
    /// As [`Token::login`].
    pub fn login_officer(&self, pin: Option<&Pin>) -> Result<Officer<'m>> {
        let name = format!("{} (security officer)", self.name());
        self.login_as(CKU_SO, &name, pin).map(Officer)
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
    /// As [`Hsm::kek_clear`].
    pub fn untrust(&self, id: CkaId) -> Result<()> {
        self.0.kek_clear(id)
    }

    /// Makes the KEK's public half a trusted token object, or finds it exact.
    ///
    /// # Errors
    /// `TARGET-WRAP-WITH-TRUSTED` where the token does not make one; `KEK-KEY` for another key than
    /// RSA with exponent 65537; `KEK-GONE` where remains of an earlier run cannot be destroyed;
    /// [`Error::Hsm`] where the token fails.
    pub fn trust(&self, id: CkaId, label: &str, kek_spki: &[u8]) -> Result<TrustedKek> {
        let hsm = &self.0;
        let key = PublicHalf::rsa_of_spki(kek_spki, Rule::KekKey)?;
        let mut session = hsm.session()?;
        if let Some((_, attributes)) = if_exact(session.trusted_examine(id, &key, TRUST))? {
            return Ok(TrustedKek { attributes, made: false });
        }
        session.make_anew(id, Rule::KekGone, true, |session| {
            let template = [trusted_kek(&key).template(), named(&id.0, label).to_vec()].concat();
            session.create(&template).map_err(|error| {
                let name = hsm.name();
                trust_error(format!(
                    "{name} makes no trusted key for its security officer: {error}"
                ))
            })?;
            session.renew()?;
            let examined = session.trusted_examine(id, &key, TRUST);
            let (_, attributes) = examined.map_err(|error| match error {
                Error::Refused(deviation) => trust_error(deviation.found),
                error => error,
            })?;
            Ok(TrustedKek { attributes, made: true })
        })
    }
}

impl TokenSession<'_> {
    /// The KEK's public half that the security officer made, for a wrap.
    ///
    /// # Errors
    /// `TARGET-WRAP-WITH-TRUSTED` where it is not there, or not as it was made.
    pub(super) fn trusted_kek(&self, id: CkaId, key: &PublicHalf) -> Result<Object> {
        let remedy = with_commands(
            "let the security officer run `{tenant kek trust}` again, which makes what is missing",
        );
        self.trusted_examine(id, key, &remedy).map(|(object, _)| object)
    }

    fn trusted_examine(
        &self,
        id: CkaId,
        key: &PublicHalf,
        remedy: &str,
    ) -> Result<(Object, Vec<ReadBack>)> {
        let rule = Rule::TargetWrapWithTrusted;
        let found = self.find_objects(&of_class(CKO_PUBLIC_KEY, &id.0))?;
        let [object] = found[..] else {
            let found = format!("{} public keys with the CKA_ID of the trusted KEK", found.len());
            return Err(rule.refuse(found, "one, made by the security officer", remedy));
        };
        // What makes it trusted is worth a line; that it is the KEK, its fingerprint says.
        Ok((object, self.expect(object, &trusted_kek(key), remedy)?.attributes))
    }
}

fn trust_error(found: String) -> Error {
    Rule::TargetWrapWithTrusted.refuse(
        found,
        "a token on which the security officer can make a CKA_TRUSTED public key",
        TRUST,
    )
}
