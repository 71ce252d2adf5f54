//! Every field of every entry of kept records, changed in every way that its type has; every entry
//! deleted, doubled and moved. What is not refused must be a claim, as the table of fields says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use record::{
    encoding::Hash,
    log::{
        Entry, Event,
        fields::{self, FIELDS, Source},
    },
    terms::{Head, Side},
    verify::{Holds, Record, counterpart::VerifiedLog},
};
use serde_json::{Value, json};

/// What a text may be in another entry: names of every enum, and things that are no names.
const TEXTS: [&str; 34] = [
    "tenant",
    "hoster",
    "rehearsal",
    "production",
    "carried",
    "born",
    "brought",
    "cloud",
    "ready",
    "active",
    "keep",
    "destroy",
    "offer",
    "package",
    "receipt",
    "acceptance",
    "closing",
    "export",
    "import",
    "primary",
    "restart",
    "abort",
    "kek-create",
    "release",
    "witnessed",
    "origin",
    "origin-and-usage",
    "sha-1",
    "sha-256",
    "KEK-COPYABLE",
    "broken",
    "waived",
    "other",
    "",
];

/// What may stand where nothing stands.
fn missing() -> Vec<Value> {
    let hash = "5a".repeat(32);
    let mut all =
        vec![json!(true), json!([]), json!(["node1"]), json!(["hgs-signing"]), json!([hash])];
    all.extend([json!(["cyd"]), json!(hash), json!("keep"), json!("destroy"), json!("born")]);
    all
}

/// Every value that may stand in place of this one, and is another.
fn others(value: &Value) -> Vec<Value> {
    let mut all = match value {
        Value::Null => missing(),
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![json!(number + 1), json!(number.saturating_sub(1)), json!(0)]
        }
        Value::String(text) => {
            let flipped = text.chars().rev().enumerate().map(|(at, c)| match (at, c) {
                (0, '0') => '1',
                (0, 'a'..='f' | '1'..='9') => '0',
                (_, c) => c,
            });
            let flipped: String = flipped.collect::<Vec<_>>().into_iter().rev().collect();
            let texts = TEXTS.into_iter().map(|text| json!(text));
            texts
                .chain([json!(flipped), json!(format!("{text}x")), json!(text.to_uppercase())])
                .collect()
        }
        Value::Array(list) => {
            let (mut less, mut twice, mut turned) = (list.clone(), list.clone(), list.clone());
            less.pop();
            twice.extend(list.first().cloned());
            turned.reverse();
            let mut first = list.clone();
            if !first.is_empty() {
                first.remove(0);
            }
            let mut all = vec![json!(less), json!(twice), json!(turned), json!(first), json!([])];
            all.extend(missing().into_iter().filter(Value::is_array));
            all
        }
        Value::Object(_) => Vec::new(),
    };
    all.retain(|other| other != value);
    all
}

/// Every place in a value, as a path that indices are left out of, with the value changed there.
fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> =
        others(value).into_iter().map(|other| (String::new(), other)).collect();
    match value {
        Value::Array(list) => {
            for (at, one) in list.iter().enumerate() {
                for (path, other) in changes(one) {
                    let mut changed = list.clone();
                    changed[at] = other;
                    all.push((format!("[]{path}"), json!(changed)));
                }
            }
        }
        Value::Object(fields) => {
            for (name, one) in fields {
                let mut less = fields.clone();
                less.remove(name);
                all.push((format!(".{name}"), json!(less)));
                for (path, other) in changes(one) {
                    let mut changed = fields.clone();
                    changed.insert(name.clone(), other);
                    all.push((format!(".{name}{path}"), json!(changed)));
                }
            }
        }
        _ => {}
    }
    all
}

