//! The hoster's program: parse, wire, exit code.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use keyferry::{
    ceremony::Ceremony,
    hoster::{
        acceptance, answer,
        attesting::Given,
        evidence, import, kek, keys, nodes, package,
        plain::{self, Brought},
        primary,
        prove::NodeChoice,
        register,
    },
    phase::{Phase, Step},
    plan::{Id, Side},
    program::{Common, Sessions, Shared, presented},
    side::{archive, token::with_token},
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
    /// The tenant's keys, where they are born in this HSM
    #[command(subcommand)]
    Keys(Keys),
    /// Answer the tenant's challenge with the keys that were born in this HSM
    Answer {
        /// The challenge/ folder
        challenge: PathBuf,
    },
    /// The tenant's acceptance of keys that were born in this HSM
    #[command(subcommand)]
    Acceptance(Acceptance),
    /// The tenant's package
    #[command(subcommand)]
    Package(Package),
    /// Open the seal with a quorum of custodians, and unwrap every key inside the HSM; or, with --format pkcs11, keys that another tool has wrapped
    Import {
        /// The package/ folder
        #[arg(required_unless_present = "format", conflicts_with = "format")]
        package: Option<PathBuf>,
        /// Plain wrapped keys (CKM_RSA_AES_KEY_WRAP), where the plan says so
        #[arg(long, value_parser = ["pkcs11"])]
        format: Option<String>,
        /// With --format: the wrapped key of a label
        #[arg(long, value_name = "LABEL=FILE", value_parser = of_label, requires = "format")]
        wrapped: Vec<(Id, PathBuf)>,
        /// With --format: its certificate, DER
        #[arg(long, value_name = "LABEL=FILE", value_parser = of_label, requires = "format")]
        certificate: Vec<(Id, PathBuf)>,
        /// A custodian's share file; repeat it, each with its identity. Without any, people are asked
        #[arg(long, value_name = "FILE")]
        share: Vec<PathBuf>,
        /// The identity that opens the share file before it
        #[arg(long, value_name = "FILE")]
        identity: Vec<PathBuf>,
        #[command(flatten)]
        work: Sessions,
    },
    /// Make the folder that is copied to every node; nothing is primary yet
    Register,
    /// What nodes have proven
    #[command(subcommand)]
    Evidence(Evidence),
    /// Make the keys primary once every node is ready and officers have signed; then, once every node has shown it, the registration
    Primary,
    /// Make the former keys primary again, once officers have signed for it
    Rollback,
    /// Take nodes out of the service, or put other machines in their place, once officers have signed for it
    Nodes {
        /// A node that leaves for good
        #[arg(long, value_name = "NODE")]
        remove: Vec<Id>,
        /// A node whose place another machine takes
        #[arg(long, value_name = "NODE")]
        replace: Vec<Id>,
    },
    /// Show and record that a former key is in this HSM no more
    Retire {
        /// Its certificate
        certificate: PathBuf,
    },
    /// A host that uses the keys through PKCS#11
    #[command(subcommand)]
    Node(Node),
    /// End the log and write archive/
    Close,
}

