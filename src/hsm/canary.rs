//! Canaries: the calls of the real wrap and unwrap, on throwaway keys, with the other end in
//! software (design, sections 4.1 and 4.3). What a token does is observed before a real key is
//! trusted to it.
//!
//! What the ceremony keeps on the token is tried as token objects, since tokens take other
//! attributes of those; they are erased at once, and what a killed run left of them by the next.
//! Throwaway KEKs have 2048 bits whatever the plan says: neither the OAEP hash nor the AES key wrap
//! depends on the size, and a software RSA-4096 key takes seconds.

use std::iter;

use cryptoki_sys::*;
use rsa::Pkcs1v15Sign;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::attribute::{Attribute, bytes, flag};
use crate::mechanism::{THROWAWAY, THROWAWAY_BITS, WrapMethod, software_key};
use crate::object::{AS_ASKED, AS_UNWRAPPED};
use crate::parallel::meanwhile;
use crate::public_key::PublicHalf;
use crate::raw::{KeyPair, Object};
use crate::table::{
    CERTIFICATE, Table, certificate, hoster_private, kek_private, kek_public, kek_tables, named,
    target_public, tenant_private, wrapping_kek,
};
use crate::wrapped_key::{self, WrappedKey};
use crate::{Hsm, ImportOrder, TargetSpec, TokenSession, kek, self_signed};
use ::probe::{LeftFacts, MissedFacts};
use record::spki::TargetCertificate;
use record::{
    Error, KeyType, KwpFlavour, Mechanism, OaepHash, Observed, Result, Rule, Usage, encoding,
};

/// What the label of each throwaway object begins with; in a ceremony it is that. A probe's run
/// follows it, so that what another left can be told from its own.
pub const THROWAWAY_LABEL: &str = "keyferry throwaway";
/// Throwaway keys until one shows the flavour of the key wrap: about one in four does not.
const MOST_KEYS: usize = 64;

/// Usages of throwaway target keys; they serve nobody.
const USAGE: Usage = Usage { sign: true, decrypt: false };

/// A target key that nobody will miss.
pub(super) fn throwaway_target(kind: KeyType) -> TargetSpec<'static> {
    TargetSpec { label: THROWAWAY_LABEL, kind, usage: USAGE, trusted_only: false }
}

/// What a throwaway key becomes that is unwrapped, and ends with its session.
pub(super) fn unwrapped_throwaway() -> Table {
    hoster_private(&session_name(), THROWAWAY, USAGE, false).barest().in_session()
}

fn session_name() -> [Attribute; 2] {
    named(&[], THROWAWAY_LABEL)
}

