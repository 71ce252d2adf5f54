//! What only an archive has: its list of hashes, its allowed signers, the head that people signed,
//! and that the whole record is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::document::MAX_DOCUMENT;
use crate::layout::{
    APPROVALS, ClosedHead, EVIDENCE, HEAD_FILE, SUMS, archived_log, attempt_of, evidence_name,
    sums_line,
};
use crate::log::MAX_LOG;
use crate::signature::{self, Namespace, signer_of};
use crate::verify::approvals::is_request;
use crate::verify::contents::names;
use crate::verify::counterpart::VerifiedLog;
use crate::verify::evidence::{Folder, Holds};
use crate::verify::{Verdict, counterpart};
use crate::{
    Error, Event, Hash, Kind, PLAN_FILE, Phase, Plan, Result, Rule, Side, escape, folder, json,
    quote,
};

/// An archive: every file, by its name in it, with its SHA-256.
pub struct Archive {
    path: PathBuf,
    side: Side,
    files: BTreeMap<String, Hash>,
}

impl Archive {
    /// Finds every file, where the folder is an archive: names that an archive has, exactly those
    /// of SHA256SUMS, unchanged.
    ///
    /// # Errors
    /// `ARCHIVE-INCOMPLETE`, `DOCUMENT-…`.
    pub fn find(folder: &Folder, verdict: &mut Verdict) -> Result<Option<Self>> {
        let Holds::Archive(side) = folder.holds else { return Ok(None) };
        let (path, mut files) = (folder.path.clone(), BTreeMap::new());
        walk(&path, "", side, &mut files)?;
        let listed = listed(&path, "archive", &files)?;
        // Signatures over the head come later.
        let later = |name: &str| name == SUMS || signer_of(name, HEAD_FILE).is_some();
        if let Some(surplus) = files.keys().find(|name| !later(name) && !listed.contains(*name)) {
            return Err(folder::surplus_error(&path, surplus));
        }
        verdict.holds.push(format!(
            "{}: {} files, each with the hash that SHA256SUMS lists, and no other",
            path.display(),
            files.len()
        ));
        Ok(Some(Archive { path, side, files }))
    }

    /// Checks it against the plan and its own log, of which the service may have gone on.
    ///
    /// # Errors
    /// `ARCHIVE-INCOMPLETE`, `LOG-CHAIN`, `SIGNATURE-…`.
    pub fn check(&self, plan: &Plan, verdict: &mut Verdict) -> Result<()> {
        let (path, side) = (&self.path, self.side);
        let allowed = signature::allowed_signers(plan).into_bytes();
        let same = self.files.get("allowed_signers") == Some(&Hash::of(&allowed));
        let expected = "the keys of the plan's officers and witnesses";
        complete(same, "allowed_signers is not the plan's", expected)?;
        let commands = Hash::of(include_bytes!("../../../templates/VERIFY.txt"));
        let there = self.files.get("VERIFY.txt");
        complete(there.is_some(), "VERIFY.txt is not there", "every file that `close` writes")?;
        if there != Some(&commands) {
            let other = "another text than this version writes: type nothing from it";
            verdict.unread.push(format!("{}: {other}", path.join("VERIFY.txt").display()));
        }
        let name = archived_log(side);
        let bytes = folder::read_file(&path.join(&name), MAX_LOG)?;
        let log = counterpart::verify(plan, side, &bytes, &name)?;
        let closed = log.state.phase == Phase::Closed && !log.state.changed_since;
        let found = format!("the {side}'s log does not end with close");
        complete(closed, &found, "a whole log: an archive is made by close")?;
        whole(&self.files, plan, &log)?;
        verdict.holds.push(format!(
            "{}: every document, request and signature that its log names is there",
            path.display()
        ));
        self.head(plan, &log, verdict)
    }

    fn head(&self, plan: &Plan, log: &VerifiedLog, verdict: &mut Verdict) -> Result<()> {
        let (path, side) = (self.path.join(HEAD_FILE), self.side);
        let bytes = folder::read_file(&path, MAX_DOCUMENT)?;
        let head: ClosedHead = serde_json::from_slice(&bytes).map_err(|error| {
            incomplete(&format!("head.json: {error}"), "the closed head of a log")
        })?;
        let end = ClosedHead::new(plan, side, log.head);
        Rule::LogChain.ensure(
            end == head,
            json(&head),
            format!("the end of the log, {}", json(&end)),
            "entries were cut off or added after the head was written",
        )?;
        let files = signature::beside(&path)?;
        let signed = signature::verify(plan, side, Namespace::Head, &bytes, &files)?;
        let (needed, officers) = (plan.party(side).approvals, signed.officers.len());
        if officers < needed {
            verdict.missing.push(format!(
                "signatures over the head of the {side}: {officers} of {needed} officers have signed it"
            ));
        }
        let signed = signed.everyone();
        if !signed.is_empty() {
            let by = names(plan, &signed);
            verdict.holds.push(format!("the head of the {side} is signed by {by}"));
        }
        Ok(())
    }
}

