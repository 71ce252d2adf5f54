//! The gates: every approval that a side's log names was asked for and signed, and the act that
//! followed is exactly what the officers signed for.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use crate::{
    Error, Result,
    encoding::Hash,
    escape::escape,
    folder,
    gate::{
        MAX_REQUEST, Nodes, PinTry, Primary, Request, Rollback, Unconfirmed, WrongBags,
        subject_hash,
    },
    layout::APPROVALS,
    log::Event,
    plan::Plan,
    rule::Rule,
    signature::{self, Namespace, SignatureFile, Signed, signer_of},
    terms::{FORMAT, Gate, Id, Kind, Side, TransferRoute, list},
    verify::{
        Verdict,
        acts::RequestedAct,
        counterpart::{RequestPlace, VerifiedLog},
        documents::Documents,
        evidence::Folder,
        logs::Logs,
    },
};

/// A request as it lies in a folder, with who signed it.
struct Found {
    name: String,
    bytes: Vec<u8>,
    officers: Vec<Signed>,
    witnesses: Vec<Signed>,
}

/// Checks the approvals of every side whose own record is there, and says of the others that it is
/// not.
///
/// # Errors
/// `APPROVAL-SUBJECT`, `SIGNATURE-…`, `DOCUMENT-…`, `SHARE-UNCONFIRMED`.
pub fn check(
    evidence: &[Folder],
    plan: &Plan,
    logs: &Logs,
    documents: &Documents,
    verdict: &mut Verdict,
) -> Result<()> {
    for (side, log) in logs.sides() {
        if side == Side::Tenant {
            confirmations(plan, log, verdict)?;
        }
        let own: Vec<&Folder> = (evidence.iter()).filter(|one| one.own() == Some(side)).collect();
        let approved = (log.remarks.iter())
            .filter(|(_, event)| matches!(event, Event::Approval { .. }))
            .count();
        if own.is_empty() && approved > 0 {
            verdict.missing.push(format!(
                "the requests that officers of the {side} signed: {approved} approvals rest on its log"
            ));
        }
        if !own.is_empty() {
            let requests = requests(&own, plan, side)?;
            Gates { plan, side, log, documents, requests }.walk(verdict)?;
        }
    }
    Ok(())
}

