//! `import --format pkcs11`: the hoster's HSM unwraps keys that another tool has wrapped for the
//! KEK of this ceremony. The plan names each by its public key; the tenant is then shown what
//! arrived, and asks for proofs.

use std::path::PathBuf;

use clap::Args;

use crate::hoster::attesting::AttestationFiles;
use crate::hoster::{closing, held, keys};
use crate::step::file_of;
use crate::{Ceremony, Means, Run};
use hsm::wrapped_key::WrappedKey;
use hsm::{CertifiedKey, Hsm};
use record::document::offer::Offer;
use record::encoding::Hash;
use record::gate::{self, PlainKey};
use record::log::Event;
use record::plan::{KeyPlan, Plan};
use record::rule::Rule;
use record::spki::TargetCertificate;
use record::terms::{Id, Side, Step};
use record::{Error, Result, folder};
use terminal::report::Report;

/// The greatest size of a wrapped key or a certificate, in bytes.
const MAX_FILE: u64 = 16 << 10;

/// Unwrap keys that another tool has wrapped: files for the labels of the plan
#[derive(Args)]
pub struct ImportPlain {
    /// Plain wrapped keys (CKM_RSA_AES_KEY_WRAP), where the plan says so
    #[arg(long, value_parser = ["pkcs11"], required = false)]
    format: String,
    /// With --format: the wrapped key of a label
    #[arg(long, value_name = "LABEL=FILE", value_parser = file_of, requires = "format")]
    wrapped: Vec<(Id, PathBuf)>,
    /// With --format: its certificate, DER
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
        let of = |all: &[(Id, PathBuf)], what: &str, label: &Id| {
            let mut named = all.iter().filter(|(id, _)| id == label);
            match (named.next(), named.next()) {
                (Some((_, file)), None) => folder::read_file(file, MAX_FILE),
                _ => Err(Error::usage(
                    format!("not one {what} for {label}"),
                    "--wrapped LABEL=FILE and --certificate LABEL=FILE, once for each key of the plan",
                )),
            }
        };
        let mut named = self.wrapped.iter().chain(&self.certificates).map(|(id, _)| id);
        if let Some(unknown) = named.find(|id| plan.keys.iter().all(|key| key.label != **id)) {
            return Err(Error::usage(
                format!("{unknown}: no key of the plan has this label"),
                "name a label of the plan",
            ));
        }
        let one = |key: &KeyPlan| {
            let label = key.label.as_str();
            let bytes = of(&self.wrapped, "wrapped key", &key.label)?;
            let der = of(&self.certificates, "certificate", &key.label)?;
            let certificate = TargetCertificate::parse(&der, label)?;
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

/// Unwraps every key inside the HSM, and makes the document that shows them to the tenant.
/// Whatever was unwrapped and is not as planned is destroyed.
fn import(ceremony: &mut Ceremony, means: &Means, hsm: &Hsm, plain: &[Plain]) -> Result<Report> {
    let plan = ceremony.plan.clone();
    hsm.require(Side::Hoster, &plan)?;
    held::kek_as_offered(ceremony, hsm, ceremony.sent::<Offer>()?.body())?;
    let begun = ceremony.begin(Step::ImportPlain)?;
    let kek = ceremony.state.kek_made()?;
    let keys = plain
        .iter()
        .map(|Plain { certificate, wrapped, .. }| (certificate.spki(), certificate.der(), wrapped));
    let held = held::unwrap(ceremony, means, hsm, (&kek, 1), &keys.collect::<Vec<_>>())?;
    let certificates = plain.iter().map(|plain| plain.certificate.der().to_vec());
    let arrived = held.into_iter().zip(certificates);
    let arrived: Vec<CertifiedKey> =
        arrived.map(|(held, certificate)| CertifiedKey { held, certificate }).collect();
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
    let report = closing::with_nameless(report, nameless);
    Ok(keys::shown(ceremony, report, said))
}
