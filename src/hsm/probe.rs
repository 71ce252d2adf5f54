//! `probe`: what this token does, seen on throwaway objects, trial by trial.

use std::fmt;
use std::fs;
use std::path::Path;

use cryptoki::mechanism::MechanismType;
use cryptoki_sys::*;

use crate::canary::{in_flavour, throwaway_certificate, throwaway_target, unfilled_key};
use crate::table::{
    Comparison, certificate, hoster_private, kek_private, named, stored_public, tenant_private,
};
use crate::{Hsm, Module, THROWAWAY, TargetSpec, Token, attribute, text, version};
use ::probe::profile::Profile;
use ::probe::{
    Direction, KekFacts, KeyWrapFacts, MechanismFacts, MechanismId, MissedFacts, ModuleFacts,
    ObjectFacts, Probe, SizeFacts, TokenFacts, TransferFacts, TrialOutcome, WAYS,
};
use record::{
    Error, FORMAT, KeyType, KwpFlavour, Mechanism, OaepHash, Result, Rule, Side, Usage, folder,
};

/// The greatest size of a module's file, in bytes.
pub const MAX_MODULE: u64 = 256 << 20;

/// One thing that a probe tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// What killed probes left, which is erased.
    Left,
    /// What the token lists, and how many objects it holds.
    Listing,
    /// Key wraps with padding.
    KeyWraps,
    /// Sizes of keys.
    Sizes,
    /// A wrap or an unwrap.
    Transfer(Direction, Mechanism, OaepHash),
    /// A KEK, and what its attributes forbid.
    Kek(Mechanism),
    /// What the attributes of a target key forbid.
    TargetKey,
    /// A key of the tenant's as it will be made, and its certificate.
    TenantKey,
    /// A key as it will be born at the hoster; whether it signs.
    BornKey(bool),
    /// A key as it will be imported by this way, with what stands beside it; whether it signs.
    ImportedKey(Mechanism, bool),
}

impl Trial {
    /// What is tried of a token of this side: as either end of a transfer, and of token objects the
    /// kinds that the side will make.
    pub fn all(side: Side, session_only: bool) -> Vec<Trial> {
        let mut all = vec![Trial::Left, Trial::Listing, Trial::KeyWraps, Trial::Sizes];
        for direction in [Direction::Wrap, Direction::Unwrap] {
            all.extend(WAYS.map(|(mechanism, oaep)| Trial::Transfer(direction, mechanism, oaep)));
        }
        all.extend(Mechanism::ALL.map(Trial::Kek));
        all.push(Trial::TargetKey);
        match side {
            _ if session_only => {}
            Side::Tenant => all.push(Trial::TenantKey),
            Side::Hoster => {
                all.extend([true, false].map(Trial::BornKey));
                for mechanism in Mechanism::ALL {
                    all.extend([true, false].map(|signs| Trial::ImportedKey(mechanism, signs)));
                }
            }
        }
        all
    }

    /// The token objects that it makes, each erased at once; more where the token does not take
    /// them as they are asked for.
    pub fn token_objects(self, session_only: bool) -> &'static [&'static str] {
        match self {
            _ if session_only => &[],
            Trial::Left | Trial::Listing | Trial::KeyWraps | Trial::Sizes => &[],
            Trial::Transfer(Direction::Wrap, ..) => &[],
            // A single-shot KEK is attacked before what its attributes forbid is tried on another.
            Trial::Kek(Mechanism::SingleShot) => &["KEK pair", "KEK pair"],
            Trial::Transfer(Direction::Unwrap, ..) | Trial::Kek(_) => &["KEK pair"],
            Trial::TargetKey | Trial::BornKey(_) => &["target key pair"],
            Trial::TenantKey => &["target key pair", "public key", "certificate"],
            Trial::ImportedKey(..) => &["KEK pair", "target key", "public key", "certificate"],
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = |signs: &bool| if *signs { "signing" } else { "encryption" };
        match self {
            Trial::Left => f.write_str("what killed probes left"),
            Trial::Listing => f.write_str("mechanisms and objects"),
            Trial::KeyWraps => f.write_str("key wraps with padding"),
            Trial::Sizes => f.write_str("sizes of keys"),
            Trial::Transfer(direction, mechanism, oaep) => {
                write!(f, "{direction}, {mechanism}, {oaep}")
            }
            Trial::Kek(mechanism) => write!(f, "{mechanism} KEK, and what its attributes forbid"),
            Trial::TargetKey => f.write_str("what the attributes of a target key forbid"),
            Trial::TenantKey => f.write_str("a key of the tenant's, with its certificate"),
            Trial::BornKey(signs) => write!(f, "{} key that is born", role(signs)),
            Trial::ImportedKey(mechanism, signs) => {
                write!(f, "{} key that is imported, {mechanism}", role(signs))
            }
        }
    }
}

