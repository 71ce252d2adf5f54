//! What officers sign for, computed from a side's state and its plan: the same when they are asked,
//! when it is done, and when it is audited. What nothing determines (a reason, a service's KEK) is
//! given in their own words.

use serde::de::DeserializeOwned;

use crate::flow::answers::not_there;
use crate::flow::nodes;
use crate::gate::{
    Abort, CloudExport, Export, ExportKey, Import, ImportPlain, KekDestroy, KeysDestroy, Nodes,
    PinTry, PlainKey, Primary, Request, Restart, Rollback, ShareHolder, SourceDestroy, SourceKey,
    Subject, Unconfirmed, Unpassed, WrongBags, subject_hash,
};
use crate::log::KeyRecord;
use crate::{
    CloudFormat, Event, FORMAT, Gate, Hash, Id, Kind, Plan, PrimaryKey, Result, ServicePlan, Side,
    Stage, State, Step, TokenIdentity, TransferRoute,
};

impl<S: Subject> Request<S> {
    /// What officers of a side are asked to sign in an attempt, after this entry of its log.
    pub fn of(plan: &Plan, side: Side, attempt: u32, entry: Hash, subject: S) -> Self {
        Request {
            format: FORMAT.to_owned(),
            ceremony: plan.ceremony.clone(),
            mode: plan.mode,
            side,
            plan_hash: plan.hash(),
            gate: S::GATE,
            attempt,
            entry,
            summary: subject.summary(),
            subject,
        }
    }
}

/// A request as its file has it, and as it must be where its side stands.
pub struct Recomputed {
    /// SHA-256 of the subject that the file has.
    pub subject: Hash,
    /// The file.
    pub found: serde_json::Value,
    /// What it must be.
    pub expected: serde_json::Value,
}

/// Computes a request anew, from where its side stood when it was approved; where nothing is known
/// of that, from its own subject.
///
/// # Errors
/// What is no request of this gate, as its parser says; `Ok(None)` where the log has not come to
/// such an act.
pub fn recompute(
    bytes: &[u8],
    gate: Gate,
    plan: &Plan,
    state: Option<&State>,
) -> std::result::Result<Option<Recomputed>, serde_json::Error> {
    let request = RequestFile { bytes, plan, state };
    match gate {
        Gate::Export if plan.way == TransferRoute::Cloud => {
            request.again(|own: &CloudExport, state| Ok(own.planned(plan, state)))
        }
        Gate::Export => request.again(|_: &Export, state| Export::of(plan, state)),
        Gate::Import if plan.way == TransferRoute::Brought => {
            request.again(|own: &ImportPlain, state| ImportPlain::of(plan, state, own.keys.clone()))
        }
        Gate::Import => request.again(|_: &Import, state| Import::of(state)),
        Gate::Primary => request
            .again(|own: &Primary, state| Primary::of(&state.nodes, &state.keys, &own.former)),
        Gate::Rollback => request.again(|_: &Rollback, state| Rollback::of(&state.nodes)),
        Gate::Nodes => request
            .again(|own: &Nodes, state| Ok(Nodes::of(&state.nodes, &own.removed, &own.replaced))),
        Gate::KekDestroy => {
            request.again(|own: &KekDestroy, state| KekDestroy::of(plan, state, own.acceptance))
        }
        Gate::KeysDestroy => request.again(|_: &KeysDestroy, state| KeysDestroy::of(plan, state)),
        Gate::SourceDestroy => request.again(|own: &SourceDestroy, state| {
            SourceDestroy::of(state, own.closing, own.backup.clone())
        }),
        Gate::Restart => request.again(|own: &Restart, state| Ok(Restart::of(state, &own.reason))),
        Gate::Abort => request.again(|own: &Abort, state| Ok(Abort::of(state, &own.reason))),
        Gate::PinTry => request.again(|own: &PinTry, state| own.planned(plan, state)),
        Gate::Deviation => request
            .again(|_: &Unconfirmed, state| {
                Ok(Unconfirmed::of(state, state.made(Kind::Package)?.hash))
            })
            .or_else(|_| {
                request.again(|own: &Unpassed, state| {
                    let in_turn = state.nodes.may_prove(&own.node, own.stage);
                    in_turn.map_err(|found| not_there(&found, "evidence in its turn"))?;
                    Ok(own.clone())
                })
            })
            .or_else(|_| {
                request.again(|_: &WrongBags, state| {
                    Ok(WrongBags { bags: state.room.wrong().to_vec() })
                })
            }),
    }
}

