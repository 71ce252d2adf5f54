//! Writes that end early: each takes half and the program goes on, or one takes half and then the
//! disk is full.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    common::{
        preload,
        stage::{Done, Stage},
        walk::ASKS,
    },
    explore::{Explorer, in_parallel, is_clear, part, selection},
    invariants::Before,
    trial::{self, End},
};

/// The command on such a disk, and how many of its writes ended early.
fn shortened(stage: &Stage, side: &str, arguments: &[&str], plan: &str) -> (End, usize) {
    let done = stage.path("short-writes");
    let mut command = stage.command(side, arguments);
    let [halves, primes] = [preload::short_writes(), preload::primes()].map(Path::display);
    let both = format!("{halves}:{primes}");
    command
        .env("LD_PRELOAD", both)
        .env("KEYFERRY_SHORT_WRITES", plan)
        .env("KEYFERRY_SHORT_WRITES_DONE", &done);
    let context = format!("{side} {arguments:?}, short writes {plan}");
    let end = trial::run(stage, command, &stage.path("calls"), &context);
    let writes = fs::read(&done).unwrap_or_default().len();
    let _ = fs::remove_file(done);
    (end, writes)
}

#[test]
fn writes_that_end_early_are_gone_on_with_or_end_the_command() {
    let explorer = Explorer::default();
    let (mut commands, mut every, cut) = (0, 0, AtomicUsize::new(0));
    let mut stage = Stage::at(Done::Plan);
    stage.mirror = true;
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        commands += 1;
        if part().is_none() && commands % 8 != 1 {
            return stage.side(side, &arguments).code;
        }
        let before = Before::of(stage);
        // A short write is no error: nothing of it may be seen.
        let copied = stage.copy();
        let (end, writes) = shortened(&copied, side, &arguments, "every");
        let context = format!("{side} {arguments:?}, every write short");
        let End::Exited(ended) = end else {
            panic!("{context}: it was killed");
        };
        assert!([0, ASKS].contains(&ended.code), "{context}: {ended:?}");
        assert!(writes > 0, "{context}: it writes nothing");
        every += writes;
        explorer.recovers(&copied, &before, side, &arguments, &context);
        let trials =
            selection((1..=writes).collect(), 8, &format!("writes of {side} {arguments:?}"));
        in_parallel(&trials, |nth| {
            let context = format!("{side} {arguments:?}, full in the middle of write {nth}");
            let copied = stage.copy();
            let (end, writes) = shortened(&copied, side, &arguments, &nth.to_string());
            let End::Exited(ended) = end else {
                panic!("{context}: it was killed");
            };
            assert_eq!(writes, 1, "{context}: it went another way");
            is_clear(&ended, &context);
            cut.fetch_add(1, Ordering::SeqCst);
            explorer.recovers(&copied, &before, side, &arguments, &context);
        });
        stage.side(side, &arguments).code
    });
    stage.ends_the_same("after short writes");
    let cut = cut.into_inner();
    println!(
        "counted: {every} writes that ended early and were gone on with, {cut} with the disk full then; {} states carried to the end",
        explorer.carried.load(Ordering::SeqCst)
    );
    assert!(every > 30 && cut > 4);
}
