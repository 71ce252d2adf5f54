//! `show`: what one file is and says, in plain words, on any machine. It has nothing but the file,
//! so it explains and does not verify; what an officer is about to sign is read here first. All
//! text of the file is foreign. What is said is in `templates/text/show.*.toml`.

mod kinds;
mod log;
pub mod plan;
mod source;
mod text;
mod tree;

use std::io::Write;
use std::path::Path;

use serde_json::json;

use kinds::Explanation;
use record::document::MAX_DOCUMENT;
use record::log::MAX_LOG;
use record::plan::MAX_PLAN;
use record::service::metadata::MAX_METADATA;
use record::signature::{self, MAX_SIGNATURE, Namespace};
use record::{Error, Event, Plan, Result};
pub use source::ShownFile;
use text::Telling;
pub use text::{Language, Sentences, by_key};
use tree::Tree;

/// The largest registry that is explained, in bytes: the tree and the text of it take thirty times
/// as much memory.
const MAX_REGISTRY_SHOWN: u64 = 16 << 20;

/// Explains a file.
///
/// # Errors
/// `DOCUMENT-KIND` for a file that is nothing known, `DOCUMENT-LINK`, `DOCUMENT-SIZE`, and the rule
/// of its format where it is broken; a log that is broken is explained up to there.
/// [`Error::Failed`] where the text can't be written.
pub fn show(path: &Path, language: Language, out: &mut dyn Write) -> Result<()> {
    let texts = Sentences::of(language);
    let start = ShownFile::peek(path)?;
    if log::begins(&start) {
        return log::show(&start.whole(MAX_LOG)?, &texts, out);
    }
    let Some((limit, explain)) = explaining(&start) else { return Err(unlike_error(&start)) };
    let source = start.whole(limit)?;
    let explanation = explain(&source)?;
    let (namespace, mut lines) = page(&explanation, &texts, None);
    let (kind, tree) = explanation;
    if let Some(namespace) = namespace {
        lines.extend(lines_to_sign(&source, namespace, &tree, &texts));
    }
    lines.extend(texts.page("page.end", json!({ "hash": source.hash(), "kind": kind })));
    write(out, &texts, &lines)
}

fn unlike_error(source: &ShownFile) -> Error {
    source.unknown_error("neither JSON nor text that Keyferry writes")
}

/// A file that people sign, as it is shown to whoever is about to.
pub struct SignablePage {
    /// What it is signed for.
    pub namespace: Namespace,
    /// What it says and what signing it means, escaped.
    pub lines: Vec<String>,
}

/// What whoever is about to sign a file sees of it, where it is one that people sign; people are
/// called as the plan has them, where there is one.
///
/// # Errors
/// As [`show`].
pub fn before_signing(
    source: &ShownFile,
    plan: Option<&Plan>,
    language: Language,
) -> Result<Option<SignablePage>> {
    let texts = Sentences::of(language);
    let explain = explaining(source).filter(|_| !log::begins(source));
    let (_, explain) = explain.ok_or_else(|| unlike_error(source))?;
    let (namespace, lines) = page(&explain(source)?, &texts, plan);
    Ok(namespace.map(|namespace| SignablePage {
        namespace,
        lines: lines.iter().map(|line| texts.one_line(line)).collect(),
    }))
}

/// Lines of ours with foreign text in them, all escaped here.
fn write(out: &mut dyn Write, texts: &Sentences, lines: &[String]) -> Result<()> {
    let shown = lines.iter().try_for_each(|line| writeln!(out, "{}", texts.one_line(line)));
    shown.and_then(|()| out.flush()).map_err(unwritten_error)
}

/// The error of a text that could not be written.
fn unwritten_error(error: std::io::Error) -> Error {
    Error::failed(
        format!("the text could not be written: {error}"),
        "check where it goes: a full disk, or a program that has ended",
    )
}

