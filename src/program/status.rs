//! `status`: how far it has come, and the next step: who, and the exact command.

use crate::Common;
use ceremony::Ceremony;
use ceremony::tenant::trust::TRUSTED_LEFT;
use record::command::CommandLine;
use record::layout::archive_name;
use record::{Originals, Phase, Plan, Program, Stage, State, Step, TransferRoute, Trial};
use show::by_key;
use terminal::guide::Turn;
use terminal::report::Report;

/// Whose turn it is; nobody's once the ceremony is closed.
pub fn turn(ceremony: &Ceremony) -> Option<Turn> {
    let state = &ceremony.state;
    let unconfirmed = state.unconfirmed().next();
    let stage = state.nodes.stage();
    let missing = state.nodes.missing(stage).first().copied();
    // Begun, it must end before anything else: what it takes back may be gone already.
    let unfinished = state.pending.filter(|step| matches!(step, Step::Restart | Step::Rollback));
    let row = state.rows().find(|row| match row.step {
        step if let Some(unfinished) = unfinished => step == unfinished,
        Step::ShareConfirm => unconfirmed.is_some(),
        // Only where the plan asks for it, and then before the keys are made and wrapped.
        Step::KekTrust => ceremony.plan.trusted_only() && !state.trusts_offer(),
        Step::KekDestroy => state.kek_left(),
        Step::KeysDestroy => state.born_left(),
        Step::Evidence => missing.is_some(),
        // Possible, and never what comes next by itself.
        Step::ShareReissue | Step::Rollback | Step::Nodes | Step::Retire => false,
        Step::CloudExport if state.phase == Phase::CloudExported => state.pending == Some(row.step),
        // What was taken back since is not released; the ceremony ends without its aim.
        Step::Release if state.phase == Phase::RegistrationMade => stage == Stage::Active,
        // A trial ends here, by `abort`.
        Step::Primary | Step::Accept => ceremony.plan.trial != Trial::This,
        Step::SourceDestroy => ceremony.plan.source == Originals::Destroy,
        Step::Close if state.phase == Phase::AcceptanceReleased => {
            ceremony.plan.source == Originals::Keep
        }
        Step::Close if state.phase == Phase::Closed => state.changed_since,
        _ => true,
    })?;
    let of = match row.step {
        Step::ShareConfirm => unconfirmed.cloned(),
        Step::Evidence => missing.cloned(),
        _ => None,
    };
    Some(Turn { row, of, stage })
}

impl Common {
    /// What comes next, for people: who, where, the exact command, and what must be there first.
    pub(super) fn next_step(&self, ceremony: &Ceremony) -> String {
        let (plan, state) = (&ceremony.plan, &ceremony.state);
        let Some(turn) = turn(ceremony) else {
            let (archive, again) =
                (archive_name(state.closes), Program::of(state.side).line("close"));
            return format!(
                "next: nothing; the ceremony is closed. Keep {archive}/ and let officers and witnesses sign {archive}/head.json; who has not, says\n  {again}"
            );
        };
        let on = format!("next: on the {}'s machine, ", state.side);
        if let Some(bag) = state.room.wrong().first() {
            let line = self.whole(Program::of(state.side).line("deviation"), None, plan);
            return format!(
                "{on}the {}'s officers\n  {line}\n  first: look at what did not come as it should: {}",
                state.side,
                record::escape::escape(&bag.item)
            );
        }
        let row = turn.row;
        let line = self.whole(turn.command(plan), Some(row.step), plan);
        let mut text = format!("{on}{}\n  {line}", row.who);
        if let Some(first) = before(plan, state, row.step) {
            text.push_str(&format!("\n  {first}"));
        }
        if state.pending.is_some_and(|pending| pending == row.step) {
            text.push_str("\n  This step was begun and did not end; the same command goes on with it and makes nothing twice. If it was refused, mend what it named first.");
        }
        text
    }

    /// The line with what this command was not told, and that one must be.
    fn whole(&self, line: CommandLine, step: Option<Step>, plan: &Plan) -> CommandLine {
        let in_hsm = step.is_some_and(Step::in_hsm);
        let lacking = [
            ("--module MODULE", in_hsm && self.token.module.is_none()),
            ("--token TOKEN", in_hsm && self.token.token.is_none()),
            ("--mirror MIRROR", self.lacks_mirror(plan)),
        ];
        lacking.iter().filter(|(_, lacks)| *lacks).fold(line, |line, (option, _)| line.and(option))
    }
}

/// What must happen before the next command can be run.
fn before(plan: &Plan, state: &State, step: Step) -> Option<String> {
    let mut texts = by_key(include_str!("../../templates/text/first.toml"));
    if plan.trial != Trial::This {
        texts.remove(Step::Abort.name());
    }
    let again = state.phase == Phase::KeysReady && state.attempt > 1;
    let step = if again { "begun-again" } else { step.name() };
    let phase = format!("{}.{}", state.side, state.phase.name());
    // With a cloud service there is no other side's folder to wait for.
    let phase = (state.way != TransferRoute::Cloud).then_some(phase);
    texts.remove(step).or_else(|| phase.and_then(|phase| texts.remove(&phase)))
}

/// The whole status.
pub fn status(ceremony: &Ceremony) -> Report {
    let (plan, state) = (&ceremony.plan, &ceremony.state);
    let mut report =
        Report::new(format!("The ceremony {} on the side of the {}.", plan.ceremony, state.side))
            .value("mode", plan.mode.name())
            .value("phase", state.phase.name())
            .value("attempt", state.attempt)
            .value("plan", plan.hash().to_string())
            .value("log entries", ceremony.head().seq)
            .value("log head", ceremony.head().hash.to_string());
    report = report.part("WHAT IS OPEN");
    if let Some(step) = state.pending {
        report = report.value("unfinished", step.name());
    }
    if state.phase == Phase::PackageMade && state.unconfirmed().next().is_some() {
        report = report.people("unconfirmed", plan, state.unconfirmed());
    }
    for request in ceremony::approval::open_requests(ceremony).unwrap_or_default() {
        let (path, by) = (request.path.display(), plan.names_of("nobody yet", &request.signed));
        report = report.line(match request.stands {
            true => format!("waiting:      {path}, signed by {by}"),
            false => format!(
                "void:         {path}: what it asks for can't be done any more; nobody signs it"
            ),
        });
    }
    if let Some(aborted) = state.aborted {
        report = report.value("aborted", format!("entry {}", aborted.seq));
    }
    if state.trusted_left() {
        report = report.line(format!("trusted KEK:  {TRUSTED_LEFT}"));
    }
    report = report.part("WHAT THE PLAN GOES WITHOUT");
    for waiver in &plan.waivers {
        report = report.line(format!(
            "waived:       {} ({})",
            waiver.rule.name(),
            record::escape::escape(&waiver.reason)
        ));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_is_said_of_steps_and_phases_that_there_are() {
        let steps = Step::ALL.map(|step| step.name().to_owned());
        let phases =
            ["tenant", "hoster"].map(|side| Phase::ALL.map(|it| format!("{side}.{}", it.name())));
        let texts = by_key(include_str!("../../templates/text/first.toml"));
        assert_eq!(texts.len(), 18);
        for key in texts.keys() {
            let known = steps.contains(key) || phases.concat().contains(key);
            assert!(known || key == "begun-again", "{key}");
        }
    }
}
