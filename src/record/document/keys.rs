//! `keys`: the keys in the hoster's HSM that the tenant is shown: born there, or brought by another
//! tool.

use crate::attestation::Purpose;
use crate::document::attestation::{Attestation, Attested, AttestedKey};
use crate::document::held_key::{BORN, HeldKey};
use crate::document::{Beside, Body, Header, attestation};
use crate::encoding::hash;
use crate::proof::key_set::{certificate_file, check_certificate, check_keys, each_of_its_own};
use crate::{
    Blob, Fits, Hash, Id, Kind, Listed, Plan, Received, Result, Role, Rule, TokenIdentity,
    TransferRoute, ensure, require, spki, strict_json,
};

/// The keys, as the hoster's HSM shows them.
#[strict_json]
pub struct TargetKeys {
    /// [`fingerprint`] of them: what is read aloud.
    pub fingerprint: Hash,
    /// The keys, in the plan's order.
    pub keys: Vec<BornKey>,
    /// What the HSM's vendor says of them, in the plan's order; keys may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
    /// The token that they are in: a claim of the module.
    pub token: TokenIdentity,
}

/// One key that the tenant is shown.
#[strict_json]
pub struct BornKey {
    /// What it is for.
    pub role: Role,
    /// DER SubjectPublicKeyInfo.
    pub spki: Blob,
    /// `<label>.crt`, signed by the key itself.
    pub certificate: Listed,
    /// As it is in the HSM.
    pub held: HeldKey,
}

/// `H("keyferry/1 keys", plan_hash, label, SHA-256(certificate), …)`: what the tenant types the
/// words of.
pub fn fingerprint<'a>(plan: &Plan, keys: impl Iterator<Item = (&'a Id, Hash)>) -> Hash {
    let mut parts = vec![plan.hash().as_bytes().to_vec()];
    for (label, certificate) in keys {
        parts.push(label.as_str().as_bytes().to_vec());
        parts.push(certificate.as_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    hash(c"keyferry/1 keys", &parts)
}

impl Body for TargetKeys {
    const KIND: Kind = Kind::Keys;
    const BESIDE: Beside = &[attestation::FILE, attestation::REPORT];

    fn files(&self) -> Vec<(String, Listed)> {
        let file = |key: &BornKey| (certificate_file(&key.held.label), key.certificate.clone());
        let attested = self.attestations.iter().flat_map(Attestation::files);
        self.keys.iter().map(file).chain(attested).collect()
    }

    fn check(&self, header: &Header, plan: &Plan) -> Fits {
        let labels = plan.keys.iter().map(|key| key.label.as_str());
        attestation::check(&self.attestations, labels)?;
        check_keys(&self.keys, plan, |key, planned| {
            key.held.check(planned, plan, header.attempt)?;
            if plan.way == TransferRoute::Born {
                require(&key.held.attributes, BORN).map_err(|(found, expected)| {
                    let rule = Rule::TargetLocal.name();
                    (format!("{}: {found} ({rule})", planned.label), expected)
                })?;
            }
            // A key that another tool has brought is the one that the plan names.
            let spki = Hash::of(&key.spki.0);
            if let Some(planned) = planned.spki {
                ensure(planned == spki, format!("the public key {spki}"), planned.to_string())?;
            }
            let label = &planned.label;
            let found = format!("{label} with another role");
            ensure(key.role == planned.role, found, "the plan's role")?;
            spki::check(&key.spki.0, planned.key_type).map_err(|found| {
                (format!("{label}: {found}"), "a key of the plan's type and size".into())
            })
        })?;
        each_of_its_own(self.keys.iter().map(|key| (&key.held.label, Hash::of(&key.spki.0))))?;
        let certificates = self.keys.iter();
        let certificates = certificates.map(|key| (&key.held.label, key.certificate.hash));
        let expected = fingerprint(plan, certificates);
        let found = self.fingerprint;
        ensure(found == expected, found.to_string(), expected.to_string())
    }
}

impl Received<TargetKeys> {
    /// Each certificate is its key's own.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn verify_certificates(&self) -> Result<()> {
        self.body().keys.iter().try_for_each(|key| {
            let label = &key.held.label;
            check_certificate(label, self.file(&certificate_file(label)), &key.spki)
        })
    }
}

impl Attested for TargetKeys {
    fn attested_keys(&self, plan: &Plan) -> (&[Attestation], Vec<AttestedKey<'_>>) {
        let keys = self.keys.iter().zip(&plan.keys).map(|(key, planned)| AttestedKey {
            of: key.held.label.as_str(),
            spki: &key.spki.0,
            purpose: Purpose::Target(planned.usage),
        });
        (&self.attestations, keys.collect())
    }
}
