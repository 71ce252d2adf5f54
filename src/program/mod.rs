//! What the programs of the two sides share: options, how a step is run, and how it ends.

mod alone;
mod gates;
mod heard;
mod inputs;
mod next;
mod note;
mod paper;
mod presented;

use std::{
    ffi::{CString, NulError, OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use crate::{
    Error, Result,
    ceremony::Ceremony,
    escape::escape,
    fingerprint::{self, WORDS_TYPED},
    guide::Language,
    hsm::{Hsm, MOST_SESSIONS},
    log::{Event, LOG_FILE, Log},
    paper::look::Look,
    phase::{Phase, Step},
    plan::{Mode, Plan, Side},
    report::Report,
    rule::Rule,
    side::{
        init::{self, AgreedPlan},
        preflight,
        print::Page,
        release, room, status,
        token::{TokenChoice, with_token},
    },
    terminal::{Asker, fail},
};
pub use heard::{Heard, words_heard};
pub use next::RunFn;
pub use note::Note;
pub use paper::Codes;
pub use presented::presented;

/// How much of a finding goes into the log, in characters.
const MAX_FOUND: usize = 500;

/// Options of every command of the two sides.
#[derive(Args)]
pub struct Common {
    /// The ceremony folder of this side
    #[arg(long, global = true, default_value = ".", value_name = "FOLDER")]
    pub dir: PathBuf,
    /// The HSM's PKCS#11 module (a .so file)
    #[arg(long, global = true, env = "KEYFERRY_MODULE", value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// A text for the module's C_Initialize, where its maker asks for one
    #[arg(long, global = true, value_name = "TEXT", value_parser = without_zero)]
    pub module_args: Option<CString>,
    /// The label of the HSM's token
    #[arg(long, global = true, env = "KEYFERRY_TOKEN", value_name = "LABEL")]
    pub token: Option<String>,
    /// In a rehearsal: the file that holds the PIN
    #[arg(long, global = true, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
    /// Keep a copy of the ceremony folder here, on another medium: a folder to go on from
    #[arg(long, global = true, value_name = "FOLDER")]
    pub mirror: Option<PathBuf>,
    /// Print the result as JSON, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// Whether `next` runs the command, and says itself what comes next.
    #[arg(skip)]
    pub guided: bool,
}

/// How many keys are worked on at once.
#[derive(Args)]
pub struct Sessions {
    /// How many sessions of the HSM work at once; useful with many keys
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=MOST_SESSIONS as i64))]
    pub sessions: u8,
}

/// Commands that both sides have.
#[derive(Subcommand)]
pub enum Shared {
    /// Begin the ceremony: take the plan that officers of both sides have signed
    Init {
        /// The plan, with its signatures (PLAN.OFFICER.sig) beside it
        plan: PathBuf,
        /// In a rehearsal: the file that holds the words heard
        #[arg(long, value_name = "FILE")]
        words: Option<PathBuf>,
        /// The folder of the aborted ceremony that this plan supersedes, or its archive
        #[arg(long, value_name = "FOLDER")]
        superseded: Option<PathBuf>,
        /// The ceremony folder of the trial that this plan names, or its archive; the hoster must show it
        #[arg(long, value_name = "FOLDER")]
        trial: Option<PathBuf>,
    },
    /// Show how far the ceremony has come, and the next step
    Status,
    /// Be led through the ceremony, step by step, from wherever it is
    Next {
        /// The language of what is said: en or de
        #[arg(long, value_name = "LANGUAGE", default_value = "en")]
        language: Language,
    },
    /// Release the document that waits, once enough officers have signed it
    Release,
    /// Look whether machine, programs and token are fit for production; a rehearsal only reports
    Preflight {
        /// A mounted medium, to look at its mount options too
        #[arg(long, value_name = "FOLDER")]
        medium: Option<PathBuf>,
    },
    /// Make a page for the printer; each copy is numbered in the record
    Print {
        /// Which page
        #[command(subcommand)]
        page: Page,
        /// What it looks like
        #[command(flatten)]
        look: Look,
    },
    /// Files as QR codes, and back
    #[command(flatten)]
    Codes(Codes),
    /// Report what this side's token can do, before there is a plan; throwaway objects only
    Probe {
        /// The report, a new file
        file: PathBuf,
        /// The token serves rehearsals: --pin-file and answers from stdin are allowed
        #[arg(long)]
        rehearsal: bool,
    },
    /// Put something into the record: an incident, a break, a bag, who came and went
    #[command(subcommand)]
    Note(Note),
    /// Go on although a bag came back wrong, once officers have signed for it
    Deviation,
    /// Give this side's attempt up and begin the next one, once officers have signed for it
    Restart {
        /// Why; it is signed and stays in the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End the ceremony for good, once officers have signed for it
    Abort {
        /// Why; it is signed and stays in the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not look in the HSM what is left to be destroyed: it is lost or broken
        #[arg(long)]
        without_hsm: bool,
    },
}

/// A step of an open ceremony.
pub type StepFn<'a> = Box<dyn FnOnce(&mut Ceremony, &Asker) -> Result<Report> + 'a>;

impl Common {
    /// Which token, and where its PIN comes from.
    ///
    /// # Errors
    /// [`Error::Usage`] where module or token is not named.
    pub fn token_choice(&self) -> Result<TokenChoice> {
        let usage = |what: &str, option: &str| Error::Usage {
            what: format!("no {what}"),
            remedy: format!(
                "name it with --{option}, or in KEYFERRY_{}",
                option.to_uppercase()
            ),
        };
        Ok(TokenChoice {
            module: self
                .module
                .clone()
                .ok_or_else(|| usage("PKCS#11 module", "module"))?,
            module_args: self.module_args.clone(),
            label: self.token.clone().ok_or_else(|| usage("token", "token"))?,
            pin_file: self.pin_file.clone(),
        })
    }

