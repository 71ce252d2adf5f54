//! `register`: the folder that is copied to every node of the service, with all that a node must be
//! told.
//! `primary` and `rollback`: the keys become the primary ones of the service, in one step for all
//! nodes; and back.

use std::path::Path;

use clap::Args;

use crate::hoster::nodes::require_all;
use crate::services;
use crate::{Ceremony, Means, Report, Run, approval};
use record::document::registration::{ListedEvidence, Registration};
use record::flow::replay::past_trial;
use record::gate::{self, subject_hash};
use record::layout::{SUMS, sums};
use record::log::clock;
use record::proof::key_set::certificate_file;
use record::service::local::RegisteredSet;
use record::service::{
    BRIEF_FILE, Brief, EvidenceContext, NodeEvidence, Order, evidence_file, same_former, soaked,
};
use record::terms::shown;
use record::{
    Event, Hash, Listed, Phase, PrimaryKey, Result, Rule, Stage, Step, Trial, json_file, list,
};

/// Make the folder that is copied to every node; nothing is primary yet
#[derive(Args)]
pub struct Register;

impl Run for Register {
    /// Makes the register folder; where Keyferry itself is the way to the service, it knows the keys
    /// afterwards. They are not primary.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        ceremony.state.require(Step::Register)?;
        let set = ceremony.key_set()?;
        let brief = Brief::of(&ceremony.plan, &set, ceremony.state.attempt)?;
        let bytes = json_file(&brief)?;
        let hash = Hash::of(&bytes);
        let target = services::of(&ceremony.plan.target)?;
        let mut files = vec![(BRIEF_FILE.to_owned(), bytes)];
        let certificates = set.keys.into_iter();
        files.extend(certificates.map(|key| (certificate_file(&key.label), key.certificate)));
        let given = target.files.iter();
        files.extend(given.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
        files.sort();
        let sums = sums(&files);
        let sums_hash = Hash::of(sums.as_bytes());
        files.push((SUMS.to_owned(), sums.into_bytes()));
        ceremony.begin(Step::Register)?;
        ceremony.build_register(&files)?;
        if let Some(registry) = target.registry(&means.registry(ceremony))? {
            registry.register(RegisteredSet::of(&brief))?;
        }
        ceremony.ordered(Event::register(&ceremony.plan, hash))?;
        let by_program = target.steps.chunk_by(|one, next| one.program == next.program);
        let steps = by_program.filter_map(|steps| {
            let names = steps.iter().map(|step| step.name);
            Some(format!("  {}\n    {}", list(names), steps.first()?.line()))
        });
        Ok(Report::new(
            "The nodes can be made ready, one after the other; nothing is primary yet.",
        )
        .value("folder", ceremony.register_folder().display().to_string())
        .value("registration", hash.to_string())
        .value("sums", sums_hash.to_string())
        .line(
            "Write the last value down: each node's script is given it, and runs with no other folder.",
        )
        .part("THE STEPS, EACH WITH ITS SCRIPT")
        .lines(steps)
        .line("INSTRUCTIONS.txt in the folder says what to type."))
    }
}

/// Make the keys primary once every node is ready and officers have signed; then, once every
/// node has shown it, the registration
#[derive(Args)]
pub struct Primary;

impl Run for Primary {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        match ceremony.state.phase {
            Phase::Activated => conclude(ceremony),
            _ => activate(ceremony, &means.registry(ceremony)),
        }
    }
}

/// Make the former keys primary again, once officers have signed for it
#[derive(Args)]
pub struct Rollback;

impl Run for Rollback {
    /// Gives the order by which the former keys become primary again, and carries it out where
    /// Keyferry does that itself.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        ceremony.state.require(Step::Rollback)?;
        let subject = back(ceremony)?;
        approval::require(ceremony, &subject)?;
        ceremony.begin(Step::Rollback)?;
        let service = services::of(&ceremony.plan.target)?;
        if let Some(registry) = service.registry(&means.registry(ceremony))? {
            registry.restore(&subject.to)?;
        }
        let order = given(ceremony.state.nodes.rollback(subject_hash(&subject)?))?;
        let hash = order.hash()?;
        ceremony.ordered(Event::Rollback { order: hash })?;
        let report =
            Report::new("The order is given by which the former keys become primary again.")
                .value("primary", shown(&subject.to));
        Ok(ordered(ceremony, report, &order, hash)?.line(match ceremony.state.phase {
            Phase::RolledBack => "Once every node has proven that, `primary` may follow again.",
            _ => "The registration that the tenant has, or had, is true no more: tell the tenant.",
        }))
    }
}

/// What officers sign for: every node's evidence, verified again, and what is primary until now.
fn subject(ceremony: &Ceremony, service: &Path) -> Result<gate::Primary> {
    require_all(ceremony, Stage::Ready)?;
    let evidence = verified(ceremony, Stage::Ready)?;
    let brief = ceremony.brief()?;
    let former = evidence.first().map_or(Vec::new(), |one| one.statement.primaries.clone());
    evidence.iter().try_for_each(|one| same_former(one, &former))?;
    unchanged(ceremony, service, &former, &brief.primaries())?;
    let state = &ceremony.state;
    gate::Primary::of(&state.nodes, &state.keys, &former)
}

/// The evidence that is kept, held once more against everything that the nodes were told.
fn verified(ceremony: &Ceremony, stage: Stage) -> Result<Vec<NodeEvidence>> {
    let keys = ceremony.key_set()?;
    let brief = ceremony.brief()?;
    let told = EvidenceContext { plan: &ceremony.plan, keys: &keys, brief: &brief };
    let evidence: Vec<NodeEvidence> =
        ceremony.evidence(stage)?.into_iter().map(|(one, _)| one).collect();
    evidence.iter().try_for_each(|one| one.verify(&told))?;
    Ok(evidence)
}

