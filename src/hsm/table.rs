//! What each object of a ceremony must be: one table for each kind (design, section 4; PKCS#11
//! v3.1, 4). Templates are made of it, and by it an object is read back and examined.

use std::collections::BTreeSet;

use cryptoki_sys::*;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::attribute::{
    Attribute, Value, allowed, bytes, flag, flags, number, read_back, template,
};
use crate::object::Deviation;
use crate::public_key::{PublicHalf, generation, key_type};
use crate::raw::{KeyPair, Object};
use crate::{Hsm, TargetSpec, TokenSession};
use record::{KeyType, Mechanism, ReadBack, Result, Rule, Usage};

/// How an attribute binds an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Without it the object is refused.
    Must,
    /// It must not be so; a token that does not know the attribute cannot do what it forbids.
    MustNot,
    /// Left out where the token will not have it; the record says what it then is.
    Should,
    /// Set, or only read for the record; whatever it then is.
    Either,
}

/// One attribute of an object.
#[derive(Clone)]
struct Row {
    attribute: Attribute,
    rule: Rule,
    demand: Demand,
    /// What a template asks for; none where it is only read, or left out.
    asked: Option<Value>,
    /// A value that serves nearly as well, which a rule of its own refuses.
    weaker: Option<(Value, Rule)>,
}

impl Row {
    /// Whether the object may be made without it.
    fn is_optional(&self) -> bool {
        matches!(self.demand, Demand::MustNot | Demand::Should) && self.asked.is_some()
    }

    /// Whether this value keeps it.
    fn is_kept_by(&self, value: Option<&Value>) -> bool {
        match (self.demand, value) {
            (Demand::Either, _) | (Demand::MustNot, None) => true,
            (_, value) => value.is_some_and(|value| value.same(&self.attribute.value)),
        }
    }

    /// What is asked for.
    fn asked(&self) -> Option<Attribute> {
        Some(Attribute { kind: self.attribute.kind, value: self.asked.clone()? })
    }

    /// The rule that this value breaks.
    fn broken_by(&self, value: Option<&Value>) -> Rule {
        let weaker = self.weaker.as_ref();
        let is_weaker = weaker.filter(|(weaker, _)| value.is_some_and(|value| value.same(weaker)));
        is_weaker.map_or(self.rule, |(_, rule)| *rule)
    }

    /// Whether the record says it: names and numbers are the public half's.
    fn is_shown(&self) -> bool {
        !matches!(self.attribute.value, Value::Bytes(_) | Value::Number(_))
    }
}

/// Every attribute of an object of one kind.
#[derive(Clone)]
pub(super) struct Table {
    /// What it is of, for people and for what a token was seen to take.
    pub object: &'static str,
    rows: Vec<Row>,
    /// The key whose half it is, where that is looked at; and the rule that another breaks.
    half: Option<(PublicHalf, Rule)>,
}

impl Table {
    fn of(object: &'static str) -> Self {
        Table { object, rows: Vec::new(), half: None }
    }

    fn and(
        mut self,
        demand: Demand,
        rule: Rule,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        let row = |attribute: Attribute| {
            let asked = Some(attribute.value.clone());
            Row { attribute, rule, demand, asked, weaker: None }
        };
        self.rows.extend(attributes.into_iter().map(row));
        self
    }

    /// The same with attributes that no template has.
    fn and_read(self, demand: Demand, rule: Rule, attributes: Vec<Attribute>) -> Self {
        let before = self.rows.len();
        let mut table = self.and(demand, rule, attributes);
        table.rows.iter_mut().skip(before).for_each(|row| row.asked = None);
        table
    }

    /// The same of an object that is half of this key.
    pub fn half_of(self, key: &PublicHalf, rule: Rule) -> Self {
        Table { half: Some((key.clone(), rule)), ..self }
    }

    /// What asks a token for it. SoftHSM takes CKA_MODIFIABLE false only as the last, CKA_COPYABLE
    /// before it.
    pub fn template(&self) -> Vec<Attribute> {
        let mut set: Vec<_> = self.rows.iter().filter_map(Row::asked).collect();
        set.sort_by_key(|one| match one.kind {
            CKA_COPYABLE => 1,
            CKA_MODIFIABLE => 2,
            _ => 0,
        });
        set
    }

