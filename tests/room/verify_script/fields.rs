//! Every field of an entry that something on record determines, changed once, in every archive that
//! is kept: the log is chained anew, and `head.json` and SHA256SUMS are made to fit. Both verifiers
//! refuse it, and the script says which entry is false.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

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

#[test]
fn both_say_the_same_of_the_end_of_a_log() {
    ends(40);
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part verifiers`"]
fn both_say_the_same_of_every_end_of_a_log() {
    ends(usize::MAX);
}

/// One change of the entries that no document pins, because none was made later.
struct End {
    archive: usize,
    log: &'static str,
    /// From 0; gone, and told there instead.
    entry: usize,
    told: Option<Value>,
}

/// Leaves each such entry out, and tells each of the log's once more between them, so many of all:
/// where the auditor sees nothing false, the script sees none either.
fn ends(most: usize) {
    let archives = kept();
    let all: Vec<End> = (0..archives.len()).flat_map(|n| end(n, &archives[n])).collect();
    let step = all.len().div_ceil(most);
    let ends: Vec<&End> = all.iter().step_by(step).collect();
    let tally = on_two_threads(&archives, ends.len(), |item, copies, tally| {
        let End { archive, log, entry, told } = ends[item];
        let copy = &copies[*archive];
        all_anew(copy, log, |entries, _| match told {
            Some(told) => entries.insert(*entry, told.clone()),
            None => drop(entries.remove(*entry)),
        });
        head_to_fit(copy, log);
        copy.make_sums();
        let (auditor, said) = (audited(&copy.path()), script(&copy.path(), &[]));
        match (auditor.is_err(), said.code == 1) {
            (true, true) => tally.both_refused += 1,
            (false, false) => tally.listed.push(String::new()),
            _ => tally.wrong.push(format!(
                "{}, entry {}, {told:?}: the script ends with {}{}, the auditor with {:?}",
                archives[*archive].display(),
                entry + 1,
                said.code,
                said.err,
                auditor.map(drop)
            )),
        }
        copy.renew();
    });
    let (refused, taken) = (tally.both_refused, tally.listed.len());
    println!(
        "{} of {} ends changed: {refused} refused and {taken} taken by both",
        ends.len(),
        all.len()
    );
    assert!(refused > taken, "{refused}, {taken}");
}

fn end(archive: usize, path: &Path) -> Vec<End> {
    let log = log_of(path);
    let text = fs::read_to_string(path.join(log)).unwrap();
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let begun = entries.iter().rposition(|entry| entry["event"] == "intent").unwrap();
    let mut all = Vec::new();
    for entry in begun + 1..entries.len() {
        all.push(End { archive, log, entry, told: None });
        let told = entries.iter().cloned().map(Some);
        all.extend(told.map(|told| End { archive, log, entry, told }));
    }
    all
}

/// The name of an archive's own log.
fn log_of(archive: &Path) -> &'static str {
    let logs = ["tenant.log.jsonl", "hoster.log.jsonl"];
    logs.into_iter().find(|log| archive.join(log).exists()).unwrap()
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
    let log = log_of(path);
    let text = fs::read_to_string(path.join(log)).unwrap();
    let mut fields = Vec::new();
    for (entry, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).unwrap();
        let event = value["event"].as_str().unwrap();
        let names = value.as_object().unwrap().keys();
        // Who came is a claim, which a receipt repeats.
        let names = names.filter(|name| {
            let repeated = event == "quorum" && ["custodians", "spent"].contains(&name.as_str());
            repeated || fields_of(event).any(|field| field.name == **name && !field.claim)
        });
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
    all_anew(copy, log, |entries, _| change(&mut entries[at]));
}

/// Changes the entries of a log, and makes their numbers, the count at the end and the chain fit.
fn all_anew(copy: &Copy, log: &str, change: impl Fn(&mut Vec<Value>, &Path)) {
    let path = copy.file(log);
    let (mut text, mut prev) = (String::new(), "0".repeat(64));
    let lines = fs::read_to_string(&path).unwrap();
    let mut entries: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let before = entries.len();
    change(&mut entries, &copy.path());
    let more_or_less = entries.len() != before;
    for (at, mut value) in entries.into_iter().enumerate() {
        value["prev"] = prev.into();
        value["seq"] = (at + 1).into();
        if more_or_less && value["event"] == "close" {
            value["count"] = value["seq"].clone();
        }
        let line = format!("{value}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        text.push_str(&line);
    }
    fs::write(&path, text).unwrap();
}

/// What the order of entries, their times and a run that was cut off say: the script names it, and
/// the auditor refuses it too.
#[test]
fn the_script_names_what_is_out_of_order() {
    fn place(entries: &[Value], event: &str) -> usize {
        entries.iter().position(|entry| entry["event"] == event).unwrap()
    }
    /// Before the end, which is the last entry.
    fn more(entries: &mut Vec<Value>, mut entry: Value) {
        entry["time"] = entries[0]["time"].clone();
        entries.insert(entries.len() - 1, entry);
    }
    fn retire(entries: &mut Vec<Value>, thumbprint: &str) {
        let spki = entries[place(entries, "import")]["keys"][0]["spki"].clone();
        let token = entries[place(entries, "import")]["token"].clone();
        more(
            entries,
            json!({"event": "retire", "thumbprint": thumbprint, "spki": spki, "token": token}),
        );
    }
    fn begun(entries: &[Value], step: &str) -> usize {
        entries.iter().position(|entry| entry["step"] == step).unwrap()
    }
    type Edit = fn(&mut Vec<Value>, &Path);
    let edits: [(&str, &str, Edit); 12] = [
        ("hoster", "its intent before it", |entries, _| {
            let mut repair = entries[0].clone();
            repair = json!({"event": "repair", "bytes": 1, "hash": "5a".repeat(32), "time": repair["time"]});
            entries.insert(place(entries, "import"), repair);
        }),
        ("hoster", "an import that was begun, before it", |entries, _| {
            let repair = json!({"event": "repair", "bytes": 1, "hash": "5a".repeat(32), "time": entries[0]["time"]});
            entries.insert(place(entries, "quorum"), repair);
        }),
        ("hoster", "a quorum before it", |entries, archive| {
            // Two came where three are a quorum, and the receipt says so too.
            entries.retain(|entry| entry["custodians"].as_array().is_none_or(|all| all.len() < 3));
            let path = archive.join("receipt/receipt.json");
            let bytes = fs::read(&path).unwrap();
            let mut receipt: Value = serde_json::from_slice(&bytes).unwrap();
            for list in ["custodians", "spent"] {
                receipt["body"][list].as_array_mut().unwrap().truncate(2);
            }
            let changed = serde_json::to_vec_pretty(&receipt).unwrap();
            fs::write(&path, &changed).unwrap();
            let [made, changed] = [&bytes, &changed].map(|one| Hash::of(one).to_string());
            for entry in entries {
                *entry = serde_json::from_str(&entry.to_string().replace(&made, &changed)).unwrap();
            }
        }),
        ("hoster", "keys is", |entries, _| {
            // Begun again, and nobody came: then every key was there.
            let again = entries[begun(entries, "import")].clone();
            entries.insert(place(entries, "import"), again);
        }),
        ("hoster", "at most 10 minutes ahead", |entries, _| {
            let evidence = place(entries, "evidence");
            entries[evidence]["time"] = json!("2020-01-01T00:00:00Z");
        }),
        ("tenant", "a KEK that is trusted before it", |entries, _| {
            entries.retain(|entry| entry["event"] != "kek-trust" && entry["step"] != "kek-trust");
        }),
        ("tenant", "a plan that binds keys to a trusted KEK", |entries, _| {
            let at = place(entries, "offer-check") + 1;
            let kek = json!({"id": "5a".repeat(20), "fingerprint": entries[at - 1]["fingerprint"]});
            let time = &entries[0]["time"];
            let intent =
                json!({"event": "intent", "step": "kek-trust", "attempt": 1, "time": time});
            let trust = json!({"event": "kek-trust", "kek": kek, "attributes": [], "token": {}, "time": time});
            entries.splice(at..at, [intent, trust]);
        }),
        ("hoster", "40 upper-case hex characters", |entries, _| retire(entries, "zz")),
        ("hoster", "a key that is primary no more", |entries, archive| {
            let mut evidence =
                fs::read_dir(archive.join("evidence")).unwrap().map(|file| file.unwrap().path());
            let active = evidence.find(|path| path.to_string_lossy().contains("-active-")).unwrap();
            let evidence: Value = serde_json::from_slice(&fs::read(active).unwrap()).unwrap();
            let said: Value =
                serde_json::from_str(evidence["statement"].as_str().unwrap()).unwrap();
            retire(entries, said["primaries"][0]["thumbprint"].as_str().unwrap());
        }),
        ("hoster", "an entry of keyferry/1", |entries, _| {
            entries[1]["time"] = json!("2026-11-27T23:59:60Z");
        }),
        ("hoster", "an entry of keyferry/1", |entries, _| {
            more(entries, json!({"event": "note", "remark": {"kind": "rumour", "text": "x"}}));
        }),
        ("hoster", "an entry of keyferry/1", |entries, _| {
            more(entries, json!({"event": "repair", "bytes": "many", "hash": "5a".repeat(32)}));
        }),
    ];
    for (side, said, edit) in edits {
        let of = if said.starts_with("a plan") { "composite" } else { "single-shot" };
        let archive = kept().into_iter().find(|one| one.ends_with(format!("{of}-local/{side}")));
        let copy = Copy::of(&archive.unwrap());
        let log = match side {
            "tenant" => "tenant.log.jsonl",
            _ => "hoster.log.jsonl",
        };
        all_anew(&copy, log, edit);
        head_to_fit(&copy, log);
        copy.make_sums();
        let found = script(&copy.path(), &[]).err;
        assert!(found.starts_with("FALSE: entry ") && found.contains(said), "{said}: {found}");
        audited(&copy.path()).unwrap_err();
    }
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
