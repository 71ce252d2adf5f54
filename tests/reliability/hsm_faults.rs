//! Each PKCS#11 call of a whole ceremony, failing in each way, once and from then on.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    common::{
        ending::events,
        stage::{Done, Stage},
        walk::ASKS,
    },
    explore::{Explorer, in_parallel, is_clear, selection},
    invariants::Before,
    trial::{self, End, Shim},
};
use record::log::Event;

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

/// Each call until custodians are asked for their shares, failing in each way, once and from then
/// on: where the import ends by it, nobody has presented one.
#[test]
fn a_token_that_fails_an_import_fails_it_before_the_shares() {
    let stage = Stage::at(Done::PackageCheck);
    let unopened = ["import", "medium/package"];
    stage.pass("hoster", "import", &unopened);
    let opened = |stage: &Stage| {
        events(stage, "hoster").iter().any(|event| matches!(event, Event::Quorum { .. }))
    };
    // Without anybody to ask it ends there: it logs out, and lets the token go.
    let asked = stage.copy();
    let calls = made_until_end(&asked, "hoster", &unopened);
    let (canaries, end) = calls.split_at(calls.len() - 3);
    assert_eq!(end, ["C_Logout", "C_CloseSession", "C_Finalize"]);
    assert!(canaries.iter().any(|name| name == "C_UnwrapKey"), "{canaries:?}");
    assert!(!opened(&asked));

    let shares = stage.shares(&["cyd", "dan", "eve"]);
    let import: Vec<&str> = unopened.into_iter().chain(shares.iter().map(String::as_str)).collect();
    let mut trials = selection(trials(canaries), 120, "faults of an import before the shares");
    // The edge: whatever lasts from the very last call on.
    let last = canaries.len();
    for fault in ["device-error", "ok-though-not-done"] {
        trials.push(format!("{last} lasting {fault} {}", canaries[last - 1]));
    }
    let ended = AtomicUsize::new(0);
    in_parallel(&trials, |fault| {
        let copy = stage.copy();
        let end = faulty(&copy, "hoster", &import, fault, fault);
        if end != "overcome" {
            assert!(!opened(&copy), "{fault}: it ended ({end}) after the shares");
            ended.fetch_add(1, Ordering::SeqCst);
        }
    });
    let ended = ended.into_inner();
    println!(
        "counted: {} faults of {} calls before the shares, {ended} ended the import there",
        trials.len(),
        canaries.len()
    );
    assert!(2 * ended > trials.len(), "{ended} of {}", trials.len());
}

/// The calls of a command that ends by itself, however it does.
fn made_until_end(stage: &Stage, side: &str, arguments: &[&str]) -> Vec<String> {
    let shim = Shim { fault: None, record: stage.path("calls") };
    let mut command = stage.command(side, arguments);
    shim.in_command(&mut command);
    let end = trial::run(stage, command, &shim.record, side);
    assert!(matches!(&end, End::Exited(ended) if ended.code != 0));
    shim.calls()
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
