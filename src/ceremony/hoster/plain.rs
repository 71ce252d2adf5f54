//! `import --format pkcs11`: the hoster's HSM unwraps keys that another tool has wrapped for the
//! KEK of this ceremony. The plan names each by its public key; the tenant is then shown what
//! arrived, and asks for proofs.

use std::path::PathBuf;

use clap::Args;

use crate::hoster::attesting::Files;
use crate::hoster::{closing, held, keys};
use crate::step::file_of;
use crate::{Ceremony, Means, Run};
use hsm::wrapped_key::WrappedKey;
use hsm::{CertifiedKey, Hsm, ImportOrder};
use record::document::offer::Offer;
use record::encoding::Hash;
use record::gate::{self, PlainKey};
use record::log::Event;
use record::plan::{KeyPlan, Plan};
use record::rule::Rule;
use record::spki::TargetCertificate;
use record::terms::{Id, KwpFlavour, Side, Step};
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
            Ok((subject(ceremony, &plain)?, plain))
        };
        means.gated(ceremony, Step::ImportPlain, find, |ceremony, hsm, _, plain| {
            import(ceremony, hsm, &plain, &|text| means.asker.progress(text))
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
                _ => Err(Error::Usage {
                    what: format!("not one {what} for {label}"),
                    remedy: "--wrapped LABEL=FILE and --certificate LABEL=FILE, once for each key of the plan".into(),
                }),
            }
        };
        let unknown = self.wrapped.iter().chain(&self.certificates);
        let unknown =
            unknown.map(|(id, _)| id).find(|id| plan.keys.iter().all(|key| key.label != **id));
        if let Some(unknown) = unknown {
            return Err(Error::Usage {
                what: format!("{unknown}: no key of the plan has this label"),
                remedy: "name a label of the plan".into(),
            });
        }
        let one = |key: &KeyPlan| {
            let label = key.label.as_str();
            let bytes = of(&self.wrapped, "wrapped key", &key.label)?;
            let der = of(&self.certificates, "certificate", &key.label)?;
            let certificate = TargetCertificate::parse(&der, label)?;
            let found = Hash::of(certificate.spki());
            if key.spki != Some(found) {
                return Err(Rule::TargetCertificate.refuse(
                    format!("the certificate of {label} holds the public key {found}"),
                    key.spki.map_or("the plan's".into(), |spki| spki.to_string()),
                    "find the certificate of the key that the plan names",
                ));
            }
            let wrapped = WrappedKey::parse(bytes.clone(), plan.transfer.kek_bits, key.key_type)?;
            Ok(Plain { bytes, wrapped, certificate })
        };
        plan.keys.iter().map(one).collect()
    }
}

/// What officers sign for.
fn subject(ceremony: &Ceremony, plain: &[Plain]) -> Result<gate::ImportPlain> {
    let keys = ceremony.plan.keys.iter().zip(plain);
    let keys = keys.map(|(key, plain)| PlainKey {
        label: key.label.clone(),
        spki: Hash::of(plain.certificate.spki()),
        certificate: Hash::of(plain.certificate.der()),
        wrapped: Hash::of(&plain.bytes),
    });
    gate::ImportPlain::of(&ceremony.plan, &ceremony.state, keys.collect())
}

/// Unwraps every key inside the HSM, and makes the document that shows them to the tenant.
/// Whatever was unwrapped and is not as planned is destroyed.
fn import(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    plain: &[Plain],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    let plan = ceremony.plan.clone();
    let offer = ceremony.sent::<Offer>()?;
    let kek = ceremony.state.kek_made()?;
    hsm.require(Side::Hoster, &plan)?;
    let waived = |rule| plan.waives(rule);
    let kek_spki = &offer.body().spki.0;
    hsm.kek_check(kek.id, kek_spki, plan.transfer.mechanism, &waived)?;
    let order = ImportOrder {
        kek: kek.id,
        kek_spki,
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions: 1,
    };
    let labels = held::labels(&plan);
    let keys = plain.iter().map(|key| (key.certificate.spki(), key.certificate.der()));
    let wanted = held::wanted(ceremony, &labels, keys).into_iter();
    let wanted: Vec<_> = wanted.collect();
    hsm.import_ready(&order, &KwpFlavour::ALL, &wanted)?;
    let beside = hsm.beside(&wanted)?;
    let begun = ceremony.begin(Step::ImportPlain)?;
    let wanted: Vec<_> = wanted.into_iter().zip(plain.iter().map(|plain| &plain.wrapped)).collect();
    let held =
        hsm.import(&order, beside, &wanted, &|label| progress(&format!("unwrapping {label}")))?;
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
        (&arrived, Files::default()),
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
