//! What attributes really forbid: each is tried on throwaway objects, as somebody would who means
//! to break it.

use cryptoki_sys::*;
use getrandom::SysRng;

use crate::attribute::{Attribute, Value, bytes, flag, found};
use crate::canary::{CanaryKek, throwaway_target, unfilled_key, unwrapped_throwaway};
use crate::layout::{KeyUse, TokenMechanism};
use crate::mechanism::{THROWAWAY, software_key};
use crate::public_key::PublicHalf;
use crate::raw::{KeyPair, Object};
use crate::table::{
    ephemeral_aes, kept_here, target_public, tenant_private, unwrapped_by, unwrapping_aes,
    wrapping_kek,
};
use crate::wrapped_key::{self, WrappedKey};
use crate::{Hsm, TargetSpec, TokenSession};
use ::probe::{EnforcedFacts, MissedFacts};
use record::{Mechanism, OaepHash, Result, Rule, list};

/// The hash of every trial; one that each token can, or nothing is shown.
const OAEP: OaepHash = OaepHash::Sha1;

/// What somebody tries who means to break an attribute. Whether it could be done all the same; none
/// where the token has not what it would be done by, so that nothing is shown.
type Attempt<'a> = &'a dyn Fn() -> Result<Option<bool>>;

/// A throwaway KEK, and a key that was wrapped for it in software.
struct TrialKek {
    private: Object,
    public: PublicHalf,
    mechanism: Mechanism,
    wrapped: WrappedKey,
}

/// The AES key between KEK and target key, with what every token takes of one.
fn aes_alone() -> Vec<Attribute> {
    unwrapping_aes(&unwrapped_throwaway()).barest().template()
}

/// A template that asks for these instead. They come first: after CKA_MODIFIABLE false SoftHSM
/// refuses any attribute, whatever its value, and nothing would be shown by that.
pub(super) fn changed(template: Vec<Attribute>, to: &[Attribute]) -> Vec<Attribute> {
    let kept = template.into_iter().filter(|kept| to.iter().all(|one| one.kind != kept.kind));
    to.iter().cloned().chain(kept).collect()
}

/// Each attribute, what was tried, and whether it was refused.
fn facts(object: &str, attribute: &Attribute, tried: &str, refused: Option<bool>) -> EnforcedFacts {
    EnforcedFacts {
        object: object.to_owned(),
        attribute: attribute.to_string(),
        tried: tried.to_owned(),
        refused,
    }
}

impl Hsm<'_> {
    /// Tries to use a throwaway target key for what its attributes forbid; and whether
    /// CKA_WRAP_WITH_TRUSTED is held, and kept.
    pub(super) fn try_target(
        &self,
        session: &TokenSession,
        name: &[Attribute; 2],
    ) -> Result<(Vec<EnforcedFacts>, bool)> {
        let (object, trusted) = ("target key", flag(CKA_WRAP_WITH_TRUSTED, true));
        let spec = TargetSpec { trusted_only: true, ..throwaway_target(THROWAWAY) };
        let table = tenant_private(name, &spec).barest();
        let table = if self.session_only { table.in_session() } else { table };
        let public = target_public(!self.session_only, name, spec.usage);
        let Ok(KeyPair { public, private }) = session.pair(spec.kind, &public, &table.template())
        else {
            let none = facts(object, &trusted, "no key with it could be made", None);
            return Ok((vec![none], false));
        };
        let trials: [(_, _, Attempt); 2] = [
            (flag(CKA_SENSITIVE, true), SHOWN, &|| session.shows(private)),
            (trusted, "it was wrapped by a key that is not trusted", &|| session.wraps(private)),
        ];
        let facts = session.run(object, private, &trials)?;
        let kept = facts.last().is_some_and(|facts| facts.refused == Some(true));
        // A token without CKA_TRUSTED has no key that could wrap it, ever. True is the security
        // officer's alone.
        let mut untrusted = wrapping_kek(&PublicHalf::of_rsa(software_key()?.to_public_key())?);
        untrusted.push(flag(CKA_TRUSTED, false));
        let knows_trust = session.create(&untrusted);
        session.discard(&[public, private]);
        Ok((facts, kept && knows_trust.is_ok()))
    }
}

const SHOWN: &str = "it showed its private exponent";

