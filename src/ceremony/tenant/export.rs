//! `export`: every key is wrapped inside the tenant's HSM for the KEK, sealed under a fresh secret,
//! and the secret dealt to the custodians. The secret lives in this function and nowhere else: an
//! export that was interrupted is done again, with a fresh one.

use std::collections::BTreeSet;

use crate::{
    Begun, Ceremony,
    approval::Approved,
    tenant::{
        challenges, keys,
        trust::{self, TRUSTED_LEFT},
    },
};
use custody::{
    custodian,
    seal::SealKey,
    share::{self, Secret, Share},
};
use hsm::{Hsm, TargetKey, WrapOrder, wrapped_key::WrappedKey};
use record::{
    Error, Result,
    document::{
        Released,
        offer::Offer,
        package::{Package, PackagedKey, hsm_signature_file, signed_by_keys},
    },
    encoding::{Blob, Fixed, Hash, PackageId, random},
    gate::{self, ExportKey, ShareHolder},
    layout::SHARES,
    log::{self, Event},
    plan::{Custodian, KeyPlan, Plan},
    proof::key_set::certificate_file,
    rule::Rule,
    share::ShareListing,
    spki::TargetCertificate,
    terms::{KeyType, Listed, Observed, Role, Side, Step},
};
use terminal::report::Report;

/// A key that may be wrapped: on this token, as planned, with its certificate.
pub(super) struct CheckedExport {
    pub plan: KeyPlan,
    pub target: TargetKey,
    pub certificate: TargetCertificate,
}

/// The files of a folder, by name.
type Files = Vec<(String, Vec<u8>)>;

/// What officers sign for: from the offer, the certificates and the plan as they are now.
fn subject<'a>(
    plan: &Plan,
    offer: &Released<Offer>,
    certificates: impl Iterator<Item = &'a TargetCertificate>,
) -> gate::Export {
    let key = |(key, certificate): (&KeyPlan, &TargetCertificate)| ExportKey {
        label: key.label.clone(),
        spki: Hash::of(certificate.spki()),
        certificate: Hash::of(certificate.der()),
    };
    let holder = |custodian: &Custodian| ShareHolder {
        id: custodian.id.clone(),
        recipients: custodian.recipients.clone(),
    };
    gate::Export {
        offer: offer.hash,
        kek_fingerprint: Hash::of(&offer.body().spki.0),
        mechanism: plan.transfer.mechanism,
        oaep_hash: plan.transfer.oaep_hash,
        keys: plan.keys.iter().zip(certificates).map(key).collect(),
        threshold: plan.quorum.threshold,
        custodians: plan.quorum.custodians.iter().map(holder).collect(),
    }
}

/// Asks the officers for the export, before any PIN is asked for.
///
/// # Errors
/// `PHASE-ORDER`, [`Error::Waiting`], `SIGNATURE-…`, and where offer or certificates are not those
/// of the log.
pub fn ask(ceremony: &mut Ceremony) -> Result<Approved<gate::Export>> {
    ceremony.state.require(Step::Export)?;
    let offer = ceremony.kept::<Offer>()?;
    let certificates = ceremony.state.keys.iter();
    let certificates = certificates.map(|record| keys::certificate_of(ceremony, record));
    let certificates = certificates.collect::<Result<Vec<_>>>()?;
    let subject = subject(&ceremony.plan, &offer, certificates.iter());
    crate::approval::require(ceremony, &subject)
}

