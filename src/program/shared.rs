//! Commands that both sides have.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::next::RunFn;
use crate::note::Note;
use crate::print::{self, Page};
use crate::{Common, status};
use ceremony::Ceremony;
use ceremony::side::abort::{Abort, Restart};
use ceremony::side::init::{self, AgreedPlan};
use ceremony::side::probe::ProbeOrder;
use ceremony::side::release::Release;
use ceremony::side::room::{self, Deviation};
use ceremony::side::{preflight, probe};
use ceremony::step::heard_words;
use custody::codes::{scan, show};
use desk::page::PageOptions;
use record::log::Log;
use record::signature::{self, Namespace};
use record::{LOG_FILE, Mode, Program, Result, Side};
use terminal::report::Report;
use terminal::words::WordsHint;
use terminal::{Asker, Paper, end, fail_as};

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
        /// The ceremony folder of the trial that this plan names, or its archive; the hoster must
        /// show it
        #[arg(long, value_name = "FOLDER")]
        trial: Option<PathBuf>,
    },
    /// Show how far the ceremony has come, and the next step
    Status,
    /// Be led through the ceremony, step by step, from wherever it is
    Next,
    /// Release the document that waits, once enough officers have signed it
    Release(Release),
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
        look: PageOptions,
    },
    /// Show a document's folder, or files, as QR codes: on the terminal one after another, or as
    /// pictures. For nothing that is secret
    Qr {
        /// A folder of outbox/, or files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// A folder for pictures (PNG), in place of the terminal
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// The terminal's background is light
        #[arg(long)]
        light: bool,
    },
    /// Read pictures of QR codes (PNG, JPEG), and write the files that they carry
    Scan {
        /// The pictures, in any order
        #[arg(required = true)]
        pictures: Vec<PathBuf>,
        /// A folder for the files
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
    /// Report what this side's token can do, before there is a plan; throwaway objects only
    Probe {
        /// The report, a new file
        file: PathBuf,
        /// The token serves rehearsals: --pin-file and answers from stdin are allowed
        #[arg(long)]
        rehearsal: bool,
        /// Make no object that stays on the token: then nothing is known of those that a ceremony
        /// makes
        #[arg(long)]
        session_only: bool,
        /// How long one trial may take, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        trial_limit: u64,
        /// This program's own child, which loads the module
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Put something into the record: an incident, a break, a bag, who came and went
    #[command(subcommand)]
    Note(Note),
    /// Go on although a bag came back wrong, once officers have signed for it
    Deviation(Deviation),
    /// Give this side's attempt up and begin the next one, once officers have signed for it
    Restart(Restart),
    /// End the ceremony for good, once officers have signed for it
    Abort(Abort),
}

impl Common {
    /// Runs a command that both sides have. `again` runs any of the program's commands, for `next`.
    pub fn shared(&self, side: Side, command: Shared, again: RunFn) -> ExitCode {
        match command {
            Shared::Next => self.next(side, again),
            Shared::Init { plan, words, superseded, trial } => {
                let agreed = || {
                    AgreedPlan::read(&plan)?
                        .superseding(side, superseded.as_deref())?
                        .tried(side, trial.as_deref())
                };
                match self.init(side, agreed, words.as_deref()) {
                    Ok((ceremony, report)) => self.succeed(&report, &ceremony),
                    Err(error) => fail_as(self.json, &error),
                }
            }
            Shared::Print { page, look } => {
                self.in_ceremony(side, |ceremony, _| print::print(ceremony, &page, look))
            }
            Shared::Qr { paths, to, light } => self.plainly(qr(&paths, to.as_deref(), light), None),
            Shared::Scan { pictures, to } => self.plainly(scan::scan(&pictures, &to), None),
            Shared::Status => self.in_ceremony(side, |ceremony, _| Ok(status::status(ceremony))),
            Shared::Preflight { medium } => {
                self.in_ceremony(side, |ceremony, _| self.preflight(ceremony, medium.as_deref()))
            }
            Shared::Probe { file, rehearsal, session_only, trial_limit, child } => {
                let mode = if rehearsal { Mode::Rehearsal } else { Mode::Production };
                let order = ProbeOrder {
                    side,
                    token: &self.token,
                    mode,
                    session_only,
                    limit: Duration::from_secs(trial_limit),
                };
                if child {
                    return end(self.json, probe::child(&order));
                }
                let probed = probe::probe(&order, &file);
                let check = Program::Audit.line("plan check PLAN --probe FILE --probe OTHER");
                let next = format!(
                    "next: officers of this side sign it, each on a machine of their own\n  {}\nthen, with the report of the other side beside it\n  {}",
                    signature::officer_line(Namespace::Probe),
                    check.with("FILE", &file)
                );
                self.plainly(probed, Some(&next))
            }
            Shared::Note(note) => self.in_ceremony(side, |ceremony, means| {
                room::note(ceremony, note.remark(means.asker)?)
            }),
            Shared::Release(release) => self.step(side, &release),
            Shared::Deviation(deviation) => self.step(side, &deviation),
            Shared::Restart(restart) => self.step(side, &restart),
            Shared::Abort(abort) => self.step(side, &abort),
        }
    }

    fn init(
        &self,
        side: Side,
        agreed: impl FnOnce() -> Result<AgreedPlan>,
        words: Option<&Path>,
    ) -> Result<(Ceremony, Report)> {
        // Before any question is asked: a folder with a ceremony takes no second one.
        if self.dir.join(LOG_FILE).exists()
            && let Err(error) = Log::create(&self.dir)
        {
            return self.begun(side, agreed).ok_or(error);
        }
        let agreed = agreed()?;
        self.require_mirror(&agreed.plan)?;
        let module = self.token.module.as_deref();
        let checks = preflight::guard_init(&agreed.plan, side, module)?;
        let (mode, hint) = (agreed.plan.mode, WordsHint::First(agreed.plan.hash()));
        let (prompt, asker) = (init::words_prompt(), Asker::new(mode));
        // There is no log yet: the refusal is all that is said of wrong words.
        let typed = heard_words((mode, words), &prompt, hint, &asker, &mut Paper)?;
        let (mut ceremony, report) = init::init(&self.dir, side, agreed, &typed)?;
        preflight::record_news(&mut ceremony, &checks)?;
        self.mirrored(&mut ceremony)?;
        Ok((ceremony, report))
    }

    /// Where a ceremony was begun with this plan and nothing else was done: an `init` that was cut
    /// off before it could say so.
    fn begun(
        &self,
        side: Side,
        agreed: impl FnOnce() -> Result<AgreedPlan>,
    ) -> Option<(Ceremony, Report)> {
        let mut ceremony = Ceremony::open(&self.dir, side).ok()?;
        let same = ceremony.plan.hash() == agreed().ok()?.plan.hash();
        let (1, _) = ceremony.last_result().filter(|_| same)? else { return None };
        self.mirrored(&mut ceremony).ok()?;
        let done = "The ceremony has begun already with this plan; nothing was done again.";
        Some((ceremony, Report::new(done).value("folder", self.dir.display().to_string())))
    }

    fn preflight(&self, ceremony: &mut Ceremony, medium: Option<&Path>) -> Result<Report> {
        let (report, end) = preflight::preflight(ceremony, &self.token, medium)?;
        if end.is_err() {
            // What was found is shown whole, not only the first rule that refuses. That rule is
            // what the command ends with, shown or not.
            let _ = self.print(&report);
        }
        end.map(|()| report)
    }
}

/// Shows files as QR codes, on the terminal or as pictures.
fn qr(paths: &[PathBuf], to: Option<&Path>, light: bool) -> Result<Report> {
    let files = show::named(paths)?;
    let title = show::title(&files);
    match to {
        Some(to) => show::pictures(&files, &title, to),
        None => show::on_terminal(&files, &title, light, &Asker::new(Mode::Production)),
    }
}
