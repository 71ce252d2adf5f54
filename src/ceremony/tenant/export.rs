//! `export`: every key is wrapped inside the tenant's HSM for the KEK, sealed under a fresh secret,
//! and the secret dealt to the custodians. The secret lives in this function and nowhere else: an
//! export that was interrupted is done again, with a fresh one.
//! `export --format`: for the KEK of a cloud service, by the same calls and behind the same gate.
//! There is no seal: whoever holds that KEK has the keys.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use data_encoding::BASE64URL_NOPAD;

use crate::brought;
use crate::step::{Sessions, done_before};
use crate::tenant::heard::challenges;
use crate::tenant::keys::{certificate_of, certificates_of};
use crate::tenant::trust::{self, TRUSTED_LEFT};
use crate::{Ceremony, Files, Means, Report, Run, plugins};
use ::probe::checks;
use custody::custodian;
use custody::seal::SealKey;
use custody::share::{self, Secret, Share};
use hsm::wrapped_key::WrappedKey;
use hsm::{Hsm, TargetKey, WrapOrder};
use record::command::tool;
use record::document::MAX_DOCUMENT;
use record::document::offer::Offer;
use record::document::package::{Package, PackagedKey, hsm_signature_file, signed_by_keys};
use record::encoding::random;
use record::flow::replay::untrusted;
use record::layout::{SHARES, cloud_folder};
use record::log::{CloudExported, CloudFile};
use record::plan::{KeyPlan, Plan, ServicePlan as Destination};
use record::proof::key_set::certificate_file;
use record::share::ShareListing;
use record::spki::{self, TargetCertificate};
use record::{
    Blob, CloudFormat, Error, Event, Fixed, Hash, Id, KeyType, Listed, Observed, PackageId, Result,
    Role, Rule, Side, Step, TokenIdentity, folder, gate, json_file, with_commands,
};

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
            // Before anybody signs: a share is made by them, and no machine here can fetch one.
            plugins::require_all(&ceremony.plan)?;
            certificates_of(ceremony)?;
            Ok((gate::Export::of(&ceremony.plan, &ceremony.state)?, offer))
        };
        means.gated(ceremony, Step::Export, find, |ceremony, hsm, _, offer| {
            // As the log names them, and so as officers have signed for them; from here on only the
            // bytes that were held against it are used.
            let keys = checked_keys(ceremony, hsm, self.work.count())?;
            let report = self.export(ceremony, means, hsm, (offer.body(), &keys))?;
            // Only now: an export that is interrupted before this is done again, and needs it.
            match trust::untrust(ceremony, hsm) {
                Ok(()) => Ok(report),
                Err(error) => Ok(report.line(format!("trusted KEK: {}: {error}", TRUSTED_LEFT))),
            }
        })
    }
}

/// A key that may be wrapped: on this token, as planned, with its certificate.
struct WrapCandidate {
    pub plan: KeyPlan,
    pub target: TargetKey,
    pub certificate: TargetCertificate,
}

impl Export {
    /// Makes the package and the share files.
    fn export(
        &self,
        ceremony: &mut Ceremony,
        means: &Means,
        hsm: &Hsm,
        (offer, keys): (&Offer, &[WrapCandidate]),
    ) -> Result<Report> {
        let plan = ceremony.plan.clone();
        let order = wrap_order(ceremony, &offer.spki.0, self.work.count());
        hsm.wrap_ready(&order)?;
        let begun = ceremony.begin(Step::Export)?;
        let observed = canary(&plan, means, hsm, keys)?;
        let wrapped = wrap(means, hsm, (&order, keys))?;
        let package_id = Fixed(random()?);
        let secret = fresh_secret(hsm, &package_id, &plan)?;
        let (shares, share_files) = deal(&plan, &secret, &package_id)?;
        let of = (&offer.fingerprint, &package_id);
        let (packaged, files) = seal(&plan, &secret, of, keys, &wrapped)?;
        drop(secret);
        let body = Package {
            package_id,
            kek_fingerprint: offer.fingerprint,
            mechanism: plan.transfer.mechanism,
            oaep_hash: plan.transfer.oaep_hash,
            observed,
            nonce: Fixed(random()?),
            threshold: plan.quorum.threshold,
            shares,
            keys: packaged,
            token: hsm.identity().clone(),
        };
        let (document, body) = ceremony.build(&begun, body, files)?;
        ceremony.stage(&begun, "package", &signed(hsm, keys, &document)?)?;
        ceremony.stage(&begun, SHARES, &share_files)?;
        let attempt = begun.attempt;
        ceremony.finish(begun, Event::export(&plan, document, &body))?;
        Ok(Report::new("The keys are wrapped and sealed, and the shares are dealt; every quorum of them opens the seal.")
            .value("package", document.to_string())
            .value("package id", package_id.to_string())
            .value("attempt", attempt)
            .value("folder", ceremony.outbox("package").display().to_string())
            .value("shares", ceremony.outbox(SHARES).display().to_string()))
    }
}

