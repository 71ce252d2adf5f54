//! The documents that crossed: each whole, released, answering the one before it, and recorded by both sides.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{Evidence, Verdict, logs::Logs};
use crate::{
    Result,
    document::{
        Body, Kind, Listed, Received, acceptance::Acceptance, closing::Closing, offer::Offer,
        package::Package, read_without_log, receipt::Receipt, registration::Registration,
    },
    encoding::Hash,
    folder,
    log::LOG_FILE,
    plan::{Plan, Side},
    proof::Proof,
    rule::Rule,
};

/// The greatest size of a share file, in bytes.
const MAX_SHARE_FILE: u64 = 64 << 10;

/// The documents there are.
pub struct Documents {
    offer: Option<Received<Offer>>,
    package: Option<Received<Package>>,
    receipt: Option<Received<Receipt>>,
    registration: Option<Received<Registration>>,
    acceptance: Option<Received<Acceptance>>,
    closing: Option<Received<Closing>>,
    /// Where each was read.
    folders: BTreeMap<Kind, PathBuf>,
    /// Folders of share files.
    shares: Vec<PathBuf>,
}

impl Documents {
    /// Reads every copy of every document.
    pub fn read(evidence: &[Evidence], plan: &Plan, verdict: &mut Verdict) -> Result<Self> {
        let shares = evidence
            .iter()
            .filter(|one| !one.archive && one.side == Side::Tenant);
        Ok(Documents {
            offer: one(evidence, plan, verdict)?,
            package: one(evidence, plan, verdict)?,
            receipt: one(evidence, plan, verdict)?,
            registration: one(evidence, plan, verdict)?,
            acceptance: one(evidence, plan, verdict)?,
            closing: one(evidence, plan, verdict)?,
            folders: folders(evidence),
            shares: shares
                .map(|one| one.path.join("outbox/shares"))
                .filter(|path| path.exists())
                .collect(),
        })
    }

    /// The logs that travelled with documents: whose, what to call them, where they lie, and what their document lists.
    pub fn travelled_logs(&self) -> Vec<(Side, &str, PathBuf, Listed)> {
        let tenant = self.acceptance.as_ref().map(|one| &one.body().log);
        let hoster = self.closing.as_ref().map(|one| &one.body().log);
        let tenant =
            tenant.map(|log| (Side::Tenant, "the acceptance's log", Kind::Acceptance, log));
        let hoster = hoster.map(|log| (Side::Hoster, "the closing's log", Kind::Closing, log));
        let placed = |(side, name, kind, log): (Side, &'static str, Kind, &Listed)| {
            let folder = self.folders.get(&kind)?;
            Some((side, name, folder.join(LOG_FILE), log.clone()))
        };
        tenant
            .into_iter()
            .chain(hoster)
            .filter_map(placed)
            .collect()
    }

    /// The entries of a side's log that its documents name, by their numbers.
    pub fn heads(&self, side: Side) -> BTreeSet<u64> {
        let headers = [
            self.offer.as_ref().map(|one| &one.document.header),
            self.package.as_ref().map(|one| &one.document.header),
            self.receipt.as_ref().map(|one| &one.document.header),
            self.registration.as_ref().map(|one| &one.document.header),
            self.acceptance.as_ref().map(|one| &one.document.header),
            self.closing.as_ref().map(|one| &one.document.header),
        ];
        let of_side = headers
            .into_iter()
            .flatten()
            .filter(|header| header.side == side);
        of_side.map(|header| header.head.seq).collect()
    }

    fn hash(&self, kind: Kind) -> Option<Hash> {
        match kind {
            Kind::Offer => self.offer.as_ref().map(|one| one.hash),
            Kind::Package => self.package.as_ref().map(|one| one.hash),
            Kind::Receipt => self.receipt.as_ref().map(|one| one.hash),
            Kind::Registration => self.registration.as_ref().map(|one| one.hash),
            Kind::Acceptance => self.acceptance.as_ref().map(|one| one.hash),
            Kind::Closing => self.closing.as_ref().map(|one| one.hash),
        }
    }

