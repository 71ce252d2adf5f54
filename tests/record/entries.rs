//! Every entry of the kept ceremonies, changed in every way: only claims can be.

use crate::common::changes::{Tried, replayed};
use record::log::fields;

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
    let page = include_str!("../../docs/formats.md");
    assert!(page.contains(&fields::page_rows()), "{}", fields::page_rows());
}
