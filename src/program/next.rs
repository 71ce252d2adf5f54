//! `next`: leads through the ceremony from wherever the log says it is. What it does is what the
//! single commands do: it asks for what they need, shows the command, and runs that very command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::inputs::Inputs;
use crate::{Common, status};
use ceremony::Ceremony;
use desk::guide::{self, Texts, Turn};
use record::log::LOG_FILE;
use record::plan::Plan;
use record::show::Language;
use record::terms::{Kind, Mode, Side, Step};
use record::{Error, Result};
use terminal::face::Face;
use terminal::{Asker, fail, tell};

/// Runs one of the program's own commands, given what follows the program's name.
pub type RunFn<'a> = &'a dyn Fn(&[OsString]) -> ExitCode;

/// Exit codes that `next` goes on after.
const WAITING: u8 = 6;
const ENDED: u8 = 4;
const USAGE: u8 = 2;

/// Where a side stands.
struct Stand {
    plan: Plan,
    turn: Option<Turn>,
    number: Option<usize>,
    steps: usize,
    bag: bool,
}

/// One walk through a ceremony.
pub(super) struct Guide<'a> {
    common: &'a Common,
    side: Side,
    texts: Texts,
    face: Face,
    again: RunFn<'a>,
}

enum Flow {
    On,
    Stop,
}

impl Common {
    /// Walks until the people stop, or the ceremony is closed.
    pub(super) fn next(&self, side: Side, language: Language, again: RunFn) -> ExitCode {
        let guide = Guide {
            common: self,
            side,
            texts: Texts::of(language),
            face: Face::of_stderr(),
            again,
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
                "use the single commands: `status` shows them",
            ));
        }
        loop {
            match guide.one() {
                Ok(Flow::On) => {}
                Ok(Flow::Stop) => return ExitCode::SUCCESS,
                Err(error) => {
                    tell(&guide.stopped());
                    return fail(&error);
                }
            }
        }
    }
}

impl Guide<'_> {
    fn text(&self, key: &str) -> String {
        self.texts.get(key, &[])
    }

    fn stopped(&self) -> String {
        let globals = self.common.arguments();
        let globals: Vec<_> = globals.iter().map(|one| one.to_string_lossy()).collect();
        let command = format!("keyferry-{} {} next", self.side, globals.join(" "));
        self.texts.get("next.stopped", &[("command", &command)])
    }

    /// Where the side stands; before `init` the plan is asked for, and given back.
    fn stand(&self) -> Result<(Stand, Option<PathBuf>)> {
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
                let path = loop {
                    let path = PathBuf::from(asker.line(&self.text("next.plan"))?.trim());
                    match Plan::read(&path) {
                        Ok(_) => break path,
                        Err(error) => asker.say(&error.to_string()),
                    }
                };
                let plan = Plan::read(&path)?;
                let turn = guide::script(&plan, self.side).into_iter().next();
                (plan, turn, false, Some(path))
            }
        };
        let script = guide::script(&plan, self.side);
        let number = turn.as_ref().and_then(|turn| guide::number(&script, turn));
        let stand = Stand { plan, turn, number, steps: script.len(), bag };
        Ok((stand, path))
    }

    fn one(&self) -> Result<Flow> {
        let (stand, path) = self.stand()?;
        let asker = Asker::new(stand.plan.mode);
        let Some(turn) = &stand.turn else {
            asker.say(&self.face.good(&self.text("next.closed")));
            return Ok(Flow::Stop);
        };
        if stand.bag {
            asker.say(&self.face.warning(&self.text("next.bag")));
            return Ok(Flow::Stop);
        }
        self.show(&stand, turn, &asker);
        if self.stops(&asker, "next.ready")? {
            return Ok(Flow::Stop);
        }
        let inputs = Inputs {
            plan: &stand.plan,
            side: self.side,
            texts: &self.texts,
            asker: &asker,
            plan_file: path,
        };
        let Some(mut command) = inputs.command(turn)? else {
            asker.say(&self.stopped());
            return Ok(Flow::Stop);
        };
        loop {
            let shown: Vec<_> = command.iter().map(|one| one.to_string_lossy()).collect();
            let runs = format!("keyferry-{} {}", self.side, shown.join(" "));
            asker.say(&self.face.beside(&self.text("next.runs"), &runs));
            let code = (self.again)(&[self.common.arguments(), command.clone()].concat());
            let question = match code {
                ExitCode::SUCCESS => {
                    self.done(&stand.plan, turn, &asker);
                    return Ok(Flow::On);
                }
                code if code == ExitCode::from(WAITING) => "next.sign",
                code if code == ExitCode::from(ENDED) || code == ExitCode::from(USAGE) => {
                    asker.say(&self.stopped());
                    return Ok(Flow::Stop);
                }
                _ => "next.failed",
            };
            if self.stops(&asker, question)? {
                return Ok(Flow::Stop);
            }
            if question == "next.failed" {
                // What was given may have been what was wrong.
                match inputs.command(turn)? {
                    Some(anew) => command = anew,
                    None => {
                        asker.say(&self.stopped());
                        return Ok(Flow::Stop);
                    }
                }
            }
        }
    }

    fn show(&self, stand: &Stand, turn: &Turn, asker: &Asker) {
        let face = &self.face;
        let said = |part: &str| turn.said(part, &stand.plan, &self.texts);
        let place = match stand.number {
            Some(n) => {
                let (n, m) = (n.to_string(), stand.steps.to_string());
                self.texts.get("next.step", &[("n", &n), ("m", &m)])
            }
            None => self.text("next.outside"),
        };
        asker.say(&face.rule());
        asker.say(&face.strong(&format!(
            "{place} \u{b7} {} \u{b7} {}",
            self.text(&format!("side.{}", self.side)),
            stand.plan.ceremony
        )));
        if stand.plan.mode == Mode::Rehearsal {
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

    /// Asks whether to go on; `q` stops.
    fn stops(&self, asker: &Asker, question: &str) -> Result<bool> {
        let answer = asker.line(&self.text(question))?;
        let stops = answer.trim().eq_ignore_ascii_case("q");
        if stops {
            asker.say(&self.stopped());
        }
        Ok(stops)
    }
}
