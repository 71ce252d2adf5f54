//! Canaries: the calls of the real wrap and unwrap, on throwaway keys, with the other end in software (design, sections
//! 4.1 and 4.3). What a token does is observed before a real key is trusted to it.
//!
//! Throwaway keys are session objects: they end with the session, whatever happens. Throwaway KEKs have 2048 bits whatever the plan says:
//! neither the OAEP hash nor the AES key wrap depends on the size, and a software RSA-4096 key takes seconds.

use cryptoki::session::Session;
use cryptoki_sys::*;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use zeroize::Zeroizing;

use super::Hsm;
use super::attribute::{bytes, flag};
use super::import::imported_key;
use super::mechanism::{THROWAWAY_BITS, hash_refusal, other, software_key, software_public};
use super::object::PublicKey;
use super::packed::Call;
use super::raw::Object;
use crate::document::parts::{KwpFlavour, Mechanism, OaepHash, Observed};
use crate::plan::Usage;
use crate::rule::Rule;
use crate::wrapped_key::{self, WrappedKey};
use crate::{Error, Result};

const LABEL: &[u8] = b"keyferry throwaway";

/// Usages of throwaway target keys; they serve nobody.
const USAGE: Usage = Usage {
    sign: true,
    decrypt: false,
};

impl Hsm<'_> {
    /// Wraps a throwaway key of the tenant's kind and this size to a throwaway software KEK by the calls of [`Hsm::wrap`], opens it in software,
    /// and says what was observed.
    ///
    /// # Errors
    /// `WRAP-OAEP-HASH`, `WRAP-KWP`, `WRAP-AES-KEY`, `WRAP-FORMAT`, `WRAP-CANARY` for what differs from the plan; `WRAP-SINGLE-SHOT` or `PLAN-UNSUPPORTED` for the other
    /// mechanism; [`Error::Hsm`] where the token fails.
    pub fn wrap_canary(
        &self,
        target_bits: u32,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Observed> {
        self.require_composite(mechanism)?;
        let software = software_key()?;
        let kek = software_public(&software)?;
        let session = self.session()?;
        let key_wrap = self.key_wrap(&session)?;
        let named = [bytes(CKA_LABEL, LABEL)];
        let (_, private) = self.target_generate(&session, &named, false, target_bits, USAGE)?;
        let wrapped = (self.wrap_under(&session, private, &kek, key_wrap, oaep))
            .map_err(|error| self.explain_oaep(&session, &kek, oaep, error))?;
        let wrapped = WrappedKey::parse(wrapped, kek.bits, target_bits)?;
        let (pkcs8, kwp) = wrapped_key::open(&software, oaep, &wrapped)?;
        let opened = rsa::PrivateKey::from_pkcs8_der(&pkcs8).ok();
        let opened = opened.and_then(|key| software_public(&key).ok());
        if opened.is_none() || opened != self.public_key_of(&session, private)? {
            return Err(canary("another key", "the throwaway key that was wrapped"));
        }
        Ok(Observed {
            oaep_hash: oaep,
            kwp,
        })
    }

    /// Unwraps a throwaway software key, wrapped in software, under a throwaway KEK of the real one's template by the calls of
    /// [`Hsm::import`], and says which OAEP hash and key wrap the token takes.
    ///
    /// # Errors
    /// As [`Hsm::wrap_canary`].
    pub fn unwrap_canary(&self, mechanism: Mechanism, oaep: OaepHash) -> Result<Observed> {
        self.require_composite(mechanism)?;
        let session = self.session()?;
        let kek = self.throwaway_kek(&session)?;
        let (software, pkcs8) = unfilled_key()?;
        let expected = software_public(&software)?;
        let filled = filled(&pkcs8);
        let mut refused = None;
        for (kwp, pkcs8) in [
            (KwpFlavour::Rfc5649, &pkcs8),
            (KwpFlavour::Rfc5649ZeroFilled, &filled),
        ] {
            match self.throwaway_unwrap(&session, &kek, oaep, pkcs8) {
                Ok(key) if key == expected => {
                    return Ok(Observed {
                        oaep_hash: oaep,
                        kwp,
                    });
                }
                Ok(_) => return Err(canary("another key", "the throwaway key that was wrapped")),
                Err(refusal @ Error::Refused(_)) => return Err(refusal),
                Err(error) => refused = Some(error),
            }
        }
        if (self.throwaway_unwrap(&session, &kek, other(oaep), &filled)).is_ok() {
            return Err(hash_refusal(
                &self.name(),
                oaep,
                "cannot open it, but can open the other",
            ));
        }
        Err(refused.unwrap_or_else(|| canary("nothing", "one of the two flavours")))
    }

    fn throwaway_kek(&self, session: &Session) -> Result<ThrowawayKek> {
        let named = [bytes(CKA_LABEL, LABEL)];
        let (public, private) =
            self.kek_generate(session, &named, false, THROWAWAY_BITS, &|_| true)?;
        let public = self.public_key_of(session, public)?;
        let public = public.and_then(|key| rsa::PublicKey::from_public_key_der(&key.spki).ok());
        Ok(ThrowawayKek {
            private,
            public: public
                .ok_or_else(|| canary("a KEK that shows no public key", "an RSA public key"))?,
            key_wrap: self.key_wrap(session)?,
        })
    }

    /// Wraps this PKCS#8 in software, unwraps it in the token, and says which key came of it.
    fn throwaway_unwrap(
        &self,
        session: &Session,
        kek: &ThrowawayKek,
        oaep: OaepHash,
        pkcs8: &[u8],
    ) -> Result<PublicKey> {
        let wrapped = wrapped_key::make(&kek.public, oaep, pkcs8)?;
        let aes = self.unwrap_aes(session, kek.private, oaep, &wrapped, USAGE)?;
        let mut template = imported_key(USAGE);
        template.push(flag(CKA_TOKEN, false));
        let key = self.unwrap_target(session, kek.key_wrap, aes, &wrapped, &template);
        self.discard(session, &[aes]);
        let key = key?;
        let rule = Rule::TargetAttributes;
        if let Some(miss) = self.first_miss(session, key, &imported_key(USAGE), rule)? {
            return Err(miss.refuse("use a token that unwraps keys as it is asked to"));
        }
        let public = self.public_key_of(session, key)?;
        public.ok_or_else(|| canary("a key that shows no public key", "an RSA key"))
    }
}

/// A KEK of the real one's template that nobody will miss, and how its token wraps under an AES key.
struct ThrowawayKek {
    private: Object,
    public: rsa::PublicKey,
    key_wrap: Call,
}

/// A throwaway key whose PKCS#8 is no multiple of 8 long, so that both flavours of the key wrap differ.
fn unfilled_key() -> Result<(rsa::PrivateKey, Zeroizing<Vec<u8>>)> {
    loop {
        let key = software_key()?;
        let der = key.to_pkcs8_der().map_err(|error| {
            Error::failed(
                format!("the throwaway RSA key does not encode: {error}"),
                "report this as a bug",
            )
        })?;
        if der.as_bytes().len() % 8 != 0 {
            return Ok((key, Zeroizing::new(der.as_bytes().to_vec())));
        }
    }
}

fn filled(pkcs8: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut filled = Zeroizing::new(pkcs8.to_vec());
    filled.resize(pkcs8.len().next_multiple_of(8), 0);
    filled
}

fn canary(found: &str, expected: &str) -> Error {
    Rule::WrapCanary.refuse(
        found,
        expected,
        "do not use this token: what it wraps or unwraps is not what it was given",
    )
}
