//! `receipt check`: the tenant verifies that the hoster's HSM holds its keys. `accept`: it verifies
//! that they are primary, at every node, and says that the KEK may go.

use std::path::PathBuf;

use clap::Args;

use crate::tenant::metadata::{self, MetadataArgs};
use crate::{Ceremony, Means, Report, Run};
use record::document::acceptance::Acceptance;
use record::document::receipt::Receipt;
use record::document::registration::Registration;
use record::log::clock;
use record::terms::shown;
use record::{Event, KeySet, Kind, PackageId, Result, Rule, ServicePlan, Step, escape, list_or};

/// Verify that the hoster's HSM holds the keys
#[derive(Args)]
pub struct ReceiptCheck {
    /// The receipt/ folder
    receipt: PathBuf,
}

impl Run for ReceiptCheck {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::ReceiptCheck)?;
        let receipt = ceremony.take::<Receipt>(&self.receipt)?;
        let keys = ceremony.key_set()?;
        let remedy = "ask the hoster which package was imported, or which challenge answered";
        of_set(&keys, receipt.body().package_id, "a receipt for the id", remedy)?;
        let mut proofs = receipt.body().proofs.iter();
        proofs.try_for_each(|proof| proof.verify(&ceremony.plan, &keys))?;
        let signatures = receipt.signatures.everyone();
        ceremony.took(&receipt, Event::ReceiptCheck { document: receipt.hash, signatures })?;
        let report = Report::new(
            "The receipt is taken: the hoster's HSM signs and decrypts as the tenant's keys.",
        )
        .value("receipt", receipt.hash.to_string())
        .value("proofs", receipt.body().proofs.len());
        if ceremony.plan.way.is_challenged() {
            return Ok(report);
        }
        Ok(report.people("opened by", &ceremony.plan, &receipt.body().custodians))
    }
}

/// Verify that the keys are primary, and accept
#[derive(Args)]
pub struct Accept {
    /// The registration/ folder
    registration: PathBuf,
    #[command(flatten)]
    asked: MetadataArgs,
}

impl Run for Accept {
    /// Takes the registration, compares what nodes publish, and makes the acceptance.
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Accept)?;
        let wanted = self.asked.wanted(&ceremony.plan)?;
        let registration = ceremony.take::<Registration>(&self.registration)?;
        let keys = ceremony.key_set()?;
        let remedy = "ask the hoster which keys were registered";
        of_set(&keys, registration.body().package_id, "a registration of the package id", remedy)?;
        let evidence = registration.verify(&ceremony.plan, &keys)?;
        let clock = clock()?;
        evidence.iter().try_for_each(|one| one.not_ahead(clock))?;
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
        let signatures = registration.signatures.everyone();
        let document = ceremony.make(begun, body, files, |document, acceptance| {
            Event::accept(document, acceptance, registration.hash, signatures)
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
        let unpassed = evidence.iter().filter_map(|one| one.statement.unpassed_line());
        let report = unpassed.fold(report, |report, line| report.line(escape(&line)));
        match plan.target {
            ServicePlan::Local { .. } | ServicePlan::Cloud(_) => Ok(report),
            ServicePlan::Hgs { .. } => Ok(metadata::report(report, plan, &published, keys.pair()?)),
        }
    }
}

/// A document is about the keys that were sent.
fn of_set(keys: &KeySet, id: PackageId, what: &str, remedy: &str) -> Result<()> {
    let found = format!("{what} {id}");
    Rule::DocumentContent.ensure(id == keys.id, found, keys.id.to_string(), remedy)
}
