//! `import`: a quorum opens the seal, and the hoster's HSM unwraps every key inside itself.

use std::path::Path;

use super::{
    package, proving,
    quorum::{self, Opened, Presented},
};
use crate::{
    Result,
    ceremony::{Begun, Ceremony},
    document::{
        Released,
        offer::Offer,
        package::{Package, PackagedKey},
        receipt::{ImportedKey, Receipt},
    },
    encoding::{CkaId, Hash, cka_id},
    hsm::{Hsm, ImportOrder, Imported, Target},
    log::{Event, KekRecord, KeyRecord},
    phase::Step,
    plan::{IMPORT, Id, KeyPlan, Plan, Side},
    report::Report,
    rule::Rule,
    seal::SealKey,
    share::Secret,
    terminal::Asker,
    wrapped_key::WrappedKey,
};

/// Imports the package that was checked.
///
/// # Errors
/// `PACKAGE-IMPORTED`, `PHASE-ORDER`, `SHARE-…`, `SEAL-OPEN`, `KEK-…`, `TARGET-…`, or the HSM's. Whatever
/// was unwrapped and is not as planned is destroyed.
pub fn import(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    folder: &Path,
    presented: &[Presented],
    asker: &Asker,
) -> Result<Report> {
    let package = package::same(ceremony, folder)?;
    let plan = ceremony.plan.clone();
    let kek = ceremony.state.kek.clone().ok_or_else(|| {
        Rule::LogEvent.refuse("no KEK in the log", "an entry kek-create", "run `status`")
    })?;
    hsm.require(Side::Hoster, &plan)?;
    let (begun, arrived) = match settled(ceremony, hsm, &package)? {
        Some(arrived) => (ceremony.begin(Step::Import)?, arrived),
        None => unwrap_all(ceremony, hsm, &package, &kek, presented, asker)?,
    };
    let Arrived {
        keys: imported,
        custodians,
        spent,
    } = arrived;
    let targets: Vec<Target> = imported.iter().map(|key| key.target.clone()).collect();
    asker.say("proving that the HSM signs and decrypts as the tenant's keys");
    let receipt = Receipt {
        package_id: package.body().package_id,
        custodians: custodians.clone(),
        spent: spent.clone(),
        keys: imported_keys(&plan, &package, &imported, begun.attempt()),
        proofs: proving::prove(ceremony, hsm, package.body(), &targets, IMPORT)?,
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
        .value("opened by", names(&custodians))
        .value("spent", names(&spent))
        .line("An identity that was opened on this machine is spent: its holder makes a new one for the next ceremony."))
}

fn names(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", ")
}

/// Every key, in the HSM, and who opened the seal for it.
struct Arrived {
    keys: Vec<Imported>,
    custodians: Vec<Id>,
    spent: Vec<Id>,
}

/// What an interrupted import left whole: then no custodian is needed again.
fn settled(ceremony: &Ceremony, hsm: &Hsm, package: &Released<Package>) -> Result<Option<Arrived>> {
    let Some((custodians, spent)) = ceremony.state.quorum.clone() else {
        return Ok(None);
    };
    let mut keys = Vec::new();
    for (key, planned) in package.body().keys.iter().zip(&ceremony.plan.keys) {
        let label = ceremony.plan.hoster_label(key.label.as_str());
        let certificate = package.file(&key.certificate_file());
        let id = target_id(&ceremony.plan, &key.label, ceremony.state.attempt);
        match hsm.import_find(id, &label, &key.spki.0, certificate, planned.usage)? {
            Some(found) => keys.push(found),
            None => return Ok(None),
        }
    }
    Ok(Some(Arrived {
        keys,
        custodians,
        spent,
    }))
}

fn target_id(plan: &Plan, label: &Id, attempt: u32) -> CkaId {
    cka_id(&plan.hash(), "hoster", "target", label.as_str(), attempt)
}

