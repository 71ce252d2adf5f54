//! What HSM vendors said of keys, told as it was when a side first made or took the document.

use jiff::Timestamp;

use crate::Result;
use crate::document::attestation::Judgement;
use crate::encoding::Hash;
use crate::plan::Plan;
use crate::terms::AttestationLevel;
use crate::verify::Verdict;
use crate::verify::documents::Documents;
use crate::verify::logs::Logs;

/// Judges the attestations of every offer and of all `keys` at the time of the first log that names
/// them. That each log names the level that was reached then, holding its entries has told.
///
/// # Errors
/// `ATTESTATION-…`.
pub fn check(documents: &Documents, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    for found in documents.offer.all() {
        let received = &found.received;
        let judge = |at| received.body().attested(|name| received.file(name), plan, at);
        one("offer", received.hash, judge, logs, verdict)?;
    }
    for found in documents.keys.all() {
        let received = &found.received;
        let judge = |at| received.body().attested(|name| received.file(name), plan, at);
        one("keys", received.hash, judge, logs, verdict)?;
    }
    Ok(())
}

fn one(
    kind: &str,
    document: Hash,
    judge: impl Fn(Timestamp) -> Result<Judgement>,
    logs: &Logs,
    verdict: &mut Verdict,
) -> Result<()> {
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
    let judged = judge(first.time)?;
    for line in judged.lines {
        let said = format!("{kind}, {line}");
        match judged.level {
            AttestationLevel::Witnessed => verdict.claims.push(said),
            AttestationLevel::Origin | AttestationLevel::OriginAndUsage => verdict.holds.push(said),
        }
    }
    Ok(())
}