/// A request as its file has it, and where its side stood, where that is known.
struct RequestFile<'a> {
    bytes: &'a [u8],
    plan: &'a Plan,
    state: Option<&'a State>,
}

impl RequestFile<'_> {
    /// `again` computes the subject anew from a state, with its own words where nothing determines
    /// them.
    fn again<S: Subject + DeserializeOwned>(
        &self,
        again: impl Fn(&S, &State) -> Result<S>,
    ) -> std::result::Result<Option<Recomputed>, serde_json::Error> {
        let request: Request<S> = serde_json::from_slice(self.bytes)?;
        let found = serde_json::to_value(&request)?;
        let Ok(subject) = subject_hash(&request.subject) else { return Ok(None) };
        let Request { side, attempt, entry, subject: own, .. } = request;
        let expected = match self.state {
            None => Request::of(self.plan, side, attempt, entry, own),
            Some(state) => {
                let Ok(own) = again(&own, state) else { return Ok(None) };
                let entry = state.phase_entry.hash;
                Request::of(self.plan, state.side, state.attempt, entry, own)
            }
        };
        let expected = serde_json::to_value(expected)?;
        Ok(Some(Recomputed { subject, found, expected }))
    }
}

/// SHA-256 of the subject that officers must have signed for, before what this entry says was done.
/// Absent where the entry passes no gate, where only the request has all the words, and where the
/// state alone determines it: no log replays in which another was signed for.
///
/// # Errors
/// As the subject's own `of`, and [`subject_hash`].
pub fn of_act(event: &Event, plan: &Plan, state: &State) -> Result<Option<Hash>> {
    let hash = match event {
        Event::Export { .. } => subject_hash(&Export::of(plan, state)?),
        Event::Import { .. } => subject_hash(&Import::of(state)?),
        Event::ImportPlain(done) if done.keys.len() != done.wrapped.len() => {
            return Err(not_there("not one wrapped key for each key", "as many"));
        }
        Event::ImportPlain(done) => {
            let keys = done.keys.iter().zip(&done.wrapped);
            let keys = keys.map(|(key, wrapped)| PlainKey {
                label: key.label.clone(),
                spki: key.spki,
                certificate: key.certificate,
                wrapped: *wrapped,
            });
            subject_hash(&ImportPlain::of(plan, state, keys.collect())?)
        }
        Event::KekDestroy { acceptance, .. } => {
            subject_hash(&KekDestroy::of(plan, state, *acceptance)?)
        }
        Event::KeysDestroy { .. } => subject_hash(&KeysDestroy::of(plan, state)?),
        Event::SourceDestroy(done) => {
            subject_hash(&SourceDestroy::of(state, done.closing, done.backup.clone())?)
        }
        Event::Restart { reason, .. } => subject_hash(&Restart::of(state, reason)),
        Event::Abort { reason, .. } => subject_hash(&Abort::of(state, reason)),
        _ => return Ok(None),
    };
    hash.map(Some)
}

fn export_keys(keys: &[KeyRecord]) -> Vec<ExportKey> {
    let key = |key: &KeyRecord| ExportKey {
        label: key.label.clone(),
        spki: key.spki,
        certificate: key.certificate,
    };
    keys.iter().map(key).collect()
}

