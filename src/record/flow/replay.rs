//! What a log is as a whole: it begins with `init`, and is of its plan.

use crate::{
    Entry, Error, Event, Hash, Originals, PLAN_FILE, Phase, Plan, Program, Result, Rule, Side,
    State, Step, TransferRoute, Trial, with_commands,
};

/// What to do about a log that no program of ours has written.
pub const FOREIGN_LOG: &str =
    "the log was not written by Keyferry: stop, and ask that side for an explanation";

impl State {
    /// Whether the entry is `init`, of this side, where the log begins, and only there.
    pub(super) fn begins(&self, entry: &Entry) -> Result<()> {
        match (&entry.event, self.plan) {
            (Event::Init { side, .. }, None) if *side != self.side => {
                let (own, other) = (self.side, Program::of(*side));
                Err(Rule::LogEvent.refuse(
                    format!("this is the {side}'s folder"),
                    format!("the {own}'s folder, for the {own}'s program"),
                    format!(
                        "run `{}` here; or name the {own}'s folder with --dir",
                        other.line("status")
                    ),
                ))
            }
            (Event::Init { .. }, Some(_)) => Err(wrong(entry, "a second init")),
            (Event::Init { .. }, None) | (_, Some(_)) => Ok(()),
            (_, None) => Err(wrong(entry, "an entry before init")),
        }
    }

    /// Whether the log is of this plan, and has the step that only some plans have.
    ///
    /// # Errors
    /// `PLAN-CHANGED`; `TARGET-WRAP-WITH-TRUSTED` where the tenant's keys were made before its HSM
    /// trusted the KEK; `PLAN-TRIAL` where the hoster began without the trial that the plan names;
    /// `TRIAL-ENDS` where a trial did not stop.
    pub fn check_plan(&self, plan: &Plan) -> Result<()> {
        let agreed = self.plan.map_or("none".into(), |hash| hash.to_string());
        Rule::PlanChanged.ensure(
            self.plan == Some(plan.hash()),
            format!("{PLAN_FILE} with SHA-256 {}", plan.hash()),
            format!("the agreed one, {agreed}"),
            "put the agreed plan back, byte for byte; a change needs a new ceremony",
        )?;
        Rule::LogEvent.ensure(
            self.way == plan.way,
            format!("a log of keys that are {}", self.way),
            format!("keys that are {}, as the plan says", plan.way),
            FOREIGN_LOG,
        )?;
        self.check_trial(plan)?;
        self.check_source(plan)?;
        let made = self.side == Side::Tenant && !self.keys.is_empty();
        match made && plan.trusted_only() && self.kek.is_none() {
            true => Err(untrusted("a log with keys create and without kek trust")),
            false => Ok(()),
        }
    }

    /// The tenant's originals went where the plan destroys them, and only there.
    fn check_source(&self, plan: &Plan) -> Result<()> {
        let carried = self.side == Side::Tenant && self.way == TransferRoute::Carried;
        let ended = carried && self.aborted.is_none() && self.phase == Phase::Closed;
        let (gone, wanted) = (self.source_destroyed, plan.source == Originals::Destroy);
        Rule::SourceLeft.ensure(
            gone == wanted || (wanted && !ended),
            format!("a log in which the originals are destroyed: {gone}"),
            format!("{wanted}, as the plan says"),
            FOREIGN_LOG,
        )
    }

    fn check_trial(&self, plan: &Plan) -> Result<()> {
        let named = plan.trial_before();
        if plan.trial == Trial::This && self.has_begun(Step::Primary) {
            return Err(past_trial("a log of a trial with primary"));
        }
        // The tenant may begin without it.
        let begins = self.trial.is_none() && self.side == Side::Tenant;
        let said = |closing: Option<Hash>| match closing {
            Some(closing) => format!("the trial with the closing {closing}"),
            None => "no trial".to_owned(),
        };
        Rule::PlanTrial.ensure(
            self.trial == named || begins,
            format!("a log that began with {}", said(self.trial)),
            said(named),
            FOREIGN_LOG,
        )
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

fn wrong(entry: &Entry, found: &str) -> Error {
    Rule::LogEvent.refuse(
        format!("entry {}: {found}", entry.head.seq),
        "one init, first, of this side",
        "name this side's ceremony folder with --dir",
    )
}
