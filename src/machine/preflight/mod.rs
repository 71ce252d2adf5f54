//! What a machine must be like before keys that matter are touched on it. Here it is judged, from
//! the texts of the kernel (proc(5)); `side::preflight` gathers them, reports and records.

pub mod network;
pub mod process;

use rustix::fs::StatVfsMountFlags;

use record::command::tool;
use record::flow::seen::Seen;
use record::{Error, Finding, Hash, Mode, Plan, Refusal, Result, Rule, RuleOutcome, escape};

/// The greatest length of what is recorded of one rule, in characters.
const MAX_FOUND: usize = 500;
/// The beginnings of variables by which a library or a module is put where it reads along, the PIN
/// too (ld.so(8); OpenSC's pkcs11-spy).
const WATCHERS: [&str; 3] = ["LD_PRELOAD", "LD_AUDIT", "PKCS11SPY"];

/// One rule that was looked at: what was found, or the refusal that a production ceremony ends
/// with.
#[derive(Debug)]
pub struct Check {
    rule: Rule,
    result: std::result::Result<String, Box<Refusal>>,
    // Somebody reads along: no waiver covers that.
    watched: bool,
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
        Ok(Check { rule, result, watched: false })
    }

    /// The same, where a program may read the PIN along.
    pub fn watched(self, watched: bool) -> Self {
        Check { watched, ..self }
    }

    /// Whether the plan goes without it; where there is none, nothing is gone without.
    fn is_waived(&self, plan: Option<&Plan>) -> bool {
        !self.watched && plan.is_some_and(|plan| plan.waives(self.rule))
    }

    /// As the log has it.
    pub fn finding(&self, plan: Option<&Plan>) -> Finding {
        let (found, outcome) = match &self.result {
            Ok(found) => (found, RuleOutcome::Holds),
            Err(refusal) if self.is_waived(plan) => (&refusal.found, RuleOutcome::Waived),
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
    first(checks.iter().filter(|check| !check.is_waived(Some(plan))))
}

/// Nothing, where no program reads along.
///
/// # Errors
/// By the first rule that one breaks.
pub fn require_unwatched(checks: &[Check]) -> Result<()> {
    first(checks.iter().filter(|check| check.watched))
}

/// The first refusal among these.
fn first<'a>(mut checks: impl Iterator<Item = &'a Check>) -> Result<()> {
    match checks.find_map(|check| check.result.as_ref().err()) {
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
/// None: no variable keeps it from being judged.
pub fn environment(rule: Rule, beginnings: &[&str], names: &[String]) -> Result<Check> {
    let shown = beginnings.join("…, ");
    let begins = |name: &str, all: &[&str]| all.iter().any(|beginning| name.starts_with(beginning));
    let found: Vec<&String> = names.iter().filter(|name| begins(name, beginnings)).collect();
    let watched = found.iter().any(|name| begins(name, &WATCHERS));
    let found: Vec<String> = found.into_iter().map(|name| escape(name)).collect();
    if found.is_empty() {
        return Check::new(rule, Ok(format!("no variable {shown}…")));
    }
    let refusal = rule.refuse(
        format!("set: {}", found.join(", ")),
        format!("no variable whose name begins with {shown}"),
        format!(
            "`{}`, and find out which start-up file sets it; then run the command again from that shell",
            found.iter().fold(tool("unset"), |line, name| line.and("NAME").with("NAME", name))
        ),
    );
    Ok(Check::new(rule, Err(refusal))?.watched(watched))
}

/// A medium's mount, by its flags (statvfs(3)).
///
/// # Errors
/// `PREFLIGHT-MEDIUM`, naming the options that are missing.
pub fn medium(folder: &str, flags: StatVfsMountFlags) -> Result<String> {
    let wanted = [
        (StatVfsMountFlags::NOSUID, "nosuid"),
        (StatVfsMountFlags::NODEV, "nodev"),
        (StatVfsMountFlags::NOEXEC, "noexec"),
    ];
    let missing = wanted.iter().filter(|(flag, _)| !flags.contains(*flag));
    let missing: Vec<&str> = missing.map(|(_, name)| *name).collect();
    Rule::PreflightMedium.ensure(
        missing.is_empty(),
        format!("{folder} is mounted without {}", missing.join(",")),
        "a mount with nosuid,nodev,noexec",
        format!(
            "whoever administers the machine runs `{}`; then run the command again",
            tool("mount -o remount,nosuid,nodev,noexec MEDIUM")
        ),
    )?;
    Ok(format!("{folder} is mounted nosuid,nodev,noexec"))
}

/// Whether the plan has this file, by its name, with this hash.
///
/// # Errors
/// `PREFLIGHT-SOFTWARE`.
pub fn software(planned: &[(String, Hash)], file: &str, hash: Hash) -> Result<String> {
    let shown = escape(file);
    let (_, expected) = planned.iter().find(|(name, _)| name == file).ok_or_else(|| {
        Rule::PreflightSoftware.refuse(
            format!("the plan's [software] does not name {shown}; its SHA-256 is {hash}"),
            "an entry with the SHA-256 of each program and PKCS#11 module",
            "both sides take the hash into a new plan and sign it, once somebody has checked where the file came from",
        )
    })?;
    Rule::PreflightSoftware.ensure(
        *expected == hash,
        format!("{shown} with SHA-256 {hash}"),
        format!("the planned one, {expected}"),
        "install the file that the plan names, from where the officers have it, and compare its hash with the paper record. If another \
         version is to be used, both sides agree on and sign a new plan",
    )?;
    Ok(format!("{shown} is the planned one, {hash}"))
}

#[cfg(test)]
mod tests;
