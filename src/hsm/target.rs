//! Target keys at the tenant: made or found, checked before they are wrapped, and used to sign and to answer challenges.

use cryptoki::session::Session;
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::Hsm;
use super::attribute::{Attribute, Value, bytes, flag, number};
use super::inventory::Inventory;
use super::object::{EXPONENT, Miss, PublicKey, public_usage};
use super::packed::Call;
use super::raw::Object;
use crate::document::parts::OaepHash;
use crate::encoding::CkaId;
use crate::plan::Usage;
use crate::rule::Rule;
use crate::{Error, Result};

/// A target key that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct TargetSpec<'a> {
    /// CKA_LABEL of both halves.
    pub label: &'a str,
    /// The size of its modulus.
    pub bits: u32,
    /// What it may be used for.
    pub usage: Usage,
    /// Whether only a KEK that is CKA_TRUSTED may wrap it (CKA_WRAP_WITH_TRUSTED).
    pub trusted_only: bool,
}

/// A target key on this token.
#[derive(Clone)]
pub struct Target {
    /// CKA_ID as it is on the token.
    pub id: Vec<u8>,
    /// Its public half, DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Whether this call made it.
    pub made: bool,
    pub(super) private: Object,
}

/// The usages of a private key, all of them explicit: tokens fill in surprising ones (PKCS#11 v3.1, 4.9).
/// CKA_WRAP does not exist on private keys.
pub(super) fn private_usage(usage: Usage) -> Vec<Attribute> {
    vec![
        flag(CKA_SIGN, usage.sign),
        flag(CKA_DECRYPT, usage.decrypt),
        flag(CKA_UNWRAP, false),
        flag(CKA_DERIVE, false),
        flag(CKA_SIGN_RECOVER, false),
    ]
}

/// The usages of the public half.
pub(super) fn public_usages(usage: Usage) -> [Attribute; 2] {
    [
        flag(CKA_VERIFY, usage.sign),
        flag(CKA_ENCRYPT, usage.decrypt),
    ]
}

/// A target key at the tenant. It stays modifiable, so that the tenant can end CKA_EXTRACTABLE after the ceremony.
fn private_half(token: bool, spec: &TargetSpec) -> Vec<Attribute> {
    let mut template = vec![
        flag(CKA_TOKEN, token),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, true),
    ];
    template.extend(private_usage(spec.usage));
    if spec.trusted_only {
        template.push(flag(CKA_WRAP_WITH_TRUSTED, true));
    }
    template.push(flag(CKA_COPYABLE, false));
    template.push(flag(CKA_MODIFIABLE, true));
    template
}