    /// The same without what a token does not take.
    pub fn without(&self, kinds: &LeftOut) -> Self {
        let mut less = self.clone();
        for row in less.rows.iter_mut().filter(|row| kinds.contains(&row.attribute.kind)) {
            row.asked = None;
        }
        less
    }

    /// The same without what need not be: what must not be so is said, as tokens' own choices differ.
    pub fn barest(&self) -> Self {
        let rows = self.rows.iter().filter(|row| row.demand == Demand::Should);
        self.without(&rows.map(|row| row.attribute.kind).collect())
    }

    /// The same with a weaker value of one attribute, where asked for, and the rule that refuses it.
    fn or(mut self, weaker: Attribute, rule: Rule) -> Self {
        for row in self.rows.iter_mut().filter(|row| row.attribute.kind == weaker.kind) {
            row.weaker = Some((weaker.value.clone(), rule));
        }
        self
    }

    /// The same with the weaker values of these attributes asked for.
    fn weakened(mut self, kinds: &[CK_ATTRIBUTE_TYPE]) -> Self {
        for row in self.rows.iter_mut().filter(|row| kinds.contains(&row.attribute.kind)) {
            row.asked = row.weaker.as_ref().map(|(value, _)| value.clone());
        }
        self
    }

    /// The same as a throwaway object that ends with its session.
    pub fn in_session(mut self) -> Self {
        self.object = "throwaway key";
        for row in self.rows.iter_mut().filter(|row| row.attribute.kind == CKA_TOKEN) {
            row.attribute.value = Value::Flag(false);
            row.asked = Some(Value::Flag(false));
        }
        self
    }

    /// What may be left out.
    fn optional(&self) -> LeftOut {
        let rows = self.rows.iter().filter(|row| row.is_optional());
        rows.map(|row| row.attribute.kind).collect()
    }
}

/// Attributes that a token does not take of a kind of object.
pub(super) type LeftOut = BTreeSet<CK_ATTRIBUTE_TYPE>;

impl Hsm<'_> {
    /// What the token was seen not to take of such an object, if it was tried; none of it where the
    /// token makes none at all.
    pub(super) fn left_out(&self, table: &Table) -> Option<Option<LeftOut>> {
        self.seen().left_out.get(table.object).cloned()
    }

    /// The table without that.
    pub(super) fn fitted(&self, table: Table) -> Table {
        match self.left_out(&table).flatten() {
            Some(kinds) => table.without(&kinds),
            None => table,
        }
    }
}

