//! `kek create` and `kek destroy`: the key-encryption key lives for one ceremony only.

use std::path::PathBuf;

use clap::Args;

use crate::hoster::attesting::AttestationFiles;
use crate::{Ceremony, Means, Report, Run};
use hsm::{Hsm, ImportOrder, KekSpec};
use record::document::attestation::{Attested, KEK};
use record::document::offer::Offer;
use record::log::clock;
use record::{Blob, Error, Event, Hash, Result, Side, Step, fingerprint, with_commands};

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
        means.in_hsm(ceremony, Step::KekCreate, |ceremony, hsm| self.create(ceremony, means, hsm))
    }
}

impl KekCreate {
    /// Makes the KEK, or finds the one that an interrupted run made, and the offer.
    fn create(&self, ceremony: &mut Ceremony, means: &Means, hsm: &Hsm) -> Result<Report> {
        let progress = |text: &str| means.asker.progress(text);
        let plan = ceremony.plan.clone();
        let of_kek = |file: &Option<PathBuf>| {
            let of = |file: &PathBuf| Ok((KEK.parse().map_err(Error::defect)?, file.clone()));
            file.iter().map(of).collect::<Result<Vec<_>>>()
        };
        let (attestation, report) = (of_kek(&self.attestation)?, of_kek(&self.attestation_report)?);
        let files = AttestationFiles::read(&[KEK], &attestation, &report)?;
        let transfer = &plan.transfer;
        hsm.require(Side::Hoster, &plan)?;
        let begun = ceremony.begin(Step::KekCreate)?;
        progress("canary: unwrapping a throwaway key under a throwaway KEK");
        let waived = |rule| plan.waives(rule);
        let (mechanism, oaep) = (transfer.mechanism, transfer.oaep_hash);
        let (observed, attacks) = hsm.unwrap_canary(mechanism, oaep, &waived)?;
        progress(&format!("making the KEK, RSA-{}", transfer.kek_bits));
        let id = plan.kek_id(begun.attempt);
        let label = plan.hoster_label("keyferry-kek");
        let spec = KekSpec { bits: transfer.kek_bits, mechanism };
        let kek = hsm.kek_create(id, &label, spec, &waived)?;
        progress("canary: unwrapping a throwaway key under the KEK");
        let order = ImportOrder { kek: kek.id, kek_spki: &kek.spki, mechanism, oaep, sessions: 1 };
        let keys: Vec<_> = plan.keys.iter().map(|key| (key.key_type, key.usage)).collect();
        hsm.kek_canary(&order, &[observed.kwp], &keys)?;
        let fingerprint = Hash::of(&kek.spki);
        if self.prepare {
            return Ok(Report::new("The KEK is in the HSM, and not yet offered: let the vendor's tool attest it.")
            .value("CKA_ID", id.to_string())
            .value("label", label)
            .value("KEK", fingerprint.to_string())
            .line(with_commands("Then, with --attestation-report FILE besides where only the vendor's tool can read it:\n  {hoster kek create --attestation FILE}")));
        }
        let missed = kek.missed.iter().map(|(rule, _)| *rule);
        let offer = Offer {
            id: kek.id,
            spki: Blob(kek.spki),
            fingerprint,
            mechanism,
            oaep_hash: oaep,
            observed,
            attributes: kek.attributes,
            waived: attacks.iter().map(|attack| attack.rule).chain(missed).collect(),
            attestations: files.attestations.clone(),
            token: hsm.identity().clone(),
        };
        let judged = offer.attested(|name| files.bytes(name), &plan, clock()?)?;
        let document = ceremony.make(begun, offer, files.files, |document, offer| {
            Event::kek_create(document, offer, judged.level)
        })?;
        let report = Report::new("The KEK is in the HSM, and the offer is made.")
            .value("offer", document.to_string())
            .value("KEK", fingerprint.to_string())
            .texts("evidence", &judged.lines);
        Ok(to_read_aloud(report, fingerprint)
            .part("WHERE IT IS")
            .value("folder", ceremony.outbox("offer").display().to_string()))
    }
}

/// The words that the tenant is to hear.
pub fn to_read_aloud(report: Report, fingerprint: Hash) -> Report {
    report
        .part("WORDS TO READ ALOUD")
        .line(with_commands("Its words; the first 16 are read aloud to the tenant over a second channel (`{audit show FILE}`, of the folder's document, shows them again):"))
        .line(fingerprint::rows(&fingerprint.0))
        .data("words", fingerprint::words(&fingerprint.0).join(" "))
}
