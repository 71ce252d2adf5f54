//! A command of one side: its arguments say what is done, and it does it with what a step has at
//! hand. Behind a gate, officers are asked before any PIN.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::token::{TokenArgs, after_login, require_tries};
use crate::{Ceremony, Report, approval};
use hsm::{Hsm, MOST_SESSIONS};
use record::gate::Subject;
use record::layout::REGISTRY;
use record::text;
use record::{Error, Event, Id, Mode, PLAN_FILE, Plan, Result, Step, escape, folder};
use show::{Language, Sentences, sentence};
use terminal::words::{self, WordsHint};
use terminal::{Asker, Recorder};

/// The greatest size of a file of words, in bytes.
const MAX_WORDS: u64 = 4096;

/// A command: its arguments, and its run.
pub trait Run {
    /// Takes the step.
    ///
    /// # Errors
    /// `PHASE-ORDER`, and what each step ends with.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report>;

    /// Whether it is possible on any machine, fit for production or not.
    fn on_any_machine(&self) -> bool {
        false
    }
}

/// The commands below a word: each holds the arguments of one, and runs it.
#[macro_export]
macro_rules! commands {
    ($($(#[$meta:meta])* $name:ident { $($(#[$each:meta])* $command:ident($arguments:ty),)* })*) => {$(
        $(#[$meta])*
        #[derive(clap::Subcommand)]
        enum $name { $($(#[$each])* $command($arguments),)* }

        impl $name {
            fn step(&self) -> &dyn $crate::Run {
                match self { $($name::$command(step) => step,)* }
            }
        }

        impl $crate::Run for $name {
            fn run(
                &self,
                ceremony: &mut $crate::Ceremony,
                means: &$crate::Means,
            ) -> record::Result<terminal::report::Report> {
                self.step().run(ceremony, means)
            }

            fn on_any_machine(&self) -> bool {
                self.step().on_any_machine()
            }
        }
    )*};
}

/// What a step has at hand beside the ceremony.
pub struct Means<'a> {
    /// Asks people.
    pub asker: &'a Asker,
    /// The way to the token, as far as it was named.
    pub token: &'a TokenArgs,
    /// The registry of the local target, where one was named.
    pub registry: Option<&'a Path>,
}

impl Means<'_> {
    /// Logs in for a step, and takes it.
    ///
    /// # Errors
    /// As [`TokenArgs::find_for_step`], [`require_tries`] and [`TokenArgs::login`], and what `act`
    /// ends with.
    pub fn in_hsm<T>(
        &self,
        ceremony: &mut Ceremony,
        step: Step,
        act: impl FnOnce(&mut Ceremony, &Hsm) -> Result<T>,
    ) -> Result<T> {
        self.token.find_for_step(ceremony, step, |ceremony, token| {
            require_tries(ceremony, token)?;
            let hsm = (self.token.login(self.asker, token))
                .map_err(|failed| after_login(ceremony, self.asker, token, failed))?;
            act(ceremony, &hsm)
        })
    }

    /// Takes a step in the HSM that officers must sign for. `find` says what they sign for, and what
    /// that was computed from: once for them, before any PIN, and, when the PIN is typed, once more
    /// for what is then done.
    ///
    /// # Errors
    /// [`Error::Waiting`], `SIGNATURE-…`, `APPROVAL-SUBJECT`, and as [`Means::in_hsm`], `find` and
    /// `act`.
    pub fn gated<S: Subject, B>(
        &self,
        ceremony: &mut Ceremony,
        step: Step,
        find: impl Fn(&Ceremony) -> Result<(S, B)>,
        act: impl FnOnce(&mut Ceremony, &Hsm, S, B) -> Result<Report>,
    ) -> Result<Report> {
        self.token.named()?;
        let subject = find(ceremony)?.0;
        let approved = approval::require(ceremony, &subject)?;
        self.in_hsm(ceremony, step, |ceremony, hsm| {
            let (subject, basis) = find(ceremony)?;
            approved.covers(&subject)?;
            act(ceremony, hsm, subject, basis)
        })
    }

    /// The registry of the local target.
    pub fn registry(&self, ceremony: &Ceremony) -> PathBuf {
        registry(self.registry, &ceremony.dir)
    }
}

/// The registry of the local target: the one that was named, or the one in this folder.
pub fn registry(named: Option<&Path>, dir: &Path) -> PathBuf {
    named.map_or_else(|| dir.join(REGISTRY), Path::to_owned)
}

/// Two commands of one name: another one where `--format` is given.
#[derive(Args)]
pub struct WithFormat<A: Args, B: Args> {
    #[command(flatten)]
    with: Option<B>,
    #[command(flatten)]
    without: A,
}

impl<A: Args + Run, B: Args + Run> Run for WithFormat<A, B> {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        match &self.with {
            Some(command) => command.run(ceremony, means),
            None => self.without.run(ceremony, means),
        }
    }
}

/// What a command says whose step was done before: by which entry, and what.
///
/// # Errors
/// [`Error::Failed`] where the entry can't be shown.
pub fn done_before(plan: &Plan, seq: u64, event: &Event) -> Result<Report> {
    let said = sentence(event, Some(plan), &Sentences::of(Language::English))?;
    Ok(Report::new(
        "This is done already; nothing was done again, and nothing that was given now was taken.",
    )
    .value("entry", seq)
    .value("done", escape(&said)))
}

/// How many keys are worked on at once.
#[derive(Args)]
pub struct Sessions {
    /// How many sessions of the HSM work at once; useful with many keys
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=MOST_SESSIONS as i64))]
    sessions: u8,
}

impl Sessions {
    /// So many.
    pub fn count(&self) -> usize {
        self.sessions.into()
    }
}

/// Words that somebody hears and types; from a file in a rehearsal only. What goes on record
/// meanwhile, the clerk writes.
///
/// # Errors
/// [`Error::Usage`] for a file in production, and as [`words::ask`].
pub fn heard_words(
    (mode, file): (Mode, Option<&Path>),
    prompt: &str,
    hint: WordsHint,
    asker: &Asker,
    clerk: &mut dyn Recorder,
) -> Result<String> {
    match (file, mode) {
        (None, _) => words::ask(asker, prompt, hint, clerk),
        (Some(file), Mode::Rehearsal) => {
            let text = text::decoded(&folder::read_file(file, MAX_WORDS)?);
            text.ok_or_else(|| {
                let what = format!("--words {}: no text", folder::shown(file));
                Error::usage(what, "give a text file with the words, in UTF-8")
            })
        }
        (Some(_), Mode::Production) => Err(Error::usage(
            "--words in production",
            format!(
                "type the words that are read aloud; only a rehearsal ({PLAN_FILE}: mode) takes a file"
            ),
        )),
    }
}

/// A file of one key or node: `ID=FILE`.
///
/// # Errors
/// What was expected.
pub fn file_of(text: &str) -> std::result::Result<(Id, PathBuf), String> {
    let (id, file) = text.split_once('=').ok_or("expected the id, then =, then the file")?;
    Ok((id.parse()?, file.into()))
}
