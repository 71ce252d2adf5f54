//! What a machine must be like before keys that matter are touched on it. Here it is judged, from
//! the texts of the kernel (proc(5)); `side::preflight` gathers them, reports and records.

pub mod network;
pub mod process;
pub mod software;

use record::command::tool;
use record::escape::escape;
use record::flow::seen::Seen;
use record::plan::Plan;
use record::rule::Rule;
use record::terms::{Finding, Mode, RuleOutcome};
use record::{Error, Refusal, Result};

/// The greatest length of what is recorded of one rule, in characters.
const MAX_FOUND: usize = 500;

/// One rule that was looked at: what was found, or the refusal that a production ceremony ends
/// with.
#[derive(Debug)]
pub struct Check {
    rule: Rule,
    result: std::result::Result<String, Box<Refusal>>,
}

impl Check {
    /// What a judgement by this rule came to.
    ///
    /// # Errors
    /// Those that are no refusals: nothing was judged then.
    pub fn new(rule: Rule, result: Result<String>) -> Result<Self> {
        let result = match result {
            Ok(found) => Ok(found),
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(other) => return Err(other),
        };
        Ok(Check { rule, result })
    }

    /// As the log has it.
    pub fn finding(&self, plan: &Plan) -> Finding {
        let (found, outcome) = match &self.result {
            Ok(found) => (found, RuleOutcome::Holds),
            Err(refusal) if plan.waives(self.rule) => (&refusal.found, RuleOutcome::Waived),
            Err(refusal) => (&refusal.found, RuleOutcome::Broken),
        };
        Finding {
            rule: self.rule,
            found: escape(&found.chars().take(MAX_FOUND).collect::<String>()),
            outcome,
        }
    }

    /// What mends it, where the rule is broken.
    pub fn remedy(&self) -> Option<&str> {
        let refusal = self.result.as_ref().err()?;
        Some(&refusal.remedy)
    }
}

/// Nothing, in a rehearsal or where everything that is broken is waived.
///
/// # Errors
/// By the first rule that is broken and not waived.
pub fn require(checks: &[Check], plan: &Plan) -> Result<()> {
    if plan.mode == Mode::Rehearsal {
        return Ok(());
    }
    let blocking = (checks.iter()).filter(|check| !plan.waives(check.rule));
    match blocking.filter_map(|check| check.result.as_ref().err()).next() {
        Some(refusal) => Err(Error::Refused(refusal.clone())),
        None => Ok(()),
    }
}

/// The clock against the record. Both are UTC, RFC 3339, whole seconds: their order is that of the
/// texts.
///
/// # Errors
/// `PREFLIGHT-CLOCK`.
pub fn clock(now: &str, seen: &Seen) -> Result<String> {
    match &seen.time {
        None => Ok("the record begins now".into()),
        Some(last) if now >= last.as_str() => Ok("not behind the record".into()),
        Some(last) => Err(Rule::PreflightClock.refuse(
            format!("the clock says {now}, an entry of the record {last}"),
            "a clock that has gone on since",
            "set the clock by another one, in front of a witness. If the entry's time is the wrong one, put that into the record with `note`, which \
             counts from then on; then run the command again",
        )),
    }
}

/// The environment, by its names; values are neither looked at nor shown.
///
/// # Errors
/// The rule, naming each variable that begins so.
pub fn environment(rule: Rule, beginnings: &[&str], names: &[String]) -> Result<String> {
    let shown = beginnings.join("…, ");
    let begins = |name: &&String| beginnings.iter().any(|beginning| name.starts_with(beginning));
    let found: Vec<String> = (names.iter()).filter(begins).map(|name| escape(name)).collect();
    if found.is_empty() {
        return Ok(format!("no variable {shown}…"));
    }
    Err(rule.refuse(
        format!("set: {}", found.join(", ")),
        format!("no variable whose name begins with {shown}"),
        format!(
            "`unset {}`, and find out which start-up file sets it; then run the command again from that shell",
            found.iter().fold(tool("unset"), |line, name| line.and("NAME").with("NAME", name))
        ),
    ))
}

/// Which of the options that a medium must be mounted with it is (statvfs(3)).
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // named as mount(8) names them
pub struct MountOptions {
    pub nosuid: bool,
    pub nodev: bool,
    pub noexec: bool,
}

/// A medium's mount.
///
/// # Errors
/// `PREFLIGHT-MEDIUM`, naming the options that are missing.
pub fn medium(folder: &str, options: MountOptions) -> Result<String> {
    let wanted = [(options.nosuid, "nosuid"), (options.nodev, "nodev"), (options.noexec, "noexec")];
    let missing: Vec<&str> =
        (wanted.iter()).filter(|(there, _)| !there).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(format!("{folder} is mounted nosuid,nodev,noexec"));
    }
    Err(Rule::PreflightMedium.refuse(
        format!("{folder} is mounted without {}", missing.join(",")),
        "a mount with nosuid,nodev,noexec",
        format!(
            "whoever administers the machine runs `{}`; then run the command again",
            tool("mount -o remount,nosuid,nodev,noexec MEDIUM")
        ),
    ))
}

#[cfg(test)]
mod tests;