/// Makes the package and the share files.
///
/// # Errors
/// `PHASE-ORDER`, `APPROVAL-SUBJECT`, `TARGET-…`, `WRAP-…`, `SHARE-DEAL`, or the HSM's.
pub fn export(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<gate::Export>,
    sessions: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    ceremony.state.require(Step::Export)?;
    let plan = ceremony.plan.clone();
    let offer = ceremony.kept::<Offer>()?;
    hsm.require(Side::Tenant, &plan)?;
    let keys = checked_keys(ceremony, hsm)?;
    // From here on only the bytes that this was computed from are used.
    let certificates = keys.iter().map(|key| &key.certificate);
    approved.covers(&subject(&plan, &offer, certificates))?;
    let order = WrapOrder {
        kek_spki: &offer.body().spki.0,
        trusted: plan.trusted_only().then(|| trust::trusted_id(ceremony)),
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions,
    };
    hsm.wrap_ready(&order)?;
    let begun = ceremony.begin(Step::Export)?;
    progress("canary: wrapping a throwaway key to a throwaway KEK, and opening it in software");
    let observed = canary(&plan, hsm, &keys)?;
    let package_id = Fixed(random()?);
    let secret = fresh_secret(hsm, &package_id, &plan)?;
    let (listings, share_files) = deal(&plan, &secret, &package_id)?;
    let targets: Vec<&TargetKey> = keys.iter().map(|key| &key.target).collect();
    let wrapped = hsm.wrap(&order, &targets, &|n| {
        progress(&format!("wrapping {}", keys[n].plan.label));
    })?;
    let mut files = Files::new();
    let mut packaged = Vec::new();
    for (key, wrapped) in keys.iter().zip(&wrapped) {
        let (listing, key_files) =
            seal_key(&plan, wrapped, offer.body(), key, &secret, &package_id)?;
        packaged.push(listing);
        files.extend(key_files);
    }
    drop(secret);
    let body = Package {
        package_id,
        kek_fingerprint: offer.body().fingerprint,
        mechanism: plan.transfer.mechanism,
        oaep_hash: plan.transfer.oaep_hash,
        observed,
        nonce: Fixed(random()?),
        threshold: plan.quorum.threshold,
        shares: listings,
        keys: packaged,
        token: hsm.identity().clone(),
    };
    let hash = build(ceremony, &begun, hsm, body, files, &keys)?;
    ceremony.stage(&begun, SHARES, &share_files)?;
    let report = finish(
        ceremony,
        begun,
        hsm,
        &offer.body().fingerprint,
        hash,
        package_id,
        observed,
        &share_files,
    )?;
    // Only now: an export that is interrupted before this is done again, and needs it.
    match trust::untrust(ceremony, hsm) {
        Ok(()) => Ok(report),
        Err(error) => Ok(report.line(format!("trusted KEK: {}: {error}", TRUSTED_LEFT))),
    }
}

