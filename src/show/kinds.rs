//! Every kind of file: its form, as far as that needs nothing but the file, and what Keyferry knows
//! of what it says.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::plan::facts;
use crate::{ShownFile, Tree};
use probe::Probe;
use record::document::offer::Offer;
use record::document::{Document, Header, header_by_kind};
use record::layout::ClosedHead;
use record::service::local::Registry;
use record::service::metadata::{Certificate, Metadata};
use record::service::{Brief, NodeEvidence, Order};
use record::signature::{self, SignatureFile};
use record::{FORMAT, Hash, Id, Kind, Mode, Plan, Result, Side, escape, quote, spki};

/// The key of the texts that explain a file, and what it says with what Keyferry knows of that.
pub type Explanation = (String, Tree);

/// What is expected of a report.
const PROBE: &str = "the report of a token";

/// An approval request, as far as every gate's is the same. Gates are many and become more, so the
/// subject is whatever stands there.
#[allow(dead_code)] // read for its form
#[derive(Deserialize)]
struct Request {
    ceremony: Id,
    mode: Mode,
    side: Side,
    plan_hash: Hash,
    gate: String,
    attempt: u32,
    entry: Hash,
    subject: Tree,
    summary: String,
}

/// A JSON file, by the names of its fields.
pub fn json(source: &ShownFile) -> Result<Explanation> {
    let tree: Tree = parsed(source, "JSON")?;
    let names = tree.names();
    let has = |wanted: &[&str]| wanted.iter().all(|name| names.contains(name));
    if has(&["header", "body"]) {
        return document(source, &tree);
    }
    if has(&["gate", "subject"]) {
        return one::<Request>(source, tree, "request", "an approval request");
    }
    if has(&["evidence", "statement"]) {
        let evidence = NodeEvidence::parse(&source.bytes, &source.name())?;
        return Ok(("evidence".into(), Tree::of(&evidence.statement)?));
    }
    if has(&["nonce", "nodes"]) {
        return one::<Brief>(source, tree, "brief", "the registration that nodes are given");
    }
    if has(&["order", "brief"]) {
        return one::<Order>(source, tree, "order", "an order");
    }
    if has(&["count", "head"]) {
        return one::<ClosedHead>(source, tree, "head", "the head of a closed log");
    }
    if tree.text("kind") == Some("probe") {
        let family = parsed::<Probe>(source, PROBE)?.profile.known().name;
        return one::<Probe>(source, tree.with("family", json!(family)), "probe", PROBE);
    }
    if has(&["event", "prev", "seq"]) {
        return Err(source.unknown_error("one entry of a log, without those before it"));
    }
    let some: Vec<&str> = names.iter().take(8).copied().collect();
    let fields = match names.len() {
        0 => "no fields".into(),
        1..=8 => format!("the fields {}", some.join(", ")),
        all => format!("{all} fields: {}, …", some.join(", ")),
    };
    Err(source.unknown_error(&format!("a JSON file with {fields}")))
}

/// The file as JSON of a type.
fn parsed<T: DeserializeOwned>(source: &ShownFile, what: &str) -> Result<T> {
    serde_json::from_slice(&source.bytes).map_err(|error| source.broken_error(what, error))
}

/// A file that has exactly the fields of this type, and the format of this version.
fn one<T: DeserializeOwned>(
    source: &ShownFile,
    tree: Tree,
    key: &str,
    what: &str,
) -> Result<Explanation> {
    parsed::<T>(source, what)?;
    match tree.text("format") {
        Some(FORMAT) => Ok((key.into(), tree)),
        format => {
            Err(source.broken_error(what, format!("format \"{}\"", format.unwrap_or("none"))))
        }
    }
}

