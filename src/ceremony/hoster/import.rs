//! `package check`: the hoster takes the package before any custodian travels. `import`: a quorum opens
//! the seal, and the hoster's HSM unwraps every key inside itself.
//! `import --format pkcs11`: it unwraps keys that another tool has wrapped for the KEK of this
//! ceremony. The plan names each by its public key; the tenant is then shown what arrived, and asks
//! for proofs.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::brought;
use crate::hoster::attesting::AttestationFiles;
use crate::hoster::quorum::{self, ShareArgs};
use crate::hoster::{closing, held, keys};
use crate::step::{Sessions, file_of};
use crate::{Ceremony, Means, Report, Run, StepIntent, certificate};
use custody::seal::SealKey;
use custody::share::Secret;
use hsm::wrapped_key::WrappedKey;
use hsm::{CertifiedKey, HosterKey, Hsm, ImportKey, PublicObjects};
use record::document::offer::Offer;
use record::document::package::{Package, PackagedKey};
use record::document::read;
use record::gate::{self, PlainKey};
use record::log::KekRecord;
use record::spki::TargetCertificate;
use record::{
    Error, Event, Hash, Id, KeyPlan, KeySet, Kind, KwpFlavour, Plan, Released, Result, Rule, Side,
    Step, TransferRoute, folder, list,
};

/// Take the tenant's package, before any custodian travels
#[derive(Args)]
pub struct PackageCheck {
    /// The package/ folder
    package: PathBuf,
}

impl Run for PackageCheck {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::PackageCheck)?;
        let package = ceremony.take::<Package>(&self.package)?;
        let ours = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
        Rule::DocumentContent.ensure(
            Some(package.body().kek_fingerprint) == ours,
            format!("a package for the KEK {}", package.body().kek_fingerprint),
            "a package for the KEK of this ceremony's offer",
            "stop: find out for whose KEK the tenant has wrapped its keys",
        )?;
        package.verify_keys()?;
        let event = Event::package_check(&package, package.signatures.everyone());
        ceremony.took(&package, event)?;
        let body = package.body();
        Ok(Report::new("The package is taken: it is the tenant's, whole, and for this KEK.")
            .value("package", package.hash.to_string())
            .value("package id", body.package_id.to_string())
            .value("keys", list(body.keys.iter().map(|key| &key.label)))
            .value("quorum", format!("{} of {}", body.threshold, body.shares.len())))
    }
}

/// The package that was taken, only if the folder given holds the very same.
///
/// # Errors
/// `PACKAGE-IMPORTED` after an import, `PHASE-ORDER`, `DOCUMENT-…` and `SIGNATURE-…` rules.
fn same(ceremony: &Ceremony, folder: &Path) -> Result<Released<Package>> {
    let state = &ceremony.state;
    let imported =
        state.way == TransferRoute::Carried && !state.keys.is_empty() && state.aborted.is_none();
    if !imported {
        ceremony.state.require(Step::Import)?;
    }
    let given = read::<Package>(folder, &ceremony.plan)?;
    let taken = state.document(Kind::Package)?;
    Rule::PackageImported.ensure(
        !imported,
        format!("the package {} after the import of {taken}", given.hash),
        "one import",
        state.see_status(),
    )?;
    given.not_before(state.seen_attempt)?.released(&ceremony.plan)?.being(taken)
}

/// Open the seal with a quorum of custodians, and unwrap every key inside the HSM
#[derive(Args)]
pub struct Import {
    /// The package/ folder
    #[arg(required_unless_present = "format", conflicts_with = "format")]
    package: Option<PathBuf>,
    #[command(flatten)]
    shares: ShareArgs,
    #[command(flatten)]
    work: Sessions,
}

impl Run for Import {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            let package = self.package.as_ref().ok_or_else(|| Error::defect("no package"))?;
            let package = same(ceremony, package)?;
            let offer = ceremony.sent::<Offer>()?.document.body;
            Ok((gate::Import::of(&ceremony.state)?, (package, offer)))
        };
        means.gated(ceremony, Step::Import, find, |ceremony, hsm, _, (package, offer)| {
            hsm.require(Side::Hoster, &ceremony.plan)?;
            let set = KeySet::from(&*package);
            let labels = held::labels(&ceremony.plan);
            let wanted = held::wanted_of(ceremony, &labels, &set);
            let beside = hsm.beside(&wanted)?;
            let (begun, keys) = match settled(ceremony, hsm, beside, &wanted)? {
                Some(keys) => (ceremony.begin(Step::Import)?, keys),
                None => {
                    let kwp = [package.body().observed.kwp];
                    let how = (&offer, &kwp[..], self.work.count());
                    let order = held::import_ready(ceremony, means, hsm, how, &wanted)?;
                    let begun = ceremony.begin(Step::Import)?;
                    let wrapped = self.open(ceremony, means, &package)?;
                    let how = (&order, beside);
                    (begun, held::unwrap(means, hsm, how, &wanted, wrapped.iter())?)
                }
            };
            receive(ceremony, means, hsm, (begun, package.body(), &set, &keys))
        })
    }
}

