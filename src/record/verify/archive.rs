//! What only an archive has: its list of hashes, its allowed signers, the head that people signed,
//! and that the whole record is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    Error, Result,
    document::MAX_DOCUMENT,
    encoding::Hash,
    escape::{escape, json, quote},
    flow::Phase,
    folder,
    layout::{APPROVALS, ClosedHead, EVIDENCE, HEAD_FILE},
    log::{Event, MAX_LOG},
    plan::{PLAN_FILE, Plan},
    rule::Rule,
    signature::{self, Namespace, signer_of},
    terms::{Kind, Side, list},
    verify::{
        Verdict,
        approvals::is_request,
        counterpart::VerifiedLog,
        evidence::{archived_log, attempt_of},
        logs::Logs,
    },
};

/// The list of hashes.
const SUMS: &str = "SHA256SUMS";

/// The files of an archive, by their names in it, each with its SHA-256.
pub struct Files(BTreeMap<String, Hash>);

impl Files {
    /// Finds every file of an archive of this side: names that an archive has, exactly those of
    /// SHA256SUMS, unchanged.
    ///
    /// # Errors
    /// `ARCHIVE-INCOMPLETE`, `DOCUMENT-…`.
    pub fn find(path: &Path, side: Side, verdict: &mut Verdict) -> Result<Self> {
        let mut files = BTreeMap::new();
        walk(path, "", side, &mut files)?;
        check_sums(path, &files)?;
        verdict.holds.push(format!(
            "{}: {} files, each with the hash that SHA256SUMS lists, and no other",
            path.display(),
            files.len()
        ));
        Ok(Files(files))
    }
}

/// Checks an archive of this side against the plan and its own log.
///
/// # Errors
/// `ARCHIVE-INCOMPLETE`, `LOG-CHAIN`, `SIGNATURE-…`.
pub fn check(
    path: &Path,
    Files(files): &Files,
    side: Side,
    plan: &Plan,
    logs: &Logs,
    verdict: &mut Verdict,
) -> Result<()> {
    let allowed = signature::allowed_signers(plan).into_bytes();
    if files.get("allowed_signers") != Some(&Hash::of(&allowed)) {
        return Err(incomplete(
            "allowed_signers is not the plan's",
            "the keys of the plan's officers and witnesses",
        ));
    }
    if let Some(log) = logs.of(side) {
        if log.state.phase != Phase::Closed || log.state.changed_since {
            return Err(incomplete(
                &format!("the {side}'s log does not end with close"),
                "a whole log: an archive is made by close",
            ));
        }
        whole(files, log)?;
        verdict.holds.push(format!(
            "{}: every document, request and signature that its log names is there",
            path.display()
        ));
    }
    check_head(path, side, plan, logs, verdict)
}

/// Every file with its SHA-256. A name that has no place in an archive is refused, whatever
/// SHA256SUMS says of it.
fn walk(root: &Path, below: &str, side: Side, files: &mut BTreeMap<String, Hash>) -> Result<()> {
    let folder = root.join(below);
    for name in folder::names(&folder)? {
        let path = folder.join(&name);
        let relative = match below.is_empty() {
            true => name.clone(),
            false => format!("{below}/{name}"),
        };
        let is_folder = folder::is_folder(&path)?;
        let known = match is_folder {
            true => known_folder(below, &name),
            false => known_file(below, &name, side),
        };
        if !known {
            return Err(folder::surplus_error(&folder, &name));
        }
        if is_folder {
            walk(root, &relative, side, files)?;
        } else {
            files.insert(relative, folder::hash_file(&path, MAX_LOG.max(MAX_DOCUMENT))?.0);
        }
    }
    Ok(())
}

fn is_kind(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.name() == name)
}

fn known_folder(below: &str, name: &str) -> bool {
    match below {
        "" => is_kind(name) || [APPROVALS, EVIDENCE].contains(&name) || attempt_of(name).is_some(),
        _ => attempt_of(below).is_some() && is_kind(name),
    }
}

fn known_file(below: &str, name: &str, side: Side) -> bool {
    match below {
        "" => {
            let fixed = [PLAN_FILE, "allowed_signers", HEAD_FILE, "VERIFY.txt", SUMS];
            fixed.contains(&name)
                || name == archived_log(side)
                || signer_of(name, PLAN_FILE).is_some()
                || signer_of(name, HEAD_FILE).is_some()
        }
        APPROVALS => {
            let request = name.split_once(".json").map(|(stem, _)| format!("{stem}.json"));
            request.is_some_and(|request| {
                is_request(&request) && (name == request || signer_of(name, &request).is_some())
            })
        }
        EVIDENCE => name.ends_with(".json"),
        // What a document's folder may hold, reading the document has told; these hold documents
        // only.
        _ => attempt_of(below).is_none(),
    }
}

