//! What must hold of a stage after every run, however it ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{
    PIN,
    ending::events,
    run,
    stage::{Done, Stage},
};
use record::log::Event;

const SIDES: [&str; 2] = ["tenant", "hoster"];

/// A stage as it was before a run.
pub struct Before {
    logs: [Vec<u8>; 2],
    objects: BTreeSet<PathBuf>,
}

impl Before {
    pub fn of(stage: &Stage) -> Before {
        Before { logs: SIDES.map(|side| acknowledged(stage, side)), objects: objects(stage) }
    }

    /// What was on record stays on record.
    pub fn is_on_record(&self, stage: &Stage, context: &str) {
        for (side, log) in SIDES.iter().zip(&self.logs) {
            assert!(
                acknowledged(stage, side).starts_with(log),
                "{context}: the {side}'s log lost an entry"
            );
        }
    }

    /// As [`Before::is_on_record`]; and nothing that was in an HSM is gone, but by the commands
    /// whose work that is.
    pub fn is_kept(&self, stage: &Stage, arguments: &[&str], context: &str) {
        self.is_on_record(stage, context);
        let may_go = match arguments {
            // The trusted KEK, which is a public key alone.
            ["export", ..] => 1,
            // Both halves of the KEK.
            ["kek", "destroy", ..] => 2,
            _ => 0,
        };
        let gone: Vec<_> = self.objects.difference(&objects(stage)).cloned().collect();
        assert!(gone.len() <= may_go, "{context}: {gone:?} are gone");
    }
}

/// The whole lines of a log, which somebody may have relied on.
fn acknowledged(stage: &Stage, side: &str) -> Vec<u8> {
    let mut log = fs::read(stage.path(side).join("log.jsonl")).unwrap_or_default();
    let whole = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    log.truncate(whole);
    log
}

/// The object files of both tokens.
fn objects(stage: &Stage) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let root = stage.path("tokens");
    for token in fs::read_dir(&root).unwrap() {
        for object in fs::read_dir(token.unwrap().path()).unwrap() {
            let path = object.unwrap().path();
            if path.extension().is_some_and(|end| end == "object") {
                found.insert(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    found
}

/// What holds at every moment, of one stage alone.
pub fn hold(stage: &Stage, context: &str) {
    for side in SIDES {
        let events = events(stage, side);
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|one| wanted(one)).count();
        assert!(
            count(|event| matches!(event, Event::Import { .. } | Event::Answer { .. })) <= 1,
            "{context}: more than one import"
        );
        assert!(
            count(|event| matches!(event, Event::KekDestroy { .. })) == 0
                || stage.path("medium/acceptance").exists(),
            "{context}: the KEK is destroyed before acceptance"
        );
    }
    no_pin_below(stage.dir.path(), context);
}

fn no_pin_below(folder: &Path, context: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tokens" {
                no_pin_below(&path, context);
            }
        } else if name != "pin" {
            let bytes = fs::read(&path).unwrap();
            // ASCII, as the PIN is, is kept whatever stands around it.
            assert!(
                !String::from_utf8_lossy(&bytes).contains(PIN),
                "{context}: the PIN is in {}",
                path.display()
            );
        }
    }
}

/// What two stages have in common that differ only in keys, hashes and times: their files, the
/// kinds of their entries, the number of objects in their tokens.
pub fn shape(stage: &Stage) -> String {
    let mut shape = String::new();
    let mut files = BTreeSet::new();
    for folder in ["tenant", "hoster", "medium", "mirror-tenant", "mirror-hoster"] {
        names_below(stage.dir.path(), Path::new(folder), &mut files);
    }
    for file in files {
        shape.push_str(&format!("{}\n", file.display()));
    }
    for side in SIDES {
        for event in events(stage, side) {
            let name = serde_json::to_value(&event).unwrap()["event"].to_string();
            shape.push_str(&format!("{side} {name}\n"));
        }
    }
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for object in objects(stage) {
        *counts.entry(object.parent().unwrap().to_owned()).or_default() += 1;
    }
    // The tokens' folders have random names.
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable();
    shape + &format!("{counts:?}\n")
}

fn names_below(root: &Path, folder: &Path, names: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = folder.join(entry.file_name());
        match entry.path().is_dir() {
            true => names_below(root, &name, names),
            false => drop(names.insert(name)),
        }
    }
}

/// Everything that a run could have changed, byte for byte: both folders and both tokens. Of a log,
/// which steps it says are done.
pub fn contents(stage: &Stage) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut names = BTreeSet::new();
    for folder in ["tenant", "hoster", "tokens"] {
        names_below(stage.dir.path(), Path::new(folder), &mut names);
    }
    // SoftHSM counts each login in a file of its own.
    names.retain(|name| {
        name.file_name().is_none_or(|name| name != "token.object" && name != "generation")
    });
    let read = |name: PathBuf| {
        let bytes = fs::read(stage.path(name.to_str().unwrap())).unwrap();
        (name, bytes)
    };
    let mut contents: BTreeMap<_, _> = names.into_iter().map(read).collect();
    for side in SIDES {
        let steps: Vec<String> = steps(stage, side).into_iter().collect();
        contents.insert(Path::new(side).join("log.jsonl"), steps.join(" ").into_bytes());
    }
    contents
}

/// The kinds of a log's entries, without those which only note what was tried: refusals, and
/// repairs of a torn end. A step that may be done again (`kek trust` reads the KEK back once more)
/// is counted once.
fn steps(stage: &Stage, side: &str) -> BTreeSet<String> {
    let events = events(stage, side).into_iter();
    let notes = |event: &Event| matches!(event, Event::Refusal { .. } | Event::Repair { .. });
    events
        .filter(|event| !notes(event))
        .map(|event| serde_json::to_value(&event).unwrap()["event"].to_string())
        .collect()
}

/// The tenant's own signing key still signs in its own token, and its certificate agrees.
pub fn source_key_works(stage: &Stage, context: &str) {
    if stage.setting.born || stage.done < Some(Done::KeysCreate) {
        return;
    }
    fs::write(stage.path("to-sign"), b"the source key works").unwrap();
    let listed = stage.pkcs11_tool("tenant", &["--list-objects", "--type", "privkey"]);
    let listed = String::from_utf8(listed).unwrap();
    let mut after = listed.lines().skip_while(|line| !line.ends_with(" hgs-signing"));
    let id = after.find_map(|line| line.trim().strip_prefix("ID:")).unwrap();
    let what = ["--sign", "--mechanism", "SHA256-RSA-PKCS", "--id", id.trim()];
    let files = ["--input-file", "to-sign", "--output-file", "signed"];
    stage.pkcs11_tool("tenant", &[&what[..], &files].concat());
    let public = run(Command::new("openssl")
        .args(["x509", "-inform", "DER", "-pubkey", "-noout", "-in"])
        .arg(stage.path("tenant/keys/hgs-signing.crt")));
    fs::write(stage.path("public.pem"), public).unwrap();
    let verified = run(Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", "public.pem", "-signature", "signed", "to-sign"])
        .current_dir(stage.dir.path()));
    assert_eq!(verified, b"Verified OK\n", "{context}");
}
