//! `preflight`: the machine, the programs and the token, looked at, reported and recorded. In
//! production every command that does something begins with it.

use std::fs::File;
use std::path::Path;

use crate::side::token::{TokenArgs, require_planned, require_tries_left};
use crate::{Ceremony, Report, plugins};
use machine::hardening::harden;
use machine::preflight::network::{self, Interface};
use machine::preflight::process::{self, Process};
use machine::preflight::{self, Check};
use record::flow::seen::Seen;
use record::plan::NetworkPlan;
use record::{
    Error, Event, Finding, Hash, Id, Mode, Phase, Plan, Result, Rule, RuleOutcome, Side, escape,
    folder, log,
};

/// The greatest size of what is read of /proc and /sys, in bytes.
const MAX_TEXT: u64 = 4 << 20;

/// Hardens the process, looks at everything, and records it: every rule with what was found, and
/// how the command ends, in production as every other then would.
///
/// # Errors
/// Where the log can't be written.
pub fn preflight(
    ceremony: &mut Ceremony,
    args: &TokenArgs,
    medium: Option<&Path>,
) -> Result<(Report, Result<()>)> {
    if args.token.is_some() {
        args.named()?;
    }
    let mut checks = look_at(ceremony, &harden(), args.module.as_deref())?;
    if let Some(folder) = medium {
        checks.push(medium_check(folder)?);
    }
    for (program, custodians) in ceremony.plan.plugins() {
        checks.push(plugin_check(ceremony, &program, &custodians)?);
    }
    let asked = match args.token {
        Some(_) => ask_token(ceremony, args, &mut checks),
        None => Ok(()),
    };
    let findings = findings(&checks, &ceremony.plan);
    let report = report(&checks, &findings, ceremony.plan.mode);
    // What is closed stays as it was signed.
    if ceremony.state.phase != Phase::Closed {
        ceremony.record(Event::Preflight { findings })?;
    }
    Ok((report, preflight::require(&checks, &ceremony.plan).and(asked)))
}

/// In production, before a command does anything: the process is hardened, the machine looked at,
/// what is new recorded. The token is not asked: the steps that use it do so themselves, before the
/// PIN.
///
/// # Errors
/// By the first rule that is broken and not waived.
pub fn guard(ceremony: &mut Ceremony, module: Option<&Path>) -> Result<()> {
    if ceremony.plan.mode != Mode::Production {
        return Ok(());
    }
    let process = harden();
    // Nothing is left to do then but to write the archive of a log that ends with `close`.
    if ceremony.state.phase == Phase::Closed {
        return Ok(());
    }
    let checks = look_at(ceremony, &process, module)?;
    record_news(ceremony, &checks)?;
    preflight::require(&checks, &ceremony.plan)
}

/// As [`guard`], before there is a ceremony to record it in: [`record_news`] does so once there is.
///
/// # Errors
/// As [`guard`].
pub fn guard_init(plan: &Plan, side: Side, module: Option<&Path>) -> Result<Vec<Check>> {
    if plan.mode != Mode::Production {
        return Ok(Vec::new());
    }
    let checks = look(plan, side, &Seen::default(), &harden(), module)?;
    preflight::require(&checks, plan)?;
    Ok(checks)
}

/// Records what was found, if the last preflight did not find just that.
///
/// # Errors
/// Where the log can't be written.
pub fn record_news(ceremony: &mut Ceremony, checks: &[Check]) -> Result<()> {
    let findings = findings(checks, &ceremony.plan);
    if ceremony.state.seen.is_news(&findings) {
        ceremony.record(Event::Preflight { findings })?;
    }
    Ok(())
}

fn look_at(ceremony: &Ceremony, process: &Process, module: Option<&Path>) -> Result<Vec<Check>> {
    let state = &ceremony.state;
    look(&ceremony.plan, state.side, &state.seen, process, module)
}

fn findings(checks: &[Check], plan: &Plan) -> Vec<Finding> {
    checks.iter().map(|check| check.finding(Some(plan))).collect()
}

/// For what has no plan, and so no waivers: in production the process is hardened, and whoever
/// reads along is refused before a PIN is asked for. What else stands against production is given
/// as findings.
///
/// # Errors
/// `PREFLIGHT-LOADER`, `PREFLIGHT-PKCS11-SPY`, `PREFLIGHT-PTRACE`.
pub fn guard_unplanned(mode: Mode) -> Result<Vec<Finding>> {
    if mode != Mode::Production {
        return Ok(Vec::new());
    }
    let checks = machine(&harden(), None)?;
    preflight::require_unwatched(&checks)?;
    let findings = checks.iter().map(|check| check.finding(None));
    Ok(findings.filter(|finding| finding.outcome == RuleOutcome::Broken).collect())
}

