//! Target keys that are born in the hoster's token (design, section 3): made so that they can never
//! leave it, with their public half and their certificate beside them.

use cryptoki_sys::*;

use crate::{
    HosterKey, Hsm, ImportKey, Inventory, TargetKey, TokenSession,
    attribute::{bytes, flag},
    public_key::generation,
    raw::KeyPair,
    template::{certificate, hoster_private, named, target_public},
    unwrap::first_taken,
};
use record::{
    Error, Result,
    encoding::CkaId,
    rule::Rule,
    spki::TargetCertificate,
    terms::{KeyType, Usage},
};

/// A target key that is to be born.
#[derive(Debug, Clone, Copy)]
pub struct BornSpec<'a> {
    /// CKA_ID of both halves and of the certificate.
    pub id: CkaId,
    /// Their CKA_LABEL.
    pub label: &'a str,
    /// Its kind and size.
    pub kind: KeyType,
    /// What it may be used for.
    pub usage: Usage,
}

/// A target key at the hoster, complete and correct, with its certificate.
pub struct CertifiedKey {
    /// The key.
    pub held: HosterKey,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
}

impl Hsm<'_> {
    /// Finds the complete, correct set of this id, or destroys what is left of one and makes it.
    /// `certify` makes the certificate of the new key, which signs it.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has the label; `TARGET-LOCAL`,
    /// `TARGET-ATTRIBUTES` where the token makes the key otherwise than asked, after it was
    /// destroyed; what `certify` ends with; [`Error::Hsm`] where the token fails.
    pub fn born_make(
        &self,
        inventory: &Inventory,
        spec: &BornSpec,
        certify: impl FnOnce(&TargetKey) -> Result<Vec<u8>>,
    ) -> Result<CertifiedKey> {
        if let Some(born) = self.born_find(inventory, spec)? {
            return Ok(born);
        }
        let id = &spec.id.0;
        self.refuse_label(inventory, id, spec.label, &[])?;
        self.make_anew(spec.id, Rule::TargetGone, inventory.count(id) > 0, || {
            let session = self.session()?;
            let KeyPair { public, private } = session.born_pair(spec)?;
            let key = session.public_half(public)?.ok_or_else(|| {
                Error::hsm(
                    "the new key shows no public half",
                    "use a token that makes keys as it is asked to",
                )
            })?;
            let target = TargetKey { id: id.to_vec(), spki: key.spki, made: true, private };
            let der = certify(&target)?;
            session.create(&certificate(id, spec.label, &der)?)?;
            drop(session);
            let set = spec.set(&target.spki, &der);
            let mut held = self.held(&self.inventory_where(&[bytes(CKA_ID, id)])?, &set)?;
            held.target.made = true;
            Ok(CertifiedKey { held, certificate: der })
        })
    }

    /// What an interrupted run has left whole.
    fn born_find(&self, inventory: &Inventory, spec: &BornSpec) -> Result<Option<CertifiedKey>> {
        let Ok(Some(certificate)) = self.certificate_find(inventory, &spec.id.0) else {
            return Ok(None);
        };
        let Ok(parsed) = TargetCertificate::parse(&certificate, spec.label) else {
            return Ok(None);
        };
        let found = self.import_find(inventory, &spec.set(parsed.spki(), &certificate))?;
        Ok(found.map(|held| CertifiedKey { held, certificate }))
    }
}

impl TokenSession<'_> {
    fn born_pair(&self, spec: &BornSpec) -> Result<KeyPair> {
        let named = named(&spec.id.0, spec.label);
        let (mechanism, kind) = generation(spec.kind);
        let public = [&named[..], &target_public(true, spec.usage), &kind].concat();
        let private = hoster_private(spec.kind, spec.usage);
        let private = [&named[..], &private, &[flag(CKA_TOKEN, true)]].concat();
        first_taken(&private, |private| self.generate_pair(mechanism, &public, private))
    }
}

impl BornSpec<'_> {
    fn set<'a>(&'a self, spki: &'a [u8], certificate: &'a [u8]) -> ImportKey<'a> {
        let BornSpec { id, label, usage, .. } = *self;
        ImportKey { id, label, spki, certificate, usage, born: true }
    }
}
