//! Each command ended after each change that it makes to the disk, by a kill or by a loss of power,
//! and gone on with, there and from the mirror.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    common::{
        run,
        stage::{Done, Setting, Stage},
        walk::ASKS,
    },
    disk::{self, Disk, Left, Tree},
    explore::{Explorer, differences, in_parallel, is_clear, selection},
    invariants::Before,
    trace::{self, Op, Traced},
    trial::{self, End},
};

/// What a stage can be found as.
struct Found {
    tree: Tree,
    device: Option<usize>,
    context: String,
}

#[test]
fn ended_after_each_change_to_the_disk_it_still_ends_the_same() {
    let [points, mirrored, tried] = ended_after_each_change(Setting::default(), 80);
    assert!(points > 300 && mirrored > 50 && tried >= 20);
}

#[test]
fn so_it_does_where_the_keys_are_born_at_the_hoster() {
    let setting = Setting { shim: true, ..Setting::born() };
    let [points, mirrored, tried] = ended_after_each_change(setting, 160);
    assert!(points > 200 && mirrored > 30 && tried >= 6);
}

/// Tries one of so many interruptions. How many changes there are to the disk, how many different
/// mirrors, how many interruptions were tried.
fn ended_after_each_change(setting: Setting, one_of: usize) -> [usize; 3] {
    let explorer = Explorer::default();
    let (mut points, mut mirrored) = (0, 0);
    let mut stage = Stage::with(setting, |plan| plan);
    stage.mirror = true;
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let recorded = stage.copy();
        let ops = record(&recorded, side, &arguments);
        let (found, from_mirror) = states(stage, side, &arguments, &ops);
        points += ops.len();
        mirrored += from_mirror;
        let found = selection(found, one_of, &format!("interruptions of {side} {arguments:?}"));
        let before = Before::of(stage);
        in_parallel(&found, |found| {
            let copy = stage.copy();
            disk::put(&found.tree, copy.dir.path());
            if let Some(state) = found.device {
                device(&recorded, state, &copy, side);
            }
            explorer.recovers(&copy, &before, side, &arguments, &found.context);
        });
        stage.side(side, &arguments).code
    });
    stage.ends_the_same("without a crash");
    let tried = explorer.trials.load(Ordering::SeqCst);
    println!(
        "counted: {points} changes to the disk in one ceremony, {tried} interruptions tried, {mirrored} mirrors, {} states carried to the end",
        explorer.carried.load(Ordering::SeqCst)
    );
    [points, mirrored, tried]
}

/// Runs the command under strace, on this stage; what it changes.
fn record(stage: &Stage, side: &str, arguments: &[&str]) -> Vec<Traced> {
    let command = traced(stage, side, arguments, None);
    trial::run_well(stage, command, &stage.path("calls"), &format!("{side} {arguments:?}"));
    trace::read(&stage.path("trace"), stage.dir.path())
}

/// The command under strace. What makes it go wrong counts system calls: the shim makes the same
/// ones in every run.
fn traced(stage: &Stage, side: &str, arguments: &[&str], inject: Option<&str>) -> Command {
    let mut command = stage.command(side, arguments);
    command
        .env("KEYFERRY_SHIM_CALLS", stage.path("calls"))
        .env("KEYFERRY_SHIM_TOKENS", stage.path("tokens"))
        .env("KEYFERRY_SHIM_SNAPSHOTS", stage.path("snapshots"));
    trace::traced(&command, &stage.path("trace"), trace::CALLS, inject)
}

/// Every different state after each change; and how many of them are the mirror's.
fn states(stage: &Stage, side: &str, arguments: &[&str], ops: &[Traced]) -> (Vec<Found>, usize) {
    let mut disk = Disk::of(stage.dir.path());
    let (mut found, mut seen, mut mirrored) = (Vec::new(), HashSet::new(), 0);
    for (at, Traced { op, .. }) in ops.iter().enumerate() {
        disk.apply(op);
        let named = |left: &str| {
            format!(
                "{side} {arguments:?}, {left} after change {} of {}: {}",
                at + 1,
                ops.len(),
                brief(op)
            )
        };
        for left in Left::EACH {
            let tree = disk.left(left);
            if seen.insert((disk::digest(&tree), disk.device)) {
                found.push(Found {
                    tree,
                    device: disk.device,
                    context: named(&format!("{left:?}")),
                });
            }
        }
        let mirror = from_mirror(disk.left(Left::All), side);
        if let Some(tree) = mirror.filter(|tree| seen.insert((disk::digest(tree), disk.device))) {
            mirrored += 1;
            found.push(Found { tree, device: disk.device, context: named("mirror") });
        }
    }
    // What a command has said is done has to be on the disk, whatever happens to the power
    // afterwards.
    let (synced, all) = (disk.left(Left::Synced), disk.left(Left::All));
    let mut unsynced = differences(&synced, &all);
    // What was being built has no name of its own yet; where it comes back, it is erased again.
    unsynced.retain(|path| !path.iter().any(|name| name.to_string_lossy().starts_with('.')));
    assert!(
        unsynced.is_empty(),
        "{side} {arguments:?} ended before these were synced: {unsynced:?}"
    );
    (found, mirrored)
}