/// Every rule of the machine, in their order. `seen` is what the log says of clock and earlier
/// findings, `module` the PKCS#11 module that the command names.
fn look(
    plan: &Plan,
    side: Side,
    seen: &Seen,
    process: &Process,
    module: Option<&Path>,
) -> Result<Vec<Check>> {
    let planned = plan.party(side).hsm.as_ref().and_then(|planned| planned.network.as_ref());
    let mut checks = machine(process, planned)?;
    let rule = Rule::PreflightSoftware;
    checks.push(Check::new(rule, program(plan))?);
    if let Some(path) = module {
        checks.push(Check::new(rule, module_file(plan, path))?);
    }
    let clock = log::now().and_then(|now| preflight::clock(&now, seen));
    checks.push(Check::new(Rule::PreflightClock, clock)?);
    Ok(checks)
}

/// What can be judged without a plan but for the HSM's own network.
fn machine(process: &Process, planned: Option<&NetworkPlan>) -> Result<Vec<Check>> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    let environment = |rule, beginnings: &[&str]| preflight::environment(rule, beginnings, &names);
    let swap = text(Rule::PreflightSwap, "/proc/swaps").and_then(|swaps| process::swap(&swaps));
    Ok(vec![
        Check::new(Rule::PreflightSwap, swap)?,
        Check::new(Rule::PreflightCoreDump, process::core_dump(process))?,
        ptrace()?,
        Check::new(Rule::PreflightMemoryLock, process::memory_lock(process))?,
        Check::new(Rule::PreflightNetwork, network(planned))?,
        // OpenSSL, which many modules use, and the C library load what these name.
        environment(
            Rule::PreflightLoader,
            &["LD_", "OPENSSL_", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH"],
        )?,
        environment(Rule::PreflightPkcs11Spy, &["PKCS11SPY"])?,
        environment(Rule::PreflightP11Kit, &["P11_KIT"])?,
    ])
}

/// A text of the kernel. One that can't be read breaks the rule: nothing is known then.
fn text(rule: Rule, path: &str) -> Result<String> {
    optional_text(rule, path)?.ok_or_else(|| unreadable_error(rule, path, "there is none"))
}

/// A text of the kernel, which has it only where it was built so.
fn optional_text(rule: Rule, path: &str) -> Result<Option<String>> {
    if let Ok(false) = Path::new(path).try_exists() {
        return Ok(None);
    }
    match folder::read_file(Path::new(path), MAX_TEXT) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => Err(unreadable_error(rule, path, error)),
    }
}

fn unreadable_error(rule: Rule, path: &str, why: impl std::fmt::Display) -> Error {
    rule.refuse(
        escape(&format!("{path}: {why}")),
        "a text of the kernel that can be read, and has its form",
        "run Keyferry where /proc and /sys are those of the machine, not of a sandbox or container",
    )
}

fn ptrace() -> Result<Check> {
    let rule = Rule::PreflightPtrace;
    let judge = |status: &str| {
        let scope = optional_text(rule, "/proc/sys/kernel/yama/ptrace_scope")?;
        process::ptrace(status, scope.as_deref())
    };
    match text(rule, "/proc/self/status") {
        Ok(status) => Ok(Check::new(rule, judge(&status))?.watched(process::is_traced(&status))),
        // Nothing is known of a tracer then: as if there were one.
        Err(error) => Ok(Check::new(rule, Err(error))?.watched(true)),
    }
}

/// What a text of the kernel says.
fn parsed<T>(rule: Rule, path: &str, text: &str, parse: fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| unreadable_error(rule, path, "another text"))
}

/// The interfaces of this network namespace, with their flags, and its routes.
fn network(planned: Option<&NetworkPlan>) -> Result<String> {
    let rule = Rule::PreflightNetwork;
    let (dev, v4, v6) = ("/proc/net/dev", "/proc/net/route", "/proc/net/ipv6_route");
    let one = |name: String| {
        let flags = optional_text(rule, &format!("/sys/class/net/{name}/flags"))?;
        Ok(Interface { name, flags: flags.and_then(|flags| network::flags(&flags)) })
    };
    let names = parsed(rule, dev, &text(rule, dev)?, network::interface_names)?;
    let interfaces = names.into_iter().map(one).collect::<Result<Vec<_>>>()?;
    let mut routes = parsed(rule, v4, &text(rule, v4)?, network::routes_v4)?;
    if let Some(text) = optional_text(rule, v6)? {
        routes.extend(parsed(rule, v6, &text, network::routes_v6)?);
    }
    network::network(&interfaces, &routes, planned)
}

/// The program that runs: its file's name, and the hash of what was started, even if the file has
/// been replaced since.
fn program(plan: &Plan) -> Result<String> {
    let own = Path::new("/proc/self/exe");
    let at_own = |error| Error::file(own, error);
    planned(plan, || {
        let named = std::env::current_exe().map_err(at_own)?;
        // A link, which the kernel keeps to the file that was started.
        let (hash, _) = folder::hash_open(File::open(own).map_err(at_own)?, own)?;
        Ok((folder::file_name(&named), hash))
    })
}

