//! `kek create` and `kek destroy`: the key-encryption key lives for one ceremony only.

use std::path::PathBuf;

use clap::Args;

use crate::hoster::attesting::{AttestationArgs, Files};
use crate::{Ceremony, Means, Run};
use hsm::{Hsm, ImportOrder, Kek, KekSpec};
use record::document::attestation::KEK;
use record::document::offer::Offer;
use record::encoding::{Blob, Hash};
use record::log::{Event, clock};
use record::terms::{Observed, Side, Step};
use record::{Result, fingerprint};
use terminal::report::Report;

/// Make the KEK of this ceremony, and the offer
#[derive(Args)]
pub struct KekCreate {
    /// Only make it, and stop, so that the vendor's tool can attest it
    #[arg(long, conflicts_with_all = ["attestation", "attestation_report"])]
    prepare: bool,
    /// What the vendor says of the KEK: certificates in PEM, its own first, the root's last; or
    /// another form, with a report
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// What the vendor's own tool said of an attestation of another form
    #[arg(long, value_name = "FILE", requires = "attestation")]
    attestation_report: Option<PathBuf>,
}

impl Run for KekCreate {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.in_hsm(ceremony, Step::KekCreate, |ceremony, hsm| {
            self.create(ceremony, hsm, &|text| means.asker.progress(text))
        })
    }
}

impl KekCreate {
    /// Makes the KEK, or finds the one that an interrupted run made, and the offer.
    fn create(
        &self,
        ceremony: &mut Ceremony,
        hsm: &Hsm,
        progress: &dyn Fn(&str),
    ) -> Result<Report> {
        let plan = ceremony.plan.clone();
        let given =
            AttestationArgs::of_kek(self.attestation.as_ref(), self.attestation_report.as_ref())?;
        let files = given.read(&[KEK])?;
        let transfer = &plan.transfer;
        hsm.require(Side::Hoster, &plan)?;
        let begun = ceremony.begin(Step::KekCreate)?;
        progress("canary: unwrapping a throwaway key under a throwaway KEK");
        let observed = hsm.unwrap_canary(transfer.mechanism, transfer.oaep_hash)?;
        progress(&format!("making the KEK, RSA-{}", transfer.kek_bits));
        let id = plan.kek_id(begun.attempt());
        let label = plan.hoster_label("keyferry-kek");
        let spec = KekSpec { bits: transfer.kek_bits, mechanism: transfer.mechanism };
        let kek = hsm.kek_create(id, &label, spec, &|rule| plan.waives(rule))?;
        progress("canary: unwrapping a throwaway key under the KEK");
        let order = ImportOrder {
            kek: kek.id,
            kek_spki: &kek.spki,
            mechanism: transfer.mechanism,
            oaep: transfer.oaep_hash,
            sessions: 1,
        };
        let usages: Vec<_> = plan.keys.iter().map(|key| key.usage).collect();
        hsm.kek_canary(&order, &[observed.kwp], &usages)?;
        let fingerprint = Hash::of(&kek.spki);
        if self.prepare {
            return Ok(Report::new("The KEK is in the HSM, and not yet offered: let the vendor's tool attest it.")
            .value("CKA_ID", id.to_string())
            .value("label", label)
            .value("KEK", fingerprint.to_string())
            .line("Then: keyferry-hoster kek create --attestation FILE, with --attestation-report FILE where only the vendor's tool can read it."));
        }
        let offer = offer(&plan, hsm, &kek, observed, &files);
        let judged = offer.attested(|name| files.bytes(name), &plan, clock()?)?;
        let document = ceremony.make(begun, offer, files.files, |document, offer| {
            Event::kek_create(document, offer, judged.level)
        })?;
        let report = Report::new("The KEK is in the HSM, and the offer is made.")
            .value("offer", document.to_string())
            .value("KEK", fingerprint.to_string());
        Ok(report.texts("evidence", &judged.lines)
        .line("Its words; the first two rows are read aloud to the tenant over a second channel (`keyferry-audit show` shows them again):")
        .line(fingerprint::rows(&fingerprint.0))
        .data("words", fingerprint::words(&fingerprint.0).join(" "))
        .value("folder", ceremony.outbox("offer").display().to_string()))
    }
}

fn offer(
    plan: &record::plan::Plan,
    hsm: &Hsm,
    kek: &Kek,
    observed: Observed,
    files: &Files,
) -> Offer {
    Offer {
        id: kek.id,
        spki: Blob(kek.spki.clone()),
        fingerprint: Hash::of(&kek.spki),
        mechanism: plan.transfer.mechanism,
        oaep_hash: plan.transfer.oaep_hash,
        observed,
        attributes: kek.attributes.clone(),
        waived: kek.missed.iter().map(|(rule, _)| *rule).collect(),
        attestations: files.attestations.clone(),
        token: hsm.identity().clone(),
    }
}
