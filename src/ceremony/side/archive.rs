//! `close`: the last entry, and `archive/`: the whole record, checked with ordinary tools by
//! anyone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::init;
use crate::{Ceremony, Files, Means, Report, Run, unchanged};
use record::document::closing::Closing;
use record::document::{MAX_DOCUMENT, read, read_files};
use record::gate::MAX_REQUEST;
use record::layout::{
    APPROVALS, ClosedHead, EVIDENCE, HEAD_FILE, SUMS, archive_name, archived_log, sums,
};
use record::signature::{self, Namespace};
use record::{
    Error, Event, Id, Kind, Originals, Phase, Released, Result, Rule, Side, Step, TransferRoute,
    fingerprint, folder, json_file, with_commands,
};

/// End the log and write archive/
#[derive(Args)]
pub struct Close;

impl Run for Close {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        close(ceremony, None)
    }
}

/// Take the hoster's closing, end the log and write archive/
#[derive(Args)]
pub struct CloseWith {
    /// The closing/ folder; after an abort there may be none, after `source destroy` it is here
    closing: Option<PathBuf>,
}

impl Run for CloseWith {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        close(ceremony, self.closing.as_deref())
    }
}

/// Closes the ceremony on this side. The tenant takes the hoster's closing. Run again, it says who
/// has signed the head.
///
/// # Errors
/// `PHASE-ORDER`, `DOCUMENT-…`, `SIGNATURE-…`, `LOG-…`.
fn close(ceremony: &mut Ceremony, closing: Option<&Path>) -> Result<Report> {
    if ceremony.state.phase != Phase::Closed || ceremony.state.changed_since {
        ceremony.state.require(Step::Close)?;
        source_gone(ceremony)?;
        let closing = match (ceremony.state.side, closing) {
            // With `source destroy` it was taken already.
            (Side::Tenant, _) if ceremony.state.taken.contains_key(&Kind::Closing) => None,
            (Side::Tenant, Some(folder)) => Some(self::closing(ceremony, folder)?),
            // A cloud service closes nothing.
            (Side::Tenant, None) if ceremony.plan.way == TransferRoute::Cloud => None,
            (Side::Tenant, None) if ceremony.state.aborted.is_none() => {
                return Err(Error::usage("no closing", with_commands("{tenant close CLOSING}")));
            }
            _ => None,
        };
        // What could keep the archive from being made is found before the last entry is written.
        archive_files(ceremony)?;
        // Only a mirror that was cut off can hold an archive that its log does not name.
        folder::erase(&ceremony.dir.join(archive_name(ceremony.state.closes + 1)))?;
        let (taken, next) = (closing.as_ref().map(|one| one.hash), ceremony.head().seq + 1);
        let event = Event::close(&ceremony.plan, &ceremony.state, next, taken);
        match closing {
            Some(closing) => ceremony.took(&closing, event)?,
            None => ceremony.record(event).map(drop)?,
        }
    }
    let archive = ceremony.dir.join(archive_name(ceremony.state.closes));
    if !archive.exists() {
        write_archive(ceremony, &archive)?;
    }
    let head = ceremony.head();
    let (signed, missing) = head_signatures(ceremony, &archive.join(HEAD_FILE))?;
    Ok(Report::new("The ceremony is closed on this side.")
        .value("entries", head.seq)
        .value("head", head.hash.to_string())
        .part("WORDS FOR THE PAPER RECORD")
        .line("Its words, for the paper record:")
        .line(fingerprint::rows(&head.hash.0))
        .data("words", fingerprint::words(&head.hash.0).join(" "))
        .part("WHERE IT IS, AND WHO HAS SIGNED")
        .value("archive", archive.display().to_string())
        .people("head signed", &ceremony.plan, &signed)
        .people("not signed", &ceremony.plan, &missing))
}

/// Who of this side's officers and the witnesses has signed the head, and who has not.
fn head_signatures(ceremony: &Ceremony, head: &Path) -> Result<(Vec<Id>, Vec<Id>)> {
    let (plan, side) = (&ceremony.plan, ceremony.state.side);
    let bytes = folder::read_file(head, MAX_DOCUMENT)?;
    let files = signature::beside(head)?;
    let verified = signature::verify(plan, side, Namespace::Head, &bytes, &files)?;
    let signed: Vec<Id> = (verified.everyone().into_iter()).map(|one| one.id).collect();
    let witnesses = plan.witnesses.iter().filter_map(|witness| witness.person.as_ref());
    let people = plan.party(side).officers.iter().chain(witnesses);
    let missing = people.filter(|person| !signed.contains(&person.id));
    let missing = missing.map(|person| person.id.clone()).collect();
    Ok((signed, missing))
}

