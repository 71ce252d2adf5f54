//! The process and the memory under it: swap, core dumps, tracing, the memory lock.

use record::command::tool;
use record::{Result, Rule, escape};

/// CAP_IPC_LOCK (capabilities(7)): who has it may lock memory without limit.
const CAP_IPC_LOCK: u32 = 14;

/// What hardening came to, read back where the system tells.
#[derive(Debug, Clone)]
pub struct Process {
    /// The greatest core dump, soft and hard, in bytes; none is no limit.
    pub core_limits: [Option<u64>; 2],
    /// Whether the kernel would dump the process, and let others of the same person trace it.
    pub dumpable: bool,
    /// Whether all memory, now and later, is locked, or why not.
    pub locked: std::result::Result<(), String>,
}

/// `/proc/swaps` (proc(5)): a line of titles, and a line for each area.
///
/// # Errors
/// `PREFLIGHT-SWAP`, naming the areas.
pub fn swap(swaps: &str) -> Result<String> {
    let mut lines = swaps.lines();
    let found = match lines.next() {
        Some(titles) if titles.starts_with("Filename") => {
            let areas = lines.filter_map(|line| line.split_whitespace().next()).map(escape);
            let areas: Vec<String> = areas.collect();
            if areas.is_empty() {
                return Ok("no swap is on".into());
            }
            format!("swap is on: {}", areas.join(", "))
        }
        _ => "/proc/swaps is not what a Linux kernel writes".to_owned(),
    };
    Err(Rule::PreflightSwap.refuse(
        found,
        "no swap",
        format!("whoever administers the machine runs `{}`, and takes swap out of /etc/fstab and systemd; then run the command again", tool("swapoff -a")),
    ))
}

/// The limits and the dumpable flag.
///
/// # Errors
/// `PREFLIGHT-CORE-DUMP`.
pub fn core_dump(process: &Process) -> Result<String> {
    let limited = process.core_limits == [Some(0), Some(0)];
    let faults = [
        (!limited, "core dumps could not be limited to 0 bytes"),
        (process.dumpable, "the process stayed dumpable"),
    ];
    let found: Vec<&str> = faults.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    Rule::PreflightCoreDump.ensure(
        found.is_empty(),
        found.join("; "),
        "RLIMIT_CORE 0 and a process that is not dumpable",
        "a sandbox or container refused it: run Keyferry outside of it, on the machine itself",
    )?;
    Ok("no core dumps".into())
}

/// Whether a tracer is attached (`/proc/self/status`), and whether Yama keeps programs of one
/// person from tracing each other (`/proc/sys/kernel/yama/ptrace_scope`, ptrace(2)); `None` where
/// the kernel has no Yama.
///
/// Keyferry makes itself not dumpable, which forbids tracing too, but only once it runs.
///
/// # Errors
/// `PREFLIGHT-PTRACE`.
pub fn ptrace(status: &str, scope: Option<&str>) -> Result<String> {
    let yama = format!(
        "whoever administers the machine runs `{}`; then run the command again",
        tool("sysctl kernel.yama.ptrace_scope=2")
    );
    let (found, remedy) = match field(status, "TracerPid").and_then(|pid| pid.parse::<u32>().ok()) {
        Some(0) => match scope.map(|scope| scope.trim().parse::<u8>()) {
            Some(Ok(scope @ 1..)) => return Ok(format!("no tracer; ptrace_scope is {scope}")),
            Some(_) => (
                "no tracer, but kernel.yama.ptrace_scope lets programs of the same person trace each other".to_owned(),
                yama.as_str(),
            ),
            None => (
                "no tracer, but the kernel has no Yama: programs of the same person may trace each other".to_owned(),
                "use a kernel with Yama (CONFIG_SECURITY_YAMA, and lsm= naming yama), as the distributions' kernels have it",
            ),
        },
        Some(pid) => (
            format!("the program {pid} traces this one"),
            "stop, and find out who started that program: it can have seen everything. Go on only on a machine that you trust again",
        ),
        None => (
            "/proc/self/status names no TracerPid".to_owned(),
            "run Keyferry where /proc is that of the machine, not of a sandbox or container",
        ),
    };
    Err(Rule::PreflightPtrace.refuse(found, "no tracer, and ptrace_scope 1 or more", remedy))
}

/// Whether `/proc/self/status` names a tracer. One that cannot be read says nothing: `ptrace`
/// refuses it.
pub fn is_traced(status: &str) -> bool {
    let tracer = field(status, "TracerPid").and_then(|pid| pid.parse::<u32>().ok());
    tracer.is_some_and(|pid| pid != 0)
}

/// The memory lock.
///
/// # Errors
/// `PREFLIGHT-MEMORY-LOCK`.
pub fn memory_lock(process: &Process) -> Result<String> {
    let why = process.locked.as_ref().err();
    Rule::PreflightMemoryLock.ensure(
        why.is_none(),
        why.map_or(String::new(), |why| escape(why)),
        "memory that is locked, now and later",
        "whoever administers the machine raises the operator's limit (`memlock` unlimited in /etc/security/limits.conf, \
         or LimitMEMLOCK=infinity); then log in anew and run the command again",
    )?;
    Ok("memory is locked".into())
}

/// Whether `/proc/self/status` gives the process CAP_IPC_LOCK.
pub fn may_lock(status: &str) -> bool {
    let effective = field(status, "CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    effective.is_some_and(|capabilities| capabilities >> CAP_IPC_LOCK & 1 == 1)
}

/// A field of `/proc/PID/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}
