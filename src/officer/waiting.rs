//! One file that waits for a person's signature, held against what is there: a plan that they
//! trust, and perhaps their side's log. What nothing here shows is said.

use serde::de::DeserializeOwned;
use serde_json::Value;

use probe::Probe;
use record::document::Header;
use record::gate::Request;
use record::layout::ClosedHead;
use record::verify::counterpart::VerifiedLog;
use record::verify::{form_error, request_again};
use record::{FORMAT, Hash, Id, Plan, Result, Rule, Side, escape};

/// What a file is held against.
pub struct Basis<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The log of the side whose file it is.
    pub log: Option<&'a VerifiedLog>,
}

/// A file that may be signed, as far as anything here shows.
pub struct Waiting {
    /// The side whose file it is.
    pub side: Side,
    /// Why a signature over it would count for nothing, where the log shows that.
    pub void: Option<String>,
    /// What could not be checked, and for want of what.
    pub unchecked: Vec<String>,
}

impl Waiting {
    fn of(side: Side) -> Self {
        Waiting { side, void: None, unchecked: Vec::new() }
    }
}

impl Basis<'_> {
    fn log_of(&self, side: Side) -> Option<&VerifiedLog> {
        self.log.filter(|log| log.state.side == side)
    }

    /// Whether a file is of this plan's ceremony, by what it says.
    fn same(&self, what: &str, format: &str, ceremony: &Id, plan_hash: Hash) -> Result<()> {
        let plan = self.plan;
        let check = |holds: bool, rule: Rule, found: String, expected: String| {
            let found = format!("{what}: {}", escape(&found));
            rule.ensure(holds, found, expected, "ask who gave you the file; do not sign it")
        };
        check(format == FORMAT, Rule::DocumentFormat, format.into(), FORMAT.into())?;
        let (found, expected) = (format!("ceremony {ceremony}"), plan.ceremony.to_string());
        check(*ceremony == plan.ceremony, Rule::DocumentCeremony, found, expected)?;
        let (found, expected) = (format!("plan {plan_hash}"), plan.hash().to_string());
        check(plan_hash == plan.hash(), Rule::DocumentPlan, found, expected)
    }

    /// A document whose own form, files and header hold already.
    ///
    /// # Errors
    /// `DOCUMENT-HASH` where the log names another, `LOG-CHAIN` where it is of another log.
    pub fn document(&self, header: &Header, hash: Hash) -> Result<Waiting> {
        let (kind, side) = (header.document, header.side);
        let mut waiting = Waiting::of(side);
        waiting
            .unchecked
            .push("that it says of earlier documents, keys and tokens what those are".into());
        let Some(log) = self.log_of(side) else {
            waiting.unchecked.push(format!(
                "that the {side} made it, in its current attempt: there is no log of the {side}"
            ));
            return Ok(waiting);
        };
        log.contains(header, None)?;
        if log.state.abandoned.iter().any(|left| left.kind == kind && left.hash == hash) {
            waiting.void = Some(format!("attempt {} was given up", header.attempt));
            return Ok(waiting);
        }
        let made = log.state.made.get(&kind).map(|made| made.hash);
        let made_as = made.map_or("none".to_owned(), |made| made.to_string());
        Rule::DocumentHash.ensure(
            made == Some(hash),
            format!("a {kind} with SHA-256 {hash}"),
            format!("the one that the {side}'s log names: {made_as}"),
            "copy the folder again from the outbox, and find out what changed it",
        )?;
        Ok(waiting)
    }

    /// A request, computed anew from where its side stands, or else from its own subject.
    ///
    /// # Errors
    /// `DOCUMENT-…` where it is not of this plan; `APPROVAL-SUBJECT` where it is not what its
    /// program writes.
    pub fn request(&self, bytes: &[u8], name: &str) -> Result<Waiting> {
        let request: Request<Value> = read(bytes, name)?;
        self.same(name, &request.format, &request.ceremony, request.plan_hash)?;
        let side = request.side;
        let log = self.log_of(side);
        let mut waiting = Waiting::of(side);
        match log {
            Some(log) if log.state.phase_entry.hash != request.entry => {
                waiting.void = Some("the ceremony has moved on since it was asked for".into());
                return Ok(waiting);
            }
            Some(log) if log.state.approvals.contains_key(&request.gate) => {
                waiting.void = Some(format!("{} is approved already", request.gate));
                return Ok(waiting);
            }
            Some(_) => {}
            None => waiting.unchecked.push(format!(
                "that the {side} stands where it says, and that this is what its documents and keys are: there is no log of the {side}"
            )),
        }
        let state = log.map(|log| &log.state);
        request_again((name, bytes), request.gate, self.plan, state).map(|_| waiting)
    }

    /// The head of a closed log.
    ///
    /// # Errors
    /// `DOCUMENT-…` where it is not of this plan; `LOG-CHAIN` where the log ends otherwise.
    pub fn head(&self, bytes: &[u8], name: &str) -> Result<Waiting> {
        let head: ClosedHead = read(bytes, name)?;
        self.same(name, &head.format, &head.ceremony, head.plan_hash)?;
        let side = head.side;
        let mut waiting = Waiting::of(side);
        let Some(log) = self.log_of(side) else {
            waiting.unchecked.push(format!("that the log of the {side} ends so: it is not here"));
            return Ok(waiting);
        };
        Rule::LogChain.ensure(
            head == ClosedHead::new(self.plan, side, log.head),
            format!("{name}: entry {} with hash {}", head.count, head.head),
            format!("the last entry of the log: {} with hash {}", log.head.seq, log.head.hash),
            "find an unchanged copy of the archive; do not sign this one",
        )?;
        Ok(waiting)
    }

    /// The report of a token.
    ///
    /// # Errors
    /// `DOCUMENT-FORMAT`; `PLAN-HSM` where the plan names other tokens for its side.
    pub fn probe(&self, bytes: &[u8], name: &str) -> Result<Waiting> {
        let probe: Probe = read(bytes, name)?;
        let side = probe.side;
        let planned = self.plan.party(side).hsm.as_ref();
        Rule::PlanHsm.ensure(
            planned.is_none_or(|hsm| hsm.names(&probe.token)),
            format!("{name}: a token with serial {}", escape(&probe.token.serial)),
            format!("one that the plan names for the {side}"),
            "ask who made the report, and with which token",
        )?;
        let unchecked = vec!["that the token did what it says: only who was there knows".into()];
        Ok(Waiting { side, void: None, unchecked })
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| form_error(name, &error))
}
