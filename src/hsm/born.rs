//! Target keys that are born in the hoster's token (design, section 3): made so that they can never
//! leave it, with their public half and their certificate beside them.

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm, ImportKey, Imported, Inventory, Target,
    attribute::{bytes, flag},
    certificate::certificate_object,
    import::imported_key,
    object::public_usage,
    public_key::generation,
    raw::Object,
    target::public_usages,
    unwrap::endings,
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

/// A key that was born, complete and correct, with its certificate in DER.
pub struct Born {
    /// The key.
    pub held: Imported,
    /// Its certificate.
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
        certify: impl FnOnce(&Target) -> Result<Vec<u8>>,
    ) -> Result<Born> {
        if let Some(born) = self.born_find(inventory, spec)? {
            return Ok(born);
        }
        let id = spec.id.0;
        self.refuse_label(inventory, &id, spec.label, &[])?;
        if inventory.count(&id) > 0 {
            self.erase(&id, Rule::TargetGone)?;
        }
        self.or_erase(&id, Rule::TargetGone, || {
            let session = self.session()?;
            let (public, private) = self.born_pair(&session, spec)?;
            let key = self.public_key_of(&session, public)?.ok_or_else(|| {
                Error::hsm(
                    "the new key shows no public half",
                    "use a token that makes keys as it is asked to",
                )
            })?;
            let target = Target { id: id.to_vec(), spki: key.spki, made: true, private };
            let certificate = certify(&target)?;
            let beside = certificate_object(&id, spec.label, &certificate)?;
            self.raw().create(&session, &beside)?;
            drop(session);
            let set = spec.set(&target.spki, &certificate);
            let mut held = self.held(&self.inventory_of(&id)?, &set)?;
            held.target.made = true;
            Ok(Born { held, certificate })
        })
    }

    /// What an interrupted run has left whole.
    fn born_find(&self, inventory: &Inventory, spec: &BornSpec) -> Result<Option<Born>> {
        let Ok(Some(certificate)) = self.certificate_find(inventory, &spec.id.0) else {
            return Ok(None);
        };
        let Ok(parsed) = TargetCertificate::parse(&certificate, spec.label) else {
            return Ok(None);
        };
        let found = self.import_find(inventory, &spec.set(parsed.spki(), &certificate))?;
        Ok(found.map(|held| Born { held, certificate }))
    }

    fn born_pair(&self, session: &Session, spec: &BornSpec) -> Result<(Object, Object)> {
        let named = [bytes(CKA_LABEL, spec.label.as_bytes()), bytes(CKA_ID, &spec.id.0)];
        let mut public = named.to_vec();
        public.extend(public_usage(true, &public_usages(spec.usage)));
        let (mechanism, kind) = generation(spec.kind);
        public.extend(kind);
        let mut private = named.to_vec();
        private.extend(imported_key(spec.kind, spec.usage));
        private.push(flag(CKA_TOKEN, true));
        let [strict, middle, plain] = endings().map(|ending| {
            let (public, whole) = (&public, [private.as_slice(), &ending[..]].concat());
            move || self.raw().generate_pair(session, mechanism, public, &whole)
        });
        // The first refusal is the one that speaks of the key, not of an attribute that a token
        // need not know.
        strict().or_else(|error| middle().or_else(|_| plain()).map_err(|_| error))
    }
}

impl BornSpec<'_> {
    fn set<'a>(&'a self, spki: &'a [u8], certificate: &'a [u8]) -> ImportKey<'a> {
        ImportKey {
            id: self.id,
            label: self.label,
            spki,
            certificate,
            usage: self.usage,
            born: true,
        }
    }
}
