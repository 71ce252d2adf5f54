//! `next`: leads through the ceremony from wherever the log says it is. What it does is what the
//! single commands do: it asks for what they need, shows the command, and runs that very command.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::inputs::{DeskClerk, Inputs, Taken};
use crate::{Common, status};
use ceremony::Ceremony;
use desk::guide::{self, Texts, Turn};
use record::command::{CommandLine, Program};
use record::log::LOG_FILE;
use record::plan::{PLAN_FILE, Plan};
use record::show::Language;
use record::terms::{Kind, Mode, Side, Step};
use record::{Error, Result};
use terminal::answer::{Question, file_at};
use terminal::face::Face;
use terminal::texts;
use terminal::{Asker, Decision, Paper, fail, tell};

/// Runs one of the program's own commands.
pub type RunFn<'a> = &'a dyn Fn(&CommandLine) -> ExitCode;

/// Exit codes that `next` goes on after.
const WAITING: u8 = 6;
const ENDED: u8 = 4;
const USAGE: u8 = 2;

/// Where a side stands.
struct Position {
    plan: Plan,
    turn: Option<Turn>,
    number: Option<usize>,
    steps: usize,
    bag: bool,
}

/// One walk through a ceremony.
pub(super) struct GuidedWalk<'a> {
    common: &'a Common,
    side: Side,
    texts: Texts,
    face: Face,
    again: RunFn<'a>,
    taken: RefCell<Taken>,
}

impl Common {
    /// Walks until the people stop, or the ceremony is closed.
    pub(super) fn next(&self, side: Side, language: Language, again: RunFn) -> ExitCode {
        texts::speak(language);
        let guide = GuidedWalk {
            common: self,
            side,
            texts: Texts::of(language),
            face: Face::of_stderr(),
            again,
            taken: RefCell::default(),
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
        loop {
            match guide.one() {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(last)) => {
                    tell(&last);
                    return ExitCode::SUCCESS;
                }
                Err(Error::Ended { .. }) => {
                    tell(&guide.stopped());
                    return ExitCode::from(ENDED);
                }
                Err(error) => {
                    tell(&guide.stopped());
                    return fail(&error);
                }
            }
        }
    }
}

impl GuidedWalk<'_> {
    fn text(&self, key: &str) -> String {
        self.texts.get(key, &[])
    }

    fn stopped(&self) -> String {
        let line = Program::of(self.side).line("next --language LANGUAGE");
        let line = line.with("LANGUAGE", self.texts.language.name()).to_string();
        self.texts.get("next.stopped", &[("command", &line)])
    }

    /// Where the side stands; before `init` the plan is asked for, and given back.
    fn position(&self) -> Result<(Position, Option<PathBuf>)> {
        let begun = self.common.dir.join(LOG_FILE).exists();
        let (plan, turn, bag, path) = match begun {
            true => {
                // Closed again before the command opens it.
                let ceremony = Ceremony::open(&self.common.dir, self.side)?;
                let bag = !ceremony.state.room.wrong().is_empty();
                let turn = status::turn(&ceremony);
                (ceremony.plan, turn, bag, None)
            }
            false => {
                let asker = Asker::new(Mode::Production);
                let (path, plan) = loop {
                    let Some(path) = asker.path(&self.text("next.plan"), &mut Paper)? else {
                        asker.say(&self.text("ask.path"));
                        continue;
                    };
                    let path = file_at(&path, |name| name == PLAN_FILE).unwrap_or(path);
                    match Plan::read(&path) {
                        Ok(plan) => break (path, plan),
                        Err(error) => asker.say(&error.to_string()),
                    }
                };
                let turn = guide::script(&plan, self.side).into_iter().next();
                (plan, turn, false, Some(path))
            }
        };
        let script = guide::script(&plan, self.side);
        let number = turn.as_ref().and_then(|turn| guide::number(&script, turn));
        let position = Position { plan, turn, number, steps: script.len(), bag };
        Ok((position, path))
    }

    /// One step; or what is said at the end.
    fn one(&self) -> Result<ControlFlow<String>> {
        let (position, path) = self.position()?;
        let asker = Asker::new(position.plan.mode);
        let Some(turn) = &position.turn else {
            return Ok(ControlFlow::Break(self.face.good(&self.text("next.closed"))));
        };
        if position.bag {
            let line = Program::of(self.side).line("deviation").to_string();
            let bag = self.texts.get("next.bag", &[("command", &line)]);
            return Ok(ControlFlow::Break(self.face.warning(&bag)));
        }
        self.show(&position, turn, &asker);
        let clerk = DeskClerk { side: self.side, begun: path.is_none(), again: self.again };
        if self.stops(&asker, "next.ready", clerk)? {
            return Ok(ControlFlow::Break(self.stopped()));
        }
        let inputs = Inputs {
            plan: &position.plan,
            side: self.side,
            texts: &self.texts,
            asker: &asker,
            plan_file: path,
            taken: &self.taken,
            clerk,
        };
        let mut line = inputs.command(turn)?;
        loop {
            // In one line, however wide: it can be copied.
            asker.say(&self.face.strong(&format!("{}:", self.text("next.runs"))));
            asker.say(&format!("  {line}"));
            let code = (self.again)(&line);
            if code == ExitCode::SUCCESS {
                self.done(&position.plan, turn, &asker);
                return Ok(ControlFlow::Continue(()));
            }
            if [ENDED, USAGE].map(ExitCode::from).contains(&code) {
                break;
            }
            let waits = code == ExitCode::from(WAITING);
            if self.stops(&asker, if waits { "next.sign" } else { "next.failed" }, clerk)? {
                break;
            }
            if !waits {
                // What was given may have been what was wrong.
                line = inputs.command(turn)?;
            }
        }
        Ok(ControlFlow::Break(self.stopped()))
    }

    fn show(&self, position: &Position, turn: &Turn, asker: &Asker) {
        let face = &self.face;
        let said = |part: &str| turn.said(part, &position.plan, &self.texts);
        let place = match position.number {
            Some(n) => {
                let (n, m) = (n.to_string(), position.steps.to_string());
                self.texts.get("next.step", &[("n", &n), ("m", &m)])
            }
            None => self.text("next.outside"),
        };
        asker.say(&face.rule());
        asker.say(&face.strong(&format!(
            "{place} \u{b7} {} \u{b7} {}",
            self.text(&format!("side.{}", self.side)),
            position.plan.ceremony
        )));
        if position.plan.mode == Mode::Rehearsal {
            asker.say(&face.warning(&self.text("next.rehearsal")));
        }
        asker.say("");
        asker.say(&face.strong(&said("title")));
        asker.say(&face.beside(&self.text("next.what"), &said("what")));
        let who = self.text(&format!("who.{}", turn.row.who));
        asker.say(&face.beside(&self.text("next.who"), &who));
        asker.say(&face.beside(&self.text("next.have"), &said("have")));
    }

    fn done(&self, plan: &Plan, turn: &Turn, asker: &Asker) {
        let key = turn.key();
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
    fn stops(&self, asker: &Asker, question: &str, mut clerk: DeskClerk) -> Result<bool> {
        let (question, how) = (self.text(question), self.text("ask.go_on"));
        Ok(asker.decide(Question::GoOn, &question, &how, &mut clerk)? == Decision::No)
    }
}
