//! Target keys at the hoster: unwrapped into its token (design, sections 4.3 and 4.5), or born
//! there (section 3), with their public half and their certificate beside them; and known
//! afterwards, all of it, for keys that cannot leave.

use cryptoki_sys::*;
use data_encoding::HEXLOWER;

use crate::attribute::bytes;
use crate::mechanism::KekUse;
use crate::object::{AS_ASKED, if_exact};
use crate::parallel::on_threads;
use crate::public_key::PublicHalf;
use crate::raw::{KeyPair, Object};
use crate::table::{Table, certificate, hoster_private, named, stored_public, target_public};
use crate::unwrap::TemplatePin;
use crate::wrapped_key::WrappedKey;
use crate::{Hsm, Inventory, TargetKey, TargetSpec, TokenSession};
use record::spki::TargetCertificate;
use record::{CkaId, Error, KwpFlavour, Mechanism, OaepHash, ReadBack, Result, Rule, Usage};

/// How every key of a package is imported.
#[derive(Clone, Copy)]
pub struct ImportOrder<'a> {
    /// The KEK; call [`Hsm::kek_check`] before.
    pub kek: CkaId,
    /// Its public half, DER SubjectPublicKeyInfo.
    pub kek_spki: &'a [u8],
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
}

/// A target key at the hoster, complete and correct, with its certificate.
pub struct CertifiedKey {
    /// The key.
    pub held: HosterKey,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
}

/// Which public objects stand beside a target key at the hoster: those that its token stores.
#[derive(Clone, Copy)]
pub struct PublicObjects {
    public: bool,
    certificate: bool,
}

impl PublicObjects {
    /// Both of them.
    pub const ALL: PublicObjects = PublicObjects { public: true, certificate: true };
}

/// The objects of one target key at the hoster.
struct ObjectSet<'a> {
    of: ImportKey<'a>,
    private: Table,
    public: Option<Table>,
    certificate: Option<Table>,
}

/// The same on a token.
#[derive(Clone, Copy)]
struct SetObjects {
    private: Object,
    public: Option<Object>,
    certificate: Option<Object>,
}

/// What mends a key that is not as it was, or must be.
const TOUCHED: &str =
    "find out what has touched this key in the HSM; what it cannot show, it does not prove";

/// One key on its way into the token.
type Import<'a> = (ObjectSet<'a>, &'a WrappedKey);

