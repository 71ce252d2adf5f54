//! What may be done besides the next step, from `next`: what goes on record, pages, and the ways
//! out of the script. Each is the program's own command, for which it asks what that needs.

use crate::next::{GuidedWalk, Position};
use record::command::{CommandLine, Program};
use record::flow::State;
use record::terms::{Condition, Step};
use record::{Error, Result};
use terminal::Decision;
use terminal::answer::{Answer, Question};

/// What a command is asked for, by its placeholder.
#[derive(Clone, Copy)]
enum Ask {
    /// A line, as people say it.
    Text(&'static str, &'static str),
    /// What a bag looks like.
    Condition,
    /// A file.
    File,
}

/// Something that may be done besides.
struct MoreCommand {
    /// By which its texts are found.
    name: &'static str,
    words: &'static str,
    asks: &'static [Ask],
    /// The step that it takes, where it takes one.
    step: Option<Step>,
}

const fn noted(name: &'static str, words: &'static str, asks: &'static [Ask]) -> MoreCommand {
    MoreCommand { name, words, asks, step: None }
}

const fn step(step: Step, words: &'static str, asks: &'static [Ask]) -> MoreCommand {
    MoreCommand { name: words, words, asks, step: Some(step) }
}

use Ask::{File, Text};
const BAG: [Ask; 3] =
    [Text("ITEM", "more.ask.item"), Text("NUMBER", "more.ask.number"), Ask::Condition];
const BAG_WORDS: [&str; 3] = [
    "note bag-out ITEM --number NUMBER --condition CONDITION",
    "note bag-in ITEM --number NUMBER --condition CONDITION",
    "note bag-in ITEM --number NUMBER --condition CONDITION --first",
];
const WHY: [Ask; 1] = [Text("TEXT", "next.reason")];
const BESIDES: [MoreCommand; 18] = [
    noted("incident", "note incident TEXT", &[Text("TEXT", "more.ask.text")]),
    noted("arrival", "note arrival WHO", &[Text("WHO", "more.ask.who")]),
    noted("departure", "note departure WHO", &[Text("WHO", "more.ask.who")]),
    noted("break", "note break --stayed WHO", &[Text("WHO", "more.ask.stayed")]),
    noted("bag-out", BAG_WORDS[0], &BAG),
    noted("bag-in", BAG_WORDS[1], &BAG),
    noted("bag-first", BAG_WORDS[2], &BAG),
    noted("medium", "note medium SERIAL", &[Text("SERIAL", "more.ask.serial")]),
    noted("script", "print script", &[]),
    noted("preflight", "preflight", &[]),
    step(
        Step::ShareReissue,
        "share reissue CUSTODIAN --to FILE",
        &[Text("CUSTODIAN", "more.ask.custodian"), Text("FILE", "more.ask.to")],
    ),
    step(Step::Restart, "restart --reason TEXT", &WHY),
    step(Step::Rollback, "rollback", &[]),
    MoreCommand {
        name: "remove",
        ..step(Step::Nodes, "nodes --remove NODE", &[Text("NODE", "more.ask.node")])
    },
    MoreCommand {
        name: "replace",
        ..step(Step::Nodes, "nodes --replace NODE", &[Text("NODE", "more.ask.node")])
    },
    step(Step::Retire, "retire CERTIFICATE", &[File]),
    step(Step::Abort, "abort --reason TEXT", &WHY),
    MoreCommand { name: "lost", ..step(Step::Abort, "abort --reason TEXT --without-hsm", &WHY) },
];

impl MoreCommand {
    /// Which texts name it.
    fn key(&self) -> String {
        format!("more.{}", self.name.split(' ').next().unwrap_or(self.name))
    }

    fn is_possible(&self, state: &State) -> bool {
        self.step.is_none_or(|step| state.require(step).is_ok())
    }
}

/// What came of asking.
pub(super) enum MoreOutcome {
    /// Nothing; the step waits as before.
    Back,
    /// Something was done.
    Done,
    /// It stops here.
    Stop,
}

impl GuidedWalk<'_> {
    /// Asks what else is to be done here, and does it. Ctrl-C goes back to the step.
    pub fn more(&self, at: &Position) -> Result<MoreOutcome> {
        match self.chosen(at) {
            Err(Error::Ended { .. }) => Ok(MoreOutcome::Back),
            other => other,
        }
    }

    fn chosen(&self, at: &Position) -> Result<MoreOutcome> {
        let Some(state) = &at.state else { return Ok(MoreOutcome::Back) };
        let here: Vec<&MoreCommand> = BESIDES.iter().filter(|one| one.is_possible(state)).collect();
        at.asker.say(&self.text("more.title"));
        at.asker.say(&format!("   0  {}", self.text("more.today")));
        for (n, one) in here.iter().enumerate() {
            at.asker.say(&format!("  {:>2}  {}", n + 1, self.text(&one.key())));
        }
        loop {
            let typed = at.asker.line(&self.text("more.which"))?;
            match Answer::to(Question::Path, &typed) {
                Answer::Nothing | Answer::No | Answer::Stop => return Ok(MoreOutcome::Back),
                Answer::Note => at.asker.remark(&mut self.clerk(at))?,
                Answer::Other("0") => {
                    self.stop_for_today(at)?;
                    return Ok(MoreOutcome::Stop);
                }
                other => {
                    let number = match other {
                        Answer::Other(number) => number.parse::<usize>().ok(),
                        _ => None,
                    };
                    let one = number.and_then(|n| n.checked_sub(1)).and_then(|n| here.get(n));
                    let Some(one) = one else {
                        at.asker.say(&self.text("more.how"));
                        continue;
                    };
                    return Ok(match self.carry_out(at, &|| self.line(at, one))? {
                        true => MoreOutcome::Done,
                        false => MoreOutcome::Stop,
                    });
                }
            }
        }
    }

    /// The command, with what it is asked for.
    fn line(&self, at: &Position, one: &MoreCommand) -> Result<CommandLine> {
        let mut line = Program::of(self.side).line(one.words);
        for ask in one.asks {
            line = match ask {
                Text(placeholder, key) => line.with(placeholder, at.asker.needed(&self.text(key))?),
                Ask::Condition => line.with("CONDITION", self.condition(at)?.name()),
                File => {
                    let file = self.inputs(at).file("next.file", ("file", "CERTIFICATE"))?;
                    line.with("CERTIFICATE", file)
                }
            };
        }
        Ok(line)
    }

    /// What a bag looks like, as somebody sees it.
    pub fn condition(&self, at: &Position) -> Result<Condition> {
        let (question, how) = (self.text("more.ask.intact"), self.text("more.ask.intact_how"));
        let whole = at.asker.decide(Question::Decide, &question, &how, &mut self.clerk(at))?;
        Ok(if whole == Decision::Yes { Condition::Intact } else { Condition::Damaged })
    }
}
