//! The documents that crossed: every copy there is, each whole; those that count, and those that
//! were given up.

use std::path::PathBuf;

use crate::{
    Result,
    document::{
        Body, Received, acceptance::Acceptance, challenge::Challenge, closing::Closing,
        keys::TargetKeys, offer::Offer, package::Package, read, receipt::Receipt,
        registration::Registration,
    },
    encoding::Hash,
    log::LOG_FILE,
    plan::Plan,
    proof::key_set::KeySet,
    rule::Rule,
    signature::Signed,
    terms::{Kind, Side},
    verify::{
        Verdict,
        evidence::{Folder, Holds, Place},
        logs::Logs,
    },
};

/// One document, of which there may be several copies.
pub struct Found<B> {
    /// It, from the copy that most officers have signed.
    pub received: Received<B>,
    /// Whether it belongs to an attempt that was given up.
    pub given_up: bool,
    /// The valid signatures beside any of its copies.
    pub signed: Vec<Signed>,
    /// Where its copies lie.
    pub places: Vec<Place>,
}

/// The documents of one kind, each once.
pub struct Copies<B>(Vec<Found<B>>);

impl<B: Body> Copies<B> {
    fn read(evidence: &[Folder], plan: &Plan) -> Result<Self> {
        let mut all: Vec<Found<B>> = Vec::new();
        for place in evidence.iter().map(|one| one.places(B::KIND)) {
            for place in place? {
                let received = read::<B>(&place.path, plan)?;
                let signed = received.signatures.everyone();
                let known = all.iter_mut().find(|found| found.received.hash == received.hash);
                match known {
                    Some(found) => {
                        found.places.push(place);
                        found.signed.extend(signed);
                        let officers = |one: &Received<B>| one.signatures.officers.len();
                        if officers(&received) > officers(&found.received) {
                            found.received = received;
                        }
                    }
                    None => {
                        all.push(Found { received, given_up: false, signed, places: vec![place] })
                    }
                }
            }
        }
        Ok(Copies(all))
    }

    /// Tells what was given up from what counts; of that there is one at most.
    fn settle(&mut self, logs: &Logs) -> Result<()> {
        for found in &mut self.0 {
            let hash = found.received.hash;
            let left = |side: &Side, attempt: Option<u32>| {
                let log = logs.of(*side);
                let mut left = log.iter().flat_map(|log| &log.state.abandoned);
                left.any(|left| {
                    left.kind == B::KIND
                        && left.hash == hash
                        && attempt.is_none_or(|attempt| attempt == left.attempt)
                })
            };
            let sides = [Side::Tenant, Side::Hoster];
            for place in &found.places {
                // A side's own record says what it has given up.
                let own = place.own.zip(place.attempt);
                if own.is_some_and(|(side, attempt)| !left(&side, Some(attempt))) {
                    return Err(Rule::DocumentAttempt.refuse(
                        format!("{} is among what was given up", place.path.display()),
                        "a document of an attempt that the log beside it gave up",
                        "find out who moved or made it; compare with the other side's copies",
                    ));
                }
            }
            found.given_up = sides.iter().any(|side| left(side, None))
                || found.places.iter().all(|place| place.attempt.is_some());
        }
        let mut current = self.0.iter().filter(|found| !found.given_up);
        match (current.next(), current.next()) {
            (Some(one), Some(other)) => Err(Rule::DocumentHash.refuse(
                format!(
                    "{} has SHA-256 {}",
                    place_of(other),
                    other.received.hash
                ),
                format!("the {} of {}, {}", B::KIND, place_of(one), one.received.hash),
                "one of them was exchanged, or is of an attempt that was given up: compare both with the logs",
            )),
            _ => Ok(()),
        }
    }

    /// Every one of them.
    pub fn all(&self) -> &[Found<B>] {
        &self.0
    }

    /// The one that counts.
    pub fn current(&self) -> Option<&Found<B>> {
        self.0.iter().find(|found| !found.given_up)
    }

    /// What the one that counts says.
    pub fn body(&self) -> Option<&B> {
        self.current().map(|found| found.received.body())
    }

    /// The one with this SHA-256, given up or not.
    pub fn by_hash(&self, hash: Hash) -> Option<&Received<B>> {
        let mut all = self.0.iter();
        all.find(|found| found.received.hash == hash).map(|found| &found.received)
    }

    /// The logs that came with copies of them.
    fn logs(&self) -> impl Iterator<Item = Travelled<'_>> {
        let with_log = self.0.iter().filter(|found| found.received.files.contains_key(LOG_FILE));
        with_log.map(|found| Travelled {
            side: B::KIND.side(),
            name: format!("the log that came with {}", place_of(found)),
            bytes: found.received.file(LOG_FILE),
        })
    }
}

/// A log that came with a document.
pub struct Travelled<'a> {
    /// Whose it is.
    pub side: Side,
    /// What to call it.
    pub name: String,
    /// Its bytes, which its document lists.
    pub bytes: &'a [u8],
}

fn place_of<B>(found: &Found<B>) -> String {
    let first = found.places.first();
    first.map_or(String::new(), |place| place.path.display().to_string())
}