impl TokenSession<'_> {
    /// Makes a throwaway object of this table. What the token does not take of it is found
    /// attribute by attribute, and left out of the real ones.
    ///
    /// # Errors
    /// The rule of the attribute without which the token would make it, where one alone must go;
    /// else what the token said of the whole.
    pub fn fit<T>(
        &self,
        table: &Table,
        make: impl Fn(&[Attribute]) -> Result<T>,
        discard: impl Fn(T),
    ) -> Result<T> {
        let optional = table.optional();
        let (mut left_out, mut made) = (LeftOut::new(), make(&table.template()));
        if made.is_err() && !optional.is_empty() {
            let barest = make(&table.without(&optional).template());
            left_out = optional.clone();
            made = barest.or(made);
        }
        let mut made = made.map_err(|error| {
            let without = |row: &&Row| {
                let mut kinds = optional.clone();
                kinds.insert(row.attribute.kind);
                make(&table.without(&kinds).template()).map(&discard).is_ok()
            };
            // Of a refused template no code says which attribute it was.
            match table.rows.iter().find(without) {
                Some(row) => not_taken_error(row, table),
                None => error,
            }
        })?;
        for kind in &optional {
            let mut fewer = left_out.clone();
            if fewer.remove(kind)
                && let Ok(better) = make(&table.without(&fewer).template())
            {
                discard(std::mem::replace(&mut made, better));
                left_out = fewer;
            }
        }
        self.hsm.seen().left_out.insert(table.object, Some(left_out));
        Ok(made)
    }

    /// Makes a key pair of this kind.
    pub fn pair(
        &self,
        kind: KeyType,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<KeyPair> {
        let (mechanism, kind) = generation(kind);
        self.generate_pair(mechanism, &[public, &kind].concat(), private)
    }

    /// Reads the object, and holds it against its table.
    pub fn examine(&self, object: Object, table: &Table) -> Result<Comparison> {
        let rows = table.rows.iter().filter(|row| row.demand != Demand::Either || row.is_shown());
        // By the same call: only an RSA key has a modulus, and it shows it on either half.
        let rsa = table.half.iter().filter(|(key, _)| matches!(key.kind(), KeyType::Rsa(_)));
        let numbers: Vec<_> = rsa.flat_map(|(key, _)| key.attributes()).collect();
        let wanted: Vec<_> = rows.clone().map(|row| &row.attribute).chain(&numbers).collect();
        let mut values = self.read_all(object, &wanted)?.into_iter();
        let mut examined = Comparison::default();
        for (row, value) in rows.zip(values.by_ref()) {
            let wanted = &row.attribute;
            if row.is_shown() {
                // Tokens give the members of a list in an order of their own; the record has ours.
                let ours = [Some(&wanted.value), row.weaker.as_ref().map(|(weaker, _)| weaker)];
                let mut ours = ours.into_iter().flatten();
                let same = ours.find(|ours| value.as_ref().is_some_and(|value| value.same(ours)));
                let said = same.or(value.as_ref());
                examined.attributes.push(read_back(wanted.kind, said));
            }
            if !row.is_kept_by(value.as_ref()) {
                let deviations = match row.demand {
                    Demand::Should => &mut examined.missed,
                    _ => &mut examined.refused,
                };
                let rule = row.broken_by(value.as_ref());
                deviations.push(Deviation::of(rule, wanted, value.as_ref()));
            }
        }
        if let Some((key, rule)) = &table.half {
            let is_half = match &values.collect::<Vec<_>>()[..] {
                [Some(Value::Bytes(modulus)), Some(Value::Bytes(exponent))] => {
                    PublicHalf::of_parts(modulus, exponent).is_some_and(|shown| shown == *key)
                }
                read => read.is_empty() && self.is_half_of(object, key)?,
            };
            if !is_half {
                let expected =
                    format!("{} with the public half that it is known by", key.described());
                let found = "another key".to_owned();
                examined.refused.push(Deviation { kind: None, rule: *rule, found, expected });
            }
        }
        Ok(examined)
    }

    /// The same, of an object that has all that it must.
    ///
    /// # Errors
    /// By the rule that it breaks, with what mends that; [`record::Error::Hsm`] where the token
    /// fails.
    pub fn expect(&self, object: Object, table: &Table, remedy: &str) -> Result<Comparison> {
        let mut examined = self.examine(object, table)?;
        // Where a key was made says more of it than what it may do.
        examined.refused.sort_by_key(|one| one.rule != Rule::TargetLocal);
        match examined.refused.is_empty() {
            true => Ok(examined),
            false => Err(examined.refused.swap_remove(0).error(remedy)),
        }
    }
}

/// What an object was read to be.
#[derive(Default)]
pub(super) struct Comparison {
    /// What of it is for the record, in the order of its table.
    pub attributes: Vec<ReadBack>,
    /// Where it is not what it must be.
    pub refused: Vec<Deviation>,
    /// Where it is not what it should be.
    pub missed: Vec<Deviation>,
}

fn not_taken_error(row: &Row, table: &Table) -> record::Error {
    row.rule.refuse(
        format!("a token that makes no {} with {}", table.object, row.attribute),
        format!("a {} with it", table.object),
        "use a token that makes keys as it is asked to, or set it up so; its vendor's manual says which setting forbids the attribute",
    )
}

/// What the table of a certificate is of.
pub(super) const CERTIFICATE: &str = "certificate";

