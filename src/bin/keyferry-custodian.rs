//! The custodians' program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use zeroize::Zeroizing;

use custody::changed;
use custody::codes::{lines, scan};
use custody::custodian::{new_identity, open_share, with_armour};
use custody::share::Share;
use desk::identity::{self, Holder};
use desk::page::PageOptions;
use machine::hardening;
use record::share::MAX_SHARE_FILE;
use record::{Error, Mode, Program, Result, Rule, fingerprint, folder, with_commands};
use terminal::texts::{Speech, said};
use terminal::{Asker, Paper, end, give, manual, show_secret};

/// The least length of a passphrase, in characters.
const LEAST_PASSPHRASE: usize = 12;

/// A custodian's own program: make an identity, check and open the share that it holds
#[derive(Parser)]
#[command(name = "keyferry-custodian", version)]
struct Cli {
    #[command(flatten)]
    speech: Speech,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Your identity: what opens your share
    #[command(subcommand)]
    Identity(Identity),
    /// Your share of the seal
    #[command(subcommand)]
    Share(ShareCommand),
    /// Read pictures of QR codes, and write the files that they carry
    Scan {
        /// PNG or JPEG pictures, in any order
        #[arg(required = true)]
        pictures: Vec<PathBuf>,
        /// A folder for the files
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
}

#[derive(Subcommand)]
enum Identity {
    /// Make an identity; its recipient goes into the plan
    New {
        /// The new identity file
        file: PathBuf,
        /// For rehearsals, or where the medium itself is encrypted
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Make a sheet for the printer: the identity, encrypted with its passphrase, as QR codes and
    /// lines
    Sheet(SheetArgs),
    /// Type, or scan, an identity from its sheet
    Type {
        /// The new identity file
        file: PathBuf,
    },
}

#[derive(Args)]
struct SheetArgs {
    /// The identity file; it has a passphrase
    file: PathBuf,
    /// The new page, HTML
    page: PathBuf,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    look: PageOptions,
}

#[derive(Subcommand)]
enum ShareCommand {
    /// Show the words that prove that you hold the right share; the share itself is not shown
    Check(ShareFiles),
    /// Type, or scan, your share file from its sheet
    Type {
        /// The new share file
        file: PathBuf,
    },
    /// Show your share, to be typed at the import
    Open(ShareFiles),
}

#[derive(Args)]
struct ShareFiles {
    /// Your share file
    file: PathBuf,
    /// Your identity file
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

pub fn command() -> clap::Command {
    manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    hardening::forbid_dumps();
    let Cli { speech, command } = manual::typed(command());
    speech.begin(Program::Custodian, Vec::new());
    // A custodian may be anywhere: passphrases come from a terminal, or in a rehearsal from a pipe.
    let asker = Asker::new(Mode::Rehearsal);
    let done = match command {
        Command::Identity(Identity::New { file, no_passphrase }) => {
            identity_new(&asker, file, no_passphrase)
        }
        Command::Share(ShareCommand::Check(files)) => share_check(&asker, &files),
        Command::Share(ShareCommand::Open(files)) => share_open(&asker, &files),
        Command::Identity(Identity::Type { file }) => type_sheet(&asker, file),
        Command::Identity(Identity::Sheet(sheet)) => identity_sheet(&asker, &sheet),
        Command::Share(ShareCommand::Type { file }) => type_sheet(&asker, file),
        Command::Scan { pictures, to } => {
            scan::scan(&pictures, &to).and_then(|report| give(&report.text()))
        }
    };
    end(false, done)
}

fn identity_new(asker: &Asker, file: PathBuf, no_passphrase: bool) -> Result<()> {
    if file.exists() {
        return Err(folder::exists(&file));
    }
    let passphrase = match no_passphrase {
        true => None,
        false => Some(new_passphrase(asker)?),
    };
    let identity = new_identity(passphrase)?;
    folder::write_new(&file, &identity.file)?;
    give(&identity.recipient)?;
    asker.say(&format!(
        "Your identity is in {}; keep it, and its passphrase, where nobody else can reach them.",
        file.display()
    ));
    asker.say("next: give the line age1… above to whoever writes the plan; it is no secret");
    Ok(())
}

/// Asks until a good passphrase was typed twice; what comes from a pipe has one try.
fn new_passphrase(asker: &Asker) -> Result<Zeroizing<String>> {
    loop {
        match passphrase_typed_twice(asker) {
            Err(error @ Error::Usage { .. }) if asker.is_interactive() => {
                asker.say(&error.to_string())
            }
            other => return other,
        }
    }
}

fn passphrase_typed_twice(asker: &Asker) -> Result<Zeroizing<String>> {
    let passphrase = asker.hidden("New passphrase: ")?;
    if passphrase.chars().count() < LEAST_PASSPHRASE {
        let what = format!("a passphrase needs at least {LEAST_PASSPHRASE} characters");
        return Err(Error::usage(what, "take five or six words that nobody would guess"));
    }
    if *asker.hidden("The same again: ")? != *passphrase {
        return Err(Error::usage("these were two different passphrases", "type it anew"));
    }
    Ok(passphrase)
}

fn identity_sheet(asker: &Asker, sheet: &SheetArgs) -> Result<()> {
    let bytes = folder::read_file(&sheet.file, MAX_SHARE_FILE)?;
    let html = identity::sheet(&bytes, &sheet.holder, sheet.look)?;
    folder::write_new(&sheet.page, html.as_bytes())?;
    asker.say(&format!(
        "The sheet is {}. Print it where nobody keeps a copy, and keep it apart from the passphrase and from the share.",
        sheet.page.display()
    ));
    Ok(())
}

/// Writes the age file that a sheet has in lines and codes.
fn type_sheet(asker: &Asker, file: PathBuf) -> Result<()> {
    if file.exists() {
        return Err(folder::exists(&file));
    }
    let typed = lines::ask(asker, &mut Paper)?;
    folder::write_new(&file, &with_armour(&typed.bytes)?)?;
    asker.say(&format!("It is in {}, as it was before it was printed.", file.display()));
    Ok(())
}

fn opened(asker: &Asker, ShareFiles { file: path, identity }: &ShareFiles) -> Result<Share> {
    let file = folder::read_file(path, MAX_SHARE_FILE)?;
    if changed::as_made(&file)?.is_some_and(|made| made != file) {
        asker.say(&format!(
            "note: {} was changed on the way ({}). It holds the same share, and the import takes it; copy it once more, as a file, if you can.",
            folder::shown(path),
            changed::what(&file)
        ));
    }
    let identity = Zeroizing::new(folder::read_file(identity, MAX_SHARE_FILE)?);
    Ok(open_share(&file, &identity, &|prompt| asker.hidden(prompt))?.share)
}

fn share_check(asker: &Asker, files: &ShareFiles) -> Result<()> {
    let share = opened(asker, files)?;
    asker.say(&format!(
        "This is share {} of {}, of the package {}; any {} of them open it.",
        share.x(),
        share.deal().count,
        share.deal().package_id,
        share.deal().threshold
    ));
    // In rows where somebody reads them aloud from a screen.
    give(&match std::io::stdout().is_terminal() {
        true => fingerprint::rows(&share.code()),
        false => fingerprint::words(&share.code()).join(" "),
    })?;
    asker.say(&with_commands(
        "next: read these words to the tenant's security officer, and to nobody else; they are typed on the tenant's machine, at\n  {tenant share confirm CUSTODIAN}\nthen keep file and identity apart, and bring both to the import",
    ));
    Ok(())
}

fn share_open(asker: &Asker, files: &ShareFiles) -> Result<()> {
    if !std::io::stdout().is_terminal() {
        return Err(Rule::ShareShown.refuse(
            "an output that is no terminal",
            "a terminal that only you can see",
            "run the command on a terminal, without > or |",
        ));
    }
    let share = opened(asker, files)?;
    let record = share.record();
    let mut shown = Zeroizing::new(String::with_capacity(512));
    shown.push_str(&said("Your share; the last group of each line checks it:"));
    shown.push('\n');
    for (n, line) in lines::lines(record.as_slice())?.iter().enumerate() {
        shown.push_str(&format!("  {}. ", n + 1));
        shown.push_str(line);
        shown.push('\n');
    }
    show_secret(asker, &shown)?;
    asker.say(&with_commands(
        "next: type it on the hoster's machine, when `{hoster import PACKAGE}` asks for it",
    ));
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
