//! The gates: every approval that a side's log names was asked for and signed, and the act that
//! followed is exactly what the officers signed for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::flow::subjects::{Recomputed, recompute};
use crate::gate::{CloudExport, MAX_REQUEST, Request, subject_hash};
use crate::layout::APPROVALS;
use crate::log::CloudExported;
use crate::signature::{self, Namespace, signer_of};
use crate::verify::Verdict;
use crate::verify::counterpart::VerifiedLog;
use crate::verify::evidence::Folder;
use crate::verify::held::{UNSIGNED, difference};
use crate::{
    Error, Event, Gate, Hash, Id, Kind, Plan, Result, Rule, Side, Signed, State, escape, folder,
    list,
};

/// A request as it lies in a folder, with who signed it.
struct FiledRequest {
    name: String,
    bytes: Vec<u8>,
    /// Where its side stood when it was asked for, and the gate, as it says.
    asked: (Hash, Gate),
    officers: Vec<Signed>,
    witnesses: Vec<Signed>,
}

impl FiledRequest {
    fn is_of(&self, gate: Gate) -> Result<()> {
        if placed(&self.name).is_some_and(|(_, named)| named == gate) {
            return Ok(());
        }
        Err(unsigned_for(&self.name, &format!("a request of the gate {gate}, by its name")))
    }
}

/// Checks the approvals of a log whose side's own record is there, and says of another that it is
/// not.
///
/// # Errors
/// `APPROVAL-SUBJECT`, `SIGNATURE-…`, `DOCUMENT-…`, `SHARE-UNCONFIRMED`.
pub fn check(
    folders: &[Folder],
    plan: &Plan,
    log: &VerifiedLog,
    verdict: &mut Verdict,
) -> Result<()> {
    let side = log.state.side;
    if side == Side::Tenant {
        confirmations(plan, log, verdict)?;
    }
    let own: Vec<&Folder> = folders.iter().filter(|one| one.own() == Some(side)).collect();
    if !own.is_empty() {
        let requests = requests(&own, plan, side)?;
        return Gates { plan, log, requests }.walk(verdict);
    }
    let is_approval = |(_, event): &(u64, &Event)| matches!(event, Event::Approval { .. });
    let approved = log.events().filter(is_approval).count();
    if approved > 0 {
        verdict.missing.push(format!(
            "the requests that officers of the {side} signed: {approved} approvals rest on its log"
        ));
    }
    Ok(())
}

