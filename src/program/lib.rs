//! What the programs of the two sides share: options, how a step is run, and how it ends.

mod inputs;
mod invocation;
mod more;
mod next;
mod note;
mod print;
mod shared;
mod status;
mod today;
mod transcript;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Parser};

use ceremony::hoster::prove::{self, NodeProve};
use ceremony::side::preflight;
use ceremony::side::token::TokenArgs;
use ceremony::{Ceremony, Means, Run, step};
use invocation::Invocation;
use record::command::{self, CommandLine};
use record::{Error, Mode, Phase, Plan, Result, Rule, Side};
pub use shared::Shared;
use terminal::report::Report;
use terminal::texts::Speech;
use terminal::{Asker, Recorder, fail, fail_as, give, give_exactly, tell};

/// Options of every command of the two sides.
#[derive(Args)]
pub struct Common {
    /// The ceremony folder of this side
    #[arg(long, global = true, default_value = ".", value_name = "FOLDER")]
    pub dir: PathBuf,
    /// The token.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Keep a copy of the ceremony folder here, on another medium: a folder to go on from
    #[arg(long, global = true, value_name = "FOLDER")]
    pub mirror: Option<PathBuf>,
    /// The language.
    #[command(flatten)]
    pub speech: Speech,
    /// Print the result as JSON, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// Whether `next` runs the command, and says itself what comes next.
    #[arg(skip)]
    pub guided: bool,
    /// The registry of the local target, where one is named.
    #[arg(skip)]
    pub registry: Option<PathBuf>,
    /// The command as it was typed; empty where `next` has put it together.
    #[arg(skip)]
    pub invocation: Invocation,
}

/// A program of one side, as it is typed.
pub trait Program: Parser {
    /// Whose it is.
    const SIDE: Side;

    /// Its options, and what is to be done.
    fn task(self) -> (Common, Task);
}

/// What a program is to do.
pub enum Task {
    /// What both sides have.
    Shared(Shared),
    /// A step of one side.
    Step(Box<dyn Run>),
    /// The evidence of a host that has no ceremony.
    NodeProve(NodeProve),
}

/// Runs what was typed.
pub fn run<P: Program>(matches: &ArgMatches) -> ExitCode {
    match P::from_arg_matches(matches) {
        Ok(program) => {
            let (common, task) = program.task();
            common.speech.begin(command::Program::of(P::SIDE), common.options());
            Common { invocation: Invocation::of(matches), ..common }.run::<P>(task)
        }
        Err(error) => error.exit(),
    }
}

impl Common {
    fn run<P: Program>(&self, task: Task) -> ExitCode {
        let again = |line: &CommandLine| {
            let name = P::command().get_name().into();
            match P::try_parse_from(std::iter::once(name).chain(line.arguments())) {
                Ok(program) => {
                    let (common, task) = program.task();
                    Common { guided: true, ..common }.run::<P>(task)
                }
                Err(error) => error.exit(),
            }
        };
        match task {
            Task::Shared(command) => self.shared(P::SIDE, command, &again),
            Task::Step(step) => self.step(P::SIDE, &*step),
            Task::NodeProve(node) => {
                let registry = step::registry(self.registry.as_deref(), &self.dir);
                let proved = prove::prove(&node, &registry, &self.token);
                let line = command::Program::Hoster.bare("--dir CEREMONY evidence add FILE");
                let next = format!("next: carry the file to the hoster's machine; there\n  {line}");
                self.plainly(proved, Some(&next))
            }
        }
    }

    /// Runs one step of the ceremony in the folder, records a refusal, and says what comes next. In
    /// production the machine is looked at before the step does anything.
    fn step(&self, side: Side, step: &dyn Run) -> ExitCode {
        self.in_ceremony(side, |ceremony, means| {
            self.require_mirror(&ceremony.plan)?;
            if !step.on_any_machine() {
                preflight::guard(ceremony, self.token.module.as_deref())?;
            }
            step.run(ceremony, means)
        })
    }

