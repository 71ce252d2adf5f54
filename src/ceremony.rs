//! One side's ceremony folder: plan, log, what came in, what goes out. The state is the log, replayed;
//! what a killed run left unfinished is settled from it.

use std::path::{Path, PathBuf};

use crate::{
    Error, Result,
    document::{Body, Document, Header, Kind, Received, Released, read},
    encoding::Hash,
    folder,
    log::{Entry, Event, Head, Log},
    phase::{Made, State, Step},
    plan::{MAX_PLAN, PLAN_FILE, Plan, Side},
    rule::Rule,
};

/// The folder of documents of this side.
const OUTBOX: &str = "outbox";
/// The folder of documents of the other side.
const INBOX: &str = "inbox";
/// The folder of share files, in the outbox.
pub const SHARES: &str = "shares";

/// An open ceremony. No other program has it open.
pub struct Ceremony {
    /// The ceremony folder.
    pub dir: PathBuf,
    /// The agreed plan.
    pub plan: Plan,
    /// What the log says.
    pub state: State,
    log: Log,
}

/// A step that was begun: its intent is in the log. What it makes belongs to this attempt.
pub struct Begun {
    step: Step,
    attempt: u32,
    head: Head,
}

impl Begun {
    /// The attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
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
        // An emptied log beside documents is no interrupted `init`.
        if dir.join(OUTBOX).exists() || dir.join(INBOX).exists() {
            return Err(Rule::CeremonyExists.refuse(
                format!("documents in {}", dir.display()),
                "a folder without a ceremony",
                "put the log back from a copy, or begin another ceremony in a new folder with --dir",
            ));
        }
        let mut log = Log::create(dir)?;
        for (name, bytes) in signatures
            .iter()
            .chain([&(PLAN_FILE.to_owned(), plan.bytes().to_vec())])
        {
            let path = dir.join(name);
            // A killed `init` may have written it; a file with other contents is somebody else's.
            if !path.exists() || folder::read_file(&path, MAX_PLAN)? != *bytes {
                folder::write_new(&path, bytes)?;
            }
        }
        let mut state = State::new(side);
        state.apply(&log.append(init)?)?;
        Ok(Ceremony {
            dir: dir.to_owned(),
            plan,
            state,
            log,
        })
    }

    /// Opens a side's ceremony: the plan must be the agreed one and the log whole.
    ///
    /// # Errors
    /// `PLAN-CHANGED`, `LOG-…`, and what reading files can end with.
    pub fn open(dir: &Path, side: Side) -> Result<Self> {
        let mut replay = Replay::new(side);
        let log = Log::open(dir, |entry| replay.take(&entry))?;
        let plan = Plan::read(&dir.join(PLAN_FILE))?;
        replay.check_plan(&plan)?;
        let mut ceremony = Ceremony {
            dir: dir.to_owned(),
            plan,
            state: replay.state,
            log,
        };
        ceremony.settle()?;
        Ok(ceremony)
    }

    /// Appends an entry, if it may follow.
    ///
    /// # Errors
    /// `LOG-EVENT`, or the log can't be written.
    pub fn record(&mut self, event: Event) -> Result<Head> {
        let mut state = self.state.clone();
        state.apply(&Entry {
            head: self.log.head(),
            time: String::new(),
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
    pub fn begin(&mut self, step: Step) -> Result<Begun> {
        self.state.require(step)?;
        let attempt = self.state.attempt_of(step);
        let head = self.record(Event::Intent { step, attempt })?;
        // What interrupted runs left, of this attempt or an older one, is not trusted: it is made again.
        folder::erase_hidden(&self.dir.join(OUTBOX))?;
        Ok(Begun {
            step,
            attempt,
            head,
        })
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

    /// Where a document of this side lies.
    pub fn outbox(&self, name: &str) -> PathBuf {
        self.dir.join(OUTBOX).join(name)
    }

    /// Where a document of the other side is kept.
    pub fn inbox(&self, name: &str) -> PathBuf {
        self.dir.join(INBOX).join(name)
    }

    fn staging(&self, attempt: u32) -> PathBuf {
        self.outbox(&format!(".attempt-{attempt}"))
    }

    /// Builds a document under another name, complete and synced. It gets its own once the log names it.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn build<B: Body>(
        &self,
        begun: &Begun,
        body: B,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Hash> {
        let answers = B::KIND
            .answers()
            .map(|kind| self.state.document(kind))
            .transpose()?;
        self.build_document(begun, answers, body, files)
    }

    /// Builds a document that answers one taken in the same step.
    ///
    /// # Errors
    /// As [`Ceremony::build`].
    pub fn build_answering<B: Body>(
        &self,
        begun: &Begun,
        answers: Hash,
        body: B,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Hash> {
        self.build_document(begun, Some(answers), body, files)
    }

    fn build_document<B: Body>(
        &self,
        begun: &Begun,
        answers: Option<Hash>,
        body: B,
        mut files: Vec<(String, Vec<u8>)>,
    ) -> Result<Hash> {
        debug_assert!(B::KIND.side() == self.state.side);
        let header = Header::new(&self.plan, B::KIND, begun.attempt, answers, begun.head);
        let bytes = Document { header, body }.bytes()?;
        let hash = Hash::of(&bytes);
        files.push((B::KIND.file(), bytes));
        self.stage(begun, B::KIND.name(), &files)?;
        Ok(hash)
    }

    /// Writes the files of a folder that will stand in the outbox.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn stage(&self, begun: &Begun, name: &str, files: &[(String, Vec<u8>)]) -> Result<()> {
        let folder = self.staging(begun.attempt).join(name);
        folder::make_folder(&folder)?;
        files
            .iter()
            .try_for_each(|(name, bytes)| folder::write_new(&folder.join(name), bytes))
    }

    /// Records the result of a step, then gives what it made its name in the outbox.
    ///
    /// # Errors
    /// What writing log and folders can end with; whatever then is missing, the next start settles.
    pub fn finish(&mut self, begun: Begun, result: Event) -> Result<()> {
        debug_assert!(result.step() == Some(begun.step));
        self.record(result)?;
        self.settle()
    }

    /// Gives every document that the log names its name, where a killed run did not come to it.
    fn settle(&mut self) -> Result<()> {
        for (kind, made) in self.state.made.clone() {
            let staging = self.staging(made.attempt);
            if kind == Kind::Package {
                self.settle_one(&staging, SHARES)?;
            }
            self.settle_one(&staging, kind.name())?;
        }
        Ok(())
    }

    fn settle_one(&self, staging: &Path, name: &str) -> Result<()> {
        let (from, to) = (staging.join(name), self.outbox(name));
        if from.exists() && !to.exists() {
            folder::publish(&from, &to)?;
        }
        // Gone only when empty: a package's staging still holds its shares.
        let _ = std::fs::remove_dir(staging);
        Ok(())
    }

    /// Takes a document of the other side: whole, released, and answering what this side released.
    ///
    /// # Errors
    /// `DOCUMENT-…` and `SIGNATURE-…` rules.
    pub fn take<B: Body>(&self, folder: &Path) -> Result<Released<B>> {
        let received: Received<B> = read(folder, &self.plan)?;
        let received = received.not_before(self.state.seen_attempt)?;
        let received = match B::KIND.answers() {
            Some(kind) => received.answering(self.state.document(kind)?)?,
            None => received,
        };
        received.released(&self.plan)
    }

    /// Keeps a document of the other side, byte for byte as it was verified.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn keep<B: Body>(&self, received: &Released<B>) -> Result<()> {
        let to = self.inbox(B::KIND.name());
        let part = self.inbox(&format!(".{}", B::KIND));
        if !self.state.taken.contains_key(&B::KIND) {
            // A killed run kept it and did not come to the log entry.
            folder::erase(&to)?;
        }
        folder::erase(&part)?;
        folder::make_folder(&part)?;
        received
            .files
            .iter()
            .try_for_each(|(name, bytes)| folder::write_new(&part.join(name), bytes))?;
        folder::publish(&part, &to)
    }

    /// The document of the other side that was taken, verified again.
    ///
    /// # Errors
    /// As [`Ceremony::take`], and `DOCUMENT-HASH` where it is not the one of the log.
    pub fn kept<B: Body>(&self) -> Result<Released<B>> {
        let hash = self.state.document(B::KIND)?;
        read::<B>(&self.inbox(B::KIND.name()), &self.plan)?
            .released(&self.plan)?
            .being(hash)
    }

    /// The document of this side that was made, with the signatures beside it.
    ///
    /// # Errors
    /// `DOCUMENT-…` and `SIGNATURE-…` rules, `DOCUMENT-HASH` where it is not the one of the log.
    pub fn sent<B: Body>(&self) -> Result<(Received<B>, Made)> {
        let made = self.state.made(B::KIND)?;
        let own = read::<B>(&self.outbox(B::KIND.name()), &self.plan)?;
        if own.hash != made.hash {
            return Err(Rule::DocumentHash.refuse(
                format!("the {} in the outbox has SHA-256 {}", B::KIND, own.hash),
                format!("the one that was made, {}", made.hash),
                "put the unchanged folder back from a copy, and find out what changed it",
            ));
        }
        Ok((own, made))
    }
}

/// A log on its way to a state.
pub struct Replay {
    /// The state so far.
    pub state: State,
    plan: Option<Hash>,
}

impl Replay {
    /// Before the first entry.
    pub fn new(side: Side) -> Self {
        Replay {
            state: State::new(side),
            plan: None,
        }
    }

    /// Takes the next entry; the first is `init`, and only the first.
    ///
    /// # Errors
    /// `LOG-EVENT`.
    pub fn take(&mut self, entry: &Entry) -> Result<()> {
        match (&entry.event, self.plan) {
            (Event::Init { side, plan, .. }, None) if *side == self.state.side => {
                self.plan = Some(*plan)
            }
            (Event::Init { side, .. }, None) => {
                return Err(wrong(entry, format!("the log of the {side}")));
            }
            (Event::Init { .. }, Some(_)) => return Err(wrong(entry, "a second init".into())),
            (_, None) => return Err(wrong(entry, "an entry before init".into())),
            _ => {}
        }
        self.state.apply(entry)
    }

    /// Whether the log is of this plan, and has the step that only some plans have.
    ///
    /// # Errors
    /// `PLAN-CHANGED`; `TARGET-WRAP-WITH-TRUSTED` where the tenant's keys were made before its HSM trusted the KEK.
    pub fn check_plan(&self, plan: &Plan) -> Result<()> {
        if self.plan == Some(plan.hash()) {
            let made = self.state.side == Side::Tenant && !self.state.keys.is_empty();
            return match made && plan.trusted_only() && self.state.kek.is_none() {
                true => Err(untrusted("a log with keys create and without kek trust")),
                false => Ok(()),
            };
        }
        Err(Rule::PlanChanged.refuse(
            format!("{PLAN_FILE} with SHA-256 {}", plan.hash()),
            format!(
                "the agreed one, {}",
                self.plan.map_or("none".into(), |hash| hash.to_string())
            ),
            "put the agreed plan back, byte for byte; a change needs a new ceremony",
        ))
    }
}

/// The refusal of a step that must not come before the KEK is trusted.
pub fn untrusted(found: &str) -> Error {
    Rule::TargetWrapWithTrusted.refuse(
        found,
        "kek trust before keys create, as this plan is single-shot and does not waive the rule",
        "let the security officer of the tenant's HSM run `kek trust` first",
    )
}

fn wrong(entry: &Entry, found: String) -> Error {
    Rule::LogEvent.refuse(
        format!("entry {}: {found}", entry.head.seq),
        "one init, first, of this side",
        "name this side's ceremony folder with --dir",
    )
}
