//! Cloud services that take a tenant's keys wrapped for a KEK of their own: what each takes, and in
//! which form. The bytes inside are the same for all (CKM_RSA_AES_KEY_WRAP of a PKCS#8). The
//! service imports them itself, so the hoster's side of Keyferry has no part.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;

use crate::services::{Service, TargetStep};
use record::command::tool;
use record::encoding::json_file;
use record::rule::Rule;
use record::service::Brief;
use record::terms::{CloudFormat, Id, PrimaryKey, TokenIdentity};
use record::{Error, Result};

/// Any of them.
pub struct Cloud;

/// A wrapped key in the form that its service takes, and the name of its file.
///
/// Azure Key Vault: JSON, schema 1.0.0, whose `kid` is the KEK's key identifier. AWS KMS
/// (`EncryptedKeyMaterial`) and Google Cloud KMS (`--wrapped-key-file`): the bytes alone.
///
/// # Errors
/// [`Error::Failed`] where JSON can't be encoded.
pub fn file(
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
pub fn what_next(format: CloudFormat) -> String {
    let (line, more) = match format {
        CloudFormat::AzureByok => (
            "az keyvault key import --byok-file FILE",
            "with vault and name, and the --kty and --ops that the key is to have",
        ),
        CloudFormat::AwsKms => (
            "aws kms import-key-material --encrypted-key-material fileb://FILE --import-token fileb://TOKEN",
            "with the key's id, within 24 hours of get-parameters-for-import",
        ),
        CloudFormat::GcpKms => (
            "gcloud kms keys versions import --wrapped-key-file FILE --import-job JOB",
            "with location, key ring and key, within 3 days of making the job",
        ),
    };
    format!("Then, {more}:\n  {}", tool(line))
}

impl Service for Cloud {
    fn steps(&self) -> &'static [TargetStep] {
        &[]
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn register(&self, _: &Path, _: &Brief) -> Result<()> {
        Err(no_part_error())
    }

    fn primaries(&self, _: &Path) -> Result<Option<Vec<PrimaryKey>>> {
        Err(no_part_error())
    }

    fn activate(&self, _: &Path, _: &Brief) -> Result<()> {
        Err(no_part_error())
    }

    fn goes_back_to(&self, _: &[PrimaryKey]) -> bool {
        false
    }

    fn roll_back(&self, _: &Path, _: &[PrimaryKey]) -> Result<()> {
        Err(no_part_error())
    }
}

/// The hoster's side of a ceremony whose keys a cloud service imports.
pub fn no_part_error() -> Error {
    Rule::PlanTarget.refuse(
        "the hoster's side of a ceremony for a cloud service",
        "the tenant's side alone: the service imports the keys itself",
        "take the tenant's side alone with this plan; the people whom it names as the hoster's sign the plan, and import the files at the service",
    )
}