/// A document of any kind: its body, with the header as one more field.
fn document(source: &ShownFile, tree: &Tree) -> Result<Explanation> {
    let found = tree.field("header").and_then(|header| header.text("document")).unwrap_or("none");
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == found) else {
        return Err(source.unknown_error(&format!("a document of the kind {}", quote(found))));
    };
    let what = format!("a document of the kind {kind}");
    let header = header_by_kind(kind, &source.bytes);
    let header = header.map_err(|error| source.broken_error(&what, error))?;
    check(source, &header)?;
    let parts = [tree.field("header"), tree.field("body")].map(|part| part.cloned());
    let [Some(header), Some(mut body)] = parts else {
        return Err(source.broken_error(&what, "no header, no body"));
    };
    if kind == Kind::Offer {
        body = body.with("bits", json!(kek_bits(source)?));
    }
    let named = source.name();
    if named != kind.file() && Kind::ALL.iter().any(|other| other.file() == named) {
        body = body.with("misnamed", json!(named));
    }
    Ok((format!("document.{kind}"), body.with("header", header)))
}

/// The form of a header, as far as it does not depend on a plan.
fn check(source: &ShownFile, header: &Header) -> Result<()> {
    let kind = header.document;
    let answers = header.answers.map_or("nothing".to_owned(), |hash| hash.to_string());
    // Keys that another tool has brought answer the offer; those that were born there are the
    // first.
    let wrong_first = kind != Kind::Keys && header.answers.is_some() == (kind == Kind::Offer);
    let wrong = [
        (header.format != FORMAT, format!("format \"{}\"", header.format)),
        (header.side != kind.side(), format!("made by the {}", header.side)),
        (header.attempt == 0, "attempt 0".into()),
        (wrong_first, format!("it answers {answers}")),
    ];
    match wrong.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, found)) => Err(source.broken_error(&format!("the {kind}"), found)),
        None => Ok(()),
    }
}

/// The size of an offer's KEK, whose fingerprint is the one that is read aloud.
fn kek_bits(source: &ShownFile) -> Result<u32> {
    let Document { body: offer, .. } = parsed::<Document<Offer>>(source, "an offer")?;
    let fingerprint = Hash::of(&offer.spki.0);
    if fingerprint != offer.fingerprint {
        let found =
            format!("the fingerprint {} of a key that has {fingerprint}", offer.fingerprint);
        return Err(source.broken_error("an offer", found));
    }
    spki::rsa_bits(&offer.spki.0).map_err(|found| source.broken_error("an offer", found))
}

/// The registry of the local service.
pub fn registry(source: &ShownFile) -> Result<Explanation> {
    let registry = Registry::parse(source.path, &source.bytes)?;
    let (primary, sets) = (registry.primary, registry.key_sets.iter());
    let sets = sets.map(|set| json!({ "set": set, "primary": primary == Some(set.plan_hash) }));
    let facts = json!({ "primary": primary, "key_sets": sets.collect::<Vec<_>>() });
    Ok(("registry".into(), facts.into()))
}

/// What a node of Windows Host Guardian Service publishes.
pub fn metadata(source: &ShownFile) -> Result<Explanation> {
    let metadata = Metadata::parse(&source.bytes, &source.path.display().to_string())?;
    let named = |der: &Vec<u8>| json!(Certificate::of(der));
    let facts = json!({
        "version": metadata.version,
        "guardian_version": metadata.guardian_version,
        "signing": named(&metadata.signing),
        "encryption": named(&metadata.encryption),
        "other_signing": metadata.other_signing.iter().map(named).collect::<Vec<_>>(),
        "remarks": metadata.remarks(),
    });
    Ok(("metadata".into(), facts.into()))
}

/// A person's signature.
pub fn signature(source: &ShownFile) -> Result<Explanation> {
    let name = source.name();
    let named = name.strip_suffix(".sig").and_then(|name| name.rsplit_once('.'));
    let signer = escape(named.map_or(name.as_str(), |(_, signer)| signer));
    let (path, bytes) = (source.path.to_owned(), source.bytes.clone());
    let file = SignatureFile { path, signer: signer.clone(), bytes };
    let said = signature::describe(&file)?;
    let named = named.map(|(file, _)| json!({ "signer": signer, "file": file }));
    Ok(("signature".into(), Tree::of(&said)?.with("named", json!(named))))
}

/// A plan. It holds the keys of everybody and so is the one file that says who may sign it.
pub fn plan(source: &ShownFile) -> Result<Explanation> {
    let plan = Plan::parse(source.bytes.clone())?;
    Ok(("plan".into(), facts(&plan).into()))
}
