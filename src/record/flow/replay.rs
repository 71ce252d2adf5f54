//! A log on its way to a state, for its own side and for whoever verifies it.

use crate::command::with_commands;
use crate::encoding::Hash;
use crate::flow::{Phase, State};
use crate::log::{Entry, Event};
use crate::plan::{PLAN_FILE, Plan};
use crate::rule::Rule;
use crate::terms::{Originals, Side, TransferRoute, Trial};
use crate::{Error, Result};

/// A log on its way to a state.
pub struct Replay {
    /// The state so far.
    pub state: State,
    plan: Option<Hash>,
    /// The closing of the trial that `init` was shown.
    trial: Option<Hash>,
}

impl Replay {
    /// Before the first entry.
    pub fn new(side: Side) -> Self {
        Replay { state: State::new(side), plan: None, trial: None }
    }

    /// Takes the next entry; the first is `init`, and only the first.
    ///
    /// # Errors
    /// `LOG-EVENT`.
    pub fn take(&mut self, entry: &Entry) -> Result<()> {
        match (&entry.event, self.plan) {
            (Event::Init { side, plan, trial, .. }, None) if *side == self.state.side => {
                self.plan = Some(*plan);
                self.trial = *trial;
            }
            (Event::Init { side, .. }, None) => {
                return Err(wrong(entry, format!("the log of the {side}")));
            }
            (Event::Init { .. }, Some(_)) => return Err(wrong(entry, "a second init".into())),
            (_, None) => return Err(wrong(entry, "an entry before init".into())),
            _ => {}
        }
        self.state.apply(entry)
    }

    /// Whether the log is of this plan, and has the step that only some plans have.
    ///
    /// # Errors
    /// `PLAN-CHANGED`; `TARGET-WRAP-WITH-TRUSTED` where the tenant's keys were made before its HSM
    /// trusted the KEK; `PLAN-TRIAL` where the hoster began without the trial that the plan names;
    /// `TRIAL-ENDS` where a trial did not stop.
    pub fn check_plan(&self, plan: &Plan) -> Result<()> {
        if self.plan == Some(plan.hash()) && self.state.way != plan.way {
            return Err(Rule::LogEvent.refuse(
                format!("a log of keys that are {}", self.state.way.name()),
                format!("keys that are {}, as the plan says", plan.way.name()),
                "the log was not written by Keyferry: stop, and ask that side for an explanation",
            ));
        }
        if self.plan == Some(plan.hash()) {
            self.check_trial(plan)?;
            self.check_source(plan)?;
            let made = self.state.side == Side::Tenant && !self.state.keys.is_empty();
            return match made && plan.trusted_only() && self.state.kek.is_none() {
                true => Err(untrusted("a log with keys create and without kek trust")),
                false => Ok(()),
            };
        }
        Err(Rule::PlanChanged.refuse(
            format!("{PLAN_FILE} with SHA-256 {}", plan.hash()),
            format!("the agreed one, {}", self.plan.map_or("none".into(), |hash| hash.to_string())),
            "put the agreed plan back, byte for byte; a change needs a new ceremony",
        ))
    }

    /// The tenant's originals went where the plan destroys them, and only there.
    fn check_source(&self, plan: &Plan) -> Result<()> {
        let state = &self.state;
        let carried = state.side == Side::Tenant && state.way == TransferRoute::Carried;
        let ended = carried && state.aborted.is_none() && state.phase == Phase::Closed;
        let (gone, wanted) = (state.source_destroyed, plan.source == Originals::Destroy);
        match (gone && !wanted) || (ended && wanted && !gone) {
            false => Ok(()),
            true => Err(Rule::SourceLeft.refuse(
                format!("a log in which the originals are destroyed: {gone}"),
                format!("{wanted}, as the plan says"),
                "the log was not written by Keyferry: stop, and ask that side for an explanation",
            )),
        }
    }

    fn check_trial(&self, plan: &Plan) -> Result<()> {
        let named = match plan.trial {
            Trial::After(closing) => Some(closing),
            Trial::None | Trial::This => None,
        };
        if plan.trial == Trial::This && self.state.primary_begun {
            return Err(past_trial("a log of a trial with primary"));
        }
        // The tenant may begin without it.
        let missing = self.trial.is_none() && self.state.side == Side::Hoster;
        if self.trial == named || (self.trial.is_none() && !missing) {
            return Ok(());
        }
        let said = |closing: Option<Hash>| match closing {
            Some(closing) => format!("the trial with the closing {closing}"),
            None => "no trial".to_owned(),
        };
        Err(Rule::PlanTrial.refuse(
            format!("a log that began with {}", said(self.trial)),
            said(named),
            "the log was not written by Keyferry: stop, and ask that side for an explanation",
        ))
    }
}

/// The refusal of a step that must not come before the KEK is trusted.
pub fn untrusted(found: &str) -> Error {
    Rule::TargetWrapWithTrusted.refuse(
        found,
        "kek trust before keys create, as this plan is single-shot and does not waive the rule",
        with_commands(
            "let the security officer of the tenant's HSM run `{tenant kek trust}` first",
        ),
    )
}

/// The refusal of what comes after the end of a trial.
pub fn past_trial(found: &str) -> Error {
    Rule::TrialEnds.refuse(
        found,
        "a trial stops before activation",
        "abort it on both sides; kek destroy then removes the imported keys, and makes the closing that the production plan names",
    )
}

fn wrong(entry: &Entry, found: String) -> Error {
    Rule::LogEvent.refuse(
        format!("entry {}: {found}", entry.head.seq),
        "one init, first, of this side",
        "name this side's ceremony folder with --dir",
    )
}