/// Attributes that no template can set (PKCS#11 v3.1, 4.9): what only a key has that was made in
/// the token.
const MADE_HERE: [CK_ATTRIBUTE_TYPE; 3] = [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE];

/// How an object of ours is found, by programs and by people.
pub(super) fn named(id: &[u8], label: &str) -> [Attribute; 2] {
    [bytes(CKA_ID, id), bytes(CKA_LABEL, label.as_bytes())]
}

/// The objects of one class that Keyferry makes under one CKA_ID.
pub(super) fn of_class(class: CK_OBJECT_CLASS, id: &[u8]) -> [Attribute; 2] {
    [number(CKA_CLASS, class), bytes(CKA_ID, id)]
}

/// The KEK's private half, each attribute with the rule that it keeps (design, section 4.1; PKCS#11
/// v3.1, 4.9).
pub(super) fn kek_private(named: &[Attribute; 2], mechanism: Mechanism) -> Table {
    let (by, unwrapped) = unwrapped_by(mechanism);
    let object = match mechanism {
        Mechanism::SingleShot => "single-shot KEK",
        Mechanism::Composite => "composite KEK",
    };
    let rows = [
        (flag(CKA_TOKEN, true), Rule::KekToken),
        (flag(CKA_PRIVATE, true), Rule::KekPrivate),
        (flag(CKA_SENSITIVE, true), Rule::KekSensitive),
        (flag(CKA_EXTRACTABLE, false), Rule::KekExtractable),
        (flag(CKA_UNWRAP, true), Rule::KekUnwrap),
        (flag(CKA_DECRYPT, false), Rule::KekDecrypt),
        (flag(CKA_SIGN, false), Rule::KekSign),
        (flag(CKA_SIGN_RECOVER, false), Rule::KekSignRecover),
        (flag(CKA_DERIVE, false), Rule::KekDerive),
        (by, Rule::KekAllowedMechanisms),
        (unwrapped, Rule::KekUnwrapTemplate),
        (flag(CKA_COPYABLE, false), Rule::KekCopyable),
        (flag(CKA_MODIFIABLE, false), Rule::KekModifiable),
    ];
    let table = Table::of(object).and(Demand::Either, Rule::KekKey, named.clone());
    let table = rows.into_iter().fold(table, |table, (attribute, rule)| {
        let demand = if rule.waivable() { Demand::Should } else { Demand::Must };
        table.and(demand, rule, [attribute])
    });
    let table = table.and_read(Demand::Must, Rule::KekLocal, flags(&MADE_HERE, true));
    match mechanism {
        Mechanism::Composite => table,
        Mechanism::SingleShot => table
            // What keeps a target key in the HSM.
            .or(template(CKA_UNWRAP_TEMPLATE, kept_here().to_vec()), Rule::KekUnwrapPrivate)
            .or(allowed(&[CKM_RSA_AES_KEY_WRAP, CKM_RSA_PKCS_OAEP]), Rule::KekUnwrapTwoSteps),
    }
}

/// A KEK as tokens have it, the strongest first (design, section 4.1): in single-shot some open
/// their own AES key by the KEK's template, or want its RSA-OAEP allowed. Which one works, an unwrap
/// says.
pub(super) fn kek_tables(named: &[Attribute; 2], mechanism: Mechanism) -> Vec<Table> {
    let both = [CKA_UNWRAP_TEMPLATE, CKA_ALLOWED_MECHANISMS];
    let weakened: &[&[CK_ATTRIBUTE_TYPE]] = match mechanism {
        Mechanism::SingleShot => &[&[], &both[..1], &both],
        Mechanism::Composite => &[&[]],
    };
    weakened.iter().map(|kinds| kek_private(named, mechanism).weakened(kinds)).collect()
}

/// The one mechanism that a KEK allows, and what it forces on the key that it unwraps.
pub(super) fn unwrapped_by(mechanism: Mechanism) -> (Attribute, Attribute) {
    let (kind, unwrapped) = match mechanism {
        Mechanism::SingleShot => (CKM_RSA_AES_KEY_WRAP, unwrapped_target()),
        Mechanism::Composite => (CKM_RSA_PKCS_OAEP, unwrapped_aes()),
    };
    (allowed(&[kind]), template(CKA_UNWRAP_TEMPLATE, unwrapped))
}

