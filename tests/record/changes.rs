//! One document, changed at each place in each way. `tests/schema` has it too.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Where every value of a document stands (RFC 6901); of an array the first and the last.
pub fn pointers(value: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| {
        let name = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let deeper = pointers(value).into_iter().map(|rest| format!("{name}{rest}"));
        [name.clone()].into_iter().chain(deeper).collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| below(name.clone(), value)).collect()
        }
        Value::Array(items) => {
            let ends = BTreeSet::from([0, items.len().saturating_sub(1)]);
            let items = items.iter().enumerate().filter(|(n, _)| ends.contains(n));
            items.flat_map(|(n, item)| below(n.to_string(), item)).collect()
        }
        _ => Vec::new(),
    }
}

/// A place without what differs between ceremonies: numbers, names of keys and people.
pub fn general(pointer: &str) -> String {
    let names = [
        "hgs-signing",
        "hgs-encryption",
        "node1",
        "node2",
        "ada",
        "ben",
        "cora",
        "hana",
        "hugo",
        "hedy",
        "iris",
    ];
    let part = |part: &str| match part.parse::<usize>().is_ok() || names.contains(&part) {
        true => "*".to_owned(),
        false => part.to_owned(),
    };
    pointer.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The document with the value at one place changed, in each way that its kind has.
pub fn changes(whole: &Value, pointer: &str) -> Vec<(&'static str, Value)> {
    let with = |value: Value| {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let value = whole.pointer(pointer).unwrap();
    let mut all = vec![("removed", without(whole, pointer)), ("null", with(Value::Null))];
    match value {
        Value::String(text) => {
            let mut other: Vec<char> = text.chars().collect();
            if let Some(last) = other.last_mut() {
                *last = if *last == '0' { '1' } else { '0' };
            }
            all.push(("another", with(other.into_iter().collect::<String>().into())));
            all.push(("longer", with(format!("{text}00").into())));
            all.push(("empty", with("".into())));
            all.push(("a number", with(json!(1))));
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            all.push(("0", with(json!(0))));
            all.push(("1 more", with(json!(number + 1))));
            all.push(("1 less", with(json!(number as i64 - 1))));
            all.push(("a text", with(json!(number.to_string()))));
        }
        Value::Bool(flag) => {
            all.push(("not", with(json!(!flag))));
            all.push(("a text", with(json!(flag.to_string()))));
        }
        Value::Array(items) => {
            all.push(("empty", with(json!([]))));
            let twice = items.iter().chain(items.first()).cloned().collect();
            all.push(("its first twice", with(Value::Array(twice))));
            if items.len() > 1 {
                all.push(("turned round", with(items.iter().rev().cloned().collect())));
            }
        }
        Value::Object(fields) => {
            all.push(("empty", with(json!({}))));
            let mut more: Map<String, Value> = fields.clone();
            more.insert("surprise".into(), json!(true));
            all.push(("a field more", with(Value::Object(more))));
        }
        Value::Null => {}
    }
    all.retain(|(_, changed)| changed != whole);
    all
}

fn without(whole: &Value, pointer: &str) -> Value {
    let mut changed = whole.clone();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(above).unwrap() {
        Value::Object(fields) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!(),
    }
    changed
}
