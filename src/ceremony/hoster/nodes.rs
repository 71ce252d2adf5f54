//! The nodes of the service. `evidence add`: what a node has proven is verified and kept. What is not
//! as it must be is refused by name, and nothing changes: the former primaries stay in force, and
//! nobody is needed again.
//! `nodes`: a node leaves the service, or another machine takes its place, also after the ceremony
//! has ended. `retire`: a former key is gone.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::brought;
use crate::step::done_before;
use crate::{Ceremony, Means, Report, Run, approval};
use record::gate::{self, Unpassed};
use record::log::clock;
use record::service::{EvidenceContext, MAX_EVIDENCE, NodeEvidence, evidence_file};
use record::spki::TargetCertificate;
use record::{
    Error, Event, Hash, Id, Phase, Program, Result, Rule, Stage, Step, escape, folder, list,
    list_or, with_commands,
};

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
        let brief = ceremony.brief()?;
        let mut report = Report::new("The evidence holds.");
        for file in &self.files {
            let bytes = folder::read_file(file, MAX_EVIDENCE)?;
            let evidence = NodeEvidence::parse(&bytes, &file.display().to_string())?;
            named(file, &evidence)?;
            in_time(ceremony, &evidence)?;
            let said = &evidence.statement;
            let newest = ceremony.state.nodes.proved(said.stage).get(&said.node);
            if newest == Some(&evidence.hash) {
                report = report.value(&said.place(), "is in the record already");
                continue;
            }
            let plan = &ceremony.plan;
            evidence.verify(&EvidenceContext { plan, keys: &keys, brief: &brief })?;
            // The nodes are machines of their own, of one service.
            let others = ceremony.evidence(said.stage)?.into_iter();
            let others: Vec<NodeEvidence> = others.map(|(other, _)| other).collect();
            ceremony.state.nodes.beside(&evidence, &others)?;
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
    Rule::EvidenceNode.ensure(
        folder::file_name(file) == expected,
        escape(&format!("{} holds the evidence of {}", file.display(), said.place())),
        format!("a file with the name {expected}"),
        "each node gives its own evidence, under its own name: let the node that is meant prove itself, and bring that file",
    )
}

/// The evidence is of this stage, under the order that stands, from a node whose turn has come, by
/// a clock that is right.
fn in_time(ceremony: &Ceremony, evidence: &NodeEvidence) -> Result<()> {
    let (nodes, said) = (&ceremony.state.nodes, &evidence.statement);
    let what = match ceremony.plan.target.nodes().contains(&said.node) {
        true => "which has left the service",
        false => "no node of the plan",
    };
    Rule::EvidenceNode.ensure(
        nodes.current().any(|node| *node == said.node),
        format!("{}, {what}", said.node),
        list(nodes.current()),
        "a node that is new under its own name needs a new ceremony; one that takes another's place proves itself under that name (`nodes --replace`)",
    )?;
    let standing = nodes.standing().map(|order| order.hash()).transpose()?;
    let order = |hash: Option<_>| hash.map_or("no order".into(), |hash| format!("order {hash}"));
    Rule::EvidenceStage.ensure(
        said.stage == nodes.stage() && said.order == standing,
        format!("{}, under {}", said.place(), order(said.order)),
        format!("{}/{}, under {}", said.node, nodes.stage().name(), order(standing)),
        "copy the newest orders of the register/ folder to that node, let it prove itself again, and add that evidence",
    )?;
    let before = nodes.missing(Stage::Ready);
    let before = before.first().map_or("another", |node| node.as_str());
    Rule::EvidenceTurn.ensure(
        nodes.may_begin(&said.node),
        format!("{} before {before}", said.node),
        "the nodes in the plan's order: what fails on one is mended before the next is touched",
        "add the evidence of the node before, then copy the new order of the register/ folder to this one",
    )?;
    evidence.not_ahead(clock()?)
}

/// Every node has given evidence of a stage.
///
/// # Errors
/// `EVIDENCE-MISSING`.
pub fn require_all(ceremony: &Ceremony, stage: Stage) -> Result<()> {
    let missing = ceremony.state.nodes.missing(stage);
    let rest = match ceremony.state.phase {
        Phase::Activated => {
            "the keys are primary; until every node has shown it, the registration waits"
        }
        _ => "the former primary keys stay in force meanwhile, and nobody is needed again",
    };
    Rule::EvidenceMissing.ensure(
        missing.is_empty(),
        format!("no evidence {} of {}", stage.name(), list(&missing)),
        "evidence of every node of the plan",
        format!("let each prove itself and add its file with `{}`; {rest}. A node that is lost leaves with `{}`", Program::Hoster.line("evidence add FILE"), Program::Hoster.line("nodes --remove NODE")),
    )
}

