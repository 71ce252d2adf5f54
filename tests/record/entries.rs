//! Every entry of the kept ceremonies, changed in every way: only claims can be.

use crate::common::{
    changes::{Tried, replayed},
    fields::{TABLE, is_claim},
};
use record::log::fields::CLAIMS;

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
fn the_claims_are_those_of_the_page() {
    for field in TABLE.iter() {
        let of = |(event, fields): &(&str, &[&str])| {
            *event == field.event && fields.contains(&field.name)
        };
        assert_eq!(CLAIMS.iter().any(of), field.claim, "{}.{}", field.event, field.name);
    }
    let claims = TABLE.iter().filter(|field| field.claim).count();
    assert_eq!(CLAIMS.iter().map(|(_, fields)| fields.len()).sum::<usize>(), claims);
}

#[test]
fn the_page_has_every_field_of_every_kept_entry() {
    let mut fields = 0;
    for (archive, side) in replayed() {
        let log = std::fs::read_to_string(archive.join(format!("{side}.log.jsonl"))).unwrap();
        for line in log.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let event = entry["event"].as_str().unwrap();
            let own = entry.as_object().unwrap().keys();
            let own = own.filter(|name| !["event", "prev", "seq", "time"].contains(&name.as_str()));
            for name in own {
                assert!(is_claim(event, name).is_some(), "{event}.{name}");
                fields += 1;
            }
        }
    }
    assert!(fields > 500, "{fields}");
}