impl Hsm<'_> {
    /// Does something with throwaway token objects, which have this name; what a killed run left is
    /// erased before, and they are erased afterwards.
    ///
    /// # Errors
    /// [`Error::Hsm`] where one is left; what `work` ends with.
    pub(super) fn throwaways<T>(
        &self,
        work: impl FnOnce(&TokenSession, &[Attribute; 2]) -> Result<T>,
    ) -> Result<T> {
        self.remove_throwaways()?;
        let name = named(&encoding::random::<20>()?, &self.throwaway_label);
        let done = self.session().and_then(|session| work(&session, &name));
        let removed = self.remove_throwaways();
        done.and_then(|done| removed.map(|()| done))
    }

    /// Throwaway objects fill a token up, or worse.
    pub(super) fn remove_throwaways(&self) -> Result<()> {
        self.remove_labelled(self.throwaway_label.as_bytes())
    }

    fn remove_labelled(&self, label: &[u8]) -> Result<()> {
        match self.session()?.remove(&[bytes(CKA_LABEL, label)])? {
            None => Ok(()),
            Some((left, said)) => Err(Error::hsm(
                format!("{left} throwaway objects are still on {}; it said: {said}", self.name()),
                format!(
                    "remove the objects with the label \"{}\" with the vendor's tool, and do not use this token",
                    label.escape_ascii()
                ),
            )),
        }
    }

    /// Erases the throwaway objects of whatever was killed before: their labels, and how many had
    /// each.
    pub(super) fn remove_left(&self) -> Result<Vec<LeftFacts>> {
        let mut all = Vec::new();
        for (label, objects) in self.inventory()?.labels(THROWAWAY_LABEL.as_bytes()) {
            self.remove_labelled(label)?;
            all.push(LeftFacts { label: label.escape_ascii().to_string(), objects });
        }
        Ok(all)
    }

    /// Whether the token stores certificates, tried once with one that nobody will miss.
    pub(super) fn stores_certificates(&self) -> Result<bool> {
        if let Some(seen) = self.seen().left_out.get(CERTIFICATE) {
            return Ok(seen.is_some());
        }
        let (_, made) = throwaway_certificate()?;
        self.fits(|named| certificate(named, made.der()))
    }

    /// Finds out once, on a throwaway pair, what the token takes of a private key of this table.
    pub(super) fn fit_pair(
        &self,
        kind: KeyType,
        usage: Usage,
        table: impl Fn(&[Attribute; 2], KeyType) -> Table,
    ) -> Result<()> {
        if self.left_out(&table(&session_name(), kind)).is_some() {
            return Ok(());
        }
        let kind = if let KeyType::Rsa(_) = kind { THROWAWAY } else { kind };
        let fitted = self.throwaways(|session, name| {
            let (public, table) = (target_public(true, name, usage), table(name, kind));
            let pair = session.fit_pair(kind, &public, &table)?;
            session.expect(pair.private, &table, AS_ASKED).map(drop)
        });
        fitted.map_err(|error| self.advised(error))
    }

    /// Whether the token stores a public object of this table, tried once: no ceremony ends for
    /// want of one.
    pub(super) fn fits(&self, table: impl Fn(&[Attribute; 2]) -> Result<Table>) -> Result<bool> {
        if let Some(seen) = self.left_out(&table(&session_name())?) {
            return Ok(seen.is_some());
        }
        self.throwaways(|session, name| {
            let table = table(name)?;
            let make = |template: &[Attribute]| session.create(template);
            let made = session.fit(&table, make, |made| session.discard(&[made]));
            if made.is_err() {
                // A token that fell silent does not answer for its session either.
                session.session.state()?;
                self.seen().left_out.insert(table.object, None);
            }
            Ok(made.is_ok())
        })
    }

    /// Wraps a throwaway key of the tenant's, of this kind and size, twice to a throwaway software
    /// KEK by the calls of [`Hsm::wrap`], opens both in software, and says what was observed.
    ///
    /// # Errors
    /// `WRAP-OAEP-HASH`, `WRAP-KWP`, `WRAP-AES-KEY`, `WRAP-FORMAT`, `WRAP-CANARY` for what differs
    /// from the plan; `WRAP-SINGLE-SHOT` where the token lacks the mechanism; [`Error::Hsm`] where
    /// the token fails.
    pub fn wrap_canary(
        &self,
        target: KeyType,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Observed> {
        let session = self.session()?;
        let method = session.wrap_method(mechanism, oaep)?;
        let generate = || {
            let pair = session.throwaway_pair(&throwaway_target(target));
            pair.map_err(|error| self.advised(error))
        };
        let (software, first) = meanwhile(software_key, generate)?;
        let kek = PublicHalf::of_rsa(software.to_public_key())?;
        let with = session.create(&wrapping_kek(&kek))?;
        let others = iter::repeat_with(generate);
        for pair in iter::once(Ok(first)).chain(others).take(MOST_KEYS) {
            let KeyPair { public, private } = pair?;
            let wrap = |method: WrapMethod| session.wrap_under(method.under(with), private);
            let wrap_and_open = || {
                let wrapped = wrap(method).map_err(|error| {
                    // A token that lacks the plan's OAEP hash, or one that fails?
                    match wrap(method).is_err() && wrap(method.with_other_oaep()).is_ok() {
                        true => self.oaep_hash_error(oaep, "cannot do it, but can do the other"),
                        false => self.advised(error),
                    }
                })?;
                let wrapped = WrappedKey::parse(wrapped, kek.bits(), target)?;
                wrapped_key::open(&software, oaep, &wrapped)
            };
            let (first, second) = (wrap_and_open()?, wrap_and_open()?);
            let expected = session.public_half(public, target)?.map(|half| half.key);
            session.discard(&[public, private]);
            for opened in [&first, &second] {
                let key = wrapped_key::public_of(&opened.pkcs8);
                if key.is_none() || key != expected {
                    return Err(other_key_error());
                }
            }
            if first.aes == second.aes {
                return Err(canary_error("the same AES key in two wraps", "a fresh one for each"));
            }
            // Where nothing had to be filled up, the two flavours are the same; EC keys of a curve
            // are all of one length.
            if first.pkcs8.len() % 8 == 0 && matches!(target, KeyType::Ec(_)) {
                return self.wrap_canary(THROWAWAY, mechanism, oaep);
            }
            if first.pkcs8.len() % 8 != 0 {
                return Ok(Observed { oaep_hash: oaep, kwp: first.kwp });
            }
        }
        Err(canary_error("throwaway keys of a multiple of 8 bytes only", "keys made at random"))
    }

    /// Unwraps a throwaway software key, wrapped in software, under a throwaway KEK of the real
    /// one's template by the calls of [`Hsm::import`], and says which OAEP hash and key wrap the
    /// token takes; and attacks that KEK: what succeeded, each by its rule and what was found.
    ///
    /// # Errors
    /// As [`Hsm::wrap_canary`]; the rule of the first attack that succeeded and is not waived.
    pub fn unwrap_canary(
        &self,
        mechanism: Mechanism,
        oaep: OaepHash,
        waived: &dyn Fn(Rule) -> bool,
    ) -> Result<(Observed, Vec<MissedFacts>)> {
        let seen = self.unwrap_flavours(mechanism, oaep)?;
        let kwp = seen.kwp.into_iter().next();
        let kwp = kwp.ok_or_else(|| canary_error("nothing", "one of the two flavours"))?;
        if let Some(MissedFacts { rule, found }) =
            seen.attacks.iter().find(|attack| !waived(attack.rule))
        {
            return Err(rule.refuse(found, "a token that refuses it", kek::REMEDY));
        }
        Ok((Observed { oaep_hash: oaep, kwp }, seen.attacks))
    }

    /// Unwraps a throwaway key of each of these kinds and usages under the KEK itself, as the token keeps the
    /// real ones, by one of these flavours: before it is offered, as one whose halves do not belong
    /// together would be found at the import, when every share is open; and before anybody opens a
    /// share.
    ///
    /// # Errors
    /// `WRAP-CANARY` where it opens to another key, and as [`Hsm::wrap_canary`]; `TARGET-ATTRIBUTES`
    /// where it is not what it was asked to be; [`record::Error::Hsm`] where the token does not open
    /// it.
    pub fn kek_canary(
        &self,
        order: &ImportOrder,
        kwp: &[KwpFlavour],
        wanted: &[(KeyType, Usage)],
    ) -> Result<()> {
        let own = CanaryKek {
            private: self.kek_private(&self.inventory()?, order.kek)?,
            public: PublicHalf::rsa_of_spki(order.kek_spki, Rule::KekKey)?,
        };
        let mut tried = Vec::new();
        self.throwaways(|session, name| {
            let methods = session.unwrap_methods(order.mechanism, order.oaep)?;
            for (kind, usage) in wanted {
                // The size of an RSA key says nothing; each curve is a kind of its own.
                let kind = if let KeyType::Rsa(_) = kind { THROWAWAY } else { *kind };
                if tried.contains(&(kind, *usage)) {
                    continue;
                }
                tried.push((kind, *usage));
                let (expected, unfilled) = software_target(kind)?;
                let table = hoster_private(name, kind, *usage, false);
                let ways =
                    methods.iter().flat_map(|method| kwp.iter().map(move |kwp| (method, kwp)));
                let mut unwraps = ways.map(|(method, kwp)| {
                    let pkcs8 = in_flavour(*kwp, &unfilled);
                    session.throwaway_unwrap(&own, *method, (&pkcs8, &expected), &table)?;
                    self.seen().unwraps_by = method.key_wrap;
                    Ok(())
                });
                first_of(&mut unwraps)?;
            }
            Ok(())
        })
    }

    /// Every flavour of key wrap that the token takes, RFC 5649 itself first, under the strongest
    /// KEK by which it unwraps; and the attacks on that KEK that succeeded.
    pub(super) fn unwrap_flavours(
        &self,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<UnwrapFacts> {
        let kinds = kek_tables(&session_name(), mechanism).len();
        let mut unwraps = (0..kinds).map(|weakness| {
            self.seen().kek_weakness.insert(mechanism, weakness);
            self.throwaways(|session, name| {
                let methods = session.unwrap_methods(mechanism, oaep)?;
                let make = || session.throwaway_kek(name, mechanism);
                let (unfilled, kek) = meanwhile(unfilled_key, make)?;
                let mut flavours = methods.iter().map(|method| {
                    let kwp = self.flavours(session, &kek, *method, &unfilled)?;
                    self.seen().unwraps_by = method.key_wrap;
                    Ok(kwp)
                });
                let kwp = first_of(&mut flavours)?;
                let attacks = match (mechanism, kwp.first()) {
                    (Mechanism::SingleShot, Some(kwp)) => {
                        let pkcs8 = in_flavour(*kwp, &unfilled.1);
                        let wrapped = wrapped_key::make(kek.public.rsa()?, oaep, &pkcs8)?;
                        session.attacks(&kek, oaep, &wrapped)?
                    }
                    _ => Vec::new(),
                };
                Ok(UnwrapFacts { kwp, attacks })
            })
        });
        first_of(&mut unwraps).inspect_err(|_| {
            self.seen().kek_weakness.remove(&mechanism);
        })
    }

    /// The table of a KEK, as far as the token unwraps under one.
    pub(super) fn kek_table(&self, name: &[Attribute; 2], mechanism: Mechanism) -> Table {
        let weakness = self.seen().kek_weakness.get(&mechanism).copied().unwrap_or(0);
        let mut tables = kek_tables(name, mechanism).into_iter();
        let table = tables.nth(weakness).unwrap_or_else(|| kek_private(name, mechanism));
        if self.session_only { table.in_session() } else { table }
    }

    fn flavours(
        &self,
        session: &TokenSession,
        kek: &CanaryKek,
        method: WrapMethod,
        (expected, pkcs8): &(PublicHalf, Zeroizing<Vec<u8>>),
    ) -> Result<Vec<KwpFlavour>> {
        session.must_stay(kek.private, &kek.public, method, Rule::KekExtractable)?;
        let mut taken = Vec::new();
        let mut refused = None;
        for kwp in [KwpFlavour::Rfc5649, KwpFlavour::Rfc5649ZeroFilled] {
            let pkcs8 = in_flavour(kwp, pkcs8);
            let key = (pkcs8.as_slice(), expected);
            match session.throwaway_unwrap(kek, method, key, &unwrapped_throwaway()) {
                Ok(()) => taken.push(kwp),
                Err(refusal @ Error::Refused(_)) => return Err(refusal),
                Err(error) => refused = Some(error),
            }
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
        let filled = in_flavour(KwpFlavour::Rfc5649ZeroFilled, pkcs8);
        let other = method.with_other_oaep();
        let key = (filled.as_slice(), expected);
        if session.throwaway_unwrap(kek, other, key, &unwrapped_throwaway()).is_ok() {
            return Err(self.oaep_hash_error(method.oaep, "cannot open it, but can open the other"));
        }
        Err(refused.unwrap_or_else(|| canary_error("nothing", "one of the two flavours")))
    }
}

impl TokenSession<'_> {
    /// A throwaway KEK of the real one's table; what the token does not take of it is found out.
    pub fn throwaway_kek(&self, name: &[Attribute; 2], mechanism: Mechanism) -> Result<CanaryKek> {
        let (kind, stays) = (KeyType::Rsa(THROWAWAY_BITS), !self.hsm.session_only);
        let table = self.hsm.kek_table(name, mechanism);
        let public = kek_public(stays, name);
        let KeyPair { public, private } = self.fit_pair(kind, &public, &table)?;
        let public = self.public_half(public, kind)?;
        let public = public
            .ok_or_else(|| canary_error("a KEK that shows no public key", "an RSA public key"))?;
        Ok(CanaryKek { private, public })
    }

    /// A throwaway pair of this table; what the token does not take of it is found out.
    fn fit_pair(&self, kind: KeyType, public: &[Attribute], table: &Table) -> Result<KeyPair> {
        let make = |private: &[Attribute]| self.pair(kind, public, private);
        self.fit(table, make, |pair| self.discard(&[pair.public, pair.private]))
    }

    /// Whether the token makes a key pair of this kind at all, asked for as little as can be.
    pub fn makes_pair(&self, kind: KeyType, stays: bool, name: &[Attribute; 2]) -> bool {
        let half = |own: &[Attribute]| [&name[..], &[flag(CKA_TOKEN, stays)], own].concat();
        let private = [flag(CKA_SENSITIVE, true), flag(CKA_EXTRACTABLE, false)];
        let made = self.pair(kind, &half(&[]), &half(&private));
        made.map(|pair| self.discard(&[pair.public, pair.private])).is_ok()
    }

    /// A target key of the tenant's that ends with the session.
    pub fn throwaway_pair(&self, spec: &TargetSpec) -> Result<KeyPair> {
        let private = tenant_private(&session_name(), spec).barest().in_session().template();
        self.pair(spec.kind, &target_public(false, &session_name(), spec.usage), &private)
    }

    /// Wraps this PKCS#8 in software, unwraps it in the token, and looks that it is this key. What
    /// the token does not take of such a key is found out.
    pub fn throwaway_unwrap(
        &self,
        kek: &CanaryKek,
        method: WrapMethod,
        (pkcs8, expected): (&[u8], &PublicHalf),
        table: &Table,
    ) -> Result<()> {
        let wrapped = wrapped_key::make(kek.public.rsa()?, method.oaep, pkcs8)?;
        let (key, _) =
            self.unwrap_under(method.under(kek.private), &wrapped, table, |with, wrapped| {
                let unwrap = |template: &[Attribute]| self.unwrap(with, wrapped, template);
                self.fit(table, unwrap, |key| self.discard(&[key]))
            })?;
        self.expect(key, table, AS_UNWRAPPED)?;
        self.must_stay(key, &kek.public, method, Rule::TargetAttributes)?;
        match self.is_half_of(key, expected)? {
            true => Ok(()),
            false => Err(other_key_error()),
        }
    }

    /// Tries to wrap a throwaway key that was made to be not extractable, as the tenant wraps. A
    /// token that lets it out would let the real ones out, whatever it says of them. Any refusal
    /// will do: a token at the hoster need not wrap at all.
    fn must_stay(
        &self,
        key: Object,
        kek: &PublicHalf,
        method: WrapMethod,
        rule: Rule,
    ) -> Result<()> {
        let Ok(with) = self.create(&wrapping_kek(kek)) else {
            return Ok(());
        };
        let left = self.wrap_under(method.under(with), key).is_ok();
        // That of a token that fell silent is none.
        self.session.state()?;
        self.discard(&[with]);
        rule.ensure(
            !left,
            "a throwaway key made with CKA_EXTRACTABLE false, which the token wrapped all the same",
            "a token that lets no such key out",
            "do not use this token: its keys can leave it, whatever it says of them",
        )
    }
}

/// The first that succeeds, or why the first did not; what a rule refuses ends it.
fn first_of<T>(tries: &mut dyn Iterator<Item = Result<T>>) -> Result<T> {
    let mut failed = None;
    for tried in tries {
        match tried {
            Err(Error::Hsm { what, remedy }) => {
                failed.get_or_insert(Error::Hsm { what, remedy });
            }
            ended => return ended,
        }
    }
    Err(failed.unwrap_or_else(other_key_error))
}

/// What unwrapping under a throwaway KEK has shown.
pub(super) struct UnwrapFacts {
    /// The flavours of key wrap that the token takes.
    pub kwp: Vec<KwpFlavour>,
    /// The attacks that succeeded.
    pub attacks: Vec<MissedFacts>,
}

/// The KEK of a canary: one of the real one's template that nobody will miss; or the real one,
/// under which a throwaway key is wrapped.
pub(super) struct CanaryKek {
    pub private: Object,
    pub public: PublicHalf,
}

/// A throwaway key whose PKCS#8 is no multiple of 8 long, so that both flavours of the key wrap
/// differ.
pub(super) fn unfilled_key() -> Result<(PublicHalf, Zeroizing<Vec<u8>>)> {
    loop {
        let key = software_key()?;
        let der = key.to_pkcs8_der().map_err(|error| {
            Error::defect(format!("the throwaway RSA key does not encode: {error}"))
        })?;
        if der.as_bytes().len() % 8 != 0 {
            let half = PublicHalf::of_rsa(key.to_public_key())?;
            return Ok((half, Zeroizing::new(der.as_bytes().to_vec())));
        }
    }
}

/// A throwaway software key of this kind, RSA of [`THROWAWAY_BITS`]: its public half and PKCS#8.
fn software_target(kind: KeyType) -> Result<(PublicHalf, Zeroizing<Vec<u8>>)> {
    let (public, pkcs8) = match kind {
        KeyType::Rsa(_) => return unfilled_key(),
        KeyType::Ec(256) => {
            // Any number below the order of the curve is a key.
            let key = p256::SecretKey::from_slice(&encoding::random::<32>()?);
            let key = key.map_err(Error::defect)?;
            (key.public_key().to_public_key_der(), key.to_pkcs8_der())
        }
        KeyType::Ec(_) => {
            let key = p384::SecretKey::from_slice(&encoding::random::<48>()?);
            let key = key.map_err(Error::defect)?;
            (key.public_key().to_public_key_der(), key.to_pkcs8_der())
        }
    };
    let public = public.map_err(Error::defect)?;
    let pkcs8 = pkcs8.map_err(Error::defect)?;
    let half = PublicHalf::of_spki(public.as_bytes(), Rule::TargetKey)?;
    Ok((half, Zeroizing::new(pkcs8.as_bytes().to_vec())))
}

/// A certificate that nobody will miss, and its key.
pub(super) fn throwaway_certificate() -> Result<(PublicHalf, TargetCertificate)> {
    let key = software_key()?;
    let half = PublicHalf::of_rsa(key.to_public_key())?;
    let sign = |message: &[u8]| {
        let digest = Sha256::digest(message);
        key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest).map_err(Error::defect)
    };
    let made = self_signed::make("CN=throwaway", "throwaway", &half.spki, sign)?;
    Ok((half, made))
}

/// This key's PKCS#8 as a token that takes this flavour of the key wrap unwraps it.
pub(super) fn in_flavour(kwp: KwpFlavour, pkcs8: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(pkcs8.to_vec());
    if kwp == KwpFlavour::Rfc5649ZeroFilled {
        key.resize(pkcs8.len().next_multiple_of(8), 0);
    }
    key
}

fn other_key_error() -> Error {
    canary_error("another key", "the throwaway key that was wrapped")
}

fn canary_error(found: &str, expected: &str) -> Error {
    Rule::WrapCanary.refuse(
        found,
        expected,
        "do not use this token: what it wraps or unwraps is not what it was given",
    )
}
