//! Records of ceremonies in which everything happens that may: whatever is changed in them is
//! refused, or a claim.

mod evidence;
mod lists;
mod requests;
mod stages;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Mutex,
};

use serde_json::Value;

use crate::common::{
    changes::{Own, Tried, all_fields, features, replayed},
    stage::Stage,
};
use record::terms::Side;
use stages::Ceremony;

/// Fields that no ceremony here has.
const NOWHERE: [&str; 1] = [
    // Only a plan for production names a trial, and only a terminal begins it: tests/ways/trial.rs.
    "init.trial",
];
/// Those that only the ceremonies of `--all` have.
const NOT_BY_DEFAULT: [&str; 2] = [
    // A Host Guardian Service takes its time; tests/hgs has both by default.
    "evidence.unpassed",
    "accept.metadata",
];

/// How much of it is tried.
#[derive(Clone, Copy)]
enum Amount {
    /// Each entry that has something new, and each field once.
    EachOnce,
    All,
}

/// Changes by their paths: all of them, or one of each path, which can be read where any can.
fn distinct(
    all: Vec<(String, Value)>,
    amount: Amount,
    is_read: impl Fn(&Value) -> bool,
) -> Vec<(String, Value)> {
    if matches!(amount, Amount::All) {
        return all;
    }
    let mut of_each: BTreeMap<String, (bool, Value)> = BTreeMap::new();
    for (path, value) in all {
        if !of_each.get(&path).is_some_and(|(read, _)| *read) {
            let read = is_read(&value);
            of_each.insert(path, (read, value));
        }
    }
    of_each.into_iter().map(|(path, (_, value))| (path, value)).collect()
}

/// The own folders of both sides.
fn folders(stage: &Stage) -> Vec<(PathBuf, Side)> {
    let all = [("tenant", Side::Tenant), ("next-tenant", Side::Tenant), ("hoster", Side::Hoster)];
    let all = all.map(|(folder, side)| (stage.path(folder), side));
    all.into_iter().filter(|(path, _)| path.exists()).collect()
}

/// What the kept ceremonies have.
fn kept() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (archive, side) in replayed() {
        let log = fs::read(archive.join(format!("{side}.log.jsonl"))).unwrap();
        for entry in record::log::entries(&log, "a kept log") {
            found.extend(features(&entry.unwrap().event));
        }
    }
    found
}

/// Does this with each, on two threads.
fn on_two_threads(ceremonies: &[Ceremony], each: impl Fn(&Ceremony) + Sync) {
    let next = Mutex::new(ceremonies.iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let ceremony = next.lock().unwrap().next();
                    let Some(ceremony) = ceremony else { return };
                    each(ceremony);
                }
            });
        }
    });
}

/// Walks the ceremonies and changes the record of each; every field is somewhere.
fn only_claims(ceremonies: &[Ceremony], amount: Amount, nowhere: &[&str]) {
    let (found, tried) = (Mutex::new(kept()), Mutex::new(Tried::default()));
    on_two_threads(ceremonies, |ceremony| {
        let stage = (ceremony.walk)();
        let everywhere = matches!(amount, Amount::All);
        let mut here = Tried { claims_once: !everywhere, everywhere, ..Tried::default() };
        for (folder, side) in folders(&stage) {
            here.record(&folder, side, &mut |event| {
                let mut found = found.lock().unwrap();
                let new = features(event).into_iter().filter(|one| found.insert(one.clone()));
                new.count() > 0 || matches!(amount, Amount::All)
            });
        }
        for (folder, side) in folders(&stage) {
            // TEMP
            let own = Own::read(&folder, side);
            for e in &own.entries {
                println!("EVENT\t{}\t{}", ceremony.name, e.event.name());
            }
        }
        println!("{}: {} changes, taken: {:?}", ceremony.name, here.changes, here.taken);
        tried.lock().unwrap().add(here);
        for (folder, side) in folders(&stage) {
            let mut here = Tried::default();
            requests::changed(&stage, &Own::read(&folder, side), &folder, amount, &mut here);
            println!("{}: requests of the {side}: {}", ceremony.name, here.line());
            tried.lock().unwrap().add(here);
            let mut here = Tried::default();
            if side == Side::Hoster {
                evidence::changed(&folder, amount, &mut here);
                println!("{}: evidence: {}", ceremony.name, here.line());
                tried.lock().unwrap().add(here);
            }
            let archive = folder.join("archive");
            let mut here = Tried::default();
            if archive.exists() {
                lists::changed(&stage, side, &archive, amount, &mut here);
                println!("{}: archive of the {side}: {}", ceremony.name, here.line());
                tried.lock().unwrap().add(here);
            }
        }
    });
    let (found, tried) = (found.into_inner().unwrap(), tried.into_inner().unwrap());
    tried.show();
    assert_eq!(tried.no_claims(), Vec::<&String>::new());
    let missing: Vec<String> = all_fields().filter(|field| !found.contains(field)).collect();
    assert_eq!(missing, nowhere);
}

#[test]
fn only_claims_can_be_changed_of_what_the_kept_records_lack() {
    let by_default: Vec<_> = stages::ALL.into_iter().filter(|one| one.by_default).collect();
    only_claims(&by_default, Amount::EachOnce, &[&NOWHERE[..], &NOT_BY_DEFAULT].concat());
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part records`"]
fn only_claims_can_be_changed_in_any_record() {
    let mut tried = Tried { everywhere: true, ..Tried::default() };
    for (archive, side) in replayed() {
        tried.record(&archive, side, &mut |_| true);
    }
    tried.show();
    assert_eq!(tried.no_claims(), Vec::<&String>::new());
    only_claims(&stages::ALL, Amount::All, &NOWHERE);
}