impl Module {
    /// The module as a file and as it says of itself (C_GetInfo).
    ///
    /// # Errors
    /// [`Error::Failed`] where its file can't be read, [`Error::Hsm`] where it does not answer.
    pub fn facts(&self, path: &Path) -> Result<ModuleFacts> {
        let info = self.raw.info()?;
        // Vendors install links to the current version; what counts is the file that was loaded.
        let path = &fs::canonicalize(path).map_err(|error| Error::file(path, error))?;
        Ok(ModuleFacts {
            file: folder::file_name(path),
            sha256: folder::hash_file(path, MAX_MODULE)?.0,
            manufacturer: text(&info.manufacturerID),
            description: text(&info.libraryDescription),
            library: version(info.libraryVersion),
            cryptoki: version(info.cryptokiVersion),
        })
    }
}

impl Token<'_> {
    /// What is known of the token before anything was tried.
    ///
    /// # Errors
    /// [`Error::Hsm`] where it does not answer.
    pub fn unprobed(&self, side: Side, module: ModuleFacts) -> Result<Probe> {
        let profile = Profile::of(self.identity());
        Ok(Probe {
            format: FORMAT.to_owned(),
            kind: "probe".to_owned(),
            side,
            time: record::log::clock()?.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            module,
            token: self.identity().clone(),
            facts: self.facts()?,
            profile,
            mechanisms: Vec::new(),
            key_wraps: Vec::new(),
            rsa: Vec::new(),
            ec: Vec::new(),
            transfers: Vec::new(),
            keks: Vec::new(),
            enforced: Vec::new(),
            objects: Vec::new(),
            left: Vec::new(),
            unfinished: Vec::new(),
            session_only: false,
            machine: Vec::new(),
            wrap_with_trusted: None,
            attestation: profile.known().attestation.to_owned(),
        })
    }

    /// What the token says of sessions, PIN and itself (C_GetTokenInfo).
    fn facts(&self) -> Result<TokenFacts> {
        let info = self.info()?;
        let says = |flag| info.flags & flag != 0;
        let limit = |most: CK_ULONG| {
            let limited = ![CK_EFFECTIVELY_INFINITE, CK_UNAVAILABLE_INFORMATION].contains(&most);
            limited.then_some(most)
        };
        let pin_flags = [
            (CKF_USER_PIN_COUNT_LOW, "CKF_USER_PIN_COUNT_LOW"),
            (CKF_USER_PIN_FINAL_TRY, "CKF_USER_PIN_FINAL_TRY"),
            (CKF_USER_PIN_LOCKED, "CKF_USER_PIN_LOCKED"),
            (CKF_USER_PIN_TO_BE_CHANGED, "CKF_USER_PIN_TO_BE_CHANGED"),
        ];
        let raised = pin_flags.into_iter().filter(|(flag, _)| says(*flag));
        Ok(TokenFacts {
            hardware: version(info.hardwareVersion),
            generates_random: says(CKF_RNG),
            login_required: says(CKF_LOGIN_REQUIRED),
            protected_path: self.protected_path,
            most_sessions: limit(info.ulMaxSessionCount),
            most_rw_sessions: limit(info.ulMaxRwSessionCount),
            write_protected: says(CKF_WRITE_PROTECTED),
            pin_flags: raised.map(|(_, name)| name.to_owned()).collect(),
            clock: text(&info.utcTime),
            objects: None,
            pin_shortest: info.ulMinPinLen,
            pin_longest: info.ulMaxPinLen,
        })
    }
}

