//! Unwrapping a target key into the hoster's token (design, sections 4.3 and 4.5), and knowing afterwards that it is
//! the tenant's key, all of it, and cannot leave.

use cryptoki::session::Session;
use cryptoki_sys::*;

use super::Hsm;
use super::attribute::{Attribute, bytes, flag, number, read_back};
use super::certificate::certificate_object;
use super::object::{Miss, PublicKey, of_class, public_key};
use super::raw::Object;
use super::read::MOST_CERTIFICATE;
use super::target::{Target, private_usage, public_usages};
use super::unwrap::{Pinned, endings};
use crate::Result;
use crate::document::parts::{Mechanism, OaepHash, ReadBack};
use crate::encoding::CkaId;
use crate::plan::Usage;
use crate::rule::Rule;
use crate::wrapped_key::WrappedKey;

/// Everything that one import needs.
#[derive(Clone, Copy)]
pub struct ImportOrder<'a> {
    /// The KEK; call [`Hsm::kek_check`] before.
    pub kek: CkaId,
    /// How the key was wrapped.
    pub mechanism: Mechanism,
    /// The hash of its RSA-OAEP.
    pub oaep: OaepHash,
    /// The CKA_ID of the imported key, its public half and its certificate.
    pub id: CkaId,
    /// Their CKA_LABEL.
    pub label: &'a str,
    /// The tenant's public key, DER SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// The tenant's certificate of it, DER.
    pub certificate: &'a [u8],
    /// What the imported key may be used for.
    pub usage: Usage,
    /// The wrapped key, out of its seal.
    pub wrapped: &'a WrappedKey,
}

/// A complete, correct imported key.
#[derive(Clone)]
pub struct Imported {
    /// The key on this token.
    pub target: Target,
    /// The attributes of its private half, as a new session reads them.
    pub attributes: Vec<ReadBack>,
    /// Whether this call imported it; otherwise it was there, complete and correct.
    pub imported: bool,
}

/// The set of objects that an import makes.
struct Set<'a> {
    id: CkaId,
    label: &'a str,
    key: PublicKey,
    certificate: &'a [u8],
    usage: Usage,
}

/// What a target key must be at the hoster, and what the AES key's UNWRAP_TEMPLATE pins where the token allows it.
pub(super) fn imported_key(usage: Usage) -> Vec<Attribute> {
    let mut template = vec![
        number(CKA_CLASS, CKO_PRIVATE_KEY),
        number(CKA_KEY_TYPE, CKK_RSA),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, false),
    ];
    template.extend(private_usage(usage));
    template
}

