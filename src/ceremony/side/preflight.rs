//! `preflight`: the machine, the programs and the token, looked at, reported and recorded. In
//! production every command that does something begins with it.

use std::fs::File;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use crate::side::token::{TokenChoice, require_planned, require_tries_left};
use crate::{Ceremony, plugins};
use hsm::Module;
use machine::hardening::harden;
use machine::preflight::network::{self, Interface, Route};
use machine::preflight::process::{self, Process};
use machine::preflight::{self, Check, MountOptions, software};
use record::encoding::Hash;
use record::escape::escape;
use record::flow::Phase;
use record::flow::seen::Seen;
use record::log::{self, Event};
use record::plan::Plan;
use record::rule::Rule;
use record::terms::{Finding, Id, Mode, RuleOutcome, Side, list};
use record::{Error, Result, folder};
use terminal::report::Report;

/// The greatest size of what is read of /proc and /sys, in bytes.
const MAX_TEXT: u64 = 4 << 20;

/// What a preflight looks at beside the machine.
pub struct PreflightSubject<'a> {
    /// The agreed plan.
    pub plan: &'a Plan,
    /// Whose machine it is.
    pub side: Side,
    /// What the log says of clock and earlier findings.
    pub seen: &'a Seen,
    /// The PKCS#11 module that the command names.
    pub module: Option<&'a Path>,
}

/// What `preflight` came to.
pub struct Preflight {
    /// Every rule with what was found.
    pub report: Report,
    /// How the command ends.
    pub end: Result<()>,
}

