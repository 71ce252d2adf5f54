//! The hoster's HSM proves, at a place, that it holds the tenant's keys (design, section 4.5).

use zeroize::Zeroizing;

use crate::Ceremony;
use hsm::{Hsm, TargetKey};
use record::{
    Error, Result,
    encoding::Blob,
    proof::{self, KeyProof, Proof, key_set::KeySet},
    rule::Rule,
    terms::{Id, OaepHash, Role},
};

/// One proof per key at one place, each verified as the tenant will.
///
/// # Errors
/// The HSM's, `PROOF-SIGNATURE`, `PROOF-ANSWER`.
pub fn prove(
    ceremony: &Ceremony,
    hsm: &Hsm,
    keys: &KeySet,
    targets: &[TargetKey],
    place: &str,
) -> Result<Vec<Proof>> {
    let plan = &ceremony.plan;
    let ids = (&plan.hash(), &keys.id);
    let mut proofs = Vec::new();
    for (key, target) in keys.keys.iter().zip(targets) {
        let evidence = match key.role {
            Role::Signing => {
                let message = proof::message(ids, &key.label, place, &keys.nonce);
                KeyProof::Signature(Blob(hsm.sign(target, &message)?))
            }
            Role::Encryption => {
                let challenge = key.challenge(place).ok_or_else(|| {
                    Error::defect(format!("no challenge of {} for {place}", key.label))
                })?;
                let (hash, ciphertext) = (plan.transfer.oaep_hash, &challenge.ciphertext.0);
                let plain = open_challenge(hsm, target, hash, &key.label, ciphertext)?;
                KeyProof::Answer(proof::answer(ids, &key.label, place, &plain))
            }
        };
        let proof = Proof { label: key.label.clone(), place: place.to_owned(), evidence };
        proof.verify(plan, keys)?;
        proofs.push(proof);
    }
    Ok(proofs)
}

/// The 32 bytes of a challenge. They leave only as part of a hash: this opens nothing that a
/// counterpart chose.
///
/// # Errors
/// `PROOF-ANSWER` for anything but 32 bytes, or the HSM's.
pub fn open_challenge(
    hsm: &Hsm,
    target: &TargetKey,
    hash: OaepHash,
    label: &Id,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let plain = hsm.decrypt_challenge(target, hash, ciphertext)?;
    match plain.len() {
        32 => Ok(plain),
        other => Err(Rule::ProofAnswer.refuse(
            format!("a challenge of {other} bytes for {label}"),
            "32 bytes",
            "ask the tenant how this challenge was made; do not go on with it",
        )),
    }
}
