//! Canaries: the calls of the real wrap and unwrap, on throwaway keys, with the other end in
//! software (design, sections 4.1 and 4.3). What a token does is observed before a real key is
//! trusted to it.
//!
//! Throwaway keys are session objects: they end with the session, whatever happens. Throwaway KEKs
//! have 2048 bits whatever the plan says: neither the OAEP hash nor the AES key wrap depends on the
//! size, and a software RSA-4096 key takes seconds.

use std::iter;

use cryptoki_sys::*;
use rsa::pkcs8::EncodePrivateKey;
use zeroize::Zeroizing;

use crate::attribute::{Attribute, bytes, flag};
use crate::kek::{Kek, KekSpec};
use crate::mechanism::{THROWAWAY, THROWAWAY_BITS, WrapMethod, software_key};
use crate::parallel::meanwhile;
use crate::public_key::PublicHalf;
use crate::raw::{KeyPair, Object};
use crate::target::TargetSpec;
use crate::template::{hoster_private, wrapping_kek};
use crate::wrapped_key::{self, WrappedKey};
use crate::{Hsm, TokenSession};
use record::rule::Rule;
use record::terms::{KeyType, KwpFlavour, Mechanism, OaepHash, Observed, Usage};
use record::{Error, Result};

const LABEL: &str = "keyferry throwaway";
/// Throwaway keys until one shows the flavour of the key wrap: about one in four does not.
const MOST_KEYS: usize = 64;

/// Usages of throwaway target keys; they serve nobody.
const USAGE: Usage = Usage { sign: true, decrypt: false };

/// The attributes by which a throwaway object is known.
pub(super) fn throwaway() -> [Attribute; 1] {
    [bytes(CKA_LABEL, LABEL.as_bytes())]
}

/// A target key that nobody will miss.
pub(super) fn throwaway_target(kind: KeyType) -> TargetSpec<'static> {
    TargetSpec { label: LABEL, kind, usage: USAGE, trusted_only: false }
}

/// What a throwaway key becomes that is unwrapped.
pub(super) fn unwrapped_throwaway() -> Vec<Attribute> {
    hoster_private(THROWAWAY, USAGE)
}

