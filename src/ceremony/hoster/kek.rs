//! `kek create` and `kek destroy`: the key-encryption key lives for one ceremony only.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use crate::{
    Ceremony, Means, Run,
    hoster::{
        acceptance::accepted,
        attesting::{Files, GivenAttestations},
        remains,
    },
    side::room,
};
use hsm::{Hsm, Kek, KekSpec};
use record::{
    Error, Result,
    document::{
        Released, acceptance::Acceptance, attestation::KEK, closing::Closing, offer::Offer,
    },
    encoding::{Blob, Hash},
    fingerprint, gate,
    log::{Event, KekRecord},
    rule::Rule,
    terms::{Observed, Originals, Side, Step, TransferRoute, list_or},
};
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
            GivenAttestations::of_kek(self.attestation.as_ref(), self.attestation_report.as_ref())?;
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
        hsm.kek_canary(&kek, transfer.mechanism, transfer.oaep_hash, observed.kwp)?;
        let fingerprint = Hash::of(&kek.spki);
        if self.prepare {
            return Ok(Report::new("The KEK is in the HSM, and not yet offered: let the vendor's tool attest it.")
            .value("CKA_ID", id.to_string())
            .value("label", label)
            .value("KEK", fingerprint.to_string())
            .line("Then: keyferry-hoster kek create --attestation FILE, with --attestation-report FILE where only the vendor's tool can read it."));
        }
        let offer = offer(&plan, hsm, &kek, observed, &files);
        let judged = offer.attested(|name| files.bytes(name), &plan, Timestamp::now())?;
        let waived = offer.waived.clone();
        let document = ceremony.make(begun, offer, files.files, |document| Event::KekCreate {
            document,
            kek: KekRecord { id, fingerprint },
            token: hsm.identity().clone(),
            observed,
            attributes: kek.attributes,
            waived,
            attested: judged.level,
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

/// Destroy the KEK once the tenant has accepted, or after an abort, and make the closing
#[derive(Args)]
pub struct KekDestroy {
    /// The acceptance/ folder; after an abort there is none
    acceptance: Option<PathBuf>,
    /// How the target keys are backed up here; where the plan says that the tenant then
    /// destroys its originals
    #[arg(long, value_name = "TEXT")]
    backup: Option<String>,
}

impl Run for KekDestroy {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            let (why, kek) = Why::find(ceremony, self.acceptance.as_deref())?;
            let backup = stated(ceremony, &why, self.backup.as_deref())?;
            Ok((why.subject(ceremony, &kek), Going { why, kek, backup }))
        };
        means.gated(ceremony, Step::KekDestroy, find, destroy)
    }
}

/// A KEK that may go.
struct Going {
    why: Why,
    kek: KekRecord,
    /// What the hoster says of its backups of the keys.
    backup: Option<String>,
}

/// Why the KEK may go: the tenant has accepted, or the ceremony was aborted.
enum Why {
    Accepted(Box<Released<Acceptance>>),
    Aborted(Hash),
}

impl Why {
    /// What allows it, and what it is about, checked as far as documents and logs can tell.
    fn find(ceremony: &Ceremony, folder: Option<&Path>) -> Result<(Self, KekRecord)> {
        ceremony.state.require(Step::KekDestroy)?;
        let kek = ceremony.state.kek.clone().ok_or_else(|| {
            Rule::LogEvent.refuse(
                "no KEK in the log",
                "an entry kek-create",
                "the record names no KEK: one that was begun is removed by `abort`, which looks in the HSM, or with the vendor's tool; `close` ends the record",
            )
        })?;
        let why = match (ceremony.state.aborted, folder) {
            (Some(head), None) => Why::Aborted(head.hash),
            (None, Some(folder)) => Why::Accepted(Box::new(accepted(ceremony, folder)?)),
            (aborted, _) => {
                let remedy = match aborted {
                    Some(_) => "after an abort: keyferry-hoster kek destroy",
                    None => "keyferry-hoster kek destroy ACCEPTANCE",
                };
                return Err(Error::Usage {
                    what: "an acceptance is given where there is none, or is missing".into(),
                    remedy: remedy.into(),
                });
            }
        };
        Ok((why, kek))
    }

    /// What officers sign for. After an abort imported keys go too, unless their service may use
    /// them already.
    fn subject(&self, ceremony: &Ceremony, kek: &KekRecord) -> gate::KekDestroy {
        let (acceptance, abort) = match self {
            Why::Accepted(acceptance) => (Some(acceptance.hash), None),
            Why::Aborted(abort) => (None, Some(*abort)),
        };
        let state = &ceremony.state;
        let imported = match abort.is_some()
            && (state.quorum.is_some() || state.way == TransferRoute::Brought)
        {
            true => remains::targets(ceremony).map(|(label, _)| label.clone()).collect(),
            false => Vec::new(),
        };
        let (keys, stay) = match state.primary_begun {
            false => (imported, Vec::new()),
            true => (Vec::new(), imported),
        };
        gate::KekDestroy { acceptance, abort, kek_fingerprint: kek.fingerprint, keys, stay }
    }
}

/// What the closing says of backups: something where the plan destroys the tenant's originals, and
/// nothing else.
fn stated(ceremony: &Ceremony, why: &Why, backup: Option<&str>) -> Result<Option<String>> {
    let needed = ceremony.plan.source == Originals::Destroy && matches!(why, Why::Accepted(_));
    match (backup, needed) {
        (Some(backup), true) => room::reason(backup).map(Some),
        (None, false) => Ok(None),
        (None, true) => Err(Error::Usage {
            what: "no --backup, and the tenant destroys its originals after this".into(),
            remedy: "kek destroy ACCEPTANCE --backup TEXT: how the target keys are backed up; it goes into the closing, which your officers sign".into(),
        }),
        (Some(_), false) => Err(Error::Usage {
            what: "--backup where the tenant's originals stay".into(),
            remedy: "leave it out".into(),
        }),
    }
}

/// Destroys the KEK, and after an abort what was imported under it, looks that it is gone, and
/// makes the closing.
fn destroy(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    subject: gate::KekDestroy,
    going: Going,
) -> Result<Report> {
    let Going { why, kek, backup } = going;
    let (begun, signatures) = match &why {
        Why::Accepted(acceptance) => {
            let begun = ceremony.begin_taking(Step::KekDestroy, acceptance)?;
            (begun, acceptance.signatures.everyone())
        }
        Why::Aborted(abort) => (ceremony.begin(Step::KekDestroy)?.answering(*abort), Vec::new()),
    };
    hsm.kek_destroy(kek.id, kek.fingerprint)?;
    let keys = match subject.keys.is_empty() {
        true => Vec::new(),
        false => remains::destroy_targets(ceremony, hsm)?,
    };
    let (log, files) = ceremony.log_file()?;
    let closing = Closing {
        kek_fingerprint: Some(kek.fingerprint),
        token: Some(hsm.identity().clone()),
        backup,
        log,
    };
    let destroyed = list_or("none", &keys);
    let document = ceremony.make(begun, closing, files, |document| Event::KekDestroy {
        document,
        acceptance: subject.acceptance,
        fingerprint: kek.fingerprint,
        keys,
        signatures,
    })?;
    Ok(Report::new("The KEK is destroyed; a new session no longer finds either half.")
        .line("Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("KEK", kek.fingerprint.to_string())
        .value("keys destroyed", destroyed)
        .value("closing", document.to_string()))
}
