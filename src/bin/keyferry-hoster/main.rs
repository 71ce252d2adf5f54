//! The hoster's program: parse, wire, exit code.

#![forbid(unsafe_code)]

mod commands;

use std::{ffi::OsString, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use ceremony::{
    Ceremony,
    hoster::{
        acceptance, answer,
        attesting::GivenAttestations,
        evidence, import, kek, keys, nodes, package,
        plain::{self, Brought},
        primary,
        prove::NodeChoice,
        register,
    },
    side::{archive, token::with_token},
};
use commands::{Acceptance, Cli, Command, Evidence, Kek, Keys, Node, Package};
use program::presented;
use record::{
    flow::Phase,
    terms::{Side, Step},
};
use terminal::fail;

/// The registry of the local target, where no other is named.
const REGISTRY: &str = "registry.json";

fn command() -> clap::Command {
    terminal::manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    machine::hardening::forbid_dumps();
    run(&command().get_matches(), false)
}

/// Runs a command line; `guided` where `next` has put it together.
fn run(matches: &ArgMatches, guided: bool) -> ExitCode {
    let Cli { mut common, registry, command } = match Cli::from_arg_matches(matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    common.guided = guided;
    let again = |arguments: &[OsString]| {
        let mut line = vec![OsString::from("keyferry-hoster")];
        if let Some(registry) = &registry {
            line.extend(["--registry".into(), registry.into()]);
        }
        line.extend_from_slice(arguments);
        match Cli::command().try_get_matches_from(line) {
            Ok(matches) => run(&matches, true),
            Err(error) => error.exit(),
        }
    };
    let side = Side::Hoster;
    let registry_of =
        |ceremony: &Ceremony| registry.clone().unwrap_or_else(|| ceremony.dir.join(REGISTRY));
    match command {
        Command::Shared(command) => common.shared(side, command, &again),
        Command::Kek(Kek::Create { prepare, attestation, attestation_report }) => {
            let given = GivenAttestations::of_kek(prepare, attestation, attestation_report);
            common.hsm_step(side, Step::KekCreate, |ceremony, hsm, asker| {
                kek::create(ceremony, hsm, &given?, &|text| asker.progress(text))
            })
        }
        Command::Keys(Keys::Create { prepare, attestation, attestation_report }) => {
            let given = GivenAttestations {
                prepare,
                attestations: attestation,
                reports: attestation_report,
            };
            common.hsm_step(side, Step::KeysCreate, |ceremony, hsm, asker| {
                keys::create(ceremony, hsm, &given, &|text| asker.progress(text))
            })
        }
        Command::Keys(Keys::Destroy) => common.gated_step(
            side,
            Step::KeysDestroy,
            keys::ask_destroy,
            |ceremony, hsm, _, approved| keys::destroy(ceremony, hsm, approved),
        ),
        Command::Answer { challenge } => {
            let take = |ceremony: &mut Ceremony, asker: &_| {
                let challenge = answer::read_challenge(ceremony, &challenge)?;
                let choice = common.token_choice()?;
                with_token(ceremony, Step::Answer, &choice, asker, |ceremony, hsm| {
                    answer::answer(ceremony, hsm, &challenge)
                })
            };
            common.step(side, Box::new(take))
        }
        Command::Acceptance(Acceptance::Check { acceptance }) => {
            common.step(side, Box::new(move |ceremony, _| acceptance::check(ceremony, &acceptance)))
        }
        Command::Package(Package::Check { package }) => {
            common.step(side, Box::new(move |ceremony, _| package::check(ceremony, &package)))
        }
        Command::Import { package: None, wrapped, certificate, .. } => {
            let brought = Brought { wrapped, certificates: certificate };
            common.gated_step(
                side,
                Step::ImportPlain,
                |ceremony| plain::ask(ceremony, &brought),
                |ceremony, hsm, asker, approved| {
                    let say = |text: &str| asker.progress(text);
                    plain::import(ceremony, hsm, approved, &brought, &say)
                },
            )
        }
        Command::Import { package: Some(package), share, identity, work, .. } => {
            let presented = match presented(
                matches.subcommand_matches("import").unwrap_or(matches),
                share,
                identity,
            ) {
                Ok(presented) => presented,
                Err(error) => return fail(&error),
            };
            common.gated_step(
                side,
                Step::Import,
                |ceremony| import::ask(ceremony, &package),
                |ceremony, hsm, asker, approved| {
                    let work = work.sessions.into();
                    import::import(ceremony, hsm, approved, &package, &presented, work, asker)
                },
            )
        }
        Command::Register => common.step(
            side,
            Box::new(|ceremony, _| register::register(ceremony, &registry_of(ceremony))),
        ),
        Command::Evidence(Evidence::Add { files }) => {
            common.step(side, Box::new(move |ceremony, _| evidence::add(ceremony, &files)))
        }
        Command::Primary => common.step(
            side,
            Box::new(|ceremony, _| {
                if ceremony.state.phase == Phase::Activated {
                    return primary::conclude(ceremony);
                }
                let service = registry_of(ceremony);
                let approved = primary::ask(ceremony, &service)?;
                primary::activate(ceremony, &approved, &service)
            }),
        ),
        Command::Rollback => common.gated(side, primary::ask_rollback, |ceremony, approved| {
            let service = registry_of(ceremony);
            primary::roll_back(ceremony, approved, &service)
        }),
        Command::Nodes { remove, replace } => common.gated(
            side,
            |ceremony| nodes::ask(ceremony, &remove, &replace),
            |ceremony, approved| nodes::change(ceremony, approved, &remove, &replace),
        ),
        Command::Retire { certificate } => {
            common.hsm_step(side, Step::Retire, |ceremony, hsm, _| {
                nodes::retire(ceremony, hsm, &certificate)
            })
        }
        Command::Node(Node::Prove { register, node, machine, out }) => {
            let registry = registry.unwrap_or_else(|| common.dir.join(REGISTRY));
            common.node_prove(NodeChoice { register, node, machine, out, registry })
        }
        Command::Kek(Kek::Destroy { acceptance, backup }) => common.gated_step(
            side,
            Step::KekDestroy,
            |ceremony| kek::ask_destroy(ceremony, acceptance.as_deref(), backup.as_deref()),
            |ceremony, hsm, _, approved| {
                let (acceptance, backup) = (acceptance.as_deref(), backup.as_deref());
                kek::destroy(ceremony, hsm, approved, acceptance, backup)
            },
        ),
        Command::Close => common.step(side, Box::new(|ceremony, _| archive::close(ceremony, None))),
    }
}

#[cfg(test)]
#[path = "../../../tests/manual/mod.rs"]
mod manual_pages;
