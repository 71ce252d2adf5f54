//! `export --format`: every key is wrapped inside the tenant's HSM for the KEK of a cloud service,
//! by the same calls and behind the same gate as for a hoster's. There is no seal: whoever holds
//! that KEK has the keys.

use std::path::PathBuf;

use crate::{
    Ceremony,
    approval::Approved,
    services::cloud,
    tenant::{
        export::{CheckedExport, canary, checked_keys},
        keys,
    },
};
use hsm::{Hsm, TargetKey, WrapOrder};
use record::{
    Error, Result,
    encoding::Hash,
    folder,
    gate::{self, ExportKey},
    log::{CloudExported, CloudFile, Event},
    plan::{KeyPlan, Plan, ServicePlan as Destination},
    rule::Rule,
    spki::{self, MAX_CERTIFICATE, TargetCertificate},
    terms::{CloudFormat, Side, Step},
};
use terminal::report::Report;

/// The greatest length of a key identifier, in characters.
const MAX_KID: usize = 400;

/// What was named on the command line.
pub struct CloudOrder {
    /// For which service.
    pub format: CloudFormat,
    /// Its KEK's public half: PEM or DER SubjectPublicKeyInfo.
    pub kek: PathBuf,
    /// The KEK's key identifier, which Azure Key Vault wants to read in the file.
    pub kid: Option<String>,
}

/// The KEK of the service, as officers sign for it.
struct Kek {
    spki: Vec<u8>,
    kid: Option<String>,
}

impl CloudOrder {
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
        let spki = spki::der(folder::read_file(&self.kek, MAX_CERTIFICATE)?);
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

/// What officers sign for.
fn subject<'a>(
    plan: &Plan,
    format: CloudFormat,
    kek: &Kek,
    certificates: impl Iterator<Item = &'a TargetCertificate>,
) -> gate::CloudExport {
    let key = |(key, certificate): (&KeyPlan, &TargetCertificate)| ExportKey {
        label: key.label.clone(),
        spki: Hash::of(certificate.spki()),
        certificate: Hash::of(certificate.der()),
    };
    gate::CloudExport {
        format,
        kek_fingerprint: Hash::of(&kek.spki),
        kid: kek.kid.clone(),
        mechanism: plan.transfer.mechanism,
        oaep_hash: plan.transfer.oaep_hash,
        keys: plan.keys.iter().zip(certificates).map(key).collect(),
    }
}

/// Asks the officers for the export, before any PIN is asked for.
///
/// # Errors
/// `PHASE-ORDER`, `PLAN-TARGET`, `KEK-KEY`, [`Error::Usage`], [`Error::Waiting`], `SIGNATURE-…`,
/// `TARGET-CERTIFICATE`.
pub fn ask(ceremony: &mut Ceremony, order: &CloudOrder) -> Result<Approved<gate::CloudExport>> {
    ceremony.state.require(Step::CloudExport)?;
    let kek = order.read(&ceremony.plan)?;
    let certificates = ceremony.state.keys.iter();
    let certificates = certificates.map(|record| keys::certificate_of(ceremony, record));
    let certificates = certificates.collect::<Result<Vec<_>>>()?;
    let subject = subject(&ceremony.plan, order.format, &kek, certificates.iter());
    crate::approval::require(ceremony, &subject)
}

/// Makes the files for the service.
///
/// # Errors
/// `PHASE-ORDER`, `APPROVAL-SUBJECT`, `PLAN-TARGET`, `KEK-KEY`, `TARGET-…`, `WRAP-…`, or the HSM's.
pub fn export(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<gate::CloudExport>,
    order: &CloudOrder,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    ceremony.state.require(Step::CloudExport)?;
    let plan = ceremony.plan.clone();
    let kek = order.read(&plan)?;
    hsm.require(Side::Tenant, &plan)?;
    let checked = checked_keys(ceremony, hsm)?;
    let certificates = checked.iter().map(|key| &key.certificate);
    approved.covers(&subject(&plan, order.format, &kek, certificates))?;
    let wrap = WrapOrder {
        kek_spki: &kek.spki,
        trusted: None,
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions: 1,
    };
    hsm.wrap_ready(&wrap)?;
    let begun = ceremony.begin(Step::CloudExport)?;
    progress("canary: wrapping a throwaway key to a throwaway KEK, and opening it in software");
    let observed = canary(&plan, hsm, &checked)?;
    let targets: Vec<&TargetKey> = checked.iter().map(|key| &key.target).collect();
    let wrapped = hsm.wrap(&wrap, &targets, &|n| {
        progress(&format!("wrapping {}", checked[n].plan.label));
    })?;
    let kid = kek.kid.as_deref();
    let one = |(key, wrapped): (&CheckedExport, &hsm::wrapped_key::WrappedKey)| {
        let (label, bytes) = (&key.plan.label, wrapped.as_bytes());
        cloud::file(order.format, label, bytes, kid, hsm.identity())
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
        format: order.format,
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
    Ok(report.line(cloud::what_next(order.format)))
}
