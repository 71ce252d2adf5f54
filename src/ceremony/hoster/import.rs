//! `import`: a quorum opens the seal, and the hoster's HSM unwraps every key inside itself.

use std::path::Path;

use crate::{
    Begun, Ceremony,
    approval::Approved,
    hoster::{
        package, proving,
        quorum::{self, OpenedSeal, Presented},
    },
};
use custody::{seal::SealKey, share::Secret};
use hsm::{HosterKey, Hsm, ImportKey, ImportOrder, TargetKey, wrapped_key::WrappedKey};
use record::{
    Error, Result,
    document::{
        Released,
        held_key::HeldKey,
        offer::Offer,
        package::{Package, PackagedKey},
        receipt::Receipt,
    },
    encoding::Hash,
    gate,
    log::{Event, KekRecord, KeyRecord},
    plan::{IMPORT, KeyPlan, Plan},
    proof::key_set::{KeySet, certificate_file},
    terms::{Id, Side, Step, list},
};
use terminal::{Asker, report::Report};

/// Asks the officers for the import, before a custodian presents anything.
///
/// # Errors
/// As [`package::same`], [`record::Error::Waiting`], `SIGNATURE-…`.
pub fn ask(ceremony: &mut Ceremony, folder: &Path) -> Result<Approved<gate::Import>> {
    let package = package::same(ceremony, folder)?;
    let offer = ceremony.sent::<Offer>()?.0;
    crate::approval::require(ceremony, &subject(&package, &offer.body().spki.0))
}

/// What officers sign for.
fn subject(package: &Released<Package>, kek_spki: &[u8]) -> gate::Import {
    gate::Import { package: package.hash, kek_fingerprint: Hash::of(kek_spki) }
}

/// Imports the package that was checked.
///
/// # Errors
/// `PACKAGE-IMPORTED`, `PHASE-ORDER`, `APPROVAL-SUBJECT`, `SHARE-…`, `SEAL-OPEN`, `KEK-…`,
/// `TARGET-…`, or the HSM's. Whatever was unwrapped and is not as planned is destroyed.
pub fn import(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<gate::Import>,
    folder: &Path,
    presented: &[Presented],
    sessions: usize,
    asker: &Asker,
) -> Result<Report> {
    let package = package::same(ceremony, folder)?;
    let plan = ceremony.plan.clone();
    let offer = ceremony.sent::<Offer>()?.0;
    approved.covers(&subject(&package, &offer.body().spki.0))?;
    let kek = ceremony.state.kek_made()?;
    hsm.require(Side::Hoster, &plan)?;
    let (begun, arrived) = match settled(ceremony, hsm, &package)? {
        Some(arrived) => (ceremony.begin(Step::Import)?, arrived),
        None => {
            // The key that will unwrap is the one that was offered, as the HSM has it now.
            let waived = |rule| plan.waives(rule);
            let spki = &offer.body().spki.0;
            hsm.kek_check(kek.id, spki, plan.transfer.mechanism, &waived)?;
            unwrap_all(ceremony, hsm, &package, &kek, presented, sessions, asker)?
        }
    };
    let Arrived { keys: imported, custodians, spent } = arrived;
    let targets: Vec<TargetKey> = imported.iter().map(|key| key.target.clone()).collect();
    let keys = plan.keys.iter().zip(&imported);
    asker.progress("proving that the HSM signs and decrypts as the tenant's keys");
    let receipt = Receipt {
        package_id: package.body().package_id,
        custodians: custodians.clone(),
        spent: spent.clone(),
        keys: keys.map(|(key, held)| held_key(&plan, &key.label, held, begun.attempt())).collect(),
        proofs: proving::prove(ceremony, hsm, &KeySet::from(&*package), &targets, IMPORT)?,
        token: hsm.identity().clone(),
    };
    let document = ceremony.build(&begun, receipt, Vec::new())?;
    let event = Event::Import {
        document,
        token: hsm.identity().clone(),
        keys: records(&package, &imported),
    };
    ceremony.finish(begun, event)?;
    Ok(Report::new("Every key is in the HSM, unreadable and not extractable, and proves itself.")
        .value("receipt", document.to_string())
        .value("opened by", list(&custodians))
        .value("spent", list(&spent))
        .line("An identity that was opened on this machine is spent: its holder makes a new one for the next ceremony."))
}

/// Every key, in the HSM, and who opened the seal for it.
struct Arrived {
    keys: Vec<HosterKey>,
    custodians: Vec<Id>,
    spent: Vec<Id>,
}

