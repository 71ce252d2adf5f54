//! One side's ceremony folder: plan, log, what came in, what goes out. The state is the log,
//! replayed; what a killed run left unfinished is settled from it.

pub mod approval;
pub mod brought;
mod certificate;
mod documents;
pub mod hoster;
mod mirror;
mod nodes;
pub mod plugins;
pub mod services;
pub mod side;
pub mod step;
pub mod tenant;

use std::path::{Path, PathBuf};

pub use documents::Files;
use documents::unchanged;
use record::document::Body;
use record::layout::{INBOX, LOG_FILE, OUTBOX};
use record::log::{self, Log};
use record::plan::MAX_PLAN;
use record::{
    Entry, Event, Hash, Head, PLAN_FILE, Plan, Released, Result, Rule, Side, State, Step, folder,
};
pub use step::{Means, Run};
pub use terminal::report::Report;

/// An open ceremony. No other program has it open.
pub struct Ceremony {
    /// The ceremony folder.
    pub dir: PathBuf,
    /// The agreed plan.
    pub plan: Plan,
    /// What the log says.
    pub state: State,
    log: Log,
    /// Where a copy is kept.
    mirror: Option<PathBuf>,
    /// The last step that was done when the folder was opened.
    last: Option<(u64, Event)>,
}

/// A step that was begun: its intent is in the log. What it makes belongs to this attempt.
pub struct StepIntent {
    step: Step,
    /// The attempt, from 1.
    pub attempt: u32,
    head: Head,
    /// What it takes, and its document answers.
    answers: Option<Hash>,
}

impl StepIntent {
    /// The same step, whose document answers this.
    pub fn answering(self, answers: Option<Hash>) -> Self {
        StepIntent { answers, ..self }
    }
}

impl Ceremony {
    /// Makes the folder of a ceremony and its log.
    ///
    /// # Errors
    /// `CEREMONY-EXISTS` where the folder holds one already.
    pub fn create(
        dir: &Path,
        side: Side,
        plan: Plan,
        signatures: &[(String, Vec<u8>)],
        init: Event,
    ) -> Result<Self> {
        folder::make_folder(dir)?;
        folder::keeps_what_it_holds(dir, &folder::part_of(&dir.join(PLAN_FILE)))?;
        // An emptied log beside documents is no interrupted `init`.
        Rule::CeremonyExists.ensure(
            !dir.join(OUTBOX).exists() && !dir.join(INBOX).exists(),
            format!("documents in {}", dir.display()),
            "a folder without a ceremony",
            "put the log back from a copy, or begin another ceremony in a new folder with --dir",
        )?;
        let mut log = Log::create(dir)?;
        for (name, bytes) in
            signatures.iter().chain([&(PLAN_FILE.to_owned(), plan.bytes().to_vec())])
        {
            write_once(&dir.join(name), bytes, MAX_PLAN)?;
        }
        let mut state = State::new(side);
        state.apply(&log.append(init)?)?;
        Ok(Ceremony { dir: dir.to_owned(), plan, state, log, mirror: None, last: None })
    }

    /// Opens a side's ceremony: the plan must be the agreed one and the log whole.
    ///
    /// # Errors
    /// `PLAN-CHANGED`, `LOG-…`, and what reading files can end with.
    pub fn open(dir: &Path, side: Side) -> Result<Self> {
        let mut state = State::new(side);
        let mut last = None;
        let log = Log::open(dir, |entry| {
            state.apply(&entry)?;
            if entry.event.step().is_some() {
                last = Some((entry.head.seq, entry.event));
            }
            Ok(())
        })?;
        let plan = Plan::read(&dir.join(PLAN_FILE))?;
        state.check_plan(&plan)?;
        // It may have been moved.
        if folder::has_foreign_mode(&dir.join(LOG_FILE))? {
            folder::keeps_what_it_holds(dir, &folder::part_of(&dir.join(PLAN_FILE)))?;
        }
        let mut ceremony = Ceremony { dir: dir.to_owned(), plan, state, log, mirror: None, last };
        ceremony.settle()?;
        Ok(ceremony)
    }

    /// Appends an entry, if it may follow.
    ///
    /// # Errors
    /// `LOG-EVENT`, or the log can't be written.
    pub fn record(&mut self, event: Event) -> Result<Head> {
        let mut state = self.state.clone();
        let before = self.log.head();
        state.apply(&Entry {
            // Its place; its hash and time are not known yet, and decide nothing.
            head: Head { seq: before.seq + 1, ..before },
            time: log::clock()?,
            event: event.clone(),
        })?;
        let entry = self.log.append(event)?;
        self.state.apply(&entry)?;
        Ok(entry.head)
    }

    /// Begins a step: writes its intent before anything is touched.
    ///
    /// # Errors
    /// `PHASE-ORDER`.
    pub fn begin(&mut self, step: Step) -> Result<StepIntent> {
        self.state.require(step)?;
        let attempt = self.state.attempt_of(step);
        let head = self.record(Event::Intent { step, attempt })?;
        self.clear_outbox()?;
        self.mirror()?;
        Ok(StepIntent { step, attempt, head, answers: None })
    }

    /// Begins a step that takes a document, and answers it.
    ///
    /// # Errors
    /// As [`Ceremony::keep`] and [`Ceremony::begin`].
    pub fn begin_taking<B: Body>(&mut self, step: Step, taken: &Released<B>) -> Result<StepIntent> {
        self.keep(taken)?;
        Ok(self.begin(step)?.answering(Some(taken.hash)))
    }

    /// The number and the result of the last step that was done when the folder was opened, where
    /// none was begun since.
    pub fn last_result(&self) -> Option<(u64, &Event)> {
        let last = self.last.as_ref().filter(|_| self.state.pending.is_none());
        last.map(|(seq, event)| (*seq, event))
    }

    /// The log's last entry.
    pub fn head(&self) -> Head {
        self.log.head()
    }

    /// The log's bytes, for the document that they travel with.
    ///
    /// # Errors
    /// As [`folder::read_file`].
    pub fn log_bytes(&self) -> Result<Vec<u8>> {
        self.log.bytes()
    }
}

/// Makes a file of at most `limit` bytes, unless a killed run has made this very one; any other of
/// this name is somebody else's.
fn write_once(path: &Path, bytes: &[u8], limit: u64) -> Result<()> {
    match folder::read_if_there(path, limit)?.is_some_and(|there| there == bytes) {
        true => Ok(()),
        false => folder::write_new(path, bytes),
    }
}
