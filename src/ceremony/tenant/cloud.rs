//! `export --format`: every key is wrapped inside the tenant's HSM for the KEK of a cloud service,
//! by the same calls and behind the same gate as for a hoster's. There is no seal: whoever holds
//! that KEK has the keys.

use std::path::PathBuf;

use clap::Args;

use crate::services::cloud;
use crate::tenant::export::{WrapCandidate, canary, checked_keys};
use crate::tenant::keys::certificates_of;
use crate::{Ceremony, Means, Run};
use hsm::{Hsm, TargetKey, WrapOrder};
use record::encoding::Hash;
use record::log::{CloudExported, CloudFile, Event};
use record::plan::{Plan, ServicePlan as Destination};
use record::rule::Rule;
use record::terms::{CloudFormat, KwpFlavour, Observed, Step, TransferRoute};
use record::{Error, Result, brought, gate, spki};
use terminal::report::Report;

/// The greatest length of a key identifier, in characters.
const MAX_KID: usize = 400;

/// Wrap every key for a cloud service
#[derive(Args)]
pub struct CloudExport {
    /// The cloud service of the plan: azure-byok, aws-kms or gcp-kms
    #[arg(long, value_name = "FORMAT", value_parser = of_cloud, required = false, requires = "kek")]
    format: CloudFormat,
    /// With --format: the service's wrapping key, PEM or DER
    #[arg(long, value_name = "FILE", required = false, requires = "format")]
    kek: PathBuf,
    /// With azure-byok: the key identifier of the KEK, a URL
    #[arg(long, value_name = "URL", requires = "format")]
    kid: Option<String>,
}

fn of_cloud(text: &str) -> std::result::Result<CloudFormat, String> {
    let found = CloudFormat::ALL.into_iter().find(|format| format.name() == text);
    found.ok_or_else(|| "expected azure-byok, aws-kms or gcp-kms".into())
}

impl Run for CloudExport {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            ceremony.state.require(Step::CloudExport)?;
            let kek = self.read(&ceremony.plan)?;
            certificates_of(ceremony)?;
            let (plan, state) = (&ceremony.plan, &ceremony.state);
            let fingerprint = Hash::of(&kek.spki);
            let kid = kek.kid.clone();
            Ok((gate::CloudExport::of(plan, state, self.format, fingerprint, kid), kek))
        };
        means.gated(ceremony, Step::CloudExport, find, |ceremony, hsm, _, kek| {
            let keys = checked_keys(ceremony, hsm)?;
            let say = |text: &str| means.asker.progress(text);
            export(ceremony, hsm, (self.format, &kek), &keys, &say)
        })
    }
}

/// The KEK of the service, as officers sign for it.
struct Kek {
    spki: Vec<u8>,
    kid: Option<String>,
}

impl CloudExport {
    /// Reads the KEK, and holds it and the rest against the plan.
    fn read(&self, plan: &Plan) -> Result<Kek> {
        let Destination::Cloud(planned) = &plan.target else {
            return Err(Rule::PlanTarget.refuse(
                format!("export for {}", self.format.name()),
                format!("what the plan says: the target {}", plan.target.kind()),
                "leave --format out; for a cloud service agree on a plan whose target kind is its format",
            ));
        };
        if self.format != *planned {
            return Err(Rule::PlanTarget.refuse(
                format!("export for {}", self.format.name()),
                planned.name(),
                "name the format of the plan",
            ));
        }
        let wants_kid = self.format == CloudFormat::AzureByok;
        let fits = self.kid.as_ref().is_none_or(|kid| {
            (1..=MAX_KID).contains(&kid.len()) && kid.chars().all(|c| c.is_ascii_graphic())
        });
        if wants_kid != self.kid.is_some() || !fits {
            return Err(Error::Usage {
                what: "--kid is missing, not wanted, or no identifier".into(),
                remedy: "azure-byok, and it alone, wants --kid URL: the key identifier of the KEK in Key Vault".into(),
            });
        }
        let spki = brought::public_key(&self.kek, Rule::KekKey)?;
        let wrong = |found: String| {
            Rule::KekKey.refuse(
                format!("{}: {found}", self.kek.display()),
                format!("an RSA public key of {} bits, exponent 65537", plan.transfer.kek_bits),
                "take the wrapping key from the service again, of the size that the plan says",
            )
        };
        match spki::rsa_bits(&spki).map_err(wrong)? {
            bits if bits == plan.transfer.kek_bits => Ok(Kek { spki, kid: self.kid.clone() }),
            bits => Err(wrong(format!("a key of {bits} bits"))),
        }
    }
}

