//! What crosses between the sides: offer and package, or keys and challenge; then receipt,
//! registration, acceptance, closing. A document is one JSON file and the files it lists, in a flat
//! folder with a closed list of names; what is hashed and signed are its bytes as they lie there
//! (design, section 5).

/// Hands every kind of document to a macro, with where lies what it says: the one list of them.
macro_rules! each_kind {
    ($then:ident; $($before:tt)*) => {
        $then! {
            $($before)*
            Offer: offer::Offer,
            Package: package::Package,
            Keys: keys::TargetKeys,
            Challenge: challenge::Challenge,
            Receipt: receipt::Receipt,
            Registration: registration::Registration,
            Acceptance: acceptance::Acceptance,
            Closing: closing::Closing,
        }
    };
}
pub(crate) use each_kind;

/// An expression in which a name stands for what a document of this kind says.
macro_rules! of_kind {
    ($kind:expr, $Body:ident => $does:expr) => {
        $crate::document::each_kind! { of_kind; @ $kind, $Body, $does; }
    };
    (@ $kind:expr, $Body:ident, $does:expr; $($Kind:ident: $module:ident::$Says:ident,)+) => {
        match $kind {
            $($crate::terms::Kind::$Kind => {
                type $Body = $crate::document::$module::$Says;
                $does
            })+
        }
    };
}

pub mod acceptance;
pub mod attestation;
pub mod challenge;
pub mod closing;
mod files;
pub mod held_key;
pub mod keys;
pub mod offer;
pub mod package;
mod reading;
pub mod receipt;
pub mod registration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    FORMAT, Fits, Hash, Head, Id, Kind, Listed, Mode, Plan, Side, TransferRoute, ensure,
    strict_json,
};
pub use reading::{Received, Released, header_by_kind, header_of, read, read_files, read_to_sign};

/// The greatest size of a document, in bytes.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// What every document says first.
#[strict_json]
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

/// Files by their names, or by how those end, after `.` or `-`; each with its greatest size.
pub type Beside = &'static [(&'static str, u64)];

/// What a kind of document says.
pub trait Body: Serialize + DeserializeOwned + 'static {
    /// Which kind it is.
    const KIND: Kind;

    /// The files that may lie beside it alone.
    const BESIDE: Beside = &[];

    /// Whether one of them may be of a document of this plan.
    fn belongs(_name: &str, _plan: &Plan) -> bool {
        true
    }

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
    fn check(&self, header: &Header, plan: &Plan) -> Fits;
}

/// A document as its file has it.
#[strict_json]
pub struct Document<B: ?Sized> {
    /// What every document says first.
    pub header: Header,
    /// What this kind says.
    pub body: B,
}

/// A KEK is named where there was one, and only there.
///
/// # Errors
/// What was found and what was expected.
pub fn check_kek(kek: Option<Hash>, plan: &Plan) -> Fits {
    let needed = matches!(plan.way, TransferRoute::Carried | TransferRoute::Brought);
    match kek {
        Some(kek) => ensure(needed, format!("the KEK {kek}"), "none: there was no KEK"),
        None => ensure(!needed, "no KEK", "the KEK of this ceremony"),
    }
}