impl Hsm<'_> {
    /// Refuses what is in the way of an import, and tries it with a throwaway key under the KEK
    /// itself: before anybody opens a seal for it.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has a label; `TARGET-AMBIGUOUS` where the
    /// token has one of the keys already, under another id; and as [`Hsm::kek_canary`].
    pub fn import_ready(
        &self,
        order: &ImportOrder,
        kwp: &[KwpFlavour],
        keys: &[ImportKey],
    ) -> Result<()> {
        let inventory = self.inventory()?;
        for key in keys {
            self.refuse_label(&inventory, &key.id.0, key.label, &[])?;
            let half = PublicHalf::of_spki(key.spki, Rule::TargetKey)?;
            let others = self.private_of(&inventory, &half)?;
            // One without CKA_ID is what an unwrap that was cut off has left: it is said at the end.
            let other = others.into_iter().find(|(_, id)| !id.is_empty() && *id != key.id.0);
            if let Some((_, other)) = other {
                return Err(Rule::TargetAmbiguous.refuse(
                    format!(
                        "{} holds {} already, as a private key of the CKA_ID {}",
                        self.name(),
                        key.label.escape_debug(),
                        HEXLOWER.encode(other)
                    ),
                    "no other private key with this public half: nobody could tell the two apart",
                    "find out where that key came from; once nothing needs it, remove it with the vendor's tool, and run the same command again",
                ));
            }
        }
        let of = |key: &ImportKey| {
            Ok((PublicHalf::of_spki(key.spki, Rule::TargetKey)?.kind(), key.usage))
        };
        let wanted = keys.iter().map(of).collect::<Result<Vec<_>>>()?;
        self.kek_canary(order, kwp, &wanted)
    }

    /// What the token stores beside keys like these, tried with throwaway objects.
    ///
    /// # Errors
    /// `TARGET-KEY` and `TARGET-CERTIFICATE` where a key has none; [`Error::Hsm`] where the token
    /// fails.
    pub fn beside(&self, keys: &[ImportKey]) -> Result<PublicObjects> {
        let Some(key) = keys.first() else { return Ok(PublicObjects::ALL) };
        let half = PublicHalf::of_spki(key.spki, Rule::TargetKey)?;
        Ok(PublicObjects {
            public: self.fits(|named| Ok(stored_public(named, &half, key.usage)))?,
            certificate: self.fits(|named| certificate(named, key.certificate))?,
        })
    }

    /// Imports target keys as token objects that cannot leave, each with its public half and its
    /// certificate beside it as far as the token stores them, and reads all of it back in a new
    /// session. A complete, correct set of an id is kept; an incomplete or other one is destroyed
    /// first.
    ///
    /// # Errors
    /// `TARGET-EXISTS` where an object of another id has a label; `TARGET-ATTRIBUTES`,
    /// `TARGET-MODULUS`, `TARGET-CERTIFICATE`, `WRAP-AES-KEY` where a result is not what it must
    /// be; [`Error::Hsm`] where the token does not open a wrapped key. Then nothing of that
    /// id is left (else `TARGET-GONE`); keys imported before it stay, and are found by the next
    /// run.
    pub fn import(
        &self,
        order: &ImportOrder,
        beside: PublicObjects,
        keys: &[(ImportKey, &WrappedKey)],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<HosterKey>> {
        // Before anything is destroyed: a certificate that cannot be read is no reason to.
        let imports =
            keys.iter().map(|(key, wrapped)| Ok((ObjectSet::new(key, beside)?, *wrapped)));
        let imports = imports.collect::<Result<Vec<Import>>>()?;
        let before = self.inventory()?;
        let kek = self.kek_private(&before, order.kek)?;
        let methods = self.session()?.unwrap_methods(order.mechanism, order.oaep)?;
        let method = *methods.first().ok_or_else(|| Error::defect("no way to unwrap"))?;
        let kek = method.under(kek);
        let import = |session: &mut TokenSession, import: &Import| {
            progress(import.0.of.label);
            session.import_one(&before, import, kek)
        };
        let imported = on_threads(order.sessions, &imports, || self.session(), import)?;
        let after = self.inventory()?;
        for (set, _) in &imports {
            let remedy =
                "find out what else puts objects on the token, then run the same command again";
            if let Err(error) = set.objects(&after, remedy) {
                self.session()?.erase(set.of.id, Rule::TargetGone)?;
                return Err(error);
            }
        }
        Ok(imported)
    }

    /// The complete, correct set of this key, if it is there: settles an interrupted import without
    /// shares.
    ///
    /// # Errors
    /// `TARGET-KEY` where the SPKI is of no kind that travels; [`Error::Hsm`] where the
    /// token fails.
    pub fn import_find(
        &self,
        inventory: &Inventory,
        beside: PublicObjects,
        key: &ImportKey,
    ) -> Result<Option<HosterKey>> {
        if_exact(self.session()?.held(inventory, beside, key))
    }

    /// The complete, correct set of this key, or why it is none.
    ///
    /// # Errors
    /// `TARGET-ATTRIBUTES`, `TARGET-LOCAL`, `TARGET-MODULUS`, `TARGET-CERTIFICATE`;
    /// [`Error::Hsm`] where the token fails.
    pub fn held(&self, inventory: &Inventory, key: &ImportKey) -> Result<HosterKey> {
        let beside = self.born_beside(inventory, key.id)?;
        self.session()?.held(inventory, beside, key)
    }
}

