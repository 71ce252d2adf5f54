//! `keys create`: every target key is in the tenant's HSM, with its certificate. Keys that exist
//! are found by certificate or public key; the others are made.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use crate::brought::{self, Brought};
use crate::{Ceremony, Means, Report, Run, certificate, step};
use ::probe::checks;
use hsm::{Hsm, Inventory, THROWAWAY, TargetKey, TargetSpec, self_signed};
use record::encoding::cka_id;
use record::flow::replay::untrusted;
use record::layout::KEYS;
use record::log::KeyRecord;
use record::proof::key_set::{self, certificate_file};
use record::spki::{MAX_CERTIFICATE, TargetCertificate};
use record::{
    Error, Event, Hash, Id, KeyPlan, KeyType, Plan, Result, Rule, Side, Step, Usage, folder,
};

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
        let seen = hsm.wrap_canary(kind, transfer.mechanism, transfer.oaep_hash)?;
        checks::unfilled(&ceremony.plan, seen.kwp)?;
    }
    let plan = ceremony.plan.clone();
    let found = |key| ExistingKey::find(hsm, &inventory, &plan, key, existing);
    let found = plan.keys.iter().map(found).collect::<Result<Vec<_>>>()?;
    each_of_its_own(&plan, &found)?;
    let begun = ceremony.begin(Step::KeysCreate)?;
    folder::make_folder(&ceremony.dir.join(KEYS))?;
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    for (key, found) in plan.keys.iter().zip(found) {
        let (target, certificate) = one(ceremony, hsm, &inventory, key, found)?;
        keep_certificate(ceremony, &key.label, certificate.der())?;
        ends.extend(certificate::ends_early(&key.label, certificate.der()));
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
    Ok(report.lines(ends))
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

fn one(
    ceremony: &Ceremony,
    hsm: &Hsm,
    inventory: &Inventory,
    key: &KeyPlan,
    found: Option<ExistingKey>,
) -> Result<(TargetKey, TargetCertificate)> {
    let (kind, label) = (key.key_type, key.label.as_str());
    let (target, stored) = match found {
        Some(ExistingKey { target, certificate }) => (target, certificate),
        // Examined as soon as it is made or found.
        None => {
            // Its certificate is signed by the key itself, so the tenant's copy can sign.
            let usage = Usage { sign: true, ..key.usage };
            let id =
                cka_id(&ceremony.plan.hash(), "tenant", "target", label, ceremony.state.attempt);
            let spec =
                TargetSpec { label, kind, usage, trusted_only: ceremony.plan.trusted_only() };
            let target = hsm.target_make(inventory, id, &spec)?;
            // What the inventory shows beside one that was made was of a pair that is gone.
            let stored = match target.made {
                true => None,
                false => certificate::beside(hsm, inventory, &target, key, &ceremony.plan)?,
            };
            (target, stored)
        }
    };
    let certificate = match stored {
        Some(certificate) => certificate.of_key(&target.spki, label)?,
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

/// A key that a file names, as it is in the HSM, and its certificate where there is one.
struct ExistingKey {
    target: TargetKey,
    certificate: Option<TargetCertificate>,
}

impl ExistingKey {
    /// Looks for the key that a file names, where there is one for this label, and at all that it
    /// must be: nothing is on record yet.
    fn find(
        hsm: &Hsm,
        inventory: &Inventory,
        plan: &Plan,
        key: &KeyPlan,
        existing: &[(Id, PathBuf)],
    ) -> Result<Option<Self>> {
        let Some((_, file)) = existing.iter().find(|(label, _)| *label == key.label) else {
            return Ok(None);
        };
        let (spki, given) = match brought::read(file, Rule::TargetCertificate)? {
            Brought::PublicKey(spki) => (spki, None),
            Brought::Certificate(der) => {
                let given = certificate::given(&der, file, key, plan, certificate::EXISTING)?;
                (given.spki().to_vec(), Some(given))
            }
        };
        let target = hsm.target_by_spki(inventory, &spki)?;
        hsm.targets_check(&[(&target, key.key_type)], plan.trusted_only(), 1)?;
        let certificate = match given {
            None => certificate::beside(hsm, inventory, &target, key, plan)?,
            given => given,
        };
        Rule::TargetCertificate.ensure(
            certificate.is_some() || !target.id.is_empty(),
            format!("the key of {} has no CKA_ID, so that no certificate can lie beside it", key.label),
            "a key with a CKA_ID, or its certificate",
            "give the key a CKA_ID with the vendor's tool, or give its self-signed certificate with --existing",
        )?;
        Ok(Some(ExistingKey { target, certificate }))
    }
}

/// No two labels have one key: a slip of copy and paste would leave the other key behind.
fn each_of_its_own(plan: &Plan, found: &[Option<ExistingKey>]) -> Result<()> {
    let keys = plan.keys.iter().zip(found);
    let spkis = keys.filter_map(|(key, found)| Some((&key.label, &found.as_ref()?.target.spki)));
    key_set::each_of_its_own(spkis.map(|(label, spki)| (label, Hash::of(spki)))).map_err(
        |(found, expected)| {
            let remedy = "give each label the file of its own key; nothing was done";
            Rule::TargetRepeated.refuse(found, expected, remedy)
        },
    )
}

/// Where the certificate of a key is kept in the ceremony folder.
fn certificate_path(ceremony: &Ceremony, label: &Id) -> PathBuf {
    ceremony.dir.join(KEYS).join(certificate_file(label))
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
