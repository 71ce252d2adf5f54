//! `offer`: the hoster's KEK. The first document.

use serde::{Deserialize, Serialize};

use super::{
    Body, Header, Kind, Listed,
    parts::{self, Mechanism, OaepHash, Observed, ReadBack, TokenIdentity},
};
use crate::{
    encoding::{Blob, CkaId, Hash, cka_id},
    plan::Plan,
    rule::Rule,
    spki,
};

/// The KEK, as the hoster's HSM shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The KEK's CKA_ID.
    pub id: CkaId,
    /// DER SubjectPublicKeyInfo of the KEK.
    pub spki: Blob,
    /// SHA-256 of it: what is read aloud.
    pub fingerprint: Hash,
    /// How it unwraps.
    pub mechanism: Mechanism,
    /// With which OAEP hash.
    pub oaep_hash: OaepHash,
    /// What unwrapping was seen to do.
    pub observed: Observed,
    /// The KEK's attributes, as read back in a new session: a claim of the module.
    pub attributes: Vec<ReadBack>,
    /// Rules that the token can't keep and the plan waives.
    pub waived: Vec<Rule>,
    /// The token: a claim of the module.
    pub token: TokenIdentity,
}

/// What the hoster must at least say of its KEK; what a plan can waive is not among it.
const REQUIRED: &[(&str, &str)] = &[
    ("CKA_TOKEN", "true"),
    ("CKA_PRIVATE", "true"),
    ("CKA_SENSITIVE", "true"),
    ("CKA_EXTRACTABLE", "false"),
    ("CKA_UNWRAP", "true"),
    ("CKA_DECRYPT", "false"),
    ("CKA_SIGN", "false"),
];

/// What the hoster may say otherwise only where the plan waives the rule.
const WAIVABLE: &[(Rule, &str, &str)] = &[
    (Rule::KekSignRecover, "CKA_SIGN_RECOVER", "false"),
    (Rule::KekDerive, "CKA_DERIVE", "false"),
    (Rule::KekModifiable, "CKA_MODIFIABLE", "false"),
    (Rule::KekCopyable, "CKA_COPYABLE", "false"),
    (
        Rule::KekAllowedMechanisms,
        "CKA_ALLOWED_MECHANISMS",
        "CKM_RSA_PKCS_OAEP",
    ),
];

impl Body for Offer {
    const KIND: Kind = Kind::Offer;

    fn files(&self) -> Vec<(String, Listed)> {
        Vec::new()
    }

    fn check(&self, header: &Header, plan: &Plan) -> Result<(), (String, String)> {
        let same = |found: String, expected: String| {
            if found == expected {
                Ok(())
            } else {
                Err((found, expected))
            }
        };
        let bits =
            spki::rsa_bits(&self.spki.0).map_err(|found| (found, "an RSA public key".into()))?;
        same(
            format!("a KEK of {bits} bits"),
            format!("a KEK of {} bits", plan.transfer.kek_bits),
        )?;
        same(
            self.fingerprint.to_string(),
            Hash::of(&self.spki.0).to_string(),
        )?;
        same(
            format!("{:?}", self.mechanism),
            format!("{:?}", plan.transfer.mechanism),
        )?;
        same(
            format!("OAEP {:?}", self.oaep_hash),
            format!("OAEP {:?}", plan.transfer.oaep_hash),
        )?;
        same(
            format!("OAEP {:?} observed", self.observed.oaep_hash),
            format!("OAEP {:?} observed", plan.transfer.oaep_hash),
        )?;
        if let Some(rule) = self.waived.iter().find(|rule| !plan.waives(**rule)) {
            return Err((
                format!("{} is waived", rule.name()),
                "only what the plan waives".into(),
            ));
        }
        let id = cka_id(&plan.hash(), "hoster", "kek", "", header.attempt);
        same(format!("CKA_ID {}", self.id), format!("CKA_ID {id}"))?;
        for (rule, attribute, value) in WAIVABLE.iter().filter(|(rule, ..)| !plan.waives(*rule)) {
            parts::require(&self.attributes, &[(attribute, value)])
                .map_err(|(found, expected)| (format!("{found} ({})", rule.name()), expected))?;
        }
        let template = self
            .attributes
            .iter()
            .find(|read| read.attribute == "CKA_UNWRAP_TEMPLATE");
        let pinned = template.is_some_and(|read| read.value.contains("CKA_EXTRACTABLE false"));
        if !pinned && !plan.waives(Rule::KekUnwrapTemplate) {
            let found = format!(
                "a KEK without its unwrap template ({})",
                Rule::KekUnwrapTemplate.name()
            );
            return Err((
                found,
                "CKA_UNWRAP_TEMPLATE with CKA_EXTRACTABLE false".into(),
            ));
        }
        parts::require(&self.attributes, REQUIRED)
    }
}
