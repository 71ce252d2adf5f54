//! `offer check`: the tenant takes the hoster's KEK, by the words that the hoster reads aloud.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use crate::{
    Ceremony, Means, Run,
    step::{WordsHint, words_heard},
};
use record::{
    Result,
    document::{Released, attestation::Judgement, offer::Offer},
    fingerprint::{self, WORDS_TYPED},
    flow::Phase,
    log::Event,
    rule::Rule,
    terms::{Step, list},
};
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
        let offer = read(ceremony, &self.offer)?;
        let (mode, words) = (ceremony.plan.mode, self.words.as_deref());
        let expected = WordsHint::Of(offer.body().fingerprint);
        let typed = words_heard(mode, means.asker, words, &words_prompt(), expected)?;
        check(ceremony, offer, &typed)
    }
}

/// Reads the offer and verifies everything but the words.
fn read(ceremony: &Ceremony, folder: &Path) -> Result<Released<Offer>> {
    let package = matches!(ceremony.state.phase, Phase::PackageMade | Phase::PackageReleased);
    if package && ceremony.state.require(Step::Restart).is_ok() {
        return Err(Rule::PhaseOrder.refuse(
            "offer check after a package was made for the offer before it",
            "restart, then offer check",
            "if the hoster has begun again, `restart` here first: the package and its shares serve for nothing more; then take the new offer",
        ));
    }
    ceremony.state.require(Step::OfferCheck)?;
    let offer = ceremony.take::<Offer>(folder)?;
    judged(ceremony, &offer)?;
    Ok(offer)
}

/// What the vendor says of the KEK, now.
fn judged(ceremony: &Ceremony, offer: &Released<Offer>) -> Result<Judgement> {
    let file = |name: &str| offer.file(name);
    offer.body().attested(file, &ceremony.plan, Timestamp::now())
}

/// What to say before the words are typed.
fn words_prompt() -> String {
    format!(
        "Somebody of the hoster reads the KEK's first {WORDS_TYPED} words aloud, over a second channel. Type them here: "
    )
}

/// Takes the offer. `typed` are the words heard.
fn check(ceremony: &mut Ceremony, offer: Released<Offer>, typed: &str) -> Result<Report> {
    let judged = judged(ceremony, &offer)?;
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
