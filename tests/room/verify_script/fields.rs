//! Every field of an entry that something on record determines, changed once, in every archive that
//! is kept: the log is chained anew, and `head.json` and SHA256SUMS are made to fit. Both verifiers
//! refuse it, and the script says which entry is false.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    changes::head_to_fit,
    tools::{Copy, audited, on_two_threads, script},
};
use crate::common::changes::fields_of;
use record::encoding::Hash;

/// One field of one entry of an archive's own log.
struct Field {
    archive: usize,
    log: &'static str,
    /// From 0.
    entry: usize,
    name: String,
}

#[test]
fn the_script_names_the_entry_that_is_false() {
    changed(10);
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part verifiers`"]
fn both_refuse_every_change_of_a_derived_field() {
    changed(usize::MAX);
}

/// Changes so many of all fields, from the first to the last.
fn changed(most: usize) {
    let archives = kept();
    let mut fields: Vec<Field> =
        (0..archives.len()).flat_map(|n| derived(n, &archives[n])).collect();
    let all = fields.len();
    assert!(all > 700, "{all}");
    let step = all.div_ceil(most);
    fields = fields.into_iter().step_by(step).collect();
    let tally = on_two_threads(&archives, fields.len(), |item, copies, tally| {
        let field = &fields[item];
        let copy = &copies[field.archive];
        make(field, copy);
        let said = script(&copy.path(), &[]);
        let side = field.log.trim_end_matches(".log.jsonl");
        let place = format!("FALSE: entry {} of the {side}'s log", field.entry + 1);
        match said.err.contains(&place) && audited(&copy.path()).is_err() {
            true => tally.both_refused += 1,
            false => tally.wrong.push(format!(
                "{}, {place}, {}: the script ends with {}{}, the auditor with {:?}",
                archives[field.archive].display(),
                field.name,
                said.code,
                said.err,
                audited(&copy.path()).map(drop)
            )),
        }
        copy.renew();
    });
    println!("{} of {all} derived fields changed: all refused by both", tally.both_refused);
}

/// The archives that are kept.
fn kept() -> Vec<PathBuf> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1");
    let ceremonies = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path());
    let mut archives: Vec<PathBuf> =
        ceremonies.flat_map(|one| ["tenant", "hoster"].map(|side| one.join(side))).collect();
    archives.sort();
    archives
}

/// Every derived field of every entry of an archive's own log.
fn derived(archive: usize, path: &Path) -> Vec<Field> {
    let logs = ["tenant.log.jsonl", "hoster.log.jsonl"];
    let log = logs.into_iter().find(|log| path.join(log).exists()).unwrap();
    let text = fs::read_to_string(path.join(log)).unwrap();
    let mut fields = Vec::new();
    for (entry, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).unwrap();
        let event = value["event"].as_str().unwrap();
        let names = value.as_object().unwrap().keys();
        let names =
            names.filter(|name| fields_of(event).any(|field| field.name == *name && !field.claim));
        fields.extend(names.map(|name| Field { archive, log, entry, name: name.clone() }));
    }
    fields
}

/// Changes a field, chains the log anew, and makes fit what pins its end.
fn make(field: &Field, copy: &Copy) {
    chain_anew(copy, field.log, field.entry, |entry| change(&mut entry[&field.name]));
    head_to_fit(copy, field.log);
    copy.make_sums();
}

/// Changes an entry of a log, and makes the chain fit.
fn chain_anew(copy: &Copy, log: &str, at: usize, change: impl Fn(&mut Value)) {
    let path = copy.file(log);
    let (mut text, mut prev) = (String::new(), "0".repeat(64));
    for (entry, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value["prev"] = prev.into();
        if entry == at {
            change(&mut value);
        }
        let line = format!("{value}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        text.push_str(&line);
    }
    fs::write(&path, text).unwrap();
}

/// In the log that travelled, too, `init` names enough officers of both sides.
#[test]
fn the_other_sides_signatures_over_the_plan_are_counted() {
    for (side, other, log) in
        [("hoster", "tenant", "acceptance/log.jsonl"), ("tenant", "hoster", "closing/log.jsonl")]
    {
        let archives = kept();
        let archive = archives.iter().find(|one| one.ends_with(format!("composite-local/{side}")));
        let copy = Copy::of(archive.unwrap());
        for (what, gone) in [("tenant", "ben"), ("hoster", "hana"), ("each signer once", "")] {
            chain_anew(&copy, log, 0, |init| {
                let signed = init["signatures"].as_array_mut().unwrap();
                let before = signed.len();
                match gone {
                    "" => signed.push(signed[0].clone()),
                    gone => signed.retain(|one| one["id"] != gone),
                }
                assert_ne!(signed.len(), before, "{gone}: {signed:?}");
            });
            copy.make_sums();
            let said = script(&copy.path(), &[]).err;
            let place = format!("FALSE: entry 1 of the {other}'s log, init: not so: ");
            assert!(said.contains(&place) && said.contains(what), "{said}");
            copy.renew();
        }
    }
}

/// Another value of the same type.
fn change(value: &mut Value) {
    match value {
        Value::Bool(holds) => *holds = !*holds,
        Value::Number(number) => *value = (number.as_u64().unwrap() + 1).into(),
        Value::String(text) => match text.strip_prefix('0') {
            Some(rest) => *text = format!("1{rest}"),
            None if text.len() >= 32 => text.replace_range(..1, "0"),
            None => text.push('x'),
        },
        Value::Array(all) => match all.first_mut() {
            Some(first) => change(first),
            None => all.push("x".into()),
        },
        Value::Object(all) => change(all.values_mut().next().unwrap()),
        Value::Null => panic!("no log has it"),
    }
}
