//! What the tenant takes by the words that the hoster reads aloud: its KEK (`offer check`), or keys
//! that were born in its HSM, which it asks for proofs (`keys check`).

use std::path::{Path, PathBuf};

use clap::Args;
use rsa::sha2::Sha256;
use rsa::{Oaep, PublicKey};
use sha1::Sha1;

use crate::step::{WordsHint, words_heard};
use crate::{Ceremony, Means, Run};
use record::command::with_commands;
use record::document::Released;
use record::document::attestation::Judgement;
use record::document::challenge::{Challenge, ChallengedKey};
use record::document::keys::{BornKey, TargetKeys};
use record::document::offer::Offer;
use record::encoding::{Blob, Fixed, PackageId, random};
use record::fingerprint::{self, WORDS_TYPED};
use record::flow::Phase;
use record::log::{Event, clock};
use record::plan::{KeyPlan, Plan};
use record::proof::key_set::{PlaceChallenge, certificate_file};
use record::proof::{self};
use record::rule::Rule;
use record::terms::{OaepHash, Role, Step, list};
use record::{Error, Result, spki};
use terminal::report::Report;

/// Take the hoster's KEK by the words that are read aloud
#[derive(Args)]
pub struct OfferCheck {
    /// The offer/ folder
    offer: PathBuf,
    /// In a rehearsal: the file that holds the words heard
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
}

impl Run for OfferCheck {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let offer = read_offer(ceremony, &self.offer)?;
        let (mode, words) = (ceremony.plan.mode, self.words.as_deref());
        let expected = WordsHint::Of(offer.body().fingerprint);
        let typed = words_heard(mode, means.asker, words, &offer_prompt(), expected)?;
        check_offer(ceremony, offer, &typed)
    }
}

/// Reads the offer and verifies everything but the words.
fn read_offer(ceremony: &Ceremony, folder: &Path) -> Result<Released<Offer>> {
    let package = matches!(ceremony.state.phase, Phase::PackageMade | Phase::PackageReleased);
    if package && ceremony.state.require(Step::Restart).is_ok() {
        return Err(Rule::PhaseOrder.refuse(
            "offer check after a package was made for the offer before it",
            "restart, then offer check",
            with_commands("if the hoster has begun again, `{tenant restart --reason TEXT}` first: the package and its shares serve for nothing more; then take the new offer"),
        ));
    }
    ceremony.state.require(Step::OfferCheck)?;
    let offer = ceremony.take::<Offer>(folder)?;
    offer_judged(ceremony, &offer)?;
    Ok(offer)
}

/// What the vendor says of the KEK, now.
fn offer_judged(ceremony: &Ceremony, offer: &Released<Offer>) -> Result<Judgement> {
    let file = |name: &str| offer.file(name);
    offer.body().attested(file, &ceremony.plan, clock()?)
}

/// What to say before the words are typed.
fn offer_prompt() -> String {
    format!(
        "Somebody of the hoster reads the KEK's first {WORDS_TYPED} words aloud, over a second channel. Type them here: "
    )
}

/// Takes the offer. `typed` are the words heard.
fn check_offer(ceremony: &mut Ceremony, offer: Released<Offer>, typed: &str) -> Result<Report> {
    let judged = offer_judged(ceremony, &offer)?;
    let confirmed = fingerprint::confirm(offer.body().fingerprint, typed)?;
    ceremony.keep(&offer)?;
    let signatures = offer.signatures.everyone();
    let signers = list(signatures.iter().map(|one| &one.id));
    ceremony.took(Event::offer_check(&offer, judged.level, signatures))?;
    let report = Report::new("The offer is taken: this KEK is the hoster's.")
        .value("offer", offer.hash.to_string())
        .value("KEK", confirmed.value().to_string())
        .value("released by", signers);
    let report = report.texts("evidence", &judged.lines);
    Ok(match offer.body().waived.as_slice() {
        [] => report,
        waived => report.value("waived", list(waived.iter().map(|rule| rule.name()))),
    })
}

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
        let keys = read_keys(ceremony, &self.keys)?;
        let (mode, words) = (ceremony.plan.mode, self.words.as_deref());
        let expected = WordsHint::Of(keys.body().fingerprint);
        let typed = words_heard(mode, means.asker, words, &keys_prompt(), expected)?;
        check_keys(ceremony, keys, &typed)
    }
}

/// Reads the keys and verifies everything but the words.
fn read_keys(ceremony: &Ceremony, folder: &Path) -> Result<Released<TargetKeys>> {
    let made = [Phase::ChallengeMade, Phase::ChallengeReleased];
    if made.contains(&ceremony.state.phase) && ceremony.state.pending.is_none() {
        return Err(Rule::PhaseOrder.refuse(
            "keys check after a challenge was made for the keys before",
            "restart, then keys check",
            with_commands("if the hoster has begun again, `{tenant restart --reason TEXT}` first: the challenge serves for nothing more; then take the new keys"),
        ));
    }
    ceremony.state.require(Step::KeysCheck)?;
    let keys = ceremony.take::<TargetKeys>(folder)?;
    keys.verify_certificates()?;
    keys_judged(ceremony, &keys)?;
    Ok(keys)
}

/// What the vendor says of the keys, now.
fn keys_judged(ceremony: &Ceremony, keys: &Released<TargetKeys>) -> Result<Judgement> {
    let file = |name: &str| keys.file(name);
    keys.body().attested(file, &ceremony.plan, clock()?)
}

/// What to say before the words are typed.
fn keys_prompt() -> String {
    format!(
        "Somebody of the hoster reads the first {WORDS_TYPED} words of the keys aloud, over a second channel. Type them here: "
    )
}

/// Takes the keys and makes the challenge. `typed` are the words heard.
fn check_keys(ceremony: &mut Ceremony, keys: Released<TargetKeys>, typed: &str) -> Result<Report> {
    let judged = keys_judged(ceremony, &keys)?;
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
        challenges: challenges(plan, planned, &key.spki.0, id)?,
    })
}

/// A fresh challenge per place, for an encryption key. Only the hash of its answer is kept.
///
/// # Errors
/// [`Error::Failed`] where the key is not RSA, or the system has no random numbers.
pub fn challenges(
    plan: &Plan,
    key: &KeyPlan,
    spki: &[u8],
    id: &PackageId,
) -> Result<Vec<PlaceChallenge>> {
    if key.role == Role::Signing {
        return Ok(Vec::new());
    }
    let public = spki::rsa(spki).map_err(|found| Error::failed(found, "make the key again"))?;
    let one = |place: String| {
        let challenge = zeroize::Zeroizing::new(random::<32>()?);
        let ids = (&plan.hash(), id);
        let answer = proof::answer(ids, &key.label, &place, challenge.as_slice());
        let hash = plan.transfer.oaep_hash;
        Ok(PlaceChallenge {
            place,
            ciphertext: Blob(encrypt(&public, hash, challenge.as_slice())?),
            expected: proof::expected(&answer),
        })
    };
    plan.places().into_iter().map(one).collect()
}

fn encrypt(public: &PublicKey, hash: OaepHash, message: &[u8]) -> Result<Vec<u8>> {
    let mut rng = getrandom::SysRng;
    let encrypted = match hash {
        OaepHash::Sha256 => public.encrypt(&mut rng, Oaep::<Sha256>::new(), message),
        OaepHash::Sha1 => public.encrypt(&mut rng, Oaep::<Sha1>::new(), message),
    };
    encrypted.map_err(|error| Error::defect(format!("RSA-OAEP: {error}")))
}
