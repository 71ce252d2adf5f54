//! A whole ceremony, or what there is of it, verified from its documents: by anyone, anywhere,
//! without an HSM and without a share.

mod approvals;
mod archive;
mod contents;
pub mod counterpart;
mod documents;
mod evidence;
mod held;
mod logs;
mod published;
mod rest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::flow::Opened;
use crate::log::claims::CLAIMS;
use crate::log::{MAX_LOG, PlainImported, SourceDestroyed};
use crate::plan::{Custodian, MAX_PLAN};
use crate::service::NodeEvidence;
use crate::signature::{self, Namespace};
use crate::{
    Error, Event, Finding, Gate, Hash, Originals, PLAN_FILE, Plan, Program, Result, Rule,
    RuleOutcome, Side, Signed, TransferRoute, escape, folder, list, list_or,
};
pub use approvals::{form_error, request_again};
use archive::Archive;
use counterpart::VerifiedLog;
use documents::Documents;
use evidence::Folder;
pub use evidence::Holds;
use logs::Logs;

/// What an audit found. It exists only where nothing was found to be false.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// What was verified, each with what proves it.
    pub holds: Vec<String>,
    /// What rests on somebody's word.
    pub claims: Vec<String>,
    /// What is not there.
    pub missing: Vec<String>,
    /// What was waived, noted, repaired or refused.
    pub noted: Vec<String>,
    /// What is there and was not looked at, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// Whether a log says that the ceremony was aborted.
    pub aborted: bool,
}

impl Verdict {
    /// The verdict in one line: what it amounts to.
    pub fn headline(&self) -> String {
        let complete = if self.missing.is_empty() {
            "the record is complete"
        } else {
            "the record is not complete"
        };
        let aborted =
            if self.aborted { "ABORTED: this ceremony ended without its aim; " } else { "" };
        format!("{aborted}nothing false was found; {complete}; {} checks hold", self.holds.len())
    }

    /// The verdict for people.
    pub fn text(&self) -> String {
        let mut text = self.headline();
        for (title, lines) in [
            ("HOLDS", &self.holds),
            ("ONLY A CLAIM", &self.claims),
            ("MISSING", &self.missing),
            ("WAIVED AND NOTED", &self.noted),
            ("NOT LOOKED AT", &self.unread),
        ] {
            if title == "NOT LOOKED AT" && lines.is_empty() {
                continue;
            }
            text.push_str(&format!("\n\n{title}"));
            for line in lines {
                text.push_str(&format!("\n  - {}", escape(line)));
            }
            if lines.is_empty() {
                text.push_str("\n  (nothing)");
            }
        }
        text
    }
}

/// What the auditor has besides the folders.
#[derive(Debug, Default)]
pub struct Against {
    /// A plan that lies elsewhere.
    pub plan_file: Option<PathBuf>,
    /// The plan's hash, from paper.
    pub plan: Option<Hash>,
    /// The hash of a log's head, from paper.
    pub head: Option<Hash>,
}

/// What folders hold of one ceremony: read, each document whole, each log a chain.
pub struct Record {
    folders: Vec<Folder>,
    /// The plan.
    pub plan: Plan,
    /// Every document that is there.
    documents: Documents,
    /// Every piece of evidence that is there.
    evidence: BTreeMap<Hash, NodeEvidence>,
    /// The signatures over the plan, as each side's own record has them.
    agreed: BTreeMap<Side, Vec<Signed>>,
    logs: Logs,
}

impl Record {
    /// Reads a side's own ceremony folder, or its archive.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn own(folder: &Path, holds: Holds) -> Result<Self> {
        let own = Folder { path: folder.to_owned(), holds };
        // A side's own log is never refused for its length.
        Record::read(vec![own], None, u64::MAX - 1, &mut Verdict::default())
    }

    /// Reads folders, and says what is missing.
    fn read(
        folders: Vec<Folder>,
        plan: Option<&Path>,
        log_limit: u64,
        verdict: &mut Verdict,
    ) -> Result<Self> {
        let plan = the_plan(&folders, plan, verdict)?;
        let mut documents = Documents::read(&folders, &plan)?;
        let logs = Logs::read(&folders, &plan, &documents, log_limit, verdict)?;
        documents.settle(&plan, &logs, verdict)?;
        let evidence = documents.evidence(&folders, &logs)?;
        let mut agreed = BTreeMap::new();
        for (side, path) in folders.iter().filter_map(|one| one.own().zip(Some(&one.path))) {
            let files = signature::beside(&path.join(PLAN_FILE))?;
            let signed = signature::verify_plan(&plan, &files)?;
            agreed.entry(side).or_insert(signed);
        }
        Ok(Record { folders, plan, documents, evidence, agreed, logs })
    }

    /// The log of a side.
    pub fn log(&self, side: Side) -> Option<&VerifiedLog> {
        self.logs.of(side)
    }

    /// Holds every entry of a log against what is here, and says what of its sources is not.
    ///
    /// # Errors
    /// `LOG-SOURCE` for an entry that says other than its source; `APPROVAL-SUBJECT` for an act
    /// that nobody signed for; `DOCUMENT-…`, `EVIDENCE-…`, `SIGNATURE-…`, `ATTESTATION-…`.
    pub fn hold(&self, log: &VerifiedLog) -> Result<Vec<String>> {
        let mut verdict = Verdict::default();
        held::check(self, log, &mut verdict)?;
        approvals::check(&self.folders, &self.plan, log, &mut verdict)?;
        Ok(verdict.missing)
    }
}

