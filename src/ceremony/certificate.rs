//! Certificates of target keys that exist already: given as a file, or found beside the key in the
//! token.

use std::path::Path;

use hsm::{Hsm, Inventory, TargetKey};
use record::brought::service;
use record::command::with_file;
use record::escape::escape;
use record::log::clock;
use record::plan::{KeyPlan, Plan, ServicePlan};
use record::rule::Rule;
use record::spki::{self, TargetCertificate};
use record::{Result, folder};

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
            "a certificate that is signed with SHA-256 by its own key, valid now, and for the key's use",
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

/// The public key of a certificate that serves; else what is wrong with it.
fn serves(der: &[u8], key: &KeyPlan, plan: &Plan) -> Result<std::result::Result<Vec<u8>, String>> {
    let hgs = matches!(plan.target, ServicePlan::Hgs { .. });
    let now = clock()?;
    Ok(spki::own_key(der).and_then(|spki| service::fits(der, key.role, hgs, now).map(|()| spki)))
}
