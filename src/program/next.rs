//! `next`: leads through the ceremony from wherever the log says it is. What it does is what the
//! single commands do: it asks for what they need, shows the command, and runs that very command.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::inputs::{DeskClerk, EarlierAnswers, Inputs};
use crate::more::MoreOutcome;
use crate::{Common, status};
use ceremony::Ceremony;
use ceremony::approval::{self, OpenRequest};
use ceremony::side::token::FEW_TRIES;
use record::command::{CommandLine, Program};
use record::flow::{Phase, State};
use record::layout::archive_name;
use record::log::{self, LOG_FILE};
use record::plan::{PLAN_FILE, Plan};
use record::terms::{Id, Kind, Mode, Side, Step};
use record::{Error, Event, Gate, Result, Rule, escape, list};
use terminal::answer::{Answer, Question, file_at};
use terminal::face::Face;
use terminal::guide::{self, Turn};
use terminal::texts::{Texts, said};
use terminal::{Asker, Clerk, Decision, Paper, fail, tell};

/// Runs one of the program's own commands.
pub type RunFn<'a> = &'a dyn Fn(&CommandLine) -> ExitCode;

/// Exit codes that `next` goes on after.
const WAITING: u8 = 6;
const ENDED: u8 = 4;
const USAGE: u8 = 2;

/// Where a side stands.
pub(super) struct Position {
    pub plan: Plan,
    /// What its log says; nothing before `init`.
    pub state: Option<State>,
    turn: Option<Turn>,
    number: Option<usize>,
    steps: usize,
    /// The plan that `init` is given.
    plan_file: Option<PathBuf>,
    pub asker: Asker,
}

/// What people answer before a step.
enum Ready {
    Begin,
    /// The custodian's deputy is there in their place.
    Deputy,
    /// Something else was done; where it stands is looked at anew.
    Moved,
    Stop,
}

/// One walk through a ceremony.
pub(super) struct GuidedWalk<'a> {
    pub common: &'a Common,
    pub side: Side,
    pub texts: Texts,
    face: Face,
    pub again: RunFn<'a>,
    taken: RefCell<EarlierAnswers>,
    /// Custodians of whom somebody has said that they are not there.
    absent: RefCell<BTreeSet<Id>>,
}

impl Common {
    /// Walks until the people stop, or the ceremony is closed.
    pub(super) fn next(&self, side: Side, again: RunFn) -> ExitCode {
        let guide = GuidedWalk {
            common: self,
            side,
            texts: Texts::spoken(),
            face: Face::of_stderr(),
            again,
            taken: RefCell::default(),
            absent: RefCell::default(),
        };
        let stopped = guide.stopped();
        // Killed in the middle of a step it goes on just as well; this only says so.
        let handler = ctrlc::set_handler(move || {
            tell(&format!("\n{stopped}"));
            std::process::exit(ENDED.into());
        });
        if let Err(error) = handler {
            return fail(&Error::failed(
                format!("Ctrl-C can't be watched: {error}"),
                format!("use the single commands: {} shows them", Program::of(side).line("status")),
            ));
        }
        let walked = guide.taken_up_again().and_then(|()| {
            loop {
                if let ControlFlow::Break(last) = guide.one()? {
                    return Ok(last);
                }
            }
        });
        match walked {
            Ok(last) => {
                tell(&last);
                ExitCode::SUCCESS
            }
            Err(Error::Ended { .. }) => {
                tell(&guide.stopped());
                ExitCode::from(ENDED)
            }
            Err(error) => {
                tell(&guide.stopped());
                fail(&error)
            }
        }
    }
}

