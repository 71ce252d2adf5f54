//! What somebody could do to an archive, with SHA256SUMS made to fit.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

use super::tools::{Copy, names};
use crate::common::{
    changes::{changes, one_file_more},
    run,
};
use record::encoding::Hash;

/// What nothing determines of a request that nobody acts on: its asker's words, and the sentence,
/// which the script does not compare.
const WORDS: [&str; 4] = [".subject.acceptance", ".subject.former", ".subject.reason", ".summary"];

/// One change of one of the archives.
pub struct Change {
    pub archive: usize,
    pub what: String,
    pub make: Box<dyn Fn(&Copy) + Sync>,
}

#[derive(Default)]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// A change after which SHA256SUMS is made to fit.
    pub fn deep(&mut self, archive: usize, what: String, make: impl Fn(&Copy) + Sync + 'static) {
        let make = move |copy: &Copy| {
            make(copy);
            copy.make_sums();
        };
        self.0.push(Change { archive, what, make: Box::new(make) });
    }

    /// Every document removed, and another ceremony's in its place.
    pub fn documents(&mut self, archive: usize, original: &Path, other: &Path) {
        for name in names(original) {
            let Some((folder, file)) = name.rsplit_once('/') else {
                continue;
            };
            let kind = folder.rsplit('/').next().unwrap().to_owned();
            if file != format!("{kind}.json") {
                continue;
            }
            let gone = folder.to_owned();
            self.deep(archive, format!("no {folder}"), move |copy| {
                fs::remove_dir_all(copy.file(&gone)).unwrap();
            });
            let (folder, other) = (folder.to_owned(), other.join(&kind));
            self.deep(archive, format!("another {folder}"), move |copy| {
                fs::remove_dir_all(copy.file(&folder)).unwrap();
                let to = copy.file(&folder);
                run(Command::new("cp").arg("-a").arg(&other).arg(to));
            });
        }
    }

    /// Another person's signature in the place of each.
    pub fn signatures(&mut self, archive: usize, original: &Path) {
        let signatures: Vec<String> =
            (names(original).into_iter()).filter(|name| name.ends_with(".sig")).collect();
        let signed = |name: &str| name.rsplitn(3, '.').last().unwrap().to_owned();
        for name in &signatures {
            let other = (signatures.iter())
                .find(|other| *other != name && signed(other) == signed(name))
                .unwrap()
                .clone();
            let to = name.clone();
            self.deep(archive, format!("{name} is {other}"), move |copy| {
                fs::copy(copy.file(&other), copy.file(&to)).unwrap();
            });
        }
    }

    /// Every request removed with its signatures.
    pub fn approvals(&mut self, archive: usize, original: &Path) {
        let requests = names(original).into_iter();
        for request in
            requests.filter(|name| name.starts_with("approvals/") && name.ends_with(".json"))
        {
            let (from, to) = (request.clone(), request.replace("/0", "/1"));
            self.deep(archive, format!("{request} is {to}"), move |copy| {
                for name in names(&copy.path()) {
                    if let Some(rest) = name.strip_prefix(&from) {
                        fs::rename(copy.file(&name), copy.file(&format!("{to}{rest}"))).unwrap();
                    }
                }
            });
            self.deep(archive, format!("no {request}"), move |copy| {
                for name in names(&copy.path()) {
                    if name.starts_with(&request) {
                        fs::remove_file(copy.file(&name)).unwrap();
                    }
                }
            });
        }
    }

    /// The log cut before every line, and head.json with it, whose signatures then go.
    pub fn cuts(&mut self, archive: usize, original: &Path, log: &'static str) {
        let lines = fs::read_to_string(original.join(log)).unwrap();
        for line in 0..lines.lines().count() {
            let cut = move |copy: &Copy| {
                let whole = fs::read_to_string(copy.file(log)).unwrap();
                let left: String = whole.split_inclusive('\n').take(line).collect();
                fs::write(copy.file(log), left).unwrap();
            };
            let what = format!("{log} cut to {line} lines");
            self.0.push(Change { archive, what: what.clone(), make: Box::new(cut) });
            self.deep(archive, format!("{what}, head.json with it"), move |copy| {
                cut(copy);
                head_to_fit(copy, log);
            });
        }
    }

    /// One request more, which nobody acts on: each field of each, changed.
    pub fn one_request_more(&mut self, archive: usize, original: &Path) {
        let is_request = |name: &String| name.starts_with("approvals/") && name.ends_with(".json");
        for from in names(original).into_iter().filter(is_request) {
            let asked: Value =
                serde_json::from_slice(&fs::read(original.join(&from)).unwrap()).unwrap();
            let changed: BTreeMap<String, Value> = changes(&asked).into_iter().collect();
            for (path, changed) in changed {
                if WORDS.iter().any(|words| path.starts_with(words)) {
                    continue;
                }
                let next = from.replace("/01-", "/02-");
                self.deep(archive, format!("{next} with another {path}"), move |copy| {
                    fs::write(copy.file(&next), format!("{changed:#}\n")).unwrap();
                });
            }
        }
    }

    /// One file less. (Nobody need sign the head: that is another test's matter.)
    pub fn one_file_less(&mut self, archive: usize, original: &Path) {
        for name in names(original).into_iter().filter(|name| !name.starts_with("head.json.")) {
            self.deep(archive, format!("no {name}"), move |copy| {
                fs::remove_file(copy.file(&name)).unwrap();
            });
        }
    }

    /// One file more: each in every other place.
    pub fn one_file_more(&mut self, archive: usize, original: &Path) {
        for (from, to) in one_file_more(&names(original)) {
            self.deep(archive, format!("{from} is {to} too"), move |copy| {
                fs::create_dir_all(copy.file(&to).parent().unwrap()).unwrap();
                fs::copy(copy.file(&from), copy.file(&to)).unwrap();
            });
        }
    }

    /// Files that have no place in an archive.
    pub fn surplus(&mut self, archive: usize) {
        for name in ["offer/note.txt", "a b", "a\nb", "-x", "\n", ".hidden", "approvals/0-x.json"] {
            self.deep(archive, format!("surplus {name:?}"), move |copy| {
                fs::write(copy.file(name), "x").unwrap();
            });
        }
        self.deep(archive, "an empty folder".into(), |copy| {
            fs::create_dir(copy.file("attempt-7")).unwrap();
            fs::create_dir(copy.file("attempt-7/notes")).unwrap();
        });
        self.deep(archive, "the other side's log".into(), |copy| {
            for log in ["tenant.log.jsonl", "hoster.log.jsonl"] {
                if !copy.file(log).exists() {
                    fs::copy(copy.file("closing/log.jsonl"), copy.file(log)).unwrap();
                }
            }
        });
        self.deep(archive, "a link".into(), |copy| {
            let file = copy.file("offer/offer.json");
            fs::rename(&file, copy.dir.path().join("elsewhere")).unwrap();
            std::os::unix::fs::symlink("../../elsewhere", &file).unwrap();
        });
        self.0.push(Change {
            archive,
            what: "a device".into(),
            make: Box::new(|copy| {
                run(Command::new("mkfifo").arg(copy.file("pipe")));
            }),
        });
    }
}

/// Makes head.json the end of the log as it is now; signatures over the former one go.
pub fn head_to_fit(copy: &Copy, log: &str) {
    let bytes = fs::read(copy.file(log)).unwrap();
    let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back();
    let head = copy.file("head.json");
    let mut closed: serde_json::Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    closed["count"] = bytes.iter().filter(|byte| **byte == b'\n').count().into();
    closed["head"] = Hash::of(last.unwrap_or_default()).to_string().into();
    fs::write(&head, format!("{closed:#}\n")).unwrap();
    without_head_signatures(copy);
}

pub fn without_head_signatures(copy: &Copy) {
    for name in names(&copy.path()) {
        if name.starts_with("head.json.") {
            fs::remove_file(copy.file(&name)).unwrap();
        }
    }
}
