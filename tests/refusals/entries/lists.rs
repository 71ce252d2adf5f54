//! What only an archive has: every field of the head that officers sign, signed anew; every line of
//! the list of hashes; one file less, and one more, which it lists.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Amount, distinct, requests::signature};
use crate::common::{
    changes::{Tried, changes, one_file_more},
    stage::Stage,
};
use record::{
    encoding::Hash,
    layout::ClosedHead,
    terms::Side,
    verify::{self, Against},
};

/// Changes the head and the list of a side's archive.
pub fn changed(stage: &Stage, side: Side, archive: &Path, amount: Amount, tried: &mut Tried) {
    let officers = match side {
        Side::Tenant => ["ada", "ben"],
        Side::Hoster => ["hana", "hugo"],
    };
    let list = fs::read_to_string(archive.join("SHA256SUMS")).unwrap();
    let head = fs::read(archive.join("head.json")).unwrap();
    let put = |bytes: &[u8]| {
        fs::write(archive.join("head.json"), bytes).unwrap();
        for id in officers {
            let made = signature(stage, id, "keyferry-head", bytes);
            fs::write(archive.join(format!("head.json.{id}.sig")), made).unwrap();
        }
        let fit = list.replace(&Hash::of(&head).to_string(), &Hash::of(bytes).to_string());
        fs::write(archive.join("SHA256SUMS"), fit).unwrap();
    };
    put(&head);
    let verified = || verify::verify(&[archive.to_owned()], &Against::default());
    let missing = verified().unwrap().missing;
    let mut one = |what: &str| tried.one(what, verified().map(|now| now.missing == missing));
    let value: Value = serde_json::from_slice(&head).unwrap();
    let is_read = |value: &Value| serde_json::from_value::<ClosedHead>(value.clone()).is_ok();
    for (path, changed) in distinct(changes(&value), amount, is_read) {
        put(&serde_json::to_vec_pretty(&changed).unwrap());
        one(&format!("head.json{path}"));
    }
    put(&head);
    let step = match amount {
        Amount::EachOnce => 16,
        Amount::All => 1,
    };
    for (what, lines) in spoilt(&list, step) {
        fs::write(archive.join("SHA256SUMS"), lines).unwrap();
        one(&format!("SHA256SUMS, a line {what}"));
    }
    put(&head);
    let names: Vec<String> =
        list.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    for name in names.iter().step_by(step) {
        let (file, bytes) = (archive.join(name), fs::read(archive.join(name)).unwrap());
        fs::remove_file(&file).unwrap();
        let line = format!("{}  {name}\n", Hash::of(&bytes));
        fs::write(archive.join("SHA256SUMS"), list.replace(&line, "")).unwrap();
        one(&format!("one file less, {name}"));
        fs::write(file, bytes).unwrap();
    }
    for (from, to) in one_file_more(&names).into_iter().step_by(step * step) {
        let more = archive.join(&to);
        let new = more.ancestors().take_while(|path| !path.exists()).last().unwrap();
        fs::create_dir_all(more.parent().unwrap()).unwrap();
        let bytes = fs::read(archive.join(&from)).unwrap();
        fs::write(&more, &bytes).unwrap();
        let line = format!("{}  {to}\n", Hash::of(&bytes));
        fs::write(archive.join("SHA256SUMS"), format!("{list}{line}")).unwrap();
        one(&format!("one file more, {from} as {to}"));
        let gone = if new.is_dir() { fs::remove_dir_all(new) } else { fs::remove_file(new) };
        gone.unwrap();
    }
    put(&head);
    one("unchanged");
    assert!(tried.taken.remove("unchanged"), "{}: {:?}", archive.display(), tried.by_rule);
}

/// Every so many lines gone, there twice, with another hash, of another file; all moved.
fn spoilt(list: &str, step: usize) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = list.split_inclusive('\n').collect();
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate().step_by(step) {
        let with = |these: &[&str]| [&lines[..at], these, &lines[at + 1..]].concat().concat();
        let next = lines[(at + 1) % lines.len()];
        let (hash, name) = line.split_once("  ").unwrap();
        let (other, _) = next.split_once("  ").unwrap();
        let last = format!("{other}  {name}");
        let spaced = format!("{hash} *{name}");
        all.push(("gone", with(&[])));
        all.push(("twice", with(&[line, line])));
        all.push(("with another hash", with(&[&last])));
        all.push(("in capitals", with(&[&line.to_uppercase()])));
        all.push(("of the next file", with(&[next])));
        all.push(("as another tool writes it", with(&[&spaced])));
        all.push(("without an end", with(&[line.trim_end()])));
        all.push(("more, of no file", with(&[line, &format!("{hash}  x-{name}")])));
    }
    let mut turned = lines.clone();
    turned.reverse();
    all.push(("moved", turned.concat()));
    all
}