/// A package leaves with every custodian's confirmation; or with one more than a quorum needs, and
/// a deviation for the rest, which the log's own rules demand already.
fn confirmations(plan: &Plan, log: &VerifiedLog, verdict: &mut Verdict) -> Result<()> {
    let (all, enough) = (plan.quorum.custodians.len(), usize::from(plan.quorum.threshold) + 1);
    let mut confirmed: BTreeSet<&Id> = BTreeSet::new();
    for (seq, event) in log.events() {
        match event {
            Event::Export { .. } => confirmed.clear(),
            Event::ShareConfirm { custodian, .. } => {
                confirmed.insert(custodian);
            }
            Event::Release { kind, .. } if *kind == Kind::Package && confirmed.len() < all => {
                let have = confirmed.len();
                let found = format!(
                    "entry {seq}: the package is released with {have} of {all} confirmations"
                );
                Rule::ShareUnconfirmed.ensure(
                    have >= enough,
                    &found,
                    format!("at least {enough}, and a deviation for the rest"),
                    "ask the tenant which custodians hold a share that was checked",
                )?;
                let signed = "officers signed a deviation for the rest";
                verdict.noted.push(format!("tenant, {found}; {signed}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every request of a side's own record, by its SHA-256, each with valid signatures only.
fn requests(own: &[&Folder], plan: &Plan, side: Side) -> Result<BTreeMap<Hash, FiledRequest>> {
    let mut all: BTreeMap<Hash, FiledRequest> = BTreeMap::new();
    for one in own {
        let path = one.path.join(APPROVALS);
        if !path.exists() {
            continue;
        }
        let known = |name: &str| name.ends_with(".json") || name.ends_with(".sig");
        let files = folder::read_folder(&path, |name| known(name).then_some(MAX_REQUEST))?;
        let (requests, signatures): (BTreeMap<_, _>, BTreeMap<_, _>) =
            files.into_iter().partition(|(name, _)| name.ends_with(".json"));
        let of = |name: &str| requests.keys().any(|file| signer_of(name, file).is_some());
        if let Some(name) = signatures.keys().find(|name| !of(name)) {
            return Err(folder::surplus_error(&path, name));
        }
        let in_place = |name: &str| {
            let before =
                |(number, gate)| number == 1 || requests.contains_key(&place(number - 1, gate));
            placed(name).is_some_and(before)
        };
        if let Some(name) = requests.keys().find(|name| !in_place(name)) {
            let found =
                format!("{} without the request of its gate before it", path.join(name).display());
            return Err(unsigned_for(&found, "each request that was placed, from number 01 on"));
        }
        for (name, bytes) in requests {
            let beside = signature::among(&path, &signatures, &name);
            let signed = signature::verify(plan, side, Namespace::Approval, &bytes, &beside)?;
            let asked: Request<Value> =
                serde_json::from_slice(&bytes).map_err(|error| form_error(&name, &error))?;
            let found = all.entry(Hash::of(&bytes)).or_insert_with(|| FiledRequest {
                name: name.clone(),
                bytes,
                asked: (asked.entry, asked.gate),
                officers: Vec::new(),
                witnesses: Vec::new(),
            });
            if found.name != name {
                let twice = format!("{} is {}", path.join(name).display(), found.name);
                return Err(unsigned_for(&twice, "each request once"));
            }
            found.officers.extend(signed.officers);
            found.witnesses.extend(signed.witnesses);
        }
    }
    Ok(all)
}

/// Requests that no entry approves: each is the one that its side made at some time all the same, or
/// what it is instead where it was asked for.
#[derive(Default)]
struct IdleRequests(BTreeMap<Hash, Result<()>>);

impl IdleRequests {
    /// Computes those anew that were asked for where the side stood then.
    fn seek(&mut self, gates: &Gates, state: &State) {
        for (hash, found) in &gates.requests {
            if matches!(self.0.get(hash), Some(Ok(()))) {
                continue;
            }
            if let Some(asked) = gates.asked_here(state, found).transpose() {
                self.0.insert(*hash, asked);
            }
        }
    }

    fn stood(&mut self, hash: &Hash, found: &FiledRequest) -> Result<()> {
        self.0.remove(hash).unwrap_or_else(|| {
            let asked =
                format!("{} is asked for after an entry that is not in the log", found.name);
            Err(unsigned_for(&asked, "an entry of its side's log"))
        })
    }
}

/// The approvals of one side, in the order of its log.
struct Gates<'a> {
    plan: &'a Plan,
    log: &'a VerifiedLog,
    requests: BTreeMap<Hash, FiledRequest>,
}

impl Gates<'_> {
    fn walk(&self, verdict: &mut Verdict) -> Result<()> {
        let side = self.log.state.side;
        let (mut used, mut witnesses, mut missing) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut held = 0;
        // Only the request has the name that a cloud service has for its KEK.
        let mut kid = None;
        let mut idle = IdleRequests::default();
        self.log.walk(|state, entry| {
            let seq = entry.head.seq;
            idle.seek(self, state);
            if let Event::CloudExport(done) = &entry.event
                && let Some(kid) = kid.take()
            {
                return self.cloud_export(state, done, kid, seq);
            }
            let Event::Approval { gate, subject, request, signatures } = &entry.event else {
                return Ok(());
            };
            let Some(found) = self.requests.get(request) else {
                missing.push(format!(
                    "the request with SHA-256 {request}, which entry {seq} of the {side}'s log approves"
                ));
                return Ok(());
            };
            found.is_of(*gate)?;
            let file = (found.name.as_str(), found.bytes.as_slice());
            let asked = request_again(file, *gate, self.plan, Some(state))?;
            if asked.subject != *subject {
                let asks = format!("{} asks for what has SHA-256 {}", found.name, asked.subject);
                return Err(unsigned_for(&asks, &format!("what entry {seq} approves, {subject}")));
            }
            if *gate == Gate::Export {
                kid = asked.found.pointer("/subject").map(|subject| subject.get("kid").cloned());
            }
            signed(self.plan, found, signatures)?;
            held += 1;
            used.insert(*request);
            witnesses.extend(found.witnesses.iter().map(|one| &one.id));
            Ok(())
        })?;
        verdict.missing.extend(missing);
        if held > 0 {
            let by = self.plan.names_of("", witnesses);
            let witnessed = match by.is_empty() {
                true => String::new(),
                false => format!("; countersigned, not counted: {by}"),
            };
            verdict.holds.push(format!(
                "{held} acts of the {side}: each signed by enough of its officers, and what was done is what they signed for{witnessed}"
            ));
        }
        idle.seek(self, &self.log.state);
        for (hash, found) in &self.requests {
            if !used.contains(hash) {
                idle.stood(hash, found)?;
                let noted = format!("{side}: {} was asked for and not acted on", found.name);
                verdict.noted.push(noted);
            }
        }
        Ok(())
    }

    /// A request that was asked for where the side stood is the one that it makes there.
    fn asked_here(&self, state: &State, found: &FiledRequest) -> Result<Option<()>> {
        let (entry, gate) = found.asked;
        if entry != state.phase_entry.hash {
            return Ok(None);
        }
        found.is_of(gate)?;
        let asked = (found.name.as_str(), found.bytes.as_slice());
        request_again(asked, gate, self.plan, Some(state)).map(|_| Some(()))
    }

    fn cloud_export(
        &self,
        state: &State,
        done: &CloudExported,
        kid: Option<Value>,
        seq: u64,
    ) -> Result<()> {
        let kid = kid.and_then(|kid| kid.as_str().map(str::to_owned));
        let export = CloudExport::of(self.plan, state, done.format, done.fingerprint, kid);
        let (done, signed) = (subject_hash(&export)?, state.approvals.get(&Gate::Export));
        let signed = signed.map(|signed| signed.subject);
        if signed == Some(done) {
            return Ok(());
        }
        Err(unsigned_for(
            &format!("entry {seq}: an export of what has SHA-256 {done}"),
            &signed.map_or("nothing".into(), |subject| subject.to_string()),
        ))
    }
}

/// The signatures that the log names lie beside the request; that they are enough, reading the log
/// has told.
fn signed(plan: &Plan, found: &FiledRequest, recorded: &[Signed]) -> Result<()> {
    let there = |one: &&Signed| found.officers.contains(one) || found.witnesses.contains(one);
    let gone = recorded.iter().find(|one| !there(one)).map(|one| plan.name_of(&one.id));
    Rule::SignatureMissing.ensure(
        gone.is_none(),
        format!("{}: the signature of {} is not there", found.name, list(gone)),
        "every one that the log names",
        "find the signature files that the log names",
    )
}

/// A request that is the one that its side makes where it stood, or, where nothing is known of
/// that, of its own subject: it is computed anew, sentence and all.
///
/// # Errors
/// `DOCUMENT-FORMAT` for a file that is no request of its gate; `APPROVAL-SUBJECT`.
pub fn request_again(
    (name, bytes): (&str, &[u8]),
    gate: Gate,
    plan: &Plan,
    state: Option<&State>,
) -> Result<Recomputed> {
    let again = recompute(bytes, gate, plan, state).map_err(|error| form_error(name, &error))?;
    let again =
        again.ok_or_else(|| unsigned_for(name, "no such act: the log has not come to it"))?;
    match difference(&again.found, &again.expected)? {
        None => Ok(again),
        Some((field, said, expected)) => {
            let stood = if state.is_some() { ", from where the side stood" } else { "" };
            let expected = format!("{field} {expected}{stood}");
            Err(unsigned_for(&format!("{name}: {field} {said}"), &expected))
        }
    }
}

/// The error of a file that is not of its form.
pub fn form_error(name: &str, error: &serde_json::Error) -> Error {
    Rule::DocumentFormat.refuse(
        format!("{name}: {}", escape(&error.to_string())),
        "JSON with exactly the fields of its format",
        "copy it again from where it was made; sign nothing that cannot be read",
    )
}

/// The refusal of a request, or an act, that is not what its side asks officers for.
fn unsigned_for(found: &str, expected: &str) -> Error {
    let expected = format!("what officers signed for: {}", escape(expected));
    Rule::ApprovalSubject.refuse(escape(found), expected, UNSIGNED)
}

/// The name of the request of a gate that was placed as this one, from 1 on: `<nn>-<gate>.json`.
fn place(number: u32, gate: Gate) -> String {
    format!("{number:02}-{}.json", gate.name())
}

/// Which request of which gate this is, by its name.
fn placed(name: &str) -> Option<(u32, Gate)> {
    let (number, gate) = name.strip_suffix(".json")?.split_once('-')?;
    let (number, gate) = (number.parse().ok()?, gate.parse().ok()?);
    (number > 0 && place(number, gate) == name).then_some((number, gate))
}

/// Whether this is the name of a request.
pub fn is_request(name: &str) -> bool {
    placed(name).is_some()
}