impl Hsm<'_> {
    /// Wraps a throwaway key of the tenant's, of this kind and size, twice to a throwaway software
    /// KEK by the calls of [`Hsm::wrap`], opens both in software, and says what was observed.
    ///
    /// # Errors
    /// `WRAP-OAEP-HASH`, `WRAP-KWP`, `WRAP-AES-KEY`, `WRAP-FORMAT`, `WRAP-CANARY` for what differs
    /// from the plan; `WRAP-SINGLE-SHOT` where the token lacks the mechanism; [`Error::Hsm`] where
    /// the token fails.
    pub fn wrap_canary(
        &self,
        target: KeyType,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Observed> {
        let session = self.session()?;
        let method = session.wrap_method(mechanism, oaep)?;
        let generate = || session.target_generate(None, &throwaway_target(target));
        let (software, first) = meanwhile(software_key, generate)?;
        let kek = PublicHalf::of_rsa(software.to_public_key())?;
        let with = session.create(&wrapping_kek(&kek))?;
        let others = iter::repeat_with(generate);
        for pair in iter::once(Ok(first)).chain(others).take(MOST_KEYS) {
            let KeyPair { public, private } = pair?;
            let wrap = |method: WrapMethod| session.wrap_under(method.under(with), private);
            let wrap_and_open = || {
                let wrapped = wrap(method).map_err(|error| {
                    // A token that lacks the plan's OAEP hash, or one that fails?
                    match wrap(method).is_err() && wrap(method.with_other_oaep()).is_ok() {
                        true => self.oaep_hash_error(oaep, "cannot do it, but can do the other"),
                        false => error,
                    }
                })?;
                let wrapped = WrappedKey::parse(wrapped, kek.bits(), target)?;
                wrapped_key::open(&software, oaep, &wrapped)
            };
            let (first, second) = (wrap_and_open()?, wrap_and_open()?);
            let expected = session.public_half(public)?.map(|half| half.key);
            session.discard(&[public, private]);
            for opened in [&first, &second] {
                let key = wrapped_key::public_of(&opened.pkcs8);
                if key.is_none() || key != expected {
                    return Err(other_key_error());
                }
            }
            if first.aes == second.aes {
                return Err(canary_error("the same AES key in two wraps", "a fresh one for each"));
            }
            // Where nothing had to be filled up, the two flavours are the same; EC keys of a curve
            // are all of one length.
            if first.pkcs8.len() % 8 == 0 && matches!(target, KeyType::Ec(_)) {
                return self.wrap_canary(THROWAWAY, mechanism, oaep);
            }
            if first.pkcs8.len() % 8 != 0 {
                return Ok(Observed { oaep_hash: oaep, kwp: first.kwp });
            }
        }
        Err(canary_error("throwaway keys of a multiple of 8 bytes only", "keys made at random"))
    }

    /// Unwraps a throwaway software key, wrapped in software, under a throwaway KEK of the real
    /// one's template by the calls of [`Hsm::import`], and says which OAEP hash and key wrap the
    /// token takes.
    ///
    /// # Errors
    /// As [`Hsm::wrap_canary`].
    pub fn unwrap_canary(&self, mechanism: Mechanism, oaep: OaepHash) -> Result<Observed> {
        let kwp = self.unwrap_flavours(mechanism, oaep)?.into_iter().next();
        let kwp = kwp.ok_or_else(|| canary_error("nothing", "one of the two flavours"))?;
        Ok(Observed { oaep_hash: oaep, kwp })
    }

    /// Unwraps a throwaway key under the KEK itself, before it is offered: else one whose halves do
    /// not belong together would be found at the import, when every share is open.
    ///
    /// # Errors
    /// `WRAP-CANARY` where it opens to another key, and as [`Hsm::wrap_canary`];
    /// [`record::Error::Hsm`] where the token does not open it.
    pub fn kek_canary(
        &self,
        kek: &Kek,
        mechanism: Mechanism,
        oaep: OaepHash,
        kwp: KwpFlavour,
    ) -> Result<()> {
        let session = self.session()?;
        let method = session.wrap_method(mechanism, oaep)?;
        let own = CanaryKek {
            private: self.kek_private(&self.inventory()?, kek.id)?,
            public: PublicHalf::rsa_of_spki(&kek.spki, Rule::KekKey)?,
        };
        let (software, unfilled) = unfilled_key()?;
        let pkcs8 = match kwp {
            KwpFlavour::Rfc5649 => unfilled,
            KwpFlavour::Rfc5649ZeroFilled => filled(&unfilled),
        };
        match session.throwaway_unwrap(&own, method, &pkcs8)?
            == PublicHalf::of_rsa(software.to_public_key())?
        {
            true => Ok(()),
            false => Err(other_key_error()),
        }
    }

    /// Every flavour of key wrap that the token takes, RFC 5649 itself first.
    pub(super) fn unwrap_flavours(
        &self,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Vec<KwpFlavour>> {
        let session = self.session()?;
        let method = session.wrap_method(mechanism, oaep)?;
        let ((software, pkcs8), kek) =
            meanwhile(unfilled_key, || session.throwaway_kek(mechanism))?;
        session.must_stay(kek.private, &kek.public, method, Rule::KekExtractable)?;
        let expected = PublicHalf::of_rsa(software.to_public_key())?;
        let filled = filled(&pkcs8);
        let mut taken = Vec::new();
        let mut refused = None;
        for (kwp, pkcs8) in
            [(KwpFlavour::Rfc5649, &pkcs8), (KwpFlavour::Rfc5649ZeroFilled, &filled)]
        {
            match session.throwaway_unwrap(&kek, method, pkcs8) {
                Ok(key) if key == expected => taken.push(kwp),
                Ok(_) => return Err(other_key_error()),
                Err(refusal @ Error::Refused(_)) => return Err(refusal),
                Err(error) => refused = Some(error),
            }
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
        if session.throwaway_unwrap(&kek, method.with_other_oaep(), &filled).is_ok() {
            return Err(self.oaep_hash_error(oaep, "cannot open it, but can open the other"));
        }
        Err(refused.unwrap_or_else(|| canary_error("nothing", "one of the two flavours")))
    }
}

impl TokenSession<'_> {
    fn throwaway_kek(&self, mechanism: Mechanism) -> Result<CanaryKek> {
        let spec = KekSpec { bits: THROWAWAY_BITS, mechanism };
        let KeyPair { public, private } =
            self.kek_generate(&throwaway(), false, spec, &|_| true)?;
        let public = self.public_half(public)?;
        let public = public
            .ok_or_else(|| canary_error("a KEK that shows no public key", "an RSA public key"))?;
        Ok(CanaryKek { private, public })
    }

    /// Wraps this PKCS#8 in software, unwraps it in the token, and says which key came of it.
    fn throwaway_unwrap(
        &self,
        kek: &CanaryKek,
        method: WrapMethod,
        pkcs8: &[u8],
    ) -> Result<PublicHalf> {
        let wrapped = wrapped_key::make(kek.public.rsa()?, method.oaep, pkcs8)?;
        let (under, wanted) = (method.under(kek.private), unwrapped_throwaway());
        let (key, _) = self.unwrap_under(under, &wrapped, &wanted, &[flag(CKA_TOKEN, false)])?;
        let rule = Rule::TargetAttributes;
        let checked = self.expect(key, &wanted, rule);
        checked.map_err(|fault| fault.error("use a token that unwraps keys as it is asked to"))?;
        self.must_stay(key, &kek.public, method, rule)?;
        let public = self.public_half(key)?;
        public.ok_or_else(|| canary_error("a key that shows no public key", "an RSA key"))
    }

    /// Tries to wrap a throwaway key that was made to be not extractable, as the tenant wraps. A
    /// token that lets it out would let the real ones out, whatever it says of them. Any refusal
    /// will do: a token at the hoster need not wrap at all.
    fn must_stay(
        &self,
        key: Object,
        kek: &PublicHalf,
        method: WrapMethod,
        rule: Rule,
    ) -> Result<()> {
        let Ok(with) = self.create(&wrapping_kek(kek)) else {
            return Ok(());
        };
        let left = self.wrap_under(method.under(with), key).is_ok();
        self.discard(&[with]);
        match left {
            false => Ok(()),
            true => Err(rule.refuse(
                "a throwaway key made with CKA_EXTRACTABLE false, which the token wrapped all the same",
                "a token that lets no such key out",
                "do not use this token: its keys can leave it, whatever it says of them",
            )),
        }
    }
}

/// The KEK of a canary: one of the real one's template that nobody will miss; or the real one,
/// under which a throwaway key is wrapped.
struct CanaryKek {
    private: Object,
    public: PublicHalf,
}

/// A throwaway key whose PKCS#8 is no multiple of 8 long, so that both flavours of the key wrap
/// differ.
pub(super) fn unfilled_key() -> Result<(rsa::PrivateKey, Zeroizing<Vec<u8>>)> {
    loop {
        let key = software_key()?;
        let der = key.to_pkcs8_der().map_err(|error| {
            Error::defect(format!("the throwaway RSA key does not encode: {error}"))
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

fn other_key_error() -> Error {
    canary_error("another key", "the throwaway key that was wrapped")
}

fn canary_error(found: &str, expected: &str) -> Error {
    Rule::WrapCanary.refuse(
        found,
        expected,
        "do not use this token: what it wraps or unwraps is not what it was given",
    )
}
