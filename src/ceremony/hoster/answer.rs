//! `answer`: the hoster's HSM proves to the tenant that it holds the keys that were born in it.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Run, hoster::held};
use hsm::Hsm;
use record::{
    Result,
    document::{Released, challenge::Challenge, read},
    encoding::Hash,
    log::{Event, KeyRecord},
    proof::key_set::KeySet,
    rule::Rule,
    terms::{Kind, Step},
};
use terminal::report::Report;

/// Answer the tenant's challenge with the keys that were born in this HSM
#[derive(Args)]
pub struct Answer {
    /// The challenge/ folder
    challenge: PathBuf,
}

impl Run for Answer {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let challenge = read_challenge(ceremony, &self.challenge)?;
        means.in_hsm(ceremony, Step::Answer, |ceremony, hsm| answer(ceremony, hsm, &challenge))
    }
}

/// Takes the challenge and makes the receipt.
fn answer(ceremony: &mut Ceremony, hsm: &Hsm, challenge: &Released<Challenge>) -> Result<Report> {
    let set = KeySet::from(&**challenge);
    let inventory = hsm.inventory()?;
    let labels = held::labels(&ceremony.plan);
    let keys = held::wanted_of(ceremony, &labels, &set);
    let held = keys.iter().map(|key| hsm.held(&inventory, key)).collect::<Result<Vec<_>>>()?;
    let begun = ceremony.begin_taking(Step::Answer, challenge)?;
    let receipt = held::receipt(ceremony, hsm, &set, &held, (Vec::new(), Vec::new()))?;
    let document = ceremony.make(begun, receipt, Vec::new(), |document| Event::Answer {
        document,
        challenge: challenge.hash,
        attempt: challenge.document.header.attempt,
        package_id: set.id,
        token: hsm.identity().clone(),
        signatures: challenge.signatures.everyone(),
    })?;
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
fn read_challenge(ceremony: &Ceremony, folder: &Path) -> Result<Released<Challenge>> {
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
