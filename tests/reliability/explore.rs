//! The walk, and what becomes of every trial on its way.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    common::{
        ending::went_on,
        stage::{Done, Ended, Stage},
    },
    invariants::{self, Before},
};
use record::encoding::Hash;

/// Which part of everything is tried, by `KEYFERRY_RELIABILITY`: `all`, as `ceremony-scripts/test
/// --all` does; `3/16`, the third of 16 parts of it, that it may be run on several machines or
/// evenings; a selection where nothing is said.
pub fn part() -> Option<(usize, usize)> {
    let value = std::env::var("KEYFERRY_RELIABILITY").ok()?;
    let part = match value.as_str() {
        "all" => Some((1, 1)),
        part => part.split_once('/').and_then(|(part, of)| {
            let (part, of) = (part.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&part).then_some((part, of))
        }),
    };
    Some(part.expect("KEYFERRY_RELIABILITY is `all` or a part as 3/16"))
}

/// Of these trials, the part that was asked for, or every so many-th beginning at one that differs
/// from list to list, and is the same in every run. Where hours lie ahead, it says what of.
pub fn selection<T>(trials: Vec<T>, one_of: usize, of_what: &str) -> Vec<T> {
    let (begin, step) = match part() {
        Some((part, of)) => {
            println!("{of_what}: {}, part {part} of {of}", trials.len());
            (part - 1, of)
        }
        None => {
            let [first, second, ..] = Hash::of(of_what.as_bytes()).0;
            (usize::from(u16::from_be_bytes([first, second])) % one_of, one_of)
        }
    };
    trials.into_iter().skip(begin).step_by(step).collect()
}

/// Does the work of each on the machine's two processors. One that fails does not keep the others
/// from being tried.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if catch_unwind(AssertUnwindSafe(|| work(item))).is_err() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert_eq!(failed, 0, "of {} trials; each is named above", items.len());
}

/// What was tried, and the states that were carried to the end.
#[derive(Default)]
pub struct Explorer {
    seen: Mutex<HashSet<(Option<Done>, String)>>,
    pub trials: AtomicUsize,
    pub carried: AtomicUsize,
}

impl Explorer {
    /// After a run that went wrong: the invariants hold, the same command run again does its work,
    /// once more changes nothing, and from there it goes on to the end.
    pub fn recovers(
        &self,
        stage: &Stage,
        before: &Before,
        side: &str,
        arguments: &[&str],
        context: &str,
    ) {
        self.trials.fetch_add(1, Ordering::SeqCst);
        let kept = |stage: &Stage| {
            before.is_kept(stage, arguments, context);
            invariants::hold(stage, context);
        };
        kept(stage);
        let broken = Before::of(stage);
        let mut again = stage.side(side, arguments);
        if again.err.contains("kek trust` again, which makes what is missing") {
            // What the remedy says: the mirror did not yet know that the KEK's work was done.
            stage.side(side, &["kek", "trust", "--so-pin-file", "so-pin"]).ok();
            again = stage.side(side, arguments);
        }
        assert!(went_on(arguments, &again), "{context}, run again: {}\n{}", again.out, again.err);
        kept(stage);
        // What was whole after the fault is never taken back. An object that the fault left behind
        // may be.
        broken.is_on_record(stage, context);
        let contents = invariants::contents(stage);
        let twice = stage.side(side, arguments);
        assert!(went_on(arguments, &twice), "{context}, run twice: {}\n{}", twice.out, twice.err);
        let differ = differences(&contents, &invariants::contents(stage));
        assert!(differ.is_empty(), "{context}: run twice, it changed {differ:?}");
        self.goes_on(stage, context);
    }

    /// Carries a state to the end, unless one like it was.
    fn goes_on(&self, stage: &Stage, context: &str) {
        let shape = (stage.done, invariants::shape(stage));
        if !self.seen.lock().unwrap().insert(shape) {
            return;
        }
        self.carried.fetch_add(1, Ordering::SeqCst);
        let mut stage = stage.copy();
        invariants::source_key_works(&stage, context);
        stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ended = stage.side(side, &arguments);
            assert!(
                went_on(&arguments, &ended),
                "{context}, later {side} {arguments:?}: {}\n{}",
                ended.out,
                ended.err
            );
            ended.code
        });
        invariants::source_key_works(&stage, context);
        stage.ends_the_same(context);
    }
}

pub fn differences<K: Ord + Clone, V: PartialEq>(
    one: &std::collections::BTreeMap<K, V>,
    other: &std::collections::BTreeMap<K, V>,
) -> Vec<K> {
    let keys = one.keys().chain(other.keys());
    let mut differ: Vec<K> = keys.filter(|key| one.get(key) != other.get(key)).cloned().collect();
    differ.dedup();
    differ
}

/// A person can see what happened and what to do: an exit code of the design's, the HSM's call or
/// the rule, the remedy; never a panic.
pub fn is_clear(ended: &Ended, context: &str) {
    let Ended { code, err, .. } = ended;
    assert!([1, 3, 4, 5].contains(code), "{context}: exit code {code}\n{err}");
    assert!(!err.contains("panicked"), "{context}: {err}");
    assert!(err.contains("to do:") || *code == 4, "{context}: no remedy: {err}");
}