/// Zeros behind the PKCS#8 are no matter at the hoster, whose import was tried; the importer of a
/// cloud service is not ours.
///
/// # Errors
/// `WRAP-ZERO-FILLED`.
pub fn require_unfilled(plan: &Plan, observed: &Observed) -> Result<()> {
    let filled = plan.way == TransferRoute::Cloud && observed.kwp == KwpFlavour::Rfc5649ZeroFilled;
    Rule::WrapZeroFilled.ensure(
        !filled || plan.waives(Rule::WrapZeroFilled),
        "the token fills the PKCS#8 with zero bytes before it wraps it (rfc5649-zero-filled)",
        "exactly the PKCS#8: whether the service takes it filled, only the service can say",
        "try it at the service with a throwaway key of a rehearsal; where it takes it, agree on a plan that waives WRAP-ZERO-FILLED, else on another token",
    )
}

/// Makes the files for the service.
fn export(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    (format, kek): (CloudFormat, &Kek),
    checked: &[WrapCandidate],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    let plan = ceremony.plan.clone();
    let wrap = WrapOrder {
        kek_spki: &kek.spki,
        trusted: None,
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions: 1,
    };
    hsm.wrap_ready(&wrap)?;
    // Before the intent: what the service would refuse changes nothing.
    progress("canary: wrapping a throwaway key to a throwaway KEK, and opening it in software");
    let observed = canary(&plan, hsm, checked)?;
    require_unfilled(&plan, &observed)?;
    let begun = ceremony.begin(Step::CloudExport)?;
    let targets: Vec<&TargetKey> = checked.iter().map(|key| &key.target).collect();
    let wrapped = hsm.wrap(&wrap, &targets, &|n| {
        progress(&format!("wrapping {}", checked[n].plan.label));
    })?;
    let kid = kek.kid.as_deref();
    let one = |(key, wrapped): (&WrapCandidate, &hsm::wrapped_key::WrappedKey)| {
        let (label, bytes) = (&key.plan.label, wrapped.as_bytes());
        cloud::file(format, label, bytes, kid, hsm.identity())
    };
    let files = checked.iter().zip(&wrapped).map(one);
    let files = files.collect::<Result<Vec<_>>>()?;
    let folder = ceremony.stage_cloud(&begun, &files)?;
    let listed = checked.iter().zip(&files).map(|(key, (_, bytes))| CloudFile {
        label: key.plan.label.clone(),
        file: Hash::of(bytes),
    });
    let fingerprint = Hash::of(&kek.spki);
    let event = Event::CloudExport(CloudExported {
        format,
        fingerprint,
        observed,
        token: hsm.identity().clone(),
        files: listed.collect(),
    });
    ceremony.finish(begun, event)?;
    let report = Report::new(
        "The keys are wrapped for the service's KEK. Whoever holds that KEK has the keys.",
    )
    .value("KEK", fingerprint.to_string())
    .value("folder", folder.display().to_string());
    let report = files.iter().fold(report, |report, (name, bytes)| {
        report.value(name, format!("{} bytes, SHA-256 {}", bytes.len(), Hash::of(bytes)))
    });
    Ok(report.line(cloud::what_next(format)))
}
