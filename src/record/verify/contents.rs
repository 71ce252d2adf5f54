//! The documents against each other and against the logs: released, answering the one before,
//! recorded by both sides, all about the same key, and attested as they say.

use std::any::Any;
use std::collections::BTreeSet;

use crate::document::attestation::Attested;
use crate::verify::Verdict;
use crate::verify::counterpart::VerifiedLog;
use crate::verify::documents::{Documents, KeptDocument};
use crate::verify::logs::Logs;
use crate::{
    AttestationLevel, Hash, KeySet, Kind, LOG_FILE, Plan, Received, Result, Rule, Side, Signed,
    json, list,
};

/// Checks all there are.
///
/// # Errors
/// The rule of the first thing that is false.
pub fn check(documents: &Documents, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    let all = Check { documents, plan, logs };
    documents.all().try_for_each(|found| all.one(found, verdict))?;
    all.same_everywhere(verdict)?;
    for found in documents.package.all() {
        found.received.verify_keys()?;
    }
    if documents.package.current().is_some() {
        let by =
            "the package is signed inside the tenant's HSM by each signing key that it carries";
        verdict.holds.push(by.into());
    }
    for found in documents.keys.all() {
        found.received.verify_certificates()?;
    }
    if let Some(set) = documents.key_set() {
        set.verify_certificates()?;
        let own = "each certificate holds its key's public half and is signed by it";
        verdict.holds.push(own.into());
        all.same_keys(&set)?;
        all.proofs(&set, verdict)?;
    }
    let mut offers = documents.offer.all().iter();
    offers.try_for_each(|found| all.attested(&found.received, verdict))?;
    let mut keys = documents.keys.all().iter();
    keys.try_for_each(|found| all.attested(&found.received, verdict))
}

struct Check<'a> {
    documents: &'a Documents,
    plan: &'a Plan,
    logs: &'a Logs,
}

