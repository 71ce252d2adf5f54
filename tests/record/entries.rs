//! Every entry of the kept ceremonies, changed in every way: only claims can be.

use std::collections::BTreeSet;

use crate::common::changes::{FIELDS, Tried, replayed};
use record::{log::claims::CLAIMS, terms::Step};

#[test]
fn only_claims_can_be_changed_in_a_kept_record() {
    let all = replayed();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for half in all.chunks(all.len().div_ceil(2)) {
            let sender = sender.clone();
            scope.spawn(move || {
                let mut tried = Tried::default();
                half.iter().for_each(|(archive, side)| {
                    tried.record(archive, *side, &mut |_| true);
                });
                sender.send(tried).unwrap();
            });
        }
    });
    drop(sender);
    let mut tried = Tried::default();
    receiver.iter().for_each(|half| tried.add(half));
    tried.show();
    assert_eq!(tried.no_claims(), Vec::<&String>::new());
    assert!(tried.changes > 5_000, "{}", tried.changes);
}

#[test]
fn the_table_of_fields_is_that_of_the_page() {
    let claims = FIELDS.iter().filter(|field| field.claim).map(|field| (field.event, field.name));
    let ours =
        CLAIMS.iter().flat_map(|(event, fields)| fields.iter().map(move |one| (*event, *one)));
    assert_eq!(claims.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    let events: BTreeSet<&str> = FIELDS.iter().map(|field| field.event).collect();
    let steps: BTreeSet<&str> = Step::ALL.into_iter().map(Step::name).collect();
    assert!(steps.is_subset(&events), "{:?}", steps.difference(&events));
}
