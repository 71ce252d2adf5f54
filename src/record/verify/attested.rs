//! What HSM vendors said of keys, judged once more: as it was when each side made or took the
//! document.

use jiff::Timestamp;

use crate::{
    Result,
    document::attestation::Judgement,
    encoding::Hash,
    plan::Plan,
    rule::Rule,
    terms::AttestationLevel,
    verify::{Verdict, documents::Documents, logs::Logs},
};

/// Judges the attestations of every offer and of all `keys`.
///
/// # Errors
/// `ATTESTATION-…`; `DOCUMENT-CONTENT` where a log names another level.
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
    let times = logs.sides().flat_map(|(side, log)| {
        let named = log.attested.iter().filter(|at| at.document == document);
        named.map(move |at| (side, at))
    });
    let times: Vec<_> = times.collect();
    for (side, at) in &times {
        let judged = judge(at.time)?;
        if judged.level != at.level {
            return Err(Rule::DocumentContent.refuse(
                format!("the log of the {side} says of the {kind}: {}", at.level.said()),
                format!("what its attestations prove: {}", judged.level.said()),
                "the log or the document was exchanged: compare with the other side's copies",
            ));
        }
    }
    let Some((_, first)) = times.first() else {
        let unjudged = format!(
            "a log that says when the {kind} {document} was made or taken: attestation is judged as of then"
        );
        verdict.missing.push(unjudged);
        return Ok(());
    };
    for line in judge(first.time)?.lines {
        let said = format!("{kind}, {line}");
        match first.level {
            AttestationLevel::Witnessed => verdict.claims.push(said),
            AttestationLevel::Origin | AttestationLevel::OriginAndUsage => verdict.holds.push(said),
        }
    }
    Ok(())
}
