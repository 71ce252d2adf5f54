//! Every field of what nodes proved, changed, and named by a log that is made to fit, instead or
//! too. Only a key in an HSM could sign it anew.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{Amount, distinct};
use crate::common::changes::{Own, Tried, changes};
use record::{
    encoding::Hash,
    log::{Entry, Event},
    service::NodeEvidence,
    terms::{Side, Stage},
};

/// Changes the evidence that a hoster's log names; by default one piece of each stage.
pub fn changed(folder: &Path, amount: Amount, tried: &mut Tried) {
    let mut own = Own::read(folder, Side::Hoster);
    let files = fs::read_dir(folder.join("evidence")).into_iter().flatten();
    let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    let files: BTreeMap<Hash, Vec<u8>> = files.map(|bytes| (Hash::of(&bytes), bytes)).collect();
    let (mut all, mut stages): (Vec<(usize, String, NodeEvidence)>, Vec<Stage>) =
        Default::default();
    for (at, entry) in own.entries.iter().enumerate() {
        let Event::Evidence { stage, evidence, .. } = &entry.event else { continue };
        if matches!(amount, Amount::EachOnce) && stages.contains(stage) {
            continue;
        }
        stages.push(*stage);
        for (what, bytes) in spoilt(&files[evidence], amount) {
            match NodeEvidence::parse(&bytes, "evidence") {
                Ok(one) if files.contains_key(&one.hash) => {}
                Ok(one) => {
                    // Beside the others, where a record finds it.
                    fs::write(folder.join(format!("evidence/x{}.json", all.len())), bytes).unwrap();
                    all.push((at, what, one));
                }
                Err(error) => tried.one(&what, Err(error)),
            }
        }
    }
    own = Own::read(folder, own.side);
    for (n, (at, what, one)) in all.iter().enumerate() {
        let mut entries = own.entries.clone();
        let more = Entry { event: Event::evidence(one), ..entries[*at].clone() };
        entries.insert(at + 1, more);
        tried.one(&format!("one more {what}"), own.hold(entries.clone()));
        entries.remove(*at);
        tried.one(what, own.hold(entries));
        fs::remove_file(folder.join(format!("evidence/x{n}.json"))).unwrap();
    }
}

/// What a file may say instead: around its statement, and within.
fn spoilt(bytes: &[u8], amount: Amount) -> Vec<(String, Vec<u8>)> {
    let file: Value = serde_json::from_slice(bytes).unwrap();
    let statement: Value = serde_json::from_str(file["statement"].as_str().unwrap()).unwrap();
    let text = |file: &Value| serde_json::to_vec_pretty(file).unwrap();
    let is_read = |file: &Value| NodeEvidence::parse(&text(file), "evidence").is_ok();
    let with = |statement: &Value| {
        let mut file = file.clone();
        file["statement"] = statement.to_string().into();
        file
    };
    let around = distinct(changes(&file), amount, is_read).into_iter();
    let within = distinct(changes(&statement), amount, |statement| is_read(&with(statement)));
    let within = within.into_iter();
    let within = within.map(|(path, said)| (format!(".statement{path}"), with(&said)));
    around.chain(within).map(|(path, file)| (format!("evidence{path}"), text(&file))).collect()
}
