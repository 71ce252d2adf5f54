//! Target keys at the tenant: made or found, checked before they are wrapped, and used to sign and
//! to answer challenges; and the certificate beside a target key, a CKO_CERTIFICATE with the same
//! CKA_ID (PKCS#11 v3.1, 4.6.3).

use cryptoki_sys::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::attribute::{Value, bytes};
use crate::object::{AS_ASKED, if_exact};
use crate::parallel::on_threads;
use crate::public_key::PublicHalf;
use crate::raw::Object;
use crate::table::{certificate, named, target_public, tenant_private, wrappable};
use crate::{Hsm, Inventory, THROWAWAY, TokenMechanism, TokenSession};
use record::{CkaId, Error, Hash, KeyType, OaepHash, Result, Rule, Usage};

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
pub struct TargetKey {
    /// CKA_ID as it is on the token.
    pub id: Vec<u8>,
    /// Its public half, DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Whether this call made or imported it; otherwise it was there, as it must be.
    pub made: bool,
    pub(super) private: Object,
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
    ) -> Result<TargetKey> {
        let there = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY].map(|class| inventory.of_class(class, &id.0));
        // They were there before the login.
        if let Some(target) = if_exact(self.logged_in().target_examine(&there, id, spec, AS_ASKED))?
        {
            return Ok(target);
        }
        self.refuse_label(inventory, &id.0, spec.label, &[CKO_PRIVATE_KEY])?;
        self.fit_pair(spec.kind, spec.usage, |named, _| tenant_private(named, spec))?;
        let remains = inventory.count(&id.0) > 0;
        self.session()?.make_anew(id, Rule::TargetGone, remains, |session| {
            let named = named(&id.0, spec.label);
            let private = self.fitted(tenant_private(&named, spec)).template();
            let public = target_public(true, &named, spec.usage);
            let pair = session.pair(spec.kind, &public, &private)?;
            session.renew()?;
            let made = [vec![pair.private], vec![pair.public]];
            let target = session.target_examine(&made, id, spec, AS_ASKED)?;
            Ok(TargetKey { made: true, ..target })
        })
    }

    /// The one private key with this public half.
    ///
    /// # Errors
    /// `TARGET-MISSING`, `TARGET-AMBIGUOUS`; `TARGET-KEY` where the SPKI is of no kind that
    /// travels.
    pub fn target_by_spki(&self, inventory: &Inventory, spki: &[u8]) -> Result<TargetKey> {
        let key = PublicHalf::of_spki(spki, Rule::TargetKey)?;
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
        Ok(TargetKey { id: id.to_vec(), spki: key.spki, made: false, private })
    }

    /// Checks in new sessions, so many at once, that keys may be wrapped: each sensitive,
    /// extractable, by a trusted KEK only or by any as the plan says, of its kind and size, exponent
    /// 65537, and the key it was when it was found.
    ///
    /// # Errors
    /// `TARGET-SENSITIVE`, `TARGET-EXTRACTABLE`, `TARGET-WRAP-WITH-TRUSTED`, `TARGET-KEY`;
    /// [`Error::Hsm`] where the token fails.
    pub fn targets_check(
        &self,
        targets: &[(&TargetKey, KeyType)],
        trusted_only: bool,
        sessions: usize,
    ) -> Result<()> {
        let check = |session: &mut TokenSession, (target, kind): &(&TargetKey, KeyType)| {
            let key = PublicHalf::of_spki(&target.spki, Rule::TargetKey)?;
            let table = wrappable(trusted_only).half_of(&key, Rule::TargetKey);
            let remedy = "choose another key, or make a new one with `keys create`: Keyferry changes no attribute of a key that exists";
            session.expect(target.private, &table, remedy)?;
            planned_kind(&key, *kind, remedy)
        };
        on_threads(sessions, targets, || self.session(), check).map(drop)
    }

    /// Destroys the key pair and the certificate of this id, then looks in a new session that
    /// nothing is left. Nothing to destroy is success.
    ///
    /// # Errors
    /// `TARGET-GONE` where something is left; [`Error::Hsm`] where the token cannot be searched.
    pub fn target_destroy(&self, id: CkaId) -> Result<()> {
        self.session()?.erase(id, Rule::TargetGone)
    }

    /// Whether any object has this id, looked for in a new session.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token cannot be searched.
    pub fn holds(&self, id: CkaId) -> Result<bool> {
        Ok(!self.session()?.find(&[bytes(CKA_ID, &id.0)])?.is_empty())
    }

    /// Destroys every private key with this public half, and the public objects beside it, then
    /// looks in a new session that none is left. Says whether there was one.
    ///
    /// # Errors
    /// `TARGET-KEY` where it is no public key, `TARGET-GONE` where one is left;
    /// [`record::Error::Hsm`] where the token cannot be searched.
    pub fn source_destroy(&self, spki: &[u8]) -> Result<bool> {
        let key = PublicHalf::of_spki(spki, Rule::TargetKey)?;
        let inventory = self.inventory()?;
        let there = self.private_of(&inventory, &key)?;
        let session = self.session()?;
        let mut refusals = Vec::new();
        for (object, id) in &there {
            // What counts is whether the key is there afterwards.
            if let Err(error) = session.destroy(*object) {
                refusals.push(error.to_string());
            }
            for public in inventory.of_class(CKO_PUBLIC_KEY, id) {
                if session.public_half(public, key.kind())?.as_ref() == Some(&key) {
                    let _ = session.destroy(public);
                }
            }
        }
        drop(session);
        let left = self.private_keys(&self.inventory()?, spki)?;
        let said = refusals.first().map_or("nothing", String::as_str);
        let (ids, name) = (left.join(", "), self.name());
        Rule::TargetGone.ensure(
            left.is_empty(),
            format!("a private key of the CKA_ID {ids} is still on {name}; it said: {said}"),
            "no private key with this public half",
            "destroy it with the vendor's tool, then run the same command again, which looks once more",
        )?;
        Ok(!there.is_empty())
    }

    /// The CKA_IDs, as hex, of the private keys with this public half.
    ///
    /// # Errors
    /// `TARGET-KEY` where it is no RSA public key.
    pub fn private_keys(&self, inventory: &Inventory, spki: &[u8]) -> Result<Vec<String>> {
        let key = PublicHalf::of_spki(spki, Rule::TargetKey)?;
        let found = self.private_of(inventory, &key)?.into_iter();
        Ok(found.map(|(_, id)| data_encoding::HEXLOWER.encode(id)).collect())
    }

    /// SHA-256 of the public halves (SubjectPublicKeyInfo) of RSA private keys without CKA_ID.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails.
    pub fn nameless(&self, inventory: &Inventory) -> Result<Vec<Hash>> {
        let session = self.session()?;
        let nameless = inventory.of_class(CKO_PRIVATE_KEY, &[]).into_iter();
        let halves = nameless.filter_map(|key| session.public_half(key, THROWAWAY).transpose());
        halves.map(|half| Ok(Hash::of(&half?.spki))).collect()
    }

    /// A signature over this message: RSASSA-PKCS1-v1_5 with SHA-256 (CKM_SHA256_RSA_PKCS; RFC
    /// 8017, 8.2), or ECDSA over its SHA-256, raw r‖s (CKM_ECDSA, which every token with EC keys
    /// has). For what Keyferry itself has put together, never for what a counterpart chose.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token fails or the signature has not the length of one.
    pub fn sign(&self, key: &TargetKey, message: &[u8]) -> Result<Vec<u8>> {
        let public = PublicHalf::of_spki(&key.spki, Rule::TargetKey)?;
        let digest = Sha256::digest(message);
        let (mechanism, data, length) = match public.kind() {
            KeyType::Rsa(bits) => (CKM_SHA256_RSA_PKCS, message, bits as usize / 8),
            KeyType::Ec(bits) => (CKM_ECDSA, digest.as_slice(), 2 * (bits as usize / 8)),
        };
        let with = TokenMechanism::Plain(mechanism).with(key.private);
        let signature = self.logged_in().sign(with, data)?;
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
        key: &TargetKey,
        oaep: OaepHash,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.logged_in().decrypt(TokenMechanism::Oaep(oaep).with(key.private), ciphertext)
    }

    /// Stores a certificate beside the key of this id, and reads it back in a new session; a token
    /// that stores no certificates goes without.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE` where this is none, where the key has no CKA_ID, or where the token
    /// does not hold what it was given; [`record::Error::Hsm`] where the token fails.
    pub fn certificate_store(&self, id: &[u8], label: &str, der: &[u8]) -> Result<()> {
        let table = certificate(&named(id, label), der)?;
        let certificate_error = |found: &str| {
            Rule::TargetCertificate.refuse(
                found,
                "this certificate, and no other with the key's CKA_ID",
                "look at the token with the vendor's tool; remove the other certificate if nothing needs it",
            )
        };
        if id.is_empty() {
            return Err(certificate_error("a key without CKA_ID"));
        }
        if !self.fits(|named| certificate(named, der))? {
            return Ok(());
        }
        let made = self.logged_in().create(&self.fitted(table).template())?;
        match self.certificate_value(made)? {
            Some(found) if found == der => Ok(()),
            _ => {
                Err(certificate_error("a certificate that the token did not keep as it was given"))
            }
        }
    }

    /// The certificates beside the key of this id, whoever has issued them.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the token fails.
    pub fn certificates(&self, inventory: &Inventory, id: &[u8]) -> Result<Vec<Vec<u8>>> {
        if id.is_empty() {
            // Every certificate without CKA_ID would fit.
            return Ok(Vec::new());
        }
        let found = inventory.of_class(CKO_CERTIFICATE, id).into_iter();
        let values = found.map(|certificate| self.certificate_value(certificate));
        values.filter_map(Result::transpose).collect()
    }

    fn certificate_value(&self, certificate: Object) -> Result<Option<Vec<u8>>> {
        Ok(match self.session()?.read(certificate, &bytes(CKA_VALUE, &[]))? {
            Some(Value::Bytes(der)) => Some(der),
            _ => None,
        })
    }
}