/// The documents there are.
pub struct Documents {
    /// Of the kind `offer`.
    pub offer: Copies<Offer>,
    /// Of the kind `package`.
    pub package: Copies<Package>,
    /// Of the kind `keys`.
    pub keys: Copies<TargetKeys>,
    /// Of the kind `challenge`.
    pub challenge: Copies<Challenge>,
    /// Of the kind `receipt`.
    pub receipt: Copies<Receipt>,
    /// Of the kind `registration`.
    pub registration: Copies<Registration>,
    /// Of the kind `acceptance`.
    pub acceptance: Copies<Acceptance>,
    /// Of the kind `closing`.
    pub closing: Copies<Closing>,
}

impl Documents {
    /// Reads every copy of every document.
    ///
    /// # Errors
    /// `DOCUMENT-…`, `SIGNATURE-…`.
    pub fn read(evidence: &[Folder], plan: &Plan) -> Result<Self> {
        Ok(Documents {
            offer: Copies::read(evidence, plan)?,
            package: Copies::read(evidence, plan)?,
            keys: Copies::read(evidence, plan)?,
            challenge: Copies::read(evidence, plan)?,
            receipt: Copies::read(evidence, plan)?,
            registration: Copies::read(evidence, plan)?,
            acceptance: Copies::read(evidence, plan)?,
            closing: Copies::read(evidence, plan)?,
        })
    }

    /// The logs that travelled with documents.
    pub fn travelled_logs(&self) -> impl Iterator<Item = Travelled<'_>> {
        self.acceptance.logs().chain(self.closing.logs())
    }

    /// Tells what was given up from what counts, and names what is not there.
    ///
    /// # Errors
    /// `DOCUMENT-ATTEMPT`, `DOCUMENT-HASH`.
    pub fn settle(&mut self, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
        self.offer.settle(logs)?;
        self.package.settle(logs)?;
        self.keys.settle(logs)?;
        self.challenge.settle(logs)?;
        self.receipt.settle(logs)?;
        self.registration.settle(logs)?;
        self.acceptance.settle(logs)?;
        self.closing.settle(logs)?;
        let states = || logs.all().map(|log| &log.state);
        let crossing = Kind::ALL.into_iter();
        for kind in crossing.filter(|kind| kind.crosses(plan.way)) {
            let named = |state: &crate::flow::State| {
                state.made.contains_key(&kind) || state.taken.contains_key(&kind)
            };
            // An aborted ceremony has no document that no log names.
            let expected = !logs.aborted() || states().any(named);
            if expected && self.hash(kind).is_none() {
                verdict.missing.push(format!("the {kind}"));
            }
        }
        let mut gone: Vec<(Kind, Hash, u32)> = states()
            .flat_map(|state| &state.abandoned)
            .map(|left| (left.kind, left.hash, left.attempt))
            .filter(|(kind, hash, _)| !self.has(*kind, *hash))
            .collect();
        gone.sort();
        gone.dedup();
        for (kind, hash, attempt) in gone {
            verdict
                .missing
                .push(format!("the {kind} {hash} of attempt {attempt}, which was given up"));
        }
        Ok(())
    }

    /// What must be proven, as the package or the challenge that counts says it.
    pub fn key_set(&self) -> Option<KeySet> {
        let package = self.package.current();
        let package = package.map(|found| KeySet::from(&found.received));
        let challenge = self.challenge.current();
        package.or_else(|| challenge.map(|found| KeySet::from(&found.received)))
    }

    /// The hash of the document that counts.
    pub fn hash(&self, kind: Kind) -> Option<Hash> {
        fn of<B: Body>(copies: &Copies<B>) -> Option<Hash> {
            copies.current().map(|found| found.received.hash)
        }
        match kind {
            Kind::Offer => of(&self.offer),
            Kind::Package => of(&self.package),
            Kind::Keys => of(&self.keys),
            Kind::Challenge => of(&self.challenge),
            Kind::Receipt => of(&self.receipt),
            Kind::Registration => of(&self.registration),
            Kind::Acceptance => of(&self.acceptance),
            Kind::Closing => of(&self.closing),
        }
    }

    fn has(&self, kind: Kind, hash: Hash) -> bool {
        match kind {
            Kind::Offer => self.offer.by_hash(hash).is_some(),
            Kind::Package => self.package.by_hash(hash).is_some(),
            Kind::Keys => self.keys.by_hash(hash).is_some(),
            Kind::Challenge => self.challenge.by_hash(hash).is_some(),
            Kind::Receipt => self.receipt.by_hash(hash).is_some(),
            Kind::Registration => self.registration.by_hash(hash).is_some(),
            Kind::Acceptance => self.acceptance.by_hash(hash).is_some(),
            Kind::Closing => self.closing.by_hash(hash).is_some(),
        }
    }
}

/// The folders of share files that still lie in a tenant's outbox.
pub fn share_folders(evidence: &[Folder]) -> impl Iterator<Item = PathBuf> {
    let tenant = Holds::Ceremony(Side::Tenant);
    let folders = evidence.iter().filter(move |one| one.holds == tenant);
    folders.map(|one| one.path.join("outbox/shares")).filter(|path| path.exists())
}