impl Export {
    /// The export of this side's keys for the offer that it has taken.
    ///
    /// # Errors
    /// `LOG-EVENT` where no offer was taken.
    pub fn of(plan: &Plan, state: &State) -> Result<Self> {
        let holders = plan.quorum.custodians.iter().map(|custodian| ShareHolder {
            id: custodian.id.clone(),
            recipients: custodian.recipients.clone(),
        });
        Ok(Export {
            offer: state.document(Kind::Offer)?,
            kek_fingerprint: state.offered_kek()?,
            mechanism: plan.transfer.mechanism,
            oaep_hash: plan.transfer.oaep_hash,
            keys: export_keys(&state.keys),
            threshold: plan.quorum.threshold,
            custodians: holders.collect(),
        })
    }
}

impl CloudExport {
    /// The export of this side's keys for the KEK of a cloud service, as the service names it.
    pub fn of(
        plan: &Plan,
        state: &State,
        format: CloudFormat,
        kek_fingerprint: Hash,
        kid: Option<String>,
    ) -> Self {
        CloudExport {
            format,
            kek_fingerprint,
            kid,
            mechanism: plan.transfer.mechanism,
            oaep_hash: plan.transfer.oaep_hash,
            keys: export_keys(&state.keys),
        }
    }

    /// The same for the plan's service.
    fn planned(&self, plan: &Plan, state: &State) -> Self {
        let format = match plan.target {
            ServicePlan::Cloud(format) => format,
            ServicePlan::Local { .. } | ServicePlan::Hgs { .. } => self.format,
        };
        CloudExport::of(plan, state, format, self.kek_fingerprint, self.kid.clone())
    }
}

impl Import {
    /// The import of the package that this side has checked, under its KEK.
    ///
    /// # Errors
    /// `LOG-EVENT` where there is none.
    pub fn of(state: &State) -> Result<Self> {
        let kek_fingerprint = state.kek_made()?.fingerprint;
        Ok(Import { package: state.document(Kind::Package)?, kek_fingerprint })
    }
}

impl ImportPlain {
    /// The import of keys that another tool has wrapped: the plan names each by its public key.
    ///
    /// # Errors
    /// `LOG-EVENT` where there is no KEK.
    pub fn of(plan: &Plan, state: &State, keys: Vec<PlainKey>) -> Result<Self> {
        if keys.len() != plan.keys.len() {
            return Err(not_there("other keys than the plan's", "each key of the plan, once"));
        }
        let planned = plan.keys.iter().zip(keys);
        let keys = planned.map(|(planned, key)| PlainKey {
            label: planned.label.clone(),
            spki: planned.spki.unwrap_or(key.spki),
            ..key
        });
        Ok(ImportPlain { kek_fingerprint: state.kek_made()?.fingerprint, keys: keys.collect() })
    }
}

impl KekDestroy {
    /// The end of the KEK, once this acceptance is there, or after an abort. Then imported keys go
    /// too, unless their service may use them already.
    ///
    /// # Errors
    /// `LOG-EVENT` where there is no KEK.
    pub fn of(plan: &Plan, state: &State, acceptance: Option<Hash>) -> Result<Self> {
        let abort = state.aborted.map(|head| head.hash).filter(|_| acceptance.is_none());
        let may_be_there = state.quorum.is_some() || state.way == TransferRoute::Brought;
        let imported = plan.keys.iter().filter(|_| abort.is_some() && may_be_there);
        let imported = imported.map(|key| key.label.clone());
        let (stay, keys) = imported.partition(|_| state.has_begun(Step::Primary));
        let kek_fingerprint = state.kek_made()?.fingerprint;
        Ok(KekDestroy { acceptance, abort, kek_fingerprint, stay, keys })
    }
}

impl KeysDestroy {
    /// The end, after an abort, of the keys that were born here.
    ///
    /// # Errors
    /// `LOG-EVENT` where nothing was aborted.
    pub fn of(plan: &Plan, state: &State) -> Result<Self> {
        let keys = plan.keys.iter().map(|key| key.label.clone());
        Ok(KeysDestroy { abort: state.abort_entry()?.hash, keys: keys.collect() })
    }
}