/// Verifies what the folders hold. What somebody has on paper (the plan's hash, a head's hash)
/// anchors it.
///
/// # Errors
/// The rule of the first thing that is false.
pub fn verify(folders: &[PathBuf], against: &Against) -> Result<Verdict> {
    let mut folders: Vec<Folder> =
        folders.iter().map(|folder| Folder::find(folder)).collect::<Result<_>>()?;
    let mut verdict = Verdict::default();
    let below: Vec<Vec<Folder>> = folders.iter().map(Folder::archives).collect::<Result<_>>()?;
    folders.extend(below.into_iter().flatten());
    // What an archive holds is unchanged, or nothing else of it is looked at.
    let mut archives = Vec::new();
    for one in &folders {
        archives.extend(Archive::find(one, &mut verdict)?);
    }
    let record = Record::read(folders, against.plan_file.as_deref(), MAX_LOG, &mut verdict)?;
    let Record { folders, plan, documents, logs, .. } = &record;
    contents::check(documents, plan, logs, &mut verdict)?;
    published::check(documents, plan, &mut verdict)?;
    for log in logs.all() {
        held::check(&record, log, &mut verdict)?;
        approvals::check(folders, plan, log, &mut verdict)?;
    }
    for archive in &archives {
        archive.check(plan, &mut verdict)?;
    }
    rest::check(folders, logs, &mut verdict)?;
    anchor(plan, logs, against, &mut verdict)?;
    verdict.aborted = logs.aborted();
    say_claims(plan, logs, &mut verdict);
    if logs.of(Side::Hoster).is_none() {
        let unpassed = record.evidence.values().filter_map(|one| one.statement.unpassed_line());
        let unsigned = |line| format!("{line}; whether officers signed for it, no log here says");
        verdict.noted.extend(unpassed.map(unsigned));
    }
    logs.all().try_for_each(|log| say_entries(plan, log, &mut verdict))?;
    Ok(verdict)
}

/// The plan, the same wherever it lies. A side's own record has it, signed by enough officers of
/// both sides.
fn the_plan(evidence: &[Folder], elsewhere: Option<&Path>, verdict: &mut Verdict) -> Result<Plan> {
    let within = evidence.iter().map(|one| (one.path.join(PLAN_FILE), one.own().is_some()));
    let within = within.filter(|(path, own)| *own || path.exists());
    let elsewhere = elsewhere.map(|path| (path.to_owned(), false));
    let mut plan: Option<Plan> = None;
    for (path, own) in within.chain(elsewhere) {
        let found = Plan::parse(folder::read_file(&path, MAX_PLAN)?)?;
        let files = signature::beside(&path)?;
        let enough = signature::verify_plan(&found, &files);
        let signed = match (&enough, own) {
            (Err(_), false) => {
                let any = signature::verify_any(&found, Namespace::Plan, found.bytes(), &files)?;
                verdict.missing.push(format!("enough signatures over the plan {}", path.display()));
                any
            }
            _ => enough?,
        };
        let (shown, hash) = (path.display(), found.hash());
        let other = plan.as_ref().map_or(hash, Plan::hash);
        Rule::PlanChanged.ensure(
            hash == other,
            format!("{shown} has SHA-256 {hash}"),
            format!("the plan of the other folder, {other}"),
            "verify folders of one ceremony at a time",
        )?;
        if !signed.is_empty() {
            let by = contents::names(&found, &signed);
            verdict.holds.push(format!("{shown}: the plan is signed by {by}"));
        }
        plan = Some(found);
    }
    plan.ok_or_else(|| {
        let remedy = Program::Audit.line("verify FOLDER --plan PLAN").to_string();
        Error::usage("no plan: what is signed by whom can't be told without it", remedy)
    })
}

