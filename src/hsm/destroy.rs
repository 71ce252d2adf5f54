//! What a ceremony made in an HSM and must not outlive it: destroyed, and looked for afterwards.

use cryptoki_sys::*;

use crate::{Hsm, Inventory, attribute::bytes, object::of_class, public_key::PublicKey};
use record::{
    Result,
    encoding::{CkaId, Hash},
    rule::Rule,
};

impl Hsm<'_> {
    /// Destroys both halves of the KEK, then looks in a new session that nothing with the id is
    /// left. No KEK is success.
    ///
    /// # Errors
    /// `KEK-KEY` where the id is another key's, and then nothing is destroyed; `KEK-GONE` where
    /// something is left; [`record::Error::Hsm`] where the token cannot be searched.
    pub fn kek_destroy(&self, id: CkaId, fingerprint: Hash) -> Result<()> {
        let session = self.session()?;
        for class in [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY] {
            for object in self.find(&session, &of_class(class, &id.0))? {
                let key = self.public_key_of(&session, object)?;
                let other =
                    (key.map(|key| Hash::of(&key.spki))).filter(|found| *found != fingerprint);
                if let Some(other) = other {
                    return Err(Rule::KekKey.refuse(
                        format!("the key with the KEK's CKA_ID on {} has the fingerprint {other}", self.name()),
                        fingerprint.to_string(),
                        "nothing was destroyed: find out who put another key in the KEK's place, and note it",
                    ));
                }
            }
        }
        drop(session);
        self.erase(&id.0, Rule::KekGone)
    }

    /// Destroys whatever has the CKA_ID of a KEK that no record names, and looks that it is gone.
    ///
    /// # Errors
    /// `KEK-GONE` where something is left; [`record::Error::Hsm`] where the token cannot be
    /// searched.
    pub fn kek_clear(&self, id: CkaId) -> Result<()> {
        self.erase(&id.0, Rule::KekGone)
    }

    /// Whether any object has this id, looked for in a new session.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the token cannot be searched.
    pub fn holds(&self, id: CkaId) -> Result<bool> {
        let found = self.find(&self.session()?, &[bytes(CKA_ID, &id.0)])?;
        Ok(!found.is_empty())
    }

    /// Destroys every private key with this public half, and the public objects beside it, then
    /// looks in a new session that none is left. Says whether there was one.
    ///
    /// # Errors
    /// `TARGET-KEY` where it is no public key, `TARGET-GONE` where one is left;
    /// [`record::Error::Hsm`] where the token cannot be searched.
    pub fn source_destroy(&self, spki: &[u8]) -> Result<bool> {
        let key = PublicKey::of_spki(spki, Rule::TargetKey)?;
        let inventory = self.inventory()?;
        let there = self.private_of(&inventory, &key)?;
        let session = self.session()?;
        let mut refusals = Vec::new();
        for (object, id) in &there {
            // What counts is whether the key is there afterwards.
            if let Err(error) = self.raw().destroy(&session, *object) {
                refusals.push(error.to_string());
            }
            for public in inventory.of_class(CKO_PUBLIC_KEY, id) {
                if self.public_key_of(&session, public)?.as_ref() == Some(&key) {
                    let _ = self.raw().destroy(&session, public);
                }
            }
        }
        drop(session);
        let left = self.private_keys(&self.inventory()?, spki)?;
        match left.is_empty() {
            true => Ok(!there.is_empty()),
            false => Err(Rule::TargetGone.refuse(
                format!(
                    "a private key of the CKA_ID {} is still on {}; it said: {}",
                    left.join(", "),
                    self.name(),
                    refusals.first().map_or("nothing", String::as_str)
                ),
                "no private key with this public half",
                "destroy it with the vendor's tool, then run the same command again, which looks once more",
            )),
        }
    }

    /// The CKA_IDs, as hex, of the private keys with this public half.
    ///
    /// # Errors
    /// `TARGET-KEY` where it is no RSA public key.
    pub fn private_keys(&self, inventory: &Inventory, spki: &[u8]) -> Result<Vec<String>> {
        let key = PublicKey::of_spki(spki, Rule::TargetKey)?;
        let found = self.private_of(inventory, &key)?.into_iter();
        Ok(found.map(|(_, id)| data_encoding::HEXLOWER.encode(id)).collect())
    }
}