impl TokenSession<'_> {
    /// Imports one key, and reads it back in a new session, in which the next is imported.
    fn import_one(
        &mut self,
        before: &Inventory,
        import: &Import,
        kek: KekUse,
    ) -> Result<HosterKey> {
        let (set, _) = import;
        let there = set.objects(before, TOUCHED);
        let there = there.and_then(|there| self.import_examine(there, set, TOUCHED));
        if let Some(held) = if_exact(there)? {
            return Ok(held);
        }
        let id = set.of.id;
        self.hsm.refuse_label(before, &id.0, set.of.label, &[])?;
        self.make_anew(id, Rule::TargetGone, before.count(&id.0) > 0, |session| {
            let (objects, pin) = session.import_objects(import, kek)?;
            session.renew()?;
            let remedy = "the imported key was destroyed again; find out whether the package or the token is at fault";
            let held = session.import_examine(objects, set, remedy);
            // A token that ignored CKA_ID keeps a key that no search by id would find.
            let mut held = held.inspect_err(|_| session.discard(&[objects.private]))?;
            held.target.made = true;
            held.attributes.extend(pin.read_back());
            Ok(held)
        })
    }

    fn held(
        &self,
        inventory: &Inventory,
        beside: PublicObjects,
        key: &ImportKey,
    ) -> Result<HosterKey> {
        let set = ObjectSet::new(key, beside)?;
        self.import_examine(set.objects(inventory, TOUCHED)?, &set, TOUCHED)
    }

    /// Reads the set: complete and correct, or the first thing that it misses.
    fn import_examine(
        &self,
        objects: SetObjects,
        set: &ObjectSet,
        remedy: &str,
    ) -> Result<HosterKey> {
        let SetObjects { private, public, certificate } = objects;
        let mut attributes = self.expect(private, &set.private, remedy)?.attributes;
        for (object, table) in [(public, &set.public), (certificate, &set.certificate)] {
            if let Some((object, table)) = object.zip(table.as_ref()) {
                self.expect(object, table, remedy)?;
            }
        }
        let none = [(public, "CKO_PUBLIC_KEY"), (certificate, "CKO_CERTIFICATE")];
        attributes.extend(none.into_iter().filter(|(object, _)| object.is_none()).map(
            |(_, class)| {
                let attribute = format!("{class} beside the key");
                ReadBack { attribute, value: "not stored by the token".to_owned() }
            },
        ));
        let (id, spki) = (set.of.id.0.to_vec(), set.of.spki.to_vec());
        let target = TargetKey { id, spki, made: false, private };
        Ok(HosterKey { target, attributes })
    }

    fn import_objects(
        &self,
        (set, wrapped): &Import,
        kek: KekUse,
    ) -> Result<(SetObjects, TemplatePin)> {
        let table = self.hsm.fitted(set.private.clone());
        let unwrap = |with, wrapped: &[u8]| self.unwrap(with, wrapped, &table.template());
        let (private, pin) = self.unwrap_under(kek, wrapped, &table, unwrap)?;
        let store = |table: &Option<Table>| {
            let table = table.as_ref().map(|table| self.hsm.fitted(table.clone()));
            table.map(|table| self.create(&table.template())).transpose()
        };
        let beside = store(&set.public).and_then(|public| {
            let certificate = store(&set.certificate)?;
            Ok((SetObjects { private, public, certificate }, pin))
        });
        beside.inspect_err(|_| self.discard(&[private]))
    }
}

impl<'a> ObjectSet<'a> {
    fn new(of: &ImportKey<'a>, beside: PublicObjects) -> Result<Self> {
        let key = PublicHalf::of_spki(of.spki, Rule::TargetKey)?;
        let named = named(&of.id.0, of.label);
        let certificate = certificate(&named, of.certificate)?;
        let half_of = |table: Table| table.half_of(&key, Rule::TargetModulus);
        Ok(ObjectSet {
            of: *of,
            private: half_of(hoster_private(&named, key.kind(), of.usage, of.born)),
            public: beside.public.then(|| half_of(stored_public(&named, &key, of.usage))),
            certificate: beside.certificate.then_some(certificate),
        })
    }

