//! `export --format`: every key is wrapped inside the tenant's HSM for the KEK of a cloud service,
//! by the same calls and behind the same gate as for a hoster's. There is no seal: whoever holds
//! that KEK has the keys.

use std::path::PathBuf;

use clap::Args;
use data_encoding::BASE64URL_NOPAD;

use crate::tenant::export::{WrapCandidate, checked_keys, wrap, wrap_order};
use crate::tenant::keys::certificates_of;
use crate::{Ceremony, Means, Run};
use hsm::Hsm;
use hsm::wrapped_key::WrappedKey;
use record::encoding::{Hash, json_file};
use record::log::{CloudExported, CloudFile, Event};
use record::plan::{Plan, ServicePlan as Destination};
use record::rule::Rule;
use record::spki::{self, MAX_CERTIFICATE};
use record::terms::{CloudFormat, Id, Step, TokenIdentity};
use record::{Error, Result, folder, gate};
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
            let (fingerprint, kid) = (Hash::of(&kek), self.kid.clone());
            Ok((gate::CloudExport::of(plan, state, self.format, fingerprint, kid), kek))
        };
        means.gated(ceremony, Step::CloudExport, find, |ceremony, hsm, _, kek| {
            self.export(ceremony, means, hsm, &kek)
        })
    }
}

impl CloudExport {
    /// Reads the service's KEK, and holds it and the rest against the plan.
    fn read(&self, plan: &Plan) -> Result<Vec<u8>> {
        let Destination::Cloud(planned) = &plan.target else {
            return Err(Rule::PlanTarget.refuse(
                format!("export for {}", self.format.name()),
                format!("what the plan says: the target {}", plan.target.kind()),
                "leave --format out; for a cloud service agree on a plan whose target kind is its format",
            ));
        };
        Rule::PlanTarget.ensure(
            self.format == *planned,
            format!("export for {}", self.format.name()),
            planned.name(),
            "name the format of the plan",
        )?;
        let wants_kid = self.format == CloudFormat::AzureByok;
        let fits = self.kid.as_ref().is_none_or(|kid| {
            (1..=MAX_KID).contains(&kid.len()) && kid.chars().all(|c| c.is_ascii_graphic())
        });
        if wants_kid != self.kid.is_some() || !fits {
            return Err(Error::usage(
                "--kid is missing, not wanted, or no identifier",
                "azure-byok, and it alone, wants --kid URL: the key identifier of the KEK in Key Vault",
            ));
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
            bits if bits == plan.transfer.kek_bits => Ok(spki),
            bits => Err(wrong(format!("a key of {bits} bits"))),
        }
    }
    /// Makes the files for the service.
    fn export(
        &self,
        ceremony: &mut Ceremony,
        means: &Means,
        hsm: &Hsm,
        kek: &[u8],
    ) -> Result<Report> {
        let keys = checked_keys(ceremony, hsm)?;
        let order = wrap_order(ceremony, kek, 1);
        hsm.wrap_ready(&order)?;
        let begun = ceremony.begin(Step::CloudExport)?;
        let (observed, wrapped) = wrap(ceremony, means, hsm, (&order, &keys))?;
        let one = |(key, wrapped): (&WrapCandidate, &WrappedKey)| {
            let (label, bytes) = (&key.plan.label, wrapped.as_bytes());
            file(self.format, label, bytes, self.kid.as_deref(), hsm.identity())
        };
        let files = keys.iter().zip(&wrapped).map(one).collect::<Result<Vec<_>>>()?;
        let folder = ceremony.stage_cloud(&begun, &files)?;
        let listed = keys.iter().zip(&files).map(|(key, (_, bytes))| CloudFile {
            label: key.plan.label.clone(),
            file: Hash::of(bytes),
        });
        let fingerprint = Hash::of(kek);
        let event = Event::CloudExport(CloudExported {
            format: self.format,
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
        Ok(report.line(what_next(self.format)))
    }
}

/// A wrapped key in the form that its service takes, and the name of its file.
///
/// Azure Key Vault: JSON, schema 1.0.0, whose `kid` is the KEK's key identifier. AWS KMS
/// (`EncryptedKeyMaterial`) and Google Cloud KMS (`--wrapped-key-file`): the bytes alone.
///
/// # Errors
/// [`Error::Failed`] where JSON can't be encoded.
fn file(
    format: CloudFormat,
    label: &Id,
    wrapped: &[u8],
    kid: Option<&str>,
    token: &TokenIdentity,
) -> Result<(String, Vec<u8>)> {
    let version = env!("CARGO_PKG_VERSION");
    let hsm = format!("{} {}, firmware {}", token.manufacturer, token.model, token.firmware);
    let content = match format {
        CloudFormat::AwsKms | CloudFormat::GcpKms => wrapped.to_vec(),
        CloudFormat::AzureByok => {
            let byok = serde_json::json!({
                "schema_version": "1.0.0",
                "header": {
                    "kid": kid.ok_or_else(|| Error::defect("a BYOK file without its KEK's id"))?,
                    "alg": "dir",
                    "enc": "CKM_RSA_AES_KEY_WRAP",
                },
                "ciphertext": BASE64URL_NOPAD.encode(wrapped),
                "generator": format!("Keyferry {version}; {hsm}"),
            });
            json_file(&byok)?
        }
    };
    Ok((format.file_name(label), content))
}

/// What is done with the files there.
fn what_next(format: CloudFormat) -> &'static str {
    match format {
        CloudFormat::AzureByok => {
            "az keyvault key import --byok-file FILE, with the --kty and --ops that the key is to have"
        }
        CloudFormat::AwsKms => {
            "aws kms import-key-material --encrypted-key-material fileb://FILE --import-token fileb://TOKEN, within 24 hours of get-parameters-for-import"
        }
        CloudFormat::GcpKms => {
            "gcloud kms keys versions import --wrapped-key-file FILE --import-job JOB, within 3 days of making the job"
        }
    }
}
