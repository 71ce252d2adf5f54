//! The officers' program, on their own machines: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use officer::SigningTask;
use record::{Id, Program};
use terminal::texts::Speech;
use terminal::{fail, give_told, manual};

/// An officer's or a witness's own program: see what is to be signed, and sign it with your SSH key
///
/// Before you trust the program, check it with tools of your own machine: `sha256sum
/// keyferry-officer` gives the hash that stands in the bundle's SHA256SUMS, a list that two release
/// keys sign (VERIFY.txt there says how that is checked) and whose own hash is on paper.
#[derive(Parser)]
#[command(name = "keyferry-officer", version)]
struct Cli {
    #[command(flatten)]
    speech: Speech,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explain files in plain words, before they are signed or believed
    Show {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check, show and sign what waits for you: a file, or a folder with what was copied for you.
    /// Only the .sig files go back
    Sign(Sign),
}

#[derive(Args)]
struct Sign {
    /// Files, or folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Your id in the plan
    #[arg(long = "as", value_name = "ID")]
    id: Id,
    /// Your SSH key, as `ssh-keygen -f` takes it: the private key, or with an agent its .pub
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// Your own copy of the plan, which you keep; without it the folder's, once you have typed its
    /// words from paper
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// In a rehearsal: sign without being asked
    #[arg(long)]
    yes: bool,
}

pub fn command() -> clap::Command {
    manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    let Cli { speech, command } = manual::typed(command());
    speech.begin(Program::Officer, Vec::new());
    let language = speech.language;
    let done = match command {
        Command::Show { files } => {
            let each = |out: &mut Vec<u8>| {
                files.iter().try_for_each(|file| show::show(file, language, out))
            };
            give_told(each).map(|()| ExitCode::SUCCESS)
        }
        Command::Sign(Sign { paths, id, key, plan, yes }) => {
            officer::sign(&SigningTask { paths, id, key, plan, yes, language })
        }
    };
    done.unwrap_or_else(|error| fail(&error))
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