impl Hsm<'_> {
    /// Imports a target key as a token object that cannot leave, its public half and its certificate beside it, and reads all
    /// of it back in a new session. A complete, correct set of this id is kept; an incomplete or other one is destroyed first.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has the label; `TARGET-ATTRIBUTES`, `TARGET-MODULUS`, `TARGET-CERTIFICATE`, `WRAP-AES-KEY` where
    /// the result is not what it must be; [`crate::Error::Hsm`] where the token does not open the wrapped key. Then nothing of this id is
    /// left (else `TARGET-GONE`).
    pub fn import(&self, order: &ImportOrder) -> Result<Imported> {
        let set = Set::new(
            order.id,
            order.label,
            order.spki,
            order.certificate,
            order.usage,
        )?;
        // Before anything is destroyed: a certificate that cannot be read is no reason to.
        let certificate = certificate_object(&order.id.0, order.label, order.certificate)?;
        if let Ok(imported) = self.import_examine(&set)? {
            return Ok(imported);
        }
        self.refuse_label(&order.id.0, order.label, &[])?;
        self.erase(&order.id.0, Rule::TargetGone)?;
        self.or_erase(&order.id.0, Rule::TargetGone, || {
            let pinned = self.import_objects(order, &set, &certificate)?;
            match self.import_examine(&set)? {
                Ok(mut imported) => {
                    imported.imported = true;
                    imported.attributes.extend(pinned.read_back());
                    Ok(imported)
                }
                Err(miss) => Err(miss.refuse(
                    "the imported key was destroyed again; find out whether the package or the token is at fault",
                )),
            }
        })
    }

    /// The complete, correct set of this id, if it is there: settles an interrupted import without shares.
    ///
    /// # Errors
    /// `TARGET-KEY` where the SPKI is not of RSA with exponent 65537; [`crate::Error::Hsm`] where the token fails.
    pub fn import_find(
        &self,
        id: CkaId,
        label: &str,
        spki: &[u8],
        certificate: &[u8],
        usage: Usage,
    ) -> Result<Option<Imported>> {
        let set = Set::new(id, label, spki, certificate, usage)?;
        Ok(self.import_examine(&set)?.ok())
    }

    fn import_objects(
        &self,
        order: &ImportOrder,
        set: &Set,
        certificate: &[Attribute],
    ) -> Result<Pinned> {
        let session = self.session()?;
        let kek = self.kek_private(&session, order.kek)?;
        let way = self.way(&session, order.mechanism, order.oaep)?;
        let mut template = imported_key(order.usage);
        template.push(flag(CKA_TOKEN, true));
        template.extend(set.named());
        let unwrapped =
            self.unwrap_under(&session, kek, way, order.wrapped, order.usage, &template)?;
        let private = unwrapped.key;
        let mut public = public_key(&set.key, true, &public_usages(set.usage));
        public.extend(set.named());
        let beside = (self.raw().create(&session, &public))
            .and_then(|_| self.raw().create(&session, certificate))
            .and_then(|_| self.has_id(&session, private, set));
        // A token that ignored CKA_ID keeps a key that no search by id would find to destroy.
        (beside.map(|()| unwrapped.pinned)).inspect_err(|_| self.discard(&session, &[private]))
    }

    fn has_id(&self, session: &Session, private: Object, set: &Set) -> Result<()> {
        match self.first_miss(session, private, &set.named(), Rule::TargetAttributes)? {
            None => Ok(()),
            Some(miss) => Err(miss.refuse("use a token that names keys as it is asked to")),
        }
    }

    /// Reads the set in a new session: complete and correct, or the first thing that it misses.
    fn import_examine(&self, set: &Set) -> Result<std::result::Result<Imported, Miss>> {
        let session = self.session()?;
        let [private, public, certificate] = match self.import_objects_of(&session, set)? {
            Ok(objects) => objects,
            Err(miss) => return Ok(Err(miss)),
        };
        let mut wanted = imported_key(set.usage);
        wanted.push(flag(CKA_TOKEN, true));
        let rule = Rule::TargetAttributes;
        let mut miss = self.first_miss(&session, private, &wanted, rule)?;
        for object in [private, public, certificate] {
            let named = self.first_miss(&session, object, &set.named(), rule)?;
            miss = miss.or(named);
        }
        for object in [private, public] {
            let other = self.public_key_of(&session, object)?.as_ref() != Some(&set.key);
            miss = miss.or(other.then(other_key));
        }
        let value = self
            .raw()
            .read_bytes(&session, certificate, CKA_VALUE, MOST_CERTIFICATE)?;
        let other = value.as_deref() != Some(set.certificate);
        miss = miss.or(other.then(other_certificate));
        if let Some(miss) = miss {
            return Ok(Err(miss));
        }
        Ok(Ok(Imported {
            target: Target {
                id: set.id.0.to_vec(),
                spki: set.key.spki.clone(),
                made: false,
                private,
            },
            attributes: self.import_attributes(&session, private, set.usage)?,
            imported: false,
        }))
    }

    /// The one private key, public key and certificate of this id.
    fn import_objects_of(
        &self,
        session: &Session,
        set: &Set,
    ) -> Result<std::result::Result<[Object; 3], Miss>> {
        let find = |class| self.raw().find(session, &of_class(class, &set.id.0));
        let private = find(CKO_PRIVATE_KEY)?;
        let public = find(CKO_PUBLIC_KEY)?;
        let certificate = find(CKO_CERTIFICATE)?;
        let all = self.raw().find(session, &[bytes(CKA_ID, &set.id.0)])?.len();
        Ok(match (&private[..], &public[..], &certificate[..], all) {
            ([private], [public], [certificate], 3) => Ok([*private, *public, *certificate]),
            _ => Err(Miss {
                rule: Rule::TargetAttributes,
                found: format!(
                    "{} private keys, {} public keys, {} certificates, {all} objects with its CKA_ID",
                    private.len(),
                    public.len(),
                    certificate.len()
                ),
                expected: "one of each, and nothing else".to_owned(),
            }),
        })
    }

    /// What the record says of the imported key, also what no rule demands: CKA_LOCAL and the like are false
    /// or absent after an import.
    fn import_attributes(
        &self,
        session: &Session,
        private: Object,
        usage: Usage,
    ) -> Result<Vec<ReadBack>> {
        let mut shown = vec![flag(CKA_TOKEN, true)];
        // Class and key type are not worth a line: it is an RSA private key.
        let of_flags = imported_key(usage).into_iter();
        shown.extend(of_flags.filter(|shown| ![CKA_CLASS, CKA_KEY_TYPE].contains(&shown.kind)));
        shown.extend(endings().concat().into_iter().take(2));
        for kind in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
            shown.push(flag(kind, false));
        }
        let values = self.read_all(session, private, &shown)?;
        let shown = shown.iter().zip(&values);
        Ok(shown
            .map(|(shown, value)| read_back(shown.kind, value.as_ref()))
            .collect())
    }
}

impl<'a> Set<'a> {
    fn new(
        id: CkaId,
        label: &'a str,
        spki: &[u8],
        certificate: &'a [u8],
        usage: Usage,
    ) -> Result<Self> {
        Ok(Set {
            id,
            label,
            key: PublicKey::of_spki(spki, Rule::TargetKey)?,
            certificate,
            usage,
        })
    }

    fn named(&self) -> [Attribute; 2] {
        [
            bytes(CKA_ID, &self.id.0),
            bytes(CKA_LABEL, self.label.as_bytes()),
        ]
    }
}

fn other_key() -> Miss {
    Miss {
        rule: Rule::TargetModulus,
        found: "a key with another modulus".to_owned(),
        expected: "the modulus and exponent of the tenant's public key".to_owned(),
    }
}

fn other_certificate() -> Miss {
    Miss {
        rule: Rule::TargetCertificate,
        found: "another certificate beside the key".to_owned(),
        expected: "the tenant's certificate".to_owned(),
    }
}
