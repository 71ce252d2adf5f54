//! Documents by name, and files as they are listed.

use crate::encoding::Hash;
use crate::strict_json;
use crate::terms::{Side, Step, TransferRoute};

/// The format of plans, documents and logs.
pub const FORMAT: &str = "keyferry/1";

named! {
    /// The kinds of document, in the order in which they cross.
    pub enum Kind {
        /// The hoster's KEK.
        Offer = "offer",
        /// The tenant's keys, wrapped and sealed.
        Package = "package",
        /// Keys that were born at the hoster.
        Keys = "keys",
        /// The tenant has taken them, and asks for proofs.
        Challenge = "challenge",
        /// The hoster's HSM proves that it holds them.
        Receipt = "receipt",
        /// They are primary.
        Registration = "registration",
        /// The tenant has checked that.
        Acceptance = "acceptance",
        /// The KEK is gone.
        Closing = "closing",
    }
}

impl Kind {
    /// The name of the document in its folder.
    pub fn file(self) -> String {
        format!("{}.json", self.name())
    }

    /// Who makes it, by which steps, and the ways of keys on which it crosses.
    const fn facts(self) -> (Side, &'static [Step], &'static [TransferRoute]) {
        use Side::{Hoster, Tenant};
        use TransferRoute::{Born, Brought, Carried};
        const ALL: &[TransferRoute] = &[Carried, Born, Brought];
        const CLOSING: &[Step] = &[Step::KekDestroy, Step::AcceptanceCheck, Step::KeysDestroy];
        match self {
            Kind::Offer => (Hoster, &[Step::KekCreate], &[Carried, Brought]),
            Kind::Package => (Tenant, &[Step::Export], &[Carried]),
            Kind::Keys => (Hoster, &[Step::KeysCreate, Step::ImportPlain], &[Born, Brought]),
            Kind::Challenge => (Tenant, &[Step::KeysCheck], &[Born, Brought]),
            Kind::Receipt => (Hoster, &[Step::Import, Step::Answer], ALL),
            Kind::Registration => (Hoster, &[Step::Registration], ALL),
            Kind::Acceptance => (Tenant, &[Step::Accept], ALL),
            Kind::Closing => (Hoster, CLOSING, ALL),
        }
    }

    /// Whether this step makes it.
    pub fn is_made_by(self, step: Step) -> bool {
        self.facts().1.contains(&step)
    }

    /// The side that makes it.
    pub const fn side(self) -> Side {
        self.facts().0
    }

    /// Whether a ceremony in which keys go this way has it.
    pub fn crosses(self, way: TransferRoute) -> bool {
        self.facts().2.contains(&way)
    }

    /// The document that it answers: the one before it.
    pub fn answers(self, way: TransferRoute) -> Option<Kind> {
        let mut before = Kind::ALL.into_iter().rev().filter(|kind| *kind < self);
        before.find(|kind| kind.crosses(way))
    }
}

/// A file that a document lists.
#[strict_json]
pub struct Listed {
    /// SHA-256 of the file.
    pub hash: Hash,
    /// Its length in bytes.
    pub length: u64,
}

impl Listed {
    /// The listing of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Listed { hash: Hash::of(bytes), length: bytes.len() as u64 }
    }
}

/// A place in a log: everything up to and including entry `seq`.
#[strict_json]
#[derive(Copy)]
pub struct Head {
    /// The number of the entry, from 1.
    pub seq: u64,
    /// SHA-256 of its line with its LF.
    pub hash: Hash,
}
