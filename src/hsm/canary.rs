//! Canaries: the calls of the real wrap and unwrap, on throwaway keys, with the other end in
//! software (design, sections 4.1 and 4.3). What a token does is observed before a real key is
//! trusted to it.
//!
//! Throwaway keys are session objects: they end with the session, whatever happens. Throwaway KEKs
//! have 2048 bits whatever the plan says: neither the OAEP hash nor the AES key wrap depends on the
//! size, and a software RSA-4096 key takes seconds.

use std::iter;

use cryptoki::session::Session;
use cryptoki_sys::*;
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey};
use zeroize::Zeroizing;

use crate::{
    Hsm,
    attribute::{Attribute, bytes, flag},
    import::imported_key,
    kek::{Kek, KekSpec},
    mechanism::{
        THROWAWAY, THROWAWAY_BITS, Way, hash_refusal, other, software_key, software_public,
        wrapping_public,
    },
    parallel::meanwhile,
    public_key::PublicKey,
    raw::Object,
    target::TargetSpec,
    wrapped_key::{self, WrappedKey},
};
use record::{
    Error, Result,
    rule::Rule,
    spki,
    terms::{KeyType, KwpFlavour, Mechanism, OaepHash, Observed, Usage},
};

const LABEL: &str = "keyferry throwaway";
/// Throwaway keys until one shows the flavour of the key wrap: about one in four does not.
const MOST_KEYS: usize = 64;

/// Usages of throwaway target keys; they serve nobody.
pub(super) const USAGE: Usage = Usage { sign: true, decrypt: false };

/// The attributes by which a throwaway object is known.
pub(super) fn throwaway() -> [Attribute; 1] {
    [bytes(CKA_LABEL, LABEL.as_bytes())]
}