fn brief(op: &Op) -> String {
    let mut text = format!("{op:?}");
    text.truncate(120);
    text
}

/// The side's folder is lost with its machine: its mirror is gone on from, and another one begun.
fn from_mirror(tree: Tree, side: &str) -> Option<Tree> {
    let mirror = format!("mirror-{side}");
    // One without a log has nothing to go on from.
    tree.get(&Path::new(&mirror).join("log.jsonl"))?;
    let mut found = Tree::new();
    for (path, bytes) in tree {
        if path.starts_with(side) {
            continue;
        }
        let path = match path.strip_prefix(&mirror) {
            Ok(rest) => Path::new(side).join(rest),
            Err(_) => path,
        };
        found.insert(path, bytes);
    }
    Some(found)
}

/// Puts a copy of the HSM, which the shim made in the recorded run, into a stage.
fn device(recorded: &Stage, state: usize, stage: &Stage, side: &str) {
    let from = recorded.path(&format!("snapshots/{state}"));
    for name in ["tokens".to_owned(), format!("shim-{side}")] {
        let to = stage.path(&name);
        let _ = fs::remove_dir_all(&to);
        run(Command::new("cp").arg("-a").arg(from.join(&name)).arg(&to));
    }
}

/// A disk that is full, that has become read-only, that cannot be written through.
const ERRORS: [(&str, &[&str]); 3] = [
    ("ENOSPC", &["openat", "write", "mkdir", "fsync", "renameat2", "rename"]),
    (
        "EROFS",
        &["openat", "mkdir", "renameat2", "rename", "unlink", "unlinkat", "rmdir", "ftruncate"],
    ),
    ("EIO", &["openat", "write", "fsync", "renameat2", "rename", "unlink"]),
];

#[test]
fn each_change_to_the_disk_fails_and_it_still_ends_the_same() {
    let explorer = Explorer::default();
    let failed = AtomicUsize::new(0);
    let mut stage = Stage::at(Done::Plan);
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ops = record(&stage.copy(), side, &arguments);
        let mut trials = Vec::new();
        for Traced { op, call, nth, main } in ops {
            if !main || matches!(op, Op::Device(_)) {
                continue;
            }
            for (error, calls) in ERRORS {
                if calls.contains(&call.as_str()) {
                    trials.push((format!("{call}:error={error}:when={nth}"), brief(&op)));
                    // The disk stays as it has become.
                    trials.push((format!("{call}:error={error}:when={nth}+"), brief(&op)));
                }
            }
        }
        let trials = selection(trials, 110, &format!("failing changes in {side} {arguments:?}"));
        let before = Before::of(stage);
        in_parallel(&trials, |(inject, op)| {
            let context = format!("{side} {arguments:?}, {inject} at {op}");
            let copy = stage.copy();
            let command = traced(&copy, side, &arguments, Some(inject));
            match trial::run(&copy, command, &copy.path("calls"), &context) {
                End::Exited(ended) if [0, ASKS].contains(&ended.code) => {}
                End::Exited(ended) => {
                    failed.fetch_add(1, Ordering::SeqCst);
                    // Where no write succeeds any more, nothing can be said either.
                    if !(inject.starts_with("write") && inject.ends_with('+')) {
                        is_clear(&ended, &context);
                    }
                    assert!([1, 3, 5].contains(&ended.code), "{context}: exit code {}", ended.code);
                }
                End::Killed => panic!("{context}: it was killed"),
            }
            fs::remove_file(copy.path("trace")).unwrap();
            explorer.recovers(&copy, &before, side, &arguments, &context);
        });
        stage.side(side, &arguments).code
    });
    let tried = explorer.trials.load(Ordering::SeqCst);
    let failed = failed.into_inner();
    println!("counted: {tried} failing changes to the disk tried, {failed} ended the command");
    assert!(tried >= 18 && failed * 2 > tried);
}
