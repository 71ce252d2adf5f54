//! Every entry of a log, held against what it repeats: the plan, the documents, the evidence of
//! nodes, the requests and signatures of people, and the entries before it. What is left is a claim.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::document::Header;
use crate::document::acceptance::Acceptance;
use crate::document::attestation::Attested;
use crate::document::closing::Closing;
use crate::document::package::Package;
use crate::document::registration::Registration;
use crate::flow::replay::untrusted;
use crate::flow::results::ShownBefore;
use crate::flow::subjects;
use crate::gate::{KekDestroy, KeysDestroy};
use crate::layout::KEYS;
use crate::log::{ChangedShare, KeyRecord, PlainImported, SourceDestroyed};
use crate::plan::Custodian;
use crate::proof::key_set::certificate_file;
use crate::service::{Brief, EvidenceContext, NodeEvidence, same_former};
use crate::spki::{MAX_CERTIFICATE, TargetCertificate};
use crate::verify::counterpart::VerifiedLog;
use crate::verify::documents::Documents;
use crate::verify::{Holds, Record, Verdict};
use crate::{
    AttestationLevel, Entry, Error, Event, Hash, Id, KeySet, Kind, Originals, Phase, ReadBack,
    Received, Result, Rule, RuleOutcome, ServicePlan, Side, Signed, State, Step, TokenIdentity,
    escape, folder, json, list, list_or,
};

/// Holds every entry of a log, and names the evidence, and what was given up, that is not here.
///
/// # Errors
/// `LOG-SOURCE` for an entry that says other than its source; `APPROVAL-SUBJECT` for an act that
/// nobody signed for; `DOCUMENT-…`, `EVIDENCE-…`, `SIGNATURE-…`, `ATTESTATION-…`.
pub fn check(record: &Record, log: &VerifiedLog, verdict: &mut Verdict) -> Result<()> {
    log.walk(|state, entry| At { record, state, entry }.hold())?;
    Kind::ALL.into_iter().try_for_each(|kind| recorded(record, kind, log))?;
    let side = log.state.side;
    let proved = log.events().filter_map(|(seq, event)| match event {
        Event::Evidence { node, evidence, .. } => Some((seq, node, evidence)),
        _ => None,
    });
    let gone = proved.filter(|(_, _, hash)| !record.evidence.contains_key(hash));
    verdict.missing.extend(gone.map(|(seq, node, hash)| {
        format!("the evidence of {node} with SHA-256 {hash}, which entry {seq} of the {side}'s log names")
    }));
    for left in &log.state.abandoned {
        let (kind, hash, attempt) = (left.kind, left.hash, left.attempt);
        let gone = format!("the {kind} {hash} of attempt {attempt}, which was given up");
        if record.documents.header(kind, hash).is_none() && !verdict.missing.contains(&gone) {
            verdict.missing.push(gone);
        }
    }
    if log.state.phase != Phase::Closed || log.state.changed_since {
        verdict.missing.push(format!("the end of the {side}'s log: it is not closed there"));
    }
    Ok(())
}

/// What the log names of this kind in the end is the document that counts.
fn recorded(record: &Record, kind: Kind, log: &VerifiedLog) -> Result<()> {
    let (state, documents) = (&log.state, &record.documents);
    let recorded = match state.side == kind.side() {
        true => state.made.get(&kind).map(|made| made.hash),
        false => state.taken.get(&kind).copied(),
    };
    let given_up = |hash: Hash| {
        documents.is_given_up(hash) || state.abandoned.iter().any(|left| left.hash == hash)
    };
    match recorded.zip(documents.hash(kind)) {
        // One side has begun again, and the other has not followed.
        Some((recorded, hash)) if given_up(recorded) || given_up(hash) => Ok(()),
        Some((recorded, hash)) => Rule::DocumentHash.ensure(
            recorded == hash,
            format!("the {kind} has SHA-256 {hash}"),
            format!("the one in the log of the {}, {recorded}", state.side),
            EXCHANGED,
        ),
        None => Ok(()),
    }
}

/// What to do about an act that nobody signed for.
pub const UNSIGNED: &str =
    "ask the side what was done on whose word; compare its requests with its documents and log";
