//! `export`: every key is wrapped inside the tenant's HSM for the KEK, sealed under a fresh secret,
//! and the secret dealt to the custodians. The secret lives in this function and nowhere else: an
//! export that was interrupted is done again, with a fresh one.

use std::collections::BTreeSet;

use clap::Args;

use crate::step::Sessions;
use crate::tenant::heard::challenges;
use crate::tenant::keys::{certificate_of, certificates_of};
use crate::tenant::trust::{self, TRUSTED_LEFT};
use crate::{Ceremony, Means, Run, StepIntent};
use custody::custodian;
use custody::seal::SealKey;
use custody::share::{self, Secret, Share};
use hsm::wrapped_key::WrappedKey;
use hsm::{Hsm, TargetKey, WrapOrder};
use record::command::with_commands;
use record::document::Released;
use record::document::offer::Offer;
use record::document::package::{Package, PackagedKey, hsm_signature_file, signed_by_keys};
use record::encoding::{Blob, Fixed, Hash, PackageId, random};
use record::flow::replay::untrusted;
use record::gate::{self};
use record::layout::SHARES;
use record::log::Event;
use record::plan::{KeyPlan, Plan};
use record::proof::key_set::certificate_file;
use record::rule::Rule;
use record::share::ShareListing;
use record::spki::TargetCertificate;
use record::terms::{KeyType, Listed, Observed, Role, Side, Step};
use record::{Error, Result};
use terminal::report::Report;

/// Wrap and seal every key, and deal the shares
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    work: Sessions,
}

impl Run for Export {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            ceremony.state.require(Step::Export)?;
            if ceremony.plan.trusted_only() && !ceremony.state.trusts_offer() {
                return Err(untrusted("export before `kek trust` of this offer's KEK"));
            }
            let offer = ceremony.kept::<Offer>()?;
            certificates_of(ceremony)?;
            Ok((gate::Export::of(&ceremony.plan, &ceremony.state)?, offer))
        };
        means.gated(ceremony, Step::Export, find, |ceremony, hsm, _, offer| {
            // As the log names them, and so as officers have signed for them; from here on only the
            // bytes that were held against it are used.
            let keys = checked_keys(ceremony, hsm)?;
            let exporting =
                Exporting { hsm, offer: &offer, keys: &keys, sessions: self.work.count() };
            let report = exporting.export(ceremony, &|text| means.asker.progress(text))?;
            // Only now: an export that is interrupted before this is done again, and needs it.
            match trust::untrust(ceremony, hsm) {
                Ok(()) => Ok(report),
                Err(error) => Ok(report.line(format!("trusted KEK: {}: {error}", TRUSTED_LEFT))),
            }
        })
    }
}

/// An export that officers have signed for, and what it is done with.
struct Exporting<'a> {
    hsm: &'a Hsm<'a>,
    offer: &'a Released<Offer>,
    keys: &'a [WrapCandidate],
    sessions: usize,
}

/// A key that may be wrapped: on this token, as planned, with its certificate.
pub(super) struct WrapCandidate {
    pub plan: KeyPlan,
    pub target: TargetKey,
    pub certificate: TargetCertificate,
}

/// The files of a folder, by name.
type Files = Vec<(String, Vec<u8>)>;