/// What somebody wrote down on paper ties the record to the day.
fn anchor(plan: &Plan, logs: &Logs, against: &Against, verdict: &mut Verdict) -> Result<()> {
    match against.plan {
        Some(expected) => {
            Rule::PlanChanged.ensure(
                expected == plan.hash(),
                format!("a plan with SHA-256 {}", plan.hash()),
                format!("the one expected, {expected}"),
                "check the paper record, and whose ceremony this is",
            )?;
            verdict.holds.push(format!("the plan is the one expected, {expected}"));
        }
        None => verdict.claims.push(
            "internally consistent, signers not anchored: give --expect-plan from the paper record"
                .into(),
        ),
    }
    match against.head {
        Some(expected) => {
            let ends = logs.ends().map(|(side, head)| format!("{side} {head}"));
            Rule::LogChain.ensure(
                logs.ends().any(|(_, head)| head == expected),
                format!("logs that end with {}", list_or("nothing: there are none", ends)),
                format!("one that ends with {expected}"),
                "check the paper record; entries may have been cut off or added",
            )?;
            verdict.holds.push(format!("a log ends with the head expected, {expected}"));
        }
        None => {
            verdict.claims.push("no head anchored: give --expect-head from the paper record".into())
        }
    }
    Ok(())
}

fn say_claims(plan: &Plan, logs: &Logs, verdict: &mut Verdict) {
    verdict.claims.extend(
        [
            "what tokens say of themselves and of their keys' attributes, beyond what a vendor attests",
            "that the KEK has no clone or backup, and that its destruction reached every copy",
            "what machines said of themselves (preflight)",
            "the clocks: order comes from the chains, times are what machines said",
            "that a node is the machine its name says",
            "who opened the seal, who held a custodian's identity, and who stood in the room",
        ]
        .map(str::to_owned),
    );
    if plan.way == TransferRoute::Born {
        let born = "that the keys were born in the hoster's HSM and cannot leave it: CKA_LOCAL and CKA_NEVER_EXTRACTABLE are its module's word";
        verdict.claims.push(born.into());
    }
    say_source(logs, verdict);
    for waiver in &plan.waivers {
        verdict.noted.push(format!("waived {}: {}", waiver.rule.name(), waiver.reason));
    }
    if (logs.of(Side::Tenant)).is_some_and(|log| log.state.trusted_left()) {
        let left = "tenant: the log does not say that the trusted KEK was removed from its token";
        verdict.noted.push(left.into());
    }
    for (side, seq, event) in logs.remarks() {
        let what = match event {
            Event::Rollback { .. } => {
                "the former keys became primary again: a registration before it is true no more"
                    .into()
            }
            Event::Note { remark } => remark.line(),
            Event::Repair { bytes, .. } => format!("a torn last line of {bytes} bytes was mended"),
            Event::Refusal { rule, found } => format!("refused by {}: {found}", rule.name()),
            Event::Restart { attempt, reason } => format!("attempt {attempt} begins: {reason}"),
            Event::Abort { reason, left } => {
                let left = list_or("nothing", left);
                format!("ABORTED: {reason}; left in the HSM: {left}")
            }
            Event::Approval { gate: Gate::PinTry, .. } => {
                "officers signed for one more try of a PIN".into()
            }
            Event::Approval { gate: Gate::Deviation, .. } => "officers signed a deviation".into(),
            Event::Evidence { node, stage, unpassed, .. } if !unpassed.is_empty() => format!(
                "evidence {stage} of {node} was taken although the service's own diagnostics do not pass: {}",
                unpassed.join("; ")
            ),
            Event::Preflight { findings } => match broken(findings) {
                Some(broken) => format!("preflight: {broken}"),
                None => continue,
            },
            _ => continue,
        };
        verdict.noted.push(format!("{side}, entry {seq}: {what}"));
    }
}