    /// The one private key of this id, and what stands beside it.
    fn objects(&self, inventory: &Inventory, remedy: &str) -> Result<SetObjects> {
        let id = &self.of.id.0;
        let all = inventory.count(id);
        let classes = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE];
        let found = classes.map(|class| inventory.of_class(class, id));
        let wanted = [true, self.public.is_some(), self.certificate.is_some()].map(usize::from);
        let counts = found.each_ref().map(Vec::len);
        let ours: usize = wanted.iter().sum();
        let [private, public, certificate] = found.map(|found| found.first().copied());
        if let (Some(private), true) = (private, counts == wanted && all == ours) {
            return Ok(SetObjects { private, public, certificate });
        }
        let [private, public, certificate] = counts;
        Err(Rule::TargetAttributes.refuse(
            format!(
                "{private} private keys, {public} public keys, {certificate} certificates, {all} objects with its CKA_ID"
            ),
            "one of each that the token stores, and nothing else",
            remedy,
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
        (id, spec): (CkaId, &TargetSpec),
        certify: impl Fn(&TargetKey) -> Result<Vec<u8>>,
    ) -> Result<CertifiedKey> {
        if let Some(born) = self.born_find(inventory, (id, spec), &certify)? {
            return Ok(born);
        }
        self.refuse_label(inventory, &id.0, spec.label, &[])?;
        let TargetSpec { kind, usage, .. } = *spec;
        self.fit_pair(kind, usage, |named, kind| hoster_private(named, kind, usage, true))?;
        let stores = self.stores_certificates()?;
        let remains = inventory.count(&id.0) > 0;
        self.session()?.make_anew(id, Rule::TargetGone, remains, |session| {
            let named = named(&id.0, spec.label);
            let private = self.fitted(hoster_private(&named, kind, usage, true)).template();
            let public = target_public(true, &named, usage);
            let KeyPair { public, private } = session.pair(kind, &public, &private)?;
            let key = session.public_half(public, kind)?;
            let key =
                key.ok_or_else(|| Error::hsm("the new key shows no public half", AS_ASKED))?;
            let target = TargetKey { id: id.0.to_vec(), spki: key.spki, made: true, private };
            let der = certify(&target)?;
            let table = certificate(&named, &der)?;
            if stores {
                session.create(&self.fitted(table).template())?;
            }
            session.renew()?;
            let inventory = session.inventory_where(&[bytes(CKA_ID, &id.0)])?;
            let beside = PublicObjects { public: true, certificate: stores };
            let set = born_set((id, spec), &target.spki, &der);
            let mut held = session.held(&inventory, beside, &set)?;
            held.target.made = true;
            Ok(CertifiedKey { held, certificate: der })
        })
    }

    /// What stands beside a key that was born: its public half, and its certificate where the token
    /// stores one, which is tried where there is none.
    fn born_beside(&self, inventory: &Inventory, id: CkaId) -> Result<PublicObjects> {
        let there = !inventory.of_class(CKO_CERTIFICATE, &id.0).is_empty();
        Ok(PublicObjects { public: true, certificate: there || self.stores_certificates()? })
    }

    /// What an interrupted run has left whole. A token that stores no certificate is given none
    /// back: `certify` makes it anew.
    fn born_find(
        &self,
        inventory: &Inventory,
        (id, spec): (CkaId, &TargetSpec),
        certify: impl Fn(&TargetKey) -> Result<Vec<u8>>,
    ) -> Result<Option<CertifiedKey>> {
        let pair = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY].map(|class| inventory.of_class(class, &id.0));
        let ([private], [public]) = (&pair[0][..], &pair[1][..]) else {
            return Ok(None);
        };
        let Ok(mut certificates) = self.certificates(inventory, &id.0) else {
            return Ok(None);
        };
        let beside = self.born_beside(inventory, id)?;
        if !beside.certificate {
            let key = self.session()?.public_half(*public, spec.kind)?;
            let Some(PublicHalf { spki, .. }) = key else { return Ok(None) };
            let target = TargetKey { id: id.0.to_vec(), spki, made: false, private: *private };
            certificates.push(certify(&target)?);
        }
        let [certificate] = &certificates[..] else {
            return Ok(None);
        };
        let Ok(parsed) = TargetCertificate::parse(certificate, spec.label) else {
            return Ok(None);
        };
        let set = born_set((id, spec), parsed.spki(), certificate);
        let found = self.import_find(inventory, beside, &set)?;
        Ok(found.map(|held| CertifiedKey { held, certificate: certificate.clone() }))
    }
}

/// What a key that is born must be.
fn born_set<'a>(
    (id, spec): (CkaId, &'a TargetSpec<'a>),
    spki: &'a [u8],
    certificate: &'a [u8],
) -> ImportKey<'a> {
    let TargetSpec { label, usage, .. } = *spec;
    ImportKey { id, label, spki, certificate, usage, born: true }
}
