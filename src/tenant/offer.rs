//! `offer check`: the tenant takes the hoster's KEK, by the words that the hoster reads aloud.

use std::path::Path;

use crate::{
    Result,
    ceremony::Ceremony,
    document::{Released, offer::Offer},
    fingerprint::{self, WORDS_TYPED},
    log::Event,
    phase::Step,
    report::Report,
};

/// Reads the offer and verifies everything but the words.
///
/// # Errors
/// `PHASE-ORDER`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn read(ceremony: &Ceremony, folder: &Path) -> Result<Released<Offer>> {
    ceremony.state.require(Step::OfferCheck)?;
    ceremony.take::<Offer>(folder)
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
    let confirmed = fingerprint::confirm(offer.body().fingerprint, typed)?;
    ceremony.keep(&offer)?;
    let signatures = offer.signatures.everyone();
    let signers = signatures
        .iter()
        .map(|one| one.id.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    ceremony.took(Event::OfferCheck {
        document: offer.hash,
        attempt: offer.document.header.attempt,
        fingerprint: confirmed.value(),
        signatures,
    })?;
    let report = Report::new("The offer is taken: this KEK is the hoster's.")
        .value("offer", offer.hash.to_string())
        .value("KEK", confirmed.value().to_string())
        .value("released by", signers);
    Ok(match offer.body().waived.as_slice() {
        [] => report,
        waived => report.value(
            "waived",
            waived
                .iter()
                .map(|rule| rule.name())
                .collect::<Vec<_>>()
                .join(", "),
        ),
    })
}
