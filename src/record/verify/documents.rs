//! The documents that crossed: every copy there is, each whole; those that count, and those that
//! were given up.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use crate::document::{self, Body, Header, each_kind, read};
use crate::layout::{EVIDENCE, evidence_name};
use crate::service::{MAX_EVIDENCE, NodeEvidence};
use crate::signature::signer_of;
use crate::verify::Verdict;
use crate::verify::evidence::{Folder, Place};
use crate::verify::logs::{Copy, Logs};
use crate::{
    Hash, KeySet, Kind, LOG_FILE, Plan, Received, Result, Rule, Side, Signed, escape, folder,
};

/// One document, of which there may be several copies; of any kind, where what it says is
/// `dyn Any`.
pub struct KeptDocument<B: ?Sized> {
    /// Whether it belongs to an attempt that was given up.
    pub given_up: bool,
    /// The valid signatures beside any of its copies.
    pub signed: Vec<Signed>,
    /// Where its copies lie, each with the valid signatures beside it.
    pub places: Vec<(Place, Vec<Signed>)>,
    /// It, from the copy that most officers have signed.
    pub received: Received<B>,
}

/// The documents of one kind, each once.
pub struct Copies<B>(Vec<KeptDocument<B>>);

impl<B: Body> Copies<B> {
    fn read(evidence: &[Folder], plan: &Plan) -> Result<Self> {
        let mut all: Vec<KeptDocument<B>> = Vec::new();
        for place in evidence.iter().map(|one| one.places(B::KIND)) {
            for place in place? {
                let received = read::<B>(&place.path, plan)?;
                let signed = received.signatures.everyone();
                let known = all.iter_mut().find(|found| found.received.hash == received.hash);
                match known {
                    Some(found) => {
                        same_files(found, &place, &received)?;
                        found.places.push((place, signed.clone()));
                        found.signed.extend(signed);
                        let officers = |one: &Received<B>| one.signatures.officers.len();
                        if officers(&received) > officers(&found.received) {
                            found.received = received;
                        }
                    }
                    None => {
                        let places = vec![(place, signed.clone())];
                        all.push(KeptDocument { received, given_up: false, signed, places })
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
            for (place, _) in &found.places {
                // A side's own record says what it has given up.
                let own = place.own.zip(place.attempt);
                Rule::DocumentAttempt.ensure(
                    own.is_none_or(|(side, attempt)| left(&side, Some(attempt))),
                    format!("{} is among what was given up", place.path.display()),
                    "a document of an attempt that the log beside it gave up",
                    "find out who moved or made it; compare with the other side's copies",
                )?;
            }
            found.given_up = Side::ALL.iter().any(|side| left(side, None))
                || found.places.iter().all(|(place, _)| place.attempt.is_some());
        }
        let mut current = self.0.iter().filter(|found| !found.given_up);
        let Some((one, other)) = current.next().zip(current.next()) else { return Ok(()) };
        Err(Rule::DocumentHash.refuse(
            format!("{} has SHA-256 {}", place_of(other), other.received.hash),
            format!("the {} of {}, {}", B::KIND, place_of(one), one.received.hash),
            "one of them was exchanged, or is of an attempt that was given up: compare both with the logs",
        ))
    }

    /// Every one of them.
    pub fn all(&self) -> &[KeptDocument<B>] {
        &self.0
    }

    /// The one that counts.
    pub fn current(&self) -> Option<&KeptDocument<B>> {
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
}

/// Copies of one document have the same files; people's signatures may come to any of them later.
fn same_files<B: Body>(one: &KeptDocument<B>, place: &Place, other: &Received<B>) -> Result<()> {
    let main = B::KIND.file();
    let files = |copy: &Received<B>| -> BTreeMap<String, Hash> {
        let own = copy.files.iter().filter(|(name, _)| signer_of(name, &main).is_none());
        own.map(|(name, bytes)| (name.clone(), Hash::of(bytes))).collect()
    };
    let (here, there) = (files(&one.received), files(other));
    let other = here.iter().find(|(name, hash)| there.get(*name) != Some(*hash));
    let Some((name, _)) = other else { return Ok(()) };
    let (path, first) = (place.path.display(), place_of(one));
    Err(Rule::DocumentHash.refuse(
        escape(&format!("{name} in {path} is another than in {first}")),
        "the same file in every copy of a document",
        "one of them was changed: compare both with the other side's copies",
    ))
}

fn place_of<B: ?Sized>(found: &KeptDocument<B>) -> String {
    let first = found.places.first();
    first.map_or(String::new(), |(place, _)| place.path.display().to_string())
}

macro_rules! documents {
    ($($Kind:ident: $kind:ident::$Says:ident,)+) => {
        /// The documents there are.
        pub struct Documents {
            $(
                #[doc = concat!("Of the kind `", stringify!($kind), "`.")]
                pub $kind: Copies<document::$kind::$Says>,
            )+
        }

        impl Documents {
            /// Reads every copy of every document.
            ///
            /// # Errors
            /// `DOCUMENT-…`, `SIGNATURE-…`.
            pub fn read(evidence: &[Folder], plan: &Plan) -> Result<Self> {
                Ok(Documents { $($kind: Copies::read(evidence, plan)?,)+ })
            }

            /// Every document, whatever it says, in the order of the kinds.
            pub fn all(&self) -> impl Iterator<Item = &KeptDocument<dyn Any>> {
                let none = std::iter::empty::<&KeptDocument<dyn Any>>();
                none$(.chain(self.$kind.0.iter().map(|found| found as &KeptDocument<dyn Any>)))+
            }

            fn settle_each(&mut self, logs: &Logs) -> Result<()> {
                $(self.$kind.settle(logs)?;)+
                Ok(())
            }
        }
    };
}
each_kind! { documents; }

impl Documents {
    /// The logs that travelled with documents.
    pub fn travelled_logs(&self) -> impl Iterator<Item = Copy<'_>> {
        let with_log = self.all().filter(|found| found.received.files.contains_key(LOG_FILE));
        with_log.map(|found| Copy {
            side: found.received.kind().side(),
            name: format!("the log that came with {}", place_of(found)),
            bytes: Cow::Borrowed(found.received.file(LOG_FILE)),
        })
    }

    /// Tells what was given up from what counts, and names what is not there.
    ///
    /// # Errors
    /// `DOCUMENT-ATTEMPT`, `DOCUMENT-HASH`.
    pub fn settle(&mut self, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
        self.settle_each(logs)?;
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
        Ok(())
    }

    /// Every piece of evidence that is there, by its hash: what logs name of a side's own record,
    /// and what lies beside registrations.
    ///
    /// # Errors
    /// `EVIDENCE-FORMAT`, `DOCUMENT-…`.
    pub fn evidence(
        &self,
        folders: &[Folder],
        logs: &Logs,
    ) -> Result<BTreeMap<Hash, NodeEvidence>> {
        let mut all = BTreeMap::new();
        let named = logs.all().flat_map(|log| &log.state.nodes.all);
        for (node, stage, hash) in named {
            let name = Path::new(EVIDENCE).join(evidence_name(node, *stage, *hash));
            let own = folders.iter().filter(|one| one.own().is_some());
            let there = own.map(|one| one.path.join(&name)).filter(|path| path.exists());
            for path in there {
                let bytes = folder::read_file(&path, MAX_EVIDENCE)?;
                if Hash::of(&bytes) == *hash {
                    all.insert(*hash, NodeEvidence::parse(&bytes, &path.display().to_string())?);
                }
            }
        }
        for registration in self.registration.all() {
            all.extend(registration.received.evidence()?.into_iter().map(|one| (one.hash, one)));
        }
        Ok(all)
    }

    /// What must be proven, as the package or the challenge that counts says it.
    pub fn key_set(&self) -> Option<KeySet> {
        let hash = self.hash(Kind::Package).or_else(|| self.hash(Kind::Challenge));
        hash.and_then(|hash| self.key_set_of(hash))
    }

    /// What must be proven, as this package or challenge says it.
    pub fn key_set_of(&self, hash: Hash) -> Option<KeySet> {
        let package = self.package.by_hash(hash).map(KeySet::from);
        package.or_else(|| self.challenge.by_hash(hash).map(KeySet::from))
    }

    /// Whether a document that is here belongs to an attempt that was given up.
    pub fn is_given_up(&self, hash: Hash) -> bool {
        self.one(hash).is_some_and(|found| found.given_up)
    }

    /// The hash of the document that counts.
    pub fn hash(&self, kind: Kind) -> Option<Hash> {
        let mut current = self.all().filter(|found| !found.given_up);
        let found = current.find(|found| found.received.kind() == kind);
        found.map(|found| found.received.hash)
    }

    fn one(&self, hash: Hash) -> Option<&KeptDocument<dyn Any>> {
        self.all().find(|found| found.received.hash == hash)
    }

    /// The header of a document, given up or not.
    pub fn header(&self, kind: Kind, hash: Hash) -> Option<&Header> {
        let found = self.one(hash).map(|found| &found.received.document.header);
        found.filter(|header| header.document == kind)
    }

    /// The valid signatures beside any copy of a document.
    pub fn signatures(&self, hash: Hash) -> Option<&[Signed]> {
        self.one(hash).map(|found| found.signed.as_slice())
    }

    /// The valid signatures beside the copy in a side's own record.
    pub fn signatures_of(&self, hash: Hash, side: Side) -> Option<&[Signed]> {
        let mut places = self.one(hash)?.places.iter();
        let own = places.find(|(place, _)| place.own == Some(side));
        own.map(|(_, signed)| signed.as_slice())
    }
}