/// Where Keyferry can look into the service itself: what is primary is what the nodes saw, or
/// already the keys themselves.
fn unchanged(
    ceremony: &Ceremony,
    service: &Path,
    former: &[PrimaryKey],
    ours: &[PrimaryKey],
) -> Result<()> {
    let registry = services::of(&ceremony.plan.target)?.registry(service)?;
    let Some(now) = registry.map(|registry| registry.primaries()) else { return Ok(()) };
    let begun = ceremony.state.pending == Some(Step::Primary) && now == ours;
    Rule::EvidencePrimary.ensure(
        now == former || begun,
        format!("primary in the service now: {}", shown(&now)),
        format!("what its nodes have seen: {}", shown(former)),
        "somebody has changed the service since: find out who, then let every node prove itself again",
    )
}

/// Gives the order by which the keys become primary, and carries it out where Keyferry does that
/// itself. There is no PIN to ask for: the service's own accounts use the keys.
fn activate(ceremony: &mut Ceremony, service: &Path) -> Result<Report> {
    ceremony.state.require(Step::Primary)?;
    if ceremony.plan.trial == Trial::This {
        return Err(past_trial("primary in a trial"));
    }
    let now = subject(ceremony, service)?;
    approval::require(ceremony, &now)?;
    let clock = clock()?;
    ceremony.evidence(Stage::Ready)?.iter().try_for_each(|(one, _)| one.not_ahead(clock))?;
    let brief = ceremony.brief()?;
    ceremony.begin(Step::Primary)?;
    if let Some(registry) = services::of(&ceremony.plan.target)?.registry(service)? {
        registry.make_primary(brief.plan_hash)?;
    }
    let order = given(ceremony.state.nodes.activation(&now.former, subject_hash(&now)?))?;
    let hash = order.hash()?;
    ceremony.ordered(Event::Primary { order: hash, former: now.former.clone() })?;
    let report = Report::new("The order is given by which the tenant's keys become primary.")
        .line("They serve everyone who uses this service, not this tenant alone.")
        .value("former", shown(&now.former));
    ordered(ceremony, report, &order, hash)
}

fn given<T>(order: Option<T>) -> Result<T> {
    order.ok_or_else(|| {
        Rule::LogEvent.refuse(
            "no order follows from the log",
            "`register` before it",
            "the status of the ceremony says what comes next",
        )
    })
}

/// Where the order lies, and who carries it out.
fn ordered(ceremony: &Ceremony, report: Report, order: &Order, hash: Hash) -> Result<Report> {
    let path = ceremony.register_folder().join(order.file());
    let report =
        report.value("order", path.display().to_string()).value("order hash", hash.to_string());
    Ok(report.line(match services::of(&ceremony.plan.target)?.script(order.order) {
        Some(script) => format!(
            "Nothing has changed yet. Copy it to every node's folder, and run {script}, once, on one of them: that carries it out. Then let every node prove itself."
        ),
        None => "It is carried out. Let every node prove itself.".into(),
    }))
}

/// Makes the registration, once every node has shown that the keys are primary, for as long as the
/// plan wants.
fn conclude(ceremony: &mut Ceremony) -> Result<Report> {
    ceremony.state.require(Step::Registration)?;
    require_all(ceremony, Stage::Active)?;
    let active = verified(ceremony, Stage::Active)?;
    let nodes = &ceremony.state.nodes;
    let activated = given(nodes.activated)?;
    let hours = ceremony.plan.target.soak_hours();
    active.iter().try_for_each(|one| soaked(one, activated, hours))?;
    let order = given(nodes.standing().cloned())?;
    let kept = [ceremony.evidence(Stage::Ready)?, ceremony.evidence(Stage::Active)?].concat();
    let (mut evidence, mut files) = (Vec::new(), Vec::new());
    for (one, bytes) in kept {
        let (node, stage) = (one.statement.node, one.statement.stage);
        let file = Listed::of(&bytes);
        files.push((evidence_file(&node, stage), bytes));
        evidence.push(ListedEvidence { node, stage, file });
    }
    let body = Registration {
        package_id: ceremony.key_set()?.id,
        target: ceremony.plan.target.kind().to_owned(),
        activation: order.hash()?,
        activated: activated.to_string(),
        former: order.former,
        removed: (nodes.planned.iter())
            .filter(|node| nodes.removed.contains(*node))
            .cloned()
            .collect(),
        evidence,
    };
    let begun = ceremony.begin(Step::Registration)?;
    let document =
        ceremony.make(begun, body, files, |document, _| Event::Registration { document })?;
    Ok(Report::new("The tenant's keys are primary, and every node has proven it.")
        .value("registration", document.to_string()))
}

/// What officers sign for to go back.
fn back(ceremony: &Ceremony) -> Result<gate::Rollback> {
    let back = gate::Rollback::of(&ceremony.state.nodes)?;
    Rule::NodePrimary.ensure(
        // A service with scripts needs primaries, and may have had none.
        services::of(&ceremony.plan.target)?.scripts.is_none() || !back.to.is_empty(),
        "no former primaries: the service began with the tenant's keys",
        "a former key of each role",
        "there is nothing to go back to: mend what is wrong, or let the service have other primaries by a ceremony of their own",
    )?;
    Ok(back)
}