/// What to do about a document and a log that do not fit.
const EXCHANGED: &str =
    "the document or the log was exchanged: compare with the other side's copies";

/// What is read back of a KEK that the tenant's HSM trusts (PKCS#11 v3.1, 4.8).
const TRUSTED: &[(&str, &str)] = &[
    ("CKA_TOKEN", "true"),
    ("CKA_PRIVATE", "false"),
    ("CKA_ENCRYPT", "false"),
    ("CKA_VERIFY", "false"),
    ("CKA_VERIFY_RECOVER", "false"),
    ("CKA_WRAP", "true"),
    ("CKA_DERIVE", "false"),
    ("CKA_TRUSTED", "true"),
];

/// An entry, and the state that it was written in.
struct At<'a> {
    record: &'a Record,
    state: &'a State,
    entry: &'a Entry,
}

impl At<'_> {
    fn hold(&self) -> Result<()> {
        let event = &self.entry.event;
        self.signatures()?;
        self.custodians()?;
        self.token()?;
        self.act()?;
        if let Some(expected) = self.expected()? {
            self.same("what it repeats", event, &expected)?;
        }
        self.document()
    }

    /// The same entry, made anew from its sources and its own claims; absent where a source is not
    /// here, or nothing is repeated.
    fn expected(&self) -> Result<Option<Event>> {
        let (plan, state) = (&self.record.plan, self.state);
        let mut expected = self.entry.event.clone();
        match &mut expected {
            Event::Init { side, signatures, version, superseded, trial, .. } => {
                let shown = ShownBefore { superseded: *superseded, trial: *trial };
                expected = Event::init(plan, *side, signatures.clone(), version, shown);
            }
            Event::KekTrust { token, attributes, .. } => {
                expected = Event::kek_trust(plan, state, token.clone(), attributes.clone())?;
            }
            Event::CloudExport(done) => {
                self.plans_keys(done.files.iter().map(|file| &file.label))?;
                done.observed.oaep_hash = plan.transfer.oaep_hash;
                if let ServicePlan::Cloud(format) = plan.target {
                    done.format = format;
                }
            }
            Event::ShareReissue { custodian, file } => {
                let dealt = state.shares.iter().find(|share| share.custodian == *custodian);
                let none = || self.differs("a share that was not dealt", "one that was");
                *file = dealt.ok_or_else(none)?.file;
            }
            Event::Register { brief, .. } => {
                let told = self.brief()?.map(|(brief, _)| brief.hash()).transpose()?;
                expected = Event::register(plan, told.unwrap_or(*brief));
            }
            Event::Evidence { evidence, .. } => {
                return Ok(self.record.evidence.get(evidence).map(Event::evidence));
            }
            Event::KekDestroy { fingerprint, .. } => *fingerprint = state.kek_made()?.fingerprint,
            Event::Close { closing, .. } => {
                expected = Event::close(plan, state, self.entry.head.seq, *closing);
            }
            Event::KeysCreate { keys, .. } => {
                self.plans_keys(keys.iter().map(|key| &key.label))?;
                self.certified(keys)?;
                if state.side == Side::Tenant && plan.trusted_only() && state.kek.is_none() {
                    return Err(untrusted("keys create"));
                }
                return self.by_documents();
            }
            _ => return self.by_documents(),
        }
        Ok(Some(expected))
    }

    /// These are the plan's keys, in its order.
    fn plans_keys<'k>(&self, labels: impl Iterator<Item = &'k Id> + Clone) -> Result<()> {
        let planned = self.record.plan.keys.iter().map(|key| &key.label);
        let same = planned.clone().eq(labels.clone());
        let expected = format!("the plan's keys, in its order: {}", list(planned));
        self.ensure(same, &format!("the keys {}", list(labels)), &expected)
    }

    /// A key whose certificate lies in its side's folder is the one of that certificate.
    fn certified(&self, keys: &[KeyRecord]) -> Result<()> {
        let own = Holds::Ceremony(self.state.side);
        for folder in self.record.folders.iter().filter(|one| one.holds == own) {
            for key in keys {
                let path = folder.path.join(KEYS).join(certificate_file(&key.label));
                if path.exists() {
                    let der = folder::read_file(&path, MAX_CERTIFICATE)?;
                    let found = TargetCertificate::parse(&der, key.label.as_str())?;
                    let made = KeyRecord::of(&key.label, found.spki(), &der, key.made);
                    self.same(&path.display().to_string(), key, &made)?;
                }
            }
        }
        Ok(())
    }

    /// The same, of an entry that repeats what documents say.
    fn by_documents(&self) -> Result<Option<Event>> {
        let Record { plan, documents, .. } = self.record;
        macro_rules! found {
            ($kind:ident, $hash:expr) => {
                match documents.$kind.by_hash($hash) {
                    Some(found) => found,
                    None => return Ok(None),
                }
            };
        }
        Ok(Some(match &self.entry.event {
            Event::KekCreate { document, .. } => {
                let offer = found!(offer, *document);
                Event::kek_create(*document, offer.body(), self.attested(offer)?)
            }
            Event::OfferCheck { document, signatures, .. } => {
                let offer = found!(offer, *document);
                Event::offer_check(offer, self.attested(offer)?, signatures.clone())
            }
            Event::KeysCreate { document: Some(document), keys, .. } => {
                let born = found!(keys, *document);
                let (attested, made) = (self.attested(born)?, self.made(keys));
                Event::keys_born(*document, born.body(), (attested, &made))
            }
            Event::KeysCheck { document, taken, signatures, .. } => {
                let (challenge, keys) = (found!(challenge, *document), found!(keys, *taken));
                let (body, attested) = (challenge.body(), self.attested(keys)?);
                Event::keys_check(*document, body, keys, attested, signatures.clone())
            }
            Event::Answer { document, challenge, signatures, .. } => {
                let receipt = found!(receipt, *document);
                let challenge = found!(challenge, *challenge);
                Event::answer(*document, receipt.body(), challenge, signatures.clone())
            }
            Event::Export { document, .. } => {
                Event::export(plan, *document, found!(package, *document).body())
            }
            Event::ImportPlain(PlainImported { document, keys, wrapped, .. }) => {
                let held = found!(keys, *document);
                let kek = self.state.kek_made()?.fingerprint;
                let (attested, made) = (self.attested(held)?, self.made(keys));
                let (body, wrapped) = (held.body(), wrapped.clone());
                Event::import_plain(*document, body, (attested, &made), kek, wrapped)
            }
            Event::PackageCheck { document, signatures, .. } => {
                Event::package_check(found!(package, *document), signatures.clone())
            }
            Event::Import { document, keys, .. } => {
                let receipt = found!(receipt, *document);
                let package = found!(package, self.state.document(Kind::Package)?);
                Event::import(*document, receipt.body(), package.body(), &self.made(keys))
            }
            Event::Accept { document, registration, signatures, .. } => {
                let acceptance = found!(acceptance, *document);
                Event::accept(*document, acceptance.body(), *registration, signatures.clone())
            }
            Event::SourceDestroy(SourceDestroyed { closing, token, keys, signatures, .. }) => {
                let closing = found!(closing, *closing);
                let (keys, signed) = (keys.clone(), signatures.clone());
                let gone = Event::source_destroy(closing, token.clone(), keys, signed);
                gone.ok_or_else(|| {
                    self.differs("what the hoster says of backups", "a closing that says it")
                })?
            }
            _ => return Ok(None),
        }))
    }

    /// Whether each key was made by this step, as far as the log determines it.
    fn made(&self, said: &[KeyRecord]) -> Vec<bool> {
        let all = self.state.made_all(&self.entry.event);
        let said = |at: usize| said.get(at).is_some_and(|key| key.made);
        (0..self.record.plan.keys.len()).map(|at| all.unwrap_or_else(|| said(at))).collect()
    }

    /// The level of attestation that this document reaches at the time of the entry.
    fn attested<B: Attested>(&self, document: &Received<B>) -> Result<AttestationLevel> {
        Ok(document.attested(&self.record.plan, self.entry.time)?.level)
    }

    /// The keys that must be proven, and what every node is told of them.
    fn brief(&self) -> Result<Option<(Brief, KeySet)>> {
        let state = self.state;
        let set = [Kind::Package, Kind::Challenge].map(|kind| state.document(kind).ok());
        let set = set.into_iter().flatten().next();
        let keys = set.and_then(|hash| self.record.documents.key_set_of(hash));
        let Some(keys) = keys else { return Ok(None) };
        Ok(Some((Brief::of(&self.record.plan, &keys, state.attempt)?, keys)))
    }

    /// What officers signed for is what is done here.
    fn act(&self) -> Result<()> {
        let event = &self.entry.event;
        let gate = event.step().and_then(Step::gate);
        let signed = gate.and_then(|gate| self.state.approvals.get(&gate));
        let done = subjects::of_act(event, &self.record.plan, self.state)?;
        self.ended()?;
        let Some((done, signed)) = done.zip(signed) else { return Ok(()) };
        Rule::ApprovalSubject.ensure(
            done == signed.subject,
            format!("{}: {} of what has SHA-256 {done}", self.place(), event.name()),
            format!("what officers signed for, {}", signed.subject),
            UNSIGNED,
        )
    }

    /// No key has ended but those of which officers have signed the end.
    fn ended(&self) -> Result<()> {
        let (plan, state) = (&self.record.plan, self.state);
        let (ended, signed): (&[Id], Vec<Id>) = match &self.entry.event {
            Event::KekDestroy { acceptance, keys, .. } => {
                (keys, KekDestroy::of(plan, state, *acceptance)?.keys)
            }
            Event::KeysDestroy { keys, .. } => (keys, KeysDestroy::of(plan, state)?.keys),
            Event::SourceDestroy(done) => {
                (&done.keys, state.keys.iter().map(|key| key.label.clone()).collect())
            }
            _ => return Ok(()),
        };
        let mut rest = signed.iter();
        let unsigned = ended.iter().find(|key| !rest.any(|other| other == *key));
        Rule::ApprovalSubject.ensure(
            unsigned.is_none(),
            format!("{}: the end of {}", self.place(), list(unsigned)),
            format!("what officers signed for: {}", list_or("nothing", &signed)),
            UNSIGNED,
        )
    }

    /// The document that the entry made, or took, fits where its side stood; and so does evidence.
    fn document(&self) -> Result<()> {
        let (documents, event, state) = (&self.record.documents, &self.entry.event, self.state);
        if let Some((kind, hash)) = event.made()
            && let Some(header) = documents.header(kind, hash)
        {
            let (attempt, head) = (state.attempt, state.intent()?);
            let answers = self.answers(kind)?;
            let expected = Header { attempt, head, answers, ..header.clone() };
            self.document_says(kind, header, &expected)?;
        }
        match event {
            Event::KekTrust { attributes, .. } => self.trusted(attributes),
            Event::Export { document, .. } => self.package(*document),
            Event::KeysCheck { document, keys, .. } => {
                self.same_keys(Kind::Challenge, *document, keys)
            }
            Event::Import { document, .. } | Event::Answer { document, .. } => {
                self.receipt(*document)
            }
            Event::Evidence { evidence, .. } => {
                self.record.evidence.get(evidence).map_or(Ok(()), |one| self.evidence(one))
            }
            Event::Primary { former, .. } => {
                let ready = state.nodes.current().filter_map(|node| state.nodes.ready.get(node));
                let mut ready = ready.filter_map(|hash| self.record.evidence.get(hash));
                ready.try_for_each(|one| same_former(one, former))
            }
            Event::Registration { document } => {
                let registration = documents.registration.by_hash(*document);
                registration.map_or(Ok(()), |one| self.registration(one))
            }
            Event::Intent { step, .. } => self.begun(*step),
            Event::Retire { thumbprint, spki, .. } => self.retired(thumbprint, *spki),
            Event::Close { closing, .. } => self.close(*closing),
            _ => Ok(()),
        }
    }

    fn trusted(&self, attributes: &[ReadBack]) -> Result<()> {
        let read = attributes.iter().map(|one| (&*one.attribute, &*one.value));
        let same = read.eq(TRUSTED.iter().copied());
        self.ensure(same, &json(&attributes), "those of a trusted KEK")?;
        let bound = self.record.plan.trusted_only();
        self.ensure(bound, "a trusted KEK", "none, under a plan that binds no key to it")
    }

    /// The package is for the KEK of the offer that was taken, and of the keys that the log names.
    fn package(&self, document: Hash) -> Result<()> {
        let Some(package) = self.record.documents.package.by_hash(document) else { return Ok(()) };
        if self.record.plan.trusted_only() && !self.state.trusts_offer() {
            return Err(untrusted("an export"));
        }
        let kek_fingerprint = self.state.offered_kek()?;
        let expected = Package { kek_fingerprint, ..package.body().clone() };
        self.document_says(Kind::Package, package.body(), &expected)?;
        self.same_keys(Kind::Package, document, &self.state.keys)
    }

    /// The receipt is of what was taken, and names who opened the seal, where there was one.
    fn receipt(&self, document: Hash) -> Result<()> {
        let Some(receipt) = self.record.documents.receipt.by_hash(document) else { return Ok(()) };
        let mut expected = receipt.body().clone();
        if let Event::Answer { package_id, .. } = &self.entry.event {
            expected.package_id = *package_id;
        } else {
            let quorum = self.state.quorum.clone().ok_or_else(|| {
                self.differs("an import without a quorum before it", "an entry quorum")
            })?;
            expected.package_id = self.state.package_id()?;
            (expected.custodians, expected.spent) = (quorum.custodians, quorum.spent);
        }
        self.document_says(Kind::Receipt, receipt.body(), &expected)
    }

    /// A document that carries the log as far as this intent says what was so then: the copy that
    /// the other side has does not hold its result.
    fn begun(&self, step: Step) -> Result<()> {
        let Documents { acceptance, closing, .. } = &self.record.documents;
        let (side, head) = (self.state.side, self.entry.head);
        let begun = |header: &Header| header.side == side && header.head == head;
        for found in acceptance.all().iter().map(|found| &found.received) {
            if begun(&found.document.header) {
                self.acceptance(found.body())?;
            }
        }
        for found in closing.all().iter().map(|found| &found.received) {
            if begun(&found.document.header) {
                self.closing(found.body(), step)?;
            }
        }
        Ok(())
    }

    /// The acceptance is of this side's keys, KEK and receipt.
    fn acceptance(&self, said: &Acceptance) -> Result<()> {
        let expected = Acceptance {
            receipt: self.state.document(Kind::Receipt)?,
            kek_fingerprint: self.state.offered,
            package_id: self.state.package_id()?,
            ..said.clone()
        };
        self.document_says(Kind::Acceptance, said, &expected)
    }

    /// The tenant's close takes the hoster's closing, of this acceptance unless it has aborted.
    fn close(&self, closing: Option<Hash>) -> Result<()> {
        let Some(closing) = closing else {
            let found = "a close without the hoster's closing";
            return self.ensure(!self.closing_is_here(), found, "its hash");
        };
        let header = self.record.documents.header(Kind::Closing, closing);
        let Some(header) = header.filter(|_| self.state.aborted.is_none()) else { return Ok(()) };
        let acceptance = self.state.document(Kind::Acceptance)?;
        let found = "a close by a closing that does not answer the acceptance";
        self.ensure(header.answers == Some(acceptance), found, &acceptance.to_string())
    }

    /// What a document that the entry makes answers: what it took, the abort, or the one before it.
    fn answers(&self, kind: Kind) -> Result<Option<Hash>> {
        let (plan, state) = (&self.record.plan, self.state);
        if let Some((_, taken)) = self.entry.event.took() {
            return Ok(Some(taken));
        }
        if kind == Kind::Closing {
            return state.abort_entry().map(|head| Some(head.hash));
        }
        kind.answers(plan.way).map(|before| state.document(before)).transpose()
    }

    /// Whether the side's close takes the hoster's closing: always but after an abort, and then
    /// where it lies in the side's own record.
    fn closing_is_here(&self) -> bool {
        let Record { plan, documents, .. } = self.record;
        let (side, taken) = (self.state.side, self.state.taken.contains_key(&Kind::Closing));
        let own = documents.hash(Kind::Closing).and_then(|one| documents.signatures_of(one, side));
        let here = side != Kind::Closing.side() && !taken && own.is_some();
        here || self.state.needs_closing(plan)
    }

    /// The closing says what its step destroys.
    fn closing(&self, body: &Closing, step: Step) -> Result<()> {
        self.planned_token(body.token.as_ref())?;
        let kek = (step == Step::KekDestroy).then(|| self.state.kek_made()).transpose()?;
        let accepted = self.state.aborted.is_none();
        body.follows(kek.map(|kek| kek.fingerprint), accepted)
            .map_err(|(found, expected)| self.says(Rule::DocumentContent, &found, &expected))?;
        let backup = accepted && self.record.plan.source == Originals::Destroy;
        let said = |backup: bool| format!("a closing that tells of backups: {backup}");
        let found = body.backup.is_some();
        self.ensure(found == backup, &said(found), &said(backup))
    }

    /// What the registration says of nodes and primaries is what the log says of them.
    fn registration(&self, registration: &Received<Registration>) -> Result<()> {
        let (nodes, said) = (&self.state.nodes, registration.body());
        let mut expected = said.clone();
        if let Some((order, activated)) = nodes.standing().zip(nodes.activated) {
            expected.activation = order.hash()?;
            expected.former = order.former.clone();
            expected.activated = activated.to_string();
        }
        expected.package_id = self.state.package_id()?;
        let removed = nodes.planned.iter().filter(|node| nodes.removed.contains(*node));
        expected.removed = removed.cloned().collect();
        for one in &mut expected.evidence {
            if let Some(proved) = nodes.proved(one.stage).get(&one.node) {
                one.file.hash = *proved;
            }
        }
        self.document_says(Kind::Registration, said, &expected)
    }

    /// A key that is retired is not primary, as far as orders and evidence tell.
    fn retired(&self, thumbprint: &str, spki: Hash) -> Result<()> {
        let upper = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
        let fits = thumbprint.len() == 40 && thumbprint.chars().all(upper);
        let expected = "SHA-1 of its certificate, 40 upper-case hex characters";
        self.ensure(fits, "a thumbprint that is none", expected)?;
        let nodes = &self.state.nodes;
        let Some((brief, _)) = self.brief()? else { return Ok(()) };
        let one = brief.keys.iter().find(|key| key.thumbprint == thumbprint || key.spki == spki);
        let same = one.is_none_or(|key| key.thumbprint == thumbprint && key.spki == spki);
        let found = format!("{thumbprint} is retired, with the public key {spki}");
        self.ensure(same, &found, "a key of this ceremony with its own certificate, or neither")?;
        let ready = nodes.ready.values();
        let ready = ready.filter_map(|hash| self.record.evidence.get(hash));
        let primary = nodes.primaries(brief.primaries(), ready);
        let serves = primary.iter().flatten().any(|key| key.thumbprint == thumbprint);
        let found = format!("{thumbprint} is retired, and primary");
        self.ensure(!serves, &found, "a key that is primary no more")
    }

    /// Evidence is whole, and was proven under the order that stood then.
    fn evidence(&self, evidence: &NodeEvidence) -> Result<()> {
        evidence.not_ahead(self.entry.time)?;
        let nodes = &self.state.nodes;
        let standing = nodes.standing().map(|order| order.hash()).transpose()?;
        let said = &evidence.statement;
        let order =
            |hash: Option<Hash>| hash.map_or("no order".into(), |hash| format!("order {hash}"));
        Rule::EvidenceStage.ensure(
            said.order == standing,
            escape(&format!("{}: {} names {}", self.place(), said.place(), order(said.order))),
            format!("the one that stood then, {}", order(standing)),
            "the evidence is of another time than the log says: compare it with the node's own copy",
        )?;
        let others = nodes.proved(said.stage).values();
        let others = others.filter_map(|hash| self.record.evidence.get(hash));
        nodes.beside(evidence, &others.cloned().collect::<Vec<_>>())?;
        match self.brief()? {
            None => Ok(()),
            Some((brief, keys)) => {
                let plan = &self.record.plan;
                evidence.verify(&EvidenceContext { plan, keys: &keys, brief: &brief })
            }
        }
    }

    /// Each signature that the entry names lies beside what was signed, in that order. There may be
    /// more: who signs later adds a file.
    fn signatures(&self) -> Result<()> {
        let (event, documents) = (&self.entry.event, &self.record.documents);
        let side = self.state.side;
        let (signed, there) = match (event, event.released()) {
            (Event::Init { signatures, .. }, _) => match self.record.agreed.get(&side) {
                Some(agreed) => (signatures.as_slice(), agreed.as_slice()),
                None => return Ok(()),
            },
            (_, Some((hash, signed))) => {
                match (documents.signatures_of(hash, side), documents.signatures(hash)) {
                    (Some(own), _) => (signed, own),
                    (None, Some(any)) => (signed, any),
                    (None, None) => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        let mut rest = there.iter();
        let gone = signed.iter().find(|one| !rest.any(|other| other == *one));
        let Some(Signed { id, signature }) = gone else { return Ok(()) };
        let name = self.record.plan.name_of(id);
        Err(Rule::SignatureMissing.refuse(
            format!("{}: the signature of {name} is not there, or out of order", self.place()),
            format!("a signature file with SHA-256 {signature}"),
            "find the signature files that the log names",
        ))
    }

    /// Who opened the seal, or holds a share, is one of the plan's custodians.
    fn custodians(&self) -> Result<()> {
        let quorum = &self.record.plan.quorum;
        let planned = |id: &Id| quorum.custodian(id.as_str());
        let has_deputy = |id: &Id| planned(id).is_some_and(Custodian::has_deputy);
        let wrong = match &self.entry.event {
            Event::Quorum { custodians, spent, deputies, changed } => {
                let distinct: BTreeSet<_> = custodians.iter().collect();
                let all_at_once = distinct.len() >= usize::from(quorum.threshold);
                let once = |ids: &[Id]| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
                let first = !self.state.quorum.as_ref().is_some_and(|quorum| quorum.open);
                let whole = [custodians, spent, deputies].into_iter().all(|ids| once(ids))
                    && (all_at_once || !first || distinct.len() == 1)
                    && custodians.iter().all(|id| planned(id).is_some())
                    && spent.iter().all(|id| distinct.contains(id))
                    && deputies.iter().all(|id| spent.contains(id))
                    && deputies.iter().all(has_deputy)
                    && self.changed_shares(changed, spent);
                !whole
            }
            Event::ShareConfirm { custodian, deputy } => {
                planned(custodian).is_none() || (*deputy && !has_deputy(custodian))
            }
            _ => false,
        };
        let expected = "custodians of the plan, each once, one after the other, and deputies where it has some";
        let found = if wrong { json(&self.entry.event) } else { String::new() };
        self.ensure(!wrong, &found, expected)
    }

    /// A share file that was changed on the way was that custodian's own, as the package lists it.
    fn changed_shares(&self, changed: &[ChangedShare], spent: &[Id]) -> bool {
        let package = self.state.document(Kind::Package).ok();
        let package = package.and_then(|hash| self.record.documents.package.by_hash(hash));
        let listed = |one: &ChangedShare| {
            package.is_none_or(|package| {
                let share = package.body().share_of(&one.custodian);
                share.is_ok_and(|share| share.file == one.taken)
            })
        };
        let distinct: BTreeSet<_> = changed.iter().map(|one| &one.custodian).collect();
        distinct.len() == changed.len()
            && changed.iter().all(|one| {
                spent.contains(&one.custodian) && one.brought != one.taken && listed(one)
            })
    }

    /// A token that the entry names is one of the plan's, where it names any; and what a preflight
    /// calls waived, the plan waives.
    fn token(&self) -> Result<()> {
        let (plan, event) = (&self.record.plan, &self.entry.event);
        if let Event::Preflight { findings } = event {
            let waived = findings.iter().filter(|one| one.outcome == RuleOutcome::Waived);
            let unknown = waived.map(|one| one.rule).find(|rule| !plan.waives(*rule));
            let found = unknown.map_or(String::new(), |rule| format!("{} is waived", rule.name()));
            return self.ensure(unknown.is_none(), &found, "only what the plan waives");
        }
        self.planned_token(event.token())
    }

    fn planned_token(&self, token: Option<&TokenIdentity>) -> Result<()> {
        let planned = self.record.plan.party(self.state.side).hsm.as_ref();
        let Some((token, planned)) = token.zip(planned) else { return Ok(()) };
        let found = format!("the token {token}");
        let expected = format!("one of the plan's, serial {}", list(&planned.serials));
        self.ensure(planned.names(token), &found, &expected)
    }

    /// A package, or a challenge, is of these keys.
    fn same_keys(&self, kind: Kind, document: Hash, recorded: &[KeyRecord]) -> Result<()> {
        let Some(set) = self.record.documents.key_set_of(document) else { return Ok(()) };
        Rule::DocumentContent.ensure(
            set.named().eq(recorded.iter().map(KeyRecord::named)),
            format!("{}: other keys in the {kind} than in the log", self.place()),
            "the same labels, public keys and certificates everywhere",
            EXCHANGED,
        )
    }

    /// The entry says what it must.
    fn same(
        &self,
        what: &str,
        found: &impl serde::Serialize,
        expected: &impl serde::Serialize,
    ) -> Result<()> {
        let Some((field, found, expected)) = difference(found, expected)? else { return Ok(()) };
        Err(self.differs(&format!("{field} {found}"), &format!("{what}: {field} {expected}")))
    }

    /// A document says what the log says.
    fn document_says<T: serde::Serialize>(&self, kind: Kind, said: &T, log: &T) -> Result<()> {
        let Some((field, found, expected)) = difference(said, log)? else { return Ok(()) };
        let rule = match field.as_str() {
            "attempt" => Rule::DocumentAttempt,
            "head" => Rule::LogChain,
            "answers" => Rule::DocumentAnswers,
            _ => Rule::DocumentContent,
        };
        let found = format!("the {kind} says {field} {found}");
        Err(self.says(rule, &found, &format!("what the log says: {field} {expected}")))
    }

    /// A document of the entry's says what the log does not.
    fn says(&self, rule: Rule, found: &str, expected: &str) -> Error {
        let found = format!("{}: {found}", self.place());
        rule.refuse(escape(&found), escape(expected), EXCHANGED)
    }

    fn ensure(&self, holds: bool, found: &str, expected: &str) -> Result<()> {
        if holds { Ok(()) } else { Err(self.differs(found, expected)) }
    }

    fn differs(&self, found: &str, expected: &str) -> Error {
        Rule::LogSource.refuse(
            escape(&format!("{}: {found}", self.place())),
            escape(expected),
            "the log was not written by Keyferry, or was changed: stop, and ask that side for an explanation",
        )
    }

    fn place(&self) -> String {
        let (seq, side) = (self.entry.head.seq, self.state.side);
        format!("entry {seq} of the {side}'s log, {}", self.entry.event.name())
    }
}

/// The first field in which two values differ, with what each has.
///
/// # Errors
/// [`Error::Failed`] where one can't be encoded.
pub fn difference(
    found: &impl serde::Serialize,
    expected: &impl serde::Serialize,
) -> Result<Option<(String, String, String)>> {
    let value = |result: serde_json::Result<Value>| result.map_err(Error::encoding);
    let found = value(serde_json::to_value(found))?;
    let expected = value(serde_json::to_value(expected))?;
    let (Value::Object(left), Value::Object(right)) = (&found, &expected) else {
        return Ok((found != expected).then(|| ("".into(), json(&found), json(&expected))));
    };
    let fields: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differs = fields.into_iter().find(|field| left.get(*field) != right.get(*field));
    let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), json);
    Ok(differs.map(|field| (field.clone(), text(left.get(field)), text(right.get(field)))))
}
