//! What attributes really forbid: each is tried on throwaway objects, as somebody would who means
//! to break it.

use cryptoki::session::Session;
use cryptoki_sys::*;
use getrandom::SysRng;
use rsa::pkcs8::DecodePublicKey;

use crate::{
    Hsm,
    attribute::{Attribute, Value, bytes, flag, template},
    canary::{USAGE, throwaway_target, unfilled_key},
    import::imported_key,
    kek::unwrapped_by,
    mechanism::{THROWAWAY, ephemeral_aes, software_key, software_public, wrapping_public},
    packed::Call,
    raw::Object,
    target::TargetSpec,
    unwrap::aes_template,
    wrapped_key::{self, WrappedKey},
};
use record::{
    Result,
    probe::EnforcedFacts,
    terms::{Mechanism, OaepHash},
};

/// The hash of every trial; one that each token can, or nothing is shown.
const OAEP: OaepHash = OaepHash::Sha1;

/// One attribute, and what it must forbid. `act` says whether that could be done all the same;
/// `None` where the token has not what it would be done by, so that nothing is shown.
struct Trial<'a> {
    object: &'static str,
    attribute: Attribute,
    tried: &'static str,
    act: Box<dyn Fn() -> Result<Option<bool>> + 'a>,
}

/// A throwaway KEK, and a key that was wrapped for it in software.
struct Kek {
    private: Object,
    public: rsa::PublicKey,
    mechanism: Mechanism,
    wrapped: WrappedKey,
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
        let public = self.public_key_of(session, public)?;
        let public = public.and_then(|key| rsa::PublicKey::from_public_key_der(&key.spki).ok());
        let Some(public) = public else {
            return Ok(Vec::new());
        };
        let kek = &Kek {
            wrapped: wrapped_key::make(&public, OAEP, &unfilled_key()?.1)?,
            private,
            public,
            mechanism,
        };
        let (allowed, unwrapped) = unwrapped_by(mechanism);
        let trials = vec![
            self.is_shown(session, object, private),
            Trial {
                object,
                attribute: flag(CKA_EXTRACTABLE, false),
                tried: "it was wrapped",
                act: Box::new(move || self.wraps(session, private)),
            },
            Trial {
                object,
                attribute: flag(CKA_DECRYPT, false),
                tried: "it decrypted",
                act: Box::new(move || self.decrypts(session, kek)),
            },
            Trial {
                object,
                attribute: flag(CKA_SIGN, false),
                tried: "it signed",
                act: Box::new(move || self.signs(session, private)),
            },
            Trial {
                object,
                attribute: flag(CKA_COPYABLE, false),
                tried: "it was copied",
                act: Box::new(move || Ok(Some(self.is_copied(session, private)))),
            },
            Trial {
                object,
                attribute: flag(CKA_MODIFIABLE, false),
                tried: "CKA_DECRYPT was changed to true",
                act: Box::new(move || self.becomes(session, private, flag(CKA_DECRYPT, true))),
            },
            Trial {
                object,
                attribute: template(CKA_UNWRAP_TEMPLATE, unwrapped),
                tried: "it unwrapped a key that can leave",
                act: Box::new(move || self.unwraps_loosely(session, kek)),
            },
            Trial {
                object,
                attribute: allowed,
                tried: "it unwrapped by another mechanism",
                act: Box::new(move || self.unwraps_otherwise(session, kek)),
            },
        ];
        self.run(session, private, trials)
    }

    /// Tries to use a throwaway target key for what its attributes forbid; and whether
    /// CKA_WRAP_WITH_TRUSTED is held, and kept.
    pub(super) fn try_target(&self) -> Result<(Vec<EnforcedFacts>, bool)> {
        let session = self.session()?;
        let (object, trusted) = ("target key", flag(CKA_WRAP_WITH_TRUSTED, true));
        let spec = TargetSpec { trusted_only: true, ..throwaway_target(THROWAWAY) };
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
            act: Box::new(|| self.wraps(&session, private)),
        };
        let facts =
            self.run(&session, private, vec![self.is_shown(&session, object, private), wraps])?;
        // A token without CKA_TRUSTED has no key that could wrap it, ever. True is the security
        // officer's alone.
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
            let done = if held { (trial.act)()? } else { None };
            facts.push(EnforcedFacts {
                object: trial.object.to_owned(),
                attribute: trial.attribute.to_string(),
                tried: trial.tried.to_owned(),
                refused: done.map(|done| !done),
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
                let shown = matches!(shown, Some(Value::Bytes(shown)) if !shown.is_empty());
                Ok(Some(shown))
            }),
        }
    }

    fn decrypts(&self, session: &Session, kek: &Kek) -> Result<Option<bool>> {
        if !self.can(CKM_RSA_PKCS_OAEP, CKF_DECRYPT)? {
            return Ok(None);
        }
        let (call, blob) = (Call::Oaep(OAEP), kek.wrapped.split().0);
        Ok(Some(self.raw().decrypt(session, call, kek.private, blob).is_ok()))
    }

    fn signs(&self, session: &Session, key: Object) -> Result<Option<bool>> {
        if !self.can(CKM_SHA256_RSA_PKCS, CKF_SIGN)? {
            return Ok(None);
        }
        let call = Call::Plain(CKM_SHA256_RSA_PKCS);
        Ok(Some(self.raw().sign(session, call, key, b"message").is_ok()))
    }

    fn is_copied(&self, session: &Session, key: Object) -> bool {
        let copied = self.raw().copy(session, key, &[flag(CKA_TOKEN, false)]);
        copied.map(|copy| self.discard(session, &[copy])).is_ok()
    }

    fn becomes(&self, session: &Session, key: Object, other: Attribute) -> Result<Option<bool>> {
        // What counts is what the key is afterwards.
        let _ = self.raw().set(session, key, std::slice::from_ref(&other));
        let is = self.raw().read(session, key, &other)?;
        Ok(Some(is == Some(other.value)))
    }

    /// Whether anything wraps this key, of what wraps a key that may be wrapped: an AES key, or an
    /// RSA key in one call.
    fn wraps(&self, session: &Session, key: Object) -> Result<Option<bool>> {
        let (public, free) = self.target_generate(session, None, &throwaway_target(THROWAWAY))?;
        let mut withs = Vec::new();
        if let Ok(call) = self.key_wrap(session) {
            withs.push((call, self.raw().generate_aes(session, &ephemeral_aes())?));
        }
        if self.has(CKM_RSA_AES_KEY_WRAP)? {
            let rsa = wrapping_public(&software_public(&software_key()?)?);
            for oaep in [OaepHash::Sha256, OaepHash::Sha1] {
                withs.push((Call::RsaAes(oaep), self.raw().create(session, &rsa)?));
            }
        }
        let mut wrapped = None;
        for (call, with) in withs {
            if self.raw().wrap(session, call, with, free).is_ok() {
                let done = self.raw().wrap(session, call, with, key).is_ok();
                wrapped = Some(done || wrapped == Some(true));
            }
            self.discard(session, &[with]);
        }
        self.discard(session, &[public, free]);
        Ok(wrapped)
    }

    /// Whether the KEK unwraps by its own mechanism into something that can leave the token.
    fn unwraps_loosely(&self, session: &Session, kek: &Kek) -> Result<Option<bool>> {
        let (call, wrapped, mut template) = match kek.mechanism {
            Mechanism::SingleShot => (
                Call::RsaAes(OAEP),
                kek.wrapped.as_bytes(),
                [imported_key(THROWAWAY, USAGE), vec![flag(CKA_TOKEN, false)]].concat(),
            ),
            Mechanism::Composite => (Call::Oaep(OAEP), kek.wrapped.split().0, aes_template()),
        };
        let unwrap = |template: &[Attribute]| {
            (self.raw()).unwrap(session, call, kek.private, wrapped, template)
        };
        match unwrap(&template) {
            Ok(honest) => self.discard(session, &[honest]),
            Err(_) => return Ok(None),
        }
        template.retain(|attribute| attribute.kind != CKA_EXTRACTABLE);
        template.push(flag(CKA_EXTRACTABLE, true));
        let Ok(loose) = unwrap(&template) else {
            return Ok(Some(false));
        };
        let leaves = flag(CKA_EXTRACTABLE, true);
        let can_leave = self.raw().read(session, loose, &leaves)? == Some(leaves.value);
        self.discard(session, &[loose]);
        Ok(Some(can_leave))
    }

    /// Whether the KEK unwraps by a mechanism that it does not allow: in single-shot the AES half
    /// alone.
    fn unwraps_otherwise(&self, session: &Session, kek: &Kek) -> Result<Option<bool>> {
        let (kind, call, blob) = match kek.mechanism {
            Mechanism::SingleShot => {
                let aes_half = kek.wrapped.split().0.to_vec();
                (CKM_RSA_PKCS_OAEP, Call::Oaep(OAEP), aes_half)
            }
            Mechanism::Composite => {
                let padding = rsa::Pkcs1v15Encrypt;
                let Ok(blob) = kek.public.encrypt(&mut SysRng, padding, &[0; 32]) else {
                    return Ok(None);
                };
                (CKM_RSA_PKCS, Call::Plain(CKM_RSA_PKCS), blob)
            }
        };
        if !self.can(kind, CKF_UNWRAP)? {
            return Ok(None);
        }
        let unwrapped = (self.raw()).unwrap(session, call, kek.private, &blob, &aes_template());
        Ok(Some(unwrapped.map(|key| self.discard(session, &[key])).is_ok()))
    }
}
