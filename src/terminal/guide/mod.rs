//! The ceremony as people go through it: the numbered steps of a side, from its plan. `status`,
//! `next` and the printed script all take their steps and commands from here, and here they come
//! from the one table of [`record::flow`].

pub mod order;

use crate::texts::Texts;
use record::command::{CommandLine, Program};
use record::flow::{ABORT, INIT, Needs, Phase, Row, TABLE, way_in};
use record::plan::{Plan, ServicePlan};
use record::service::evidence_file;
use record::terms::{CloudFormat, Id, Originals, Side, Stage, Step, Trial};

/// A step that is somebody's turn.
#[derive(Clone)]
pub struct Turn {
    /// The line of the table.
    pub row: &'static Row,
    /// The custodian or node that it is about.
    pub of: Option<Id>,
    /// What nodes show then.
    pub stage: Stage,
}

impl Turn {
    /// The command, with what the plan says of it.
    pub fn command(&self, plan: &Plan) -> CommandLine {
        let row = self.row;
        let line = Program::of(row.side).line(row.words);
        match (row.needs, &self.of, &plan.target) {
            (Needs::Evidence, Some(node), _) => {
                line.and("FOLDER/NAME").with("NAME", evidence_file(node, self.stage))
            }
            (Needs::Custodian, Some(of), _) => line.and("CUSTODIAN").with("CUSTODIAN", of.as_str()),
            (Needs::Wrapped, ..) => {
                plan.keys.iter().fold(line.and("--format pkcs11"), |line, key| {
                    let line = line.and("--wrapped LABEL=FILE --certificate LABEL=FILE");
                    line.with("LABEL", key.label.as_str())
                })
            }
            (Needs::Cloud, _, ServicePlan::Cloud(format)) => {
                let line = line.and(row.needs.name()).with("FORMAT", format.name());
                if *format == CloudFormat::AzureByok { line.and("--kid URL") } else { line }
            }
            (needs, ..) if self.says_backup(plan) => line.and(needs.name()).and("--backup TEXT"),
            (needs, ..) => line.and(needs.name()),
        }
    }

    /// Whether it must be said how the target keys are backed up: the originals go after this.
    pub fn says_backup(&self, plan: &Plan) -> bool {
        self.row.step == Step::KekDestroy
            && plan.source == Originals::Destroy
            && self.row.phase != Phase::Aborted
    }

    /// Which texts belong to it, by what the record then holds: `tenant.export`,
    /// `hoster.release-offer`.
    pub fn key(&self, plan: &Plan) -> String {
        let step = self.row.step.name();
        let which = match (self.row.step, self.row.phase) {
            (Step::Release, phase) => {
                let phase = phase.name();
                format!("-{}", phase.strip_suffix("-made").unwrap_or(phase))
            }
            (Step::Evidence, _) => format!("-{}", self.stage.name()),
            (Step::Abort, _) if plan.trial == Trial::This => "-trial".into(),
            // Nobody has accepted then.
            (Step::KekDestroy, Phase::Aborted) => "-aborted".into(),
            (Step::KekTrust, Phase::KeysReady) | (Step::Close, Phase::Closed) => "-again".into(),
            _ => String::new(),
        };
        format!("step.{}.{step}{which}", self.row.side)
    }

    /// One of its texts: `title`, `what`, `have` or `write`.
    pub fn said(&self, part: &str, plan: &Plan, texts: &Texts) -> String {
        // People have names; a node has its own.
        let of = self.of.as_ref().map_or(String::new(), |id| plan.name_of(id));
        let threshold = plan.quorum.threshold.to_string();
        let approvals = plan.party(self.row.side).approvals.to_string();
        let values = [("of", of.as_str()), ("threshold", &threshold), ("approvals", &approvals)];
        texts.get(&format!("{}.{part}", self.key(plan)), &values)
    }
}

/// The steps of a side from `init` to `close`, where nothing goes wrong.
pub fn script(plan: &Plan, side: Side) -> Vec<Turn> {
    let begins = INIT.iter().filter(|row| row.side == side);
    let mut steps: Vec<Turn> =
        begins.map(|row| Turn { row, of: None, stage: Stage::Ready }).collect();
    let mut phase = Phase::Planned;
    while phase != Phase::Closed {
        let rows = way_in(plan.way).iter().chain(TABLE);
        let end = ABORT.iter().filter(|_| ends_here(plan, side, phase));
        let here = rows.filter(|row| row.phase == phase && on_the_way(plan, row));
        let Some(turns) = leg(plan, here.chain(end).filter(|row| row.side == side)) else {
            break;
        };
        // Each leg ends with the row that leads on.
        phase = turns.last().and_then(|turn| turn.row.next).unwrap_or(Phase::Closed);
        steps.extend(turns);
    }
    steps
}

/// What is done in one phase: what leaves it as it is, then the first line that leads on.
fn leg<'r>(plan: &Plan, rows: impl Iterator<Item = &'static Row> + 'r) -> Option<Vec<Turn>> {
    let mut turns = Vec::new();
    for row in rows {
        let each: Vec<Option<Id>> = match row.step {
            Step::ShareConfirm => {
                let custodians = plan.quorum.custodians.iter();
                custodians.map(|one| Some(one.id.clone())).collect()
            }
            Step::Evidence => plan.target.nodes().iter().cloned().map(Some).collect(),
            _ => vec![None],
        };
        let stage = match row.phase {
            Phase::Activated => Stage::Active,
            _ => Stage::Ready,
        };
        turns.extend(each.into_iter().map(|of| Turn { row, of, stage }));
        if row.next != Some(row.phase) || row.step == Step::Abort {
            return Some(turns);
        }
    }
    None
}

/// A trial ends where something would become primary, or be accepted.
fn ends_here(plan: &Plan, side: Side, phase: Phase) -> bool {
    let end = match side {
        Side::Hoster => Phase::Registered,
        Side::Tenant => Phase::ReceiptTaken,
    };
    plan.trial == Trial::This && phase == end
}

fn on_the_way(plan: &Plan, row: &Row) -> bool {
    match row.step {
        Step::ShareReissue | Step::Restart | Step::Rollback => false,
        Step::KekTrust => plan.trusted_only() && row.phase == Phase::OfferTaken,
        Step::OfferCheck => row.phase == Phase::Planned,
        Step::PackageCheck => row.phase == Phase::OfferReleased,
        Step::CloudExport => row.phase == Phase::KeysReady,
        Step::Primary | Step::Accept => plan.trial != Trial::This,
        Step::SourceDestroy => plan.source == Originals::Destroy,
        Step::Close if row.phase == Phase::AcceptanceReleased => plan.source == Originals::Keep,
        _ => true,
    }
}

/// Where a turn stands in the script, from 1.
pub fn number(script: &[Turn], turn: &Turn) -> Option<usize> {
    let same = |planned: &Turn| {
        planned.row.step == turn.row.step
            && planned.of == turn.of
            && (planned.row.phase == turn.row.phase || turn.row.step == Step::Abort)
    };
    script.iter().position(same).map(|n| n + 1)
}