impl TokenSession<'_> {
    /// The exact pair of this id.
    fn target_examine(
        &self,
        [private, public]: &[Vec<Object>; 2],
        id: CkaId,
        spec: &TargetSpec,
        remedy: &str,
    ) -> Result<TargetKey> {
        let error =
            |found: String| Rule::TargetKey.refuse(found, "one key pair with its CKA_ID", remedy);
        let (&[private], &[public]) = (&private[..], &public[..]) else {
            let found = format!("{} private keys, {} public keys", private.len(), public.len());
            return Err(error(found));
        };
        let key = self.public_half(public, spec.kind)?;
        let key =
            key.ok_or_else(|| error(format!("a public half that shows no {} key", spec.kind)))?;
        let table = tenant_private(&named(&id.0, spec.label), spec);
        self.expect(private, &table.half_of(&key, Rule::TargetKey), remedy)?;
        planned_kind(&key, spec.kind, remedy)?;
        Ok(TargetKey { id: id.0.to_vec(), spki: key.spki, made: false, private })
    }
}

/// Refuses another kind or size than the plan's.
fn planned_kind(key: &PublicHalf, kind: KeyType, remedy: &str) -> Result<()> {
    Rule::TargetKey.ensure(
        key.kind() == kind && key.exponent_fits(),
        key.described(),
        format!("the {kind} key with this public half, exponent 65537"),
        remedy,
    )
}
