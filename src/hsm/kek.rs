//! The hoster's key-encryption key (design, section 4.1): made, read back, checked before use,
//! destroyed.

use cryptoki_sys::*;

use crate::attribute::{Attribute, bytes};
use crate::object::if_exact;
use crate::public_key::PublicHalf;
use crate::raw::{KeyPair, Object};
use crate::table::{Comparison, kek_private, kek_public, named, of_class};
use crate::{Hsm, Inventory, TokenSession};
use record::{CkaId, Error, Hash, KeyType, Mechanism, ReadBack, Result, Rule};

/// A KEK as it stands on its token.
#[derive(Debug, Clone)]
pub struct Kek {
    /// Its CKA_ID, of both halves.
    pub id: CkaId,
    /// Its public half, DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// The attributes of its private half, as a new session reads them.
    pub attributes: Vec<ReadBack>,
    /// Waived rules that it misses, with what was found.
    pub missed: Vec<(Rule, String)>,
    /// Whether this call made it; otherwise it was there, exact.
    pub made: bool,
}

/// What kind of KEK a plan asks for.
#[derive(Debug, Clone, Copy)]
pub struct KekSpec {
    /// The size of its modulus.
    pub bits: u32,
    /// What it unwraps by.
    pub mechanism: Mechanism,
}

pub(super) const REMEDY: &str = "use a token that can hold a KEK like this, or agree on a new plan that waives the rule with a reason \
                      (where it is waivable)";
const CHANGED: &str =
    "do not use this KEK: find out who changed it, then restart with a new attempt";

impl Hsm<'_> {
    /// Finds or makes the KEK of this id: an exact pair with exact attributes is kept, everything
    /// else with that id is destroyed and the pair made again.
    ///
    /// `waived` tells whether the plan waives a rule; it is asked about waivable rules only. A miss
    /// that is not waived destroys what was made.
    ///
    /// # Errors
    /// The missed `KEK-*` rule; `KEK-GONE` where remains of an earlier run cannot be destroyed;
    /// [`record::Error::Hsm`] where the token fails.
    pub fn kek_create(
        &self,
        id: CkaId,
        label: &str,
        spec: KekSpec,
        waived: &dyn Fn(Rule) -> bool,
    ) -> Result<Kek> {
        let mut session = self.session()?;
        if let Some(kek) = if_exact(session.kek_examine(id, spec, waived, REMEDY))? {
            return Ok(kek);
        }
        session.make_anew(id, Rule::KekGone, true, |session| {
            session.kek_generate(&named(&id.0, label), spec)?;
            session.renew()?;
            let kek = session.kek_examine(id, spec, waived, REMEDY)?;
            Ok(Kek { made: true, ..kek })
        })
    }

    /// Reads the KEK in a new session and refuses what is not as it was offered, before it is used.
    ///
    /// # Errors
    /// The first missed `KEK-*` rule that is not waived; [`record::Error::Hsm`] where the token
    /// fails.
    pub fn kek_check(
        &self,
        id: CkaId,
        spki: &[u8],
        mechanism: Mechanism,
        waived: &dyn Fn(Rule) -> bool,
    ) -> Result<Vec<ReadBack>> {
        let offered = PublicHalf::rsa_of_spki(spki, Rule::KekKey)?;
        let spec = KekSpec { bits: offered.bits(), mechanism };
        let kek = self.session()?.kek_examine(id, spec, waived, CHANGED)?;
        match kek.spki == offered.spki {
            true => Ok(kek.attributes),
            false => Err(key_error("another key than the one offered", CHANGED)),
        }
    }

    /// The KEK's private half, for the unwraps.
    pub(super) fn kek_private(&self, inventory: &Inventory, id: CkaId) -> Result<Object> {
        match inventory.of_class(CKO_PRIVATE_KEY, &id.0)[..] {
            [kek] => Ok(kek),
            ref found => Err(key_error(
                format!("{} private keys with its CKA_ID", found.len()),
                "find out who changed the KEK, then restart with a new attempt",
            )),
        }
    }

    /// Destroys both halves of the KEK, then looks in a new session that nothing with the id is
    /// left. No KEK is success.
    ///
    /// # Errors
    /// `KEK-KEY` where the id is another key's, and then nothing is destroyed; `KEK-GONE` where
    /// something is left; [`record::Error::Hsm`] where the token cannot be searched.
    pub fn kek_destroy(&self, id: CkaId, fingerprint: Hash) -> Result<()> {
        let mut session = self.session()?;
        for class in [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY] {
            for object in session.find(&of_class(class, &id.0))? {
                let shown = match session.public_half(object, KeyType::Rsa(0))? {
                    None => session.public_half(object, KeyType::Ec(0))?,
                    shown => shown,
                };
                let found = shown.map(|key| Hash::of(&key.spki));
                if let Some(other) = found.filter(|found| *found != fingerprint) {
                    return Err(Rule::KekKey.refuse(
                        format!("the key with the KEK's CKA_ID on {} has the fingerprint {other}", self.name()),
                        fingerprint.to_string(),
                        "nothing was destroyed: find out who put another key in the KEK's place, and note it",
                    ));
                }
            }
        }
        session.erase(id, Rule::KekGone)
    }

    /// Destroys whatever has the CKA_ID of a KEK that no record names, or of one that the security
    /// officer trusted; then looks in a new session that it is gone. None is success.
    ///
    /// # Errors
    /// `KEK-GONE` where something is left; [`record::Error::Hsm`] where the token cannot be
    /// searched.
    pub fn kek_clear(&self, id: CkaId) -> Result<()> {
        self.session()?.erase(id, Rule::KekGone)
    }
}

