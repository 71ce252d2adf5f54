//! What the tenant takes by the words that the hoster reads aloud: its KEK (`offer check`), or keys
//! that were born in its HSM, which it asks for proofs (`keys check`).

use std::path::{Path, PathBuf};

use clap::Args;
use rsa::sha2::Sha256;
use rsa::{Oaep, PublicKey};
use sha1::Sha1;

use crate::step::heard_words;
use crate::{Ceremony, Means, Report, Run};
use record::document::attestation::{Attested, Judgement};
use record::document::challenge::{Challenge, ChallengedKey};
use record::document::keys::TargetKeys;
use record::document::offer::Offer;
use record::encoding::random;
use record::fingerprint::{self, WORDS_TYPED};
use record::log::clock;
use record::proof::key_set::{PlaceChallenge, certificate_file};
use record::{
    AttestationLevel, Blob, Error, Event, Fixed, Hash, KeyPlan, OaepHash, PackageId, Phase, Plan,
    Received, Released, Result, Role, Rule, Step, list, proof, spki, with_commands,
};
use terminal::words::WordsHint;

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
        let package = matches!(ceremony.state.phase, Phase::PackageMade | Phase::PackageReleased);
        Rule::PhaseOrder.ensure(
            !package || ceremony.state.require(Step::Restart).is_err(),
            "offer check after a package was made for the offer before it",
            "restart, then offer check",
            with_commands("if the hoster has begun again, `{tenant restart --reason TEXT}` first: the package and its shares serve for nothing more; then take the new offer"),
        )?;
        ceremony.state.require(Step::OfferCheck)?;
        let offer = ceremony.take::<Offer>(&self.offer)?;
        let words = format!("the KEK's first {WORDS_TYPED} words");
        let kek = offer.body().fingerprint;
        let judged = heard(ceremony, means, (&*offer, self.words.as_deref()), &words, kek)?;
        let signatures = offer.signatures.everyone();
        let event = Event::offer_check(&offer, judged.level, signatures.clone());
        ceremony.took(&offer, event)?;
        let report = Report::new("The offer is taken: this KEK is the hoster's.")
            .value("offer", offer.hash.to_string())
            .value("KEK", kek.to_string())
            .people("released by", &ceremony.plan, signatures.iter().map(|one| &one.id))
            .texts("evidence", &judged.lines);
        Ok(match offer.body().waived.as_slice() {
            [] => report,
            waived => report.value("waived", list(waived.iter().map(|rule| rule.name()))),
        })
    }
}

/// What somebody of the hoster reads aloud is typed, and is right. Gives what the vendor says of it
/// then.
fn heard<B: Attested>(
    ceremony: &mut Ceremony,
    means: &Means,
    (taken, file): (&Received<B>, Option<&Path>),
    what: &str,
    read: Hash,
) -> Result<Judgement> {
    taken.attested(&ceremony.plan, clock()?)?;
    let prompt = format!(
        "Somebody of the hoster reads {what} aloud, over a second channel. Type them here: "
    );
    let (from, hint) = ((ceremony.plan.mode, file), WordsHint::First(read));
    let typed = heard_words(from, &prompt, hint, means.asker, ceremony)?;
    fingerprint::confirm(read, &typed)?;
    taken.attested(&ceremony.plan, clock()?)
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
        let state = &ceremony.state;
        let made = matches!(state.phase, Phase::ChallengeMade | Phase::ChallengeReleased);
        Rule::PhaseOrder.ensure(
            !made || state.pending.is_some(),
            "keys check after a challenge was made for the keys before",
            "restart, then keys check",
            with_commands("if the hoster has begun again, `{tenant restart --reason TEXT}` first: the challenge serves for nothing more; then take the new keys"),
        )?;
        state.require(Step::KeysCheck)?;
        let keys = ceremony.take::<TargetKeys>(&self.keys)?;
        keys.verify_certificates()?;
        let words = format!("the first {WORDS_TYPED} words of the keys");
        let read = keys.body().fingerprint;
        let judged = heard(ceremony, means, (&*keys, self.words.as_deref()), &words, read)?;
        let (id, document) = challenge(ceremony, &keys, judged.level)?;
        Ok(Report::new(
            "The keys are taken: they are the hoster's, born in its HSM by its module's word.",
        )
        .value("keys", keys.hash.to_string())
        .value("fingerprint", read.to_string())
        .people("released by", &ceremony.plan, keys.signatures.everyone().iter().map(|one| &one.id))
        .value("challenge", document.to_string())
        .value("challenge id", id.to_string())
        .texts("evidence", &judged.lines)
        .value("folder", ceremony.outbox("challenge").display().to_string()))
    }
}

/// Makes the challenge for these keys.
fn challenge(
    ceremony: &mut Ceremony,
    keys: &Released<TargetKeys>,
    attested: AttestationLevel,
) -> Result<(PackageId, Hash)> {
    let begun = ceremony.begin_taking(Step::KeysCheck, keys)?;
    let package_id: PackageId = Fixed(random()?);
    let plan = &ceremony.plan;
    let challenged = keys.body().keys.iter().zip(&plan.keys).map(|(key, planned)| {
        Ok(ChallengedKey {
            label: planned.label.clone(),
            role: planned.role,
            spki: key.spki.clone(),
            certificate: key.certificate.clone(),
            challenges: challenges(plan, planned, &key.spki.0, &package_id)?,
        })
    });
    let body =
        Challenge { package_id, nonce: Fixed(random()?), keys: challenged.collect::<Result<_>>()? };
    let certificates = body.keys.iter().map(|key| certificate_file(&key.label));
    let files = certificates.map(|name| (name.clone(), keys.file(&name).to_vec())).collect();
    let document = ceremony.make(begun, body, files, |document, challenge| {
        Event::keys_check(document, challenge, keys, attested, keys.signatures.everyone())
    })?;
    Ok((package_id, document))
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
