//! What this attempt has made in the hoster's HSM, found by its CKA_IDs: looked for at an abort,
//! destroyed at a restart.

use crate::Ceremony;
use hsm::Hsm;
use record::{
    Result,
    encoding::CkaId,
    terms::{Id, TransferRoute},
};

/// The target keys of this attempt, with their CKA_IDs.
pub fn targets(ceremony: &Ceremony) -> impl Iterator<Item = (&Id, CkaId)> {
    let (plan, attempt) = (&ceremony.plan, ceremony.state.attempt);
    let labels = plan.keys.iter().map(|key| &key.label);
    labels.map(move |label| (label, plan.target_id(label.as_str(), attempt)))
}

/// What is there.
///
/// # Errors
/// The HSM's.
pub fn left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let mut left = Vec::new();
    if hsm.holds(ceremony.plan.kek_id(ceremony.state.attempt))? {
        left.push("the KEK".to_owned());
    }
    for (label, id) in targets(ceremony) {
        if hsm.holds(id)? {
            let what = match ceremony.state.way {
                TransferRoute::Born => "key",
                _ => "imported key",
            };
            left.push(format!("the {what} {label}"));
        }
    }
    Ok(left)
}

/// What is there when the ceremony is aborted. A KEK, or keys, that were begun and never shown to
/// the tenant go at once: nothing can need them.
///
/// # Errors
/// `KEK-GONE`, or the HSM's.
pub fn look(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let state = &ceremony.state;
    if state.kek_begun && state.kek.is_none() {
        hsm.kek_clear(ceremony.plan.kek_id(state.attempt))?;
    }
    if state.keys_begun && state.keys.is_empty() {
        destroy_targets(ceremony, hsm)?;
    }
    left(ceremony, hsm)
}

/// Destroys all of it, and looks that it is gone. Says what was there.
///
/// # Errors
/// `KEK-KEY`, `KEK-GONE`, `TARGET-GONE`, or the HSM's.
pub fn destroy(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let there = left(ceremony, hsm)?;
    if let Some(kek) = &ceremony.state.kek {
        hsm.kek_destroy(kek.id, kek.fingerprint)?;
    }
    destroy_targets(ceremony, hsm)?;
    Ok(there)
}

/// Destroys the target keys, and looks that they are gone. Says which were there.
///
/// # Errors
/// `TARGET-GONE`, or the HSM's.
pub fn destroy_targets(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<Id>> {
    let mut there = Vec::new();
    for (label, id) in targets(ceremony) {
        if hsm.holds(id)? {
            hsm.target_destroy(id)?;
            there.push(label.clone());
        }
    }
    Ok(there)
}
