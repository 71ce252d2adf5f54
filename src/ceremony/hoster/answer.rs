//! `answer`: the hoster's HSM proves to the tenant that it holds the keys that were born in it.

use std::path::Path;

use crate::{
    Ceremony,
    hoster::{import::held_key, proving},
};
use hsm::{HosterKey, Hsm, ImportKey, TargetKey};
use record::{
    Result,
    document::{Released, challenge::Challenge, read, receipt::Receipt},
    encoding::Hash,
    log::{Event, KeyRecord},
    plan::{IMPORT, KeyPlan},
    proof::key_set::KeySet,
    rule::Rule,
    terms::{Kind, Step, TransferRoute},
};
use terminal::report::Report;

/// Takes the challenge and makes the receipt.
///
/// # Errors
/// `PHASE-ORDER`, `TARGET-…`, `PROOF-…`, or the HSM's.
pub fn answer(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    challenge: &Released<Challenge>,
) -> Result<Report> {
    ceremony.state.require(Step::Answer)?;
    let set = KeySet::from(&**challenge);
    let plan = ceremony.plan.clone();
    let attempt = ceremony.state.attempt;
    let inventory = hsm.inventory()?;
    let held = set.keys.iter().zip(&plan.keys).map(|(key, planned)| {
        let label = plan.hoster_label(key.label.as_str());
        hsm.held(
            &inventory,
            &ImportKey {
                id: plan.target_id(key.label.as_str(), attempt),
                label: &label,
                spki: &key.spki.0,
                certificate: &key.certificate,
                usage: planned.usage,
                born: plan.way == TransferRoute::Born,
            },
        )
    });
    let held: Vec<HosterKey> = held.collect::<Result<_>>()?;
    ceremony.keep(challenge)?;
    let begun = ceremony.begin(Step::Answer)?;
    let targets: Vec<TargetKey> = held.iter().map(|key| key.target.clone()).collect();
    let keys = plan.keys.iter().zip(&held);
    let receipt = Receipt {
        package_id: set.id,
        custodians: Vec::new(),
        spent: Vec::new(),
        keys: keys
            .map(|(key, held): (&KeyPlan, _)| held_key(&plan, &key.label, held, attempt))
            .collect(),
        proofs: proving::prove(ceremony, hsm, &set, &targets, IMPORT)?,
        token: hsm.identity().clone(),
    };
    let document = ceremony.build_answering(&begun, challenge.hash, receipt, Vec::new())?;
    ceremony.finish(
        begun,
        Event::Answer {
            document,
            challenge: challenge.hash,
            attempt: challenge.document.header.attempt,
            package_id: set.id,
            token: hsm.identity().clone(),
            signatures: challenge.signatures.everyone(),
        },
    )?;
    Ok(Report::new(
        "The HSM has answered: it signs and decrypts with the keys that were born in it.",
    )
    .value("challenge", challenge.hash.to_string())
    .value("receipt", document.to_string())
    .value("folder", ceremony.outbox("receipt").display().to_string()))
}

/// Reads the tenant's challenge, before any PIN is asked for. One is answered, once: an HSM that
/// answers whatever it is asked is an oracle.
///
/// # Errors
/// `PHASE-ORDER`, also for a second challenge; `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn read_challenge(ceremony: &Ceremony, folder: &Path) -> Result<Released<Challenge>> {
    if let Some(answered) = ceremony.state.taken.get(&Kind::Challenge) {
        let given = read::<Challenge>(folder, &ceremony.plan)?;
        return Err(Rule::PhaseOrder.refuse(
            format!("the challenge {} after the answer to {answered}", given.hash),
            "one answer",
            "run `status`: it shows the next step; where the tenant needs another answer, `restart` here and there",
        ));
    }
    ceremony.state.require(Step::Answer)?;
    let challenge = ceremony.take::<Challenge>(folder)?;
    ours(&KeySet::from(&*challenge), &ceremony.state.keys)?;
    Ok(challenge)
}

/// The tenant asks about the keys that were born here, and no others.
fn ours(set: &KeySet, born: &[KeyRecord]) -> Result<()> {
    let asked = set.keys.iter();
    let asked = asked.map(|key| (&key.label, Hash::of(&key.spki.0), Hash::of(&key.certificate)));
    let ours = born.iter();
    let ours = ours.map(|key| (&key.label, key.spki, key.certificate));
    match asked.eq(ours) {
        true => Ok(()),
        false => Err(Rule::DocumentContent.refuse(
            "a challenge for other keys",
            "one for the keys that were born here, as the log names them",
            "ask the tenant which keys it has taken; nothing is signed or decrypted for this challenge",
        )),
    }
}
