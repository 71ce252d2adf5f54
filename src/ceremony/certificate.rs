//! Certificates of target keys that exist already: given as a file, or found beside the key in the
//! token.

use std::path::Path;

use crate::brought::service;
use hsm::{Hsm, Inventory, TargetKey, self_signed};
use jiff::SignedDuration;
use record::command::with_file;
use record::log::clock;
use record::spki::{self, TargetCertificate};
use record::{Id, KeyPlan, Plan, Result, Rule, ServicePlan, escape, folder};

/// What to do where a key of the tenant's HSM has a certificate that does not serve.
pub const EXISTING: &str = "give the public key alone: Keyferry then makes a certificate of its own beside the key, signed by it inside the HSM, and leaves the other alone. \
     {openssl x509 -in FILE -pubkey -noout > NEW}. One that an authority has issued does not travel (docs/ways.md)";
/// The same where another tool brings the key.
pub const BROUGHT: &str = "have a certificate made by the key itself where the key is, such as by {openssl req -x509 -sha256 -key KEY -subj SUBJECT -out NEW}; one that an authority has issued does not travel (docs/ways.md)";

/// The certificate of a file: signed by its own key, and fit for what the plan wants of it.
///
/// # Errors
/// `TARGET-CERTIFICATE`, with this remedy.
pub fn given(
    der: &[u8],
    file: &Path,
    key: &KeyPlan,
    plan: &Plan,
    remedy: &'static str,
) -> Result<TargetCertificate> {
    serves(der, key, plan)?.map_err(|found| {
        Rule::TargetCertificate.refuse(
            format!("{}, for {}: {}", folder::shown(file), key.label, escape(&found)),
            "a certificate that is signed with SHA-256 by its own key, valid for a week from now and the plan's soak hours besides, and for the key's use",
            with_file(remedy, file),
        )
    })?;
    TargetCertificate::parse(der, key.label.as_str())
}

/// The certificate that lies beside a key in the token and serves. Others, an authority's or one
/// that has ended, are left alone.
///
/// # Errors
/// `TARGET-AMBIGUOUS` where several serve; [`record::Error::Hsm`] where the token fails.
pub fn beside(
    hsm: &Hsm,
    inventory: &Inventory,
    target: &TargetKey,
    key: &KeyPlan,
    plan: &Plan,
) -> Result<Option<TargetCertificate>> {
    let mut serving = Vec::new();
    for der in hsm.certificates(inventory, &target.id)? {
        if serves(&der, key, plan)?.is_ok_and(|spki| spki == target.spki) {
            serving.push(der);
        }
    }
    match &serving[..] {
        [] => Ok(None),
        [der] => TargetCertificate::parse(der, key.label.as_str()).map(Some),
        _ => Err(Rule::TargetAmbiguous.refuse(
            format!("{} certificates of the key of {} that it has signed itself", serving.len(), key.label),
            "at most one beside the key that serves",
            "give the right one: keys create --existing LABEL=FILE; or remove those that nothing needs with the vendor's tool",
        )),
    }
}

/// What is said of a certificate that is taken, where it ends earlier than one that Keyferry makes. A
/// plan names no years, and HGS goes on with a certificate that has ended; other services need not.
pub fn ends_early(label: &Id, der: &[u8]) -> Option<String> {
    service::lifetime(der).filter(|seconds| *seconds < self_signed::VALIDITY.as_secs())?;
    let (end, years) = (service::end(der)?, self_signed::VALIDITY.as_secs() / (365 * 24 * 60 * 60));
    Some(format!(
        "{label}: the certificate that was given ends at {end}; one that Keyferry makes is valid for {years} years. Whether the service stops then, its own documents say (HGS does not)."
    ))
}

/// The public key of a certificate that serves; else what is wrong with it.
fn serves(der: &[u8], key: &KeyPlan, plan: &Plan) -> Result<std::result::Result<Vec<u8>, String>> {
    let hgs = matches!(plan.target, ServicePlan::Hgs { .. });
    // A week for the ceremony, and its soak: nothing in it may end before it does.
    let now = clock()?;
    let last = now + SignedDuration::from_hours(7 * 24 + i64::from(plan.target.soak_hours()));
    let fits = |spki| service::fits(der, key.role, hgs, now..=last).map(|()| spki);
    Ok(spki::own_key(der).and_then(fits))
}