impl SourceDestroy {
    /// The end of the tenant's originals, by this closing and what it says of backups.
    ///
    /// # Errors
    /// `LOG-EVENT` where the tenant has not accepted.
    pub fn of(state: &State, closing: Hash, backup: String) -> Result<Self> {
        let keys = state.keys.iter();
        let keys = keys.map(|key| SourceKey { label: key.label.clone(), spki: key.spki });
        let acceptance = state.document(Kind::Acceptance)?;
        Ok(SourceDestroy { acceptance, closing, backup, keys: keys.collect() })
    }
}

impl Restart {
    /// The end of this side's attempt.
    pub fn of(state: &State, reason: &str) -> Self {
        Restart {
            phase: state.phase.name().to_owned(),
            attempt: state.attempt,
            reason: reason.to_owned(),
            side: state.side,
            way: state.way,
        }
    }
}

impl Abort {
    /// The end of a ceremony in this state.
    pub fn of(state: &State, reason: &str) -> Self {
        let phase = state.phase.name().to_owned();
        Abort { phase, attempt: state.attempt, reason: reason.to_owned() }
    }
}

impl Unconfirmed {
    /// The custodians of a tenant's state who have not confirmed.
    pub fn of(state: &State, package: Hash) -> Self {
        Unconfirmed { package, custodians: state.unconfirmed().cloned().collect() }
    }
}

impl Unpassed {
    /// What a node says of its service, for the evidence that its log is about to take.
    pub fn of(node: &Id, stage: Stage, diagnostics: &[String]) -> Self {
        Unpassed { node: node.clone(), stage, diagnostics: diagnostics.to_vec() }
    }
}

impl PinTry {
    /// One more try of the PIN of this token.
    pub fn of(state: &State, token: TokenIdentity) -> Self {
        PinTry { token, earlier_tries: state.pin_tries }
    }

    /// The same, where the plan allows the token.
    fn planned(&self, plan: &Plan, state: &State) -> Result<Self> {
        let planned = plan.party(state.side).hsm.as_ref();
        if planned.is_some_and(|planned| !planned.names(&self.token)) {
            return Err(not_there("a try of another token's PIN", "a token of the plan"));
        }
        Ok(PinTry::of(state, self.token.clone()))
    }
}

impl Primary {
    /// What the log says that is about to become primary: the newest evidence of every node that
    /// counts.
    ///
    /// # Errors
    /// As [`subject_hash`].
    pub fn of(nodes: &nodes::Nodes, keys: &[KeyRecord], former: &[PrimaryKey]) -> Result<Self> {
        let ready: Vec<(&Id, Hash)> =
            (nodes.current()).filter_map(|node| Some((node, *nodes.ready.get(node)?))).collect();
        Ok(Primary {
            target: nodes.target.clone(),
            evidence: subject_hash(&ready)?,
            nodes: ready.into_iter().map(|(node, _)| node.clone()).collect(),
            keys: keys.iter().map(|key| (key.label.clone(), key.spki)).collect(),
            former: former.to_vec(),
        })
    }
}

impl Rollback {
    /// The way back from the order that stands.
    ///
    /// # Errors
    /// `LOG-EVENT` where none stands.
    pub fn of(nodes: &nodes::Nodes) -> Result<Self> {
        let standing =
            nodes.standing().ok_or_else(|| not_there("no order in the log", "an entry primary"))?;
        Ok(Rollback {
            target: nodes.target.clone(),
            activation: standing.hash()?,
            to: standing.former.clone(),
        })
    }
}

impl Nodes {
    /// The change of these nodes.
    pub fn of(nodes: &nodes::Nodes, removed: &[Id], replaced: &[Id]) -> Self {
        let stay = nodes.current().filter(|node| !removed.contains(node));
        Nodes {
            removed: removed.to_vec(),
            replaced: replaced.to_vec(),
            stay: stay.cloned().collect(),
        }
    }
}
