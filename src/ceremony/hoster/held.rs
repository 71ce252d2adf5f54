//! The tenant's keys in the hoster's HSM: what each must be, how the record lists it, and how the
//! HSM proves that it holds it (design, section 4.5).
//! `answer`: it does so for keys that were born in it.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Report, Run};
use hsm::wrapped_key::WrappedKey;
use hsm::{HosterKey, Hsm, ImportKey, ImportOrder, PublicObjects, TargetKey};
use record::document::challenge::Challenge;
use record::document::held_key::HeldKey;
use record::document::offer::Offer;
use record::document::read;
use record::document::receipt::Receipt;
use record::log::KeyRecord;
use record::plan::IMPORT;
use record::proof::{self, KeyProof, Proof};
use record::{
    Blob, Error, Event, Fixed, Hash, Id, KeySet, Kind, KwpFlavour, OaepHash, PackageId, Plan,
    Released, Result, Role, Rule, Step, TransferRoute,
};

/// Answer the tenant's challenge with the keys that were born in this HSM
#[derive(Args)]
pub struct Answer {
    /// The challenge/ folder
    challenge: PathBuf,
}

impl Run for Answer {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let challenge = read_challenge(ceremony, &self.challenge)?;
        means.in_hsm(ceremony, Step::Answer, |ceremony, hsm| {
            let set = KeySet::from(&*challenge);
            let inventory = hsm.inventory()?;
            let labels = labels(&ceremony.plan);
            let keys = wanted_of(ceremony, &labels, &set).into_iter();
            let held = keys.map(|key| hsm.held(&inventory, &key)).collect::<Result<Vec<_>>>()?;
            let begun = ceremony.begin_taking(Step::Answer, &challenge)?;
            let receipt = receipt(ceremony, hsm, &set, &held, (Vec::new(), Vec::new()))?;
            let document = ceremony.make(begun, receipt, Vec::new(), |document, receipt| {
                Event::answer(document, receipt, &challenge, challenge.signatures.everyone())
            })?;
            Ok(Report::new(
                "The HSM has answered: it signs and decrypts with the keys that were born in it.",
            )
            .value("challenge", challenge.hash.to_string())
            .value("receipt", document.to_string())
            .value("folder", ceremony.outbox("receipt").display().to_string()))
        })
    }
}

/// Reads the tenant's challenge, before any PIN is asked for. One is answered, once: an HSM that
/// answers whatever it is asked is an oracle.
///
/// # Errors
/// `PHASE-ORDER`, also for a second challenge; `DOCUMENT-…` and `SIGNATURE-…` rules.
fn read_challenge(ceremony: &Ceremony, folder: &Path) -> Result<Released<Challenge>> {
    if let Some(answered) = ceremony.state.taken.get(&Kind::Challenge) {
        let given = read::<Challenge>(folder, &ceremony.plan)?;
        return Err(Rule::PhaseOrder.refuse(
            format!("the challenge {} after the answer to {answered}", given.hash),
            "one answer",
            format!(
                "{}; where the tenant needs another answer, restart here and there",
                ceremony.state.see_status()
            ),
        ));
    }
    ceremony.state.require(Step::Answer)?;
    let challenge = ceremony.take::<Challenge>(folder)?;
    ours(&KeySet::from(&*challenge), &ceremony.state.keys)?;
    Ok(challenge)
}

/// The tenant asks about the keys that were born here, and no others.
fn ours(set: &KeySet, born: &[KeyRecord]) -> Result<()> {
    Rule::DocumentContent.ensure(
        set.named().eq(born.iter().map(KeyRecord::named)),
        "a challenge for other keys",
        "one for the keys that were born here, as the log names them",
        "ask the tenant which keys it has taken; nothing is signed or decrypted for this challenge",
    )
}

/// The CKA_LABEL of each key at the hoster, in the plan's order.
pub fn labels(plan: &Plan) -> Vec<String> {
    plan.keys.iter().map(|key| plan.hoster_label(key.label.as_str())).collect()
}

/// What each key must be in the HSM, in the plan's order: of these public keys and certificates.
pub fn wanted<'a>(
    ceremony: &Ceremony,
    labels: &'a [String],
    keys: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Vec<ImportKey<'a>> {
    let plan = &ceremony.plan;
    let keys = plan.keys.iter().zip(labels).zip(keys);
    keys.map(|((planned, label), (spki, certificate))| ImportKey {
        id: plan.target_id(planned.label.as_str(), ceremony.state.attempt),
        label,
        spki,
        certificate,
        usage: planned.usage,
        born: plan.way == TransferRoute::Born,
    })
    .collect()
}

/// As `wanted`, of the keys that must be proven.
pub fn wanted_of<'a>(
    ceremony: &Ceremony,
    labels: &'a [String],
    set: &'a KeySet,
) -> Vec<ImportKey<'a>> {
    let keys = set.keys.iter().map(|key| (key.spki.0.as_slice(), key.certificate.as_slice()));
    wanted(ceremony, labels, keys)
}

