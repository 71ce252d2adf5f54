//! What nodes published of their certificates, compared with the package's once more, from the
//! acceptance's own files.

use crate::document::acceptance::{Acceptance, Published};
use crate::service::metadata::Metadata;
use crate::verify::Verdict;
use crate::verify::documents::Documents;
use crate::{Id, Plan, Result, ServicePlan, list};

/// Checks the acceptance's metadata against the package.
///
/// # Errors
/// `METADATA-…`, `PLAN-TARGET`.
pub fn check(documents: &Documents, plan: &Plan, verdict: &mut Verdict) -> Result<()> {
    let (ServicePlan::Hgs { nodes, .. }, Some(found)) =
        (&plan.target, documents.acceptance.current())
    else {
        return Ok(());
    };
    let acceptance = &found.received;
    let Some(keys) = documents.key_set() else {
        if !acceptance.body().metadata.is_empty() {
            let missing =
                "the package or challenge, with whose certificates to compare what nodes published";
            verdict.missing.push(missing.into());
        }
        return Ok(());
    };
    let pair = keys.pair()?;
    for name in acceptance.body().metadata.iter().map(Published::file_name) {
        let metadata = Metadata::parse(acceptance.file(&name), &name)?;
        metadata.compare(pair.signing, pair.encryption)?;
    }
    say(nodes, plan, acceptance.body(), verdict);
    Ok(())
}

fn say(nodes: &[Id], plan: &Plan, acceptance: &Acceptance, verdict: &mut Verdict) {
    for one in &acceptance.metadata {
        let (node, by, from) = (&one.node, plan.name_of(&one.fetched_by), &one.fetched_from);
        verdict.holds.push(format!(
            "the file that is said to be what {node} published names the ceremony's certificates as the primary ones, byte for byte"
        ));
        let whose = match plan.hoster.has_officer(&one.fetched_by) {
            true => "an officer of the hoster, so the hoster's own word",
            false => "no officer of the hoster",
        };
        verdict.claims.push(format!(
            "that {node} published its metadata: {by} says so, who fetched it from {from}; {whose}"
        ));
    }
    let has = |node: &Id| acceptance.metadata.iter().any(|one| one.node == *node);
    let without: Vec<&Id> = nodes.iter().filter(|node| !has(node)).collect();
    if !without.is_empty() {
        verdict.claims.push(format!(
            "which certificates these nodes publish, of which nobody fetched the metadata: {}",
            list(without)
        ));
    }
    if !acceptance.metadata.is_empty() {
        verdict.claims.push(
            "that published metadata was fresh, and that the service can decrypt with the encryption key (the proofs of the nodes show that)"
                .into(),
        );
    }
}
