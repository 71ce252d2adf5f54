//! The tenant's program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use ceremony::{
    side::archive::CloseWith,
    step::{Run, WithFormat},
    tenant::{
        accept::Accept,
        born::KeysCheck,
        cloud::CloudExport,
        export::Export,
        keys::KeysCreate,
        offer::OfferCheck,
        receipt::ReceiptCheck,
        shares::{ShareConfirm, ShareReissue},
        source::SourceDestroy,
        trust::KekTrust,
    },
};
use program::{Common, Shared};
use record::terms::Side;

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
    Export(WithFormat<Export, CloudExport, false>),
    /// The custodians' shares
    #[command(subcommand)]
    Share(Share),
    /// The hoster's receipt
    #[command(subcommand)]
    Receipt(Receipt),
    Accept(Accept),
    /// The originals of the target keys
    #[command(subcommand)]
    Source(Source),
    Close(CloseWith),
}

#[derive(Subcommand)]
enum Offer {
    Check(OfferCheck),
}

#[derive(Subcommand)]
enum Kek {
    Trust(KekTrust),
}

#[derive(Subcommand)]
enum Keys {
    Create(KeysCreate),
    Check(KeysCheck),
}

#[derive(Subcommand)]
enum Share {
    Confirm(ShareConfirm),
    Reissue(ShareReissue),
}

#[derive(Subcommand)]
enum Receipt {
    Check(ReceiptCheck),
}

#[derive(Subcommand)]
enum Source {
    Destroy(SourceDestroy),
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
    let step: Box<dyn Run> = match command {
        Command::Offer(Offer::Check(step)) => Box::new(step),
        Command::Kek(Kek::Trust(step)) => Box::new(step),
        Command::Keys(Keys::Create(step)) => Box::new(step),
        Command::Keys(Keys::Check(step)) => Box::new(step),
        Command::Export(step) => Box::new(step),
        Command::Share(Share::Confirm(step)) => Box::new(step),
        Command::Share(Share::Reissue(step)) => Box::new(step),
        Command::Receipt(Receipt::Check(step)) => Box::new(step),
        Command::Accept(step) => Box::new(step),
        Command::Source(Source::Destroy(step)) => Box::new(step),
        Command::Close(step) => Box::new(step),
        Command::Shared(command) => return common.shared(Side::Tenant, command, &again),
    };
    common.step(Side::Tenant, &*step)
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
