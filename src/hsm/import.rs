//! Unwrapping a target key into the hoster's token (design, sections 4.3 and 4.5), and knowing
//! afterwards that it is the tenant's key, all of it, and cannot leave. Keys that were born there
//! are known in the same way.

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm,
    attribute::{Attribute, bytes, flag, number, read_back},
    certificate::certificate_object,
    inventory::Inventory,
    kek::born_here,
    mechanism::Way,
    object::{Miss, public_key},
    parallel::on_threads,
    public_key::{PublicKey, key_type},
    raw::Object,
    read::MOST_CERTIFICATE,
    target::{Target, private_usage, public_usages},
    unwrap::{Pinned, endings},
    wrapped_key::WrappedKey,
};
use record::{
    Result,
    encoding::CkaId,
    rule::Rule,
    terms::{KeyType, Mechanism, OaepHash, ReadBack, Usage},
};

/// How every key of a package is imported.
#[derive(Clone, Copy)]
pub struct ImportOrder {
    /// The KEK; call [`Hsm::kek_check`] before.
    pub kek: CkaId,
    /// How the keys were wrapped.
    pub mechanism: Mechanism,
    /// The hash of their RSA-OAEP.
    pub oaep: OaepHash,
    /// Sessions that work at once.
    pub sessions: usize,
}

/// What one target key at the hoster must be.
#[derive(Clone, Copy)]
pub struct ImportKey<'a> {
    /// The CKA_ID of the key, its public half and its certificate.
    pub id: CkaId,
    /// Their CKA_LABEL.
    pub label: &'a str,
    /// The tenant's public key, DER SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// The tenant's certificate of it, DER.
    pub certificate: &'a [u8],
    /// What the key may be used for.
    pub usage: Usage,
    /// Whether it must have been born in this token.
    pub born: bool,
}

/// A complete, correct target key at the hoster.
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
    of: ImportKey<'a>,
    key: PublicKey,
}

/// What a target key must be at the hoster, and what the AES key's UNWRAP_TEMPLATE pins where the
/// token allows it.
pub(super) fn imported_key(kind: KeyType, usage: Usage) -> Vec<Attribute> {
    let mut template = vec![
        number(CKA_CLASS, CKO_PRIVATE_KEY),
        key_type(kind),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, false),
    ];
    template.extend(private_usage(usage));
    template
}

