//! What only an archive has: its list of hashes, its allowed signers, and the head that people signed.

use std::path::{Component, Path, PathBuf};

use super::{Evidence, Verdict, logs::Logs};
use crate::{
    Error, Result,
    document::{Kind, MAX_DOCUMENT},
    folder,
    log::MAX_LOG,
    plan::Plan,
    rule::Rule,
    side::archive::ClosedHead,
    signature::{self, Namespace},
};

/// Checks an archive.
pub fn check(evidence: &Evidence, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    let files = check_sums(&evidence.path)?;
    verdict.holds.push(format!(
        "{}: {files} files have the hashes of SHA256SUMS",
        evidence.path.display()
    ));
    let allowed = folder::read_file(&evidence.path.join("allowed_signers"), MAX_DOCUMENT)?;
    if allowed != signature::allowed_signers(plan).into_bytes() {
        return Err(incomplete(
            "allowed_signers is not the plan's",
            "the keys of the plan's officers and witnesses",
        ));
    }
    check_head(evidence, plan, logs, verdict)
}

fn check_sums(archive: &Path) -> Result<usize> {
    let bytes = folder::read_file(&archive.join("SHA256SUMS"), MAX_DOCUMENT)?;
    let sums = String::from_utf8_lossy(&bytes);
    let mut again = String::new();
    let mut listed = Vec::new();
    for name in sums
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(_, name)| name))
    {
        let path = Path::new(name);
        // A name may not lead out of the archive.
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(incomplete(
                "a name in SHA256SUMS that leads elsewhere",
                "names of files in the archive",
            ));
        }
        let (found, _) = folder::hash_file(&archive.join(path), MAX_LOG)?;
        again.push_str(&format!("{found}  {name}\n"));
        listed.push(archive.join(path));
    }
    if again.as_bytes() != bytes {
        let differs = sums
            .lines()
            .zip(again.lines())
            .find(|(listed, found)| listed != found);
        return Err(Rule::DocumentHash.refuse(
            differs.map_or(
                "SHA256SUMS is not as it was written".into(),
                |(_, found)| found.to_owned(),
            ),
            differs.map_or("one line per file".into(), |(listed, _)| {
                crate::escape::escape(listed)
            }),
            "find an unchanged copy of the archive",
        ));
    }
    no_others(archive, &listed)?;
    Ok(listed.len())
}

/// An archive holds what its list names; only signatures may have come later.
fn no_others(archive: &Path, listed: &[PathBuf]) -> Result<()> {
    let folders = Kind::ALL
        .iter()
        .map(|kind| archive.join(kind.name()))
        .chain([archive.to_owned()]);
    for folder in folders {
        for entry in std::fs::read_dir(&folder).map_err(|error| Error::file(&folder, error))? {
            let path = entry.map_err(|error| Error::file(&folder, error))?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let known = path.is_dir() || name.ends_with(".sig") || name == "SHA256SUMS";
            if !known && !listed.contains(&path) {
                return Err(folder::surplus(&folder, &name));
            }
        }
    }
    Ok(())
}

fn check_head(evidence: &Evidence, plan: &Plan, logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    let path = evidence.path.join("head.json");
    let bytes = folder::read_file(&path, MAX_DOCUMENT)?;
    let head: ClosedHead = serde_json::from_slice(&bytes)
        .map_err(|error| incomplete(&format!("head.json: {error}"), "the closed head of a log"))?;
    let end = logs
        .of(evidence.side)
        .map(|log| ClosedHead::new(plan, evidence.side, log.head));
    if end.as_ref() != Some(&head) {
        return Err(Rule::LogChain.refuse(
            format!("{head:?}"),
            format!("the end of the log, {end:?}"),
            "entries were cut off or added after the head was written",
        ));
    }
    let signed = signature::verify(
        plan,
        evidence.side,
        Namespace::Head,
        &bytes,
        &signature::beside(&path)?,
    )?
    .everyone();
    let names: Vec<&str> = signed.iter().map(|one| one.id.as_str()).collect();
    match names.is_empty() {
        true => verdict
            .missing
            .push(format!("signatures over the head of the {}", evidence.side)),
        false => verdict.holds.push(format!(
            "the head of the {} is signed by {}",
            evidence.side,
            names.join(", ")
        )),
    }
    Ok(())
}

fn incomplete(found: &str, expected: &str) -> Error {
    Rule::ArchiveIncomplete.refuse(found, expected, "find an unchanged copy of the archive")
}
