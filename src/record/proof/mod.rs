//! Proof that it is the same key (design, section 4.5): at each place the hoster's HSM signs with
//! each signing key, and answers for each encryption key. Never an oracle: what is signed has a
//! label of ours, and what is decrypted leaves only as a hash.

pub mod key_set;

use crate::encoding::{enc, hash};
use crate::proof::key_set::ProvenKey;
use crate::{
    Blob, Fits, Fixed, Hash, Id, KeySet, PackageId, Plan, Result, Role, Rule, ensure, escape, spki,
    strict_json,
};

/// One key's proof at one place.
#[strict_json]
pub struct Proof {
    /// The key.
    pub label: Id,
    /// `import`, or `<node>/<stage>`.
    pub place: String,
    /// What proves it.
    pub evidence: KeyProof,
}

/// What proves that an HSM holds a key.
#[strict_json]
#[serde(rename_all = "lowercase")]
pub enum KeyProof {
    /// A signing key's RSASSA-PKCS1-v1_5-SHA256 over [`message`].
    Signature(Blob),
    /// An encryption key's [`answer`] to its challenge.
    Answer(Hash),
}

/// What a signing key signs at a place: `ids` are the plan's hash and the package's id.
pub fn message(ids: (&Hash, &PackageId), label: &Id, place: &str, nonce: &Fixed<32>) -> Vec<u8> {
    let (plan, package) = ids;
    let label = label.as_str().as_bytes();
    enc(c"keyferry/1 proof", &[plan.as_bytes(), &package.0, label, place.as_bytes(), &nonce.0])
}

/// What an encryption key's holder returns for the challenge that only it can decrypt.
pub fn answer(ids: (&Hash, &PackageId), label: &Id, place: &str, challenge: &[u8]) -> Hash {
    let (plan, package) = ids;
    let label = label.as_str().as_bytes();
    hash(c"keyferry/1 answer", &[plan.as_bytes(), &package.0, label, place.as_bytes(), challenge])
}

/// What a package lists of an answer, so that anyone can check it later.
pub fn expected(answer: &Hash) -> Hash {
    hash(c"keyferry/1 expected", &[answer.as_bytes()])
}

impl Proof {
    /// Whether there is exactly one proof for every place and key, in that order.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check_places(proofs: &[Proof], plan: &Plan, places: &[String]) -> Fits {
        let planned =
            places.iter().flat_map(|place| plan.keys.iter().map(move |key| (&key.label, place)));
        let found = format!("{} proofs, of other keys or places", proofs.len());
        let expected = format!("one per key and place of {}", places.join(", "));
        ensure(proofs.iter().map(|proof| (&proof.label, &proof.place)).eq(planned), found, expected)
    }

    /// Verifies the proof against the keys that it is asked of.
    ///
    /// # Errors
    /// `PROOF-SIGNATURE` or `PROOF-ANSWER`, naming key and place.
    pub fn verify(&self, plan: &Plan, keys: &KeySet) -> Result<()> {
        let key = keys.key(&self.label);
        let holds = key.is_some_and(|key| self.holds(plan, keys, key));
        let rule = match self.evidence {
            KeyProof::Signature(_) => Rule::ProofSignature,
            KeyProof::Answer(_) => Rule::ProofAnswer,
        };
        rule.ensure(
            holds,
            format!("the proof of {} at {} does not hold", self.label, escape(&self.place)),
            "what only the holder of the tenant's key can make",
            "do not accept: ask the hoster which key the HSM holds under this label",
        )
    }

    fn holds(&self, plan: &Plan, keys: &KeySet, key: &ProvenKey) -> bool {
        match (&self.evidence, key.role) {
            (KeyProof::Signature(signature), Role::Signing) => spki::verifies(
                &key.spki.0,
                &message((&plan.hash(), &keys.id), &key.label, &self.place, &keys.nonce),
                &signature.0,
            ),
            (KeyProof::Answer(answer), Role::Encryption) => key
                .challenge(&self.place)
                .is_some_and(|challenge| challenge.expected == expected(answer)),
            _ => false,
        }
    }
}