    /// Checks them against each other and against the logs.
    pub fn check(&self, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
        self.check_one(self.offer.as_ref(), logs, verdict)?;
        self.check_one(self.package.as_ref(), logs, verdict)?;
        self.check_one(self.receipt.as_ref(), logs, verdict)?;
        self.check_one(self.registration.as_ref(), logs, verdict)?;
        self.check_one(self.acceptance.as_ref(), logs, verdict)?;
        self.check_one(self.closing.as_ref(), logs, verdict)?;
        self.check_contents(verdict)?;
        if let Some(package) = &self.package {
            package.verify_keys()?;
            verdict.holds.push(
                "the package is signed inside the tenant's HSM by each signing key that it carries"
                    .into(),
            );
            verdict
                .holds
                .push("each certificate holds its key's public half and is signed by it".into());
            self.check_proofs(plan, package.body(), verdict)?;
            self.check_shares(package.body(), verdict)?;
        }
        Ok(())
    }

    fn check_one<B: Body>(
        &self,
        document: Option<&Received<B>>,
        logs: &Logs,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let Some(document) = document else {
            return Ok(());
        };
        let (kind, header) = (B::KIND, &document.document.header);
        if let Some(before) = kind
            .answers()
            .and_then(|before| self.hash(before))
            .filter(|hash| header.answers != Some(*hash))
        {
            return Err(Rule::DocumentAnswers.refuse(
                format!("a {kind} that answers {:?}", header.answers),
                format!("one that answers {before}"),
                "one of the two documents is of another ceremony or attempt",
            ));
        }
        for (side, log) in [Side::Tenant, Side::Hoster]
            .into_iter()
            .filter_map(|side| Some((side, logs.of(side)?)))
        {
            let recorded = match side == kind.side() {
                true => {
                    log.contains(header)?;
                    log.state.made.get(&kind).map(|made| made.hash)
                }
                false => log.state.taken.get(&kind).copied(),
            };
            if recorded.is_some_and(|recorded| recorded != document.hash) {
                return Err(Rule::DocumentHash.refuse(
                    format!("the {kind} has SHA-256 {}", document.hash),
                    format!("the one in the log of the {side}, {recorded:?}"),
                    "the document or the log was exchanged: compare with the other side's copies",
                ));
            }
            if side == kind.side() {
                check_release(document, &log.releases)?;
            }
        }
        verdict.holds.push(format!(
            "the {kind} {} is whole, released by {}",
            document.hash,
            names(document)
        ));
        Ok(())
    }

    /// The same package, KEK and receipt are meant everywhere.
    fn check_contents(&self, verdict: &mut Verdict) -> Result<()> {
        let keks = [
            self.offer.as_ref().map(|one| one.body().fingerprint),
            self.package.as_ref().map(|one| one.body().kek_fingerprint),
            self.acceptance
                .as_ref()
                .map(|one| one.body().kek_fingerprint),
            self.closing.as_ref().map(|one| one.body().kek_fingerprint),
        ];
        let packages = [
            self.package.as_ref().map(|one| one.body().package_id),
            self.receipt.as_ref().map(|one| one.body().package_id),
            self.registration.as_ref().map(|one| one.body().package_id),
            self.acceptance.as_ref().map(|one| one.body().package_id),
        ];
        let receipts = [
            self.hash(Kind::Receipt),
            self.acceptance.as_ref().map(|one| one.body().receipt),
        ];
        let same = all_same(&keks) && all_same(&packages) && all_same(&receipts);
        if !same {
            return Err(Rule::DocumentContent.refuse(
                format!("KEKs {keks:?}, package ids {packages:?}, receipts {receipts:?}"),
                "one KEK, one package id and one receipt in all documents",
                "documents of different ceremonies or attempts were mixed",
            ));
        }
        verdict
            .holds
            .push("all documents mean the same KEK, package and receipt".into());
        Ok(())
    }

    fn check_proofs(&self, plan: &Plan, package: &Package, verdict: &mut Verdict) -> Result<()> {
        let receipt = self
            .receipt
            .as_ref()
            .map(|one| one.body().proofs.as_slice())
            .unwrap_or_default();
        let registration = self
            .registration
            .as_ref()
            .map(|one| one.body().proofs.as_slice())
            .unwrap_or_default();
        let proofs: Vec<&Proof> = receipt.iter().chain(registration).collect();
        proofs
            .iter()
            .try_for_each(|proof| proof.verify(plan, package))?;
        if !proofs.is_empty() {
            verdict.holds.push(format!(
                "{} proofs: the hoster's HSM signed and decrypted as the tenant's keys",
                proofs.len()
            ));
        }
        Ok(())
    }

