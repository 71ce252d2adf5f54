//! The hoster's key-encryption key (design, section 4.1): made, read back, checked before use,
//! destroyed.

use cryptoki::session::Session;
use cryptoki_sys::*;

use crate::{
    Hsm,
    attribute::{Attribute, bytes, flag, mechanisms, number, read_back, template},
    inventory::Inventory,
    object::{Miss, of_class, public_usage},
    public_key::{EXPONENT, PublicKey},
    raw::Object,
};
use record::{
    Result,
    encoding::CkaId,
    rule::Rule,
    terms::{KeyType, Mechanism, ReadBack},
};

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

/// What was read of a KEK in one new session.
struct Examined {
    key: Option<PublicKey>,
    attributes: Vec<ReadBack>,
    misses: Vec<Miss>,
}

impl Examined {
    /// The first miss that the plan does not waive, else the key and what it waives.
    fn settle(self, waived: &dyn Fn(Rule) -> bool) -> std::result::Result<Settled, Miss> {
        let is_waived = |rule: Rule| rule.waivable() && waived(rule);
        let (waived, mut refused): (Vec<_>, Vec<_>) =
            (self.misses.into_iter()).partition(|miss| is_waived(miss.rule));
        match self.key {
            Some(key) if refused.is_empty() => Ok(Settled {
                key,
                attributes: self.attributes,
                missed: waived.into_iter().map(|miss| (miss.rule, miss.found)).collect(),
            }),
            _ if refused.is_empty() => Err(no_key("a key that shows no RSA numbers".to_owned())),
            _ => Err(refused.remove(0)),
        }
    }
}

struct Settled {
    key: PublicKey,
    attributes: Vec<ReadBack>,
    missed: Vec<(Rule, String)>,
}

impl Settled {
    fn kek(self, id: CkaId, made: bool) -> Kek {
        Kek { id, spki: self.key.spki, attributes: self.attributes, missed: self.missed, made }
    }
}

/// The attributes of the KEK's private half, each with the rule that it keeps (design, section 4.1;
/// PKCS#11 v3.1, 4.9). In this order: SoftHSM takes CKA_MODIFIABLE false only as the last,
/// CKA_COPYABLE before it.
fn private_half(token: bool, mechanism: Mechanism) -> Vec<(Attribute, Rule)> {
    let (allowed, unwrapped) = unwrapped_by(mechanism);
    vec![
        (flag(CKA_TOKEN, token), Rule::KekToken),
        (flag(CKA_PRIVATE, true), Rule::KekPrivate),
        (flag(CKA_SENSITIVE, true), Rule::KekSensitive),
        (flag(CKA_EXTRACTABLE, false), Rule::KekExtractable),
        (flag(CKA_UNWRAP, true), Rule::KekUnwrap),
        (flag(CKA_DECRYPT, false), Rule::KekDecrypt),
        (flag(CKA_SIGN, false), Rule::KekSign),
        (flag(CKA_SIGN_RECOVER, false), Rule::KekSignRecover),
        (flag(CKA_DERIVE, false), Rule::KekDerive),
        (allowed, Rule::KekAllowedMechanisms),
        (template(CKA_UNWRAP_TEMPLATE, unwrapped), Rule::KekUnwrapTemplate),
        (flag(CKA_COPYABLE, false), Rule::KekCopyable),
        (flag(CKA_MODIFIABLE, false), Rule::KekModifiable),
    ]
}

/// The mechanism that a KEK allows, and what it forces on the key that it unwraps.
pub(super) fn unwrapped_by(mechanism: Mechanism) -> (Attribute, Vec<Attribute>) {
    let (allowed, unwrapped) = match mechanism {
        Mechanism::SingleShot => (CKM_RSA_AES_KEY_WRAP, unwrapped_target()),
        Mechanism::Composite => (CKM_RSA_PKCS_OAEP, unwrapped_aes()),
    };
    (mechanisms(CKA_ALLOWED_MECHANISMS, &[allowed]), unwrapped)
}

/// What a single-shot KEK forces on the target key that it unwraps (design, section 4.1).
fn unwrapped_target() -> Vec<Attribute> {
    vec![
        number(CKA_CLASS, CKO_PRIVATE_KEY),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, false),
    ]
}

/// What a composite KEK forces on the AES key that it unwraps (design, section 4.1). C_UnwrapKey
/// restates each of these.
pub(super) fn unwrapped_aes() -> Vec<Attribute> {
    vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, false),
        flag(CKA_WRAP, false),
        flag(CKA_ENCRYPT, false),
        flag(CKA_DECRYPT, false),
    ]
}

/// What only a key that was made in the token has; attributes that no template can set.
pub(super) fn born_here() -> [Attribute; 3] {
    [flag(CKA_LOCAL, true), flag(CKA_ALWAYS_SENSITIVE, true), flag(CKA_NEVER_EXTRACTABLE, true)]
}