impl TokenSession<'_> {
    /// Tries to use a throwaway KEK for what its attributes forbid.
    pub fn try_kek(
        &self,
        object: &str,
        CanaryKek { private, public }: CanaryKek,
        mechanism: Mechanism,
    ) -> Result<Vec<EnforcedFacts>> {
        let wrapped = wrapped_key::make(public.rsa()?, OAEP, &unfilled_key()?.1)?;
        let kek = TrialKek { private, public, mechanism, wrapped };
        let (allowed, unwrapped) = unwrapped_by(mechanism);
        let decrypt = flag(CKA_DECRYPT, true);
        let trials: [(_, _, Attempt); 8] = [
            (flag(CKA_SENSITIVE, true), SHOWN, &|| self.shows(private)),
            (flag(CKA_EXTRACTABLE, false), "it was wrapped", &|| self.wraps(private)),
            (flag(CKA_DECRYPT, false), "it decrypted", &|| self.decrypts(&kek)),
            (flag(CKA_SIGN, false), "it signed", &|| self.signs(private)),
            (flag(CKA_COPYABLE, false), "it was copied", &|| Ok(Some(self.is_copied(private)))),
            (flag(CKA_MODIFIABLE, false), "CKA_DECRYPT was changed to true", &|| {
                self.becomes(private, &decrypt)
            }),
            (unwrapped, "it unwrapped a key that can leave", &|| self.unwraps_loosely(&kek)),
            (allowed, "it unwrapped by another mechanism", &|| self.unwraps_otherwise(&kek)),
        ];
        self.run(object, private, &trials)
    }

    /// Attacks a throwaway single-shot KEK by which this key was wrapped, as a dishonest hoster in
    /// the room could: by templates that ask for a key that can be read or leave, and by such as say
    /// nothing of it. What succeeded.
    pub fn attacks(
        &self,
        kek: &CanaryKek,
        oaep: OaepHash,
        wrapped: &WrappedKey,
    ) -> Result<Vec<MissedFacts>> {
        let whole = TokenMechanism::RsaAes(oaep).with(kek.private);
        let half = TokenMechanism::Oaep(oaep).with(kek.private);
        let target = self.hsm.fitted(unwrapped_throwaway()).template();
        let aes_half = wrapped.split().0;
        let readable = [flag(CKA_SENSITIVE, false), flag(CKA_EXTRACTABLE, true)];
        let mut succeeded = Vec::new();
        for (rule, with, blob, template, asks) in [
            (Rule::KekAttackReadable, whole, wrapped.as_bytes(), target.clone(), true),
            (Rule::KekAttackSilent, whole, wrapped.as_bytes(), target.clone(), false),
            (Rule::KekAttackAesKey, half, aes_half, aes_alone(), true),
            (Rule::KekAttackAesKeySilent, half, aes_half, aes_alone(), false),
        ] {
            let mut template = template;
            template.retain(|one| ![CKA_SENSITIVE, CKA_EXTRACTABLE].contains(&one.kind));
            if asks {
                template = changed(template, &readable);
            }
            let Ok(key) = self.unwrap(with, blob, &template) else {
                // Any refusal will do, but not that of a token that fell silent.
                self.session.state()?;
                continue;
            };
            let kept = kept_here();
            let read = self.read_all(key, &kept.each_ref())?;
            self.discard(&[key]);
            let read: Vec<_> = kept.iter().zip(&read).collect();
            let stays = |(wanted, value): &(&Attribute, &Option<Value>)| {
                value.as_ref().is_some_and(|value| value.same(&wanted.value))
            };
            if !read.iter().all(stays) {
                let found = read.iter().map(|(one, value)| found(one.kind, value.as_ref()));
                let found = format!("a throwaway key unwrapped with {}", list(found));
                succeeded.push(MissedFacts { rule, found });
            }
        }
        // One that takes nothing any more has not withstood them.
        let honest = self.unwrap(whole, wrapped.as_bytes(), &target)?;
        self.discard(&[honest]);
        Ok(succeeded)
    }

    /// Runs each trial of an attribute that the object holds.
    fn run(
        &self,
        name: &str,
        object: Object,
        trials: &[(Attribute, &str, Attempt)],
    ) -> Result<Vec<EnforcedFacts>> {
        let run = |(attribute, tried, attempt): &(Attribute, &str, Attempt)| {
            let done = if self.is(object, attribute)? { attempt()? } else { None };
            Ok(facts(name, attribute, tried, done.map(|done| !done)))
        };
        trials.iter().map(run).collect()
    }

    fn shows(&self, private: Object) -> Result<Option<bool>> {
        let shown = self.read(private, &bytes(CKA_PRIVATE_EXPONENT, &[]))?;
        Ok(Some(matches!(shown, Some(Value::Bytes(shown)) if !shown.is_empty())))
    }

    fn decrypts(&self, kek: &TrialKek) -> Result<Option<bool>> {
        let with = TokenMechanism::Oaep(OAEP).with(kek.private);
        let can = self.hsm.can(CKM_RSA_PKCS_OAEP, CKF_DECRYPT)?;
        Ok(can.then(|| self.decrypt(with, kek.wrapped.split().0).is_ok()))
    }

    fn signs(&self, key: Object) -> Result<Option<bool>> {
        let with = TokenMechanism::Plain(CKM_SHA256_RSA_PKCS).with(key);
        let can = self.hsm.can(CKM_SHA256_RSA_PKCS, CKF_SIGN)?;
        Ok(can.then(|| self.sign(with, b"message").is_ok()))
    }

    fn is_copied(&self, key: Object) -> bool {
        let copied = self.copy(key, &[flag(CKA_TOKEN, false)]);
        copied.map(|copy| self.discard(&[copy])).is_ok()
    }

    fn becomes(&self, key: Object, other: &Attribute) -> Result<Option<bool>> {
        // What counts is what the key is afterwards.
        let _ = self.set(key, std::slice::from_ref(other));
        self.is(key, other).map(Some)
    }

    /// Whether anything wraps this key, of what wraps a key that may be wrapped: an AES key, or an
    /// RSA key in one call.
    fn wraps(&self, key: Object) -> Result<Option<bool>> {
        let Ok(free) = self.throwaway_pair(&throwaway_target(THROWAWAY)) else {
            return Ok(None);
        };
        let mut withs: Vec<KeyUse> = Vec::new();
        if let Ok(key_wrap) = self.key_wrap() {
            let aes = self.generate_aes(&ephemeral_aes().template());
            withs.extend(aes.map(|aes| key_wrap.with(aes)));
        }
        if self.hsm.wraps_by(CKM_RSA_AES_KEY_WRAP)? {
            let rsa = wrapping_kek(&PublicHalf::of_rsa(software_key()?.to_public_key())?);
            for oaep in [OaepHash::Sha256, OaepHash::Sha1] {
                let with = TokenMechanism::RsaAes(oaep);
                withs.extend(self.create(&rsa).map(|rsa| with.with(rsa)));
            }
        }
        let mut wrapped = None;
        for with in withs {
            if self.wrap(with, free.private).is_ok() {
                let done = self.wrap(with, key).is_ok();
                wrapped = Some(done || wrapped == Some(true));
            }
            self.discard(&[with.key]);
        }
        self.discard(&[free.public, free.private]);
        Ok(wrapped)
    }

    /// Whether the KEK unwraps by its own mechanism into something that can leave the token.
    fn unwraps_loosely(&self, kek: &TrialKek) -> Result<Option<bool>> {
        let (mechanism, wrapped, template) = match kek.mechanism {
            Mechanism::SingleShot => (
                TokenMechanism::RsaAes(OAEP),
                kek.wrapped.as_bytes(),
                self.hsm.fitted(unwrapped_throwaway()).template(),
            ),
            Mechanism::Composite => {
                (TokenMechanism::Oaep(OAEP), kek.wrapped.split().0, aes_alone())
            }
        };
        let with = mechanism.with(kek.private);
        match self.unwrap(with, wrapped, &template) {
            Ok(honest) => self.discard(&[honest]),
            Err(_) => return Ok(None),
        }
        let leaves = flag(CKA_EXTRACTABLE, true);
        let template = changed(template, std::slice::from_ref(&leaves));
        let Ok(loose) = self.unwrap(with, wrapped, &template) else {
            self.session.state()?;
            return Ok(Some(false));
        };
        let can_leave = self.is(loose, &leaves)?;
        self.discard(&[loose]);
        Ok(Some(can_leave))
    }

    /// Whether the KEK unwraps by a mechanism that it does not allow: in single-shot the AES half
    /// alone.
    fn unwraps_otherwise(&self, kek: &TrialKek) -> Result<Option<bool>> {
        let (kind, mechanism, blob) = match kek.mechanism {
            Mechanism::SingleShot => {
                let aes_half = kek.wrapped.split().0.to_vec();
                (CKM_RSA_PKCS_OAEP, TokenMechanism::Oaep(OAEP), aes_half)
            }
            Mechanism::Composite => {
                let padding = rsa::Pkcs1v15Encrypt;
                let Ok(blob) = kek.public.rsa()?.encrypt(&mut SysRng, padding, &[0; 32]) else {
                    return Ok(None);
                };
                (CKM_RSA_PKCS, TokenMechanism::Plain(CKM_RSA_PKCS), blob)
            }
        };
        if !self.hsm.can(kind, CKF_UNWRAP)? {
            return Ok(None);
        }
        let unwrapped = self.unwrap(mechanism.with(kek.private), &blob, &aes_alone());
        Ok(Some(unwrapped.map(|key| self.discard(&[key])).is_ok()))
    }
}
