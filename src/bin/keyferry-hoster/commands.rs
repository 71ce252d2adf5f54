//! The command line of the hoster's program.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use program::{Common, Sessions, Shared, file_of};
use record::terms::Id;

/// The hoster's side of a key ceremony: a tenant's keys enter its HSM, and become its service's
/// primary keys
#[derive(Parser)]
#[command(name = "keyferry-hoster", version)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    /// The registry of the local target [default: registry.json in the ceremony folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub registry: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
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
    /// Open the seal with a quorum of custodians, and unwrap every key inside the HSM; or, with
    /// --format pkcs11, keys that another tool has wrapped
    Import {
        /// The package/ folder
        #[arg(required_unless_present = "format", conflicts_with = "format")]
        package: Option<PathBuf>,
        /// Plain wrapped keys (CKM_RSA_AES_KEY_WRAP), where the plan says so
        #[arg(long, value_parser = ["pkcs11"])]
        format: Option<String>,
        /// With --format: the wrapped key of a label
        #[arg(long, value_name = "LABEL=FILE", value_parser = file_of, requires = "format")]
        wrapped: Vec<(Id, PathBuf)>,
        /// With --format: its certificate, DER
        #[arg(long, value_name = "LABEL=FILE", value_parser = file_of, requires = "format")]
        certificate: Vec<(Id, PathBuf)>,
        /// A custodian's share file; repeat it, each with its identity. Without any, people are
        /// asked
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
    /// Make the keys primary once every node is ready and officers have signed; then, once every
    /// node has shown it, the registration
    Primary,
    /// Make the former keys primary again, once officers have signed for it
    Rollback,
    /// Take nodes out of the service, or put other machines in their place, once officers have
    /// signed for it
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
pub enum Kek {
    /// Make the KEK of this ceremony, and the offer
    Create {
        /// Only make it, and stop, so that the vendor's tool can attest it
        #[arg(long, conflicts_with_all = ["attestation", "attestation_report"])]
        prepare: bool,
        /// What the vendor says of the KEK: certificates in PEM, its own first, the root's last; or
        /// another form, with a report
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
        /// How the target keys are backed up here; where the plan says that the tenant then
        /// destroys its originals
        #[arg(long, value_name = "TEXT")]
        backup: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum Keys {
    /// Make every key of the plan, and the document that shows them to the tenant
    Create {
        /// Only make them, and stop, so that the vendor's tool can attest them
        #[arg(long, conflicts_with_all = ["attestation", "attestation_report"])]
        prepare: bool,
        /// What the vendor says of a key: certificates in PEM, its own first, the root's last; or
        /// another form, with a report
        #[arg(long, value_name = "LABEL=FILE", value_parser = file_of)]
        attestation: Vec<(Id, PathBuf)>,
        /// What the vendor's own tool said of an attestation of another form
        #[arg(long, value_name = "LABEL=FILE", value_parser = file_of)]
        attestation_report: Vec<(Id, PathBuf)>,
    },
    /// After an abort: destroy them, once officers have signed, and make the closing
    Destroy,
}

#[derive(Subcommand)]
pub enum Acceptance {
    /// Take the acceptance, and make the closing: there is no KEK to destroy
    Check {
        /// The acceptance/ folder
        acceptance: PathBuf,
    },
}

#[derive(Subcommand)]
pub enum Evidence {
    /// Verify and keep the evidence of nodes
    Add {
        /// NODE-ready.json or NODE-active.json, as each node wrote it
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Subcommand)]
pub enum Node {
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
pub enum Package {
    /// Take the tenant's package, before any custodian travels
    Check {
        /// The package/ folder
        package: PathBuf,
    },
}
