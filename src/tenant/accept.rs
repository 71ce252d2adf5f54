//! `accept`: the tenant verifies that its keys are primary, at every node, and says that the KEK may go.

use std::path::Path;

use crate::{
    Result,
    ceremony::Ceremony,
    document::{
        Kind, Listed, acceptance::Acceptance, package::Package, registration::Registration,
    },
    log::{Event, LOG_FILE},
    node::shown,
    phase::Step,
    plan::Id,
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
    let evidence = registration.verify(&ceremony.plan, &package)?;
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
    ceremony.finish(
        begun,
        Event::Accept {
            document,
            registration: registration.hash,
            signatures: registration.signatures.everyone(),
        },
    )?;
    let (plan, body) = (&ceremony.plan, registration.body());
    let report =
        Report::new("Accepted: the tenant's keys are the primary keys of the hoster's service.")
            .value("registration", registration.hash.to_string())
            .value("evidence", evidence.len())
            .value("nodes", list(body.nodes(plan)))
            .value("removed", list(body.removed.iter()))
            .value("former", shown(&body.former))
            .value("acceptance", document.to_string());
    Ok(report)
}

fn list<'a>(ids: impl IntoIterator<Item = &'a Id>) -> String {
    let ids: Vec<&str> = ids.into_iter().map(Id::as_str).collect();
    match ids.is_empty() {
        true => "none".into(),
        false => ids.join(", "),
    }
}
