//! The tenant's program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use ceremony::commands;
use ceremony::side::archive::CloseWith;
use ceremony::step::WithFormat;
use ceremony::tenant::accept::{Accept, ReceiptCheck};
use ceremony::tenant::export::{CloudExport, Export};
use ceremony::tenant::heard::{KeysCheck, OfferCheck};
use ceremony::tenant::keys::KeysCreate;
use ceremony::tenant::shares::{ShareConfirm, ShareReissue};
use ceremony::tenant::source::SourceDestroy;
use ceremony::tenant::trust::KekTrust;
use program::{Common, Program, Shared, Task};
use record::Side;

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
    #[command(flatten)]
    Step(Step),
}

commands! {
    Step {
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
        Export(WithFormat<Export, CloudExport>),
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
    Offer { Check(OfferCheck), }
    Kek { Trust(KekTrust), }
    Keys { Create(KeysCreate), Check(KeysCheck), }
    Share { Confirm(ShareConfirm), Reissue(ShareReissue), }
    Receipt { Check(ReceiptCheck), }
    Source { Destroy(SourceDestroy), }
}

impl Program for Cli {
    const SIDE: Side = Side::Tenant;

    fn task(self) -> (Common, Task) {
        let task = match self.command {
            Command::Shared(command) => Task::Shared(command),
            Command::Step(step) => Task::Step(Box::new(step)),
        };
        (self.common, task)
    }
}

pub fn command() -> clap::Command {
    terminal::manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    machine::hardening::forbid_dumps();
    program::run::<Cli>(&terminal::manual::matches(command()))
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