/// How often each claim stands in a log, by `event.field`, where the plan and the entries before it
/// leave it open; so does what is a claim within a field that is none.
///
/// # Errors
/// As [`VerifiedLog::walk`].
pub fn claims(plan: &Plan, log: &VerifiedLog) -> Result<BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    let mut count = |name: &str, field: &str, times| {
        *all.entry(format!("{name}.{field}")).or_default() += times;
    };
    let exports = |event: &Event| {
        matches!(event, Event::Approval { gate: Gate::Export, .. } | Event::Export { .. })
    };
    let last = log.entries.iter().rposition(|entry| exports(&entry.event));
    let deputies = plan.quorum.custodians.iter().any(Custodian::has_deputy);
    log.walk(|state, entry| {
        let (event, name) = (&entry.event, entry.event.name());
        let cut_off = state.pending.is_some() && matches!(event, Event::Intent { .. });
        count("intent", "step", usize::from(cut_off));
        let fields = CLAIMS.iter().filter(|(of, _)| *of == name).flat_map(|(_, fields)| *fields);
        for field in fields {
            let open = match (name, *field) {
                ("init", "superseded") => plan.supersedes.is_some(),
                ("keys-create", "token") => state.side == Side::Tenant,
                ("kek-destroy", "keys") => state.aborted.is_some(),
                (_, "deputy" | "deputies") => deputies,
                _ => true,
            };
            count(name, field, usize::from(open));
        }
        if let Event::KeysCreate { keys, .. }
        | Event::Import { keys, .. }
        | Event::ImportPlain(PlainImported { keys, .. }) = event
        {
            if state.made_all(event).is_none() {
                count(name, "keys.made", keys.len());
            }
            let shown = last.is_some_and(|last| log.entries[last].head.seq > entry.head.seq);
            if state.side == Side::Tenant && !shown {
                count(name, "keys.spki", keys.len());
                count(name, "keys.certificate", keys.len());
            }
        }
        Ok(())
    })?;
    count("intent", "step", usize::from(log.state.pending.is_some()));
    all.retain(|_, times| *times > 0);
    Ok(all)
}

/// What of a log only its writer says, and what is odd about it.
fn say_entries(plan: &Plan, log: &VerifiedLog, verdict: &mut Verdict) -> Result<()> {
    let side = log.state.side;
    let claims = claims(plan, log)?;
    let count = log.entries.len() + claims.values().sum::<usize>();
    let claims = list_or("nothing else", claims.iter().map(|(field, n)| format!("{field} {n}")));
    verdict.claims.push(format!(
        "{count} fields of the {side}'s log, which nothing else on record determines: time {}, {claims}",
        log.entries.len()
    ));
    for (before, after) in log.entries.iter().zip(log.entries.iter().skip(1)) {
        if after.time < before.time {
            verdict.noted.push(format!(
                "{side}, entry {}: its clock went back, from {} to {}",
                after.head.seq, before.time, after.time
            ));
        }
    }
    let threshold = usize::from(plan.quorum.threshold);
    log.walk(|state, entry| {
        let Event::Import { keys, .. } = &entry.event else { return Ok(()) };
        let again = |quorum: &Opened| quorum.open && quorum.earlier >= threshold;
        if state.quorum.as_ref().is_some_and(again) && keys.iter().all(|key| !key.made) {
            verdict.noted.push(format!("{side}, entry {}: a quorum came again, and no key was made: the HSM had them all, and showed them late", entry.head.seq));
        }
        Ok(())
    })?;
    let quorums = log.events().filter_map(|(seq, event)| match event {
        Event::Quorum { spent, .. } => Some((seq, spent)),
        _ => None,
    });
    let opened = log.state.quorum.as_ref();
    let in_vain = quorums.flat_map(|(seq, spent)| spent.iter().map(move |id| (id, seq)));
    let in_vain = in_vain.filter(|(id, _)| opened.is_none_or(|quorum| !quorum.spent.contains(id)));
    for (id, seq) in in_vain.collect::<BTreeMap<_, _>>() {
        let name = plan.name_of(id);
        verdict.noted.push(format!(
            "{side}, entry {seq}: the identity of {name} was opened and is spent; no receipt names it"
        ));
    }
    Ok(())
}

/// What became of the tenant's originals.
fn say_source(logs: &Logs, verdict: &mut Verdict) {
    for (side, seq, event) in logs.remarks() {
        let said = match event {
            Event::SourceDestroy(SourceDestroyed { keys, backup, .. }) => {
                verdict.claims.push("that no backup or clone of the tenant's HSM still holds the originals, and that the hoster's backups are as it says".into());
                format!(
                    "the tenant's originals were destroyed, found and gone: {}; of its backups the hoster says: {backup}",
                    list(keys)
                )
            }
            Event::Close { source: Some(Originals::Keep), .. } => {
                "the tenant's originals stay in its HSM, as the plan says".to_owned()
            }
            _ => continue,
        };
        verdict.noted.push(format!("{side}, entry {seq}: {said}"));
    }
}

/// What a preflight found broken, in one line.
fn broken(findings: &[Finding]) -> Option<String> {
    let broken = findings.iter().filter(|finding| finding.outcome != RuleOutcome::Holds);
    let line = |Finding { rule, found, outcome }: &Finding| {
        format!("{} {} ({found})", rule.name(), outcome.shown())
    };
    let lines: Vec<String> = broken.map(line).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