/// Every key of the plan, checked as the HSM has it now.
pub(super) fn checked_keys(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<CheckedExport>> {
    let mut checked = Vec::new();
    let inventory = hsm.inventory()?;
    for (plan, record) in ceremony.plan.keys.iter().zip(&ceremony.state.keys) {
        let certificate = keys::certificate_of(ceremony, record)?;
        let target = hsm.target_by_spki(&inventory, certificate.spki())?;
        hsm.target_check(&target, plan.key_type, ceremony.plan.trusted_only())?;
        let certificate = certificate.of_key(&target.spki, plan.label.as_str())?;
        checked.push(CheckedExport { plan: plan.clone(), target, certificate });
    }
    Ok(checked)
}

/// What wrapping really does, once per kind and size of key.
pub(super) fn canary(plan: &Plan, hsm: &Hsm, keys: &[CheckedExport]) -> Result<Observed> {
    let kinds: BTreeSet<KeyType> = keys.iter().map(|key| key.plan.key_type).collect();
    let mut observed = None;
    for kind in kinds {
        let seen = hsm.wrap_canary(kind, plan.transfer.mechanism, plan.transfer.oaep_hash)?;
        if observed.is_some_and(|before| before != seen) {
            return Err(Rule::WrapCanary.refuse(
                format!(
                    "OAEP {} and {} for {kind}, something else for another kind",
                    seen.oaep_hash, seen.kwp
                ),
                "the same for every kind and size",
                "do not use this HSM for an export",
            ));
        }
        observed = Some(seen);
    }
    observed.ok_or_else(|| Error::failed("no key to export", "run `keys create`"))
}

fn fresh_secret(hsm: &Hsm, package_id: &PackageId, plan: &Plan) -> Result<Secret> {
    let mut from_hsm = zeroize::Zeroizing::new([0; 32]);
    hsm.random(from_hsm.as_mut_slice())?;
    let from_os = zeroize::Zeroizing::new(random::<32>()?);
    Secret::derive(&from_os, &from_hsm, package_id, &plan.hash())
}

fn deal(
    plan: &Plan,
    secret: &Secret,
    package_id: &PackageId,
) -> Result<(Vec<ShareListing>, Files)> {
    let count = plan.quorum.custodians.len() as u8;
    let shares: Vec<Share> = share::deal(secret, *package_id, plan.quorum.threshold, count)?;
    let mut listings = Vec::new();
    let mut files = Files::new();
    for (share, custodian) in shares.iter().zip(&plan.quorum.custodians) {
        let file = custodian::encrypt_share(share, &custodian.recipients)?;
        listings.push(share.listing(custodian.id.as_str(), Hash::of(&file)));
        files.push((format!("{}.age", custodian.id), file));
    }
    Ok((listings, files))
}

fn seal_key(
    plan: &Plan,
    wrapped: &WrappedKey,
    offer: &Offer,
    key: &CheckedExport,
    secret: &Secret,
    package_id: &PackageId,
) -> Result<(PackagedKey, Files)> {
    let label = key.plan.label.as_str();
    let seal_key = SealKey::derive(secret, package_id, &plan.hash(), &offer.fingerprint, label)?;
    let sealed = seal_key.seal(wrapped.as_bytes())?;
    let certificate = key.certificate.der().to_vec();
    let listing = PackagedKey {
        label: key.plan.label.clone(),
        role: key.plan.role,
        spki: Blob(key.target.spki.clone()),
        certificate: Listed::of(&certificate),
        sealed: Listed::of(&sealed),
        wrapped_length: wrapped.as_bytes().len() as u64,
        challenges: challenges::make(plan, &key.plan, &key.target.spki, package_id)?,
    };
    let files =
        vec![(listing.sealed_file(), sealed), (certificate_file(&listing.label), certificate)];
    Ok((listing, files))
}

/// Builds the package, and has each signing key sign it inside the HSM.
fn build(
    ceremony: &Ceremony,
    begun: &Begun,
    hsm: &Hsm,
    body: Package,
    files: Files,
    keys: &[CheckedExport],
) -> Result<Hash> {
    let hash = ceremony.build(begun, body, files)?;
    let message = signed_by_keys(&hash);
    let mut signatures = Files::new();
    for key in keys.iter().filter(|key| key.plan.role == Role::Signing) {
        signatures.push((hsm_signature_file(&key.plan.label), hsm.sign(&key.target, &message)?));
    }
    ceremony.stage(begun, "package", &signatures)?;
    Ok(hash)
}

#[allow(clippy::too_many_arguments)] // each is one field of the record
fn finish(
    ceremony: &mut Ceremony,
    begun: Begun,
    hsm: &Hsm,
    fingerprint: &Hash,
    document: Hash,
    package_id: PackageId,
    observed: Observed,
    share_files: &Files,
) -> Result<Report> {
    let custodians = ceremony.plan.quorum.custodians.iter().map(|custodian| custodian.id.clone());
    let shares = custodians
        .zip(share_files)
        .map(|(custodian, (_, file))| log::ShareFile { custodian, file: Hash::of(file) });
    let event = Event::Export {
        document,
        package_id,
        fingerprint: *fingerprint,
        observed,
        token: hsm.identity().clone(),
        shares: shares.collect(),
    };
    let attempt = begun.attempt();
    ceremony.finish(begun, event)?;
    Ok(Report::new("The keys are wrapped and sealed, and the shares are dealt; every quorum of them opens the seal.")
        .value("package", document.to_string())
        .value("package id", package_id.to_string())
        .value("attempt", attempt)
        .value("folder", ceremony.outbox("package").display().to_string())
        .value("shares", ceremony.outbox(SHARES).display().to_string()))
}
