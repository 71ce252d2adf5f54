//! `offer check`: the tenant takes the hoster's KEK, by the words that the hoster reads aloud.

use std::path::Path;

use jiff::Timestamp;

use crate::Ceremony;
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

/// Reads the offer and verifies everything but the words.
///
/// # Errors
/// `PHASE-ORDER`, `ATTESTATION-…`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn read(ceremony: &Ceremony, folder: &Path) -> Result<Released<Offer>> {
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
pub fn words_prompt() -> String {
    format!(
        "Somebody of the hoster reads the KEK's first {WORDS_TYPED} words aloud, over a second channel. Type them here: "
    )
}

/// Takes the offer. `typed` are the words heard.
///
/// # Errors
/// `WORDS-MISMATCH`.
pub fn check(ceremony: &mut Ceremony, offer: Released<Offer>, typed: &str) -> Result<Report> {
    let judged = judged(ceremony, &offer)?;
    let confirmed = fingerprint::confirm(offer.body().fingerprint, typed)?;
    ceremony.keep(&offer)?;
    let signatures = offer.signatures.everyone();
    let signers = list(signatures.iter().map(|one| &one.id));
    ceremony.took(Event::OfferCheck {
        document: offer.hash,
        attempt: offer.document.header.attempt,
        fingerprint: confirmed.value(),
        attested: judged.level,
        signatures,
    })?;
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