/// What a file is, what it says, and what signing it means, where people do.
fn page(
    (key, tree): &Explanation,
    texts: &Sentences,
    plan: Option<&Plan>,
) -> (Option<Namespace>, Vec<String>) {
    let mut telling = Telling::new(texts, tree, plan);
    let mut lines = telling.lines(&format!("{key}.page"));
    let meaning = telling.lines(&format!("{key}.signing")).concat();
    let rest = telling.rest(key, ": ");
    if !rest.is_empty() {
        lines.extend(texts.page("page.further", json!({ "said": rest.join("\n") })));
    }
    let namespace = signed_as(key);
    if let Some(namespace) = namespace {
        let facts = json!({ "meaning": meaning, "namespace": namespace.name() });
        lines.extend(texts.page("page.signing", facts));
    }
    (namespace, lines)
}

/// The lines that make a signature, to be copied.
fn lines_to_sign(
    source: &ShownFile,
    namespace: Namespace,
    tree: &Tree,
    texts: &Sentences,
) -> Vec<String> {
    let officers = match tree.field("officers") {
        Some(Tree::List(officers)) => officers.iter().map(Tree::word).collect(),
        _ => vec!["YOUR-ID"],
    };
    let line = |id: &&str| {
        let line = signature::officer_line(namespace).with("FOLDER", source.path);
        line.with("YOUR-ID", id).to_string()
    };
    let facts = json!({
        "how": if namespace == Namespace::Plan { "each-officer" } else { "own" },
        "lines": officers.iter().map(line).collect::<Vec<_>>(),
        "bare": signature::bare_line(namespace, source.path).to_string(),
    });
    texts.page("page.line", facts)
}

/// What people sign such a file for, where they do.
fn signed_as(key: &str) -> Option<Namespace> {
    match key {
        "plan" => Some(Namespace::Plan),
        "request" => Some(Namespace::Approval),
        "head" => Some(Namespace::Head),
        "probe" => Some(Namespace::Probe),
        _ => key.starts_with("document.").then_some(Namespace::Document),
    }
}

/// What happened, in one line; not yet escaped. People are called as the plan has them, where there
/// is one. An event without a text of its own is shown by its name and fields.
///
/// # Errors
/// [`Error::Failed`] where the event can't be encoded.
pub fn sentence(event: &Event, plan: Option<&Plan>, texts: &Sentences) -> Result<String> {
    let tree = Tree::of(event)?;
    let key = format!("event.{}", tree.text("event").unwrap_or("none"));
    let mut telling = Telling::new(texts, &tree, plan);
    let said = telling.lines(&key).concat();
    let rest = telling.rest(&key, " ").join(", ");
    Ok(match (said.is_empty(), rest.is_empty()) {
        (false, true) => said,
        (false, false) => format!("{said}; {rest}"),
        (true, _) => format!("{}: {rest}", key.trim_start_matches("event.")),
    })
}

/// What explains a file of one kind.
type Explain = fn(&ShownFile) -> Result<Explanation>;

/// What explains a file, by its first bytes, and how large it may be. A log is told as it is read.
fn explaining(start: &ShownFile) -> Option<(u64, Explain)> {
    let (name, bytes) = (start.name(), start.bytes.as_slice());
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    if name.ends_with(".sig") || bytes.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        return Some((MAX_SIGNATURE, kinds::signature));
    }
    // What is no text, a sealed key or an HSM's signature, may begin with any byte.
    let is_text = std::str::from_utf8(bytes).map_or_else(|end| end.error_len().is_none(), |_| true);
    match bytes.trim_ascii_start().first().filter(|_| is_text) {
        // Only a registry may be larger than a document.
        Some(b'{') if has("\"key_sets\"") && !has("\"header\"") => {
            Some((MAX_REGISTRY_SHOWN, kinds::registry))
        }
        Some(b'{') => Some((MAX_DOCUMENT, kinds::json)),
        // Only what a node publishes is XML.
        Some(b'<') => Some((MAX_METADATA, kinds::metadata)),
        _ if name.ends_with(".toml") || has("format = \"keyferry/1\"") => {
            Some((MAX_PLAN, kinds::plan))
        }
        // Windows saves XML with a byte order mark.
        _ if name.ends_with(".xml") => Some((MAX_METADATA, kinds::metadata)),
        _ => None,
    }
}
