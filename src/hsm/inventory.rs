//! Every object of a token, looked at once: with many keys, a search per key is what takes the
//! time.

use std::collections::{BTreeMap, BTreeSet};

use cryptoki_sys::*;

use crate::attribute::{Attribute, Value, bytes, number};
use crate::public_key::{PublicHalf, trimmed};
use crate::raw::Object;
use crate::{Hsm, TokenSession};
use record::spki::PublicKey;
use record::{Result, Rule};
use rsa::traits::PublicKeyParts;

/// The objects of a token as they were at one moment. It says where to look; what is done to a key
/// is decided by what a new session reads of it.
pub struct Inventory {
    entries: Vec<Entry>,
}

struct Entry {
    object: Object,
    class: Option<Value>,
    id: Vec<u8>,
    label: Vec<u8>,
    modulus: Vec<u8>,
}

impl Hsm<'_> {
    /// Looks at every object of the token, in a new session.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the token fails.
    pub fn inventory(&self) -> Result<Inventory> {
        self.session()?.inventory_where(&[])
    }

    /// Refuses where an object of another id, with one of these classes (none: any), has the label.
    pub(super) fn refuse_label(
        &self,
        inventory: &Inventory,
        id: &[u8],
        label: &str,
        classes: &[CK_OBJECT_CLASS],
    ) -> Result<()> {
        let taken = inventory.entries.iter().any(|entry| {
            entry.label == label.as_bytes()
                && entry.id != id
                && (classes.is_empty()
                    || (classes.iter()).any(|class| entry.class == Some(Value::Number(*class))))
        });
        if !taken {
            return Ok(());
        }
        Err(Rule::TargetExists.refuse(
            format!("{} has another object with the label \"{}\"", self.name(), label.escape_debug()),
            "no object with this label but those of this ceremony",
            "find out what that key is; rename or remove it with the vendor's tool, or choose another label in the plan",
        ))
    }

    /// The private keys of this public half, each with its id.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the token fails.
    pub(super) fn private_of<'i>(
        &self,
        inventory: &'i Inventory,
        key: &PublicHalf,
    ) -> Result<Vec<(Object, &'i [u8])>> {
        let candidates = inventory.candidates(key);
        if matches!(key.key, PublicKey::Rsa(_)) {
            return Ok(candidates);
        }
        let session = self.session()?;
        let mut halves = Vec::new();
        for (object, id) in candidates {
            if session.is_half_of(object, key)? {
                halves.push((object, id));
            }
        }
        Ok(halves)
    }
}

impl TokenSession<'_> {
    /// Looks at the objects that have all of these attributes.
    pub(super) fn inventory_where(&self, template: &[Attribute]) -> Result<Inventory> {
        // Asked for their modulus by the one call; of another object it would fail.
        let rsa = [number(CKA_CLASS, CKO_PRIVATE_KEY), number(CKA_KEY_TYPE, CKK_RSA)];
        let rsa: BTreeSet<_> = self.find(&[template, &rsa].concat())?.into_iter().collect();
        let mut entries = Vec::new();
        for object in self.find(template)? {
            let shown =
                [number(CKA_CLASS, 0), bytes(CKA_ID, &[]), bytes(CKA_LABEL, &[]), modulus()];
            let shown: Vec<_> =
                shown.iter().take(if rsa.contains(&object) { 4 } else { 3 }).collect();
            let read = match self.read_all(object, &shown) {
                Ok(read) => read,
                // SoftHSM, killed while it makes an object, leaves a file without any attribute and
                // lists it for ever: no search by id finds it, nobody can use it. A token that fell
                // silent does not answer for its session either.
                Err(_) if self.session.state().is_ok() => continue,
                Err(error) => return Err(error),
            };
            let mut read = read.into_iter();
            let [class, id, label, modulus] = [(); 4].map(|()| read.next().flatten());
            let modulus = match class {
                Some(Value::Number(CKO_PRIVATE_KEY)) if !rsa.contains(&object) => {
                    self.read(object, &self::modulus())?
                }
                _ => modulus,
            };
            let [id, label, modulus] = [id, label, modulus].map(|value| match value {
                Some(Value::Bytes(bytes)) => bytes,
                // PKCS#11's own default of each is empty.
                _ => Vec::new(),
            });
            entries.push(Entry { object, class, id, label, modulus });
        }
        Ok(Inventory { entries })
    }
}

/// A modulus that is read.
fn modulus() -> Attribute {
    bytes(CKA_MODULUS, &[])
}

impl Inventory {
    /// The objects of this class and id.
    pub(super) fn of_class(&self, class: CK_OBJECT_CLASS, id: &[u8]) -> Vec<Object> {
        let class = Some(Value::Number(class));
        let fits = |entry: &&Entry| entry.class == class && entry.id == id;
        self.entries.iter().filter(fits).map(|entry| entry.object).collect()
    }

    /// The labels that begin so, and how many objects have each.
    pub(super) fn labels(&self, begin: &[u8]) -> BTreeMap<&[u8], u64> {
        let mut labels = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.label.starts_with(begin)) {
            *labels.entry(entry.label.as_slice()).or_insert(0) += 1;
        }
        labels
    }

    /// How many objects have this id.
    pub(super) fn count(&self, id: &[u8]) -> usize {
        self.entries.iter().filter(|entry| entry.id == id).count()
    }

    /// The private keys that may be half of this key, each with its id: RSA keys with its modulus;
    /// any that show none, for an EC key.
    fn candidates(&self, key: &PublicHalf) -> Vec<(Object, &[u8])> {
        let private = Some(Value::Number(CKO_PRIVATE_KEY));
        let modulus = match &key.key {
            PublicKey::Rsa(key) => key.n_bytes(),
            PublicKey::P256(_) | PublicKey::P384(_) => Box::default(),
        };
        // Some tokens show a sign byte.
        let fits = |entry: &&Entry| entry.class == private && *trimmed(&entry.modulus) == *modulus;
        let fits = self.entries.iter().filter(fits);
        fits.map(|entry| (entry.object, entry.id.as_slice())).collect()
    }
}