    /// Runs one step of the ceremony in the folder, records a refusal, and says what comes next. In production
    /// the machine is looked at before the step does anything.
    pub fn step(&self, side: Side, step: StepFn) -> ExitCode {
        self.unguarded(
            side,
            Box::new(|ceremony, asker| {
                self.require_mirror(&ceremony.plan)?;
                preflight::guard(ceremony, self.module.as_deref())?;
                step(ceremony, asker)
            }),
        )
    }

    /// As [`Common::step`], whatever the machine is like: for what only looks, or only adds to the record.
    pub(super) fn unguarded(&self, side: Side, step: StepFn) -> ExitCode {
        let mut ceremony = match Ceremony::open(&self.dir, side) {
            Ok(ceremony) => ceremony,
            Err(error) => return fail(&error),
        };
        let asker = Asker::new(ceremony.plan.mode);
        let done = self
            .mirrored(&mut ceremony)
            .and_then(|()| step(&mut ceremony, &asker));
        if let Err(error) = &done
            && let Err(unrecorded) = record_refusal(&mut ceremony, error)
        {
            eprintln!("the refusal could not be recorded: {unrecorded}");
        }
        // Whatever the step ended with, the copy is brought up to date.
        let mirrored = ceremony.mirror();
        let code = match &done {
            Ok(report) => self.succeed(report, &ceremony),
            Err(error) => fail(error),
        };
        match mirrored {
            Err(error) if done.is_ok() => {
                eprintln!(
                    "The step is done, but its mirror is not up to date; the next command tries again:"
                );
                fail(&error)
            }
            _ => code,
        }
    }

    /// Whether this ceremony may go on without a mirror, or has one.
    pub(super) fn require_mirror(&self, plan: &Plan) -> Result<()> {
        let needed = plan.mode == Mode::Production && !plan.waives(Rule::Mirror);
        match needed && self.mirror.is_none() {
            false => Ok(()),
            true => Err(Rule::Mirror.refuse(
                "no --mirror",
                "a folder on another medium that is kept up to date",
                "name one with --mirror: if this machine is lost, the ceremony goes on from there",
            )),
        }
    }

    /// Begins the mirror, before anything is done that it would miss.
    fn mirrored(&self, ceremony: &mut Ceremony) -> Result<()> {
        match &self.mirror {
            Some(mirror) => ceremony.mirror_to(mirror),
            None => Ok(()),
        }
    }

    /// Runs one step that needs the HSM: as [`Common::step`], logged in to the token.
    pub fn hsm_step(
        &self,
        side: Side,
        step: Step,
        act: impl FnOnce(&mut Ceremony, &Hsm, &Asker) -> Result<Report>,
    ) -> ExitCode {
        self.step(
            side,
            Box::new(|ceremony, asker| {
                with_token(
                    ceremony,
                    step,
                    &self.token_choice()?,
                    asker,
                    |ceremony, hsm| act(ceremony, hsm, asker),
                )
            }),
        )
    }

    /// The options of every command, as they were given.
    fn arguments(&self) -> Vec<OsString> {
        let mut all = vec!["--dir".into(), self.dir.clone().into()];
        let args = self.module_args.as_ref().map(|args| args.to_bytes());
        let options = [
            ("--module", self.module.clone().map(OsString::from)),
            (
                "--module-args",
                args.map(|args| OsStr::from_bytes(args).into()),
            ),
            ("--token", self.token.clone().map(OsString::from)),
            ("--pin-file", self.pin_file.clone().map(OsString::from)),
            ("--mirror", self.mirror.clone().map(OsString::from)),
        ];
        for (option, value) in options {
            all.extend(
                value
                    .map(|value| [option.into(), value])
                    .into_iter()
                    .flatten(),
            );
        }
        all
    }

