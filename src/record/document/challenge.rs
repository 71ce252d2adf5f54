//! `challenge`: the tenant's answer to keys that were born at the hoster: it has compared their
//! words, and asks for proofs.

use serde::{Deserialize, Serialize};

use crate::{
    document::{Body, Header, Received},
    encoding::{Blob, Fixed, PackageId},
    plan::Plan,
    proof::key_set::{KeyClaim, KeySet, PlaceChallenge, ProvenKey, certificate_file, check_count},
    terms::{Id, Kind, Listed, Role},
};

/// What the hoster's HSM, and later every node, must prove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The identity of this challenge, in the place of a package's.
    pub package_id: PackageId,
    /// What every signing key signs at every place.
    pub nonce: Fixed<32>,
    /// The keys, in the plan's order.
    pub keys: Vec<ChallengedKey>,
}

/// One key, as the tenant has taken it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengedKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// DER SubjectPublicKeyInfo.
    pub spki: Blob,
    /// `<label>.crt`.
    pub certificate: Listed,
    /// For an encryption key, one challenge per place, in the order of [`Plan::places`].
    pub challenges: Vec<PlaceChallenge>,
}

impl Body for Challenge {
    const KIND: Kind = Kind::Challenge;

    fn files(&self) -> Vec<(String, Listed)> {
        let file = |key: &ChallengedKey| (certificate_file(&key.label), key.certificate.clone());
        self.keys.iter().map(file).collect()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Result<(), (String, String)> {
        check_count(self.keys.len(), plan)?;
        self.keys.iter().zip(&plan.keys).try_for_each(|(key, planned)| {
            let said = KeyClaim {
                label: &key.label,
                role: key.role,
                spki: &key.spki,
                challenges: &key.challenges,
            };
            said.check(planned, plan)
        })
    }
}

impl From<&Received<Challenge>> for KeySet {
    fn from(challenge: &Received<Challenge>) -> Self {
        let body = challenge.body();
        let keys = body.keys.iter().map(|key| ProvenKey {
            label: key.label.clone(),
            role: key.role,
            spki: key.spki.clone(),
            certificate: challenge.file(&certificate_file(&key.label)).to_vec(),
            challenges: key.challenges.clone(),
        });
        KeySet { id: body.package_id, nonce: body.nonce, keys: keys.collect() }
    }
}
