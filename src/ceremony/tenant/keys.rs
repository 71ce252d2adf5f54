//! `keys create`: every target key is in the tenant's HSM, with its certificate. Keys that exist
//! are found by certificate or public key; the others are made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Run, step};
use hsm::{Hsm, Inventory, THROWAWAY, TargetKey, TargetSpec, self_signed};
use record::encoding::{Hash, cka_id};
use record::flow::replay::untrusted;
use record::layout::KEYS;
use record::log::{Event, KeyRecord};
use record::plan::{KeyPlan, Plan};
use record::rule::Rule;
use record::spki::{self, MAX_CERTIFICATE, TargetCertificate};
use record::terms::{Id, KeyType, Side, Step, Usage};
use record::{Error, Result, folder};
use terminal::report::Report;

/// Make the keys of the plan that do not exist yet
#[derive(Args)]
pub struct KeysCreate {
    /// A key that exists: LABEL=FILE, its self-signed certificate or its public key
    #[arg(long, value_name = "LABEL=FILE", value_parser = step::file_of)]
    existing: Vec<(Id, PathBuf)>,
}

impl Run for KeysCreate {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.in_hsm(ceremony, Step::KeysCreate, |ceremony, hsm| {
            create(ceremony, hsm, &self.existing)
        })
    }
}

/// Makes or finds every key of the plan.
fn create(ceremony: &mut Ceremony, hsm: &Hsm, existing: &[(Id, PathBuf)]) -> Result<Report> {
    let planned = |label: &Id| ceremony.plan.keys.iter().any(|plan| plan.label == *label);
    if let Some((unknown, _)) = existing.iter().find(|(label, _)| !planned(label)) {
        let what = format!("--existing {unknown}: no key of the plan has this label");
        return Err(Error::usage(what, "name a label of the plan"));
    }
    let trusted_only = ceremony.plan.trusted_only();
    if trusted_only && ceremony.state.kek.is_none() {
        return Err(untrusted("keys create before kek trust"));
    }
    let inventory = hsm.inventory()?;
    // Before the intent: a token that cannot, or a key that may not travel, changes nothing.
    hsm.require(Side::Tenant, &ceremony.plan)?;
    let transfer = &ceremony.plan.transfer;
    for kind in kinds(&ceremony.plan) {
        hsm.wrap_canary(kind, transfer.mechanism, transfer.oaep_hash)?;
    }
    let find = |key: &KeyPlan| {
        let Some((label, file)) = existing.iter().find(|(label, _)| *label == key.label) else {
            return Ok(None);
        };
        let (spki, certificate) = key_file(file, label.as_str())?;
        let target = hsm.target_by_spki(&inventory, &spki)?;
        hsm.target_check(&target, key.key_type, trusted_only)?;
        Ok(Some((target, certificate)))
    };
    let found = ceremony.plan.keys.iter().map(find).collect::<Result<Vec<_>>>()?;
    let begun = ceremony.begin(Step::KeysCreate)?;
    folder::make_folder(&certificates(ceremony))?;
    let mut records = Vec::new();
    for (key, found) in ceremony.plan.keys.iter().zip(found) {
        let (target, certificate) = one(ceremony, hsm, &inventory, key, found)?;
        keep_certificate(ceremony, &key.label, certificate.der())?;
        records.push(KeyRecord::of(&key.label, &target.spki, certificate.der(), target.made));
    }
    let report =
        records.iter().fold(Report::new("Every key of the plan is in the HSM."), |report, key| {
            let how = if key.made { "made" } else { "found" };
            report.value(key.label.as_str(), format!("{how}, SPKI SHA-256 {}", key.spki))
        });
    let token = hsm.identity().clone();
    let event = Event::KeysCreate { document: None, attested: None, token, keys: records };
    ceremony.finish(begun, event)?;
    Ok(report)
}

