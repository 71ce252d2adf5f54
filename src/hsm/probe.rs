//! `probe`: what this token does, seen on throwaway session objects, which end with their session.

use std::fs;
use std::path::Path;

use cryptoki::mechanism::MechanismType;
use cryptoki_sys::*;

use crate::canary::{throwaway, throwaway_target};
use crate::mechanism::{THROWAWAY, THROWAWAY_BITS};
use crate::{Hsm, KekSpec, Module, Token, text, version};
use record::probe::profile::Profile;
use record::probe::{
    Direction, EnforcedFacts, KekFacts, KeyWrapFacts, MechanismFacts, MechanismId, MissedFacts,
    ModuleFacts, Probe, SizeFacts, TokenFacts, TransferFacts, TrialOutcome, WAYS,
};
use record::terms::{FORMAT, KeyType, KwpFlavour, Mechanism, Side};
use record::{Error, Result, folder};

/// The greatest size of a module's file, in bytes.
pub const MAX_MODULE: u64 = 256 << 20;

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
    /// What the token says of sessions and PIN (C_GetTokenInfo).
    ///
    /// # Errors
    /// [`Error::Hsm`] where it does not answer.
    pub fn facts(&self) -> Result<TokenFacts> {
        let info = self.info()?;
        let says = |flag| info.flags & flag != 0;
        let most = info.ulMaxSessionCount;
        let limited = ![CK_EFFECTIVELY_INFINITE, CK_UNAVAILABLE_INFORMATION].contains(&most);
        Ok(TokenFacts {
            hardware: version(info.hardwareVersion),
            generates_random: says(CKF_RNG),
            login_required: says(CKF_LOGIN_REQUIRED),
            protected_path: self.protected_path,
            most_sessions: limited.then_some(most),
            pin_shortest: info.ulMinPinLen,
            pin_longest: info.ulMaxPinLen,
        })
    }
}

impl Hsm<'_> {
    /// Tries everything that a ceremony asks of a token of either side, and a few things that it
    /// must refuse.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token does not answer at all, or keeps a throwaway object.
    pub fn probe(
        &self,
        side: Side,
        module: ModuleFacts,
        facts: TokenFacts,
        progress: &dyn Fn(&str),
    ) -> Result<Probe> {
        let profile = Profile::of(self.identity());
        progress("listing mechanisms");
        let mechanisms = self.mechanism_facts()?;
        progress("key wraps and key sizes");
        let (key_wraps, (rsa, ec)) = (self.key_wrap_facts()?, self.size_facts()?);
        let mut transfers = Vec::new();
        for direction in [Direction::Wrap, Direction::Unwrap] {
            for (mechanism, oaep_hash) in WAYS {
                progress(&format!("{direction}, {mechanism}, {oaep_hash}"));
                let seen = match direction {
                    Direction::Wrap => (self.wrap_canary(THROWAWAY, mechanism, oaep_hash))
                        .map(|observed| vec![observed.kwp]),
                    Direction::Unwrap => self.unwrap_flavours(mechanism, oaep_hash),
                };
                let outcome = outcome(seen);
                transfers.push(TransferFacts { direction, mechanism, oaep_hash, outcome });
            }
        }
        progress("throwaway KEKs, and what their attributes forbid");
        let mut keks = Vec::new();
        let mut enforced = Vec::new();
        for mechanism in [Mechanism::SingleShot, Mechanism::Composite] {
            let (kek, tried) = self.kek_facts(mechanism)?;
            keks.push(kek);
            enforced.extend(tried);
        }
        let (target, wrap_with_trusted) = self.try_target()?;
        enforced.extend(target);
        self.nothing_left()?;
        Ok(Probe {
            format: FORMAT.to_owned(),
            kind: "probe".to_owned(),
            side,
            time: record::log::clock()?.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            module,
            token: self.identity().clone(),
            facts,
            profile,
            mechanisms,
            key_wraps,
            rsa,
            ec,
            transfers,
            keks,
            enforced,
            machine: Vec::new(),
            wrap_with_trusted,
            attestation: profile.known().attestation.to_owned(),
        })
    }

    fn mechanism_facts(&self) -> Result<Vec<MechanismFacts>> {
        let (functions, slot) = (self.functions(), self.token.slot);
        let mut facts = Vec::new();
        let mut listed = functions.mechanisms(slot)?;
        listed.sort_unstable();
        for kind in listed {
            let info = functions.mechanism(slot, kind)?;
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
        let session = self.session()?;
        let make = |bits, kind| {
            let made = session.target_generate(None, &throwaway_target(kind));
            if let Ok(pair) = &made {
                session.discard(&[pair.public, pair.private]);
            }
            SizeFacts { bits, made: made.is_ok() }
        };
        let rsa = [2048, 3072, 4096].map(|bits| make(bits, KeyType::Rsa(bits)));
        let ec = [256, 384].map(|bits| make(bits, KeyType::Ec(bits)));
        Ok((rsa.to_vec(), ec.to_vec()))
    }

    /// A throwaway KEK of this mechanism: what it misses, and what its attributes forbid.
    fn kek_facts(&self, mechanism: Mechanism) -> Result<(KekFacts, Vec<EnforcedFacts>)> {
        let session = self.session()?;
        let spec = KekSpec { bits: THROWAWAY_BITS, mechanism };
        let Ok(pair) = session.kek_generate(&throwaway(), false, spec, &|_| true) else {
            return Ok((KekFacts { mechanism, missed: None }, Vec::new()));
        };
        let (_, missed) = session.kek_read(pair.private, spec, false)?;
        let missed = missed.into_iter();
        let missed = missed.map(|miss| MissedFacts { rule: miss.rule, found: miss.found });
        let missed = Some(missed.collect());
        let tried = session.try_kek(pair, mechanism)?;
        session.discard(&[pair.public, pair.private]);
        Ok((KekFacts { mechanism, missed }, tried))
    }

    /// Session objects end with their session; a token that keeps them would fill up, or worse.
    fn nothing_left(&self) -> Result<()> {
        let left = self.session()?.find(&throwaway())?.len();
        if left == 0 {
            return Ok(());
        }
        Err(Error::hsm(
            format!(
                "{left} throwaway objects are still on {} after their session ended",
                self.name()
            ),
            "remove the objects with the label \"keyferry throwaway\" with the vendor's tool, and do not use this token",
        ))
    }
}

fn outcome(seen: Result<Vec<KwpFlavour>>) -> TrialOutcome {
    match seen {
        Ok(kwp) => TrialOutcome::Works { kwp },
        Err(Error::Refused(refusal)) => {
            TrialOutcome::Refused { rule: refusal.rule, found: refusal.found }
        }
        Err(error) => TrialOutcome::Failed { found: error.to_string() },
    }
}
