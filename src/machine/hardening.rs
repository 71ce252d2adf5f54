//! The process itself, made hard to look into: no core dumps, no tracing, no memory on a disk.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};

use crate::preflight::process::{Process, may_lock};

/// What a program without privileges must be allowed to lock, in bytes: a thread's reserve of
/// address space counts, 64 MiB each, and an allocation beyond the limit ends the program.
const LEAST_LOCKABLE: u64 = 4 << 30;
/// How much of /proc/self/status is read, in bytes.
const MAX_STATUS: u64 = 1 << 20;

/// Forbids core dumps of this process, and tracing by others of the same person; as far as the
/// system lets it.
///
/// A limit of zero does not stop a kernel that pipes dumps to a program; that the process is not
/// dumpable does (core(5), prctl(2)).
pub fn forbid_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Whether it was of use is read back by `harden`; a custodian's program does what it can.
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Hardens this process, and says what came of it.
pub fn harden() -> Process {
    forbid_dumps();
    let locked = lock_memory();
    let core = getrlimit(Resource::Core);
    Process {
        core_limits: [core.current, core.maximum],
        dumpable: dumpable_behavior() != Ok(DumpableBehavior::NotDumpable),
        locked,
    }
}

/// Locks what is mapped now and later, unless a limit would then end the program in the middle of a
/// step.
fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock).maximum;
    let raised = Rlimit { current: limit, maximum: limit };
    // The soft limit is often lower than the hard one, which anybody may raise it to.
    let _ = setrlimit(Resource::Memlock, raised);
    if let Some(limit) = limit.filter(|limit| *limit < LEAST_LOCKABLE) {
        let status = record::folder::read_file("/proc/self/status".as_ref(), MAX_STATUS);
        let status = status.map_err(|error| error.to_string())?;
        if !may_lock(&String::from_utf8_lossy(&status)) {
            return Err(format!("no more than {} KiB may be locked", limit >> 10));
        }
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
        .map_err(|error| format!("mlockall: {error}"))
}