impl Check<'_> {
    fn one(&self, found: &KeptDocument<dyn Any>, verdict: &mut Verdict) -> Result<()> {
        let (kind, document) = (found.received.kind(), &found.received);
        if let Some(log) = self.logs.of(kind.side()) {
            let carried = document.files.get(LOG_FILE).map(Vec::as_slice);
            log.contains(&document.document.header, carried)?;
        }
        let signers = names(self.plan, &found.signed);
        if found.given_up {
            let attempt = document.document.header.attempt;
            verdict.holds.push(format!(
                "the {kind} {} of attempt {attempt}, which was given up, is whole, signed by {signers}",
                document.hash
            ));
            return Ok(());
        }
        self.answers(found)?;
        let (hash, Verdict { holds, missing, .. }) = (document.hash, verdict);
        match document.signatures.require(self.plan, kind.side(), kind.name()) {
            Ok(()) => holds.push(format!("the {kind} {hash} is whole, released by {signers}")),
            // A side takes nothing unreleased, so what its own record took has its signatures.
            Err(error) if self.took(found) => return Err(error),
            Err(_) => {
                missing.push(format!("enough signatures over the {kind}: it is not released"))
            }
        }
        Ok(())
    }

    /// Whether the document lies in the record of a side that took it.
    fn took(&self, found: &KeptDocument<dyn Any>) -> bool {
        let (kind, hash) = (found.received.kind(), Some(&found.received.hash));
        let own = |side: Side| found.places.iter().any(|(place, _)| place.own == Some(side));
        let took = |log: &VerifiedLog| log.state.taken.get(&kind) == hash;
        self.logs.all().any(|log| own(log.state.side) && took(log))
    }

    /// A document answers the one before it; a closing may answer the hoster's abort instead.
    fn answers(&self, found: &KeptDocument<dyn Any>) -> Result<()> {
        let (kind, answers) = (found.received.kind(), found.received.document.header.answers);
        let hoster = self.logs.of(Side::Hoster).filter(|_| kind == Kind::Closing);
        let begun = found.received.document.header.head;
        let aborted = hoster.and_then(|log| log.state.aborted).filter(|head| head.seq < begun.seq);
        let before = kind.answers(self.plan.way).and_then(|kind| self.documents.hash(kind));
        let before = aborted.map(|head| head.hash).or(before);
        // One side has begun again, and the other has not followed.
        let given_up = answers.is_some_and(|hash| self.given_up(hash));
        let Some(before) = before else { return Ok(()) };
        let found = answers.map_or("nothing".to_owned(), |hash| hash.to_string());
        Rule::DocumentAnswers.ensure(
            answers == Some(before) || (given_up && aborted.is_none()),
            format!("a {kind} that answers {found}"),
            format!("one that answers {before}"),
            "one of the two documents is of another ceremony or attempt",
        )
    }

    /// Whether a document belongs to an attempt that a log gave up.
    fn given_up(&self, hash: Hash) -> bool {
        let mut left = self.logs.all().flat_map(|log| &log.state.abandoned);
        self.documents.is_given_up(hash) || left.any(|left| left.hash == hash)
    }

    /// The same package, KEK and receipt are meant everywhere; unless one side has begun again, and
    /// the other has not followed.
    fn same_everywhere(&self, verdict: &mut Verdict) -> Result<()> {
        let all = self.documents;
        let current = all.all().filter(|found| !found.given_up);
        let stale = current
            .map(|found| &found.received)
            .find(|found| found.document.header.answers.is_some_and(|hash| self.given_up(hash)));
        if let Some(stale) = stale {
            let kind = stale.kind();
            verdict.noted.push(format!(
                "the {kind} {} answers what its sender has given up: it serves for nothing",
                stale.hash
            ));
            return Ok(());
        }
        let (package, acceptance) = (all.package.body(), all.acceptance.body());
        let keks = [
            all.offer.body().map(|body| body.fingerprint),
            package.map(|body| body.kek_fingerprint),
            acceptance.and_then(|body| body.kek_fingerprint),
            all.closing.body().and_then(|body| body.kek_fingerprint),
        ];
        let packages = [
            package.map(|body| body.package_id),
            all.challenge.body().map(|body| body.package_id),
            all.receipt.body().map(|body| body.package_id),
            all.registration.body().map(|body| body.package_id),
            acceptance.map(|body| body.package_id),
        ];
        let receipts = [all.hash(Kind::Receipt), acceptance.map(|body| body.receipt)];
        let (kek, package, receipt) = (json(&keks), json(&packages), json(&receipts));
        Rule::DocumentContent.ensure(
            all_same(&keks) && all_same(&packages) && all_same(&receipts),
            format!("KEKs {kek}, package ids {package}, receipts {receipt}"),
            "one KEK, one package id and one receipt in all documents",
            "documents of different ceremonies or attempts were mixed",
        )?;
        if packages.iter().flatten().count() > 1 {
            let same = match self.plan.way.is_challenged() {
                false => "all documents mean the same KEK, package and receipt",
                true => "all documents mean the same keys, challenge and receipt",
            };
            verdict.holds.push(same.into());
        }
        Ok(())
    }

    /// The keys that are proven are those that were shown.
    fn same_keys(&self, set: &KeySet) -> Result<()> {
        let Some(shown) = self.documents.keys.body() else { return Ok(()) };
        let shown = shown.keys.iter();
        let shown = shown.map(|key| (&key.held.label, Hash::of(&key.spki.0), key.certificate.hash));
        Rule::DocumentContent.ensure(
            shown.eq(set.named()),
            "other keys in the document `keys` than those that must be proven",
            "the same labels, public keys and certificates everywhere",
            "the documents were exchanged: compare with the other side's copies",
        )
    }

    fn proofs(&self, keys: &KeySet, verdict: &mut Verdict) -> Result<()> {
        if let Some(receipt) = self.documents.receipt.body() {
            (receipt.proofs.iter()).try_for_each(|proof| proof.verify(self.plan, keys))?;
            verdict.holds.push(format!(
                "{} proofs in the receipt: the hoster's HSM signed and decrypted as the tenant's keys",
                receipt.proofs.len()
            ));
        }
        let Some(registration) = self.documents.registration.current() else { return Ok(()) };
        let evidence = registration.received.verify(self.plan, keys)?;
        verdict.holds.push(format!(
            "{} pieces of evidence: each of the nodes {} signed and decrypted as the tenant's keys, before activation and after it",
            evidence.len(),
            list(registration.received.body().nodes(self.plan))
        ));
        for node in &registration.received.body().removed {
            verdict.noted.push(format!("the node {node} left the service before the registration"));
        }
        Ok(())
    }

    /// What HSM vendors said of keys, judged at the time of the first entry of a log that names the
    /// document. That each log names the level that was reached then, holding its entries has told.
    fn attested<B: Attested>(&self, received: &Received<B>, verdict: &mut Verdict) -> Result<()> {
        let (kind, document) = (received.kind(), received.hash);
        let mut entries = self.logs.all().flat_map(|log| &log.entries);
        let first = entries.find(|entry| {
            let (made, took) = (entry.event.made(), entry.event.took());
            made.iter().chain(&took).any(|(_, hash)| *hash == document)
        });
        let Some(first) = first else {
            verdict.missing.push(format!(
                "a log that says when the {kind} {document} was made or taken: attestation is judged as of then"
            ));
            return Ok(());
        };
        let judged = received.attested(self.plan, first.time)?;
        let said = judged.lines.iter().map(|line| format!("{kind}, {line}"));
        match judged.level {
            AttestationLevel::Witnessed => verdict.claims.extend(said),
            AttestationLevel::Origin | AttestationLevel::OriginAndUsage => {
                verdict.holds.extend(said)
            }
        }
        Ok(())
    }
}

fn all_same<T: PartialEq>(values: &[Option<T>]) -> bool {
    let mut there = values.iter().flatten();
    let first = there.next();
    there.all(|value| Some(value) == first)
}

/// Who signed, each once.
pub fn names(plan: &Plan, signed: &[Signed]) -> String {
    plan.names_of("nobody", signed.iter().map(|one| &one.id).collect::<BTreeSet<_>>())
}
