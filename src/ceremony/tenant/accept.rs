//! `accept`: the tenant verifies that its keys are primary, at every node, and says that the KEK
//! may go.

use std::path::PathBuf;

use clap::Args;

use crate::{
    Ceremony, Means, Run,
    tenant::metadata::{self, FetchedMetadata},
};
use record::{
    Result,
    document::{acceptance::Acceptance, registration::Registration},
    log::Event,
    plan::ServicePlan,
    rule::Rule,
    terms::{Kind, Step, list_or, shown},
};
use terminal::report::Report;

/// Verify that the keys are primary, and accept
#[derive(Args)]
pub struct Accept {
    /// The registration/ folder
    registration: PathBuf,
    #[command(flatten)]
    asked: FetchedMetadata,
}

impl Run for Accept {
    /// Takes the registration, compares what nodes publish, and makes the acceptance.
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Accept)?;
        let wanted = self.asked.wanted(&ceremony.plan)?;
        let registration = ceremony.take::<Registration>(&self.registration)?;
        let keys = ceremony.key_set()?;
        if registration.body().package_id != keys.id {
            return Err(Rule::DocumentContent.refuse(
                format!("a registration of the package id {}", registration.body().package_id),
                keys.id.to_string(),
                "ask the hoster which keys were registered",
            ));
        }
        let evidence = registration.verify(&ceremony.plan, &keys)?;
        // A wrong file changes nothing: not even the intent is written.
        let published = metadata::take(&wanted, &keys)?;
        let begun = ceremony.begin_taking(Step::Accept, &registration)?;
        let (log, mut files) = ceremony.log_file()?;
        let body = Acceptance {
            package_id: keys.id,
            receipt: ceremony.state.document(Kind::Receipt)?,
            kek_fingerprint: ceremony.state.offered,
            log,
            metadata: published.iter().map(|one| one.entry.clone()).collect(),
        };
        files.extend(published.iter().map(|one| one.listed()));
        let document = ceremony.make(begun, body, files, |document| Event::Accept {
            document,
            registration: registration.hash,
            signatures: registration.signatures.everyone(),
            metadata: published.iter().map(|one| one.entry.logged()).collect(),
        })?;
        let (plan, body) = (&ceremony.plan, registration.body());
        let report = Report::new(
            "Accepted: the tenant's keys are the primary keys of the hoster's service.",
        )
        .value("registration", registration.hash.to_string())
        .value("evidence", evidence.len())
        .value("nodes", list_or("none", body.nodes(plan)))
        .value("removed", list_or("none", &body.removed))
        .value("former", shown(&body.former))
        .value("acceptance", document.to_string());
        match plan.target {
            ServicePlan::Local { .. } | ServicePlan::Cloud(_) => Ok(report),
            ServicePlan::Hgs { .. } => Ok(metadata::report(report, plan, &published, keys.pair()?)),
        }
    }
}
