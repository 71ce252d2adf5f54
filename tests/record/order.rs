//! Every step at every phase: allowed where docs/formats.md says so, and out of order everywhere
//! else. (What a program does of it, with an HSM at hand: `tests/refusals/order.rs`.)

use std::{collections::BTreeSet, fs, path::Path};

use crate::common::what_follows::WhatFollows;
use record::{
    flow::{Phase, State, TABLE, way_in},
    log::{self, Event, GENESIS},
    rule::Rule,
    terms::{Side, Step, TransferRoute},
};

const WAYS: [TransferRoute; 4] =
    [TransferRoute::Carried, TransferRoute::Born, TransferRoute::Brought, TransferRoute::Cloud];
/// What may be done to a service, which is in no table.
const SERVICE: [&str; 4] = ["evidence", "nodes", "retire", "rollback"];

fn step(name: &str) -> Step {
    serde_json::from_value(name.into()).unwrap()
}

/// Every phase that the program knows.
fn phases(way: TransferRoute) -> Vec<Phase> {
    let rows = way_in(way).iter().chain(TABLE);
    rows.flat_map(|row| [Some(row.phase), row.next]).flatten().collect()
}

/// Every step of any way.
fn steps() -> BTreeSet<String> {
    let listed = WAYS.into_iter().flat_map(|way| WhatFollows::read(way).steps());
    listed.chain(SERVICE.map(str::to_owned)).collect()
}

#[test]
fn what_may_follow_is_what_the_page_says() {
    let (mut allowed, mut refused) = (0, 0);
    for way in WAYS {
        let follows = WhatFollows::read(way);
        for side in [Side::Tenant, Side::Hoster] {
            let named = follows.phases(&side.to_string());
            let known: BTreeSet<String> =
                phases(way).iter().map(|phase| phase.name().to_owned()).collect();
            assert!(named.is_subset(&known), "{way:?} {side}: {named:?}");
            for phase in phases(way) {
                // In a cloud's way the hoster has no steps, and the tenant only some phases.
                if !named.contains(phase.name()) {
                    continue;
                }
                let mut state = State::new(side);
                (state.way, state.phase) = (way, phase);
                state.aborted = (phase == Phase::Aborted).then_some(GENESIS);
                for named in steps() {
                    let expected = follows.next(&side.to_string(), phase.name(), &named);
                    let context = format!("{way:?} {side} {} {named}", phase.name());
                    match (state.require(step(&named)), expected) {
                        (Ok(row), Some(next)) => {
                            // The rows of `abort` are of every phase.
                            assert_eq!(row.next.unwrap().name(), next, "{context}");
                            allowed += 1;
                        }
                        (Err(error), None) => {
                            assert_eq!(error.rule(), Some(Rule::PhaseOrder), "{context}");
                            refused += 1;
                        }
                        (found, expected) => {
                            panic!("{context}: {}, the page says {expected:?}", found.is_ok())
                        }
                    }
                }
            }
        }
    }
    println!("counted: {allowed} steps that may follow, {refused} that may not");
    assert!(allowed > 150 && refused > 2000, "{allowed}, {refused}");
}

/// The service lives on from `register`, whatever the phase; there is something to go back from
/// only while the keys are primary and the registration was made.
#[test]
fn a_service_is_served_from_its_registration_on() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1");
    let mut seen = 0;
    for ceremony in fs::read_dir(kept).unwrap() {
        let log = ceremony.unwrap().path().join("hoster/hoster.log.jsonl");
        let bytes = fs::read(&log).unwrap();
        let mut state = State::new(Side::Hoster);
        let (mut registered, mut primary) = (false, false);
        for entry in log::entries(&bytes, "log") {
            let entry = entry.unwrap();
            state.apply(&entry).unwrap();
            registered |= matches!(entry.event, Event::Register { .. });
            primary |= matches!(entry.event, Event::Primary { .. });
            let follows = WhatFollows::read(state.way);
            for named in SERVICE {
                let listed = follows.next("hoster", state.phase.name(), named).is_some();
                let back = primary && state.phase != Phase::Activated;
                let serves = if named == "rollback" { back } else { registered };
                let context = format!("{}, entry {}: {named}", log.display(), entry.head.seq);
                let found = state.require(step(named));
                assert_eq!(found.is_ok(), listed || serves, "{context}");
                seen += 1;
            }
        }
        assert_eq!(state.phase, Phase::Closed, "{}", log.display());
    }
    assert!(seen > 300, "{seen}");
}