/// The signatures of the signing keys over the package, made inside the HSM.
fn signed(hsm: &Hsm, keys: &[WrapCandidate], package: &Hash) -> Result<Files> {
    let message = signed_by_keys(package);
    let signing = keys.iter().filter(|key| key.plan.role == Role::Signing);
    signing
        .map(|key| Ok((hsm_signature_file(&key.plan.label), hsm.sign(&key.target, &message)?)))
        .collect()
}

/// How every key is wrapped for a KEK, which a plan may want trusted.
fn wrap_order<'a>(ceremony: &Ceremony, kek_spki: &'a [u8], sessions: usize) -> WrapOrder<'a> {
    let plan = &ceremony.plan;
    WrapOrder {
        kek_spki,
        trusted: plan.trusted_only().then(|| ceremony.state.trusted_id(plan)),
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions,
    }
}

/// Wraps every key.
fn wrap(
    means: &Means,
    hsm: &Hsm,
    (order, keys): (&WrapOrder, &[WrapCandidate]),
) -> Result<Vec<WrappedKey>> {
    let targets: Vec<&TargetKey> = keys.iter().map(|key| &key.target).collect();
    let say = |n: usize| means.asker.progress(&format!("wrapping {}", keys[n].plan.label));
    hsm.wrap(order, &targets, &say)
}

/// Every key of the plan, checked as the HSM has it now.
fn checked_keys(ceremony: &Ceremony, hsm: &Hsm, sessions: usize) -> Result<Vec<WrapCandidate>> {
    hsm.require(Side::Tenant, &ceremony.plan)?;
    let mut checked = Vec::new();
    let inventory = hsm.inventory()?;
    for (plan, record) in ceremony.plan.keys.iter().zip(&ceremony.state.keys) {
        let certificate = certificate_of(ceremony, record)?;
        let target = hsm.target_by_spki(&inventory, certificate.spki())?;
        let certificate = certificate.of_key(&target.spki, plan.label.as_str())?;
        checked.push(WrapCandidate { plan: plan.clone(), target, certificate });
    }
    let targets: Vec<_> = checked.iter().map(|key| (&key.target, key.plan.key_type)).collect();
    hsm.targets_check(&targets, ceremony.plan.trusted_only(), sessions)?;
    Ok(checked)
}