impl Hsm<'_> {
    /// Imports target keys as token objects that cannot leave, each with its public half and its
    /// certificate beside it, and reads all of it back in a new session. A complete, correct set of
    /// an id is kept; an incomplete or other one is destroyed first.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has a label; `TARGET-ATTRIBUTES`,
    /// `TARGET-MODULUS`, `TARGET-CERTIFICATE`, `WRAP-AES-KEY` where a result is not what it must
    /// be; [`record::Error::Hsm`] where the token does not open a wrapped key. Then nothing of that
    /// id is left (else `TARGET-GONE`); keys imported before it stay, and are found by the next
    /// run.
    pub fn import(
        &self,
        order: ImportOrder,
        keys: &[(ImportKey, &WrappedKey)],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<Imported>> {
        // Before anything is destroyed: a certificate that cannot be read is no reason to.
        let sets = keys.iter().map(|(key, wrapped)| {
            let certificate = certificate_object(&key.id.0, key.label, key.certificate)?;
            Ok((Set::new(key)?, certificate, *wrapped))
        });
        let sets = sets.collect::<Result<Vec<_>>>()?;
        let before = self.inventory()?;
        let kek = self.kek_private(&before, order.kek)?;
        let way = self.way(&self.session()?, order.mechanism, order.oaep)?;
        let import = |(set, certificate, wrapped): &(Set, Vec<Attribute>, &WrappedKey)| {
            progress(set.of.label);
            self.import_one(&before, set, certificate, (kek, way), wrapped)
        };
        let imported = on_threads(order.sessions, &sets, || Ok(()), |(), one| import(one))?;
        let after = self.inventory()?;
        for (set, ..) in &sets {
            if let Err(miss) = set.objects(&after) {
                self.erase(&set.of.id.0, Rule::TargetGone)?;
                return Err(miss.refuse(
                    "find out what else puts objects on the token, then run the same command again",
                ));
            }
        }
        Ok(imported)
    }

    fn import_one(
        &self,
        before: &Inventory,
        set: &Set,
        certificate: &[Attribute],
        (kek, way): (Object, Way),
        wrapped: &WrappedKey,
    ) -> Result<Imported> {
        if let Ok(objects) = set.objects(before)
            && let Ok(imported) = self.import_examine(objects, set)?
        {
            return Ok(imported);
        }
        let id = set.of.id.0;
        self.refuse_label(before, &id, set.of.label, &[])?;
        if before.count(&id) > 0 {
            self.erase(&id, Rule::TargetGone)?;
        }
        self.or_erase(&id, Rule::TargetGone, || {
            let (objects, pinned) = self.import_objects(set, certificate, (kek, way), wrapped)?;
            match self.import_examine(objects, set)? {
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

    /// The complete, correct set of this key, if it is there: settles an interrupted import without
    /// shares.
    ///
    /// # Errors
    /// `TARGET-KEY` where the SPKI is of no kind that travels; [`record::Error::Hsm`] where the
    /// token fails.
    pub fn import_find(&self, inventory: &Inventory, key: &ImportKey) -> Result<Option<Imported>> {
        let set = Set::new(key)?;
        match set.objects(inventory) {
            Ok(objects) => Ok(self.import_examine(objects, &set)?.ok()),
            Err(_) => Ok(None),
        }
    }

    /// The complete, correct set of this key, or why it is none.
    ///
    /// # Errors
    /// `TARGET-ATTRIBUTES`, `TARGET-LOCAL`, `TARGET-MODULUS`, `TARGET-CERTIFICATE`;
    /// [`record::Error::Hsm`] where the token fails.
    pub fn held(&self, inventory: &Inventory, key: &ImportKey) -> Result<Imported> {
        let set = Set::new(key)?;
        let examined = match set.objects(inventory) {
            Ok(objects) => self.import_examine(objects, &set)?,
            Err(miss) => Err(miss),
        };
        examined.map_err(|miss| {
            miss.refuse("find out what has touched this key in the HSM; what it cannot show, it does not prove")
        })
    }

    fn import_objects(
        &self,
        set: &Set,
        certificate: &[Attribute],
        (kek, way): (Object, Way),
        wrapped: &WrappedKey,
    ) -> Result<([Object; 3], Pinned)> {
        let session = self.session()?;
        let usage = set.of.usage;
        let kind = set.key.kind();
        let mut template = imported_key(kind, usage);
        template.push(flag(CKA_TOKEN, true));
        template.extend(set.named());
        let unwrapped = self.unwrap_under(&session, kek, way, wrapped, (kind, usage), &template)?;
        let private = unwrapped.key;
        let mut public = public_key(&set.key, true, &public_usages(usage));
        public.extend(set.named());
        let beside = self.raw().create(&session, &public).and_then(|public| {
            let certificate = self.raw().create(&session, certificate)?;
            self.has_id(&session, private, set)?;
            Ok(([private, public, certificate], unwrapped.pinned))
        });
        // A token that ignored CKA_ID keeps a key that no search by id would find to destroy.
        beside.inspect_err(|_| self.discard(&session, &[private]))
    }

    fn has_id(&self, session: &Session, private: Object, set: &Set) -> Result<()> {
        match self.first_miss(session, private, &set.named(), Rule::TargetAttributes)? {
            None => Ok(()),
            Some(miss) => Err(miss.refuse("use a token that names keys as it is asked to")),
        }
    }

    /// Reads the set in a new session: complete and correct, or the first thing that it misses.
    fn import_examine(
        &self,
        [private, public, certificate]: [Object; 3],
        set: &Set,
    ) -> Result<std::result::Result<Imported, Miss>> {
        let session = self.session()?;
        let kind = set.key.kind();
        let mut wanted = imported_key(kind, set.of.usage);
        wanted.push(flag(CKA_TOKEN, true));
        let rule = Rule::TargetAttributes;
        let mut miss = self.first_miss(&session, private, &wanted, rule)?;
        if set.of.born {
            let local = self.first_miss(&session, private, &born_here(), Rule::TargetLocal)?;
            miss = local.or(miss);
        }
        for object in [private, public, certificate] {
            let named = self.first_miss(&session, object, &set.named(), rule)?;
            miss = miss.or(named);
        }
        for object in [private, public] {
            let other = !self.is_half_of(&session, object, &set.key)?;
            miss = miss.or(other.then(other_key));
        }
        let value = self.raw().read_bytes(&session, certificate, CKA_VALUE, MOST_CERTIFICATE)?;
        let other = value.as_deref() != Some(set.of.certificate);
        miss = miss.or(other.then(other_certificate));
        if let Some(miss) = miss {
            return Ok(Err(miss));
        }
        Ok(Ok(Imported {
            target: Target {
                id: set.of.id.0.to_vec(),
                spki: set.key.spki.clone(),
                made: false,
                private,
            },
            attributes: self.import_attributes(&session, private, (kind, set.of.usage))?,
            imported: false,
        }))
    }

    /// What the record says of the key, also what no rule demands: CKA_LOCAL and the like are false
    /// or absent after an import.
    fn import_attributes(
        &self,
        session: &Session,
        private: Object,
        (kind, usage): (KeyType, Usage),
    ) -> Result<Vec<ReadBack>> {
        let mut shown = vec![flag(CKA_TOKEN, true)];
        // Class and key type are not worth a line: the public half says them.
        let of_flags = imported_key(kind, usage).into_iter();
        shown.extend(of_flags.filter(|shown| ![CKA_CLASS, CKA_KEY_TYPE].contains(&shown.kind)));
        shown.extend(endings().concat().into_iter().take(2));
        shown.extend(born_here());
        let values = self.read_all(session, private, &shown)?;
        let shown = shown.iter().zip(&values);
        Ok(shown.map(|(shown, value)| read_back(shown.kind, value.as_ref())).collect())
    }
}

impl<'a> Set<'a> {
    fn new(of: &ImportKey<'a>) -> Result<Self> {
        Ok(Set { of: *of, key: PublicKey::of_spki(of.spki, Rule::TargetKey)? })
    }

    fn named(&self) -> [Attribute; 2] {
        [bytes(CKA_ID, &self.of.id.0), bytes(CKA_LABEL, self.of.label.as_bytes())]
    }

    /// The one private key, public key and certificate of this id.
    fn objects(&self, inventory: &Inventory) -> std::result::Result<[Object; 3], Miss> {
        let id = &self.of.id.0;
        let private = inventory.of_class(CKO_PRIVATE_KEY, id);
        let public = inventory.of_class(CKO_PUBLIC_KEY, id);
        let certificate = inventory.of_class(CKO_CERTIFICATE, id);
        let all = inventory.count(id);
        match (&private[..], &public[..], &certificate[..], all) {
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
        }
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
