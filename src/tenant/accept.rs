//! `accept`: the tenant verifies that its keys are primary, at every node, and says that the KEK may go.

use std::path::Path;

use crate::{
    Result,
    ceremony::Ceremony,
    document::{
        Kind, Listed, acceptance::Acceptance, package::Package, registration::Registration,
    },
    log::{Event, LOG_FILE},
    phase::Step,
    report::Report,
    rule::Rule,
};

/// Takes the registration and makes the acceptance.
///
/// # Errors
/// `PHASE-ORDER`, `DOCUMENT-…`, `SIGNATURE-…` and `PROOF-…` rules.
pub fn accept(ceremony: &mut Ceremony, folder: &Path) -> Result<Report> {
    ceremony.state.require(Step::Accept)?;
    let registration = ceremony.take::<Registration>(folder)?;
    let (package, _) = ceremony.sent::<Package>()?;
    if registration.body().package_id != package.body().package_id {
        return Err(Rule::DocumentContent.refuse(
            format!(
                "a registration of the package id {}",
                registration.body().package_id
            ),
            package.body().package_id.to_string(),
            "ask the hoster which keys were registered",
        ));
    }
    registration
        .body()
        .proofs
        .iter()
        .try_for_each(|proof| proof.verify(&ceremony.plan, package.body()))?;
    ceremony.keep(&registration)?;
    let begun = ceremony.begin(Step::Accept)?;
    let log = ceremony.log_bytes()?;
    let body = Acceptance {
        package_id: package.body().package_id,
        receipt: ceremony.state.document(Kind::Receipt)?,
        kek_fingerprint: package.body().kek_fingerprint,
        log: Listed::of(&log),
    };
    let document = ceremony.build_answering(
        &begun,
        registration.hash,
        body,
        vec![(LOG_FILE.to_owned(), log)],
    )?;
    let proofs = registration.body().proofs.len();
    ceremony.finish(
        begun,
        Event::Accept {
            document,
            registration: registration.hash,
            signatures: registration.signatures.everyone(),
        },
    )?;
    let former = registration
        .body()
        .former
        .map_or("none".into(), |hash| format!("the key set of plan {hash}"));
    Ok(
        Report::new("Accepted: the tenant's keys are the primary keys of the hoster's service.")
            .value("registration", registration.hash.to_string())
            .value("proofs", proofs)
            .value("former", former)
            .value("acceptance", document.to_string()),
    )
}