/// How the keys are unwrapped, with all that can be found in the way of it found before anybody
/// opens a share: the key that will unwrap is the one that was offered, as the HSM has it now, and
/// it unwraps a throwaway key wrapped in one of these ways.
///
/// # Errors
/// `KEK-…`, `TARGET-…`, or the HSM's.
pub fn import_ready<'a>(
    ceremony: &Ceremony,
    means: &Means,
    hsm: &Hsm,
    (offer, kwp, sessions): (&'a Offer, &[KwpFlavour], usize),
    keys: &[ImportKey],
) -> Result<ImportOrder<'a>> {
    let (plan, kek) = (&ceremony.plan, ceremony.state.kek_made()?);
    let (kek_spki, mechanism) = (&offer.spki.0[..], plan.transfer.mechanism);
    hsm.kek_check(kek.id, kek_spki, mechanism, &|rule| plan.waives(rule))?;
    means.asker.progress("canary: unwrapping a throwaway key under the KEK");
    let oaep = plan.transfer.oaep_hash;
    let order = ImportOrder { kek: kek.id, kek_spki, mechanism, oaep, sessions };
    hsm.import_ready(&order, kwp, keys)?;
    // Whatever began to fail with the last of this, closing a session, is found before the shares.
    hsm.random(&mut [0; 16])?;
    Ok(order)
}

/// Unwraps every key inside the HSM. Whatever was unwrapped and is not as planned is destroyed.
///
/// # Errors
/// `TARGET-…`, or the HSM's.
pub fn unwrap<'a>(
    means: &Means,
    hsm: &Hsm,
    (order, beside): (&ImportOrder, PublicObjects),
    keys: &[ImportKey],
    wrapped: impl Iterator<Item = &'a WrappedKey>,
) -> Result<Vec<HosterKey>> {
    let keys: Vec<_> = keys.iter().copied().zip(wrapped).collect();
    hsm.import(order, beside, &keys, &|label| means.asker.progress(&format!("unwrapping {label}")))
}

/// The keys as this side's HSM has them, for a document.
pub fn listed<'a>(
    ceremony: &Ceremony,
    held: impl Iterator<Item = &'a HosterKey>,
) -> impl Iterator<Item = HeldKey> {
    let (plan, attempt) = (&ceremony.plan, ceremony.state.attempt);
    plan.keys.iter().zip(held).map(move |(key, held)| HeldKey {
        label: key.label.clone(),
        id: plan.target_id(key.label.as_str(), attempt),
        hoster_label: plan.hoster_label(key.label.as_str()),
        attributes: held.attributes.clone(),
    })
}

/// The receipt for keys that the HSM holds. Who opened the seal, and whose identity is spent, is
/// said where there was one.
///
/// # Errors
/// The HSM's, `PROOF-SIGNATURE`, `PROOF-ANSWER`.
pub fn receipt(
    ceremony: &Ceremony,
    hsm: &Hsm,
    set: &KeySet,
    held: &[HosterKey],
    (custodians, spent): (Vec<Id>, Vec<Id>),
) -> Result<Receipt> {
    Ok(Receipt {
        package_id: set.id,
        custodians,
        spent,
        keys: listed(ceremony, held.iter()).collect(),
        proofs: prove(ceremony, hsm, set, held)?,
        token: hsm.identity().clone(),
    })
}

/// One proof per key, each verified as the tenant will.
///
/// # Errors
/// The HSM's, `PROOF-SIGNATURE`, `PROOF-ANSWER`.
fn prove(ceremony: &Ceremony, hsm: &Hsm, set: &KeySet, held: &[HosterKey]) -> Result<Vec<Proof>> {
    let plan = &ceremony.plan;
    let question = Question {
        ids: (&plan.hash(), &set.id),
        place: IMPORT,
        nonce: &set.nonce,
        oaep: plan.transfer.oaep_hash,
    };
    let mut proofs = Vec::new();
    for (key, held) in set.keys.iter().zip(held) {
        let evidence = match key.role {
            Role::Signing => question.sign(hsm, &held.target, &key.label)?,
            Role::Encryption => {
                let challenge = key.challenge(IMPORT).ok_or_else(|| {
                    Error::defect(format!("no challenge of {} for {IMPORT}", key.label))
                })?;
                question.answer(hsm, &held.target, &key.label, &challenge.ciphertext)?
            }
        };
        let proof = Proof { label: key.label.clone(), place: IMPORT.to_owned(), evidence };
        proof.verify(plan, set)?;
        proofs.push(proof);
    }
    Ok(proofs)
}

/// What every key is asked at one place.
pub struct Question<'a> {
    /// The hash of the plan, and the id of the package or challenge.
    pub ids: (&'a Hash, &'a PackageId),
    /// The place.
    pub place: &'a str,
    /// What every signing key signs.
    pub nonce: &'a Fixed<32>,
    /// With which hash challenges are encrypted.
    pub oaep: OaepHash,
}

impl Question<'_> {
    /// A signing key signs.
    ///
    /// # Errors
    /// The HSM's.
    pub fn sign(&self, hsm: &Hsm, target: &TargetKey, label: &Id) -> Result<KeyProof> {
        let message = proof::message(self.ids, label, self.place, self.nonce);
        Ok(KeyProof::Signature(Blob(hsm.sign(target, &message)?)))
    }

    /// An encryption key answers its challenge of 32 bytes. They leave only as part of a hash: this
    /// opens nothing that a counterpart chose.
    ///
    /// # Errors
    /// `PROOF-ANSWER` for anything but 32 bytes, or the HSM's.
    pub fn answer(
        &self,
        hsm: &Hsm,
        target: &TargetKey,
        label: &Id,
        challenge: &Blob,
    ) -> Result<KeyProof> {
        let plain = hsm.decrypt_challenge(target, self.oaep, &challenge.0)?;
        Rule::ProofAnswer.ensure(
            plain.len() == 32,
            format!("a challenge of {} bytes for {label}", plain.len()),
            "32 bytes",
            "ask the tenant how this challenge was made; do not go on with it",
        )?;
        Ok(KeyProof::Answer(proof::answer(self.ids, label, self.place, &plain)))
    }
}
