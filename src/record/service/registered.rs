//! The evidence of every node together, as a registration has it: what the tenant accepts and an
//! auditor verifies.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::service::{EvidenceContext, NodeEvidence};
use crate::{Error, Hash, Id, PrimaryKey, Result, Rule, Stage, escape, list, shown, with_commands};

/// What a registration says of the service, beside its evidence.
pub struct ClaimedState<'a> {
    /// When the keys became primary, by the hoster's clock.
    pub activated: Timestamp,
    /// SHA-256 of the order by which.
    pub activation: Hash,
    /// What was primary before.
    pub former: &'a [PrimaryKey],
    /// The nodes that must have proven themselves.
    pub nodes: Vec<&'a Id>,
}

/// Whether every node has proven itself, before and after activation, all of them in one service.
///
/// # Errors
/// `EVIDENCE-…` and `PROOF-…`.
pub fn check_registered(
    told: &EvidenceContext,
    proven: &ClaimedState,
    ready: &[NodeEvidence],
    active: &[NodeEvidence],
) -> Result<()> {
    for evidence in ready.iter().chain(active) {
        evidence.verify(told)?;
    }
    every_node(&proven.nodes, ready, Stage::Ready)?;
    every_node(&proven.nodes, active, Stage::Active)?;
    own_machines(ready)?;
    own_machines(active)?;
    for one in ready {
        same_former(one, proven.former)?;
    }
    for one in active {
        let ordered = one.statement.order == Some(proven.activation);
        ensure_stage(ordered, one, "another order", proven.activation)?;
        soaked(one, proven.activated, told.plan.target.soak_hours())?;
    }
    Ok(())
}

/// Every node has given evidence of a stage, in the plan's order.
fn every_node(nodes: &[&Id], evidence: &[NodeEvidence], of: Stage) -> Result<()> {
    for one in evidence {
        ensure_stage(one.statement.stage == of, one, "another stage", of)?;
    }
    let there: Vec<&Id> = evidence.iter().map(|one| &one.statement.node).collect();
    let missing = list(nodes.iter().filter(|node| !there.contains(node)));
    Rule::EvidenceMissing.ensure(
        there == nodes,
        format!("{} of {} nodes, {of} missing: {missing}", there.len(), nodes.len()),
        format!("evidence of the stage {of} by every node, each once, in the plan's order"),
        with_commands("let each node named prove itself, and add its evidence; or take a node out with `{hoster nodes --remove NODE}`"),
    )
}

/// No machine answers for two nodes.
///
/// # Errors
/// `EVIDENCE-NODE`.
pub fn own_machines(evidence: &[NodeEvidence]) -> Result<()> {
    let mut seen: BTreeMap<String, &Id> = BTreeMap::new();
    for one in evidence {
        let said = &one.statement;
        let (node, machine) = (&said.node, &said.machine);
        let first = seen.insert(machine.to_lowercase(), node).unwrap_or(node);
        Rule::EvidenceNode.ensure(
            first == node,
            escape(&format!("{node} and {first} are both proven by the machine {machine}")),
            "a machine of its own for each node",
            "run the scripts on the node itself, with its own name, and add that evidence",
        )?;
    }
    Ok(())
}

/// A node sees the same former primaries as everybody.
///
/// # Errors
/// `EVIDENCE-PRIMARY`.
pub fn same_former(one: &NodeEvidence, former: &[PrimaryKey]) -> Result<()> {
    let said = &one.statement;
    Rule::EvidencePrimary.ensure(
        said.primaries == former,
        format!("{} sees as primary: {}", said.place(), shown(&said.primaries)),
        shown(former),
        "the nodes are not of one service, or its primary keys have changed since: find out, then let every node prove itself again",
    )
}

/// A node has proven itself again after the planned hours, and after its service was restarted.
///
/// # Errors
/// `EVIDENCE-SOAK`.
pub fn soaked(one: &NodeEvidence, activated: Timestamp, hours: u32) -> Result<()> {
    if hours == 0 {
        return Ok(());
    }
    let said = &one.statement;
    let due = activated.checked_add(SignedDuration::from_hours(hours.into()));
    let due = due.map_err(|error| Error::failed(error.to_string(), "plan fewer hours to soak"))?;
    // The process that serves is younger than its service where a pool was recycled.
    let started = said.worker_started.as_deref().or(said.service_started.as_deref());
    let when = started.unwrap_or("nobody knows when");
    let started = started.and_then(|time| time.parse().ok());
    let (time, started): (Option<Timestamp>, Option<Timestamp>) = (said.time.parse().ok(), started);
    let late = time.is_some_and(|time| time >= due);
    let restarted = started.is_some_and(|started| started > activated);
    Rule::EvidenceSoak.ensure(
        late && restarted,
        escape(&format!("{} proved itself at {}, its service started at {when}", said.place(), said.time)),
        format!("a proof at {due} or later, {hours} hours after activation, by a service started after {activated}"),
        "wait, restart the service (or the node), let it prove itself there again, and add the new evidence",
    )
}

/// Evidence does not belong elsewhere.
fn ensure_stage(
    holds: bool,
    one: &NodeEvidence,
    found: &str,
    expected: impl std::fmt::Display,
) -> Result<()> {
    Rule::EvidenceStage.ensure(
        holds,
        escape(&format!("{}: {found}", one.statement.place())),
        expected.to_string(),
        "copy the newest orders of the register/ folder to that node, let it prove itself again, and add the new evidence",
    )
}
