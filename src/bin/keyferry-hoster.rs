//! The hoster's program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use ceremony::commands;
use ceremony::hoster::closing::{AcceptanceCheck, KekDestroy, KeysDestroy};
use ceremony::hoster::held::Answer;
use ceremony::hoster::import::{Import, ImportPlain, PackageCheck};
use ceremony::hoster::kek::KekCreate;
use ceremony::hoster::keys::KeysCreate;
use ceremony::hoster::nodes::{EvidenceAdd, Nodes, Retire};
use ceremony::hoster::primary::{Primary, Register, Rollback};
use ceremony::hoster::prove::NodeProve;
use ceremony::side::archive::Close;
use ceremony::step::WithFormat;
use clap::{CommandFactory, Parser, Subcommand};
use program::{Common, Program, Shared, Task};
use record::Side;

/// The hoster's side of a key ceremony: a tenant's keys enter its HSM, and become its service's
/// primary keys
#[derive(Parser)]
#[command(name = "keyferry-hoster", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// The registry of the local target [default: registry.json in the ceremony folder]
    #[arg(long, global = true, value_name = "FILE")]
    registry: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Shared(Shared),
    #[command(flatten)]
    Step(Step),
    /// A host that uses the keys through PKCS#11
    #[command(subcommand)]
    Node(Node),
    Close(Close),
}

#[derive(Subcommand)]
enum Node {
    Prove(NodeProve),
}

commands! {
    Step {
        /// The key-encryption key
        #[command(subcommand)]
        Kek(Kek),
        /// The tenant's keys, where they are born in this HSM
        #[command(subcommand)]
        Keys(Keys),
        Answer(Answer),
        /// The tenant's acceptance of keys that were born in this HSM
        #[command(subcommand)]
        Acceptance(Acceptance),
        /// The tenant's package
        #[command(subcommand)]
        Package(Package),
        /// Open the seal with a quorum of custodians, and unwrap every key inside the HSM; or, with
        /// --format pkcs11, keys that another tool has wrapped
        Import(WithFormat<Import, ImportPlain>),
        Register(Register),
        /// What nodes have proven
        #[command(subcommand)]
        Evidence(Evidence),
        Primary(Primary),
        Rollback(Rollback),
        Nodes(Nodes),
        Retire(Retire),
    }
    Kek { Create(KekCreate), Destroy(KekDestroy), }
    Keys { Create(KeysCreate), Destroy(KeysDestroy), }
    Acceptance { Check(AcceptanceCheck), }
    Package { Check(PackageCheck), }
    Evidence { Add(EvidenceAdd), }
}

impl Program for Cli {
    const SIDE: Side = Side::Hoster;

    fn task(self) -> (Common, Task) {
        let common = Common { registry: self.registry, ..self.common };
        let task = match self.command {
            Command::Shared(command) => Task::Shared(command),
            Command::Step(step) => Task::Step(Box::new(step)),
            Command::Close(step) => Task::Step(Box::new(step)),
            Command::Node(Node::Prove(node)) => Task::NodeProve(node),
        };
        (common, task)
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
