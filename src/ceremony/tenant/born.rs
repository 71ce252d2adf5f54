//! `keys check`: the tenant takes keys that were born in the hoster's HSM, by the words that the
//! hoster reads aloud, and asks for proofs.

use std::path::Path;

use jiff::Timestamp;

use crate::{Ceremony, tenant::challenges};
use record::{
    Result,
    document::{
        Released,
        attestation::Judgement,
        challenge::{Challenge, ChallengedKey},
        keys::{BornKey, TargetKeys},
    },
    encoding::{Fixed, Hash, PackageId, random},
    fingerprint::{self, WORDS_TYPED},
    flow::Phase,
    log::{Event, KeyRecord},
    plan::{KeyPlan, Plan},
    proof::key_set::certificate_file,
    rule::Rule,
    terms::{Step, list},
};
use terminal::report::Report;

/// Reads the keys and verifies everything but the words.
///
/// # Errors
/// `PHASE-ORDER`, `TARGET-CERTIFICATE`, `ATTESTATION-…`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn read(ceremony: &Ceremony, folder: &Path) -> Result<Released<TargetKeys>> {
    let made = [Phase::ChallengeMade, Phase::ChallengeReleased];
    if made.contains(&ceremony.state.phase) && ceremony.state.pending.is_none() {
        return Err(Rule::PhaseOrder.refuse(
            "keys check after a challenge was made for the keys before",
            "restart, then keys check",
            "if the hoster has begun again, `restart` here first: the challenge serves for nothing more; then take the new keys",
        ));
    }
    ceremony.state.require(Step::KeysCheck)?;
    let keys = ceremony.take::<TargetKeys>(folder)?;
    keys.verify_certificates()?;
    judged(ceremony, &keys)?;
    Ok(keys)
}

/// What the vendor says of the keys, now.
fn judged(ceremony: &Ceremony, keys: &Released<TargetKeys>) -> Result<Judgement> {
    let file = |name: &str| keys.file(name);
    keys.body().attested(file, &ceremony.plan, Timestamp::now())
}

/// What to say before the words are typed.
pub fn words_prompt() -> String {
    format!(
        "Somebody of the hoster reads the first {WORDS_TYPED} words of the keys aloud, over a second channel. Type them here: "
    )
}

/// Takes the keys and makes the challenge. `typed` are the words heard.
///
/// # Errors
/// `WORDS-MISMATCH`.
pub fn check(ceremony: &mut Ceremony, keys: Released<TargetKeys>, typed: &str) -> Result<Report> {
    let judged = judged(ceremony, &keys)?;
    let confirmed = fingerprint::confirm(keys.body().fingerprint, typed)?;
    ceremony.keep(&keys)?;
    let begun = ceremony.begin(Step::KeysCheck)?;
    let package_id: PackageId = Fixed(random()?);
    let challenged = keys.body().keys.iter().zip(&ceremony.plan.keys);
    let challenged = challenged.map(|(key, plan)| one(&ceremony.plan, plan, key, &package_id));
    let body =
        Challenge { package_id, nonce: Fixed(random()?), keys: challenged.collect::<Result<_>>()? };
    let certificates = body.keys.iter().map(|key| certificate_file(&key.label));
    let files = certificates.map(|name| (name.clone(), keys.file(&name).to_vec()));
    let files = files.collect();
    let document = ceremony.build_answering(&begun, keys.hash, body, files)?;
    let records = keys.body().keys.iter().map(|key| KeyRecord {
        label: key.held.label.clone(),
        spki: Hash::of(&key.spki.0),
        certificate: key.certificate.hash,
        made: false,
    });
    let signatures = keys.signatures.everyone();
    let signers = list(signatures.iter().map(|one| &one.id));
    let report = Report::new(
        "The keys are taken: they are the hoster's, born in its HSM by its module's word.",
    )
    .value("keys", keys.hash.to_string())
    .value("fingerprint", confirmed.value().to_string())
    .value("released by", signers)
    .value("challenge", document.to_string())
    .value("challenge id", package_id.to_string());
    let report = report.texts("evidence", &judged.lines);
    ceremony.finish(
        begun,
        Event::KeysCheck {
            document,
            taken: keys.hash,
            attempt: keys.document.header.attempt,
            fingerprint: confirmed.value(),
            package_id,
            keys: records.collect(),
            attested: judged.level,
            signatures,
        },
    )?;
    Ok(report.value("folder", ceremony.outbox("challenge").display().to_string()))
}

fn one(plan: &Plan, planned: &KeyPlan, key: &BornKey, id: &PackageId) -> Result<ChallengedKey> {
    Ok(ChallengedKey {
        label: planned.label.clone(),
        role: planned.role,
        spki: key.spki.clone(),
        certificate: key.certificate.clone(),
        challenges: challenges::make(plan, planned, &key.spki.0, id)?,
    })
}