/// What a key says that stays in its HSM.
pub(super) fn kept_here() -> [Attribute; 2] {
    [flag(CKA_SENSITIVE, true), flag(CKA_EXTRACTABLE, false)]
}

/// What a single-shot KEK forces on the target key that it unwraps (design, section 4.1).
fn unwrapped_target() -> Vec<Attribute> {
    let private = [number(CKA_CLASS, CKO_PRIVATE_KEY), flag(CKA_PRIVATE, true)];
    [private, kept_here()].concat()
}

/// What a composite KEK forces on the AES key that it unwraps (design, section 4.1). C_UnwrapKey
/// restates each of these.
fn unwrapped_aes() -> Vec<Attribute> {
    let mut forced = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        flag(CKA_SENSITIVE, true),
    ];
    forced.extend(flags(&[CKA_EXTRACTABLE, CKA_WRAP, CKA_ENCRYPT, CKA_DECRYPT], false));
    forced
}

/// The KEK's public half as it is made beside the private one.
pub(super) fn kek_public(token: bool, named: &[Attribute; 2]) -> Vec<Attribute> {
    [&named[..], &public_usage(token, &[CKA_WRAP])].concat()
}

/// The KEK's public half as a session object that wraps and does nothing else.
pub(super) fn wrapping_kek(key: &PublicHalf) -> Vec<Attribute> {
    public_object(key, false, &[CKA_WRAP])
}

/// The KEK's public half that the tenant's security officer trusts: it wraps, and nothing else can
/// be done with it or to it.
pub(super) fn trusted_kek(key: &PublicHalf) -> Table {
    let rule = Rule::TargetWrapWithTrusted;
    let table =
        Table::of("trusted KEK").and(Demand::Must, rule, public_object(key, true, &[CKA_WRAP]));
    table.and(Demand::Must, rule, [flag(CKA_TRUSTED, true)])
}

/// A private key that may be wrapped out of the tenant's HSM: by a KEK that is trusted, or by any.
/// Composite's ephemeral AES key cannot be trusted, nor is a KEK without `kek trust`.
pub(super) fn wrappable(trusted_only: bool) -> Table {
    let table = Table::of("target key")
        .and(Demand::Must, Rule::TargetSensitive, [flag(CKA_SENSITIVE, true)])
        .and(Demand::Must, Rule::TargetExtractable, [flag(CKA_EXTRACTABLE, true)]);
    let trusted = vec![flag(CKA_WRAP_WITH_TRUSTED, trusted_only)];
    match trusted_only {
        true => table.and(Demand::Must, Rule::TargetWrapWithTrusted, trusted),
        // Unsaid where no key is to be trusted: not every token knows it.
        false => table.and_read(Demand::MustNot, Rule::TargetExtractable, trusted),
    }
}

/// A target key at the tenant. It stays modifiable, so that the tenant can end CKA_EXTRACTABLE
/// after the ceremony.
pub(super) fn tenant_private(named: &[Attribute; 2], spec: &TargetSpec) -> Table {
    let rule = Rule::TargetAttributes;
    let table = Table { object: "key of the tenant's", ..wrappable(spec.trusted_only) };
    let place = [flag(CKA_TOKEN, true), flag(CKA_PRIVATE, true)];
    let table = table.and(Demand::Must, rule, place).and(Demand::Must, rule, named.clone());
    let ends = [flag(CKA_COPYABLE, false), flag(CKA_MODIFIABLE, true)];
    // Some tokens want CKA_SIGN_RECOVER to be as CKA_SIGN is: beside that it lets nobody do more.
    let recover = if spec.usage.sign { Demand::Should } else { Demand::MustNot };
    private_usage(table, spec.usage).and(recover, rule, [flag(CKA_SIGN_RECOVER, false)]).and(
        Demand::Should,
        rule,
        ends,
    )
}

