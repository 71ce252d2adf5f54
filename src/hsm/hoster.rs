//! Target keys at the hoster: unwrapped into its token (design, sections 4.3 and 4.5), or born
//! there (section 3), with their public half and their certificate beside them; and known
//! afterwards, all of it, for keys that cannot leave.

use cryptoki_sys::*;

use crate::attribute::{Attribute, bytes, flag, read_back};
use crate::inventory::Inventory;
use crate::mechanism::KekUse;
use crate::object::{Examination, Fault, MOST_CERTIFICATE, if_exact};
use crate::parallel::on_threads;
use crate::public_key::{PublicHalf, generation};
use crate::raw::{KeyPair, Object};
use crate::target::TargetKey;
use crate::template::{
    certificate, endings, hoster_private, made_here, named, stored_public, target_public,
};
use crate::unwrap::{TemplatePin, first_taken};
use crate::wrapped_key::WrappedKey;
use crate::{Hsm, TokenSession};
use record::encoding::CkaId;
use record::rule::Rule;
use record::spki::TargetCertificate;
use record::terms::{KeyType, Mechanism, OaepHash, ReadBack, Usage};
use record::{Error, Result};

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
pub struct HosterKey {
    /// The key on this token.
    pub target: TargetKey,
    /// The attributes of its private half, as a new session reads them.
    pub attributes: Vec<ReadBack>,
    /// Whether this call imported it; otherwise it was there, complete and correct.
    pub imported: bool,
}

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

/// The objects of one target key at the hoster.
struct ObjectSet<'a> {
    of: ImportKey<'a>,
    key: PublicHalf,
}

/// One key on its way into the token.
struct Import<'a> {
    set: ObjectSet<'a>,
    certificate: Vec<Attribute>,
    wrapped: &'a WrappedKey,
}

impl Hsm<'_> {
    /// Imports target keys as token objects that cannot leave, each with its public half and its
    /// certificate beside it, and reads all of it back in a new session. A complete, correct set of
    /// an id is kept; an incomplete or other one is destroyed first.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has a label; `TARGET-ATTRIBUTES`,
    /// `TARGET-MODULUS`, `TARGET-CERTIFICATE`, `WRAP-AES-KEY` where a result is not what it must
    /// be; [`Error::Hsm`] where the token does not open a wrapped key. Then nothing of that
    /// id is left (else `TARGET-GONE`); keys imported before it stay, and are found by the next
    /// run.
    pub fn import(
        &self,
        order: ImportOrder,
        keys: &[(ImportKey, &WrappedKey)],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<HosterKey>> {
        // Before anything is destroyed: a certificate that cannot be read is no reason to.
        let imports = keys.iter().map(|(key, wrapped)| {
            let certificate = certificate(&key.id.0, key.label, key.certificate)?;
            Ok(Import { set: ObjectSet::new(key)?, certificate, wrapped })
        });
        let imports = imports.collect::<Result<Vec<_>>>()?;
        let before = self.inventory()?;
        let kek = self.kek_private(&before, order.kek)?;
        let kek = self.session()?.wrap_method(order.mechanism, order.oaep)?.under(kek);
        let import = |import: &Import| {
            progress(import.set.of.label);
            self.import_one(&before, import, kek)
        };
        let imported = on_threads(order.sessions, &imports, || Ok(()), |(), one| import(one))?;
        let after = self.inventory()?;
        for Import { set, .. } in &imports {
            if let Err(fault) = set.objects(&after) {
                self.erase(set.of.id, Rule::TargetGone)?;
                return Err(fault.error(
                    "find out what else puts objects on the token, then run the same command again",
                ));
            }
        }
        Ok(imported)
    }

    fn import_one(&self, before: &Inventory, import: &Import, kek: KekUse) -> Result<HosterKey> {
        let set = &import.set;
        if let Some(held) = if_exact(self.set_examine(before, set))? {
            return Ok(held);
        }
        let id = set.of.id;
        self.refuse_label(before, &id.0, set.of.label, &[])?;
        self.make_anew(id, Rule::TargetGone, before.count(&id.0) > 0, || {
            let (objects, pin) = self.session()?.import_objects(import, kek)?;
            let held = self.import_examine(objects, set).map_err(|fault| {
                fault.error(
                    "the imported key was destroyed again; find out whether the package or the token is at fault",
                )
            });
            let mut held = HosterKey { imported: true, ..held? };
            held.attributes.extend(pin.read_back());
            Ok(held)
        })
    }

    /// The complete, correct set of this key, if it is there: settles an interrupted import without
    /// shares.
    ///
    /// # Errors
    /// `TARGET-KEY` where the SPKI is of no kind that travels; [`Error::Hsm`] where the
    /// token fails.
    pub fn import_find(&self, inventory: &Inventory, key: &ImportKey) -> Result<Option<HosterKey>> {
        if_exact(self.set_examine(inventory, &ObjectSet::new(key)?))
    }

    /// The complete, correct set of this key, or why it is none.
    ///
    /// # Errors
    /// `TARGET-ATTRIBUTES`, `TARGET-LOCAL`, `TARGET-MODULUS`, `TARGET-CERTIFICATE`;
    /// [`Error::Hsm`] where the token fails.
    pub fn held(&self, inventory: &Inventory, key: &ImportKey) -> Result<HosterKey> {
        self.set_examine(inventory, &ObjectSet::new(key)?).map_err(|fault| {
            fault.error("find out what has touched this key in the HSM; what it cannot show, it does not prove")
        })
    }

    fn set_examine(&self, inventory: &Inventory, set: &ObjectSet) -> Examination<HosterKey> {
        self.import_examine(set.objects(inventory)?, set)
    }

    /// Reads the set in a new session: complete and correct, or the first thing that it misses.
    fn import_examine(
        &self,
        [private, public, certificate]: [Object; 3],
        set: &ObjectSet,
    ) -> Examination<HosterKey> {
        let session = self.session()?;
        if set.of.born {
            session.expect(private, &made_here(), Rule::TargetLocal)?;
        }
        let rule = Rule::TargetAttributes;
        session.expect(private, &set.private(), rule)?;
        session.expect(private, &[flag(CKA_TOKEN, true)], rule)?;
        for object in [private, public, certificate] {
            session.expect(object, &set.named(), rule)?;
        }
        for object in [private, public] {
            if !session.is_half_of(object, &set.key)? {
                return Err(Fault::of(
                    Rule::TargetModulus,
                    "a key with another modulus",
                    "the modulus and exponent of the tenant's public key",
                ));
            }
        }
        let value = session.read_bytes(certificate, CKA_VALUE, MOST_CERTIFICATE)?;
        if value.as_deref() != Some(set.of.certificate) {
            return Err(Fault::of(
                Rule::TargetCertificate,
                "another certificate beside the key",
                "the tenant's certificate",
            ));
        }
        let (id, spki) = (set.of.id.0.to_vec(), set.key.spki.clone());
        Ok(HosterKey {
            target: TargetKey { id, spki, made: false, private },
            attributes: session.shown_attributes(private, set)?,
            imported: false,
        })
    }
}