/// The kinds of throwaway keys that show what the token does with the plan's; of RSA a small one
/// shows it as well.
fn kinds(plan: &Plan) -> BTreeSet<KeyType> {
    let kind = |key: &KeyPlan| match key.key_type {
        KeyType::Rsa(_) => THROWAWAY,
        ec => ec,
    };
    plan.keys.iter().map(kind).collect()
}

/// A key that exists, or is made now, and its certificate. One that exists was examined; the other is
/// as soon as it is made or found.
fn one(
    ceremony: &Ceremony,
    hsm: &Hsm,
    inventory: &Inventory,
    key: &KeyPlan,
    found: Option<(TargetKey, Option<Vec<u8>>)>,
) -> Result<(TargetKey, TargetCertificate)> {
    let (plan, label, kind) = (&ceremony.plan, key.label.as_str(), key.key_type);
    let (target, certificate) = match found {
        Some(found) => found,
        None => {
            // Its certificate is signed by the key itself, so the tenant's copy can sign.
            let usage = Usage { sign: true, ..key.usage };
            let id = cka_id(&plan.hash(), "tenant", "target", label, ceremony.state.attempt);
            let spec = TargetSpec { label, kind, usage, trusted_only: plan.trusted_only() };
            (hsm.target_make(inventory, id, &spec)?, None)
        }
    };
    let stored = match certificate {
        // What the inventory shows beside it was of a pair that is gone.
        None if target.made => None,
        None => hsm.certificate_find(inventory, &target.id)?,
        given => given,
    };
    let certificate = match stored {
        Some(der) => TargetCertificate::parse(&der, label)?.of_key(&target.spki, label)?,
        None => {
            let made = self_signed::make(&key.subject, label, &target.spki, |message| {
                hsm.sign(&target, message)
            })?;
            hsm.certificate_store(&target.id, label, made.der())?;
            made
        }
    };
    Ok((target, certificate))
}

/// The public key in a file of a key that exists, and the certificate that it is.
fn key_file(file: &Path, label: &str) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let der = spki::der(folder::read_file(file, MAX_CERTIFICATE)?);
    if spki::PublicKey::parse(&der).is_ok() {
        return Ok((der, None));
    }
    let certificate = TargetCertificate::parse(&der, label)?;
    Ok((certificate.spki().to_vec(), Some(der)))
}

/// Where the certificate of a key is kept in the ceremony folder.
fn certificate_path(ceremony: &Ceremony, label: &Id) -> PathBuf {
    certificates(ceremony).join(format!("{label}.crt"))
}

fn certificates(ceremony: &Ceremony) -> PathBuf {
    ceremony.dir.join(KEYS)
}

fn keep_certificate(ceremony: &Ceremony, label: &Id, der: &[u8]) -> Result<()> {
    let path = certificate_path(ceremony, label);
    if folder::read_if_there(&path, MAX_CERTIFICATE)?.is_some_and(|there| there == der) {
        return Ok(());
    }
    // The log names no certificate yet: what a killed run left is not one of the record.
    folder::remove_if_there(&path)?;
    folder::write_new(&path, der)
}

/// The certificates of every key, as the log names them.
///
/// # Errors
/// As [`certificate_of`].
pub fn certificates_of(ceremony: &Ceremony) -> Result<Vec<TargetCertificate>> {
    ceremony.state.keys.iter().map(|record| certificate_of(ceremony, record)).collect()
}

/// The certificate of a key, as the log names it.
///
/// # Errors
/// `TARGET-CERTIFICATE` where it was changed.
pub fn certificate_of(ceremony: &Ceremony, record: &KeyRecord) -> Result<TargetCertificate> {
    let path = certificate_path(ceremony, &record.label);
    let der = folder::read_file(&path, MAX_CERTIFICATE)?;
    Rule::TargetCertificate.ensure(
        Hash::of(&der) == record.certificate,
        format!("{} has SHA-256 {}", path.display(), Hash::of(&der)),
        format!("the certificate of the record, {}", record.certificate),
        "put the unchanged file back from a copy, and find out what changed it",
    )?;
    TargetCertificate::parse(&der, record.label.as_str())
}