/// Hardens the process, looks at everything, and records it. In production it ends as every other
/// command then would.
///
/// # Errors
/// Where the log can't be written.
pub fn preflight(
    ceremony: &mut Ceremony,
    module: Option<&Path>,
    choice: Option<&TokenChoice>,
    medium: Option<&Path>,
) -> Result<Preflight> {
    let mut checks = look(&harden(), &subject(ceremony, module))?;
    if let Some(folder) = medium {
        checks.push(medium_check(folder)?);
    }
    for (program, custodians) in ceremony.plan.plugins() {
        checks.push(plugin_check(ceremony, &program, &custodians)?);
    }
    let asked = match choice {
        Some(choice) => ask_token(ceremony, choice, &mut checks),
        None => Ok(()),
    };
    let findings = findings(&checks, &ceremony.plan);
    let report = report(&checks, &findings, ceremony.plan.mode);
    // What is closed stays as it was signed.
    if ceremony.state.phase != Phase::Closed {
        ceremony.record(Event::Preflight { findings })?;
    }
    let end = preflight::require(&checks, &ceremony.plan).and(asked);
    Ok(Preflight { report, end })
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
    let checks = look(&process, &subject(ceremony, module))?;
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
    let seen = Seen::default();
    let subject = PreflightSubject { plan, side, seen: &seen, module };
    let checks = look(&harden(), &subject)?;
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

fn subject<'a>(ceremony: &'a Ceremony, module: Option<&'a Path>) -> PreflightSubject<'a> {
    PreflightSubject {
        plan: &ceremony.plan,
        side: ceremony.state.side,
        seen: &ceremony.state.seen,
        module,
    }
}

fn findings(checks: &[Check], plan: &Plan) -> Vec<Finding> {
    checks.iter().map(|check| check.finding(plan)).collect()
}

/// Every rule of the machine, in their order.
fn look(process: &Process, subject: &PreflightSubject) -> Result<Vec<Check>> {
    let names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let network_plan = (subject.plan.party(subject.side).hsm.as_ref())
        .and_then(|planned| planned.network.as_ref());
    let mut looked = vec![
        (
            Rule::PreflightSwap,
            text(Rule::PreflightSwap, "/proc/swaps").and_then(|swaps| process::swap(&swaps)),
        ),
        (Rule::PreflightCoreDump, process::core_dump(process)),
        (Rule::PreflightPtrace, ptrace()),
        (Rule::PreflightMemoryLock, process::memory_lock(process)),
        (
            Rule::PreflightNetwork,
            interfaces()
                .and_then(|interfaces| network::network(&interfaces, &routes()?, network_plan)),
        ),
    ];
    for (rule, beginnings) in [
        // OpenSSL, which many modules use, and the C library load what these name.
        (
            Rule::PreflightLoader,
            &["LD_", "OPENSSL_", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH"][..],
        ),
        (Rule::PreflightPkcs11Spy, &["PKCS11SPY"]),
        (Rule::PreflightP11Kit, &["P11_KIT"]),
    ] {
        looked.push((rule, preflight::environment(rule, beginnings, &names)));
    }
    let planned = &subject.plan.software;
    let program = program().and_then(|(file, hash)| software::software(planned, &file, hash));
    looked.push((Rule::PreflightSoftware, program));
    if let Some(path) = subject.module {
        let module = module(path).and_then(|(file, hash)| software::software(planned, &file, hash));
        looked.push((Rule::PreflightSoftware, module));
    }
    let clock = log::now().and_then(|now| preflight::clock(&now, subject.seen));
    looked.push((Rule::PreflightClock, clock));
    (looked.into_iter()).map(|(rule, result)| Check::new(rule, result)).collect()
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

fn ptrace() -> Result<String> {
    let rule = Rule::PreflightPtrace;
    let status = text(rule, "/proc/self/status")?;
    let scope = optional_text(rule, "/proc/sys/kernel/yama/ptrace_scope")?;
    process::ptrace(&status, scope.as_deref())
}

/// The interfaces of this network namespace, with their flags.
fn interfaces() -> Result<Vec<Interface>> {
    let (rule, path) = (Rule::PreflightNetwork, "/proc/net/dev");
    let names = network::interface_names(&text(rule, path)?);
    let names = names.ok_or_else(|| unreadable_error(rule, path, "another text"))?;
    let one = |name: String| {
        let path = format!("/sys/class/net/{name}/flags");
        let flags = optional_text(rule, &path)?;
        let flags = flags.and_then(|flags| network::flags(&flags));
        Ok(Interface { name, flags })
    };
    names.into_iter().map(one).collect()
}

fn routes() -> Result<Vec<Route>> {
    let rule = Rule::PreflightNetwork;
    let other = |path: &str| unreadable_error(rule, path, "another text");
    let (v4, v6) = ("/proc/net/route", "/proc/net/ipv6_route");
    let mut routes = network::routes_v4(&text(rule, v4)?).ok_or_else(|| other(v4))?;
    if let Some(text) = optional_text(rule, v6)? {
        routes.extend(network::routes_v6(&text).ok_or_else(|| other(v6))?);
    }
    Ok(routes)
}

/// The program that runs: its file's name, and the hash of what was started, even if the file has
/// been replaced since.
fn program() -> Result<(String, Hash)> {
    let path =
        std::env::current_exe().map_err(|error| Error::file("/proc/self/exe".as_ref(), error));
    let hash =
        path.and_then(|path| Ok((folder::file_name(&path), hash_file("/proc/self/exe".as_ref())?)));
    hash.map_err(unhashed_error)
}

/// The module: vendors install links to the current version; what counts is the file that is
/// loaded.
fn module(path: &Path) -> Result<(String, Hash)> {
    let real = std::fs::canonicalize(path).map_err(|error| Error::file(path, error));
    let hash = real.and_then(|real| Ok((folder::file_name(&real), hash_file(&real)?)));
    hash.map_err(unhashed_error)
}

fn unhashed_error(error: Error) -> Error {
    Rule::PreflightSoftware.refuse(
        escape(&error.to_string()),
        "a file that can be read and hashed",
        "check the path, and that the operator may read the file; then run the command again",
    )
}

/// Of a file that is found by a link: the running program's is one, and a module's may be.
fn hash_file(path: &Path) -> Result<Hash> {
    let file = File::open(path).map_err(|error| Error::file(path, error))?;
    folder::hash_open(file, path).map(|(hash, _)| hash)
}

/// A plugin of custodians: the tenant's machine makes their shares with it, the hoster's opens their
/// identities with it where they bring them.
fn plugin_check(ceremony: &Ceremony, program: &str, custodians: &[Id]) -> Result<Check> {
    let here = plugins::require(&ceremony.plan, program);
    let of = list(custodians);
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
        Ok(stat) => {
            let has = |flag| stat.f_flag.contains(flag);
            let options = MountOptions {
                nosuid: has(StatVfsMountFlags::NOSUID),
                nodev: has(StatVfsMountFlags::NODEV),
                noexec: has(StatVfsMountFlags::NOEXEC),
            };
            preflight::medium(&shown, options)
        }
        Err(error) => Err(Rule::PreflightMedium.refuse(
            format!("{shown}: {error}"),
            "the folder of a mounted medium",
            "mount the medium with nosuid,nodev,noexec, and name its folder",
        )),
    };
    Check::new(Rule::PreflightMedium, result)
}

/// Which token it is and how near its PIN is to being locked, without a login.
fn ask_token(ceremony: &Ceremony, choice: &TokenChoice, checks: &mut Vec<Check>) -> Result<()> {
    // In production no module is loaded that is not the planned one.
    preflight::require(checks, &ceremony.plan)?;
    let module = Module::open(&choice.module, choice.module_args.as_deref())?;
    let token = module.token(&choice.label)?;
    let planned = require_planned(ceremony, &token).map(|()| {
        let found = token.identity();
        let named = format!("{} {}, serial {}", found.manufacturer, found.model, found.serial);
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
    for (check, finding) in checks.iter().zip(findings) {
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
