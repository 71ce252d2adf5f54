//! Every field of every entry of a record, changed in every way that its type has; every entry
//! deleted, doubled, moved, and told once more anywhere. What is not refused must be a claim, as the
//! table of fields says.
//!
//! No chain is made anew: an entry keeps its place and its head, so that whatever names it still
//! does. That is a forger who has signed everything later once more.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use super::run;

use record::{
    Error, Result,
    encoding::Hash,
    log::{Entry, Event},
    terms::{Head, Side, Step},
    verify::{Holds, Record, claims, counterpart::VerifiedLog},
};
use serde_json::{Value, json};

/// A field of an event, as the table of docs/formats.md has it.
pub struct Field {
    pub event: &'static str,
    pub name: &'static str,
    /// Nothing else on record determines it.
    pub claim: bool,
}

/// The table: ``| `event` | `field` what it holds | derived: from what |``, or a claim, and why.
pub static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let (event, rest) = line.strip_prefix("| `")?.split_once("` | `")?;
        let (name, rest) = rest.split_once('`')?;
        let claim = rest.contains(" | **claim**: ");
        (claim || rest.contains(" | derived: ")).then_some(Field { event, name, claim })
    };
    include_str!("../../docs/formats.md").lines().filter_map(row).collect()
});

/// The fields of one event.
pub fn fields_of(event: &str) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| field.event == event)
}

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

/// A text whose last digit is another.
fn flipped(text: &str) -> String {
    let flipped = text.chars().rev().enumerate().map(|(at, c)| match (at, c) {
        (0, '0') => '1',
        (0, 'a'..='f' | '1'..='9') => '0',
        (_, c) => c,
    });
    flipped.collect::<Vec<_>>().into_iter().rev().collect()
}

/// One more of the same form, with other texts; of a person, the witness.
fn another(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(flipped(text)),
        Value::Array(list) => list.iter().map(another).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, one)| match name.as_str() {
                "id" => (name.clone(), json!("iris")),
                _ => (name.clone(), another(one)),
            })
            .collect(),
        other => other.clone(),
    }
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
            let flipped = flipped(text);
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
            let others = missing().into_iter().filter(Value::is_array);
            let one_more = list.first().map(another).into_iter();
            let one_more = one_more.chain(others.clone().filter_map(|list| list.get(0).cloned()));
            all.extend(one_more.map(|one| json!([&list[..], &[one]].concat())));
            all.extend(others);
            all
        }
        Value::Object(_) => Vec::new(),
    };
    all.retain(|other| other != value);
    all
}

