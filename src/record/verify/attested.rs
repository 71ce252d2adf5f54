//! What HSM vendors said of keys, told as it was when a side first made or took the document.

use crate::document::attestation::Attested;
use crate::verify::Verdict;
use crate::verify::documents::{Documents, KeptDocument};
use crate::verify::logs::Logs;
use crate::{AttestationLevel, Plan, Received, Result};

/// Judges the attestations of every offer and of all `keys` at the time of the first log that names
/// them. That each log names the level that was reached then, holding its entries has told.
///
/// # Errors
/// `ATTESTATION-…`.
pub fn check(documents: &Documents, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    for KeptDocument { received, .. } in documents.offer.all() {
        one(received, plan, logs, verdict)?;
    }
    for KeptDocument { received, .. } in documents.keys.all() {
        one(received, plan, logs, verdict)?;
    }
    Ok(())
}

fn one<B: Attested>(
    received: &Received<B>,
    plan: &Plan,
    logs: &Logs,
    verdict: &mut Verdict,
) -> Result<()> {
    let (kind, document) = (received.kind(), received.hash);
    let entries = logs.all().flat_map(|log| &log.entries);
    let named = |event: &crate::log::Event| {
        event.made().iter().chain(&event.took()).any(|(_, hash)| *hash == document)
    };
    let Some(first) = entries.into_iter().find(|entry| named(&entry.event)) else {
        let unjudged = format!(
            "a log that says when the {kind} {document} was made or taken: attestation is judged as of then"
        );
        verdict.missing.push(unjudged);
        return Ok(());
    };
    let judged = received.attested(plan, first.time)?;
    for line in judged.lines {
        let said = format!("{kind}, {line}");
        match judged.level {
            AttestationLevel::Witnessed => verdict.claims.push(said),
            AttestationLevel::Origin | AttestationLevel::OriginAndUsage => verdict.holds.push(said),
        }
    }
    Ok(())
}
