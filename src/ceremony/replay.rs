//! A log on its way to a state, for its own side and for whoever verifies it.

use crate::{
    Error, Result,
    encoding::Hash,
    log::{Entry, Event},
    phase::State,
    plan::{PLAN_FILE, Plan, Side},
    rule::Rule,
};

/// A log on its way to a state.
pub struct Replay {
    /// The state so far.
    pub state: State,
    plan: Option<Hash>,
}

impl Replay {
    /// Before the first entry.
    pub fn new(side: Side) -> Self {
        Replay {
            state: State::new(side),
            plan: None,
        }
    }

    /// Takes the next entry; the first is `init`, and only the first.
    ///
    /// # Errors
    /// `LOG-EVENT`.
    pub fn take(&mut self, entry: &Entry) -> Result<()> {
        match (&entry.event, self.plan) {
            (Event::Init { side, plan, .. }, None) if *side == self.state.side => {
                self.plan = Some(*plan)
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
    /// `PLAN-CHANGED`; `TARGET-WRAP-WITH-TRUSTED` where the tenant's keys were made before its HSM trusted the KEK.
    pub fn check_plan(&self, plan: &Plan) -> Result<()> {
        if self.plan == Some(plan.hash()) {
            let made = self.state.side == Side::Tenant && !self.state.keys.is_empty();
            return match made && plan.trusted_only() && self.state.kek.is_none() {
                true => Err(untrusted("a log with keys create and without kek trust")),
                false => Ok(()),
            };
        }
        Err(Rule::PlanChanged.refuse(
            format!("{PLAN_FILE} with SHA-256 {}", plan.hash()),
            format!(
                "the agreed one, {}",
                self.plan.map_or("none".into(), |hash| hash.to_string())
            ),
            "put the agreed plan back, byte for byte; a change needs a new ceremony",
        ))
    }
}

/// The refusal of a step that must not come before the KEK is trusted.
pub fn untrusted(found: &str) -> Error {
    Rule::TargetWrapWithTrusted.refuse(
        found,
        "kek trust before keys create, as this plan is single-shot and does not waive the rule",
        "let the security officer of the tenant's HSM run `kek trust` first",
    )
}

fn wrong(entry: &Entry, found: String) -> Error {
    Rule::LogEvent.refuse(
        format!("entry {}: {found}", entry.head.seq),
        "one init, first, of this side",
        "name this side's ceremony folder with --dir",
    )
}