/// A target key at the hoster: unwrapped there, or born.
pub(super) fn hoster_private(
    named: &[Attribute; 2],
    kind: KeyType,
    usage: Usage,
    born: bool,
) -> Table {
    let rule = Rule::TargetAttributes;
    let object = match (born, usage.sign) {
        (true, true) => "signing key that is born",
        (true, false) => "encryption key that is born",
        (false, true) => "signing key that is imported",
        (false, false) => "encryption key that is imported",
    };
    let made_here = if born { Demand::Must } else { Demand::Either };
    let table = Table::of(object)
        .and(Demand::Must, rule, [flag(CKA_TOKEN, true)])
        .and(Demand::Must, rule, unwrapped_target())
        .and(Demand::Must, rule, [key_type(kind)]);
    // A token need not know these; where it does, the record says false of each.
    let none = flags(&[CKA_SIGN_RECOVER, CKA_COPYABLE, CKA_MODIFIABLE], false);
    private_usage(table, usage)
        .and(Demand::MustNot, rule, none)
        .and_read(made_here, Rule::TargetLocal, flags(&MADE_HERE, true))
        .and(Demand::Must, rule, named.clone())
}

/// What the AES key's UNWRAP_TEMPLATE pins of a target key, where the token allows it: all but its
/// place and name.
fn pinned(target: &Table) -> Vec<Attribute> {
    let free = [CKA_TOKEN, CKA_ID, CKA_LABEL, CKA_COPYABLE, CKA_MODIFIABLE];
    let pinned = target.template().into_iter();
    pinned.filter(|attribute| !free.contains(&attribute.kind)).collect()
}

/// The usages of a private key, all of them explicit: tokens fill in surprising ones (PKCS#11 v3.1,
/// 4.9), but CKA_SIGN_RECOVER. CKA_WRAP does not exist on private keys.
fn private_usage(table: Table, usage: Usage) -> Table {
    let rule = Rule::TargetAttributes;
    table
        .and(Demand::Must, rule, [flag(CKA_SIGN, usage.sign), flag(CKA_DECRYPT, usage.decrypt)])
        .and(Demand::Must, rule, flags(&[CKA_UNWRAP, CKA_DERIVE], false))
}

/// The public half of a target key, as it is made beside the private one.
pub(super) fn target_public(token: bool, named: &[Attribute; 2], usage: Usage) -> Vec<Attribute> {
    [&named[..], &public_usage(token, &target_usages(usage))].concat()
}

/// The public half of a target key, stored beside the private one that was unwrapped. It can do
/// nothing that anybody with the key could not; so a token may have it otherwise, or not at all.
pub(super) fn stored_public(named: &[Attribute; 2], key: &PublicHalf, usage: Usage) -> Table {
    let rule = Rule::TargetAttributes;
    let (usages, is): (Vec<_>, Vec<_>) = public_object(key, true, &target_usages(usage))
        .into_iter()
        .partition(|attribute| matches!(attribute.value, Value::Flag(false)));
    let table = Table::of("public key beside a target key").and(Demand::Either, rule, is);
    table.and(Demand::Should, rule, usages).and(Demand::Must, rule, named.clone())
}

fn target_usages(usage: Usage) -> Vec<CK_ATTRIBUTE_TYPE> {
    let usages = [(usage.sign, CKA_VERIFY), (usage.decrypt, CKA_ENCRYPT)];
    usages.into_iter().filter_map(|(wanted, kind)| wanted.then_some(kind)).collect()
}