/// Opens the seal with a quorum, then unwraps. The KEK is looked at first: custodians do not spend their
/// identities on one that would be refused.
fn unwrap_all(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    package: &Released<Package>,
    kek: &KekRecord,
    presented: &[Presented],
    asker: &Asker,
) -> Result<(Begun, Arrived)> {
    let plan = ceremony.plan.clone();
    let offer = ceremony.sent::<Offer>()?.0;
    let waived = |rule| plan.waives(rule);
    hsm.kek_check(
        kek.id,
        &offer.body().spki.0,
        plan.transfer.mechanism,
        &waived,
    )?;
    let Opened {
        secret,
        custodians,
        spent,
    } = quorum::gather(package.body(), presented, asker)?;
    // Every seal is opened before anything is unwrapped: a wrong one changes nothing.
    let wrapped = open_seals(&plan, package, kek, &secret)?;
    drop(secret);
    let begun = ceremony.begin(Step::Import)?;
    ceremony.record(Event::Quorum {
        custodians: custodians.clone(),
        spent: spent.clone(),
    })?;
    let mut keys = Vec::new();
    for ((key, planned), wrapped) in package.body().keys.iter().zip(&plan.keys).zip(&wrapped) {
        asker.say(&format!("unwrapping {}", key.label));
        keys.push(unwrap_one(
            ceremony, hsm, package, kek, key, planned, wrapped,
        )?);
    }
    Ok((
        begun,
        Arrived {
            keys,
            custodians,
            spent,
        },
    ))
}

fn open_seals(
    plan: &Plan,
    package: &Released<Package>,
    kek: &KekRecord,
    secret: &Secret,
) -> Result<Vec<WrappedKey>> {
    let open = |(key, planned): (&PackagedKey, &KeyPlan)| {
        let (package_id, label) = (&package.body().package_id, key.label.as_str());
        let seal_key = SealKey::derive(secret, package_id, &plan.hash(), &kek.fingerprint, label);
        let length = usize::try_from(key.wrapped_length).unwrap_or(usize::MAX);
        let opened = seal_key.open(package.file(&key.sealed_file()), length)?;
        WrappedKey::parse(opened, plan.transfer.kek_bits, planned.key_type.rsa_bits()?)
    };
    package
        .body()
        .keys
        .iter()
        .zip(&plan.keys)
        .map(open)
        .collect()
}

fn unwrap_one(
    ceremony: &Ceremony,
    hsm: &Hsm,
    package: &Released<Package>,
    kek: &KekRecord,
    key: &PackagedKey,
    planned: &KeyPlan,
    wrapped: &WrappedKey,
) -> Result<Imported> {
    hsm.import(&ImportOrder {
        kek: kek.id,
        mechanism: ceremony.plan.transfer.mechanism,
        oaep: ceremony.plan.transfer.oaep_hash,
        id: target_id(&ceremony.plan, &key.label, ceremony.state.attempt),
        label: &ceremony.plan.hoster_label(key.label.as_str()),
        spki: &key.spki.0,
        certificate: package.file(&key.certificate_file()),
        usage: planned.usage,
        wrapped,
    })
}

fn imported_keys(
    plan: &Plan,
    package: &Released<Package>,
    imported: &[Imported],
    attempt: u32,
) -> Vec<ImportedKey> {
    let one = |(key, imported): (&PackagedKey, &Imported)| ImportedKey {
        label: key.label.clone(),
        id: target_id(plan, &key.label, attempt),
        hoster_label: plan.hoster_label(key.label.as_str()),
        attributes: imported.attributes.clone(),
    };
    package.body().keys.iter().zip(imported).map(one).collect()
}

fn records(package: &Released<Package>, imported: &[Imported]) -> Vec<KeyRecord> {
    let one = |(key, imported): (&PackagedKey, &Imported)| KeyRecord {
        label: key.label.clone(),
        spki: Hash::of(&key.spki.0),
        certificate: key.certificate.hash,
        made: imported.imported,
    };
    package.body().keys.iter().zip(imported).map(one).collect()
}