/// What wrapping really does, shown by a canary, once per kind and size of key.
fn canary(plan: &Plan, means: &Means, hsm: &Hsm, keys: &[WrapCandidate]) -> Result<Observed> {
    means.asker.progress(
        "canary: wrapping a throwaway key to a throwaway KEK, and opening it in software",
    );
    let kinds: BTreeSet<KeyType> = keys.iter().map(|key| key.plan.key_type).collect();
    let mut observed = None;
    for kind in kinds {
        let seen = hsm.wrap_canary(kind, plan.transfer.mechanism, plan.transfer.oaep_hash)?;
        Rule::WrapCanary.ensure(
            observed.is_none_or(|before| before == seen),
            format!(
                "OAEP {} and {} for {kind}, something else for another kind",
                seen.oaep_hash, seen.kwp
            ),
            "the same for every kind and size",
            "do not use this HSM for an export",
        )?;
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

/// Seals every wrapped key, for this KEK and package.
fn seal(
    plan: &Plan,
    secret: &Secret,
    (kek, package_id): (&Hash, &PackageId),
    keys: &[WrapCandidate],
    wrapped: &[WrappedKey],
) -> Result<(Vec<PackagedKey>, Files)> {
    let (mut listings, mut files) = (Vec::new(), Files::new());
    for (key, wrapped) in keys.iter().zip(wrapped) {
        let KeyPlan { label, role, .. } = &key.plan;
        let seal_key = SealKey::derive(secret, package_id, &plan.hash(), kek, label.as_str())?;
        let sealed = seal_key.seal(wrapped.as_bytes())?;
        let certificate = key.certificate.der().to_vec();
        let listing = PackagedKey {
            label: label.clone(),
            role: *role,
            spki: Blob(key.target.spki.clone()),
            certificate: Listed::of(&certificate),
            sealed: Listed::of(&sealed),
            wrapped_length: wrapped.as_bytes().len() as u64,
            challenges: challenges(plan, &key.plan, &key.target.spki, package_id)?,
        };
        files.push((listing.sealed_file(), sealed));
        files.push((certificate_file(label), certificate));
        listings.push(listing);
    }
    Ok((listings, files))
}

/// The greatest length of a key identifier, in characters.
const MAX_KID: usize = 400;

/// Wrap every key for a cloud service
#[derive(Args)]
pub struct CloudExport {
    /// The cloud service of the plan: azure-byok, aws-kms or gcp-kms
    #[arg(long, value_name = "FORMAT", required = false, requires = "kek")]
    format: CloudFormat,
    /// With --format: the service's wrapping key, PEM or DER
    #[arg(long, value_name = "FILE", required = false, requires = "format")]
    kek: PathBuf,
    /// With azure-byok: the key identifier of the KEK, a URL
    #[arg(long, value_name = "URL", requires = "format")]
    kid: Option<String>,
}

impl Run for CloudExport {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        if let Some((seq, last)) = ceremony.last_result()
            && self.has_made(ceremony, last)
        {
            return done_before(&ceremony.plan, seq, last);
        }
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
        let spki = brought::public_key(&self.kek, Rule::KekKey)?;
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

    /// Whether this entry is of the same export, and its files lie in the outbox.
    fn has_made(&self, ceremony: &Ceremony, event: &Event) -> bool {
        let Event::CloudExport(done) = event else { return false };
        let folder = ceremony.outbox(&cloud_folder(ceremony.state.cloud_exports));
        // Only the file has the name that the service has for its KEK.
        let of_kid = |bytes: &[u8]| {
            let file = serde_json::from_slice::<serde_json::Value>(bytes);
            self.kid
                .as_ref()
                .is_none_or(|kid| file.is_ok_and(|file| file["header"]["kid"] == **kid))
        };
        let there = |one: &CloudFile| {
            let path = folder.join(done.format.file_name(&one.label));
            let bytes = folder::read_file(&path, MAX_DOCUMENT);
            bytes.is_ok_and(|bytes| Hash::of(&bytes) == one.file && of_kid(&bytes))
        };
        let kek = brought::public_key(&self.kek, Rule::KekKey);
        self.format == done.format
            && kek.is_ok_and(|kek| Hash::of(&kek) == done.fingerprint)
            && done.files.iter().all(there)
    }

    /// Makes the files for the service.
    fn export(
        &self,
        ceremony: &mut Ceremony,
        means: &Means,
        hsm: &Hsm,
        kek: &[u8],
    ) -> Result<Report> {
        let keys = checked_keys(ceremony, hsm, 1)?;
        let order = wrap_order(ceremony, kek, 1);
        hsm.wrap_ready(&order)?;
        // Before the intent: what the service would refuse changes nothing.
        let observed = canary(&ceremony.plan, means, hsm, &keys)?;
        checks::unfilled(&ceremony.plan, observed.kwp)?;
        let begun = ceremony.begin(Step::CloudExport)?;
        let wrapped = wrap(means, hsm, (&order, &keys))?;
        let one = |(key, wrapped): (&WrapCandidate, &WrappedKey)| {
            let (label, bytes) = (&key.plan.label, wrapped.as_bytes());
            file(self.format, label, bytes, self.kid.as_deref(), hsm.identity())
        };
        let files = keys.iter().zip(&wrapped).map(one).collect::<Result<Vec<_>>>()?;
        // Their folder gets its name once the log names them.
        let name = cloud_folder(ceremony.state.cloud_exports + 1);
        ceremony.stage(&begun, &name, &files)?;
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
        .value("folder", ceremony.outbox(&name).display().to_string());
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
fn what_next(format: CloudFormat) -> String {
    let (line, more) = match format {
        CloudFormat::AzureByok => (
            tool("az keyvault key import --byok-file FILE"),
            "with vault and name, and the --kty and --ops that the key is to have",
        ),
        CloudFormat::AwsKms => (
            tool(
                "aws kms import-key-material --encrypted-key-material fileb://FILE --import-token fileb://TOKEN",
            ),
            "with the key's id, within 24 hours of get-parameters-for-import",
        ),
        CloudFormat::GcpKms => (
            tool("gcloud kms keys versions import --wrapped-key-file FILE --import-job JOB"),
            "with location, key ring and key, within 3 days of making the job",
        ),
    };
    format!("Then, {more}:\n  {line}")
}