#[derive(Subcommand)]
enum Kek {
    /// Make the KEK of this ceremony, and the offer
    Create {
        /// Only make it, and stop, so that the vendor's tool can attest it
        #[arg(long, conflicts_with_all = ["attestation", "attestation_report"])]
        prepare: bool,
        /// What the vendor says of the KEK: certificates in PEM, its own first, the root's last; or another form, with a report
        #[arg(long, value_name = "FILE")]
        attestation: Option<PathBuf>,
        /// What the vendor's own tool said of an attestation of another form
        #[arg(long, value_name = "FILE", requires = "attestation")]
        attestation_report: Option<PathBuf>,
    },
    /// Destroy the KEK once the tenant has accepted, or after an abort, and make the closing
    Destroy {
        /// The acceptance/ folder; after an abort there is none
        acceptance: Option<PathBuf>,
        /// How the target keys are backed up here; where the plan says that the tenant then destroys its originals
        #[arg(long, value_name = "TEXT")]
        backup: Option<String>,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Make every key of the plan, and the document that shows them to the tenant
    Create {
        /// Only make them, and stop, so that the vendor's tool can attest them
        #[arg(long, conflicts_with_all = ["attestation", "attestation_report"])]
        prepare: bool,
        /// What the vendor says of a key: certificates in PEM, its own first, the root's last; or another form, with a report
        #[arg(long, value_name = "LABEL=FILE", value_parser = of_label)]
        attestation: Vec<(Id, PathBuf)>,
        /// What the vendor's own tool said of an attestation of another form
        #[arg(long, value_name = "LABEL=FILE", value_parser = of_label)]
        attestation_report: Vec<(Id, PathBuf)>,
    },
    /// After an abort: destroy them, once officers have signed, and make the closing
    Destroy,
}

#[derive(Subcommand)]
enum Acceptance {
    /// Take the acceptance, and make the closing: there is no KEK to destroy
    Check {
        /// The acceptance/ folder
        acceptance: PathBuf,
    },
}

#[derive(Subcommand)]
enum Evidence {
    /// Verify and keep the evidence of nodes
    Add {
        /// NODE-ready.json or NODE-active.json, as each node wrote it
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Node {
    /// On the host itself: sign and answer with the keys, and write the evidence
    Prove {
        /// The copy of the register/ folder
        #[arg(long, value_name = "FOLDER")]
        register: PathBuf,
        /// Which node this is
        #[arg(long, value_name = "NODE")]
        node: Id,
        /// What this machine is called [default: its host name]
        #[arg(long, value_name = "NAME")]
        machine: Option<String>,
        /// The folder that the evidence is written to
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        out: PathBuf,
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

fn of_label(text: &str) -> std::result::Result<(Id, PathBuf), String> {
    let (label, file) = text.split_once('=').ok_or("expected LABEL=FILE")?;
    Ok((label.parse()?, file.into()))
}

/// The registry of the local target, where no other is named.
const REGISTRY: &str = "registry.json";

fn main() -> ExitCode {
    keyferry::hardening::forbid_dumps();
    run(&Cli::command().get_matches(), false)
}

/// Runs a command line; `guided` where `next` has put it together.
fn run(matches: &ArgMatches, guided: bool) -> ExitCode {
    let Cli {
        mut common,
        registry,
        command,
    } = match Cli::from_arg_matches(matches) {
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
    let registry_of = |ceremony: &Ceremony| {
        registry
            .clone()
            .unwrap_or_else(|| ceremony.dir.join(REGISTRY))
    };
    match command {
        Command::Shared(command) => common.shared(side, command, &again),
        Command::Kek(Kek::Create {
            prepare,
            attestation,
            attestation_report,
        }) => {
            let given = Given::of_kek(prepare, attestation, attestation_report);
            common.hsm_step(side, Step::KekCreate, |ceremony, hsm, asker| {
                kek::create(ceremony, hsm, &given?, &|text| asker.progress(text))
            })
        }
        Command::Keys(Keys::Create {
            prepare,
            attestation,
            attestation_report,
        }) => {
            let given = Given {
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
        Command::Acceptance(Acceptance::Check { acceptance }) => common.step(
            side,
            Box::new(move |ceremony, _| acceptance::check(ceremony, &acceptance)),
        ),
        Command::Package(Package::Check { package }) => common.step(
            side,
            Box::new(move |ceremony, _| package::check(ceremony, &package)),
        ),
        Command::Import {
            package: None,
            wrapped,
            certificate,
            ..
        } => {
            let brought = Brought {
                wrapped,
                certificates: certificate,
            };
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
        Command::Import {
            package: Some(package),
            share,
            identity,
            work,
            ..
        } => {
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
        Command::Evidence(Evidence::Add { files }) => common.step(
            side,
            Box::new(move |ceremony, _| evidence::add(ceremony, &files)),
        ),
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
        Command::Node(Node::Prove {
            register,
            node,
            machine,
            out,
        }) => {
            let registry = registry.unwrap_or_else(|| common.dir.join(REGISTRY));
            common.node_prove(NodeChoice {
                register,
                node,
                machine,
                out,
                registry,
            })
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