/// What an interrupted import left whole: then no custodian is needed again.
fn settled(ceremony: &Ceremony, hsm: &Hsm, package: &Released<Package>) -> Result<Option<Arrived>> {
    let Some((custodians, spent)) = ceremony.state.quorum.clone() else {
        return Ok(None);
    };
    let inventory = hsm.inventory()?;
    let mut keys = Vec::new();
    let labels = labels(ceremony, package);
    for key in import_keys(ceremony, package, &labels) {
        match hsm.import_find(&inventory, &key)? {
            Some(found) => keys.push(found),
            None => return Ok(None),
        }
    }
    Ok(Some(Arrived { keys, custodians, spent }))
}

/// Opens the seal with a quorum, then unwraps. The KEK was looked at first: custodians do not spend
/// their identities on one that would be refused.
fn unwrap_all(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    package: &Released<Package>,
    kek: &KekRecord,
    presented: &[Presented],
    sessions: usize,
    asker: &Asker,
) -> Result<(Begun, Arrived)> {
    let plan = ceremony.plan.clone();
    let OpenedSeal { secret, custodians, spent, deputies } =
        quorum::gather(&plan, package.body(), presented, asker)?;
    // Every seal is opened before anything is unwrapped: a wrong one changes nothing.
    let wrapped = open_seals(&plan, package, kek, &secret)?;
    drop(secret);
    let begun = ceremony.begin(Step::Import)?;
    ceremony.record(Event::Quorum {
        custodians: custodians.clone(),
        spent: spent.clone(),
        deputies,
    })?;
    let order = ImportOrder {
        kek: kek.id,
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions,
    };
    let labels = labels(ceremony, package);
    let keys = import_keys(ceremony, package, &labels);
    let keys: Vec<_> = keys.zip(&wrapped).collect();
    let keys = hsm.import(order, &keys, &|label| asker.progress(&format!("unwrapping {label}")))?;
    Ok((begun, Arrived { keys, custodians, spent }))
}

fn open_seals(
    plan: &Plan,
    package: &Released<Package>,
    kek: &KekRecord,
    secret: &Secret,
) -> Result<Vec<WrappedKey>> {
    let open = |(key, planned): (&PackagedKey, &KeyPlan)| {
        let (package_id, label) = (&package.body().package_id, key.label.as_str());
        let seal_key = SealKey::derive(secret, package_id, &plan.hash(), &kek.fingerprint, label)?;
        let length = key.wrapped_length.try_into().map_err(Error::defect)?;
        let opened = seal_key.open(package.file(&key.sealed_file()), length)?;
        WrappedKey::parse(opened, plan.transfer.kek_bits, planned.key_type)
    };
    package.body().keys.iter().zip(&plan.keys).map(open).collect()
}

/// The CKA_LABEL of each key at the hoster, in the plan's order.
fn labels(ceremony: &Ceremony, package: &Released<Package>) -> Vec<String> {
    let keys = package.body().keys.iter();
    keys.map(|key| ceremony.plan.hoster_label(key.label.as_str())).collect()
}

/// What each imported key must be, in the plan's order.
fn import_keys<'a>(
    ceremony: &'a Ceremony,
    package: &'a Released<Package>,
    labels: &'a [String],
) -> impl Iterator<Item = ImportKey<'a>> {
    let keys = package.body().keys.iter().zip(&ceremony.plan.keys).zip(labels);
    keys.map(|((key, planned), label)| ImportKey {
        id: ceremony.plan.target_id(key.label.as_str(), ceremony.state.attempt),
        label,
        spki: &key.spki.0,
        certificate: package.file(&certificate_file(&key.label)),
        usage: planned.usage,
        born: false,
    })
}

/// A key as this side's HSM has it, for the record.
pub fn held_key(plan: &Plan, label: &Id, held: &HosterKey, attempt: u32) -> HeldKey {
    HeldKey {
        label: label.clone(),
        id: plan.target_id(label.as_str(), attempt),
        hoster_label: plan.hoster_label(label.as_str()),
        attributes: held.attributes.clone(),
    }
}

fn records(package: &Released<Package>, imported: &[HosterKey]) -> Vec<KeyRecord> {
    let one = |(key, imported): (&PackagedKey, &HosterKey)| KeyRecord {
        label: key.label.clone(),
        spki: Hash::of(&key.spki.0),
        certificate: key.certificate.hash,
        made: imported.imported,
    };
    package.body().keys.iter().zip(imported).map(one).collect()
}
