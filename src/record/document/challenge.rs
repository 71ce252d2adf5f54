//! `challenge`: the tenant's answer to keys that were born at the hoster: it has compared their
//! words, and asks for proofs.

use crate::document::{Body, Header};
pub use crate::proof::key_set::ChallengedKey;
use crate::proof::key_set::{certificate_file, check_keys, each_of_its_own};
use crate::{Fits, Fixed, Hash, KeySet, Kind, Listed, PackageId, Plan, Received, strict_json};

/// What the hoster's HSM, and later every node, must prove.
#[strict_json]
pub struct Challenge {
    /// The identity of this challenge, in the place of a package's.
    pub package_id: PackageId,
    /// What every signing key signs at every place.
    pub nonce: Fixed<32>,
    /// The keys, in the plan's order.
    pub keys: Vec<ChallengedKey>,
}

impl Body for Challenge {
    const KIND: Kind = Kind::Challenge;

    fn files(&self) -> Vec<(String, Listed)> {
        let file = |key: &ChallengedKey| (certificate_file(&key.label), key.certificate.clone());
        self.keys.iter().map(file).collect()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Fits {
        check_keys(&self.keys, plan, |key, planned| key.check(planned, plan))?;
        each_of_its_own(self.keys.iter().map(|key| (&key.label, Hash::of(&key.spki.0))))
    }
}

impl From<&Received<Challenge>> for KeySet {
    fn from(challenge: &Received<Challenge>) -> Self {
        let body = challenge.body();
        let keys = body.keys.iter().cloned();
        KeySet::of(body.package_id, body.nonce, keys, |name| challenge.file(name))
    }
}
