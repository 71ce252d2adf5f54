//! The files of a document's folder: a closed list of names, each with its greatest size; listed
//! ones unchanged, and no others.

use std::collections::BTreeMap;
use std::path::Path;

use crate::document::package::{HSM_SIGNATURE_END, SEALED_END};
use crate::document::{Beside, Body, Document, MAX_DOCUMENT};
use crate::log::MAX_LOG;
use crate::proof::key_set::CERTIFICATE_END;
use crate::signature::{MAX_SIGNATURE, signer_of};
use crate::{Error, LOG_FILE, Listed, Plan, Result, Rule, folder};

/// The greatest size of a sealed key or a certificate, in bytes; an RSA-4096 key has under 4 KiB.
const MAX_LISTED: u64 = 16 << 10;

/// What is read beside a document of any kind; where it is not listed, it is surplus.
const ANY: Beside = &[
    (LOG_FILE, MAX_LOG),
    (SEALED_END, MAX_LISTED),
    (CERTIFICATE_END, MAX_LISTED),
    (HSM_SIGNATURE_END, MAX_SIGNATURE),
];

/// The greatest size of a file by its name; none for a name that this document does not have.
pub(super) fn limit<B: Body>(name: &str, plan: &Plan) -> Option<u64> {
    let main = B::KIND.file();
    if name == main {
        return Some(MAX_DOCUMENT);
    }
    if signer_of(name, &main).is_some() {
        return Some(MAX_SIGNATURE);
    }
    let fits = |end: &str| name == end || end.starts_with(['.', '-']) && name.ends_with(end);
    let own = B::BESIDE.iter().filter(|_| B::belongs(name, plan));
    ANY.iter().chain(own).find(|(end, _)| fits(end)).map(|(_, size)| *size)
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
        return Err(folder::surplus_error(folder, surplus));
    }
    for (name, listing) in &listed {
        let found = files.get(name).map(|bytes| Listed::of(bytes));
        let found = found.ok_or_else(|| missing_error(folder, name))?;
        Rule::DocumentHash.ensure(
            found == *listing,
            format!("{name} has {} bytes and SHA-256 {}", found.length, found.hash),
            format!("{} bytes and {}", listing.length, listing.hash),
            "copy the folder again from its sender's outbox",
        )?;
    }
    let mut absent = seals.iter().filter(|seal| !files.contains_key(*seal));
    absent.next().map_or(Ok(()), |seal| Err(missing_error(folder, seal)))
}

pub(super) fn missing_error(folder: &Path, name: &str) -> Error {
    Rule::DocumentMissing.refuse(
        format!("{} has no {name}", folder.display()),
        format!("a file {name}"),
        "check that this is the document's folder; copy it again from its sender's outbox",
    )
}
