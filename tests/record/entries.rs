//! Every entry of the kept ceremonies, changed in every way: only claims can be.

use crate::common::changes::{Tried, replayed};
use record::log::fields::{FIELDS, Field, Source};

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
    let row = |event: &str, field: &Field| {
        let (kind, why) = match field.source {
            Source::Derived(from) => ("derived", from),
            Source::Claim(because) => ("**claim**", because),
        };
        format!("| `{event}` | `{}` {} | {kind}: {why} |\n", field.name, field.holds)
    };
    let of = |(event, fields): &(&str, &[Field])| {
        fields.iter().map(|field| row(event, field)).collect::<String>()
    };
    let rows: String = FIELDS.iter().map(of).collect();
    let page = include_str!("../../docs/formats.md");
    assert!(page.contains(&rows), "{rows}");
}