/// Every file with its SHA-256. A name that has no place in an archive is refused, whatever
/// SHA256SUMS says of it.
fn walk(root: &Path, below: &str, side: Side, files: &mut BTreeMap<String, Hash>) -> Result<()> {
    let folder = root.join(below);
    for name in folder::names(&folder)? {
        let path = folder.join(&name);
        let relative = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let is_folder = folder::is_folder(&path)?;
        let known =
            if is_folder { known_folder(below, &name) } else { known_file(below, &name, side) };
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
    name.parse::<Kind>().is_ok()
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

/// The names that the SHA256SUMS of a folder lists: each is there, once, unchanged.
///
/// # Errors
/// `ARCHIVE-INCOMPLETE`, `DOCUMENT-HASH`.
pub fn listed(
    folder: &Path,
    what: &str,
    files: &BTreeMap<String, Hash>,
) -> Result<BTreeSet<String>> {
    let bytes = folder::read_file(&folder.join(SUMS), MAX_DOCUMENT)?;
    let sums = String::from_utf8_lossy(&bytes);
    let mut listed = BTreeSet::new();
    let mut again = String::new();
    for name in sums.lines().filter_map(|line| line.split_once("  ").map(|(_, name)| name)) {
        let Some(hash) = files.get(name).filter(|_| listed.insert(name.to_owned())) else {
            return Err(incomplete(
                &escape(&format!("SHA256SUMS lists {}, which is not there, or twice", quote(name))),
                &format!("each file of the {what}, once"),
            ));
        };
        again.push_str(&sums_line(name, *hash));
    }
    if again.as_bytes() != bytes {
        let differs = sums.lines().zip(again.lines()).find(|(listed, found)| listed != found);
        return Err(Rule::DocumentHash.refuse(
            differs
                .map_or("SHA256SUMS is not as it was written".into(), |(_, found)| escape(found)),
            differs.map_or("one line per file".into(), |(listed, _)| escape(listed)),
            format!("find an unchanged copy of the {what}"),
        ));
    }
    Ok(listed)
}

/// What the side's own log names is there, and no document that it does not name.
fn whole(files: &BTreeMap<String, Hash>, plan: &Plan, log: &VerifiedLog) -> Result<()> {
    let there: BTreeSet<Hash> = files.values().copied().collect();
    let (mut documents, mut proved) = (BTreeSet::new(), BTreeSet::new());
    for (seq, event) in log.events() {
        let (made, took) = (event.made(), event.took());
        let crossed = made.iter().chain(&took);
        documents.extend(crossed.clone().map(|(_, hash)| *hash));
        let named = |what: &str, hash: &Hash| require(there.contains(hash), seq, what, hash);
        if let Event::Approval { request, .. } = event {
            named("the request", request)?;
        }
        for one in event.signatures() {
            named(&format!("the signature of {}", plan.name_of(&one.id)), &one.signature)?;
        }
        if let Event::Evidence { node, stage, evidence, .. } = event {
            let name = format!("{EVIDENCE}/{}", evidence_name(node, *stage, *evidence));
            let kept = files.get(&name) == Some(evidence);
            require(kept, seq, &format!("the evidence of {node}"), evidence)?;
            proved.insert(name);
        }
        for (kind, hash) in crossed {
            named(&format!("the {kind}"), hash)?;
        }
    }
    let unnamed = files.iter().find(|(path, hash)| {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let kind = folder.rsplit('/').next().unwrap_or(folder);
        let document = is_kind(kind) && file == format!("{kind}.json");
        (document && !documents.contains(hash)) || (folder == EVIDENCE && !proved.contains(*path))
    });
    let Some((path, _)) = unnamed else { return Ok(()) };
    let expected = "the documents and the evidence that the log names, and no others";
    let found = format!("{path}, which the log of its side does not name");
    Err(incomplete(&escape(&found), expected))
}

fn require(there: bool, seq: u64, what: &str, hash: &Hash) -> Result<()> {
    let found =
        format!("{what} with SHA-256 {hash}, which entry {seq} of the log names, is not there");
    let expected = "every document, request and signature that the side's own log names";
    complete(there, &found, expected)
}

fn complete(holds: bool, found: &str, expected: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(incomplete(found, expected)) }
}

fn incomplete(found: &str, expected: &str) -> Error {
    Rule::ArchiveIncomplete.refuse(found, expected, "find an unchanged copy of the archive")
}
