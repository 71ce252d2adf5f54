//! `offer`: the hoster's KEK. The first document.

use crate::attestation::Purpose;
use crate::document::attestation::{Attestation, Attested, AttestedKey, KEK};
use crate::document::held_key::BORN;
use crate::document::{Beside, Body, Header, attestation};
use crate::{
    Blob, CkaId, Fits, Hash, Kind, Listed, Mechanism, OaepHash, Observed, Plan, ReadBack, Rule,
    TokenIdentity, differs, ensure, require, spki, strict_json,
};

/// The KEK, as the hoster's HSM shows it.
#[strict_json]
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
    /// What the HSM's vendor says of the KEK.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
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
fn waivable(mechanism: Mechanism) -> [(Rule, &'static str, &'static str); 6] {
    let (allowed, unwrapped) = match mechanism {
        Mechanism::SingleShot => ("CKM_RSA_AES_KEY_WRAP", UNWRAPPED_TARGET),
        Mechanism::Composite => ("CKM_RSA_PKCS_OAEP", UNWRAPPED_AES),
    };
    [
        (Rule::KekSignRecover, "CKA_SIGN_RECOVER", "false"),
        (Rule::KekDerive, "CKA_DERIVE", "false"),
        (Rule::KekModifiable, "CKA_MODIFIABLE", "false"),
        (Rule::KekCopyable, "CKA_COPYABLE", "false"),
        (Rule::KekAllowedMechanisms, "CKA_ALLOWED_MECHANISMS", allowed),
        (Rule::KekUnwrapTemplate, "CKA_UNWRAP_TEMPLATE", unwrapped),
    ]
}

/// What a single-shot KEK forces on the target key (design, section 4.1).
const UNWRAPPED_TARGET: &str =
    "CKA_CLASS CKO_PRIVATE_KEY, CKA_PRIVATE true, CKA_SENSITIVE true, CKA_EXTRACTABLE false";

/// What a single-shot KEK may hold instead, where its own rule is waived too.
const WEAKER: [(Rule, Rule, &str); 2] = [
    (Rule::KekAllowedMechanisms, Rule::KekUnwrapTwoSteps, "CKM_RSA_AES_KEY_WRAP CKM_RSA_PKCS_OAEP"),
    (Rule::KekUnwrapTemplate, Rule::KekUnwrapPrivate, "CKA_SENSITIVE true, CKA_EXTRACTABLE false"),
];

/// What a composite KEK forces on the AES key before the target key.
const UNWRAPPED_AES: &str = "CKA_CLASS CKO_SECRET_KEY, CKA_KEY_TYPE CKK_AES, CKA_SENSITIVE true, \
     CKA_EXTRACTABLE false, CKA_WRAP false, CKA_ENCRYPT false, CKA_DECRYPT false";

impl Body for Offer {
    const KIND: Kind = Kind::Offer;
    const BESIDE: Beside = &[attestation::FILE, attestation::REPORT];

    fn files(&self) -> Vec<(String, Listed)> {
        self.attestations.iter().flat_map(Attestation::files).collect()
    }

    fn check(&self, header: &Header, plan: &Plan) -> Fits {
        let same = |found: String, expected: String| ensure(found == expected, found, expected);
        let bits =
            spki::rsa_bits(&self.spki.0).map_err(|found| (found, "an RSA public key".into()))?;
        same(format!("a KEK of {bits} bits"), format!("a KEK of {} bits", plan.transfer.kek_bits))?;
        same(self.fingerprint.to_string(), Hash::of(&self.spki.0).to_string())?;
        same(self.mechanism.to_string(), plan.transfer.mechanism.to_string())?;
        let oaep = plan.transfer.oaep_hash;
        same(format!("OAEP {}", self.oaep_hash), format!("OAEP {oaep}"))?;
        let observed = self.observed.oaep_hash;
        same(format!("OAEP {observed} observed"), format!("OAEP {oaep} observed"))?;
        if let Some(rule) = self.waived.iter().find(|rule| !plan.waives(**rule)) {
            return differs(format!("{} is waived", rule.name()), "only what the plan waives");
        }
        let id = plan.kek_id(header.attempt);
        same(format!("CKA_ID {}", self.id), format!("CKA_ID {id}"))?;
        for (rule, attribute, value) in waivable(plan.transfer.mechanism) {
            // A weaker KEK is said to be one, and is what it is said to be.
            let weaker = WEAKER
                .iter()
                .find(|(exact, weaker, _)| *exact == rule && self.waived.contains(weaker));
            let value = weaker.map_or(value, |(.., value)| value);
            let said = require(&self.attributes, &[(attribute, value)]);
            let name = rule.name();
            match (said, self.waived.contains(&rule)) {
                (Ok(()), true) => {
                    let expected = "only what the KEK's attributes miss";
                    return differs(format!("{name} is waived"), expected);
                }
                (Err((found, expected)), false) => {
                    return Err((format!("{found} ({name})"), expected));
                }
                (Ok(()), false) | (Err(_), true) => {}
            }
        }
        attestation::check(&self.attestations, std::iter::once(attestation::KEK))?;
        require(&self.attributes, REQUIRED)?;
        require(&self.attributes, BORN)
            .map_err(|(found, expected)| (format!("{found} ({})", Rule::KekLocal.name()), expected))
    }
}

impl Attested for Offer {
    fn attested_keys(&self, _: &Plan) -> (&[Attestation], Vec<AttestedKey<'_>>) {
        let kek = AttestedKey { of: KEK, spki: &self.spki.0, purpose: Purpose::Kek };
        (&self.attestations, vec![kek])
    }
}
