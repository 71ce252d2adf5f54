//! A ceremony lasts days: `next` stops for today, with everything in bags and the head's words on
//! paper; on return it asks for bags, people and those words before anything else. A difference
//! blocks like a bag.

use crate::next::{GuidedWalk, Position};
use ceremony::Ceremony;
use record::Result;
use record::command::{CommandLine, Program};
use record::fingerprint::{self, WORDS_TYPED};
use record::log::{self, Event, LOG_FILE};
use record::rule::Rule;
use record::terms::{Bag, Head, Remark};
use terminal::Decision;
use terminal::answer::Question;
use terminal::words::{self, WordsHint};

/// What the record says of a break that `next` made.
const STOPPED: &str = "stopped for today";
/// And of whoever came after it.
const TAKEN_UP: &str = "taken up again";
/// In whose place words are that are not those of the record.
const PAPER: &str = "the words of the record's head, on paper";

/// Where a side was left for a day, or longer.
struct Pause {
    /// The entry whose words are on paper.
    head: Head,
    /// How many entries have come after it.
    since: u64,
    /// What went into bags, and has not come back.
    bags: Vec<Bag>,
}

impl GuidedWalk<'_> {
    /// Puts away what must be in bags, says who leaves and who stays, and has the head's words
    /// written down.
    pub fn stop_for_today(&self, at: &Position) -> Result<()> {
        let program = Program::of(self.side);
        at.asker.say(&self.text("today.how"));
        loop {
            let item = at.asker.line(&self.text("today.item"))?;
            if item.trim().is_empty() {
                break;
            }
            let number = at.asker.needed(&self.text("more.ask.number"))?;
            let line = program.line("note bag-out ITEM --number NUMBER --condition intact");
            self.noted(at, line.with("ITEM", item.trim()).with("NUMBER", number))?;
        }
        let stayed = at.asker.needed(&self.text("today.stayed"))?;
        let line = program.line("note break --stayed WHO --text TEXT");
        self.noted(at, line.with("WHO", &stayed).with("TEXT", STOPPED))?;
        let head = Ceremony::open(&self.common.dir, self.side)?.head();
        at.asker.say(&self.texts.get("today.words", &[("n", &head.seq.to_string())]));
        at.asker.say(&fingerprint::rows(&head.hash.as_bytes()[..WORDS_TYPED]));
        let (question, how) = (self.text("today.written"), self.text("today.written_how"));
        loop {
            match at.asker.decide(Question::Decide, &question, &how, &mut self.clerk(at)) {
                Ok(Decision::No) => at.asker.say(&how),
                Ok(_) => return Ok(()),
                // It goes on, without words on paper: the next start must not ask for them.
                Err(error) => {
                    self.noted(at, self.taken_up(&stayed))?;
                    return Err(error);
                }
            }
        }
    }

    fn taken_up(&self, who: &str) -> CommandLine {
        let line = Program::of(self.side).line("note arrival WHO --text TEXT");
        line.with("WHO", who).with("TEXT", TAKEN_UP)
    }

    /// Asks for bags, people and the head's words, where it was stopped for a day.
    pub fn taken_up_again(&self) -> Result<()> {
        if !self.common.dir.join(LOG_FILE).exists() {
            return Ok(());
        }
        let Some(left) = left(&self.common.dir.join(LOG_FILE))? else { return Ok(()) };
        let at = self.position()?;
        at.asker.say(&self.text("today.back"));
        let program = Program::of(self.side);
        for bag in &left.bags {
            let question = self.texts.get("today.number", &[("item", &bag.item)]);
            let number = at.asker.needed(&question)?;
            let condition = self.condition(&at)?;
            let line = program.line("note bag-in ITEM --number NUMBER --condition CONDITION");
            let line = line.with("ITEM", &bag.item).with("NUMBER", number);
            self.noted(&at, line.with("CONDITION", condition.name()))?;
        }
        let who = at.asker.needed(&self.text("today.who"))?;
        self.heads_words(&at, &left)?;
        self.noted(&at, self.taken_up(&who))
    }

    /// The words from paper are those of the record; or a bag's place says that they are not.
    fn heads_words(&self, at: &Position, left: &Pause) -> Result<()> {
        let n = left.head.seq.to_string();
        let prompt = self.texts.get("today.type", &[("n", &n)]);
        let hint = WordsHint::First(left.head.hash);
        let typed = {
            let mut ceremony = Ceremony::open(&self.common.dir, self.side)?;
            words::ask(&at.asker, &prompt, hint, &mut ceremony)
        };
        match typed.and_then(|typed| fingerprint::confirm(left.head.hash, &typed)) {
            Ok(_) => {
                if left.since > 0 {
                    let n = left.since.to_string();
                    at.asker.say(&self.texts.get("today.since", &[("n", &n)]));
                }
                Ok(())
            }
            Err(error) if error.rule() == Some(Rule::WordsMismatch) => {
                at.asker.say(&error.to_string());
                let line = Program::of(self.side)
                    .line("note bag-in ITEM --number NUMBER --condition damaged --first");
                let number = format!("not the words of entry {n}");
                self.noted(at, line.with("ITEM", PAPER).with("NUMBER", number))
            }
            Err(error) => Err(error),
        }
    }

    /// What must be on record before anything else. Where it is not, `next` stops, and asks again
    /// the next time.
    fn noted(&self, at: &Position, line: CommandLine) -> Result<()> {
        match self.carry_out(at, &|| Ok(line.clone()))? {
            true => Ok(()),
            false => Err(terminal::ended("q")),
        }
    }
}

/// Where the log was left, unless it was taken up since.
fn left(path: &std::path::Path) -> Result<Option<Pause>> {
    let (mut left, mut bags) = (None::<Pause>, Vec::<Bag>::new());
    for entry in log::entries(&log::own_bytes(path)?, "the log") {
        let entry = entry?;
        if let Some(left) = &mut left {
            left.since += 1;
        }
        match entry.event {
            Event::Note { remark: Remark::BagOut(bag) } => bags.push(bag),
            Event::Note { remark: Remark::BagIn(bag) } => bags.retain(|out| out.item != bag.item),
            Event::Note { remark: Remark::Break { text, .. } } if text == STOPPED => {
                left = Some(Pause { head: entry.head, since: 0, bags: Vec::new() });
            }
            Event::Note { remark: Remark::Arrival { text, .. } } if text == TAKEN_UP => left = None,
            _ => {}
        }
    }
    Ok(left.map(|left| Pause { bags, ..left }))
}