impl Hsm<'_> {
    /// Finds the exact pair of this id, or destroys what is left of one and makes it.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where another private key has the label; the rule that the made key misses (`TARGET-SENSITIVE`, `TARGET-EXTRACTABLE`,
    /// `TARGET-KEY`, `TARGET-ATTRIBUTES`), after it was destroyed; [`Error::Hsm`] where the token fails.
    pub fn target_make(
        &self,
        inventory: &Inventory,
        id: CkaId,
        spec: &TargetSpec,
    ) -> Result<Target> {
        let there = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY].map(|class| inventory.of_class(class, &id.0));
        if let Ok(target) = self.target_examine(&there, id, spec)? {
            return Ok(target);
        }
        self.refuse_label(inventory, &id.0, spec.label, &[CKO_PRIVATE_KEY])?;
        if inventory.count(&id.0) > 0 {
            self.erase(&id.0, Rule::TargetGone)?;
        }
        self.or_erase(&id.0, Rule::TargetGone, || {
            let session = self.session()?;
            let (public, private) = self.target_generate(&session, Some(id), spec)?;
            drop(session);
            let target = self.target_examine(&[vec![private], vec![public]], id, spec)?;
            target
                .map(|target| Target {
                    made: true,
                    ..target
                })
                .map_err(|miss| miss.refuse("use a token that makes keys as it is asked to"))
        })
    }

    /// Makes a pair of the tenant's kind; without an id as session objects, for canaries.
    pub(super) fn target_generate(
        &self,
        session: &Session,
        id: Option<CkaId>,
        spec: &TargetSpec,
    ) -> Result<(Object, Object)> {
        let token = id.is_some();
        let mut named = vec![bytes(CKA_LABEL, spec.label.as_bytes())];
        named.extend(id.map(|id| bytes(CKA_ID, &id.0)));
        let mut public = named.clone();
        public.extend(public_usage(token, &public_usages(spec.usage)));
        public.push(number(CKA_MODULUS_BITS, spec.bits.into()));
        public.push(bytes(CKA_PUBLIC_EXPONENT, &EXPONENT));
        let mut private = named;
        private.extend(private_half(token, spec));
        self.raw().generate_pair(session, &public, &private)
    }

    /// The one private key with this public half, by its modulus.
    ///
    /// # Errors
    /// `TARGET-MISSING`, `TARGET-AMBIGUOUS`; `TARGET-KEY` where the SPKI is not of RSA with exponent 65537.
    pub fn target_by_spki(&self, inventory: &Inventory, spki: &[u8]) -> Result<Target> {
        let key = PublicKey::of_spki(spki, Rule::TargetKey)?;
        let found = inventory.of_modulus(&key.modulus);
        let [(private, id)] = found[..] else {
            let rule = match found.len() {
                0 => Rule::TargetMissing,
                _ => Rule::TargetAmbiguous,
            };
            return Err(rule.refuse(
                format!("{} private keys on {} have this modulus", found.len(), self.name()),
                "exactly one",
                "check the token's label; of two copies of one key, remove one with the vendor's tool",
            ));
        };
        Ok(Target {
            id: id.to_vec(),
            spki: key.spki,
            made: false,
            private,
        })
    }

    /// Checks in a new session that the key may be wrapped: sensitive, extractable, by a trusted KEK only or by any as the plan says, of
    /// this size, exponent 65537, and the key it was when it was found.
    ///
    /// # Errors
    /// `TARGET-SENSITIVE`, `TARGET-EXTRACTABLE`, `TARGET-WRAP-WITH-TRUSTED`, `TARGET-KEY`; [`Error::Hsm`] where the token fails.
    pub fn target_check(&self, target: &Target, bits: u32, trusted_only: bool) -> Result<()> {
        let session = self.session()?;
        let spki = Some(target.spki.as_slice());
        let miss = self.target_miss(&session, target.private, bits, trusted_only, spki)?;
        match miss {
            None => Ok(()),
            Some(miss) => Err(miss.refuse(
                "choose another key, or make a new one with `keys create`: Keyferry changes no attribute of a key that exists",
            )),
        }
    }

    fn target_miss(
        &self,
        session: &Session,
        private: Object,
        bits: u32,
        trusted_only: bool,
        spki: Option<&[u8]>,
    ) -> Result<Option<Miss>> {
        for (kind, rule) in [
            (CKA_SENSITIVE, Rule::TargetSensitive),
            (CKA_EXTRACTABLE, Rule::TargetExtractable),
        ] {
            let miss = self.first_miss(session, private, &[flag(kind, true)], rule)?;
            if miss.is_some() {
                return Ok(miss);
            }
        }
        let wanted = flag(CKA_WRAP_WITH_TRUSTED, trusted_only);
        let value = self.raw().read(session, private, &wanted)?;
        let rule = match (trusted_only, &value) {
            (true, value) if value.as_ref() != Some(&wanted.value) => {
                Some(Rule::TargetWrapWithTrusted)
            }
            // Composite's ephemeral AES key cannot be trusted, nor is a KEK without `kek trust`.
            (false, Some(Value::Flag(true))) => Some(Rule::TargetExtractable),
            _ => None,
        };
        if let Some(rule) = rule {
            return Ok(Some(Miss::attribute(rule, &wanted, value.as_ref())));
        }
        let key = self.public_key_of(session, private)?;
        let fits = |key: &PublicKey| {
            key.bits == bits && key.exponent == EXPONENT && spki.is_none_or(|spki| key.spki == spki)
        };
        Ok(match key {
            Some(key) if fits(&key) => None,
            key => Some(Miss {
                rule: Rule::TargetKey,
                found: key.map_or("no RSA key".to_owned(), |key| {
                    format!(
                        "an RSA key of {} bits with exponent {:02x?}",
                        key.bits, key.exponent
                    )
                }),
                expected: format!("the RSA key of {bits} bits with exponent 65537"),
            }),
        })
    }

    /// The exact pair of this id, read in a new session, or what it misses.
    fn target_examine(
        &self,
        [private, public]: &[Vec<Object>; 2],
        id: CkaId,
        spec: &TargetSpec,
    ) -> Result<std::result::Result<Target, Miss>> {
        let session = self.session()?;
        let miss = |found: String| Miss {
            rule: Rule::TargetKey,
            found,
            expected: "one key pair with its CKA_ID".to_owned(),
        };
        let ([private], [public]) = (&private[..], &public[..]) else {
            let found = format!(
                "{} private keys, {} public keys",
                private.len(),
                public.len()
            );
            return Ok(Err(miss(found)));
        };
        if let Some(miss) =
            self.target_miss(&session, *private, spec.bits, spec.trusted_only, None)?
        {
            return Ok(Err(miss));
        }
        let mut wanted = private_half(true, spec);
        wanted.extend([
            bytes(CKA_ID, &id.0),
            bytes(CKA_LABEL, spec.label.as_bytes()),
        ]);
        let rule = Rule::TargetAttributes;
        if let Some(miss) = self.first_miss(&session, *private, &wanted, rule)? {
            return Ok(Err(miss));
        }
        let key = self.public_key_of(&session, *private)?;
        let half = self.public_key_of(&session, *public)?;
        Ok(match key {
            Some(key) if half.as_ref() == Some(&key) => Ok(Target {
                id: id.0.to_vec(),
                spki: key.spki,
                made: false,
                private: *private,
            }),
            _ => Err(miss("two halves of different keys".to_owned())),
        })
    }

    /// Destroys the key pair and the certificate of this id, then looks in a new session that nothing is left. Nothing to destroy is success.
    ///
    /// # Errors
    /// `TARGET-GONE` where something is left; [`Error::Hsm`] where the token cannot be searched.
    pub fn target_destroy(&self, id: CkaId) -> Result<()> {
        self.erase(&id.0, Rule::TargetGone)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 over this message (CKM_SHA256_RSA_PKCS; RFC 8017, 8.2). Not public: callers sign what
    /// Keyferry itself has put together, never what a counterpart chose.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails or the signature is not as long as the modulus.
    pub(crate) fn sign(&self, key: &Target, message: &[u8]) -> Result<Vec<u8>> {
        let public = PublicKey::of_spki(&key.spki, Rule::TargetKey)?;
        let call = Call::Plain(CKM_SHA256_RSA_PKCS);
        let signature = self
            .raw()
            .sign(&self.session()?, call, key.private, message)?;
        if signature.len() != public.modulus.len() {
            return Err(Error::hsm(
                format!(
                    "C_Sign made {} bytes with an RSA-{} key",
                    signature.len(),
                    public.bits
                ),
                "do not go on with this token: it does not sign as PKCS#11 says",
            ));
        }
        Ok(signature)
    }

    /// RSA-OAEP decryption of a challenge (RFC 8017, 7.1.2). Not public: callers hash the plaintext and never show it.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails.
    pub(crate) fn decrypt_challenge(
        &self,
        key: &Target,
        oaep: OaepHash,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.raw()
            .decrypt(&self.session()?, Call::Oaep(oaep), key.private, ciphertext)
    }
}
