//! Each PKCS#11 call of a whole ceremony, failing in each way, once and from then on.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, atomic::Ordering},
};

use crate::{
    common::{
        stage::{Done, Stage},
        walk::ASKS,
    },
    explore::{Explorer, in_parallel, is_clear, selection},
    invariants::Before,
    trial::{self, End, Shim},
};

const FAULTS: [&str; 14] = [
    "device-error",
    "device-removed",
    "session-handle-invalid",
    "user-not-logged-in",
    "pin-locked",
    "host-memory",
    "buffer-too-small",
    "function-failed",
    "error-though-done",
    "ok-though-not-done",
    "hang",
    "kill-before",
    "kill-after",
    "crash",
];

/// These end the process: none comes later.
const FATAL: [&str; 4] = ["hang", "kill-before", "kill-after", "crash"];

#[test]
fn each_call_fails_in_each_way_and_the_ceremony_still_ends() {
    let explorer = Explorer::default();
    let (mut calls, mut kinds) = (0, BTreeMap::<String, usize>::new());
    let ends = Mutex::new(BTreeMap::<String, usize>::new());
    let mut stage = Stage::at(Done::Plan);
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let record = recorded(&stage.copy(), side, &arguments);
        calls += record.len();
        for name in &record {
            *kinds.entry(name.clone()).or_default() += 1;
        }
        let trials = selection(trials(&record), 250, &format!("faults of {side} {arguments:?}"));
        let before = Before::of(stage);
        in_parallel(&trials, |fault| {
            let context = format!("{side} {arguments:?}, {fault}");
            let copy = stage.copy();
            let end = faulty(&copy, side, &arguments, fault, &context);
            *ends.lock().unwrap().entry(end).or_default() += 1;
            explorer.recovers(&copy, &before, side, &arguments, &context);
        });
        stage.side(side, &arguments).code
    });
    stage.ends_the_same("without a fault");
    let tried = explorer.trials.load(Ordering::SeqCst);
    println!(
        "counted: {calls} calls of {} functions in one ceremony, {tried} faults tried, {} states carried to the end; ends: {:?}",
        kinds.len(),
        explorer.carried.load(Ordering::SeqCst),
        ends.lock().unwrap()
    );
    assert!(tried >= 50 && calls > 500, "{kinds:?}");
}

#[test]
fn a_login_that_was_not_done_calls_no_key_gone() {
    let mut stage = Stage::at(Done::AcceptanceRelease);
    let destroy = ["kek", "destroy", "medium/acceptance"];
    stage.pass("hoster", "kek-destroy", &destroy);
    let calls = recorded(&stage.copy(), "hoster", &destroy);
    let login = calls.iter().position(|name| name == "C_Login").unwrap() + 1;
    let fault = format!("{login} once ok-though-not-done C_Login");
    let end = faulty(&stage, "hoster", &destroy, &fault, &fault);
    assert_eq!(end, "exit 5");
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("after a login that was not done");
}

/// The calls that the command makes when nothing is wrong.
pub fn recorded(stage: &Stage, side: &str, arguments: &[&str]) -> Vec<String> {
    let shim = Shim { fault: None, record: stage.path("calls") };
    let mut command = stage.command(side, arguments);
    shim.in_command(&mut command);
    trial::run_well(stage, command, &shim.record, &format!("{side} {arguments:?}"));
    shim.calls()
}

fn trials(calls: &[String]) -> Vec<String> {
    let mut trials = Vec::new();
    for (at, name) in calls.iter().enumerate() {
        for fault in FAULTS {
            let times: &[&str] =
                if FATAL.contains(&fault) { &["once"] } else { &["once", "lasting"] };
            trials.extend(times.iter().map(|times| format!("{} {times} {fault} {name}", at + 1)));
        }
    }
    trials
}

/// Runs the command with this fault; how it ended, in a word.
fn faulty(stage: &Stage, side: &str, arguments: &[&str], fault: &str, context: &str) -> String {
    let shim = Shim { fault: Some(fault.to_owned()), record: stage.path("calls") };
    let mut command = stage.command(side, arguments);
    shim.in_command(&mut command);
    let end = trial::run(stage, command, &shim.record, context);
    let made = shim.calls().len();
    fs::remove_file(&shim.record).unwrap();
    // How many throwaway keys a canary needs is up to chance: a run may have fewer calls than the
    // recorded one.
    let at: usize = fault.split(' ').next().unwrap().parse().unwrap();
    if made < at {
        return "not reached".into();
    }
    let fatal = FATAL.iter().any(|fatal| fault.contains(fatal));
    match end {
        End::Killed => {
            assert!(fatal, "{context}: it was killed by itself");
            "killed".into()
        }
        End::Exited(ended) if [0, ASKS].contains(&ended.code) => {
            // What failed was of no weight (a session that would not close), or was seen and done
            // again.
            assert!(!fatal, "{context}: it outlived its end");
            "overcome".into()
        }
        End::Exited(ended) => {
            is_clear(&ended, context);
            format!("exit {}", ended.code)
        }
    }
}
