//! `keys check`: the tenant takes keys that were born in the hoster's HSM, by the words that the
//! hoster reads aloud, and asks for proofs.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use crate::{
    Ceremony, Means, Run,
    step::{WordsHint, words_heard},
    tenant::challenges,
};
use record::{
    Result,
    document::{
        Released,
        attestation::Judgement,
        challenge::{Challenge, ChallengedKey},
        keys::{BornKey, TargetKeys},
    },
    encoding::{Fixed, PackageId, random},
    fingerprint::{self, WORDS_TYPED},
    flow::Phase,
    log::Event,
    plan::{KeyPlan, Plan},
    proof::key_set::certificate_file,
    rule::Rule,
    terms::{Step, list},
};
use terminal::report::Report;

/// Take keys that were born in the hoster's HSM by the words that are read aloud, and make the
/// challenge
#[derive(Args)]
pub struct KeysCheck {
    /// The keys/ folder
    keys: PathBuf,
    /// In a rehearsal: the file that holds the words heard
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
}

impl Run for KeysCheck {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let keys = read(ceremony, &self.keys)?;
        let (mode, words) = (ceremony.plan.mode, self.words.as_deref());
        let expected = WordsHint::Of(keys.body().fingerprint);
        let typed = words_heard(mode, means.asker, words, &words_prompt(), expected)?;
        check(ceremony, keys, &typed)
    }
}

/// Reads the keys and verifies everything but the words.
fn read(ceremony: &Ceremony, folder: &Path) -> Result<Released<TargetKeys>> {
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
fn words_prompt() -> String {
    format!(
        "Somebody of the hoster reads the first {WORDS_TYPED} words of the keys aloud, over a second channel. Type them here: "
    )
}

/// Takes the keys and makes the challenge. `typed` are the words heard.
fn check(ceremony: &mut Ceremony, keys: Released<TargetKeys>, typed: &str) -> Result<Report> {
    let judged = judged(ceremony, &keys)?;
    let confirmed = fingerprint::confirm(keys.body().fingerprint, typed)?;
    let begun = ceremony.begin_taking(Step::KeysCheck, &keys)?;
    let package_id: PackageId = Fixed(random()?);
    let challenged = keys.body().keys.iter().zip(&ceremony.plan.keys);
    let challenged = challenged.map(|(key, plan)| one(&ceremony.plan, plan, key, &package_id));
    let body =
        Challenge { package_id, nonce: Fixed(random()?), keys: challenged.collect::<Result<_>>()? };
    let certificates = body.keys.iter().map(|key| certificate_file(&key.label));
    let files = certificates.map(|name| (name.clone(), keys.file(&name).to_vec()));
    let files = files.collect();
    let signatures = keys.signatures.everyone();
    let signers = list(signatures.iter().map(|one| &one.id));
    let document = ceremony.make(begun, body, files, |document, challenge| {
        Event::keys_check(document, challenge, &keys, judged.level, signatures)
    })?;
    let report = Report::new(
        "The keys are taken: they are the hoster's, born in its HSM by its module's word.",
    )
    .value("keys", keys.hash.to_string())
    .value("fingerprint", confirmed.value().to_string())
    .value("released by", signers)
    .value("challenge", document.to_string())
    .value("challenge id", package_id.to_string());
    let report = report.texts("evidence", &judged.lines);
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
