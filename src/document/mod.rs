//! What crosses between the sides: offer and package, or keys and challenge; then receipt,
//! registration, acceptance, closing. A document is one JSON file and the files it lists, in a flat
//! folder with a closed list of names; what is hashed and signed are its bytes as they lie there
//! (design, section 5).

pub mod acceptance;
pub mod attestation;
pub mod challenge;
pub mod closing;
mod files;
pub mod held_key;
pub mod key_set;
pub mod keys;
pub mod offer;
pub mod package;
pub mod parts;
mod reading;
pub mod receipt;
pub mod registration;

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    encoding::Hash,
    log::Head,
    plan::{Id, Mode, Plan, Side, Way},
};
pub use reading::{Received, Released, header_of, read, read_files};

/// The greatest size of a document, in bytes.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// The format of plans, documents and logs.
pub const FORMAT: &str = "keyferry/1";

/// The kinds of document, in the order in which they cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The hoster's KEK.
    Offer,
    /// The tenant's keys, wrapped and sealed.
    Package,
    /// Keys that were born at the hoster.
    Keys,
    /// The tenant has taken them, and asks for proofs.
    Challenge,
    /// The hoster's HSM proves that it holds them.
    Receipt,
    /// They are primary.
    Registration,
    /// The tenant has checked that.
    Acceptance,
    /// The KEK is gone.
    Closing,
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

impl Kind {
    /// Every kind; those that one ceremony has are in the order in which they cross.
    pub const ALL: [Kind; 8] = [
        Kind::Offer,
        Kind::Package,
        Kind::Keys,
        Kind::Challenge,
        Kind::Receipt,
        Kind::Registration,
        Kind::Acceptance,
        Kind::Closing,
    ];

    /// The name of the document's folder.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Offer => "offer",
            Kind::Package => "package",
            Kind::Keys => "keys",
            Kind::Challenge => "challenge",
            Kind::Receipt => "receipt",
            Kind::Registration => "registration",
            Kind::Acceptance => "acceptance",
            Kind::Closing => "closing",
        }
    }

    /// The name of the document in its folder.
    pub fn file(self) -> String {
        format!("{}.json", self.name())
    }

    /// The side that makes it.
    pub fn side(self) -> Side {
        match self {
            Kind::Package | Kind::Challenge | Kind::Acceptance => Side::Tenant,
            _ => Side::Hoster,
        }
    }

    /// Whether a ceremony in which keys go this way has it.
    pub fn crosses(self, way: Way) -> bool {
        match self {
            Kind::Offer => matches!(way, Way::Carried | Way::Brought),
            Kind::Package => way == Way::Carried,
            Kind::Keys | Kind::Challenge => way.is_challenged(),
            _ => way != Way::Cloud,
        }
    }

    /// The document that it answers: the one before it.
    pub fn answers(self, way: Way) -> Option<Kind> {
        let mut before = Kind::ALL.into_iter().rev().filter(|kind| *kind < self);
        before.find(|kind| kind.crosses(way))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What every document says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The kind.
    pub document: Kind,
    /// The side that made it.
    pub side: Side,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Rehearsal or production.
    pub mode: Mode,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// The sender's attempt.
    pub attempt: u32,
    /// SHA-256 of the document that this one answers; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Hash>,
    /// The sender's log, up to the intent of the step that made this document.
    pub head: Head,
}

impl Header {
    /// The header of a document of this plan.
    pub fn new(plan: &Plan, kind: Kind, attempt: u32, answers: Option<Hash>, head: Head) -> Self {
        Header {
            format: FORMAT.to_owned(),
            document: kind,
            side: kind.side(),
            ceremony: plan.ceremony.clone(),
            mode: plan.mode,
            plan_hash: plan.hash(),
            attempt,
            answers,
            head,
        }
    }
}

/// A file that a document lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// What a kind of document says.
pub trait Body: Serialize + DeserializeOwned {
    /// Which kind it is.
    const KIND: Kind;

    /// The files that it lists, by name.
    fn files(&self) -> Vec<(String, Listed)>;

    /// The names of files that lie beside it unlisted, because they sign it: only the package has
    /// any.
    fn seals(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it says what the plan, its header and its own parts allow.
    ///
    /// # Errors
    /// What it says and what it should say.
    fn check(&self, header: &Header, plan: &Plan) -> Result<(), (String, String)>;
}

/// A document as its file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document<B> {
    /// What every document says first.
    pub header: Header,
    /// What this kind says.
    pub body: B,
}

impl<B: Body> Document<B> {
    /// The bytes that are hashed, signed and sent.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] where it can't be encoded.
    pub fn bytes(&self) -> crate::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| {
            crate::Error::failed(format!("the {}: {error}", B::KIND), "report this as a defect")
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
