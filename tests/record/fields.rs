//! Every field of every document, taken away and changed in every way, one at a time: which rule
//! says so. The documents are those of the ceremonies that are kept in `tests/replayed`, so this
//! needs no HSM; the rules are those in `tests/replayed/refusals.txt`.
//!
//! Where only a signature refuses (`SIGNATURE-…`), the field may say anything that its officers
//! sign. A change that moves a field there takes a check away. `KEYFERRY_REFUSALS=write` writes the
//! list anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::changes::{changes, general, pointers};
use record::{Error, document::read_files, encoding::Hash, plan::Plan, terms::Kind};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replayed/refusals.txt");

/// The tenant's archive of a ceremony that is kept.
fn archive(ceremony: &str) -> PathBuf {
    let version = Path::new(LIST).with_file_name("v1");
    version.join(ceremony).join("tenant")
}

/// A document of a ceremony that is kept, whose copy is changed.
struct Copied {
    way: &'static str,
    kind: Kind,
    plan: Plan,
    folder: tempfile::TempDir,
    whole: Value,
}

/// Those of these kinds, of three ways.
fn documents(kinds: &[Kind]) -> Vec<Copied> {
    let mut all = Vec::new();
    for way in ["single-shot-hgs", "composite-local", "born-hgs"] {
        let archive = archive(way);
        for kind in kinds.iter().copied().filter(|kind| archive.join(kind.name()).exists()) {
            let plan = Plan::read(&archive.join("ceremony.toml")).unwrap();
            let folder = copy(&archive.join(kind.name()));
            let bytes = fs::read(folder.path().join(kind.file())).unwrap();
            let whole = serde_json::from_slice(&bytes).unwrap();
            all.push(Copied { way, kind, plan, folder, whole });
        }
    }
    all
}

impl Copied {
    /// The rule by which this is refused in its place.
    fn refused(&self, document: &Value, what: &str) -> &'static str {
        let bytes = serde_json::to_vec_pretty(document).unwrap();
        fs::write(self.folder.path().join(self.kind.file()), bytes).unwrap();
        let done = read_files(self.kind, self.folder.path(), &self.plan).map(drop);
        refused(done, self.way, what)
    }
}

/// What refused, by place and change.
type Refusals = BTreeMap<String, BTreeMap<String, BTreeSet<&'static str>>>;

#[test]
fn every_field_of_every_document_is_refused_by_its_rule() {
    let mut refusals = Refusals::new();
    let mut tried = 0;
    for way in ["single-shot-hgs", "composite-local", "born-hgs"] {
        let archive = archive(way);
        let plan = Plan::read(&archive.join("ceremony.toml")).unwrap();
        for kind in Kind::ALL {
            let folder = archive.join(kind.name());
            if folder.exists() {
                tried += document(kind, &folder, &plan, &mut refusals);
            }
        }
    }
    println!("counted: {tried} changed documents, none taken");
    let mut list = String::new();
    for (place, changes) in refusals {
        let mut by_rule: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (change, rules) in changes {
            let rules: Vec<&str> = rules.into_iter().collect();
            by_rule.entry(rules.join(" or ")).or_default().push(change);
        }
        let said = by_rule.iter().map(|(rule, changes)| format!("{rule} ({})", changes.join(", ")));
        list.push_str(&format!("{place}: {}\n", said.collect::<Vec<_>>().join("; ")));
    }
    if std::env::var_os("KEYFERRY_REFUSALS").is_some() {
        fs::write(LIST, &list).unwrap();
    }
    let known = fs::read_to_string(LIST).unwrap();
    for (now, then) in list.lines().zip(known.lines()) {
        assert_eq!(now, then, "{LIST}");
    }
    assert_eq!(list.lines().count(), known.lines().count());
    assert!(tried > 2000, "{tried}");
}

/// A header that is well-formed and says something that does not belong to this ceremony.
#[test]
fn a_header_of_something_else_is_refused_by_its_rule() {
    let other = Hash::of(b"other").to_string();
    let mut tried = 0;
    for one in documents(&Kind::ALL) {
        let other_kind = if one.kind == Kind::Closing { "receipt" } else { "closing" };
        let other_side = match one.whole["header"]["side"].as_str().unwrap() {
            "tenant" => "hoster",
            _ => "tenant",
        };
        for (field, value, rule) in [
            ("format", json!("keyferry/2"), "DOCUMENT-FORMAT"),
            ("document", json!(other_kind), "DOCUMENT-KIND"),
            ("mode", json!("production"), "DOCUMENT-MODE"),
            ("ceremony", json!("another"), "DOCUMENT-CEREMONY"),
            ("plan_hash", json!(other), "DOCUMENT-PLAN"),
            ("side", json!(other_side), "DOCUMENT-SIDE"),
            ("attempt", json!(0), "DOCUMENT-ATTEMPT"),
            ("attempt", json!(-1), "DOCUMENT-FORMAT"),
            ("attempt", json!(1.5), "DOCUMENT-FORMAT"),
            ("surprise", json!(true), "DOCUMENT-FORMAT"),
        ] {
            let mut changed = one.whole.clone();
            changed["header"][field] = value;
            let (way, kind) = (one.way, one.kind);
            assert_eq!(one.refused(&changed, field), rule, "{way} {kind} {field}");
            tried += 1;
        }
    }
    assert!(tried >= 180, "{tried}");
}