    /// Runs a command that both sides have. `again` runs any of the program's commands, for `next`.
    pub fn shared(&self, side: Side, command: Shared, again: RunFn) -> ExitCode {
        match command {
            Shared::Next { language } => self.next(side, language, again),
            Shared::Init {
                plan,
                words,
                superseded,
                trial,
            } => {
                let agreed = || {
                    AgreedPlan::read(&plan)?
                        .superseding(side, superseded.as_deref())?
                        .tried(side, trial.as_deref())
                };
                match self.init(side, agreed, words.as_deref()) {
                    Ok((ceremony, report)) => self.succeed(&report, &ceremony),
                    Err(error) => fail(&error),
                }
            }
            Shared::Print { page, look } => self.print_page(side, page, look),
            Shared::Codes(codes) => self.plainly(codes.run()),
            Shared::Status => {
                self.unguarded(side, Box::new(|ceremony, _| Ok(status::status(ceremony))))
            }
            Shared::Preflight { medium } => self.unguarded(
                side,
                Box::new(move |ceremony, _| self.preflight(ceremony, medium.as_deref())),
            ),
            Shared::Release => self.step(side, Box::new(|ceremony, _| release::release(ceremony))),
            Shared::Probe { file, rehearsal } => self.probe(side, &file, rehearsal),
            Shared::Note(note) => self.unguarded(
                side,
                Box::new(move |ceremony, _| room::note(ceremony, note.into())),
            ),
            Shared::Deviation => self.step(side, Box::new(|ceremony, _| room::deviation(ceremony))),
            Shared::Restart { reason } => self.restart(side, &reason),
            Shared::Abort {
                reason,
                without_hsm,
            } => self.abort(side, &reason, without_hsm),
        }
    }

    fn init(
        &self,
        side: Side,
        agreed: impl FnOnce() -> Result<AgreedPlan>,
        words: Option<&Path>,
    ) -> Result<(Ceremony, Report)> {
        // Before any question is asked: a folder with a ceremony takes no second one.
        if self.dir.join(LOG_FILE).exists() {
            Log::create(&self.dir)?;
        }
        let agreed = agreed()?;
        self.require_mirror(agreed.plan())?;
        let module = self.module.as_deref();
        let checks = preflight::guard_init(agreed.plan(), side, module)?;
        let mode = agreed.plan().mode;
        let right = agreed.plan().hash();
        let right = &fingerprint::words(&right.0)[..WORDS_TYPED];
        let asker = Asker::new(mode);
        let typed = words_heard(
            mode,
            &asker,
            words,
            &init::words_prompt(),
            Heard::Known(right),
        )?;
        let (mut ceremony, report) = init::init(&self.dir, side, agreed, &typed)?;
        preflight::record_news(&mut ceremony, &checks)?;
        self.mirrored(&mut ceremony)?;
        Ok((ceremony, report))
    }

    fn preflight(&self, ceremony: &mut Ceremony, medium: Option<&Path>) -> Result<Report> {
        let named = self.token.as_ref().map(|_| self.token_choice());
        let choice = named.transpose()?;
        let module = self.module.as_deref();
        let looked = preflight::preflight(ceremony, module, choice.as_ref(), medium)?;
        if looked.end.is_err() {
            // What was found is shown whole, not only the first rule that refuses.
            self.print(&looked.report);
        }
        looked.end.map(|()| looked.report)
    }

    /// How a command ends that needs no ceremony.
    fn plainly(&self, done: Result<Report>) -> ExitCode {
        match done {
            Ok(report) => {
                self.print(&report);
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        }
    }

    fn print(&self, report: &Report) {
        if self.json {
            println!("{}", report.json());
        } else {
            println!("{}", report.text());
        }
    }

    fn succeed(&self, report: &Report, ceremony: &Ceremony) -> ExitCode {
        self.print(report);
        if ceremony.plan.mode == Mode::Rehearsal && !self.guided {
            eprintln!("REHEARSAL: no real key may take part in this ceremony.");
        }
        if !self.guided {
            eprintln!("{}", status::next(ceremony));
        }
        ExitCode::SUCCESS
    }
}

/// A text as C takes it.
fn without_zero(text: &str) -> std::result::Result<CString, NulError> {
    CString::new(text)
}

fn record_refusal(ceremony: &mut Ceremony, error: &Error) -> Result<()> {
    let Error::Refused(refusal) = error else {
        return Ok(());
    };
    // What is closed stays as it was signed.
    if ceremony.state.phase == Phase::Closed {
        return Ok(());
    }
    let found = escape(&refusal.found.chars().take(MAX_FOUND).collect::<String>());
    ceremony
        .record(Event::Refusal {
            rule: refusal.rule,
            found,
        })
        .map(|_| ())
}