/// A target key that nobody will miss.
pub(super) fn throwaway_target(kind: KeyType) -> TargetSpec<'static> {
    TargetSpec { label: LABEL, kind, usage: USAGE, trusted_only: false }
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
        let way = self.way(&session, mechanism, oaep)?;
        let generate = || self.target_generate(&session, None, &throwaway_target(target));
        let (software, first) = meanwhile(software_key, generate)?;
        let kek = software_public(&software)?;
        let with = self.raw().create(&session, &wrapping_public(&kek))?;
        let others = iter::repeat_with(generate);
        for pair in iter::once(Ok(first)).chain(others).take(MOST_KEYS) {
            let (public, private) = pair?;
            let wrap = |way| self.wrap_under(&session, private, with, way);
            let wrap_and_open = || {
                let wrapped = wrap(way).map_err(|error| {
                    self.explain_oaep(oaep, error, |oaep| wrap(way.with_oaep(oaep)).is_ok())
                })?;
                let wrapped = WrappedKey::parse(wrapped, kek.bits(), target)?;
                wrapped_key::open(&software, oaep, &wrapped)
            };
            let (first, second) = (wrap_and_open()?, wrap_and_open()?);
            let expected = self.public_key_of(&session, public)?;
            let expected = expected.and_then(|key| spki::PublicKey::parse(&key.spki).ok());
            self.discard(&session, &[public, private]);
            for opened in [&first, &second] {
                let key = wrapped_key::public_of(&opened.pkcs8);
                if key.is_none() || key != expected {
                    return Err(canary("another key", "the throwaway key that was wrapped"));
                }
            }
            if first.aes == second.aes {
                return Err(canary("the same AES key in two wraps", "a fresh one for each"));
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
        Err(canary("throwaway keys of a multiple of 8 bytes only", "keys made at random"))
    }

    /// Unwraps a throwaway software key, wrapped in software, under a throwaway KEK of the real
    /// one's template by the calls of [`Hsm::import`], and says which OAEP hash and key wrap the
    /// token takes.
    ///
    /// # Errors
    /// As [`Hsm::wrap_canary`].
    pub fn unwrap_canary(&self, mechanism: Mechanism, oaep: OaepHash) -> Result<Observed> {
        let flavours = self.unwrap_flavours(mechanism, oaep)?;
        let kwp = flavours.first().copied();
        Ok(Observed {
            oaep_hash: oaep,
            kwp: kwp.ok_or_else(|| canary("nothing", "one of the two flavours"))?,
        })
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
        let way = self.way(&session, mechanism, oaep)?;
        let own = CanaryKek::of(
            self.kek_private(&self.inventory()?, kek.id)?,
            PublicKey::rsa_of_spki(&kek.spki, Rule::KekKey)?,
        )?;
        let (software, unfilled) = unfilled_key()?;
        let pkcs8 = match kwp {
            KwpFlavour::Rfc5649 => unfilled,
            KwpFlavour::Rfc5649ZeroFilled => filled(&unfilled),
        };
        let opened = self.throwaway_unwrap(&session, &own, way, oaep, &pkcs8)?;
        match opened == software_public(&software)? {
            true => Ok(()),
            false => Err(canary("another key", "the throwaway key that was wrapped")),
        }
    }

    /// Every flavour of key wrap that the token takes, RFC 5649 itself first.
    pub(super) fn unwrap_flavours(
        &self,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Vec<KwpFlavour>> {
        let session = self.session()?;
        let way = self.way(&session, mechanism, oaep)?;
        let ((software, pkcs8), kek) =
            meanwhile(unfilled_key, || self.throwaway_kek(&session, mechanism))?;
        self.must_stay(&session, kek.private, &kek, way, Rule::KekExtractable)?;
        let expected = software_public(&software)?;
        let filled = filled(&pkcs8);
        let mut taken = Vec::new();
        let mut refused = None;
        for (kwp, pkcs8) in
            [(KwpFlavour::Rfc5649, &pkcs8), (KwpFlavour::Rfc5649ZeroFilled, &filled)]
        {
            match self.throwaway_unwrap(&session, &kek, way, oaep, pkcs8) {
                Ok(key) if key == expected => taken.push(kwp),
                Ok(_) => return Err(canary("another key", "the throwaway key that was wrapped")),
                Err(refusal @ Error::Refused(_)) => return Err(refusal),
                Err(error) => refused = Some(error),
            }
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
        let other = other(oaep);
        let by_the_other =
            self.throwaway_unwrap(&session, &kek, way.with_oaep(other), other, &filled);
        if by_the_other.is_ok() {
            return Err(hash_refusal(&self.name(), oaep, "cannot open it, but can open the other"));
        }
        Err(refused.unwrap_or_else(|| canary("nothing", "one of the two flavours")))
    }

    fn throwaway_kek(&self, session: &Session, mechanism: Mechanism) -> Result<CanaryKek> {
        let spec = KekSpec { bits: THROWAWAY_BITS, mechanism };
        let (public, private) = self.kek_generate(session, &throwaway(), false, spec, &|_| true)?;
        let public = self.public_key_of(session, public)?;
        let shown =
            public.ok_or_else(|| canary("a KEK that shows no public key", "an RSA public key"))?;
        CanaryKek::of(private, shown)
    }

    /// Wraps this PKCS#8 in software, unwraps it in the token, and says which key came of it.
    fn throwaway_unwrap(
        &self,
        session: &Session,
        kek: &CanaryKek,
        way: Way,
        oaep: OaepHash,
        pkcs8: &[u8],
    ) -> Result<PublicKey> {
        let wrapped = wrapped_key::make(&kek.public, oaep, pkcs8)?;
        let kind = KeyType::Rsa(THROWAWAY_BITS);
        let mut template = imported_key(kind, USAGE);
        template.push(flag(CKA_TOKEN, false));
        let what = (kind, USAGE);
        let unwrapped = self.unwrap_under(session, kek.private, way, &wrapped, what, &template)?;
        let key = unwrapped.key;
        let rule = Rule::TargetAttributes;
        if let Some(miss) = self.first_miss(session, key, &imported_key(kind, USAGE), rule)? {
            return Err(miss.refuse("use a token that unwraps keys as it is asked to"));
        }
        self.must_stay(session, key, kek, way, rule)?;
        let public = self.public_key_of(session, key)?;
        public.ok_or_else(|| canary("a key that shows no public key", "an RSA key"))
    }

    /// Tries to wrap a throwaway key that was made to be not extractable, as the tenant wraps. A
    /// token that lets it out would let the real ones out, whatever it says of them. Any refusal
    /// will do: a token at the hoster need not wrap at all.
    fn must_stay(
        &self,
        session: &Session,
        key: Object,
        kek: &CanaryKek,
        way: Way,
        rule: Rule,
    ) -> Result<()> {
        let Ok(with) = self.raw().create(session, &wrapping_public(&kek.wrapping)) else {
            return Ok(());
        };
        let left = self.wrap_under(session, key, with, way).is_ok();
        self.discard(session, &[with]);
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
    public: rsa::PublicKey,
    /// The same, in the form that a token takes.
    wrapping: PublicKey,
}

impl CanaryKek {
    fn of(private: Object, wrapping: PublicKey) -> Result<Self> {
        let public = rsa::PublicKey::from_public_key_der(&wrapping.spki)
            .map_err(|_| canary("a KEK that shows no public key", "an RSA public key"))?;
        Ok(CanaryKek { private, public, wrapping })
    }
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

fn canary(found: &str, expected: &str) -> Error {
    Rule::WrapCanary.refuse(
        found,
        expected,
        "do not use this token: what it wraps or unwraps is not what it was given",
    )
}
