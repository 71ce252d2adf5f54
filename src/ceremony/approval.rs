//! Asking for approval of an act, and taking it once enough officers have signed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Ceremony;
use record::flow::subjects::recompute;
use record::gate::{MAX_REQUEST, Request, Subject, subject_hash};
use record::layout::APPROVALS;
use record::signature::{self, Namespace};
use record::{Error, Event, Gate, Hash, Id, Result, Rule, folder, json_file, log};

/// The evidence that enough officers have signed for exactly this act.
pub struct OfficersApproval<S> {
    subject: Hash,
    of: std::marker::PhantomData<S>,
}

impl<S: Subject> OfficersApproval<S> {
    /// Holds what is about to be done, from the bytes then used, against what officers have signed
    /// for.
    ///
    /// # Errors
    /// `APPROVAL-SUBJECT`.
    pub fn covers(&self, now: &S) -> Result<()> {
        let now = subject_hash(now)?;
        Rule::ApprovalSubject.ensure(
            now == self.subject,
            format!("{} of something with SHA-256 {now}", S::GATE.name()),
            format!("what the officers have signed for, {}", self.subject),
            "stop: find out what was exchanged between the signatures and the act; then run the command again, which asks anew",
        )
    }
}

/// Asks for approval of an act, or takes it where enough officers have signed this very request.
/// What was approved in this phase is approved until the act is done: going on after a crash needs
/// no new signature. But the signatures must still be there, and are verified each time: a line
/// that somebody has added to the log approves nothing.
///
/// # Errors
/// [`Error::Waiting`] with the exact lines to sign; `SIGNATURE-…` for a signature that is wrong.
pub fn require<S: Subject>(ceremony: &mut Ceremony, subject: &S) -> Result<OfficersApproval<S>> {
    let approved =
        OfficersApproval { subject: subject_hash(subject)?, of: std::marker::PhantomData };
    let state = &ceremony.state;
    let logged = state.approvals.get(&S::GATE);
    let logged = logged.filter(|logged| logged.subject == approved.subject);
    let attempt = logged.map_or(state.attempt, |logged| logged.attempt);
    let (side, entry) = (state.side, state.phase_entry.hash);
    let request = Request::of(&ceremony.plan, side, attempt, entry, subject);
    let folder = ceremony.dir.join(APPROVALS);
    let bytes = json_file(&request)?;
    let (path, void) = place(&folder, S::GATE, &bytes)?;
    let signatures = signature::beside(&path)?;
    let (plan, side) = (&ceremony.plan, state.side);
    let verified = signature::verify(plan, side, Namespace::Approval, &bytes, &signatures)?;
    signature::enough(plan, side, Namespace::Approval, &path, &verified)
        .map_err(|error| with_summary(error, &subject.summary(), void.as_deref()))?;
    if logged.is_none() {
        ceremony.record(Event::Approval {
            gate: S::GATE,
            subject: approved.subject,
            request: Hash::of(&bytes),
            signatures: verified.everyone(),
        })?;
    }
    Ok(approved)
}

/// A request that nobody has acted on.
pub struct OpenRequest {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is asked for at.
    pub gate: Gate,
    /// The officers who have signed it.
    pub signed: Vec<Id>,
    /// Whether it still asks for what would be done where this side stands.
    pub stands: bool,
}

/// The requests that the log does not name.
///
/// # Errors
/// What reading the folder or the log can end with; a file in it that is no request says nothing
/// here.
pub fn open_requests(ceremony: &Ceremony) -> Result<Vec<OpenRequest>> {
    let folder = ceremony.dir.join(APPROVALS);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let (plan, state) = (&ceremony.plan, &ceremony.state);
    let mut acted = BTreeSet::new();
    for entry in log::entries(&ceremony.log_bytes()?, "the log") {
        if let Event::Approval { request, .. } = entry?.event {
            acted.insert(request);
        }
    }
    let mut open = Vec::new();
    for name in folder::names(&folder)?.iter().filter(|name| name.ends_with(".json")) {
        let path = folder.join(name);
        let bytes = folder::read_file(&path, MAX_REQUEST)?;
        let Ok(request) = serde_json::from_slice::<Request<serde_json::Value>>(&bytes) else {
            continue;
        };
        if acted.contains(&Hash::of(&bytes)) {
            continue;
        }
        let now = recompute(&bytes, request.gate, plan, Some(state)).ok().flatten();
        let stands = now.is_some_and(|now| now.found == now.expected);
        let files = signature::beside(&path)?;
        let signed = signature::verify(plan, state.side, Namespace::Approval, &bytes, &files);
        let officers = signed.map_or(Vec::new(), |signed| signed.officers);
        let signed = officers.into_iter().map(|one| one.id).collect();
        open.push(OpenRequest { path, gate: request.gate, signed, stands });
    }
    Ok(open)
}

/// Where this very request lies; made where it is not there yet. Says too which request of the gate
/// came last and asks for something else.
fn place(folder: &Path, gate: Gate, bytes: &[u8]) -> Result<(PathBuf, Option<PathBuf>)> {
    folder::make_folder(folder)?;
    let mut other = None;
    for number in 1.. {
        let path = folder.join(format!("{number:02}-{}.json", gate.name()));
        if !path.exists() {
            folder::write_new(&path, bytes)?;
        }
        if folder::read_file(&path, MAX_REQUEST)? == bytes {
            return Ok((path, other));
        }
        other = Some(path);
    }
    Err(Error::file(folder, "no number is left for a request"))
}

/// What officers are asked for, before how they say yes.
fn with_summary(error: Error, summary: &str, void: Option<&Path>) -> Error {
    let Error::Waiting { what } = error else { return error };
    let void = void.map_or(String::new(), |void| {
        let void = void.display();
        format!("\n{void} asked for something else: signatures over it count for nothing here.")
    });
    Error::Waiting {
        what: format!(
            "NOTHING HAS BEEN DONE YET. Once enough officers have signed for it, this is done:\n{summary}{void}\n{what}"
        ),
    }
}
