//! The files of a document's folder: a closed list of names, each with its greatest size; listed
//! ones unchanged, and no others.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Error, Result,
    attestation::MAX_ATTESTATION,
    document::{
        Body, Document, MAX_DOCUMENT,
        acceptance::METADATA_END,
        attestation::{ATTESTATION_END, REPORT_END},
    },
    folder,
    log::{LOG_FILE, MAX_LOG},
    plan::Plan,
    rule::Rule,
    service::{MAX_EVIDENCE, metadata::MAX_METADATA},
    signature::{MAX_SIGNATURE, signer_of},
    terms::{Kind, Listed},
};

/// The greatest size of a sealed key or a certificate, in bytes; an RSA-4096 key has under 4 KiB.
const MAX_LISTED: u64 = 16 << 10;

/// The greatest size of a file by its name; none for a name that no document has. Metadata, the one
/// kind that is large and many, may only be of the plan's own nodes.
pub(super) fn limit(name: &str, main: &str, plan: &Plan) -> Option<u64> {
    if name == main {
        return Some(MAX_DOCUMENT);
    }
    if signer_of(name, main).is_some() || name.ends_with(".hsm-sig") {
        return Some(MAX_SIGNATURE);
    }
    match name {
        LOG_FILE => Some(MAX_LOG),
        _ if name.ends_with(".sealed") || name.ends_with(".crt") => Some(MAX_LISTED),
        _ if name.ends_with(ATTESTATION_END) || name.ends_with(REPORT_END) => {
            let attested = [Kind::Offer.file(), Kind::Keys.file()];
            attested.iter().any(|file| file == main).then_some(MAX_ATTESTATION)
        }
        _ if name.ends_with("-ready.json") || name.ends_with("-active.json") => {
            (main == Kind::Registration.file()).then_some(MAX_EVIDENCE)
        }
        _ => {
            let node = name.strip_suffix(METADATA_END)?;
            let mut nodes = plan.target.nodes().iter();
            let known = main == Kind::Acceptance.file() && nodes.any(|id| id.as_str() == node);
            known.then_some(MAX_METADATA)
        }
    }
}

/// Listed files are there, unchanged; nothing else is but signatures.
pub(super) fn check_files<B: Body>(
    folder: &Path,
    document: &Document<B>,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let main = B::KIND.file();
    let (listed, seals) = (document.body.files(), document.body.seals());
    let accounted = |name: &str| {
        name == main
            || signer_of(name, &main).is_some()
            || listed.iter().any(|(listed, _)| listed == name)
            || seals.iter().any(|seal| seal == name)
    };
    if let Some(surplus) = files.keys().find(|name| !accounted(name)) {
        return Err(folder::surplus(folder, surplus));
    }
    for (name, listing) in &listed {
        let found = files.get(name).map(|bytes| Listed::of(bytes));
        let found = found.ok_or_else(|| missing(folder, name))?;
        if found != *listing {
            return Err(Rule::DocumentHash.refuse(
                format!("{name} has {} bytes and SHA-256 {}", found.length, found.hash),
                format!("{} bytes and {}", listing.length, listing.hash),
                "copy the folder again from its sender's outbox",
            ));
        }
    }
    match seals.iter().find(|seal| !files.contains_key(*seal)) {
        Some(seal) => Err(missing(folder, seal)),
        None => Ok(()),
    }
}

pub(super) fn missing(folder: &Path, name: &str) -> Error {
    Rule::DocumentMissing.refuse(
        format!("{} has no {name}", folder.display()),
        format!("a file {name}"),
        "check that this is the document's folder; copy it again from its sender's outbox",
    )
}