impl TokenSession<'_> {
    /// The exact pair of this id, with nothing missed but what is waived.
    fn kek_examine(
        &self,
        id: CkaId,
        spec: KekSpec,
        waived: &dyn Fn(Rule) -> bool,
        remedy: &str,
    ) -> Result<Kek> {
        let private = self.find(&of_class(CKO_PRIVATE_KEY, &id.0))?;
        let public = self.find(&of_class(CKO_PUBLIC_KEY, &id.0))?;
        let all = self.find(&[bytes(CKA_ID, &id.0)])?.len();
        let ([private], [public], 2) = (&private[..], &public[..], all) else {
            let (private, public) = (private.len(), public.len());
            let found = format!(
                "{private} private keys, {public} public keys, {all} objects with its CKA_ID"
            );
            return Err(key_error(found, remedy));
        };
        let table = kek_private(&named(&id.0, ""), spec.mechanism);
        let Comparison { attributes, missed, .. } = self.expect(*private, &table, remedy)?;
        let (missed, mut refused): (Vec<_>, Vec<_>) =
            missed.into_iter().partition(|miss| waived(miss.rule));
        if !refused.is_empty() {
            return Err(refused.swap_remove(0).error(remedy));
        }
        let kind = KeyType::Rsa(spec.bits);
        let halves = (self.public_half(*private, kind)?, self.public_half(*public, kind)?);
        let key = match halves {
            (Some(key), Some(half)) if key == half => key,
            _ => return Err(key_error("two halves of different keys", remedy)),
        };
        if key.kind() != kind || !key.exponent_fits() {
            return Err(key_error(key.described(), remedy));
        }
        let missed = missed.into_iter().map(|miss| (miss.rule, miss.found)).collect();
        Ok(Kek { id, spki: key.spki, attributes, missed, made: false })
    }

    /// Makes a KEK pair, by the template that the token was seen to take.
    fn kek_generate(&self, named: &[Attribute; 2], spec: KekSpec) -> Result<KeyPair> {
        let private = self.hsm.fitted(self.hsm.kek_table(named, spec.mechanism)).template();
        self.pair(KeyType::Rsa(spec.bits), &kek_public(true, named), &private)
    }
}

fn key_error(found: impl Into<String>, remedy: &str) -> Error {
    let expected = "one RSA key pair of the plan's size with exponent 65537, and no other object with its CKA_ID";
    Rule::KekKey.refuse(found, expected, remedy)
}
