//! What attributes really forbid: each is tried on throwaway objects, as somebody would who means to break it.

use cryptoki::session::Session;
use cryptoki_sys::*;
use getrandom::SysRng;
use rsa::pkcs8::DecodePublicKey;

use super::Hsm;
use super::attribute::{Attribute, Value, bytes, flag, template};
use super::canary::{USAGE, throwaway_target, unfilled_key};
use super::import::imported_key;
use super::kek::unwrapped_by;
use super::mechanism::{
    THROWAWAY_BITS, ephemeral_aes, software_key, software_public, wrapping_public,
};
use super::packed::Call;
use super::raw::Object;
use super::target::TargetSpec;
use super::unwrap::aes_template;
use crate::document::parts::{Mechanism, OaepHash};
use crate::probe::EnforcedFacts;
use crate::wrapped_key::{self, WrappedKey};
use crate::{Result, rule::Rule};

/// One attribute, and what it must forbid.
struct Trial<'a> {
    object: &'static str,
    attribute: Attribute,
    tried: &'static str,
    act: Box<dyn Fn() -> Result<bool> + 'a>,
}

impl Hsm<'_> {
    /// Tries to use a throwaway KEK for what its attributes forbid.
    pub(super) fn try_kek(
        &self,
        session: &Session,
        public: Object,
        private: Object,
        mechanism: Mechanism,
    ) -> Result<Vec<EnforcedFacts>> {
        let object = match mechanism {
            Mechanism::SingleShot => "single-shot KEK",
            Mechanism::Composite => "composite KEK",
        };
        let Some(wrapped) = self.wrapped_for(session, public)? else {
            return Ok(Vec::new());
        };
        let (raw, wrapped_aes) = (self.raw(), wrapped.split().0);
        let trial = |attribute, tried, act| Trial {
            object,
            attribute,
            tried,
            act,
        };
        let oaep = Call::Oaep(OaepHash::Sha1);
        let decrypts = move || raw.decrypt(session, oaep, private, wrapped_aes).is_ok();
        let becomes = move |attribute: Attribute| {
            let _ = raw.set(session, private, std::slice::from_ref(&attribute));
            Ok(raw.read(session, private, &attribute)? == Some(attribute.value))
        };
        let mut trials = vec![
            self.is_shown(session, object, private),
            self.is_wrapped(session, object, private),
            trial(
                flag(CKA_DECRYPT, false),
                "it decrypted",
                Box::new(move || Ok(decrypts())),
            ),
            trial(
                flag(CKA_SIGN, false),
                "it signed",
                Box::new(move || {
                    let call = Call::Plain(CKM_SHA256_RSA_PKCS);
                    Ok(raw.sign(session, call, private, b"message").is_ok())
                }),
            ),
            trial(
                flag(CKA_COPYABLE, false),
                "it was copied",
                Box::new(move || {
                    let copied = raw.copy(session, private, &[flag(CKA_TOKEN, false)]);
                    Ok(copied.map(|copy| self.discard(session, &[copy])).is_ok())
                }),
            ),
            trial(
                flag(CKA_MODIFIABLE, false),
                "CKA_DECRYPT was changed to true",
                Box::new(move || becomes(flag(CKA_DECRYPT, true))),
            ),
        ];
        let (allowed, unwrapped) = unwrapped_by(mechanism);
        trials.push(trial(
            template(CKA_UNWRAP_TEMPLATE, unwrapped),
            "it unwrapped a key that can leave",
            Box::new({
                let wrapped = wrapped.clone();
                move || self.unwraps_loosely(session, private, mechanism, &wrapped)
            }),
        ));
        trials.push(trial(
            allowed,
            "it unwrapped by another mechanism",
            Box::new({
                let wrapped = wrapped.clone();
                move || self.unwraps_otherwise(session, public, private, mechanism, &wrapped)
            }),
        ));
        self.run(session, private, trials)
    }

    /// Tries to use a throwaway target key for what its attributes forbid; and whether CKA_WRAP_WITH_TRUSTED is held, and kept.
    pub(super) fn try_target(&self) -> Result<(Vec<EnforcedFacts>, bool)> {
        let session = self.session()?;
        let (object, trusted) = ("target key", flag(CKA_WRAP_WITH_TRUSTED, true));
        let spec = TargetSpec {
            trusted_only: true,
            ..throwaway_target(THROWAWAY_BITS)
        };
        let made = self.target_generate(&session, None, &spec);
        let Ok((public, private)) = made else {
            let facts = vec![EnforcedFacts {
                object: object.to_owned(),
                attribute: trusted.to_string(),
                tried: "no key with it could be made".to_owned(),
                refused: None,
            }];
            return Ok((facts, false));
        };
        let wraps = Trial {
            object,
            attribute: trusted.clone(),
            tried: "it was wrapped by a key that is not trusted",
            act: Box::new(|| self.wraps_untrusted(&session, private)),
        };
        let facts = self.run(
            &session,
            private,
            vec![self.is_shown(&session, object, private), wraps],
        )?;
        // A token without CKA_TRUSTED has no key that could wrap it, ever. True is the security officer's alone.
        let mut untrusted = wrapping_public(&software_public(&software_key()?)?);
        untrusted.push(flag(CKA_TRUSTED, false));
        let knows_trust = self.raw().create(&session, &untrusted);
        let kept = facts
            .iter()
            .any(|facts| facts.attribute == trusted.to_string() && facts.refused == Some(true));
        self.discard(&session, &[public, private]);
        Ok((facts, kept && knows_trust.is_ok()))
    }

    fn run(
        &self,
        session: &Session,
        object: Object,
        trials: Vec<Trial>,
    ) -> Result<Vec<EnforcedFacts>> {
        let mut facts = Vec::new();
        for trial in trials {
            let held = self.raw().read(session, object, &trial.attribute)?;
            let held = held.is_some_and(|held| held.same(&trial.attribute.value));
            let refused = match held {
                true => Some(!(trial.act)()?),
                false => None,
            };
            facts.push(EnforcedFacts {
                object: trial.object.to_owned(),
                attribute: trial.attribute.to_string(),
                tried: trial.tried.to_owned(),
                refused,
            });
        }
        Ok(facts)
    }

    fn is_shown<'a>(
        &'a self,
        session: &'a Session,
        object: &'static str,
        private: Object,
    ) -> Trial<'a> {
        Trial {
            object,
            attribute: flag(CKA_SENSITIVE, true),
            tried: "it showed its private exponent",
            act: Box::new(move || {
                let exponent = bytes(CKA_PRIVATE_EXPONENT, &[]);
                let shown = self.raw().read(session, private, &exponent)?;
                Ok(matches!(shown, Some(Value::Bytes(shown)) if !shown.is_empty()))
            }),
        }
    }

    fn is_wrapped<'a>(
        &'a self,
        session: &'a Session,
        object: &'static str,
        private: Object,
    ) -> Trial<'a> {
        Trial {
            object,
            attribute: flag(CKA_EXTRACTABLE, false),
            tried: "it was wrapped",
            act: Box::new(move || self.wraps_untrusted(session, private)),
        }
    }

    /// Whether anything wraps this key: an AES key, or an RSA key in one call.
    fn wraps_untrusted(&self, session: &Session, key: Object) -> Result<bool> {
        let mut wrapped = false;
        if let Ok(call) = self.key_wrap(session) {
            let aes = self.raw().generate_aes(session, &ephemeral_aes())?;
            wrapped |= self.raw().wrap(session, call, aes, key).is_ok();
            self.discard(session, &[aes]);
        }
        if self.has(CKM_RSA_AES_KEY_WRAP)? {
            let public = software_public(&software_key()?)?;
            let with = self.raw().create(session, &wrapping_public(&public))?;
            for oaep in [OaepHash::Sha256, OaepHash::Sha1] {
                wrapped |= (self.raw().wrap(session, Call::RsaAes(oaep), with, key)).is_ok();
            }
            self.discard(session, &[with]);
        }
        Ok(wrapped)
    }

    /// A throwaway key, wrapped in software for this KEK; `None` where its public half cannot be read.
    fn wrapped_for(&self, session: &Session, public: Object) -> Result<Option<WrappedKey>> {
        let Some(public) = self.public_key_of(session, public)? else {
            return Ok(None);
        };
        let Ok(public) = rsa::PublicKey::from_public_key_der(&public.spki) else {
            return Ok(None);
        };
        wrapped_key::make(&public, OaepHash::Sha1, &unfilled_key()?.1).map(Some)
    }

    /// Whether the KEK unwraps by its own mechanism into something that can leave the token.
    fn unwraps_loosely(
        &self,
        session: &Session,
        kek: Object,
        mechanism: Mechanism,
        wrapped: &WrappedKey,
    ) -> Result<bool> {
        let oaep = OaepHash::Sha1;
        let (call, wrapped, honest) = match mechanism {
            Mechanism::SingleShot => (Call::RsaAes(oaep), wrapped.as_bytes(), imported_key(USAGE)),
            Mechanism::Composite => (Call::Oaep(oaep), wrapped.split().0, aes_template()),
        };
        let mut loose = honest;
        loose.retain(|attribute| ![CKA_EXTRACTABLE, CKA_TOKEN].contains(&attribute.kind));
        loose.extend([flag(CKA_TOKEN, false), flag(CKA_EXTRACTABLE, true)]);
        self.unwraps(session, call, kek, wrapped, &loose, true)
    }

    /// Whether the KEK unwraps by a mechanism that it does not allow.
    fn unwraps_otherwise(
        &self,
        session: &Session,
        public: Object,
        kek: Object,
        mechanism: Mechanism,
        wrapped: &WrappedKey,
    ) -> Result<bool> {
        if mechanism == Mechanism::SingleShot {
            // The AES half alone, and with it the target key by any template.
            let call = Call::Oaep(OaepHash::Sha1);
            return self.unwraps(
                session,
                call,
                kek,
                wrapped.split().0,
                &aes_template(),
                false,
            );
        }
        let Some(public) = self.public_key_of(session, public)? else {
            return Ok(false);
        };
        let Ok(public) = rsa::PublicKey::from_public_key_der(&public.spki) else {
            return Ok(false);
        };
        let Ok(blob) = public.encrypt(&mut SysRng, rsa::Pkcs1v15Encrypt, &[0; 32]) else {
            return Ok(false);
        };
        let call = Call::Plain(CKM_RSA_PKCS);
        self.unwraps(session, call, kek, &blob, &aes_template(), false)
    }

    /// Whether this unwrap gives a key; where `leaving`, one that can leave.
    fn unwraps(
        &self,
        session: &Session,
        call: Call,
        kek: Object,
        wrapped: &[u8],
        template: &[Attribute],
        leaving: bool,
    ) -> Result<bool> {
        let Ok(key) = self.raw().unwrap(session, call, kek, wrapped, template) else {
            return Ok(false);
        };
        let wanted = [flag(CKA_EXTRACTABLE, true)];
        let stays = self.first_miss(session, key, &wanted, Rule::KekUnwrapTemplate)?;
        self.discard(session, &[key]);
        Ok(!leaving || stays.is_none())
    }
}