/// The module: vendors install links to the current version; what counts is the file that is
/// loaded.
fn module_file(plan: &Plan, path: &Path) -> Result<String> {
    planned(plan, || {
        let real = std::fs::canonicalize(path).map_err(|error| Error::file(path, error))?;
        Ok((folder::file_name(&real), folder::hash_file(&real, hsm::MAX_MODULE)?.0))
    })
}

/// Whether a file is the planned one, by its name and hash.
fn planned(plan: &Plan, hashed: impl FnOnce() -> Result<(String, Hash)>) -> Result<String> {
    let (name, hash) = hashed().map_err(|error| {
        Rule::PreflightSoftware.refuse(
            escape(&error.to_string()),
            "a file that can be read and hashed",
            "check the path, and that the operator may read the file; then run the command again",
        )
    })?;
    preflight::software(&plan.software, &name, hash)
}

/// A plugin of custodians: the tenant's machine makes their shares with it, the hoster's opens their
/// identities with it where they bring them.
fn plugin_check(ceremony: &Ceremony, program: &str, custodians: &[Id]) -> Result<Check> {
    let here = plugins::require(&ceremony.plan, program);
    let of = ceremony.plan.names_of("nobody", custodians);
    let rule = match &here {
        Err(error) => error.rule().unwrap_or(Rule::AgePlugin),
        Ok(_) => Rule::AgePlugin,
    };
    match (here, ceremony.state.side) {
        // Custodians may type their shares instead.
        (Err(_), Side::Hoster) if rule == Rule::AgePlugin => {
            let found = format!("no {program} here: {of} type or scan their shares at the import");
            Check::new(rule, Ok(found))
        }
        (here, _) => Check::new(rule, here.map(|found| format!("{found}, for {of}"))),
    }
}

/// How a medium is mounted. The kernel says it of the very folder (statvfs(3)); to find its line
/// among the mounts would be a guess where one mount hides another.
fn medium_check(folder: &Path) -> Result<Check> {
    let shown = escape(&folder.display().to_string());
    let result = match rustix::fs::statvfs(folder) {
        Ok(stat) => preflight::medium(&shown, stat.f_flag),
        Err(error) => Err(Rule::PreflightMedium.refuse(
            format!("{shown}: {error}"),
            "the folder of a mounted medium",
            "mount the medium with nosuid,nodev,noexec, and name its folder",
        )),
    };
    Check::new(Rule::PreflightMedium, result)
}

/// Which token it is and how near its PIN is to being locked, without a login.
fn ask_token(ceremony: &Ceremony, args: &TokenArgs, checks: &mut Vec<Check>) -> Result<()> {
    // In production no module is loaded that is not the planned one.
    preflight::require(checks, &ceremony.plan)?;
    args.find(|_, token| {
        let planned = require_planned(ceremony, token).map(|()| {
            let named = token.identity();
            match ceremony.plan.party(ceremony.state.side).hsm {
                Some(_) => format!("the planned one: {named}"),
                None => format!("the plan names no HSM; this is {named}"),
            }
        });
        checks.push(Check::new(Rule::PlanHsm, planned)?);
        let tries = require_tries_left(token.pin_state()?);
        let tries = tries.map(|()| "the token does not say that few tries are left".into());
        checks.push(Check::new(Rule::PinCountLow, tries)?);
        Ok(())
    })
}

/// One line per rule, and what mends a broken one.
fn report(checks: &[Check], findings: &[Finding], mode: Mode) -> Report {
    let broken = (findings.iter()).filter(|finding| finding.outcome == RuleOutcome::Broken);
    let mut broken: Vec<&str> = broken.map(|finding| finding.rule.name()).collect();
    broken.dedup();
    let mut report = Report::new(match (broken.is_empty(), mode) {
        (true, _) => "Nothing that was looked at stands against production.".to_owned(),
        (false, Mode::Production) => format!("Production is refused: {}.", broken.join(", ")),
        (false, Mode::Rehearsal) => {
            format!("Production would be refused here: {}.", broken.join(", "))
        }
    });
    report = report.part("THE MACHINE");
    for (check, finding) in checks.iter().zip(findings) {
        report = match finding.rule {
            Rule::PreflightSoftware => report.part("PROGRAMS, CLOCK, MEDIA"),
            Rule::PlanHsm => report.part("THE TOKEN"),
            _ => report,
        };
        report = report.line(format!(
            "{:<22} {}: {}",
            finding.rule.name(),
            finding.outcome.shown(),
            finding.found
        ));
        if let (Some(remedy), RuleOutcome::Broken) = (check.remedy(), finding.outcome) {
            report = report.line(format!("{:<22} to do: {remedy}", ""));
        }
    }
    report.data("findings", serde_json::json!(findings))
}