impl TokenSession<'_> {
    fn import_objects(&self, import: &Import, kek: KekUse) -> Result<([Object; 3], TemplatePin)> {
        let set = &import.set;
        let named = set.named();
        let place = [&[flag(CKA_TOKEN, true)], &named[..]].concat();
        let (private, pin) = self.unwrap_under(kek, import.wrapped, &set.private(), &place)?;
        let public = [stored_public(&set.key, set.of.usage), named.to_vec()].concat();
        let beside = self.create(&public).and_then(|public| {
            let certificate = self.create(&import.certificate)?;
            let checked = self.expect(private, &named, Rule::TargetAttributes);
            checked
                .map_err(|fault| fault.error("use a token that names keys as it is asked to"))?;
            Ok(([private, public, certificate], pin))
        });
        // A token that ignored CKA_ID keeps a key that no search by id would find to destroy.
        beside.inspect_err(|_| self.discard(&[private]))
    }

    /// What the record says of the key, also what no rule demands: CKA_LOCAL and the like are false
    /// or absent after an import.
    fn shown_attributes(&self, private: Object, set: &ObjectSet) -> Result<Vec<ReadBack>> {
        let [strict, ..] = endings();
        let mut shown = vec![flag(CKA_TOKEN, true)];
        // Class and key type are not worth a line: the public half says them.
        let flags = set.private().into_iter();
        shown.extend(flags.filter(|shown| ![CKA_CLASS, CKA_KEY_TYPE].contains(&shown.kind)));
        shown.extend(strict);
        shown.extend(made_here());
        let read =
            |shown: &Attribute| Ok(read_back(shown.kind, self.read(private, shown)?.as_ref()));
        shown.iter().map(read).collect()
    }
}

impl<'a> ObjectSet<'a> {
    fn new(of: &ImportKey<'a>) -> Result<Self> {
        Ok(ObjectSet { of: *of, key: PublicHalf::of_spki(of.spki, Rule::TargetKey)? })
    }

    fn named(&self) -> [Attribute; 2] {
        named(&self.of.id.0, self.of.label)
    }

    fn private(&self) -> Vec<Attribute> {
        hoster_private(self.key.kind(), self.of.usage)
    }

    /// The one private key, public key and certificate of this id.
    fn objects(&self, inventory: &Inventory) -> Examination<[Object; 3]> {
        let id = &self.of.id.0;
        let all = inventory.count(id);
        let classes = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE];
        let found = classes.map(|class| inventory.of_class(class, id));
        if let ([&[private], &[public], &[certificate]], 3) =
            (found.each_ref().map(Vec::as_slice), all)
        {
            return Ok([private, public, certificate]);
        }
        let [private, public, certificate] = found.map(|found| found.len());
        Err(Fault::of(
            Rule::TargetAttributes,
            format!(
                "{private} private keys, {public} public keys, {certificate} certificates, {all} objects with its CKA_ID"
            ),
            "one of each, and nothing else",
        ))
    }
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
        let Ok(certificates) = self.certificates(inventory, &spec.id.0) else {
            return Ok(None);
        };
        let [certificate] = &certificates[..] else {
            return Ok(None);
        };
        let Ok(parsed) = TargetCertificate::parse(certificate, spec.label) else {
            return Ok(None);
        };
        let found = self.import_find(inventory, &spec.set(parsed.spki(), certificate))?;
        Ok(found.map(|held| CertifiedKey { held, certificate: certificate.clone() }))
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