/// A public key object from its numbers: a claim about nothing, so every usage but `usages` is
/// false.
fn public_object(key: &PublicHalf, token: bool, usages: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attribute> {
    let mut template = vec![number(CKA_CLASS, CKO_PUBLIC_KEY), key_type(key.kind())];
    template.extend(public_usage(token, usages));
    template.extend(key.attributes());
    template
}

/// The attributes of a public key, with these usages and no others; CKA_VERIFY_RECOVER is left
/// unsaid beside CKA_VERIFY, as some tokens want the two to be the same.
fn public_usage(token: bool, usages: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attribute> {
    let all = [CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP, CKA_DERIVE];
    let place = [flag(CKA_TOKEN, token), flag(CKA_PRIVATE, false)];
    let said =
        all.into_iter().filter(|kind| *kind != CKA_VERIFY_RECOVER || !usages.contains(&CKA_VERIFY));
    place.into_iter().chain(said.map(|kind| flag(kind, usages.contains(&kind)))).collect()
}

/// The ephemeral AES-256 key of a composite wrap (design, section 4.3): a session object, readable
/// by nobody, that wraps one key and is wrapped once.
pub(super) fn ephemeral_aes() -> Table {
    let is = [number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES)];
    let must = [number(CKA_VALUE_LEN, 32), flag(CKA_TOKEN, false), flag(CKA_SENSITIVE, true)];
    let usages = flags(&[CKA_PRIVATE, CKA_EXTRACTABLE, CKA_WRAP], true).into_iter();
    let usages = usages.chain(flags(&[CKA_UNWRAP, CKA_ENCRYPT, CKA_SIGN], false));
    Table::of("ephemeral AES key")
        .and(Demand::Either, Rule::WrapAesKey, is)
        .and(Demand::Must, Rule::WrapAesKey, must)
        .and(Demand::Must, Rule::WrapAesKey, [flag(CKA_DECRYPT, false)])
        .and(
            Demand::Either,
            Rule::WrapAesKey,
            usages.chain(flags(&[CKA_VERIFY, CKA_DERIVE], false)),
        )
}

/// The AES key of a composite wrap at the hoster: it unwraps one key, of this table, and is
/// destroyed. The KEK's UNWRAP_TEMPLATE is restated whole, because some tokens demand it.
/// CKA_VALUE_LEN is not asked for: SoftHSM says 0 of an unwrapped key.
pub(super) fn unwrapping_aes(target: &Table) -> Table {
    let rule = Rule::WrapAesKey;
    let place = [flag(CKA_TOKEN, false), flag(CKA_PRIVATE, true), flag(CKA_UNWRAP, true)];
    let pin = template(CKA_UNWRAP_TEMPLATE, pinned(target));
    Table::of("AES key that unwraps")
        .and(Demand::Must, rule, unwrapped_aes())
        .and(Demand::Must, rule, place)
        .and(Demand::Must, rule, flags(&[CKA_SIGN, CKA_VERIFY, CKA_DERIVE], false))
        .and(Demand::Should, rule, [pin])
        .and(Demand::Should, rule, flags(&[CKA_COPYABLE, CKA_MODIFIABLE], false))
}

/// The certificate beside a target key (PKCS#11 v3.1, 4.6.3): public, never changed.
///
/// # Errors
/// `TARGET-CERTIFICATE` where it is none.
pub(super) fn certificate(named: &[Attribute; 2], der: &[u8]) -> Result<Table> {
    let rule = Rule::TargetCertificate;
    let certificate_error = |error: x509_cert::der::Error| {
        rule.refuse(
            format!("a certificate that cannot be read: {error}"),
            "a DER certificate (RFC 5280)",
            "ask its sender for the document again",
        )
    };
    let certificate = Certificate::from_der(der).map_err(certificate_error)?;
    let tbs = certificate.tbs_certificate();
    let serial = tbs.serial_number().to_der().map_err(certificate_error)?;
    let shown = [
        number(CKA_CERTIFICATE_TYPE, CKC_X_509),
        flag(CKA_TOKEN, true),
        bytes(CKA_SUBJECT, &tbs.subject().to_der().map_err(certificate_error)?),
        bytes(CKA_ISSUER, &tbs.issuer().to_der().map_err(certificate_error)?),
        bytes(CKA_SERIAL_NUMBER, &serial),
    ];
    Ok(Table::of(CERTIFICATE)
        .and(Demand::Must, rule, [number(CKA_CLASS, CKO_CERTIFICATE)])
        .and(Demand::Either, rule, shown)
        .and(Demand::Must, rule, [bytes(CKA_VALUE, der)])
        .and(Demand::Must, Rule::TargetAttributes, named.clone())
        .and(Demand::Should, rule, flags(&[CKA_PRIVATE, CKA_COPYABLE, CKA_MODIFIABLE], false)))
}
