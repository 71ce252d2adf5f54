//! `receipt check`: the tenant verifies that the hoster's HSM holds its keys.

use std::path::PathBuf;

use clap::Args;

use crate::{Ceremony, Means, Run};
use record::{
    Result,
    document::receipt::Receipt,
    log::Event,
    proof::Proof,
    rule::Rule,
    terms::{Step, list},
};
use terminal::report::Report;

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
        if receipt.body().package_id != keys.id {
            return Err(Rule::DocumentContent.refuse(
                format!("a receipt for the id {}", receipt.body().package_id),
                keys.id.to_string(),
                "ask the hoster which package was imported, or which challenge answered",
            ));
        }
        receipt
            .body()
            .proofs
            .iter()
            .try_for_each(|proof: &Proof| proof.verify(&ceremony.plan, &keys))?;
        ceremony.keep(&receipt)?;
        ceremony.took(Event::ReceiptCheck {
            document: receipt.hash,
            signatures: receipt.signatures.everyone(),
        })?;
        let report = Report::new(
            "The receipt is taken: the hoster's HSM signs and decrypts as the tenant's keys.",
        )
        .value("receipt", receipt.hash.to_string())
        .value("proofs", receipt.body().proofs.len());
        if ceremony.plan.way.is_challenged() {
            return Ok(report);
        }
        Ok(report.value("opened by", list(&receipt.body().custodians)))
    }
}
