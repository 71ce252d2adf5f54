//! What lies where in a ceremony folder, and the head that people sign when it is closed.

use crate::signature::signer_of;
use crate::{FORMAT, Hash, Head, Id, Kind, PLAN_FILE, Plan, Side, Stage, strict_json};

/// The file name of the log in a ceremony folder.
pub const LOG_FILE: &str = "log.jsonl";

/// What people sign at the end.
pub const HEAD_FILE: &str = "head.json";

/// What officers and witnesses sign at the end, `head.json`.
#[strict_json]
pub struct ClosedHead {
    /// [`FORMAT`].
    pub format: String,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Whose log it is.
    pub side: Side,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// How many entries the log has.
    pub count: u64,
    /// SHA-256 of the last one's line.
    pub head: Hash,
}

impl ClosedHead {
    /// What is signed of a log of this plan that ends here.
    pub fn new(plan: &Plan, side: Side, head: Head) -> Self {
        ClosedHead {
            format: FORMAT.to_owned(),
            ceremony: plan.ceremony.clone(),
            side,
            plan_hash: plan.hash(),
            count: head.seq,
            head: head.hash,
        }
    }
}

/// The folder of documents of this side.
pub const OUTBOX: &str = "outbox";

/// The folder of documents of the other side.
pub const INBOX: &str = "inbox";

/// The folder of requests, in a ceremony folder.
pub const APPROVALS: &str = "approvals";

/// The folder of certificates of the tenant's keys.
pub const KEYS: &str = "keys";

/// The folder of pages that were printed.
pub const PAPER: &str = "paper";

/// The registry of the local target, where no other is named.
pub const REGISTRY: &str = "registry.json";

/// The folder of share files, in the outbox.
pub const SHARES: &str = "shares";

/// Where the documents of attempts that were given up lie, in outbox or inbox.
pub fn attempt_folder(attempt: u32) -> String {
    format!("attempt-{attempt}")
}

/// The number in the name of a folder of documents that were given up.
pub fn attempt_of(name: &str) -> Option<u32> {
    numbered("attempt", name)
}

/// The folder of the files of the n-th export for a cloud service, in the outbox.
pub fn cloud_folder(export: u32) -> String {
    format!("cloud-{export}")
}

/// The name under which a node's evidence is kept.
pub fn evidence_name(node: &Id, stage: Stage, evidence: Hash) -> String {
    format!("{node}-{}-{}.json", stage.name(), &evidence.to_string()[..16])
}

fn numbered(what: &str, name: &str) -> Option<u32> {
    let number = name.strip_prefix(what)?.strip_prefix('-')?;
    number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
}

/// The folder that `close` makes.
pub const ARCHIVE: &str = "archive";

/// The folder of an archive: a later close, after the service has changed, makes another one.
pub fn archive_name(closes: u32) -> String {
    match closes {
        0 | 1 => ARCHIVE.to_owned(),
        later => format!("{ARCHIVE}-{later}"),
    }
}

/// The name of a side's own log in its archive.
pub fn archived_log(side: Side) -> String {
    format!("{side}.{LOG_FILE}")
}

/// The list of hashes of an archive or of a register folder.
pub const SUMS: &str = "SHA256SUMS";

/// The list of hashes of these files, as `sha256sum` writes and checks it.
pub fn sums(files: &[(String, Vec<u8>)]) -> String {
    files.iter().map(|(name, bytes)| sums_line(name, Hash::of(bytes))).collect()
}

/// The line of one file.
pub fn sums_line(name: &str, hash: Hash) -> String {
    format!("{hash}  {name}\n")
}

/// The folder that is copied to every node.
pub const REGISTER: &str = "register";

/// The folder of evidence, byte for byte as it came.
pub const EVIDENCE: &str = "evidence";

/// What lies at a place of a ceremony folder, or of a folder of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Plan, log, documents and requests: each is verified wherever it lies.
    Record,
    /// A folder whose entries have each their own place.
    Folder,
    /// The folder that is copied to every node, which lists its files.
    Register,
    /// A file whose name and SHA-256 follow from an entry of the log.
    Logged,
    /// What `close` made.
    Archive,
    /// The registry, which belongs to the service.
    Registry,
    /// Nothing reads it; and why.
    Unread(&'static str),
}

/// What lies at this place of a ceremony folder of a side, below folders only.
pub fn in_ceremony(side: Side, place: &[&str]) -> Content {
    let own = |kind: &str| Some(kind.parse::<Kind>().ok()?.side() == side);
    let dealt = |name: &str| name == SHARES || numbered("cloud", name).is_some();
    match place {
        [.., name] if name.starts_with('.') => Content::Unread(DRAFT),
        [PLAN_FILE | LOG_FILE | APPROVALS] => Content::Record,
        [name] if signer_of(name, PLAN_FILE).is_some() => Content::Record,
        [OUTBOX | INBOX | EVIDENCE | KEYS] => Content::Folder,
        [REGISTER] => Content::Register,
        [REGISTRY] => Content::Registry,
        [PAPER] => Content::Unread("pages that were printed for people"),
        [name] if *name == ARCHIVE || numbered(ARCHIVE, name).is_some() => Content::Archive,
        [OUTBOX | INBOX, name] if attempt_of(name).is_some() => Content::Folder,
        [folder @ (OUTBOX | INBOX), .., kind] if own(kind) == Some(*folder == OUTBOX) => {
            Content::Record
        }
        [OUTBOX, .., name] if dealt(name) => Content::Folder,
        [EVIDENCE | KEYS, _] => Content::Logged,
        [OUTBOX, .., folder, _] if dealt(folder) => Content::Logged,
        _ => FOREIGN,
    }
}

/// The same, of a folder of documents.
pub fn in_documents(place: &[&str]) -> Content {
    match place {
        [.., name] if name.starts_with('.') => Content::Unread(DRAFT),
        [PLAN_FILE] => Content::Record,
        [name] if signer_of(name, PLAN_FILE).is_some() => Content::Record,
        [name] if attempt_of(name).is_some() => Content::Folder,
        [.., kind] if kind.parse::<Kind>().is_ok() => Content::Record,
        _ => FOREIGN,
    }
}

/// What a hidden name is.
pub const DRAFT: &str = "a draft: its name is hidden until it is whole";
const FOREIGN: Content = Content::Unread("it has no place in the record");