impl Import {
    /// Opens the seal with a quorum. The KEK was looked at and tried first: custodians do not spend
    /// their identities on one that would be refused.
    fn open(
        &self,
        ceremony: &mut Ceremony,
        means: &Means,
        package: &Released<Package>,
    ) -> Result<Vec<WrappedKey>> {
        let kek = ceremony.state.kek_made()?;
        // An identity that was opened is spent, whatever follows: each is on record at once.
        let secret = quorum::gather(ceremony, package.body(), &self.shares.0, means.asker)
            .map_err(|error| with_spent(error, ceremony))?;
        // Every seal is opened before anything is unwrapped: a wrong one changes nothing.
        open_seals(&ceremony.plan, package, &kek, &secret)
    }
}

/// Makes the receipt of keys that are in the HSM.
fn receive(
    ceremony: &mut Ceremony,
    means: &Means,
    hsm: &Hsm,
    (begun, package, set, keys): (StepIntent, &Package, &KeySet, &[HosterKey]),
) -> Result<Report> {
    let opened = ceremony.state.quorum.clone();
    let opened = opened.ok_or_else(|| Error::defect("keys arrived, and nobody opened the seal"))?;
    let (custodians, spent) = (opened.custodians, opened.spent);
    means.asker.progress("proving that the HSM signs and decrypts as the tenant's keys");
    let receipt = held::receipt(ceremony, hsm, set, keys, (custodians.clone(), spent.clone()))?;
    let nameless = closing::nameless_left(ceremony, hsm)?;
    let made: Vec<bool> = keys.iter().map(|held| held.target.made).collect();
    let document = ceremony.make(begun, receipt, Vec::new(), |document, receipt| {
        Event::import(document, receipt, package, &made)
    })?;
    let report = Report::new("Every key is in the HSM, unreadable and not extractable, and proves itself.")
        .value("receipt", document.to_string())
        .people("opened by", &ceremony.plan, &custodians)
        .people("spent", &ceremony.plan, &spent)
        .line("An identity that was opened on this machine is spent: its holder makes a new one for the next ceremony.");
    Ok(closing::with_nameless(report, nameless))
}

/// Where people stopped, whose identity is spent all the same.
fn with_spent(error: Error, ceremony: &Ceremony) -> Error {
    let named = |ids: &[Id]| ceremony.plan.names_of("nobody", ids);
    match (error, ceremony.state.quorum.as_ref().filter(|opened| opened.open)) {
        (Error::Ended { what }, Some(opened)) => Error::Ended {
            what: format!(
                "{what}. On record: {} presented a share; spent from now on is the identity of {}",
                named(&opened.custodians),
                named(&opened.spent)
            ),
        },
        (error, _) => error,
    }
}

/// What an interrupted import left whole: then no custodian is needed again.
fn settled(
    ceremony: &Ceremony,
    hsm: &Hsm,
    beside: PublicObjects,
    wanted: &[ImportKey],
) -> Result<Option<Vec<HosterKey>>> {
    // Without a quorum before, nothing was unwrapped, or its record is lost with a machine: then
    // custodians are asked all the same, for the receipt names them.
    let threshold = usize::from(ceremony.plan.quorum.threshold);
    if ceremony.state.quorum.as_ref().is_none_or(|before| before.custodians.len() < threshold) {
        return Ok(None);
    }
    let inventory = hsm.inventory()?;
    wanted.iter().map(|key| hsm.import_find(&inventory, beside, key)).collect()
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

/// The greatest size of a wrapped key that another tool brings, in bytes.
pub const MAX_WRAPPED: u64 = 16 << 10;

/// Unwrap keys that another tool has wrapped: files for the labels of the plan
#[derive(Args)]
pub struct ImportPlain {
    /// Plain wrapped keys (CKM_RSA_AES_KEY_WRAP), where the plan says so
    #[arg(long, value_parser = ["pkcs11"], required = false)]
    format: String,
    /// With --format: the wrapped key of a label
    #[arg(long, value_name = "LABEL=FILE", value_parser = file_of, requires = "format")]
    wrapped: Vec<(Id, PathBuf)>,
    /// With --format: its certificate, DER or PEM
    #[arg(long = "certificate", value_name = "LABEL=FILE", value_parser = file_of, requires = "format")]
    certificates: Vec<(Id, PathBuf)>,
}

impl Run for ImportPlain {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            ceremony.state.require(Step::ImportPlain)?;
            let plain = self.read(&ceremony.plan)?;
            let keys = ceremony.plan.keys.iter().zip(&plain).map(|(key, plain)| PlainKey {
                label: key.label.clone(),
                spki: Hash::of(plain.certificate.spki()),
                certificate: Hash::of(plain.certificate.der()),
                wrapped: Hash::of(&plain.bytes),
            });
            let (plan, state) = (&ceremony.plan, &ceremony.state);
            Ok((gate::ImportPlain::of(plan, state, keys.collect())?, plain))
        };
        means.gated(ceremony, Step::ImportPlain, find, |ceremony, hsm, _, plain| {
            import(ceremony, means, hsm, &plain)
        })
    }
}