/// The changes of an event: of its fields, and of those that it may have and has not.
fn changed_events(event: &Value) -> Vec<(String, Value)> {
    let name = event["event"].as_str().unwrap().to_owned();
    let mut with_all = event.clone();
    let (_, fields) = FIELDS.iter().find(|(event, _)| *event == name).unwrap();
    for field in *fields {
        with_all.as_object_mut().unwrap().entry(field.name).or_insert(Value::Null);
    }
    let mut all = changes(&with_all);
    for (_, changed) in &mut all {
        changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    all.retain(|(path, changed)| !path.starts_with(".event") && changed != event);
    all.into_iter().map(|(path, changed)| (format!("{name}{path}"), changed)).collect()
}

/// What was tried on records, and what of it nobody refused.
#[derive(Default)]
pub struct Tried {
    pub changes: usize,
    pub by_rule: BTreeMap<String, usize>,
    pub taken: BTreeSet<String>,
    /// What of the record is missing unchanged.
    missing: Vec<String>,
}

impl Tried {
    fn one(&mut self, record: &Record, side: Side, entries: Vec<Entry>, what: &str) {
        self.changes += 1;
        let held = VerifiedLog::of(&record.plan, side, entries).and_then(|log| record.hold(&log));
        match held {
            Ok(missing) if missing != self.missing => {
                *self.by_rule.entry("(missing)".into()).or_default() += 1;
            }
            Ok(_) => {
                self.taken.insert(what.to_owned());
            }
            Err(error) => {
                let rule =
                    error.rule().map_or_else(|| error.to_string(), |rule| rule.name().into());
                *self.by_rule.entry(rule).or_default() += 1;
            }
        }
    }

    /// Changes the log of the side whose own record a folder is.
    pub fn record(&mut self, folder: &Path, side: Side) {
        let record = Record::own(folder, Holds::Archive(side))
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let log = record.log(side).unwrap();
        self.missing = record.hold(log).unwrap();
        let entries = &log.entries;
        for (at, entry) in entries.iter().enumerate() {
            let event = serde_json::to_value(&entry.event).unwrap();
            let mut seen = BTreeSet::new();
            for (what, changed) in changed_events(&event) {
                let Ok(changed) = serde_json::from_value::<Event>(changed) else { continue };
                if changed == entry.event || !seen.insert(serde_json::to_string(&changed).unwrap())
                {
                    continue;
                }
                let mut entries = entries.clone();
                entries[at].event = changed;
                self.one(&record, side, entries, &what);
            }
            self.moved(&record, side, entries, at);
        }
    }

    fn add(&mut self, other: Tried) {
        self.changes += other.changes;
        self.taken.extend(other.taken);
        for (rule, count) in other.by_rule {
            *self.by_rule.entry(rule).or_default() += count;
        }
    }

    /// An entry that is gone, twice there, or a place later than it was.
    fn moved(&mut self, record: &Record, side: Side, entries: &[Entry], at: usize) {
        let name = entries[at].event.name();
        let (mut gone, mut twice, mut later) =
            (entries.to_vec(), entries.to_vec(), entries.to_vec());
        gone.remove(at);
        self.one(record, side, gone, &format!("{name} deleted"));
        let mut again = entries[at].clone();
        again.head = Head { hash: Hash::of(b"another"), ..again.head };
        twice.insert(at + 1, again);
        self.one(record, side, twice, &format!("{name} doubled"));
        if at + 1 < later.len() {
            later.swap(at, at + 1);
            self.one(
                record,
                side,
                later,
                &format!("{name} after {}", entries[at + 1].event.name()),
            );
        }
    }

    /// What was taken and is no claim.
    pub fn no_claims(&self) -> Vec<&String> {
        let known = |what: &str| is_claim(what) || ORDER.contains(&what) || FEWER.contains(&what);
        self.taken.iter().filter(|what| !known(what)).collect()
    }
}

/// What says nothing but that it happened, and when: order and number are claims where nothing that
/// was signed lies between.
const ORDER: [&str; 7] = [
    "evidence after evidence",
    "evidence doubled",
    "intent doubled",
    "kek-untrust after share-confirm",
    "kek-untrust deleted",
    "share-confirm after share-confirm",
    "share-confirm doubled",
];

/// Of more signatures than the plan asks for, which were there already: a file may come later. And
/// what the tenant says of keys that it may have found.
const FEWER: [&str; 11] = [
    "accept.signatures",
    "acceptance-check.signatures",
    "approval.signatures",
    "init.signatures",
    "kek-destroy.signatures",
    "keys-check.signatures",
    "keys-create.keys[].made",
    "offer-check.signatures",
    "package-check.signatures",
    "receipt-check.signatures",
    "release.signatures",
];

/// Whether the table of fields calls this a claim.
fn is_claim(what: &str) -> bool {
    let Some((event, path)) = what.split_once('.') else { return false };
    let field: String = path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    matches!(fields::source(event, &field), Some(Source::Claim(_)))
}

/// The archives of both sides of every kept ceremony.
fn kept() -> Vec<(PathBuf, Side)> {
    let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1");
    let ceremonies = std::fs::read_dir(versions).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = ceremonies
        .flat_map(|path| [(path.join("tenant"), Side::Tenant), (path.join("hoster"), Side::Hoster)])
        .collect();
    all.sort();
    all
}

#[test]
fn only_claims_can_be_changed_in_a_kept_record() {
    let all = kept();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for half in all.chunks(all.len().div_ceil(2)) {
            let sender = sender.clone();
            scope.spawn(move || {
                let mut tried = Tried::default();
                half.iter().for_each(|(archive, side)| tried.record(archive, *side));
                sender.send(tried).unwrap();
            });
        }
    });
    drop(sender);
    let mut tried = Tried::default();
    receiver.iter().for_each(|half| tried.add(half));
    println!("{} changes; refused: {:?}", tried.changes, tried.by_rule);
    println!("taken: {:#?}", tried.taken);
    assert_eq!(tried.no_claims(), Vec::<&String>::new());
    assert!(tried.changes > 5_000, "{}", tried.changes);
}

#[test]
fn the_table_of_fields_is_that_of_the_page() {
    let page = include_str!("../../docs/formats.md");
    assert!(page.contains(&fields::page_rows()), "{}", fields::page_rows());
}
