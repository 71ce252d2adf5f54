//! `import --format pkcs11`: the hoster's HSM unwraps keys that another tool has wrapped for the
//! KEK of this ceremony. The plan names each by its public key; the tenant is then shown what
//! arrived, and asks for proofs.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{Ceremony, approval::Approved, hoster::keys};
use hsm::{CertifiedKey, Hsm, ImportKey, ImportOrder, wrapped_key::WrappedKey};
use record::{
    Error, Result,
    document::offer::Offer,
    encoding::Hash,
    folder,
    gate::{self, PlainKey},
    log::{Event, KeyRecord, PlainImported},
    plan::{KeyPlan, Plan},
    proof::key_set::certificate_file,
    rule::Rule,
    spki::TargetCertificate,
    terms::{Id, Side, Step},
};
use terminal::report::Report;

/// The greatest size of a wrapped key or a certificate, in bytes.
const MAX_FILE: u64 = 16 << 10;

/// What was named on the command line: files for the labels of the plan.
pub struct Brought {
    /// The wrapped keys, as CKM_RSA_AES_KEY_WRAP makes them.
    pub wrapped: Vec<(Id, PathBuf)>,
    /// The certificates, DER.
    pub certificates: Vec<(Id, PathBuf)>,
}

/// A key that another tool has wrapped, held against the plan as far as it can be from outside.
struct Plain {
    bytes: Vec<u8>,
    wrapped: WrappedKey,
    certificate: TargetCertificate,
}

impl Brought {
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
    let offer = ceremony.sent::<Offer>()?.0;
    let keys = ceremony.plan.keys.iter().zip(plain);
    let keys = keys.map(|(key, plain)| PlainKey {
        label: key.label.clone(),
        spki: Hash::of(plain.certificate.spki()),
        certificate: Hash::of(plain.certificate.der()),
        wrapped: Hash::of(&plain.bytes),
    });
    Ok(gate::ImportPlain { kek_fingerprint: Hash::of(&offer.body().spki.0), keys: keys.collect() })
}

/// Asks the officers for the import.
///
/// # Errors
/// `PHASE-ORDER`, [`Error::Usage`], `TARGET-CERTIFICATE`, `WRAP-FORMAT`, [`Error::Waiting`],
/// `SIGNATURE-…`.
pub fn ask(ceremony: &mut Ceremony, brought: &Brought) -> Result<Approved<gate::ImportPlain>> {
    ceremony.state.require(Step::ImportPlain)?;
    let plain = brought.read(&ceremony.plan)?;
    let subject = subject(ceremony, &plain)?;
    crate::approval::require(ceremony, &subject)
}

/// Unwraps every key inside the HSM, and makes the document that shows them to the tenant.
///
/// # Errors
/// `PHASE-ORDER`, `APPROVAL-SUBJECT`, `KEK-…`, `TARGET-…`, `WRAP-…`, or the HSM's. Whatever was
/// unwrapped and is not as planned is destroyed.
pub fn import(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<gate::ImportPlain>,
    brought: &Brought,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    ceremony.state.require(Step::ImportPlain)?;
    let plan = ceremony.plan.clone();
    let plain = brought.read(&plan)?;
    approved.covers(&subject(ceremony, &plain)?)?;
    let offer = ceremony.sent::<Offer>()?.0;
    let kek = ceremony.state.kek_made()?;
    hsm.require(Side::Hoster, &plan)?;
    let waived = |rule| plan.waives(rule);
    hsm.kek_check(kek.id, &offer.body().spki.0, plan.transfer.mechanism, &waived)?;
    let begun = ceremony.begin(Step::ImportPlain)?;
    let order = ImportOrder {
        kek: kek.id,
        mechanism: plan.transfer.mechanism,
        oaep: plan.transfer.oaep_hash,
        sessions: 1,
    };
    let labels = plan.keys.iter();
    let labels: Vec<_> = labels.map(|key| plan.hoster_label(key.label.as_str())).collect();
    let wanted = plan.keys.iter().zip(&plain).zip(&labels);
    let wanted: Vec<_> = wanted
        .map(|((key, plain), label)| {
            let wanted = ImportKey {
                id: plan.target_id(key.label.as_str(), begun.attempt()),
                label,
                spki: plain.certificate.spki(),
                certificate: plain.certificate.der(),
                usage: key.usage,
                born: false,
            };
            (wanted, &plain.wrapped)
        })
        .collect();
    let held = hsm.import(order, &wanted, &|label| progress(&format!("unwrapping {label}")))?;
    let arrived: Vec<CertifiedKey> = held
        .into_iter()
        .zip(&plain)
        .map(|(held, plain)| CertifiedKey { held, certificate: plain.certificate.der().to_vec() })
        .collect();
    let body = keys::body(&plan, hsm, &arrived, Vec::new(), begun.attempt());
    // Nothing attests a key that came from elsewhere: a plan that asks for more is refused here.
    let judged = body.attested(|_| &[], &plan, Timestamp::now())?;
    let fingerprint = body.fingerprint;
    let certificates = plan.keys.iter().zip(&plain);
    let certificates = certificates
        .map(|(key, plain)| (certificate_file(&key.label), plain.certificate.der().to_vec()));
    let document = ceremony.build(&begun, body, certificates.collect())?;
    let records = plan.keys.iter().zip(&arrived).map(|(key, arrived)| KeyRecord {
        label: key.label.clone(),
        spki: Hash::of(&arrived.held.target.spki),
        certificate: Hash::of(&arrived.certificate),
        made: arrived.held.imported,
    });
    ceremony.finish(
        begun,
        Event::ImportPlain(PlainImported {
            document,
            fingerprint: kek.fingerprint,
            attested: judged.level,
            token: hsm.identity().clone(),
            keys: records.collect(),
            wrapped: plain.iter().map(|plain| Hash::of(&plain.bytes)).collect(),
        }),
    )?;
    let report = Report::new(
        "The keys that another tool has wrapped are in the HSM, unreadable and not extractable.",
    )
    .value("keys", document.to_string())
    .value("fingerprint", fingerprint.to_string());
    Ok(keys::shown(ceremony, report, fingerprint))
}