const REMEDY: &str = "use a token that can hold a KEK like this, or agree on a new plan that waives the rule with a reason \
                      (where it is waivable)";

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
        if let Ok(kek) = self.kek_examine(id, spec)?.settle(waived) {
            return Ok(kek.kek(id, false));
        }
        self.erase(&id.0, Rule::KekGone)?;
        self.or_erase(&id.0, Rule::KekGone, || {
            let named = [bytes(CKA_ID, &id.0), bytes(CKA_LABEL, label.as_bytes())];
            let session = self.session()?;
            self.kek_generate(&session, &named, true, spec, waived)?;
            drop(session);
            let kek = self.kek_examine(id, spec)?.settle(waived);
            kek.map(|kek| kek.kek(id, true)).map_err(|miss| miss.refuse(REMEDY))
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
        let offered = PublicKey::rsa_of_spki(spki, Rule::KekKey)?;
        let spec = KekSpec { bits: offered.bits(), mechanism };
        let kek = self.kek_examine(id, spec)?.settle(waived);
        let kek = match kek {
            Ok(kek) if kek.key == offered => Ok(kek),
            Ok(_) => Err(no_key("another key than the one offered".to_owned())),
            Err(miss) => Err(miss),
        };
        kek.map(|kek| kek.attributes).map_err(|miss| {
            miss.refuse(
                "do not use this KEK: find out who changed it, then restart with a new attempt",
            )
        })
    }

    /// The KEK's private half, for the unwraps.
    pub(super) fn kek_private(&self, inventory: &Inventory, id: CkaId) -> Result<Object> {
        match inventory.of_class(CKO_PRIVATE_KEY, &id.0)[..] {
            [kek] => Ok(kek),
            ref found => Err(no_key(format!("{} private keys with its CKA_ID", found.len()))
                .refuse("find out who changed the KEK, then restart with a new attempt")),
        }
    }

    /// Makes a KEK pair. Where the token refuses the whole template, attributes of waivable rules
    /// are left out: one at a time, so that reading back names the one that the token cannot hold,
    /// then all that the plan waives.
    pub(super) fn kek_generate(
        &self,
        session: &Session,
        named: &[Attribute],
        token: bool,
        spec: KekSpec,
        waived: &dyn Fn(Rule) -> bool,
    ) -> Result<(Object, Object)> {
        let mut public = named.to_vec();
        public.extend(public_usage(token, &[flag(CKA_WRAP, true)]));
        public.push(number(CKA_MODULUS_BITS, spec.bits.into()));
        public.push(bytes(CKA_PUBLIC_EXPONENT, &EXPONENT));
        let make = |left_out: &dyn Fn(Rule) -> bool| {
            let mut private = named.to_vec();
            let kept = private_half(token, spec.mechanism)
                .into_iter()
                .filter(|(_, rule)| !left_out(*rule));
            private.extend(kept.map(|(attribute, _)| attribute));
            self.raw().generate_pair(session, CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &private)
        };
        let whole = make(&|_| false);
        if whole.is_ok() {
            return whole;
        }
        let optional = private_half(token, spec.mechanism).into_iter().map(|(_, rule)| rule);
        optional
            .filter(|rule| rule.waivable())
            .find_map(|rule| make(&|other| other == rule).ok())
            .or_else(|| make(&|rule| rule.waivable() && waived(rule)).ok())
            .map_or(whole, Ok)
    }

    fn kek_examine(&self, id: CkaId, spec: KekSpec) -> Result<Examined> {
        let session = self.session()?;
        let mut examined = Examined { key: None, attributes: Vec::new(), misses: Vec::new() };
        let private = self.find(&session, &of_class(CKO_PRIVATE_KEY, &id.0))?;
        let public = self.find(&session, &of_class(CKO_PUBLIC_KEY, &id.0))?;
        let all = self.find(&session, &[bytes(CKA_ID, &id.0)])?.len();
        let ([private], [public], 2) = (&private[..], &public[..], all) else {
            examined.misses.push(no_key(format!(
                "{} private keys, {} public keys, {all} objects with its CKA_ID",
                private.len(),
                public.len()
            )));
            return Ok(examined);
        };
        (examined.attributes, examined.misses) = self.kek_read(&session, *private, spec, true)?;
        let halves =
            (self.public_key_of(&session, *private)?, self.public_key_of(&session, *public)?);
        match halves {
            (Some(key), Some(half))
                if key == half && key.kind() == KeyType::Rsa(spec.bits) && key.exponent_fits() =>
            {
                examined.key = Some(key);
            }
            (Some(key), Some(half)) if key == half => examined.misses.push(no_key(key.described())),
            _ => examined.misses.push(no_key("two halves of different keys".to_owned())),
        }
        Ok(examined)
    }

    /// The rules that a throwaway KEK misses.
    pub(super) fn kek_misses(
        &self,
        session: &Session,
        private: Object,
        spec: KekSpec,
    ) -> Result<Vec<Miss>> {
        Ok(self.kek_read(session, private, spec, false)?.1)
    }

    fn kek_read(
        &self,
        session: &Session,
        private: Object,
        spec: KekSpec,
        token: bool,
    ) -> Result<(Vec<ReadBack>, Vec<Miss>)> {
        let (mut attributes, mut misses) = (Vec::new(), Vec::new());
        let born_here = born_here().map(|attribute| (attribute, Rule::KekLocal));
        let wanted = private_half(token, spec.mechanism).into_iter().chain(born_here);
        for (wanted, rule) in wanted {
            let value = self.raw().read(session, private, &wanted)?;
            let same = (value.as_ref()).is_some_and(|value| value.same(&wanted.value));
            // Tokens give the members of a list in an order of their own; the record has ours.
            let said = if same { Some(&wanted.value) } else { value.as_ref() };
            attributes.push(read_back(wanted.kind, said));
            if !same {
                misses.push(Miss::attribute(rule, &wanted, value.as_ref()));
            }
        }
        Ok((attributes, misses))
    }
}

fn no_key(found: String) -> Miss {
    Miss {
        rule: Rule::KekKey,
        found,
        expected: "one RSA key pair of the plan's size with exponent 65537, and no other object with its CKA_ID".to_owned(),
    }
}