    /// Share files that still lie in the tenant's outbox are the ones that were dealt.
    fn check_shares(&self, package: &Package, verdict: &mut Verdict) -> Result<()> {
        for path in &self.shares {
            let files = folder::read_folder(path, |name| {
                name.ends_with(".age").then_some(MAX_SHARE_FILE)
            })?;
            for (name, bytes) in &files {
                let listed = package
                    .shares
                    .iter()
                    .find(|share| format!("{}.age", share.custodian) == *name);
                if listed.is_none_or(|share| share.file != Hash::of(bytes)) {
                    return Err(Rule::ShareFile.refuse(
                        format!(
                            "{} is not the file that was dealt",
                            path.join(name).display()
                        ),
                        "the share files that the package lists",
                        "find out what changed it; its custodian may hold the right one",
                    ));
                }
            }
            verdict.holds.push(format!(
                "{} share files are those that the package commits to",
                files.len()
            ));
        }
        Ok(())
    }
}

fn all_same<T: PartialEq>(values: &[Option<T>]) -> bool {
    let mut there = values.iter().flatten();
    let first = there.next();
    there.all(|value| Some(value) == first)
}

fn names<B>(document: &Received<B>) -> String {
    document
        .signatures
        .everyone()
        .iter()
        .map(|one| one.id.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The signatures that the log names are beside the document.
fn check_release<B: Body>(
    document: &Received<B>,
    releases: &[(Hash, Vec<crate::signature::Signed>)],
) -> Result<()> {
    let there = document.signatures.everyone();
    let recorded = releases
        .iter()
        .filter(|(released, _)| *released == document.hash)
        .flat_map(|(_, signed)| signed);
    match recorded.into_iter().find(|signed| !there.contains(signed)) {
        None => Ok(()),
        Some(gone) => Err(Rule::SignatureMissing.refuse(
            format!(
                "the signature of {} over the {} is not the one in the log",
                gone.id,
                B::KIND
            ),
            format!("a signature file with SHA-256 {}", gone.signature),
            "find the signature file that the log names",
        )),
    }
}

/// Where a document lies in a folder of evidence.
fn place(one: &Evidence, kind: Kind) -> PathBuf {
    match (one.archive, one.side == kind.side()) {
        (true, _) => one.path.join(kind.name()),
        (false, true) => one.path.join("outbox").join(kind.name()),
        (false, false) => one.path.join("inbox").join(kind.name()),
    }
}

/// One folder of each document there is.
fn folders(evidence: &[Evidence]) -> BTreeMap<Kind, PathBuf> {
    let of = |kind: Kind| {
        let mut places = evidence.iter().map(move |one| place(one, kind));
        places.find(|path| path.exists()).map(|path| (kind, path))
    };
    Kind::ALL.into_iter().filter_map(of).collect()
}

/// A document: every copy there is, the same, and released.
fn one<B: Body>(
    evidence: &[Evidence],
    plan: &Plan,
    verdict: &mut Verdict,
) -> Result<Option<Received<B>>> {
    let mut found: Option<Received<B>> = None;
    for one in evidence {
        let path = place(one, B::KIND);
        if !path.exists() {
            continue;
        }
        let copy = read_without_log::<B>(&path, plan)?;
        if let Some(found) = found.as_ref().filter(|found| found.hash != copy.hash) {
            return Err(Rule::DocumentHash.refuse(
                format!("{} has SHA-256 {}", path.display(), copy.hash),
                format!("the {} of the other folder, {}", B::KIND, found.hash),
                "one of them was exchanged: compare both with the logs",
            ));
        }
        found = Some(copy);
    }
    match &found {
        None => verdict.missing.push(format!("the {}", B::KIND)),
        Some(document) => {
            if document
                .signatures
                .require(plan, B::KIND.side(), B::KIND.name())
                .is_err()
            {
                verdict.missing.push(format!(
                    "enough signatures over the {}: it is not released",
                    B::KIND
                ));
            }
        }
    }
    Ok(found)
}