/// Take nodes out of the service, or put other machines in their place, once officers have
/// signed for it
#[derive(Args)]
pub struct Nodes {
    /// A node that leaves for good
    #[arg(long, value_name = "NODE")]
    remove: Vec<Id>,
    /// A node whose place another machine takes
    #[arg(long, value_name = "NODE")]
    replace: Vec<Id>,
}

impl Run for Nodes {
    /// Takes nodes out, and lets others prove themselves anew.
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Nodes)?;
        let subject = subject(ceremony, &self.remove, &self.replace)?;
        approval::require(ceremony, &subject)?;
        ceremony.ordered(Event::Nodes { removed: subject.removed, replaced: subject.replaced })?;
        Ok(Report::new("The nodes of the service are changed.")
            .value("removed", list_or("none", &self.remove))
            .value("replaced", list_or("none", &self.replace))
            .value("nodes", list_or("none", &subject.stay))
            .line("A machine that has left must not reach the HSM any more: see to it, and note it.")
            .line("A machine that takes a place proves itself under that node's name, with a copy of the register/ folder."))
    }
}

/// What officers sign for.
fn subject(ceremony: &Ceremony, removed: &[Id], replaced: &[Id]) -> Result<gate::Nodes> {
    let nodes = &ceremony.state.nodes;
    let current: Vec<Id> = nodes.current().cloned().collect();
    let all = removed.iter().chain(replaced);
    let (count, mut named) = (all.clone().count(), all.collect::<Vec<_>>());
    named.sort();
    named.dedup();
    let usage = |what: &str| {
        Error::usage(
            what,
            with_commands(
                "`{hoster nodes --remove NODE}`, or with --replace NODE: each a node that has not left; one at least stays",
            ),
        )
    };
    if let Some(other) = named.iter().find(|node| !current.contains(node)) {
        return Err(usage(&format!("{other} is no node of this service now")));
    }
    if named.is_empty() || named.len() < count {
        return Err(usage("no node, or one twice"));
    }
    let subject = gate::Nodes::of(nodes, removed, replaced);
    if subject.stay.is_empty() { Err(usage("no node would stay")) } else { Ok(subject) }
}

/// Show and record that a former key is in this HSM no more
#[derive(Args)]
pub struct Retire {
    /// Its certificate
    certificate: PathBuf,
}

impl Run for Retire {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.in_hsm(ceremony, Step::Retire, |ceremony, hsm| {
            let der = brought::certificate(&self.certificate, Rule::TargetCertificate)?;
            let name = self.certificate.display().to_string();
            let former = TargetCertificate::parse(&der, &name)?;
            let thumbprint = former.thumbprint();
            require_not_primary(ceremony, &thumbprint)?;
            let token = hsm.identity().clone();
            if let Some(id) = hsm.private_keys(&hsm.inventory()?, former.spki())?.first() {
                return Err(Rule::TargetGone.refuse(
                    format!("the private key of {name} is in {}, under the CKA_ID {id}", token.label),
                    "no private key of it",
                    "once no virtual machine needs it (docs/hgs.md), delete it with the vendor's tool, in the HSM, its clones and backups; then run this again",
                ));
            }
            let spki = Hash::of(former.spki());
            let event = Event::Retire { thumbprint: thumbprint.clone(), spki, token };
            if let Some((seq, last)) = ceremony.last_result().filter(|(_, last)| **last == event) {
                return done_before(&ceremony.plan, seq, last);
            }
            ceremony.ordered(event)?;
            Ok(Report::new("The former key is not in this HSM; that is on record.")
                .value("thumbprint", thumbprint)
                .value("SPKI", spki.to_string())
                .line("Clones and backups are not seen from here."))
        })
    }
}

/// No node says that the key is primary, and no order makes it so.
fn require_not_primary(ceremony: &Ceremony, thumbprint: &str) -> Result<()> {
    let ready = ceremony.evidence(Stage::Ready)?;
    let ready = ready.iter().map(|(one, _)| one);
    let primary = ceremony.state.nodes.primaries(ceremony.brief()?.primaries(), ready);
    let found = match &primary {
        None => "nobody has yet shown what is primary".to_owned(),
        Some(_) => format!("{thumbprint} is primary"),
    };
    Rule::TargetPrimary.ensure(
        primary.is_some_and(|all| all.iter().all(|key| key.thumbprint != thumbprint)),
        found,
        "a key that is primary no more, as nodes have shown",
        "make other keys primary first, and let every node prove it",
    )
}
