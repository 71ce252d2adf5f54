//! What an entry repeats, from where it comes: the step that writes an entry and whoever verifies it
//! call the same function. What nothing else determines is an argument of its own.

use crate::document::acceptance::{Acceptance, Published};
use crate::document::challenge::Challenge;
use crate::document::closing::Closing;
use crate::document::keys::TargetKeys;
use crate::document::offer::Offer;
use crate::document::package::Package;
use crate::document::receipt::Receipt;
use crate::encoding::cka_id;
use crate::log::{KekRecord, KeyRecord, PlainImported, ShareFile, SourceDestroyed};
use crate::service::NodeEvidence;
use crate::{
    AttestationLevel, Blob, Event, Hash, Id, Kind, Listed, Originals, Plan, ReadBack, Received,
    Result, Side, Signed, State, TokenIdentity, TransferRoute,
};

/// What a side was shown of ceremonies before this one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShownBefore {
    /// The head of the aborted ceremony's log that the plan supersedes.
    pub superseded: Option<Hash>,
    /// The closing of the trial that the plan names.
    pub trial: Option<Hash>,
}

impl Event {
    /// `init` of a side.
    pub fn init(
        plan: &Plan,
        side: Side,
        signatures: Vec<Signed>,
        version: &str,
        shown: ShownBefore,
    ) -> Self {
        Event::Init {
            ceremony: plan.ceremony.clone(),
            mode: plan.mode,
            side,
            plan: plan.hash(),
            way: plan.way,
            waived: plan.waivers.iter().map(|waiver| waiver.rule).collect(),
            signatures,
            version: version.to_owned(),
            superseded: shown.superseded.filter(|_| plan.supersedes.is_some()),
            trial: shown.trial.and(plan.trial_before()),
        }
    }

    /// `kek-create`, with the offer that it made.
    pub fn kek_create(document: Hash, offer: &Offer, attested: AttestationLevel) -> Self {
        Event::KekCreate {
            document,
            kek: KekRecord { id: offer.id, fingerprint: offer.fingerprint },
            token: offer.token.clone(),
            observed: offer.observed,
            attributes: offer.attributes.clone(),
            waived: offer.waived.clone(),
            attested,
        }
    }

    /// `offer-check` of this offer.
    pub fn offer_check(
        offer: &Received<Offer>,
        attested: AttestationLevel,
        signatures: Vec<Signed>,
    ) -> Self {
        Event::OfferCheck {
            document: offer.hash,
            attempt: offer.document.header.attempt,
            fingerprint: offer.body().fingerprint,
            attested,
            signatures,
        }
    }

    /// `kek-trust` of the KEK in the offer that was taken.
    ///
    /// # Errors
    /// `LOG-EVENT` where none was.
    pub fn kek_trust(
        plan: &Plan,
        state: &State,
        token: TokenIdentity,
        attributes: Vec<ReadBack>,
    ) -> Result<Self> {
        let kek = KekRecord { id: state.trusted_id(plan), fingerprint: state.offered_kek()? };
        Ok(Event::KekTrust { kek, token, attributes })
    }

    /// `keys-create` at the hoster: with the level of attestation that was reached, and of each key
    /// whether this step made it, or found it.
    pub fn keys_born(
        document: Hash,
        keys: &TargetKeys,
        (attested, made): (AttestationLevel, &[bool]),
    ) -> Self {
        Event::KeysCreate {
            document: Some(document),
            attested: Some(attested),
            token: keys.token.clone(),
            keys: born_records(keys, made),
        }
    }

    /// `keys-check` of these keys, with the challenge that it made.
    pub fn keys_check(
        document: Hash,
        challenge: &Challenge,
        keys: &Received<TargetKeys>,
        attested: AttestationLevel,
        signatures: Vec<Signed>,
    ) -> Self {
        Event::KeysCheck {
            document,
            taken: keys.hash,
            attempt: keys.document.header.attempt,
            fingerprint: keys.body().fingerprint,
            package_id: challenge.package_id,
            keys: born_records(keys.body(), &vec![false; keys.body().keys.len()]),
            attested,
            signatures,
        }
    }

    /// `answer` to this challenge, with the receipt that it made.
    pub fn answer(
        document: Hash,
        receipt: &Receipt,
        challenge: &Received<Challenge>,
        signatures: Vec<Signed>,
    ) -> Self {
        Event::Answer {
            document,
            challenge: challenge.hash,
            attempt: challenge.document.header.attempt,
            package_id: challenge.body().package_id,
            token: receipt.token.clone(),
            signatures,
        }
    }

    /// `export`, with the package that it made.
    pub fn export(plan: &Plan, document: Hash, package: &Package) -> Self {
        let shares = plan.quorum.custodians.iter().zip(&package.shares);
        let shares = shares.map(|(custodian, share)| ShareFile {
            custodian: custodian.id.clone(),
            file: share.file,
        });
        Event::Export {
            document,
            package_id: package.package_id,
            fingerprint: package.kek_fingerprint,
            observed: package.observed,
            token: package.token.clone(),
            shares: shares.collect(),
        }
    }