    /// As [`Common::step`], whatever the machine is like: for what only looks, or only adds to the
    /// record.
    fn in_ceremony(
        &self,
        side: Side,
        step: impl FnOnce(&mut Ceremony, &Means) -> Result<Report>,
    ) -> ExitCode {
        let mut ceremony = match Ceremony::open(&self.dir, side) {
            Ok(ceremony) => ceremony,
            Err(error) => return fail_as(self.json, &error),
        };
        let asker = Asker::new(ceremony.plan.mode);
        let registry = self.registry.as_deref();
        let means = Means { asker: &asker, token: &self.token, registry };
        let before = ceremony.head();
        let done = self.mirrored(&mut ceremony).and_then(|()| step(&mut ceremony, &means));
        let done = done.or_else(|error| match ceremony.head() == before {
            true => self.invocation.done_before(&ceremony, &error)?.ok_or(error),
            false => Err(error),
        });
        if let Err(error) = &done
            && let Err(unrecorded) = record_refusal(&mut ceremony, error)
        {
            tell(&format!("the refusal could not be recorded: {unrecorded}"));
        }
        // Whatever the step ended with, the copy is brought up to date.
        let mirrored = ceremony.mirror();
        let code = match &done {
            Ok(report) => self.succeed(report, &ceremony),
            Err(error) => fail_as(self.json, error),
        };
        match mirrored {
            // Nobody should go on, or sign, as if the copy were whole. After a refusal the next
            // command says it first.
            Err(error) if matches!(done, Ok(_) | Err(Error::Waiting { .. })) => {
                tell(
                    "So it stands, but the mirror is not up to date; the next command tries again:",
                );
                fail(&error)
            }
            _ => code,
        }
    }

    fn lacks_mirror(&self, plan: &Plan) -> bool {
        self.mirror.is_none() && plan.mode == Mode::Production && !plan.waives(Rule::Mirror)
    }

    /// Whether this ceremony may go on without a mirror, or has one.
    fn require_mirror(&self, plan: &Plan) -> Result<()> {
        Rule::Mirror.ensure(
            !self.lacks_mirror(plan),
            "no --mirror",
            "a folder on another medium that is kept up to date",
            "name one with --mirror: if this machine is lost, the ceremony goes on from there",
        )
    }

    /// Begins the mirror, before anything is done that it would miss.
    fn mirrored(&self, ceremony: &mut Ceremony) -> Result<()> {
        match &self.mirror {
            Some(mirror) => ceremony.mirror_to(mirror),
            None => Ok(()),
        }
    }

    /// The options of every command, as they were given.
    fn options(&self) -> Vec<(&'static str, OsString)> {
        let token = &self.token;
        let args = token.module_args.as_ref().map(|args| OsStr::from_bytes(args.to_bytes()));
        let path = |path: &Option<PathBuf>| path.clone().map(OsString::from);
        let options = [
            ("--dir", Some(self.dir.clone().into())),
            ("--module", path(&token.module)),
            ("--module-args", args.map(OsString::from)),
            ("--token", token.token.clone().map(OsString::from)),
            ("--pin-file", path(&token.pin_file)),
            ("--mirror", path(&self.mirror)),
            ("--registry", path(&self.registry)),
        ];
        options.into_iter().filter_map(|(option, value)| Some((option, value?))).collect()
    }

    /// How a command ends that needs no ceremony; `next` says what follows it.
    fn plainly(&self, done: Result<Report>, next: Option<&str>) -> ExitCode {
        match done.and_then(|report| self.print(&report)) {
            Ok(()) => {
                next.into_iter().for_each(tell);
                ExitCode::SUCCESS
            }
            Err(error) => fail_as(self.json, &error),
        }
    }

    fn print(&self, report: &Report) -> Result<()> {
        match self.json {
            true => give_exactly(&report.json().to_string()),
            false => give(&report.text()),
        }
    }

    fn succeed(&self, report: &Report, ceremony: &Ceremony) -> ExitCode {
        if let Err(error) = self.print(report) {
            return fail(&error);
        }
        if ceremony.plan.mode == Mode::Rehearsal && !self.guided {
            tell("REHEARSAL: no real key may take part in this ceremony.");
        }
        if !self.guided {
            tell(&self.next_step(ceremony));
        }
        ExitCode::SUCCESS
    }
}

fn record_refusal(ceremony: &mut Ceremony, error: &Error) -> Result<()> {
    match error {
        // What is closed stays as it was signed.
        Error::Refused(refusal) if ceremony.state.phase != Phase::Closed => {
            ceremony.refused(refusal.rule, refusal.found.clone())
        }
        _ => Ok(()),
    }
}
