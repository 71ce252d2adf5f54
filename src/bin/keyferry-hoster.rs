//! The hoster's program: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use ceremony::{
    hoster::{
        acceptance::AcceptanceCheck,
        answer::Answer,
        evidence::EvidenceAdd,
        import::Import,
        kek::{KekCreate, KekDestroy},
        keys::{KeysCreate, KeysDestroy},
        nodes::{Nodes, Retire},
        package::PackageCheck,
        plain::ImportPlain,
        primary::{Primary, Rollback},
        prove::NodeProve,
        register::Register,
    },
    side::archive::Close,
    step::{Run, WithFormat},
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use program::{Common, Shared};
use record::terms::Side;

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
    Import(WithFormat<Import, ImportPlain, true>),
    Register(Register),
    /// What nodes have proven
    #[command(subcommand)]
    Evidence(Evidence),
    Primary(Primary),
    Rollback(Rollback),
    Nodes(Nodes),
    Retire(Retire),
    /// A host that uses the keys through PKCS#11
    #[command(subcommand)]
    Node(Node),
    Close(Close),
}

#[derive(Subcommand)]
enum Kek {
    Create(KekCreate),
    Destroy(KekDestroy),
}

#[derive(Subcommand)]
enum Keys {
    Create(KeysCreate),
    Destroy(KeysDestroy),
}

#[derive(Subcommand)]
enum Acceptance {
    Check(AcceptanceCheck),
}

#[derive(Subcommand)]
enum Package {
    Check(PackageCheck),
}

#[derive(Subcommand)]
enum Evidence {
    Add(EvidenceAdd),
}

#[derive(Subcommand)]
enum Node {
    Prove(NodeProve),
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

fn run(Cli { mut common, registry, command }: Cli) -> ExitCode {
    // What `next` has put together runs with the same registry.
    let again = |arguments: &[OsString]| {
        let program = OsString::from("keyferry-hoster");
        match Cli::try_parse_from(std::iter::once(&program).chain(arguments)) {
            Ok(mut cli) => {
                cli.common.guided = true;
                cli.registry.clone_from(&registry);
                run(cli)
            }
            Err(error) => error.exit(),
        }
    };
    common.registry.clone_from(&registry);
    let step: Box<dyn Run> = match command {
        Command::Kek(Kek::Create(step)) => Box::new(step),
        Command::Kek(Kek::Destroy(step)) => Box::new(step),
        Command::Keys(Keys::Create(step)) => Box::new(step),
        Command::Keys(Keys::Destroy(step)) => Box::new(step),
        Command::Answer(step) => Box::new(step),
        Command::Acceptance(Acceptance::Check(step)) => Box::new(step),
        Command::Package(Package::Check(step)) => Box::new(step),
        Command::Import(step) => Box::new(step),
        Command::Register(step) => Box::new(step),
        Command::Evidence(Evidence::Add(step)) => Box::new(step),
        Command::Primary(step) => Box::new(step),
        Command::Rollback(step) => Box::new(step),
        Command::Nodes(step) => Box::new(step),
        Command::Retire(step) => Box::new(step),
        Command::Close(step) => Box::new(step),
        Command::Node(Node::Prove(node)) => return common.node_prove(&node),
        Command::Shared(command) => return common.shared(Side::Hoster, command, &again),
    };
    common.step(Side::Hoster, &*step)
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