/// Every attribute of a key in another way, and each said twice: only those that no rule asks for may
/// be, which a signature holds.
#[test]
fn a_key_with_another_attribute_is_refused_by_its_document() {
    let mut free = BTreeSet::new();
    for one in documents(&[Kind::Offer, Kind::Keys, Kind::Receipt]) {
        let of = pointers(&one.whole).into_iter().filter(|place| place.ends_with("/attributes"));
        for place in of.collect::<BTreeSet<_>>() {
            let listed = one.whole.pointer(&place).unwrap().as_array().unwrap().clone();
            for (at, attribute) in listed.iter().enumerate() {
                let mut other = attribute.clone();
                other["value"] = match attribute["value"].as_str().unwrap() {
                    "true" => json!("false"),
                    _ => json!("true"),
                };
                let mut changed = listed.clone();
                changed[at] = other.clone();
                let twice = [&listed[..], &[other]].concat();
                for list in [changed, twice] {
                    let mut document = one.whole.clone();
                    *document.pointer_mut(&place).unwrap() = json!(list);
                    if one.refused(&document, &place) != "DOCUMENT-CONTENT" {
                        let name = attribute["attribute"].as_str().unwrap();
                        free.insert(format!("{} {} {name}", one.kind, one.way));
                    }
                }
            }
        }
    }
    println!("{free:#?}");
    let loose = ["CKA_LOCAL", "CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE"];
    let known = |one: &String| {
        let born_elsewhere = one.starts_with("receipt ") && !one.contains(" born-");
        born_elsewhere
            && (loose.iter().any(|name| one.ends_with(name)) || one.contains("_TEMPLATE of"))
    };
    free.retain(|one| !known(one));
    assert_eq!(free, BTreeSet::new());
}

/// A document whose header says that it is of this ceremony, and which a ceremony of this way does
/// not have.
#[test]
fn documents_of_another_way_are_refused() {
    for (way, other, kinds) in [
        ("single-shot-hgs", "born-hgs", [Kind::Keys, Kind::Challenge]),
        ("born-hgs", "single-shot-hgs", [Kind::Offer, Kind::Package]),
    ] {
        let (here, there) = (archive(way), archive(other));
        let plan = Plan::read(&here.join("ceremony.toml")).unwrap();
        for kind in kinds {
            assert!(!here.join(kind.name()).exists());
            let copy = copy(&there.join(kind.name()));
            let main = copy.path().join(kind.file());
            let mut document: Value = serde_json::from_slice(&fs::read(&main).unwrap()).unwrap();
            document["header"]["ceremony"] = json!(plan.ceremony);
            document["header"]["plan_hash"] = json!(plan.hash());
            fs::write(&main, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
            let done = read_files(kind, copy.path(), &plan).map(drop);
            assert_eq!(refused(done, way, kind.name()), "DOCUMENT-KIND");
        }
    }
}

#[test]
fn every_kind_is_known_by_its_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert!("Offer".parse::<Kind>().unwrap_err().contains("offer, package"));
}

fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let all = format!("{}/.", folder.display());
    let copied = Command::new("cp").arg("-a").arg(all).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    copy
}

/// Changes each field of one document, then each of its files.
fn document(kind: Kind, folder: &Path, plan: &Plan, refusals: &mut Refusals) -> usize {
    read_files(kind, folder, plan).unwrap();
    let copy = copy(folder);
    let main = copy.path().join(kind.file());
    let bytes = fs::read(&main).unwrap();
    let whole: Value = serde_json::from_slice(&bytes).unwrap();
    let mut tried = 0;
    let mut note = |place: String, change: &str| {
        let rule = refused(read_files(kind, copy.path(), plan).map(drop), &place, change);
        let changes = refusals.entry(format!("{kind} {place}")).or_default();
        changes.entry(change.to_owned()).or_default().insert(rule);
        tried += 1;
    };
    for pointer in pointers(&whole) {
        for (change, changed) in changes(&whole, &pointer) {
            fs::write(&main, serde_json::to_vec_pretty(&changed).unwrap()).unwrap();
            note(general(&pointer), change);
        }
    }
    fs::write(&main, &bytes).unwrap();
    for path in files(copy.path()) {
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let longer = [&whole[..], b"x"].concat();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let name = general(&format!("/{}", name.replace('.', "/"))).replacen('/', "file ", 1);
        for (change, bytes) in
            [("emptied", Vec::new()), ("a bit", flipped), ("a byte more", longer)]
        {
            fs::write(&path, bytes).unwrap();
            note(name.clone(), change);
        }
        fs::remove_file(&path).unwrap();
        // A signature that is missing is seen by whoever counts them.
        if !name.ends_with("/sig") {
            note(name, "removed");
        }
        fs::write(&path, whole).unwrap();
    }
    fs::write(copy.path().join("surplus"), b"x").unwrap();
    note("file surplus".into(), "added");
    tried
}

fn refused(done: record::Result<()>, place: &str, change: &str) -> &'static str {
    match done {
        Err(Error::Refused(refusal)) => refusal.rule.name(),
        Err(error) => panic!("{place}, {change}: {error}"),
        Ok(()) => panic!("{place}, {change}: it was taken"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    // What the HSM has signed is looked at with the keys, by whoever takes the package.
    files.retain(|path| !path.to_string_lossy().ends_with(".hsm-sig"));
    files.sort();
    files
}
