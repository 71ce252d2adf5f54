//! A crash of a module takes the program with it; what the program held in memory must not be found
//! on a disk afterwards.

use std::{fs, path::Path, process::Command};

use crate::{
    common::{
        kill::through,
        stage::{Done, Stage},
    },
    explore::in_parallel,
    hsm_faults::recorded,
    trial::{self, End, Shim},
};

/// Core files of whatever size are allowed.
const ALLOWED: [&str; 2] = ["--core=unlimited:unlimited", "--"];

#[test]
fn a_crash_at_any_step_leaves_no_core_file() {
    let mut stage = Stage::new(|plan| plan);
    // Else this test could see none: a kernel that hands them to a program (core(5)) leaves none
    // where a test may look.
    let crash = ["sh", "-c", "kill -SEGV $$"];
    let mut control = Command::new("prlimit");
    control.args(ALLOWED).args(crash).current_dir(stage.dir.path());
    assert!(control.status().unwrap().code().is_none());
    assert!(
        remove_cores(stage.dir.path()) == 1,
        "no core file can be seen on this machine: `sysctl kernel.core_pattern=core`, for this test"
    );
    let mut crashes = 0;
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let calls = recorded(&stage.copy(), side, &arguments).len();
        let mut places: Vec<usize> = [1, calls / 3, calls * 2 / 3, calls].into();
        places.retain(|at| (1..=calls).contains(at));
        places.dedup();
        crashes += places.len();
        in_parallel(&places, |at| {
            let context = format!("{side} {arguments:?}, crash at call {at} of {calls}");
            let copy = stage.copy();
            let shim = Shim { fault: Some(format!("{at} once crash")), record: copy.path("calls") };
            let mut command = copy.command(side, &arguments);
            shim.in_command(&mut command);
            let mut allowed = through("prlimit", &ALLOWED, &command);
            allowed.stdin(std::process::Stdio::null());
            match trial::run(&copy, allowed, &shim.record, &context) {
                End::Killed => assert_eq!(remove_cores(copy.dir.path()), 0, "{context}"),
                // A canary needs more or fewer calls by chance.
                End::Exited(ended) => assert!(shim.calls().len() < *at, "{context}: {ended:?}"),
            }
        });
        stage.side(side, &arguments).code
    });
    println!("counted: {crashes} crashes, no core file");
    assert!(crashes > 20);
}

/// How many core files lie in a folder; they go.
fn remove_cores(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let cores = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("core"));
    cores.map(|core| fs::remove_file(core.path()).unwrap()).count()
}