/// SHA256SUMS has one line for every file, but for itself and the signatures over the head, which
/// come later.
fn check_sums(archive: &Path, files: &BTreeMap<String, Hash>) -> Result<()> {
    let bytes = folder::read_file(&archive.join(SUMS), MAX_DOCUMENT)?;
    let sums = String::from_utf8_lossy(&bytes);
    let mut listed = BTreeSet::new();
    let mut again = String::new();
    for name in sums.lines().filter_map(|line| line.split_once("  ").map(|(_, name)| name)) {
        let Some(hash) = files.get(name).filter(|_| listed.insert(name)) else {
            return Err(incomplete(
                &escape(&format!("SHA256SUMS lists {}, which is not there, or twice", quote(name))),
                "each file of the archive, once",
            ));
        };
        again.push_str(&format!("{hash}  {name}\n"));
    }
    if again.as_bytes() != bytes {
        let differs = sums.lines().zip(again.lines()).find(|(listed, found)| listed != found);
        return Err(Rule::DocumentHash.refuse(
            differs
                .map_or("SHA256SUMS is not as it was written".into(), |(_, found)| escape(found)),
            differs.map_or("one line per file".into(), |(listed, _)| escape(listed)),
            "find an unchanged copy of the archive",
        ));
    }
    let later = |name: &str| name == SUMS || signer_of(name, HEAD_FILE).is_some();
    match files.keys().find(|name| !later(name) && !listed.contains(name.as_str())) {
        None => Ok(()),
        Some(surplus) => Err(folder::surplus_error(archive, surplus)),
    }
}

/// What the side's own log names is there, and no document that it does not name.
fn whole(files: &BTreeMap<String, Hash>, log: &VerifiedLog) -> Result<()> {
    let there: BTreeSet<Hash> = files.values().copied().collect();
    let (mut documents, mut proved) = (BTreeSet::new(), BTreeSet::new());
    for (seq, event) in log.events() {
        let (made, took) = (event.made(), event.took());
        let named = made.iter().chain(&took);
        documents.extend(named.map(|(_, hash)| *hash));
        let signed = match event {
            Event::Init { signatures, .. } => signatures.as_slice(),
            Event::Approval { request, signatures, .. } => {
                require(&there, seq, "the request", request)?;
                signatures
            }
            _ => event.released().map_or(&[][..], |(_, signed)| signed),
        };
        for one in signed {
            let what = format!("the signature of {}", one.id);
            require(&there, seq, &what, &one.signature)?;
        }
        if let Event::Evidence { node, evidence, .. } = event {
            require(&there, seq, &format!("the evidence of {node}"), evidence)?;
            proved.insert(*evidence);
        }
        for (kind, hash) in made.iter().chain(&took) {
            require(&there, seq, &format!("the {kind}"), hash)?;
        }
    }
    let unnamed = files.iter().find(|(path, hash)| {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let kind = folder.rsplit('/').next().unwrap_or(folder);
        let document = is_kind(kind) && file == format!("{kind}.json");
        (document && !documents.contains(hash)) || (folder == EVIDENCE && !proved.contains(hash))
    });
    match unnamed {
        None => Ok(()),
        Some((path, _)) => Err(incomplete(
            &format!("{path}, which the log of its side does not name"),
            "the documents and the evidence that the log names, and no others",
        )),
    }
}

fn require(there: &BTreeSet<Hash>, seq: u64, what: &str, hash: &Hash) -> Result<()> {
    match there.contains(hash) {
        true => Ok(()),
        false => Err(incomplete(
            &format!(
                "{what} with SHA-256 {hash}, which entry {seq} of the log names, is not there"
            ),
            "every document, request and signature that the side's own log names",
        )),
    }
}

fn check_head(
    archive: &Path,
    side: Side,
    plan: &Plan,
    logs: &Logs,
    verdict: &mut Verdict,
) -> Result<()> {
    let path = archive.join(HEAD_FILE);
    let bytes = folder::read_file(&path, MAX_DOCUMENT)?;
    let head: ClosedHead = serde_json::from_slice(&bytes)
        .map_err(|error| incomplete(&format!("head.json: {error}"), "the closed head of a log"))?;
    let end = logs.of(side).map(|log| ClosedHead::new(plan, side, log.head));
    if end.as_ref() != Some(&head) {
        return Err(Rule::LogChain.refuse(
            json(&head),
            format!("the end of the log, {}", json(&end)),
            "entries were cut off or added after the head was written",
        ));
    }
    let signed =
        signature::verify(plan, side, Namespace::Head, &bytes, &signature::beside(&path)?)?;
    let (needed, officers) = (plan.party(side).approvals, signed.officers.len());
    if officers < needed {
        verdict.missing.push(format!(
            "signatures over the head of the {side}: {officers} of {needed} officers have signed it"
        ));
    }
    let signed = signed.everyone();
    if !signed.is_empty() {
        verdict.holds.push(format!(
            "the head of the {side} is signed by {}",
            list(signed.iter().map(|one| &one.id))
        ));
    }
    Ok(())
}

fn incomplete(found: &str, expected: &str) -> Error {
    Rule::ArchiveIncomplete.refuse(found, expected, "find an unchanged copy of the archive")
}