impl GuidedWalk<'_> {
    pub fn text(&self, key: &str) -> String {
        self.texts.get(key, &[])
    }

    fn stopped(&self) -> String {
        let line = Program::of(self.side).line("next").to_string();
        self.texts.get("next.stopped", &[("command", &line)])
    }

    /// Where the side stands; before `init` the plan is asked for.
    pub fn position(&self) -> Result<Position> {
        let (plan, state, turn, plan_file) = if self.common.dir.join(LOG_FILE).exists() {
            // Closed again before the command opens it.
            let ceremony = Ceremony::open(&self.common.dir, self.side)?;
            let turn = self.present(&ceremony, status::turn(&ceremony));
            (ceremony.plan, Some(ceremony.state), turn, None)
        } else {
            let (path, plan) = self.asked_plan()?;
            let turn = guide::script(&plan, self.side).into_iter().next();
            (plan, None, turn, Some(path))
        };
        let script = guide::script(&plan, self.side);
        let number = turn.as_ref().and_then(|turn| guide::number(&script, turn));
        let (steps, asker) = (script.len(), Asker::new(plan.mode));
        Ok(Position { plan, state, turn, number, steps, plan_file, asker })
    }

    fn asked_plan(&self) -> Result<(PathBuf, Plan)> {
        let asker = Asker::new(Mode::Production);
        loop {
            let Some(path) = asker.path(&self.text("next.plan"), &mut Paper)? else {
                asker.say(&self.text("ask.path"));
                continue;
            };
            let path = file_at(&path, |name| name == PLAN_FILE).unwrap_or(path);
            match Plan::read(&path) {
                Ok(plan) => return Ok((path, plan)),
                Err(error) => asker.say(&error.to_string()),
            }
        }
    }

    /// The turn of a custodian who is there; once nobody else is, the release, which officers sign
    /// for where enough have confirmed.
    fn present(&self, ceremony: &Ceremony, turn: Option<Turn>) -> Option<Turn> {
        let turn = turn?;
        let absent = self.absent.borrow();
        if turn.row.step != Step::ShareConfirm || absent.is_empty() {
            return Some(turn);
        }
        let mut left = ceremony.state.unconfirmed().filter(|id| !absent.contains(*id));
        match left.next() {
            Some(id) => Some(Turn { of: Some(id.clone()), ..turn }),
            None => {
                let release = ceremony.state.rows().find(|row| row.step == Step::Release);
                release.map(|row| Turn { row, of: None, ..turn })
            }
        }
    }

    /// One step; or what is said at the end.
    fn one(&self) -> Result<ControlFlow<String>> {
        let at = self.position()?;
        if at.state.as_ref().is_some_and(|state| !state.room.wrong().is_empty()) {
            return self.bag(&at);
        }
        let Some(turn) = &at.turn else {
            let closes = at.state.as_ref().map_or(0, |state| state.closes);
            let closed = self.texts.get("next.closed", &[("archive", &archive_name(closes))]);
            return Ok(ControlFlow::Break(self.face.good(&closed)));
        };
        self.show(&at, turn);
        let deputy = match self.ready(&at, turn)? {
            Ready::Begin => false,
            Ready::Deputy => true,
            Ready::Moved => return Ok(ControlFlow::Continue(())),
            Ready::Stop => return Ok(ControlFlow::Break(self.stopped())),
        };
        let line = || {
            let line = self.inputs(&at).command(turn)?;
            Ok(if deputy { line.and("--deputy") } else { line })
        };
        if !self.carry_out(&at, &line)? {
            return Ok(ControlFlow::Break(self.stopped()));
        }
        self.done(&at.plan, turn, &at.asker);
        Ok(ControlFlow::Continue(()))
    }

    /// A bag has not come back as it left: officers sign that it goes on all the same, or somebody
    /// stops here.
    fn bag(&self, at: &Position) -> Result<ControlFlow<String>> {
        let line = || Ok(Program::of(self.side).line("deviation"));
        let wrong = at.state.iter().flat_map(|state| state.room.wrong());
        let items = list(wrong.map(|bag| said(&escape(&bag.item))));
        let command = line()?.to_string();
        let bag = self.texts.get("next.bag", &[("item", &items), ("command", &command)]);
        at.asker.say(&self.face.warning(&bag));
        match self.stops(at, "next.bag_ready")? || !self.carry_out(at, &line)? {
            true => Ok(ControlFlow::Break(self.stopped())),
            false => Ok(ControlFlow::Continue(())),
        }
    }

    pub fn inputs<'i>(&'i self, at: &'i Position) -> Inputs<'i> {
        Inputs {
            plan: &at.plan,
            side: self.side,
            texts: &self.texts,
            asker: &at.asker,
            plan_file: at.plan_file.clone(),
            taken: &self.taken,
            clerk: self.clerk(at),
        }
    }

    pub fn clerk(&self, at: &Position) -> DeskClerk<'_> {
        DeskClerk { side: self.side, begun: at.state.is_some(), again: self.again }
    }

    /// Runs a command until it has ended well; whether it has. What was given may have been what
    /// was wrong, and is asked for again; signatures are waited for.
    pub fn carry_out(&self, at: &Position, line: &dyn Fn() -> Result<CommandLine>) -> Result<bool> {
        let mut command = line()?;
        loop {
            at.asker.say(&self.face.strong(&format!("{}:", self.text("next.runs"))));
            at.asker.say(&format!("  {command}"));
            let code = (self.again)(&command);
            if code == ExitCode::SUCCESS {
                return Ok(true);
            }
            if [ENDED, USAGE].map(ExitCode::from).contains(&code) {
                return Ok(false);
            }
            let waits = code == ExitCode::from(WAITING) || self.asks_for_a_try()?;
            if self.stops(at, if waits { "next.sign" } else { "next.failed" })? {
                return Ok(false);
            }
            if !waits {
                command = line()?;
            }
        }
    }

    /// Whether the last command was refused until officers sign for one more try of the PIN.
    fn asks_for_a_try(&self) -> Result<bool> {
        if !self.common.dir.join(LOG_FILE).exists() {
            return Ok(false);
        }
        let ceremony = Ceremony::open(&self.common.dir, self.side)?;
        let mut refused = false;
        for entry in log::entries(&ceremony.log_bytes()?, "the log") {
            refused = matches!(entry?.event, Event::Refusal { rule: Rule::PinCountLow, found } if found == FEW_TRIES);
        }
        let asked = |one: OpenRequest| one.stands && one.gate == Gate::PinTry;
        Ok(refused && approval::open_requests(&ceremony)?.into_iter().any(asked))
    }

    /// Asks whether to begin, and meanwhile does what else is wanted.
    fn ready(&self, at: &Position, turn: &Turn) -> Result<Ready> {
        loop {
            let typed = at.asker.line(&self.text("next.ready"))?;
            let other = match Answer::to(Question::GoOn, &typed) {
                Answer::Yes => return Ok(Ready::Begin),
                Answer::No | Answer::Stop => return Ok(Ready::Stop),
                Answer::Note => {
                    at.asker.remark(&mut self.clerk(at))?;
                    continue;
                }
                Answer::Other(other) => other.to_lowercase(),
                Answer::Nothing | Answer::Explain => String::new(),
            };
            let custodian = turn.of.as_ref().filter(|_| turn.row.step == Step::ShareConfirm);
            match (other.as_str(), custodian) {
                ("m" | "more" | "mehr", _) if at.state.is_some() => match self.more(at)? {
                    MoreOutcome::Back => {}
                    MoreOutcome::Done => return Ok(Ready::Moved),
                    MoreOutcome::Stop => return Ok(Ready::Stop),
                },
                ("p", _) if let Some(page) = self.page(at, turn) => {
                    return Ok(match self.carry_out(at, &|| Ok(page.clone()))? {
                        true => Ready::Moved,
                        false => Ready::Stop,
                    });
                }
                ("d", Some(id)) if has_deputy(&at.plan, id) => return Ok(Ready::Deputy),
                ("a", Some(id)) => {
                    self.absent.borrow_mut().insert(id.clone());
                    let name = at.plan.name_of(id);
                    let said = self.texts.get("next.absent", &[("of", &name)]);
                    self.clerk(at).remark(said)?;
                    return Ok(Ready::Moved);
                }
                _ => at.asker.say(&self.text("ask.go_on")),
            }
        }
    }

    /// The page that a step needs on paper, as long as there is no copy.
    fn page(&self, at: &Position, turn: &Turn) -> Option<CommandLine> {
        let state = at.state.as_ref()?;
        let program = Program::of(self.side);
        let (name, line) = match (turn.row.step, &turn.of) {
            (Step::ShareConfirm, Some(id)) => {
                let line = program.line("print share CUSTODIAN").with("CUSTODIAN", id.as_str());
                (format!("share-{id}"), line)
            }
            (Step::Release, _) if turn.row.phase == Phase::OfferMade => {
                ("offer".into(), program.line("print offer"))
            }
            _ if state.phase == Phase::Planned => ("script".into(), program.line("print script")),
            _ => return None,
        };
        (state.room.copies(&name) == 0).then_some(line)
    }

    fn show(&self, at: &Position, turn: &Turn) {
        let (face, asker) = (&self.face, &at.asker);
        let said = |part: &str| turn.said(part, &at.plan, &self.texts);
        let place = match at.number {
            Some(n) => {
                let (n, m) = (n.to_string(), at.steps.to_string());
                self.texts.get("next.step", &[("n", &n), ("m", &m)])
            }
            None => self.text("next.outside"),
        };
        asker.say(&face.rule());
        asker.say(&face.strong(&format!(
            "{place} \u{b7} {} \u{b7} {}",
            self.text(&format!("side.{}", self.side)),
            at.plan.ceremony
        )));
        if at.plan.mode == Mode::Rehearsal {
            asker.say(&face.warning(&self.text("next.rehearsal")));
        }
        asker.say("");
        asker.say(&face.strong(&said("title")));
        asker.say(&face.beside(&self.text("next.what"), &said("what")));
        let who = self.text(&format!("who.{}", turn.row.who));
        asker.say(&face.beside(&self.text("next.who"), &who));
        asker.say(&face.beside(&self.text("next.have"), &said("have")));
        if at.state.is_none() {
            for (rule, found) in at.plan.refused_in_production() {
                let values = [("rule", rule.name()), ("found", found.as_str())];
                asker.say(&face.warning(&self.texts.get("next.refused", &values)));
            }
        }
        let or = self.or(at, turn);
        if !or.is_empty() {
            asker.say(&face.beside(&self.text("next.or"), &or.join(" \u{b7} ")));
        }
    }

    /// What may be answered besides.
    fn or(&self, at: &Position, turn: &Turn) -> Vec<String> {
        let custodian = turn.of.as_ref().filter(|_| turn.row.step == Step::ShareConfirm);
        let of = custodian.map_or(String::new(), |id| at.plan.name_of(id));
        let keys = [
            ("next.or_page", self.page(at, turn).is_some()),
            ("next.or_deputy", custodian.is_some_and(|id| has_deputy(&at.plan, id))),
            ("next.or_absent", custodian.is_some()),
            ("next.or_more", at.state.is_some()),
        ];
        let shown = keys.into_iter().filter(|(_, here)| *here);
        shown.map(|(key, _)| self.texts.get(key, &[("of", &of)])).collect()
    }

    fn done(&self, plan: &Plan, turn: &Turn, asker: &Asker) {
        let key = turn.key(plan);
        let write = turn.said("write", plan, &self.texts);
        let done = self.texts.get("next.done", &[("write", &write)]);
        asker.say(&self.face.good(&done));
        if turn.row.step == Step::Release
            && let Some(kind) = Kind::ALL.iter().find(|kind| key.ends_with(&format!("-{kind}")))
        {
            let carry = self.texts.get("next.carry", &[("kind", kind.name())]);
            asker.say(&self.face.strong(&carry));
        }
    }

    /// Asks whether to go on.
    fn stops(&self, at: &Position, question: &str) -> Result<bool> {
        let (question, how) = (self.text(question), self.text("ask.go_on"));
        let decided = at.asker.decide(Question::GoOn, &question, &how, &mut self.clerk(at))?;
        Ok(decided == Decision::No)
    }
}

/// Whether the plan names somebody who may come in a custodian's place.
fn has_deputy(plan: &Plan, id: &Id) -> bool {
    let mut custodians = plan.quorum.custodians.iter();
    custodians.any(|one| one.id == *id && one.recipients.len() > 1)
}
