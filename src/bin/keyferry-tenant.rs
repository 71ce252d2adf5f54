//! The tenant's program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use ceremony::{
    side::{
        archive,
        token::{TokenChoice, with_officer},
    },
    tenant::{
        accept, born, cloud, export, keys, metadata::FetchedMetadata, offer, receipt, shares,
        source, trust,
    },
};
use program::{Common, Sessions, Shared, WordsSource, file_of, words_heard};
use record::{
    Result,
    fingerprint::{self, WORDS_TYPED},
    share::CODE_WORDS,
    terms::{CloudFormat, Id, Side, Step},
};

/// The tenant's side of a key ceremony: its keys leave its HSM wrapped for the hoster's, sealed
/// under shares
#[derive(Parser)]
#[command(name = "keyferry-tenant", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Shared(Shared),
    /// The hoster's offer
    #[command(subcommand)]
    Offer(Offer),
    /// The hoster's KEK in the tenant's HSM
    #[command(subcommand)]
    Kek(Kek),
    /// The target keys
    #[command(subcommand)]
    Keys(Keys),
    /// Wrap and seal every key, and deal the shares; or, with --format, wrap every key for a cloud
    /// service
    Export {
        #[command(flatten)]
        work: Sessions,
        /// The cloud service of the plan: azure-byok, aws-kms or gcp-kms
        #[arg(long, value_name = "FORMAT", value_parser = of_cloud, requires = "kek")]
        format: Option<CloudFormat>,
        /// With --format: the service's wrapping key, PEM or DER
        #[arg(long, value_name = "FILE", requires = "format")]
        kek: Option<PathBuf>,
        /// With azure-byok: the key identifier of the KEK, a URL
        #[arg(long, value_name = "URL", requires = "format")]
        kid: Option<String>,
    },
    /// The custodians' shares
    #[command(subcommand)]
    Share(Share),
    /// The hoster's receipt
    #[command(subcommand)]
    Receipt(Receipt),
    /// Verify that the keys are primary, and accept
    Accept {
        /// The registration/ folder
        registration: PathBuf,
        /// What a node of Windows Host Guardian Service publishes: its metadata.xml
        #[arg(long, value_name = "NODE=FILE", value_parser = file_of)]
        metadata: Vec<(Id, PathBuf)>,
        /// With --metadata: who fetched the files, by their id in the plan
        #[arg(long, value_name = "ID")]
        fetched_by: Option<Id>,
        /// With --metadata: where in the network they were fetched
        #[arg(long, value_name = "TEXT")]
        fetched_from: Option<String>,
    },
    /// The originals of the target keys
    #[command(subcommand)]
    Source(Source),
    /// Take the hoster's closing, end the log and write archive/
    Close {
        /// The closing/ folder; after an abort there may be none, after `source destroy` it is here
        closing: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Source {
    /// Destroy them, where the plan says so, once the hoster has said how it has backed the keys up
    /// and officers have signed
    Destroy {
        /// The closing/ folder
        closing: PathBuf,
    },
}

#[derive(Subcommand)]
enum Offer {
    /// Take the hoster's KEK by the words that are read aloud
    Check {
        /// The offer/ folder
        offer: PathBuf,
        /// In a rehearsal: the file that holds the words heard
        #[arg(long, value_name = "FILE")]
        words: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Kek {
    /// Make the KEK trusted, with the PIN of the HSM's security officer
    Trust {
        /// In a rehearsal: the file that holds the security officer's PIN
        #[arg(long, value_name = "FILE")]
        so_pin_file: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Make the keys of the plan that do not exist yet
    Create {
        /// A key that exists: LABEL=FILE, its self-signed certificate or its public key
        #[arg(long, value_name = "LABEL=FILE", value_parser = file_of)]
        existing: Vec<(Id, PathBuf)>,
    },
    /// Take keys that were born in the hoster's HSM by the words that are read aloud, and make the
    /// challenge
    Check {
        /// The keys/ folder
        keys: PathBuf,
        /// In a rehearsal: the file that holds the words heard
        #[arg(long, value_name = "FILE")]
        words: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Share {
    /// Take the words that a custodian's own program shows
    Confirm {
        /// The custodian's id
        custodian: String,
        /// It is the custodian's deputy who confirms
        #[arg(long)]
        deputy: bool,
        /// In a rehearsal: the file that holds the words
        #[arg(long, value_name = "FILE")]
        words: Option<PathBuf>,
    },
    /// Write a custodian's share file again
    Reissue {
        /// The custodian's id
        custodian: String,
        /// The new file
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Subcommand)]
enum Receipt {
    /// Verify that the hoster's HSM holds the keys
    Check {
        /// The receipt/ folder
        receipt: PathBuf,
    },
}

fn of_cloud(text: &str) -> std::result::Result<CloudFormat, String> {
    let found = CloudFormat::ALL.into_iter().find(|format| format.name() == text);
    found.ok_or_else(|| "expected azure-byok, aws-kms or gcp-kms".into())
}

fn command() -> clap::Command {
    terminal::manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    machine::hardening::forbid_dumps();
    match Cli::from_arg_matches(&command().get_matches()) {
        Ok(cli) => run(cli),
        Err(error) => error.exit(),
    }
}

/// Runs a command that `next` has put together.
fn again(arguments: &[OsString]) -> ExitCode {
    let program = OsString::from("keyferry-tenant");
    match Cli::try_parse_from(std::iter::once(&program).chain(arguments)) {
        Ok(mut cli) => {
            cli.common.guided = true;
            run(cli)
        }
        Err(error) => error.exit(),
    }
}

fn run(Cli { common, command }: Cli) -> ExitCode {
    let side = Side::Tenant;
    let words_of = |ceremony: &ceremony::Ceremony,
                    asker: &_,
                    file: &Option<PathBuf>,
                    prompt: &str,
                    heard: WordsSource|
     -> Result<String> {
        words_heard(ceremony.plan.mode, asker, file.as_deref(), prompt, heard)
    };
    match command {
        Command::Shared(command) => common.shared(side, command, &again),
        Command::Offer(Offer::Check { offer, words }) => common.step(
            side,
            Box::new(move |ceremony, asker| {
                let offer = offer::read(ceremony, &offer)?;
                let right = offer.body().fingerprint;
                let heard = WordsSource::Known(&fingerprint::words(&right.0)[..WORDS_TYPED]);
                let typed = words_of(ceremony, asker, &words, &offer::words_prompt(), heard)?;
                offer::check(ceremony, offer, &typed)
            }),
        ),
        Command::Kek(Kek::Trust { so_pin_file }) => common.step(
            side,
            Box::new(|ceremony, asker| {
                trust::require(ceremony)?;
                let choice = TokenChoice { pin_file: so_pin_file, ..common.token_choice()? };
                with_officer(ceremony, Step::KekTrust, &choice, asker, trust::trust)
            }),
        ),
        Command::Keys(Keys::Create { existing }) => {
            let existing: Vec<_> =
                existing.into_iter().map(|(label, file)| keys::Existing { label, file }).collect();
            common.hsm_step(side, Step::KeysCreate, |ceremony, hsm, _| {
                keys::create(ceremony, hsm, &existing)
            })
        }
        Command::Keys(Keys::Check { keys, words }) => common.step(
            side,
            Box::new(move |ceremony, asker| {
                let keys = born::read(ceremony, &keys)?;
                let right = keys.body().fingerprint;
                let heard = WordsSource::Known(&fingerprint::words(&right.0)[..WORDS_TYPED]);
                let typed = words_of(ceremony, asker, &words, &born::words_prompt(), heard)?;
                born::check(ceremony, keys, &typed)
            }),
        ),
        Command::Export { format: Some(format), kek: Some(kek), kid, .. } => {
            let order = cloud::CloudOrder { format, kek, kid };
            common.gated_step(
                side,
                Step::CloudExport,
                |ceremony| cloud::ask(ceremony, &order),
                |ceremony, hsm, asker, approved| {
                    let say = |text: &str| asker.progress(text);
                    cloud::export(ceremony, hsm, approved, &order, &say)
                },
            )
        }
        Command::Export { work, .. } => {
            common.gated_step(side, Step::Export, export::ask, |ceremony, hsm, asker, approved| {
                let say = |text: &str| asker.progress(text);
                export::export(ceremony, hsm, approved, work.sessions.into(), &say)
            })
        }
        Command::Share(Share::Confirm { custodian, deputy, words }) => common.step(
            side,
            Box::new(move |ceremony, asker| {
                let prompt = shares::words_prompt(ceremony, &custodian)?;
                let heard = WordsSource::Unknown(CODE_WORDS);
                let typed = words_of(ceremony, asker, &words, &prompt, heard)?;
                shares::confirm(ceremony, &custodian, &typed, deputy)
            }),
        ),
        Command::Share(Share::Reissue { custodian, to }) => common
            .step(side, Box::new(move |ceremony, _| shares::reissue(ceremony, &custodian, &to))),
        Command::Receipt(Receipt::Check { receipt }) => {
            common.step(side, Box::new(move |ceremony, _| receipt::check(ceremony, &receipt)))
        }
        Command::Accept { registration, metadata, fetched_by, fetched_from } => common.step(
            side,
            Box::new(move |ceremony, _| {
                let asked = FetchedMetadata { files: metadata, by: fetched_by, from: fetched_from };
                accept::accept(ceremony, &registration, &asked)
            }),
        ),
        Command::Source(Source::Destroy { closing }) => common.gated_step(
            side,
            Step::SourceDestroy,
            |ceremony| source::ask(ceremony, &closing),
            |ceremony, hsm, _, approved| source::destroy(ceremony, hsm, approved, &closing),
        ),
        Command::Close { closing } => common
            .step(side, Box::new(move |ceremony, _| archive::close(ceremony, closing.as_deref()))),
    }
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