    /// `import-plain`, with the document `keys` that it made.
    pub fn import_plain(
        document: Hash,
        keys: &TargetKeys,
        (attested, made): (AttestationLevel, &[bool]),
        kek: Hash,
        wrapped: Vec<Hash>,
    ) -> Self {
        Event::ImportPlain(PlainImported {
            document,
            fingerprint: kek,
            attested,
            token: keys.token.clone(),
            keys: born_records(keys, made),
            wrapped,
        })
    }

    /// `package-check` of this package.
    pub fn package_check(package: &Received<Package>, signatures: Vec<Signed>) -> Self {
        Event::PackageCheck {
            document: package.hash,
            attempt: package.document.header.attempt,
            package_id: package.body().package_id,
            signatures,
        }
    }

    /// `import` of this package, with the receipt that it made.
    pub fn import(document: Hash, receipt: &Receipt, package: &Package, made: &[bool]) -> Self {
        let keys = package.keys.iter().map(|key| (&key.label, &key.spki, &key.certificate));
        Event::Import { document, token: receipt.token.clone(), keys: records(keys, made) }
    }

    /// `register`, with SHA-256 of what every node is told.
    pub fn register(plan: &Plan, brief: Hash) -> Self {
        let (target, nodes) = (plan.target.kind().to_owned(), plan.target.nodes().to_vec());
        Event::Register { brief, target, nodes }
    }

    /// `evidence` of a node.
    pub fn evidence(evidence: &NodeEvidence) -> Self {
        let said = &evidence.statement;
        Event::Evidence {
            node: said.node.clone(),
            stage: said.stage,
            evidence: evidence.hash,
            machine: said.machine.clone(),
            proved: said.time.clone(),
            unpassed: said.unpassed(),
        }
    }

    /// `accept` of a registration, with the acceptance that it made.
    pub fn accept(
        document: Hash,
        acceptance: &Acceptance,
        registration: Hash,
        signatures: Vec<Signed>,
    ) -> Self {
        let metadata = acceptance.metadata.iter().map(Published::logged).collect();
        Event::Accept { document, registration, signatures, metadata }
    }

    /// `source-destroy`, as this closing allows it; absent where it says nothing of backups.
    pub fn source_destroy(
        closing: &Received<Closing>,
        token: TokenIdentity,
        keys: Vec<Id>,
        signatures: Vec<Signed>,
    ) -> Option<Self> {
        let (closing, backup) = (closing.hash, closing.body().backup.clone()?);
        let gone = SourceDestroyed { closing, backup, token, keys, signatures };
        Some(Event::SourceDestroy(gone))
    }

    /// `close`, the entry of this number.
    pub fn close(plan: &Plan, state: &State, count: u64, closing: Option<Hash>) -> Self {
        let crosses = state.side == Side::Tenant && plan.way != TransferRoute::Cloud;
        let takes = crosses && !state.taken.contains_key(&Kind::Closing);
        let closing = closing.filter(|_| takes);
        Event::Close { count, closing, source: state.source(plan) }
    }
}

impl State {
    /// The CKA_ID under which the tenant's HSM trusts the KEK of the offer that was taken.
    pub fn trusted_id(&self, plan: &Plan) -> crate::encoding::CkaId {
        cka_id(&plan.hash(), Side::Tenant.name(), "kek", "", self.seen_attempt)
    }

    /// Whether this side's close takes the hoster's closing.
    pub fn needs_closing(&self, plan: &Plan) -> bool {
        let tenant = self.side == Side::Tenant && plan.way != TransferRoute::Cloud;
        tenant && self.aborted.is_none() && !self.taken.contains_key(&Kind::Closing)
    }

    /// What becomes of the tenant's originals, where this side has any and has accepted.
    pub fn source(&self, plan: &Plan) -> Option<Originals> {
        let carried = self.side == Side::Tenant && plan.way == TransferRoute::Carried;
        (carried && self.aborted.is_none()).then_some(plan.source)
    }
}

fn born_records(keys: &TargetKeys, made: &[bool]) -> Vec<KeyRecord> {
    records(keys.keys.iter().map(|key| (&key.held.label, &key.spki, &key.certificate)), made)
}

fn records<'a>(
    keys: impl Iterator<Item = (&'a Id, &'a Blob, &'a Listed)>,
    made: &[bool],
) -> Vec<KeyRecord> {
    let record = |((label, spki, certificate), made): ((&Id, &Blob, &Listed), &bool)| KeyRecord {
        label: label.clone(),
        spki: Hash::of(&spki.0),
        certificate: certificate.hash,
        made: *made,
    };
    keys.zip(made).map(record).collect()
}