impl Hsm<'_> {
    /// Tries one thing, and adds what was seen.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token does not answer, or keeps a throwaway object.
    pub fn attempt(&self, trial: Trial, probe: &mut Probe) -> Result<()> {
        let nobody = named(&[], "");
        match trial {
            Trial::Left => probe.left = self.remove_left()?,
            Trial::Listing => {
                probe.mechanisms = self.mechanism_facts()?;
                probe.facts.objects = Some(self.session()?.find(&[])?.len() as u64);
            }
            Trial::KeyWraps => probe.key_wraps = self.key_wrap_facts()?,
            Trial::Sizes => (probe.rsa, probe.ec) = self.size_facts()?,
            Trial::Transfer(direction, mechanism, oaep_hash) => {
                let seen = match direction {
                    Direction::Wrap => (self.wrap_canary(THROWAWAY, mechanism, oaep_hash))
                        .map(|observed| vec![observed.kwp]),
                    Direction::Unwrap => {
                        self.unwrap_flavours(mechanism, oaep_hash).map(|seen| seen.kwp)
                    }
                };
                let outcome = outcome(seen);
                probe.transfers.push(TransferFacts { direction, mechanism, oaep_hash, outcome });
            }
            Trial::Kek(mechanism) => self.kek_facts(mechanism, probe)?,
            Trial::TargetKey => {
                let tried = self.throwaways(|session, name| self.try_target(session, name));
                let (enforced, kept) = tried?;
                probe.enforced.extend(enforced);
                probe.wrap_with_trusted = Some(kept);
            }
            Trial::TenantKey => {
                let spec = TargetSpec { usage: usage(true), ..throwaway_target(THROWAWAY) };
                let table = |named: &_, _| tenant_private(named, &spec);
                let made = self.fit_pair(THROWAWAY, spec.usage, table);
                self.object_facts(table(&nobody, THROWAWAY).object, made, probe);
                self.beside_facts(probe)?;
            }
            Trial::BornKey(signs) => {
                let table = |named: &_, kind| hoster_private(named, kind, usage(signs), true);
                let made = self.fit_pair(THROWAWAY, usage(signs), table);
                self.object_facts(table(&nobody, THROWAWAY).object, made, probe);
            }
            Trial::ImportedKey(mechanism, signs) => {
                let made = self.imported_key(mechanism, usage(signs));
                let table = hoster_private(&nobody, THROWAWAY, usage(signs), false);
                probe.objects.extend(self.facts_of((table.object, trial.to_string()), made));
                if !probe.objects.iter().any(|facts| facts.object == "certificate") {
                    self.beside_facts(probe)?;
                }
            }
        }
        self.remove_throwaways()
    }

    fn mechanism_facts(&self) -> Result<Vec<MechanismFacts>> {
        let mut facts = Vec::new();
        let mut listed = self.token.module.raw.mechanisms(self.token.slot)?;
        listed.sort_unstable();
        for kind in listed {
            let info = self.mechanism(kind)?;
            #[expect(clippy::disallowed_methods, reason = "a claim: one not made claims nothing")]
            let info = info.unwrap_or_default();
            let known = MechanismType::try_from(kind).ok();
            facts.push(MechanismFacts {
                id: MechanismId(kind),
                name: known.map(|known| known.to_string()),
                flags: format!("0x{:08x}", info.flags),
                least: info.ulMinKeySize,
                most: info.ulMaxKeySize,
            });
        }
        Ok(facts)
    }

    fn key_wrap_facts(&self) -> Result<Vec<KeyWrapFacts>> {
        let session = self.session()?;
        let mut facts = Vec::new();
        for kind in self.key_wraps() {
            if self.wraps_by(kind)? {
                let made = session.wrapped_aes_length(kind)?.ok().map(|length| length as u64);
                facts.push(KeyWrapFacts { id: MechanismId(kind), made });
            }
        }
        Ok(facts)
    }

    fn size_facts(&self) -> Result<(Vec<SizeFacts>, Vec<SizeFacts>)> {
        self.throwaways(|session, name| {
            // Some tokens make no key that ends with its session.
            let stays: &[bool] = if self.session_only { &[false] } else { &[false, true] };
            let make = |bits, kind| {
                let made = stays.iter().any(|stays| session.makes_pair(kind, *stays, name));
                SizeFacts { bits, made }
            };
            let rsa = [2048, 3072, 4096].map(|bits| make(bits, KeyType::Rsa(bits)));
            let ec = [256, 384].map(|bits| make(bits, KeyType::Ec(bits)));
            Ok((rsa.to_vec(), ec.to_vec()))
        })
    }

    /// A throwaway KEK of this mechanism: what it misses, and what its attributes forbid.
    fn kek_facts(&self, mechanism: Mechanism, probe: &mut Probe) -> Result<()> {
        // The strongest by which it unwraps, with either hash, attacked.
        let attacks = match mechanism {
            Mechanism::Composite => Some(Vec::new()),
            Mechanism::SingleShot => {
                let hashes = OaepHash::ALL.into_iter();
                let mut unwraps = hashes.map(|oaep| self.unwrap_flavours(mechanism, oaep));
                unwraps.find_map(Result::ok).map(|seen| seen.attacks)
            }
        };
        self.throwaways(|session, name| {
            let table = self.kek_table(name, mechanism);
            let object = kek_private(name, mechanism).object;
            let kek = match session.throwaway_kek(name, mechanism) {
                Ok(kek) => kek,
                Err(error) => {
                    probe.keks.push(KekFacts { mechanism, missed: None });
                    self.object_facts(object, Err(error), probe);
                    return Ok(());
                }
            };
            self.object_facts(object, Ok(()), probe);
            let Comparison { missed, refused, .. } = session.examine(kek.private, &table)?;
            let missed = missed.into_iter().chain(refused);
            let missed = missed.map(|miss| MissedFacts { rule: miss.rule, found: miss.found });
            // Where it has unwrapped before and was not attacked, what it misses is not known.
            let works = |oaep| {
                let outcome = probe.transfer(Direction::Unwrap, mechanism, oaep);
                matches!(outcome, Some(TrialOutcome::Works { .. }))
            };
            let missed = match attacks {
                None if OaepHash::ALL.into_iter().any(works) => None,
                attacks => Some(attacks.into_iter().flatten().chain(missed).collect()),
            };
            probe.keks.push(KekFacts { mechanism, missed });
            probe.enforced.extend(session.try_kek(object, kek, mechanism)?);
            Ok(())
        })
    }

    /// A target key as it will be imported, under a throwaway KEK of this mechanism.
    fn imported_key(&self, mechanism: Mechanism, usage: Usage) -> Result<()> {
        let (expected, unfilled) = unfilled_key()?;
        self.throwaways(|session, name| {
            let kek = session.throwaway_kek(name, mechanism)?;
            let table = hoster_private(name, THROWAWAY, usage, false);
            let mut refused = None;
            for oaep in OaepHash::ALL {
                for kwp in [KwpFlavour::Rfc5649, KwpFlavour::Rfc5649ZeroFilled] {
                    let pkcs8 = in_flavour(kwp, &unfilled);
                    for method in session.unwrap_methods(mechanism, oaep)? {
                        let key = (pkcs8.as_slice(), &expected);
                        match session.throwaway_unwrap(&kek, method, key, &table) {
                            Ok(()) => return Ok(()),
                            Err(error) => refused = refused.or(Some(error)),
                        }
                    }
                }
            }
            Err(refused.unwrap_or_else(|| Error::defect("no way was tried")))
        })
    }

    /// Whether public objects are stored beside a key.
    fn beside_facts(&self, probe: &mut Probe) -> Result<()> {
        let (half, made) = throwaway_certificate()?;
        let public = self.fits(|named| Ok(stored_public(named, &half, usage(true))))?;
        let stored = self.fits(|named| certificate(named, made.der()))?;
        for (object, stored) in
            [("public key beside a target key", public), ("certificate", stored)]
        {
            let none = Err(Error::hsm("the token stores none", "none is needed"));
            self.object_facts(object, if stored { Ok(()) } else { none }, probe);
        }
        Ok(())
    }

    fn object_facts(&self, object: &str, made: Result<()>, probe: &mut Probe) {
        probe.objects.extend(self.facts_of((object, object.to_owned()), made));
    }

    /// What is known of an object that was to be made by a table; nothing where none may stay.
    fn facts_of(&self, (table, object): (&str, String), made: Result<()>) -> Option<ObjectFacts> {
        let left_out = self.seen().left_out.get(table).cloned().flatten();
        let left_out = left_out.iter().flatten().map(|kind| attribute::name(*kind)).collect();
        let (rule, found) = made.err().map(rule_and_found).unzip();
        let rule = rule.flatten();
        (!self.session_only).then_some(ObjectFacts { object, left_out, rule, found })
    }
}

/// A target key of either role.
fn usage(signs: bool) -> Usage {
    Usage { sign: signs, decrypt: !signs }
}

fn outcome(seen: Result<Vec<KwpFlavour>>) -> TrialOutcome {
    match seen.map_err(rule_and_found) {
        Ok(kwp) => TrialOutcome::Works { kwp },
        Err((Some(rule), found)) => TrialOutcome::Refused { rule, found },
        Err((None, found)) => TrialOutcome::Failed { found },
    }
}

/// What of an error a report has.
fn rule_and_found(error: Error) -> (Option<Rule>, String) {
    match error {
        Error::Refused(refusal) => (Some(refusal.rule), refusal.found),
        error => (None, error.to_string()),
    }
}
