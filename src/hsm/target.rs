//! Target keys at the tenant: made or found, checked before they are wrapped, and used to sign and
//! to answer challenges.

use cryptoki::session::Session;
use cryptoki_sys::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    Hsm,
    attribute::{Attribute, Value, bytes, flag},
    inventory::Inventory,
    object::{Miss, public_usage},
    packed::Call,
    public_key::{PublicKey, generation},
    raw::Object,
};
use record::{
    Error, Result,
    encoding::CkaId,
    rule::Rule,
    terms::{KeyType, OaepHash, Usage},
};

/// A target key that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct TargetSpec<'a> {
    /// CKA_LABEL of both halves.
    pub label: &'a str,
    /// Its kind and size.
    pub kind: KeyType,
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

/// The usages of a private key, all of them explicit: tokens fill in surprising ones (PKCS#11 v3.1,
/// 4.9). CKA_WRAP does not exist on private keys.
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
    [flag(CKA_VERIFY, usage.sign), flag(CKA_ENCRYPT, usage.decrypt)]
}

/// A target key at the tenant. It stays modifiable, so that the tenant can end CKA_EXTRACTABLE
/// after the ceremony.
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
    /// `TARGET-EXISTS` where another private key has the label; the rule that the made key misses
    /// (`TARGET-SENSITIVE`, `TARGET-EXTRACTABLE`, `TARGET-KEY`, `TARGET-ATTRIBUTES`), after it was
    /// destroyed; [`Error::Hsm`] where the token fails.
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
                .map(|target| Target { made: true, ..target })
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
        let (mechanism, kind) = generation(spec.kind);
        let mut public = named.clone();
        public.extend(public_usage(token, &public_usages(spec.usage)));
        public.extend(kind);
        let mut private = named;
        private.extend(private_half(token, spec));
        self.raw().generate_pair(session, mechanism, &public, &private)
    }

    /// The one private key with this public half.
    ///
    /// # Errors
    /// `TARGET-MISSING`, `TARGET-AMBIGUOUS`; `TARGET-KEY` where the SPKI is of no kind that
    /// travels.
    pub fn target_by_spki(&self, inventory: &Inventory, spki: &[u8]) -> Result<Target> {
        let key = PublicKey::of_spki(spki, Rule::TargetKey)?;
        let found = self.private_of(inventory, &key)?;
        let [(private, id)] = found[..] else {
            let rule = match found.len() {
                0 => Rule::TargetMissing,
                _ => Rule::TargetAmbiguous,
            };
            return Err(rule.refuse(
                format!("{} private keys on {} have this public half", found.len(), self.name()),
                "exactly one",
                "check the token's label; of two copies of one key, remove one with the vendor's tool",
            ));
        };
        Ok(Target { id: id.to_vec(), spki: key.spki, made: false, private })
    }

    /// Checks in a new session that the key may be wrapped: sensitive, extractable, by a trusted
    /// KEK only or by any as the plan says, of this kind and size, exponent 65537, and the key it
    /// was when it was found.
    ///
    /// # Errors
    /// `TARGET-SENSITIVE`, `TARGET-EXTRACTABLE`, `TARGET-WRAP-WITH-TRUSTED`, `TARGET-KEY`;
    /// [`Error::Hsm`] where the token fails.
    pub fn target_check(&self, target: &Target, kind: KeyType, trusted_only: bool) -> Result<()> {
        let session = self.session()?;
        let key = PublicKey::of_spki(&target.spki, Rule::TargetKey)?;
        let key = Some(&key);
        let miss = self.target_miss(&session, target.private, kind, trusted_only, key)?;
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
        kind: KeyType,
        trusted_only: bool,
        key: Option<&PublicKey>,
    ) -> Result<Option<Miss>> {
        for (kind, rule) in
            [(CKA_SENSITIVE, Rule::TargetSensitive), (CKA_EXTRACTABLE, Rule::TargetExtractable)]
        {
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
        let half = match key {
            Some(key) => self.is_half_of(session, private, key)?,
            None => false,
        };
        let fits = |key: &&PublicKey| half && key.kind() == kind && key.exponent_fits();
        Ok(match key.filter(fits) {
            Some(_) => None,
            None => {
                // An RSA key shows what it is instead.
                let shown = self.public_key_of(session, private)?;
                let shown = shown.as_ref().or(key.filter(|_| half));
                Some(Miss {
                    rule: Rule::TargetKey,
                    found: shown.map_or("another key".to_owned(), PublicKey::described),
                    expected: format!("the {kind} key with this public half, exponent 65537"),
                })
            }
        })
    }

    /// The exact pair of this id, read in a new session, or what it misses.
    fn target_examine(
        &self,
        [private, public]: &[Vec<Object>; 2],
        id: CkaId,
        spec: &TargetSpec,
    ) -> Result<std::result::Result<Target, Miss>> {
        let miss = |found: String| Miss {
            rule: Rule::TargetKey,
            found,
            expected: "one key pair with its CKA_ID".to_owned(),
        };
        let ([private], [public]) = (&private[..], &public[..]) else {
            let found = format!("{} private keys, {} public keys", private.len(), public.len());
            return Ok(Err(miss(found)));
        };
        let session = self.session()?;
        let key = self.public_key_of(&session, *public)?;
        let trusted = spec.trusted_only;
        if let Some(miss) =
            self.target_miss(&session, *private, spec.kind, trusted, key.as_ref())?
        {
            return Ok(Err(miss));
        }
        let mut wanted = private_half(true, spec);
        wanted.extend([bytes(CKA_ID, &id.0), bytes(CKA_LABEL, spec.label.as_bytes())]);
        let rule = Rule::TargetAttributes;
        if let Some(miss) = self.first_miss(&session, *private, &wanted, rule)? {
            return Ok(Err(miss));
        }
        Ok(match key {
            Some(key) => {
                Ok(Target { id: id.0.to_vec(), spki: key.spki, made: false, private: *private })
            }
            None => Err(miss("a public half that shows no key".to_owned())),
        })
    }

    /// Destroys the key pair and the certificate of this id, then looks in a new session that
    /// nothing is left. Nothing to destroy is success.
    ///
    /// # Errors
    /// `TARGET-GONE` where something is left; [`Error::Hsm`] where the token cannot be searched.
    pub fn target_destroy(&self, id: CkaId) -> Result<()> {
        self.erase(&id.0, Rule::TargetGone)
    }

    /// A signature over this message: RSASSA-PKCS1-v1_5 with SHA-256 (CKM_SHA256_RSA_PKCS; RFC
    /// 8017, 8.2), or ECDSA over its SHA-256, raw r‖s (CKM_ECDSA, which every token with EC keys
    /// has). For what Keyferry itself has put together, never for what a counterpart chose.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails or the signature has not the length of one.
    pub fn sign(&self, key: &Target, message: &[u8]) -> Result<Vec<u8>> {
        let public = PublicKey::of_spki(&key.spki, Rule::TargetKey)?;
        let digest = Sha256::digest(message);
        let (call, data, length) = match public.kind() {
            KeyType::Rsa(bits) => (CKM_SHA256_RSA_PKCS, message, bits as usize / 8),
            KeyType::Ec(bits) => (CKM_ECDSA, digest.as_slice(), 2 * (bits as usize / 8)),
        };
        let signature = self.raw().sign(&self.session()?, Call::Plain(call), key.private, data)?;
        if signature.len() != length {
            return Err(Error::hsm(
                format!("C_Sign made {} bytes with a {} key", signature.len(), public.kind()),
                "do not go on with this token: it does not sign as PKCS#11 says",
            ));
        }
        Ok(signature)
    }

    /// RSA-OAEP decryption of a challenge (RFC 8017, 7.1.2). The plaintext is hashed and never shown.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails.
    pub fn decrypt_challenge(
        &self,
        key: &Target,
        oaep: OaepHash,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.raw().decrypt(&self.session()?, Call::Oaep(oaep), key.private, ciphertext)
    }
}