/// Every place in a value, as a path that indices are left out of, with the value changed there.
pub fn changes(value: &Value) -> Vec<(String, Value)> {
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
    let fields: Vec<&Field> = fields_of(&name).collect();
    assert!(!fields.is_empty(), "the page has no event {name}");
    for field in fields {
        with_all.as_object_mut().unwrap().entry(field.name).or_insert(Value::Null);
    }
    let mut all = changes(&with_all);
    for (_, changed) in &mut all {
        changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    all.retain(|(path, changed)| !path.starts_with(".event") && changed != event);
    all.into_iter().map(|(path, changed)| (format!("{name}{path}"), changed)).collect()
}

/// What was tried, and what of it nobody refused.
#[derive(Default)]
pub struct Tried {
    pub changes: usize,
    /// Whether a claim is changed once in each entry, and only what is derived in every way.
    pub claims_once: bool,
    /// Whether an entry is told in every other place, or in each fifth.
    pub everywhere: bool,
    pub by_rule: BTreeMap<String, usize>,
    pub taken: BTreeSet<String>,
}

impl Tried {
    /// Notes how one change ended: taken, refused, or with something missing that was there.
    pub fn one(&mut self, what: &str, ended: Result<bool>) {
        self.changes += 1;
        let refused = match ended {
            Ok(true) => {
                self.taken.insert(what.to_owned());
                return;
            }
            Ok(false) => "(missing)".to_owned(),
            Err(error) => rule_of(&error),
        };
        *self.by_rule.entry(refused).or_default() += 1;
    }

    /// Changes those entries of a side's own record that are asked for.
    pub fn record(&mut self, folder: &Path, side: Side, wanted: &mut dyn FnMut(&Event) -> bool) {
        let own = Own::read(folder, side);
        for at in 0..own.entries.len() {
            if wanted(&own.entries[at].event) {
                self.changed(&own, at);
                self.moved(&own, at);
            }
        }
    }

    fn changed(&mut self, own: &Own, at: usize) {
        let event = &own.entries[at].event;
        let (mut seen, mut claimed) = (BTreeSet::new(), BTreeSet::new());
        for (what, changed) in changed_events(&serde_json::to_value(event).unwrap()) {
            let Ok(changed) = serde_json::from_value::<Event>(changed) else { continue };
            let claimed_before =
                self.claims_once && is_claim(&what) && !claimed.insert(what.clone());
            let text = serde_json::to_string(&changed).unwrap();
            if changed == *event || claimed_before || !seen.insert(text) {
                continue;
            }
            let mut entries = own.entries.clone();
            entries[at].event = changed;
            self.one(&what, own.hold(entries));
        }
    }

    /// Changes each entry while it is the last, also where it follows a run that was cut off: what
    /// nobody refuses then is counted as a claim.
    pub fn on_the_day(&mut self, folder: &Path, side: Side) {
        let copy = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-a").arg(folder).arg(copy.path()));
        let folder = copy.path().join(folder.file_name().unwrap());
        let mut own = Own::read(&folder, side);
        for at in (0..own.entries.len()).rev() {
            own.runs(at).iter().for_each(|run| self.claimed(&own, run));
            let Event::Approval { request, .. } = own.entries[at].event else { continue };
            for file in fs::read_dir(folder.join("approvals")).unwrap() {
                let path = file.unwrap().path();
                let is_request = path.extension().is_some_and(|end| end == "json");
                if is_request && Hash::of(&fs::read(&path).unwrap()) == request {
                    let all = format!("rm {}*", path.display());
                    run(Command::new("sh").args(["-c", &all]));
                }
            }
            own = Own::read(&folder, side);
        }
    }

    fn claimed(&mut self, own: &Own, entries: &[Entry]) {
        let (last, before) = entries.split_last().unwrap();
        let (missing, claims) = own.verify(entries.to_vec()).unwrap();
        for (what, changed) in changed_events(&serde_json::to_value(&last.event).unwrap()) {
            let Ok(event) = serde_json::from_value::<Event>(changed) else { continue };
            if event == last.event {
                continue;
            }
            let entries = [before, &[Entry { event, ..last.clone() }]].concat();
            let held = own.verify(entries).map(|(now, _)| now == missing);
            let field = what.replace("[]", "");
            let is_claim = |one: &String| field == *one || field.starts_with(&format!("{one}."));
            match held {
                Ok(true) if claims.keys().any(is_claim) => self.changes += 1,
                held => self.one(&what, held),
            }
        }
    }

    /// An entry that is gone, twice there, a place later than it was; anywhere else, instead or too.
    fn moved(&mut self, own: &Own, at: usize) {
        let entries = &own.entries;
        let name = label(&entries[at].event);
        let (mut gone, mut twice, mut later) = (entries.clone(), entries.clone(), entries.clone());
        gone.remove(at);
        self.one(&format!("{name} deleted"), own.hold(gone));
        let mut again = entries[at].clone();
        again.head = Head { hash: Hash::of(b"another"), ..again.head };
        twice.insert(at + 1, again.clone());
        self.one(&format!("{name} doubled"), own.hold(twice));
        let step = if self.everywhere { 1 } else { 5 };
        let places = (at % step..=entries.len()).step_by(step);
        for place in places.filter(|place| !(at..at + 3).contains(place)) {
            let mut more = entries.clone();
            more.insert(place, again.clone());
            self.one(&format!("{name} once more"), own.hold(more));
            let mut elsewhere = entries.clone();
            let moved = elsewhere.remove(at);
            elsewhere.insert(if place > at { place - 1 } else { place }, moved);
            self.one(&format!("{name} elsewhere"), own.hold(elsewhere));
        }
        if let Some(next) = entries.get(at + 1) {
            later.swap(at, at + 1);
            self.one(&format!("{name} after {}", label(&next.event)), own.hold(later));
        }
    }

    pub fn add(&mut self, other: Tried) {
        self.changes += other.changes;
        self.taken.extend(other.taken);
        for (rule, count) in other.by_rule {
            *self.by_rule.entry(rule).or_default() += count;
        }
    }

    /// What was taken and is no claim, nor in a list.
    pub fn no_claims(&self) -> Vec<&String> {
        let in_list = |list: &[(&str, &str)], what: &str| list.iter().any(|(one, _)| *one == what);
        let known = |what: &str| match what.strip_prefix("one more request ") {
            Some(asked) => in_list(&ASKED, asked),
            None => in_list(&ORDER, what) || in_list(&FEWER, what),
        };
        let taken = self.taken.iter();
        taken.filter(|what| !is_claim(what) && !only_happens(what) && !known(what)).collect()
    }

    /// How it went, in one line.
    pub fn line(&self) -> String {
        let Tried { changes, by_rule, taken, .. } = self;
        format!("{changes} changes, refused: {by_rule:?}, taken: {taken:?}")
    }

    pub fn show(&self) {
        println!("{} changes; refused: {:?}", self.changes, self.by_rule);
        println!("taken: {:#?}", self.taken);
    }
}

/// The rule of an error, or what it says.
pub fn rule_of(error: &Error) -> String {
    error.rule().map_or_else(|| error.to_string(), |rule| rule.name().into())
}

/// A side's own record, with its log as it is.
pub struct Own {
    pub record: Record,
    pub side: Side,
    pub entries: Vec<Entry>,
    /// What of the record is missing unchanged.
    missing: Vec<String>,
}

impl Own {
    pub fn read(folder: &Path, side: Side) -> Self {
        let holds = match folder.join("log.jsonl").exists() {
            true => Holds::Ceremony(side),
            false => Holds::Archive(side),
        };
        let record = Record::own(folder, holds);
        let record = record.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let log = record.log(side).unwrap();
        let missing =
            record.hold(log).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let entries = log.entries.clone();
        Own { side, entries, missing, record }
    }

    /// Whether these entries hold in place of its own, and nothing more is missing then.
    pub fn hold(&self, entries: Vec<Entry>) -> Result<bool> {
        Ok(self.verify(entries)?.0 == self.missing)
    }

    /// What is missing, and how often each claim stands there, if these were its entries.
    fn verify(&self, entries: Vec<Entry>) -> Result<(Vec<String>, BTreeMap<String, usize>)> {
        let log = VerifiedLog::of(&self.record.plan, self.side, entries)?;
        Ok((self.record.hold(&log)?, claims(&self.record.plan, &log)?))
    }

    /// These entries, or the same with keys that the last found.
    fn possible(&self, mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
        if self.verify(entries.clone()).is_err() {
            let last = entries.last_mut()?;
            let text = serde_json::to_string(&last.event).unwrap();
            let found = text.replace("\"made\":true", "\"made\":false");
            last.event = serde_json::from_str(&found).unwrap();
            self.verify(entries.clone()).ok()?;
        }
        Some(entries)
    }

    /// The entries up to this one; and to the result of a step, with another run before it that was
    /// cut off at once; with one that was cut off at its end; and with what people did there before
    /// only, after which the keys are there. (An export that was cut off belongs to another attempt.)
    fn runs(&self, at: usize) -> Vec<Vec<Entry>> {
        let all = &self.entries;
        let intent = |entry: &Entry| matches!(entry.event, Event::Intent { .. });
        let mut runs = vec![all[..=at].to_vec()];
        let begun = all[..at].iter().rposition(intent);
        let begun = begun.filter(|_| all[at].event.step().is_some_and(Step::has_intent));
        if let Some(begun) = begun {
            let (before, run, result) = (&all[..begun], &all[begun..at], &all[at..=at]);
            let mut cut_off = run.to_vec();
            cut_off[0].head = Head { hash: Hash::of(b"another"), ..cut_off[0].head };
            let again = [[&cut_off[..1], run], [&cut_off, run], [&cut_off, &run[..1]]];
            let again = again.map(|runs| [before, &runs.concat(), result].concat());
            runs.extend(again.into_iter().filter_map(|run| self.possible(run)));
        }
        runs
    }
}

/// Claims that something repeats, which is in these records: then nothing else may be said.
const REPEATED: [&str; 2] = ["quorum.custodians", "quorum.spent"];

/// Whether the table of fields calls this a claim, and nothing repeats it.
fn is_claim(what: &str) -> bool {
    let Some((event, path)) = what.split_once('.') else { return false };
    let field: String = path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    if REPEATED.contains(&&*format!("{event}.{field}")) {
        return false;
    }
    fields_of(event).any(|one| one.name == field && one.claim)
}

/// How an entry that was moved is called: of an approval, by what it approves.
fn label(event: &Event) -> String {
    let name = event.name();
    match event {
        Event::Approval { gate, .. } => format!("{name} {}", gate.name()),
        _ => name.to_owned(),
    }
}

/// Whether an entry was moved that says nothing but claims: then so is its place.
fn only_happens(what: &str) -> bool {
    let claims = |event: &str| {
        fields_of(event).next().is_some() && fields_of(event).all(|field| field.claim)
    };
    match what.split_once(" after ") {
        // A copy of a file that was dealt: nothing else names it.
        Some((left, right)) => claims(left) || claims(right) || left == "share-reissue",
        None => what.split_once(' ').is_some_and(|(event, _)| claims(event)),
    }
}

/// What an event has that others of its name may not have: fields; and which gate, kind of document,
/// step, remark it is of.
pub fn features(event: &Event) -> BTreeSet<String> {
    let value = serde_json::to_value(event).unwrap();
    let name = event.name();
    let mut all = BTreeSet::from([name.to_owned()]);
    for (field, value) in value.as_object().unwrap().iter().filter(|(field, _)| *field != "event") {
        all.insert(format!("{name}.{field}"));
        let kind = value["kind"].as_str().filter(|_| field == "remark");
        let which = ["gate", "kind", "step"].contains(&field.as_str());
        let kind = kind.or(value.as_str().filter(|_| which));
        all.extend(kind.map(|kind| format!("{name}.{field} {kind}")));
    }
    all
}

/// Every field of every event, as [`features`] names it.
pub fn all_fields() -> impl Iterator<Item = String> {
    FIELDS.iter().map(|one| format!("{}.{}", one.event, one.name))
}

/// The archives of both sides of every kept ceremony.
pub fn replayed() -> Vec<(PathBuf, Side)> {
    let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1");
    let ceremonies = fs::read_dir(versions).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = ceremonies
        .flat_map(|path| [(path.join("tenant"), Side::Tenant), (path.join("hoster"), Side::Hoster)])
        .collect();
    all.sort();
    all
}

/// Where an archive of these files may get one more: each once more in every folder, and beside
/// itself under the next name of its kind.
pub fn one_file_more(names: &[String]) -> Vec<(String, String)> {
    let split = |name: &String| match name.rsplit_once('/') {
        Some((folder, file)) => (format!("{folder}/"), file.to_owned()),
        None => (String::new(), name.clone()),
    };
    let mut folders: BTreeSet<String> = names.iter().map(|name| split(name).0).collect();
    folders.extend(folders.clone().iter().map(|folder| format!("attempt-1/{folder}")));
    let mut all = Vec::new();
    for name in names {
        let (folder, file) = split(name);
        let mut next = vec![format!("x-{file}"), file.replacen("01-", "02-", 1)];
        let signed = file.strip_suffix(".sig").and_then(|file| file.rsplit_once('.'));
        let others =
            signed.map(|(file, _)| ["cora", "iris", "zoe"].map(|id| format!("{file}.{id}.sig")));
        next.extend(others.into_iter().flatten());
        let beside = next.iter().map(|file| format!("{folder}{file}"));
        let once_more = folders.iter().map(|folder| format!("{folder}{file}"));
        let to: BTreeSet<String> = beside.chain(once_more).collect();
        all.extend(to.into_iter().map(|to| (name.clone(), to)));
    }
    all.retain(|(_, to)| !names.contains(to));
    all
}

/// What may be moved, left out or written twice although more than claims stands in it, and why.
pub const ORDER: [(&str, &str); 25] = [
    ("approval deviation elsewhere", "officers sign at any time, as long as nothing else happens"),
    ("approval pin-try after intent", "officers sign while the step waits"),
    ("approval pin-try elsewhere", "as above"),
    ("approval pin-try deleted", "nothing counts tries; the request stays, as one not acted on"),
    ("approval rollback elsewhere", "as of a deviation"),
    ("cloud-export deleted", "its files are no part of the record; what officers signed stays"),
    ("evidence after approval abort", "officers sign at any time"),
    ("evidence after approval rollback", "as above"),
    ("evidence after evidence", "nodes prove themselves in any order; nothing is signed between"),
    ("evidence deleted", "of what newer evidence replaced; an archive has no file without it"),
    ("evidence doubled", "the same evidence may be added twice"),
    ("evidence elsewhere", "as after evidence"),
    ("evidence once more", "as doubled"),
    ("intent doubled", "a step that was cut off is begun again"),
    ("intent once more", "a step may be begun, and cut off, wherever it may be taken"),
    ("kek-trust after approval export", "officers sign at any time"),
    ("kek-untrust after share-confirm", "nothing that was signed lies between"),
    ("kek-untrust elsewhere", "as above: after the export, which needs the trusted half"),
    ("kek-untrust deleted", "the trusted half may have been left; the verdict says so"),
    ("nodes after evidence", "a node proves itself before it is replaced, or after"),
    ("nodes deleted", "of a node that proved itself again all the same; the approval stays"),
    ("share-reissue deleted", "a copy of a file that was dealt: nothing else names it"),
    ("share-reissue doubled", "as above"),
    ("share-reissue elsewhere", "as above"),
    ("share-reissue once more", "as above"),
];

/// What nothing determines of one more request, on which nobody acts: the verdict names each. It is
/// there for what was asked for and void before it was signed.
pub const ASKED: [(&str, &str); 18] = [
    ("unchanged", "the same once more, in another writing"),
    ("abort.subject.reason", "people's words"),
    ("restart.subject.reason", "as above"),
    ("source-destroy.subject.backup", "as above"),
    ("export.subject.kek_fingerprint", "a cloud service may have shown another KEK before"),
    ("export.subject.kid", "as above"),
    ("import.subject.keys[].certificate", "another tool may have brought other files before"),
    ("import.subject.keys[].wrapped", "as above"),
    ("kek-destroy.subject.acceptance", "one that was not taken"),
    ("source-destroy.subject.closing", "as above"),
    ("nodes.subject.replaced", "which nodes are others now"),
    ("nodes.subject.replaced[]", "as above"),
    ("pin-try.subject.earlier_tries", "after that try, of the next"),
    ("pin-try.subject.token.firmware", "whose PIN it is"),
    ("pin-try.subject.token.label", "as above"),
    ("pin-try.subject.token.manufacturer", "as above"),
    ("pin-try.subject.token.model", "as above"),
    ("pin-try.subject.token.serial", "as above"),
];

/// Where less may be said, or something that nothing on record determines, and why.
pub const FEWER: [(&str, &str); 20] = [
    ("approval.signatures", "of more than the plan asks for, one may have come later"),
    ("accept.signatures", "as above"),
    ("acceptance-check.signatures", "as above"),
    ("answer.signatures", "as above"),
    ("kek-destroy.signatures", "as above"),
    ("keys-check.signatures", "as above"),
    ("offer-check.signatures", "as above"),
    ("package-check.signatures", "as above"),
    ("receipt-check.signatures", "as above"),
    ("source-destroy.signatures", "as above"),
    ("init.signatures", "as above"),
    ("release.signatures", "as above"),
    ("keys-create.keys[].made", "`--existing` finds keys: at the tenant it is its own word"),
    ("request export.subject.kid", "what a cloud service calls its KEK"),
    ("request pin-try.subject.token.firmware", "whose PIN it is: no other entry names the token"),
    ("request pin-try.subject.token.label", "as above"),
    ("request pin-try.subject.token.manufacturer", "as above"),
    ("request pin-try.subject.token.model", "as above"),
    ("request pin-try.subject.token.serial", "as above"),
    ("SHA256SUMS, a line moved", "the order of its lines says nothing"),
];
