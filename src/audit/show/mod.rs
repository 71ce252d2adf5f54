//! `show`: what one file is and says, in plain words, on any machine. It has nothing but the file,
//! so it explains and does not verify; what an officer is about to sign is read here first. All
//! text of the file is foreign.

mod document;
mod event;
mod log;
mod metadata;
mod node;
mod page;
mod parts;
mod plan;
mod probe;
mod record;
mod request;
mod source;
mod tree;

use std::{io::Write, path::Path};

use serde::de::DeserializeOwned;

use crate::{
    Error, Result,
    document::MAX_DOCUMENT,
    log::MAX_LOG,
    target::{local::MAX_REGISTRY, metadata::MAX_METADATA},
};
pub use event::sentence;
use page::Page;
use source::Source;
use tree::Tree;

/// The end of every text.
const NOT_VERIFIED: &str = "This text explains; it does not verify. Only the form of this one file was checked: no signature, no hash of another file, \
     no plan.";

/// Explains a file.
///
/// # Errors
/// `DOCUMENT-KIND` for a file that is nothing known, `DOCUMENT-LINK`, `DOCUMENT-SIZE`, and the rule
/// of its format where it is broken; a log that is broken is explained up to there.
/// [`Error::Failed`] where the text can't be written.
pub fn show(path: &Path, out: &mut dyn Write) -> Result<()> {
    let start = Source::peek(path)?;
    let page = match beginning(&start) {
        Beginning::Log => return log::show(&Source::whole(path, MAX_LOG)?, out),
        Beginning::Signature => record::signature(&start)?,
        Beginning::Registry => record::registry(&Source::whole(path, MAX_REGISTRY)?)?,
        Beginning::Xml => metadata::show(&Source::whole(path, MAX_METADATA)?)?,
        Beginning::Json => json(&Source::whole(path, MAX_DOCUMENT)?)?,
        Beginning::Text => plan::show(path)?,
        Beginning::Other => return Err(start.unknown("neither JSON nor text that Keyferry writes")),
    };
    writeln!(out, "{}", page.text()).and_then(|()| out.flush()).map_err(written)
}

/// The end of a text that could not be written.
fn written(error: std::io::Error) -> Error {
    Error::failed(
        format!("the text could not be written: {error}"),
        "check where it goes: a full disk, or a program that has ended",
    )
}

/// What a file is by its first bytes.
enum Beginning {
    Log,
    Signature,
    Registry,
    Json,
    Xml,
    Text,
    Other,
}

fn beginning(start: &Source) -> Beginning {
    let (name, bytes) = (start.name(), start.bytes.as_slice());
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // A log's first line is an entry, and nothing comes before it.
    let genesis = format!("\"prev\":\"{}\"", "0".repeat(64));
    let entry = first.starts_with(b"{\"")
        && first.windows(genesis.len()).any(|part| part == genesis.as_bytes());
    if name.ends_with(".jsonl") || entry {
        return Beginning::Log;
    }
    if name.ends_with(".sig") || bytes.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        return Beginning::Signature;
    }
    match bytes.trim_ascii_start().first() {
        // Only a registry may be larger than a document.
        Some(b'{') if has("\"key_sets\"") && !has("\"header\"") => Beginning::Registry,
        Some(b'{') => Beginning::Json,
        // Only what a node publishes is XML.
        Some(b'<') => Beginning::Xml,
        _ if name.ends_with(".toml") || has("format = \"keyferry/1\"") => Beginning::Text,
        // Windows saves XML with a byte order mark.
        _ if name.ends_with(".xml") => Beginning::Xml,
        _ => Beginning::Other,
    }
}

/// A JSON file, by the names of its fields.
fn json(source: &Source) -> Result<Page> {
    let tree: Tree = parsed(source, "JSON")?;
    let names = tree.names();
    let has = |wanted: &[&str]| wanted.iter().all(|name| names.contains(name));
    let kind = tree.field("kind").and_then(Tree::text);
    if has(&["header", "body"]) {
        return document::show(source, &tree);
    }
    if has(&["gate", "subject"]) {
        return request::show(source);
    }
    if has(&["evidence", "statement"]) {
        return node::evidence(source);
    }
    if has(&["nonce", "nodes"]) {
        return node::brief(source);
    }
    if has(&["order", "brief"]) {
        return node::order(source);
    }
    if has(&["count", "head"]) {
        return record::head(source);
    }
    if kind == Some("probe") {
        return probe::show(source);
    }
    if has(&["event", "prev", "seq"]) {
        return Err(source.unknown("one entry of a log, without those before it"));
    }
    Err(source.unknown(&format!("a JSON file with {}", fields(&names))))
}

/// Some names, for the refusal of a file.
fn fields(names: &[&str]) -> String {
    let some: Vec<&str> = names.iter().take(8).copied().collect();
    match names.len() {
        0 => "no fields".into(),
        1..=8 => format!("the fields {}", some.join(", ")),
        all => format!("{all} fields: {}, …", some.join(", ")),
    }
}

/// The file as JSON of a type.
fn parsed<T: DeserializeOwned>(source: &Source, what: &str) -> Result<T> {
    serde_json::from_slice(&source.bytes).map_err(|error| source.broken(what, error))
}

/// The end of a page: the file's hash, and what would verify it.
fn end(page: &mut Page, source: &Source, verify: &str) {
    page.blank()
        .line(format!("SHA-256 of this file: {}", source.hash()))
        .blank()
        .line(NOT_VERIFIED)
        .line(format!("To verify: {verify}"));
}
