//! The hoster's HSM proves, at a place, that it holds the tenant's keys (design, section 4.5).

use crate::{
    Error, Result,
    ceremony::Ceremony,
    document::package::Package,
    encoding::Blob,
    hsm::{Hsm, Target},
    plan::Role,
    proof::{self, Evidence, Proof},
    rule::Rule,
};

/// One proof per key of the package at one place, each verified as the tenant will.
///
/// # Errors
/// The HSM's, `PROOF-SIGNATURE`, `PROOF-ANSWER`.
pub fn prove(
    ceremony: &Ceremony,
    hsm: &Hsm,
    package: &Package,
    targets: &[Target],
    place: &str,
) -> Result<Vec<Proof>> {
    let plan = &ceremony.plan;
    let mut proofs = Vec::new();
    for (key, target) in package.keys.iter().zip(targets) {
        let evidence = match key.role {
            Role::Signing => {
                let message = proof::message(plan, package, &key.label, place);
                Evidence::Signature(Blob(hsm.sign(target, &message)?))
            }
            Role::Encryption => {
                let challenge = key.challenge(place).ok_or_else(|| {
                    Error::failed(
                        format!("no challenge of {} for {place}", key.label),
                        "report this as a defect",
                    )
                })?;
                let plain = hsm.decrypt_challenge(
                    target,
                    plan.transfer.oaep_hash,
                    &challenge.ciphertext.0,
                )?;
                if plain.len() != 32 {
                    return Err(Rule::ProofAnswer.refuse(
                        format!("a challenge of {} bytes for {}", plain.len(), key.label),
                        "32 bytes",
                        "ask the tenant how this package was made; do not go on with it",
                    ));
                }
                Evidence::Answer(proof::answer(
                    plan,
                    &package.package_id,
                    &key.label,
                    place,
                    &plain,
                ))
            }
        };
        let proof = Proof {
            label: key.label.clone(),
            place: place.to_owned(),
            evidence,
        };
        proof.verify(plan, package)?;
        proofs.push(proof);
    }
    Ok(proofs)
}

/// The imported keys, as the HSM has them now.
///
/// # Errors
/// `TARGET-MISSING` and other `TARGET-…` rules.
pub fn imported(hsm: &Hsm, package: &Package) -> Result<Vec<Target>> {
    let inventory = hsm.inventory()?;
    let found = (package.keys.iter()).map(|key| hsm.target_by_spki(&inventory, &key.spki.0));
    found.collect()
}
