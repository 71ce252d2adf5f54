//! `evidence add`: what a node has proven is verified and kept. What is not as it must be is
//! refused by name, and nothing changes: the former primaries stay in force, and nobody is needed
//! again.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::{Ceremony, Means, Run, approval};
use record::escape::escape;
use record::flow::Phase;
use record::gate::Unpassed;
use record::log::{Event, now};
use record::rule::Rule;
use record::service::{EvidenceContext, MAX_EVIDENCE, NodeEvidence, evidence_file};
use record::terms::{Id, Stage, Step, list};
use record::{Error, Result, folder};
use terminal::report::Report;

/// How far a node's clock may be ahead of this machine's.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// Verify and keep the evidence of nodes
#[derive(Args)]
pub struct EvidenceAdd {
    /// NODE-ready.json or NODE-active.json, as each node wrote it
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Run for EvidenceAdd {
    /// Verifies each file and adds it; what came before one that is refused stays added.
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Evidence)?;
        let keys = ceremony.key_set()?;
        let (brief, brief_hash) = ceremony.brief()?;
        let mut report = Report::new("The evidence holds.");
        for file in &self.files {
            let bytes = folder::read_file(file, MAX_EVIDENCE)?;
            let evidence = NodeEvidence::parse(&bytes, &file.display().to_string())?;
            named(file, &evidence)?;
            let told =
                EvidenceContext { plan: &ceremony.plan, keys: &keys, brief: &brief, brief_hash };
            in_time(ceremony, &evidence)?;
            let said = &evidence.statement;
            let newest = ceremony.state.nodes.proved(said.stage).get(&said.node);
            if newest.is_some_and(|proved| proved.evidence == evidence.hash) {
                report = report.value(&said.place(), "is in the record already");
                continue;
            }
            evidence.verify(&told)?;
            beside_others(ceremony, &evidence)?;
            let unpassed = said.unpassed();
            if !unpassed.is_empty() {
                approval::require(ceremony, &Unpassed::of(&said.node, said.stage, &unpassed))?;
            }
            ceremony.keep_evidence(&evidence, &bytes)?;
            report = report.value(
                &said.place(),
                escape(&format!("{}, by {} on {}", evidence.hash, said.account, said.machine)),
            );
            report = said.unpassed_line().into_iter().fold(report, |report, line| {
                report.line(escape(&line)).data("not_passed", unpassed.clone())
            });
            ceremony.ordered(Event::evidence(&evidence))?;
        }
        Ok(what_is_missing(ceremony, report))
    }
}

fn what_is_missing(ceremony: &Ceremony, report: Report) -> Report {
    let nodes = &ceremony.state.nodes;
    let stage = nodes.stage();
    let missing = nodes.missing(stage);
    let register = ceremony.register_folder();
    match (missing.first(), stage) {
        (Some(next), _) => report.value("missing", list(&missing)).line(format!(
            "Copy the newest orders of {} to {next}, and let it prove itself.",
            register.display()
        )),
        (None, Stage::Ready) => report.line("Every node is ready. Nothing is primary yet."),
        (None, Stage::Active) => report.line("Every node uses the keys as its primary ones."),
    }
}

/// The file is called after the node and stage that it speaks of.
fn named(file: &Path, evidence: &NodeEvidence) -> Result<()> {
    let said = &evidence.statement;
    let expected = evidence_file(&said.node, said.stage);
    match folder::file_name(file) == expected {
        true => Ok(()),
        false => Err(Rule::EvidenceNode.refuse(
            escape(&format!("{} holds the evidence of {}", file.display(), said.place())),
            format!("a file with the name {expected}"),
            "each node gives its own evidence, under its own name: let the node that is meant prove itself, and bring that file",
        )),
    }
}

/// The evidence is of this stage, under the order that stands, from a node whose turn has come, by
/// a clock that is right.
fn in_time(ceremony: &Ceremony, evidence: &NodeEvidence) -> Result<()> {
    let (nodes, said) = (&ceremony.state.nodes, &evidence.statement);
    let planned = ceremony.plan.target.nodes();
    if !nodes.current().any(|node| *node == said.node) {
        let found = match planned.contains(&said.node) {
            true => format!("{}, which has left the service", said.node),
            false => format!("{}, no node of the plan", said.node),
        };
        return Err(Rule::EvidenceNode.refuse(
            found,
            list(nodes.current()),
            "a node that is new under its own name needs a new ceremony; one that takes another's place proves itself under that name (`nodes --replace`)",
        ));
    }
    let standing = nodes.standing().map(|order| order.hash()).transpose()?;
    if said.stage != nodes.stage() || said.order != standing {
        let order =
            |hash: Option<_>| hash.map_or("no order".into(), |hash| format!("order {hash}"));
        return Err(Rule::EvidenceStage.refuse(
            format!("{}, under {}", said.place(), order(said.order)),
            format!("{}/{}, under {}", said.node, nodes.stage().name(), order(standing)),
            "copy the newest orders of the register/ folder to that node, let it prove itself again, and add that evidence",
        ));
    }
    if !nodes.may_begin(&said.node) {
        let before = nodes.missing(Stage::Ready);
        let before = before.first().map_or("another", |node| node.as_str());
        return Err(Rule::EvidenceTurn.refuse(
            format!("{} before {before}", said.node),
            "the nodes in the plan's order: what fails on one is mended before the next is touched",
            "add the evidence of the node before, then copy the new order of the register/ folder to this one",
        ));
    }
    clock(evidence)
}

/// A node whose clock is ahead would be believed to have waited.
fn clock(evidence: &NodeEvidence) -> Result<()> {
    let said = &evidence.statement;
    let here = now()?;
    let (there, limit) = (said.time.parse::<Timestamp>(), here.parse::<Timestamp>());
    let limit = limit.ok().and_then(|now| now.checked_add(AHEAD).ok());
    match there.ok().zip(limit).is_some_and(|(there, limit)| there <= limit) {
        true => Ok(()),
        false => Err(Rule::EvidenceClock.refuse(
            escape(&format!("{} says that it is {}", said.place(), said.time)),
            format!("not later than this machine's {here} and 10 minutes"),
            "set the clock that is wrong; a node with a wrong clock also fails its guarded hosts. Then let the node prove itself again",
        )),
    }
}

/// The nodes are machines of their own, of one service.
fn beside_others(ceremony: &Ceremony, evidence: &NodeEvidence) -> Result<()> {
    let others = ceremony.evidence(evidence.statement.stage)?.into_iter();
    let others: Vec<NodeEvidence> = others.map(|(other, _)| other).collect();
    ceremony.state.nodes.beside(evidence, &others)
}

/// Every node has given evidence of a stage.
///
/// # Errors
/// `EVIDENCE-MISSING`.
pub fn require_all(ceremony: &Ceremony, stage: Stage) -> Result<()> {
    let missing = ceremony.state.nodes.missing(stage);
    if missing.is_empty() {
        return Ok(());
    }
    Err(missing_error(&missing, stage, ceremony.state.phase))
}

fn missing_error(missing: &[&Id], stage: Stage, phase: Phase) -> Error {
    let rest = match phase {
        Phase::Activated => {
            "the keys are primary; until every node has shown it, the registration waits"
        }
        _ => "the former primary keys stay in force meanwhile, and nobody is needed again",
    };
    Rule::EvidenceMissing.refuse(
        format!("no evidence {} of {}", stage.name(), list(missing)),
        "evidence of every node of the plan",
        format!("let each prove itself and add its file with `evidence add`; {rest}. A node that is lost leaves with `nodes`"),
    )
}
