//! The hoster's program: parse, wire, exit code.

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use keyferry::{
    Error, Result,
    ceremony::Ceremony,
    hoster::{import, kek, package, primary, quorum::Presented},
    phase::Step,
    plan::Side,
    program::{Common, Sessions, Shared},
    side::archive,
    terminal::fail,
};

/// The hoster's side of a key ceremony: a tenant's keys enter its HSM, and become its service's primary keys
#[derive(Parser)]
#[command(version)]
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
    /// The tenant's package
    #[command(subcommand)]
    Package(Package),
    /// Open the seal with a quorum of custodians, and unwrap every key inside the HSM
    Import {
        /// The package/ folder
        package: PathBuf,
        /// A custodian's share file; repeat it, each with its identity. Without any, people are asked
        #[arg(long, value_name = "FILE")]
        share: Vec<PathBuf>,
        /// The identity that opens the share file before it
        #[arg(long, value_name = "FILE")]
        identity: Vec<PathBuf>,
        #[command(flatten)]
        work: Sessions,
    },
    /// Put the key set into the target's registry, with a proof for every node
    Register,
    /// Make the key set primary, with a proof for every node
    Primary,
    /// End the log and write archive/
    Close,
}

#[derive(Subcommand)]
enum Kek {
    /// Make the KEK of this ceremony, and the offer
    Create,
    /// Destroy the KEK once the tenant has accepted, or after an abort, and make the closing
    Destroy {
        /// The acceptance/ folder; after an abort there is none
        acceptance: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Package {
    /// Take the tenant's package, before any custodian travels
    Check {
        /// The package/ folder
        package: PathBuf,
    },
}

/// Gives every identity to the share file before it on the command line.
fn presented(
    matches: &ArgMatches,
    share: Vec<PathBuf>,
    identity: Vec<PathBuf>,
) -> Result<Vec<Presented>> {
    let places = |name: &str| {
        matches
            .indices_of(name)
            .map(Iterator::collect::<Vec<_>>)
            .unwrap_or_default()
    };
    let shares = places("share");
    let mut presented: Vec<Presented> = share
        .into_iter()
        .map(|file| Presented {
            file,
            identity: None,
        })
        .collect();
    for (identity, place) in identity.into_iter().zip(places("identity")) {
        let before = shares.iter().rposition(|share| *share < place);
        match before
            .and_then(|n| presented.get_mut(n))
            .filter(|share| share.identity.is_none())
        {
            Some(share) => share.identity = Some(identity),
            None => {
                return Err(Error::Usage {
                    what: format!(
                        "--identity {} has no share file before it",
                        identity.display()
                    ),
                    remedy: "give each share as --share FILE --identity FILE".into(),
                });
            }
        }
    }
    Ok(presented)
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let Cli {
        common,
        registry,
        command,
    } = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let side = Side::Hoster;
    let registry_of = |ceremony: &Ceremony| {
        registry
            .clone()
            .unwrap_or_else(|| ceremony.dir.join("registry.json"))
    };
    match command {
        Command::Shared(command) => common.shared(side, command),
        Command::Kek(Kek::Create) => {
            common.hsm_step(side, Step::KekCreate, |ceremony, hsm, asker| {
                kek::create(ceremony, hsm, &|text| asker.say(text))
            })
        }
        Command::Package(Package::Check { package }) => common.step(
            side,
            Box::new(move |ceremony, _| package::check(ceremony, &package)),
        ),
        Command::Import {
            package,
            share,
            identity,
            work,
        } => {
            let presented = match presented(
                matches.subcommand_matches("import").unwrap_or(&matches),
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
        Command::Register => common.hsm_step(side, Step::Register, |ceremony, hsm, _| {
            let registry = registry_of(ceremony);
            primary::register(ceremony, hsm, &registry)
        }),
        Command::Primary => common.gated_step(
            side,
            Step::Primary,
            |ceremony| primary::ask(ceremony, &registry_of(ceremony)),
            |ceremony, hsm, _, approved| {
                let registry = registry_of(ceremony);
                primary::primary(ceremony, hsm, approved, &registry)
            },
        ),
        Command::Kek(Kek::Destroy { acceptance }) => common.gated_step(
            side,
            Step::KekDestroy,
            |ceremony| kek::ask_destroy(ceremony, acceptance.as_deref()),
            |ceremony, hsm, _, approved| {
                kek::destroy(ceremony, hsm, approved, acceptance.as_deref())
            },
        ),
        Command::Close => common.step(side, Box::new(|ceremony, _| archive::close(ceremony, None))),
    }
}
