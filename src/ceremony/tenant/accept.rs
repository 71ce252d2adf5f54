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
    log::{Event, LOG_FILE},
    plan::ServicePlan,
    rule::Rule,
    terms::{Kind, Listed, Step, list_or, shown},
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
        ceremony.keep(&registration)?;
        let begun = ceremony.begin(Step::Accept)?;
        let log = ceremony.log_bytes()?;
        let body = Acceptance {
            package_id: keys.id,
            receipt: ceremony.state.document(Kind::Receipt)?,
            kek_fingerprint: ceremony.state.offered,
            log: Listed::of(&log),
            metadata: published.iter().map(|one| one.entry.clone()).collect(),
        };
        let mut files = vec![(LOG_FILE.to_owned(), log)];
        files.extend(published.iter().map(|one| one.listed()));
        let document = ceremony.build_answering(&begun, registration.hash, body, files)?;
        ceremony.finish(
            begun,
            Event::Accept {
                document,
                registration: registration.hash,
                signatures: registration.signatures.everyone(),
                metadata: published.iter().map(|one| one.entry.logged()).collect(),
            },
        )?;
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