/// A key that another tool has wrapped, held against the plan as far as it can be from outside.
struct Plain {
    bytes: Vec<u8>,
    wrapped: WrappedKey,
    certificate: TargetCertificate,
}

impl ImportPlain {
    /// One file of each kind for every key of the plan.
    fn read(&self, plan: &Plan) -> Result<Vec<Plain>> {
        let mut named = self.wrapped.iter().chain(&self.certificates).map(|(id, _)| id);
        if let Some(unknown) = named.find(|id| plan.keys.iter().all(|key| key.label != **id)) {
            return Err(Error::usage(
                format!("{unknown}: no key of the plan has this label"),
                "name a label of the plan",
            ));
        }
        let one = |key: &KeyPlan| {
            let label = key.label.as_str();
            let wrapped = file_of_label(&self.wrapped, "wrapped key", &key.label)?;
            let bytes = folder::read_file(wrapped, MAX_WRAPPED)?;
            let file = file_of_label(&self.certificates, "certificate", &key.label)?;
            let der = brought::certificate(file, Rule::TargetCertificate)?;
            let certificate = certificate::given(&der, file, key, plan, certificate::BROUGHT)?;
            let found = Hash::of(certificate.spki());
            Rule::TargetCertificate.ensure(
                key.spki == Some(found),
                format!("the certificate of {label} holds the public key {found}"),
                key.spki.map_or("the plan's".into(), |spki| spki.to_string()),
                "find the certificate of the key that the plan names",
            )?;
            let wrapped = WrappedKey::parse(bytes.clone(), plan.transfer.kek_bits, key.key_type)?;
            Ok(Plain { bytes, wrapped, certificate })
        };
        plan.keys.iter().map(one).collect()
    }
}

/// The one file of a label.
fn file_of_label<'a>(all: &'a [(Id, PathBuf)], what: &str, label: &Id) -> Result<&'a Path> {
    let mut named = all.iter().filter(|(id, _)| id == label);
    match (named.next(), named.next()) {
        (Some((_, file)), None) => Ok(file),
        _ => Err(Error::usage(
            format!("not one {what} for {label}"),
            "--wrapped LABEL=FILE and --certificate LABEL=FILE, once for each key of the plan",
        )),
    }
}

/// Unwraps every key inside the HSM, and makes the document that shows them to the tenant.
/// Whatever was unwrapped and is not as planned is destroyed.
fn import(ceremony: &mut Ceremony, means: &Means, hsm: &Hsm, plain: &[Plain]) -> Result<Report> {
    let plan = ceremony.plan.clone();
    hsm.require(Side::Hoster, &plan)?;
    let offer = ceremony.sent::<Offer>()?;
    let labels = held::labels(&plan);
    let keys = plain.iter().map(|key| (key.certificate.spki(), key.certificate.der()));
    let wanted = held::wanted(ceremony, &labels, keys);
    let how = (offer.body(), &KwpFlavour::ALL[..], 1);
    let order = held::import_ready(ceremony, means, hsm, how, &wanted)?;
    let beside = hsm.beside(&wanted)?;
    let begun = ceremony.begin(Step::ImportPlain)?;
    let kek = ceremony.state.kek_made()?;
    let wrapped = plain.iter().map(|plain| &plain.wrapped);
    let held = held::unwrap(means, hsm, (&order, beside), &wanted, wrapped)?;
    let arrived = held.into_iter().zip(plain).map(|(held, plain)| {
        let certificate = plain.certificate.der().to_vec();
        CertifiedKey { held, certificate }
    });
    let arrived: Vec<_> = arrived.collect();
    let labels = plan.keys.iter().map(|key| &key.label);
    let spkis = plain.iter().map(|plain| plain.certificate.spki());
    let nameless = closing::nameless(hsm, labels.zip(spkis))?;
    let (document, said, _) = keys::show(
        ceremony,
        hsm,
        begun,
        (&arrived, AttestationFiles::default()),
        |document, keys, claims| {
            let wrapped = plain.iter().map(|plain| Hash::of(&plain.bytes)).collect();
            Event::import_plain(document, keys, claims, kek.fingerprint, wrapped)
        },
    )?;
    let report = Report::new(
        "The keys that another tool has wrapped are in the HSM, unreadable and not extractable.",
    )
    .value("keys", document.to_string())
    .value("fingerprint", said.to_string());
    let ends = plan.keys.iter().zip(plain);
    let ends =
        ends.filter_map(|(key, one)| certificate::ends_early(&key.label, one.certificate.der()));
    let report = closing::with_nameless(report, nameless).lines(ends);
    Ok(keys::shown(ceremony, report, said))
}