/// A package leaves with every custodian's confirmation; or with one more than a quorum needs, and
/// a deviation for the rest, which the log's own rules demand already.
fn confirmations(plan: &Plan, log: &VerifiedLog, verdict: &mut Verdict) -> Result<()> {
    let (all, enough) = (plan.quorum.custodians.len(), usize::from(plan.quorum.threshold) + 1);
    let mut confirmed: BTreeSet<&Id> = BTreeSet::new();
    for (seq, event) in &log.remarks {
        match event {
            Event::Export { .. } => confirmed.clear(),
            Event::ShareConfirm { custodian, .. } => {
                confirmed.insert(custodian);
            }
            Event::Release { kind, .. } if *kind == Kind::Package && confirmed.len() < all => {
                let found = format!(
                    "entry {seq}: the package is released with {} of {all} confirmations",
                    confirmed.len()
                );
                if confirmed.len() < enough {
                    return Err(Rule::ShareUnconfirmed.refuse(
                        found,
                        format!("at least {enough}, and a deviation for the rest"),
                        "ask the tenant which custodians hold a share that was checked",
                    ));
                }
                verdict
                    .noted
                    .push(format!("tenant, {found}; officers signed a deviation for the rest"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every request of a side's own record, by its SHA-256, each with valid signatures only.
fn requests(own: &[&Folder], plan: &Plan, side: Side) -> Result<BTreeMap<Hash, Found>> {
    let mut all: BTreeMap<Hash, Found> = BTreeMap::new();
    for one in own {
        let path = one.path.join(APPROVALS);
        if !path.exists() {
            continue;
        }
        let known = |name: &str| name.ends_with(".json") || name.ends_with(".sig");
        let files = folder::read_folder(&path, |name| known(name).then_some(MAX_REQUEST))?;
        let (requests, signatures): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(name, _)| name.ends_with(".json"));
        let of = |name: &str| requests.iter().any(|(file, _)| signer_of(name, file).is_some());
        if let Some((name, _)) = signatures.iter().find(|(name, _)| !of(name)) {
            return Err(folder::surplus_error(&path, name));
        }
        for (name, bytes) in requests {
            let beside: Vec<SignatureFile> = (signatures.iter())
                .filter_map(|(file, bytes)| {
                    Some(SignatureFile {
                        signer: signer_of(file, &name)?.to_owned(),
                        bytes: bytes.clone(),
                    })
                })
                .collect();
            let signed = signature::verify(plan, side, Namespace::Approval, &bytes, &beside)?;
            let found = all.entry(Hash::of(&bytes)).or_insert(Found {
                name,
                bytes,
                officers: Vec::new(),
                witnesses: Vec::new(),
            });
            found.officers.extend(signed.officers);
            found.witnesses.extend(signed.witnesses);
        }
    }
    Ok(all)
}

/// The approvals of one side, in the order of its log.
struct Gates<'a> {
    plan: &'a Plan,
    side: Side,
    log: &'a VerifiedLog,
    documents: &'a Documents,
    requests: BTreeMap<Hash, Found>,
}

impl Gates<'_> {
    fn walk(&self, verdict: &mut Verdict) -> Result<()> {
        let mut standing: BTreeMap<Gate, RequestedAct> = BTreeMap::new();
        let (mut held, mut used, mut witnesses) = (0, BTreeSet::new(), BTreeSet::new());
        for (seq, event) in &self.log.remarks {
            if let Event::Approval { gate, subject, request, signatures } = event {
                let Some(found) = self.requests.get(request) else {
                    verdict.missing.push(format!(
                        "the request with SHA-256 {request}, which entry {seq} of the {}'s log approves",
                        self.side
                    ));
                    standing.remove(gate);
                    continue;
                };
                standing.insert(*gate, self.approval(*seq, *gate, *subject, found)?);
                self.signed(found, signatures)?;
                held += 1;
                used.insert(*request);
                witnesses.extend(found.witnesses.iter().map(|one| one.id.as_str()));
            } else if let Some(asked) = gate_of(event).and_then(|gate| standing.get(&gate)) {
                asked.fits(event, self.plan, self.log, self.documents).map_err(
                    |(found, expected)| subject(&format!("entry {seq}: {found}"), &expected),
                )?;
            }
        }
        if held > 0 {
            let witnessed = match witnesses.is_empty() {
                true => String::new(),
                false => format!("; countersigned, not counted: {}", list(witnesses)),
            };
            verdict.holds.push(format!(
                "{held} acts of the {}: each signed by enough of its officers, and what was done is what they signed for{witnessed}",
                self.side
            ));
        }
        for (hash, found) in &self.requests {
            if !used.contains(hash) {
                verdict
                    .noted
                    .push(format!("{}: {} was asked for and not acted on", self.side, found.name));
            }
        }
        Ok(())
    }

    /// The request is of this ceremony, was made where the log says that its side stood, and asks
    /// for what it approves.
    fn approval(
        &self,
        seq: u64,
        gate: Gate,
        approved: Hash,
        found: &Found,
    ) -> Result<RequestedAct> {
        let (asked, hash) = match gate {
            Gate::Export if self.plan.way == TransferRoute::Cloud => {
                self.request(gate, found, RequestedAct::CloudExport)?
            }
            Gate::Export => self.request(gate, found, RequestedAct::Export)?,
            Gate::Import if self.plan.way == TransferRoute::Brought => {
                self.request(gate, found, RequestedAct::ImportPlain)?
            }
            Gate::Import => self.request(gate, found, RequestedAct::Import)?,
            // That the act is what was signed for, the log's own rules demand.
            Gate::Primary => self.request(gate, found, |_: Primary| RequestedAct::Other)?,
            Gate::Rollback => self.request(gate, found, |_: Rollback| RequestedAct::Other)?,
            Gate::Nodes => self.request(gate, found, |_: Nodes| RequestedAct::Other)?,
            Gate::KekDestroy => self.request(gate, found, RequestedAct::KekDestroy)?,
            Gate::KeysDestroy => self.request(gate, found, RequestedAct::KeysDestroy)?,
            Gate::SourceDestroy => self.request(gate, found, RequestedAct::SourceDestroy)?,
            Gate::Restart => self.request(gate, found, RequestedAct::Restart)?,
            Gate::Abort => self.request(gate, found, RequestedAct::Abort)?,
            Gate::PinTry => self.request(gate, found, |_: PinTry| RequestedAct::Other)?,
            Gate::Deviation => self
                .request(gate, found, |_: Unconfirmed| RequestedAct::Other)
                .or_else(|_| self.request(gate, found, |_: WrongBags| RequestedAct::Other))?,
        };
        if hash.subject != approved {
            return Err(subject(
                &format!("{} asks for what has SHA-256 {}", found.name, hash.subject),
                &format!("what entry {seq} approves, {approved}"),
            ));
        }
        match self.log.asked.get(&seq) {
            Some(at) if *at == hash.at => Ok(asked),
            at => Err(subject(
                &format!("{} was made {}", found.name, hash.at),
                &match at {
                    Some(at) => format!("where the side stood before entry {seq}, {at}"),
                    None => format!("no request: entry {seq} approves nothing"),
                },
            )),
        }
    }

    fn request<S: DeserializeOwned + serde::Serialize>(
        &self,
        gate: Gate,
        found: &Found,
        asked: impl FnOnce(S) -> RequestedAct,
    ) -> Result<(RequestedAct, Said)> {
        let request: Request<S> = serde_json::from_slice(&found.bytes).map_err(|error| {
            Rule::DocumentFormat.refuse(
                format!("{}: {}", found.name, escape(&error.to_string())),
                format!("a request of the gate {}", gate.name()),
                "copy it again from its side's folder",
            )
        })?;
        let plan = self.plan;
        let said = (&*request.format, &request.ceremony, request.mode);
        let meant = (FORMAT, &plan.ceremony, plan.mode);
        if said != meant
            || request.side != self.side
            || request.plan_hash != plan.hash()
            || request.gate != gate
        {
            return Err(subject(
                &format!("{} is of another ceremony, side or gate", found.name),
                &format!(
                    "a request of the gate {} of the {} under this plan",
                    gate.name(),
                    self.side
                ),
            ));
        }
        let said = Said {
            subject: subject_hash(&request.subject)?,
            at: RequestPlace { entry: request.entry, attempt: request.attempt },
        };
        Ok((asked(request.subject), said))
    }

    /// The signatures that the log names lie beside the request, and enough of them are officers'.
    fn signed(&self, found: &Found, recorded: &[Signed]) -> Result<()> {
        let there = |one: &&Signed| found.officers.contains(one) || found.witnesses.contains(one);
        let officers: BTreeSet<&Id> = (found.officers.iter())
            .filter(|one| recorded.contains(one))
            .map(|one| &one.id)
            .collect();
        let needed = self.plan.party(self.side).approvals;
        if recorded.iter().all(|one| there(&one)) && officers.len() >= needed {
            return Ok(());
        }
        Err(Rule::SignatureMissing.refuse(
            format!(
                "{}: {} of the signatures that the log names are officers' and there",
                found.name,
                officers.len()
            ),
            format!("every one that the log names, {needed} officers' among them"),
            "find the signature files that the log names",
        ))
    }
}

/// What a request says that is held against the log.
struct Said {
    subject: Hash,
    at: RequestPlace,
}

/// The gate whose approval this entry acts on.
fn gate_of(event: &Event) -> Option<Gate> {
    event.step().and_then(crate::terms::Step::gate)
}

fn subject(found: &str, expected: &str) -> Error {
    Rule::ApprovalSubject.refuse(
        escape(found),
        format!("what officers signed for: {}", escape(expected)),
        "ask the side what was done on whose word; compare its requests with its documents and log",
    )
}

/// Whether this is the name of a request, `<nn>-<gate>.json`.
pub fn is_request(name: &str) -> bool {
    let gate = |gate: &str| {
        serde_json::from_value::<Gate>(serde_json::Value::String(gate.to_owned())).is_ok()
    };
    let number =
        |number: &str| number.len() >= 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    let stem = name.strip_suffix(".json");
    stem.and_then(|stem| stem.split_once('-')).is_some_and(|(count, of)| number(count) && gate(of))
}