impl Exporting<'_> {
    /// Makes the package and the share files.
    fn export(&self, ceremony: &mut Ceremony, progress: &(dyn Fn(&str) + Sync)) -> Result<Report> {
        let (hsm, offer, keys) = (self.hsm, self.offer, self.keys);
        let plan = ceremony.plan.clone();
        let order = WrapOrder {
            kek_spki: &offer.body().spki.0,
            trusted: plan.trusted_only().then(|| ceremony.state.trusted_id(&plan)),
            mechanism: plan.transfer.mechanism,
            oaep: plan.transfer.oaep_hash,
            sessions: self.sessions,
        };
        hsm.wrap_ready(&order)?;
        let begun = ceremony.begin(Step::Export)?;
        progress("canary: wrapping a throwaway key to a throwaway KEK, and opening it in software");
        let observed = canary(&plan, hsm, keys)?;
        let package_id = Fixed(random()?);
        let secret = fresh_secret(hsm, &package_id, &plan)?;
        let (listings, share_files) = deal(&plan, &secret, &package_id)?;
        let targets: Vec<&TargetKey> = keys.iter().map(|key| &key.target).collect();
        let wrapped = hsm.wrap(&order, &targets, &|n| {
            progress(&format!("wrapping {}", keys[n].plan.label));
        })?;
        let fingerprint = offer.body().fingerprint;
        let sealing = Sealing { plan: &plan, fingerprint, secret, package_id };
        let mut files = Files::new();
        let mut packaged = Vec::new();
        for (key, wrapped) in keys.iter().zip(&wrapped) {
            let (listing, key_files) = sealing.seal(key, wrapped)?;
            packaged.push(listing);
            files.extend(key_files);
        }
        drop(sealing);
        let body = Package {
            package_id,
            kek_fingerprint: fingerprint,
            mechanism: plan.transfer.mechanism,
            oaep_hash: plan.transfer.oaep_hash,
            observed,
            nonce: Fixed(random()?),
            threshold: plan.quorum.threshold,
            shares: listings,
            keys: packaged,
            token: hsm.identity().clone(),
        };
        let (document, body) = self.build(ceremony, &begun, body, files)?;
        ceremony.stage(&begun, SHARES, &share_files)?;
        let event = Event::export(&plan, document, &body);
        let attempt = begun.attempt();
        ceremony.finish(begun, event)?;
        Ok(Report::new("The keys are wrapped and sealed, and the shares are dealt; every quorum of them opens the seal.")
            .value("package", document.to_string())
            .value("package id", package_id.to_string())
            .value("attempt", attempt)
            .value("folder", ceremony.outbox("package").display().to_string())
            .value("shares", ceremony.outbox(SHARES).display().to_string()))
    }

    /// Builds the package, and has each signing key sign it inside the HSM.
    fn build(
        &self,
        ceremony: &Ceremony,
        begun: &StepIntent,
        body: Package,
        files: Files,
    ) -> Result<(Hash, Package)> {
        let (hash, body) = ceremony.build(begun, body, files)?;
        let message = signed_by_keys(&hash);
        let mut signatures = Files::new();
        for key in self.keys.iter().filter(|key| key.plan.role == Role::Signing) {
            let signature = self.hsm.sign(&key.target, &message)?;
            signatures.push((hsm_signature_file(&key.plan.label), signature));
        }
        ceremony.stage(begun, "package", &signatures)?;
        Ok((hash, body))
    }
}

/// Every key of the plan, checked as the HSM has it now.
pub(super) fn checked_keys(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<WrapCandidate>> {
    hsm.require(Side::Tenant, &ceremony.plan)?;
    let mut checked = Vec::new();
    let inventory = hsm.inventory()?;
    for (plan, record) in ceremony.plan.keys.iter().zip(&ceremony.state.keys) {
        let certificate = certificate_of(ceremony, record)?;
        let target = hsm.target_by_spki(&inventory, certificate.spki())?;
        hsm.target_check(&target, plan.key_type, ceremony.plan.trusted_only())?;
        let certificate = certificate.of_key(&target.spki, plan.label.as_str())?;
        checked.push(WrapCandidate { plan: plan.clone(), target, certificate });
    }
    Ok(checked)
}

/// What wrapping really does, once per kind and size of key.
pub(super) fn canary(plan: &Plan, hsm: &Hsm, keys: &[WrapCandidate]) -> Result<Observed> {
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
    observed.ok_or_else(|| {
        Error::failed("no key to export", with_commands("make the keys: `{tenant keys create}`"))
    })
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

/// What every key of one package is sealed with.
struct Sealing<'a> {
    plan: &'a Plan,
    /// Of the KEK.
    fingerprint: Hash,
    secret: Secret,
    package_id: PackageId,
}

impl Sealing<'_> {
    fn seal(&self, key: &WrapCandidate, wrapped: &WrappedKey) -> Result<(PackagedKey, Files)> {
        let (label, id) = (key.plan.label.as_str(), &self.package_id);
        let seal_key =
            SealKey::derive(&self.secret, id, &self.plan.hash(), &self.fingerprint, label)?;
        let sealed = seal_key.seal(wrapped.as_bytes())?;
        let certificate = key.certificate.der().to_vec();
        let listing = PackagedKey {
            label: key.plan.label.clone(),
            role: key.plan.role,
            spki: Blob(key.target.spki.clone()),
            certificate: Listed::of(&certificate),
            sealed: Listed::of(&sealed),
            wrapped_length: wrapped.as_bytes().len() as u64,
            challenges: challenges(self.plan, &key.plan, &key.target.spki, id)?,
        };
        let files =
            vec![(listing.sealed_file(), sealed), (certificate_file(&listing.label), certificate)];
        Ok((listing, files))
    }
}