/// A plan that destroys the originals ends when they are gone.
fn source_gone(ceremony: &Ceremony) -> Result<()> {
    let state = &ceremony.state;
    Rule::SourceLeft.ensure(
        state.source(&ceremony.plan) != Some(Originals::Destroy) || state.source_destroyed,
        "close before the originals are destroyed",
        "source destroy CLOSING, as the plan says `[after] source = \"destroy\"`",
        with_commands("`{tenant source destroy CLOSING}`, with the hoster's closing; if the originals must stay, both sides abort, which leaves them"),
    )
}

/// The hoster's closing, held against everything that this side knows.
///
/// # Errors
/// `DOCUMENT-…`, `SIGNATURE-…`, `LOG-…`.
pub fn closing(ceremony: &Ceremony, folder: &Path) -> Result<Released<Closing>> {
    let closing = read::<Closing>(folder, &ceremony.plan)?
        .not_before(ceremony.state.seen_attempt)?
        .released(&ceremony.plan)?;
    let log = ceremony.other_log(&closing)?;
    let accepted = log.state.aborted.is_none();
    match log.state.aborted {
        None => ceremony.answers(&closing)?,
        Some(abort) => {
            closing.answering(abort.hash)?;
            Rule::DocumentAnswers.ensure(
                ceremony.state.aborted.is_some(),
                "a closing after the hoster's abort",
                "a closing that answers the acceptance",
                "the hoster has ended the ceremony: `abort` it on this side too, then close with this closing",
            )?;
        }
    }
    let kek = log.state.kek.as_ref().map(|kek| kek.fingerprint);
    for kek in accepted.then_some(ceremony.state.offered).into_iter().chain([kek]) {
        closing.body().follows(kek, accepted).map_err(|(found, expected)| {
            Rule::DocumentContent.refuse(found, expected, "ask the hoster what was destroyed")
        })?;
    }
    Ok(closing)
}

fn write_archive(ceremony: &Ceremony, archive: &Path) -> Result<()> {
    let part = ceremony.dir.join(".archive");
    folder::erase(&part)?;
    folder::make_folder(&part)?;
    let mut files = archive_files(ceremony)?;
    files.push((SUMS.to_owned(), sums(&files).into_bytes()));
    let mut folders: BTreeMap<&str, Vec<(&str, &[u8])>> = BTreeMap::new();
    for (name, bytes) in &files {
        let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
        folders.entry(folder).or_default().push((name, bytes));
    }
    for (folder, files) in folders {
        folder::draft(&part.join(folder), files)?;
    }
    folder::publish(&part, archive)
}

/// Everything that an archive holds but the list of hashes, by name.
fn archive_files(ceremony: &Ceremony) -> Result<Files> {
    let side = ceremony.state.side;
    let mut files = init::signatures(&ceremony.dir, &ceremony.plan)?;
    let signers = signature::allowed_signers(&ceremony.plan);
    let head = json_file(&ClosedHead::new(&ceremony.plan, side, ceremony.head()))?;
    let commands = include_bytes!("../../../templates/VERIFY.txt");
    files.extend([
        (archived_log(side), ceremony.log_bytes()?),
        ("allowed_signers".into(), signers.into_bytes()),
        (HEAD_FILE.into(), head),
        ("VERIFY.txt".into(), commands.to_vec()),
    ]);
    let below = |folder: &str, files: Files| {
        files.into_iter().map(move |(name, bytes)| (format!("{folder}/{name}"), bytes)).collect()
    };
    files.extend::<Files>(below(APPROVALS, approvals(ceremony)?));
    files.extend::<Files>(below(EVIDENCE, ceremony.all_evidence()?));
    for (kind, hash, from, to) in ceremony.record_of_documents() {
        let found = read_files(kind, &from, &ceremony.plan)?;
        unchanged(&from, found.hash, Some(hash))?;
        files.extend::<Files>(below(&to.display().to_string(), found.files.into_iter().collect()));
    }
    Ok(files)
}

/// Every request of this side, with the signatures beside it.
fn approvals(ceremony: &Ceremony) -> Result<Files> {
    let folder = ceremony.dir.join(APPROVALS);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    // A request whose writing was cut off is hidden.
    let names = folder::names(&folder)?;
    let whole = names.into_iter().filter(|name| !name.starts_with('.'));
    whole
        .map(|name| Ok((name.clone(), folder::read_file(&folder.join(&name), MAX_REQUEST)?)))
        .collect()
}
