//! What the texts of `next` and of `status` state, the record holds. `statements.txt` names each of
//! their sentences with the entries that prove it; what is on the screens of ceremonies, wherever
//! they stand, is held against their logs. And the number of a step is this side's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::desk::{Desk, without_colours};
use crate::common::stage::{Done, Ended, Setting, Stage};
use ::show::{Language, by_key};
use terminal::texts::Texts;

const STATEMENTS: &str = include_str!("statements.txt");
const FIRST: &str = include_str!("../../../templates/text/first.toml");
const SAID: &str = include_str!("../../../templates/text/said.de.toml");

/// Words that tell of what has happened; and those that make a sentence one of what is to come, or
/// of whatever may be.
const PAST: [(Language, &[&str]); 2] = [
    (Language::English, &["has", "have", "had", "was", "were", "yet", "already", "now"]),
    (
        Language::German,
        &["hat", "haben", "hatte", "hatten", "wurde", "wurden", "war", "waren", "schon", "bereits"],
    ),
];
const OPEN: [(Language, &[&str]); 2] = [
    (Language::English, &["once", "where", "whoever", "only", "until", "what"]),
    (Language::German, &["sobald", "wenn", "wer", "erst", "bis", "was", "es sie schon gibt"]),
];

/// A sentence, and the entries that prove it.
type Row = (String, Vec<String>);

/// The table: each key's sentences.
fn statements() -> BTreeMap<String, Vec<Row>> {
    let mut all: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut key = "";
    for line in STATEMENTS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix("  [") {
            None => key = line,
            Some(row) => {
                let (claims, sentence) = row.split_once("] ").unwrap();
                let claims = claims.split_whitespace().map(str::to_owned).collect();
                all.entry(key.to_owned()).or_default().push((sentence.to_owned(), claims));
            }
        }
    }
    all
}

/// Every text that may state something of the record, by its key.
fn texts(language: Language) -> BTreeMap<String, String> {
    let texts = Texts::of(language);
    let told = |key: &&str| {
        key.starts_with("step.") && key.ends_with(".what")
            || key.starts_with("next.")
            || key.starts_with("today.")
    };
    let mut all: BTreeMap<String, String> =
        texts.keys().filter(told).map(|key| (key.to_owned(), texts.get(key, &[]))).collect();
    let said: BTreeMap<String, String> =
        by_key(SAID).into_iter().map(|(english, german)| (plain(&english), german)).collect();
    for (key, english) in by_key(FIRST) {
        let text = match language {
            Language::English => english,
            Language::German => said[&plain(&english)].clone(),
        };
        all.insert(format!("first.{key}"), text);
    }
    all
}

/// Without the commands in it, which stand between backticks.
fn plain(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sentences(text: &str) -> Vec<String> {
    let line = one_line(text) + " ";
    let mut all = Vec::new();
    let mut from = 0;
    for (at, _) in line.match_indices(['.', ';', '!', '?']) {
        if line[at + 1..].starts_with(' ') {
            all.push(line[from..=at].trim().to_owned());
            from = at + 1;
        }
    }
    all.push(line[from..].trim().to_owned());
    all.retain(|sentence| !sentence.is_empty());
    all
}

#[test]
fn every_sentence_says_what_it_states() {
    let rows = statements();
    let english = texts(Language::English);
    assert_eq!(rows.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>());
    for (key, text) in &english {
        let named: Vec<String> = rows[key].iter().map(|(sentence, _)| plain(sentence)).collect();
        assert_eq!(named, sentences(&plain(text)), "{key}");
    }
}

#[test]
fn no_text_of_a_step_states_what_no_entry_proves() {
    let rows = statements();
    for (language, past) in PAST {
        let texts = Texts::of(language);
        let open = OPEN.iter().find(|(of, _)| *of == language).unwrap().1;
        let steps = texts.keys().filter(|key| key.starts_with("step."));
        for key in steps.filter(|key| key.ends_with(".what") || key.ends_with(".title")) {
            let claimed =
                rows.get(key).is_some_and(|rows| rows.iter().any(|row| !row.1.is_empty()));
            for sentence in texts.get(key, &[]).split(['.', ';']) {
                let lower = sentence.to_lowercase();
                let words: Vec<&str> =
                    lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
                let tells = words.iter().any(|word| past.contains(word));
                let is_open = open.iter().any(|word| {
                    words.contains(word) || (word.contains(' ') && lower.contains(word))
                });
                assert!(!tells || is_open || claimed, "{key} ({}): {sentence}", language.name());
            }
        }
    }
}

/// Whether a text stands here, whatever it was filled with; commands have options of their own.
fn stands(text: &str, screen: &str) -> bool {
    let mut rest = screen;
    let text = one_line(text);
    let pieces = text.split('`').step_by(2).flat_map(|piece| piece.split(['{', '}']).step_by(2));
    pieces.map(str::trim).filter(|piece| piece.len() > 1).all(|piece| {
        let found = rest.find(piece);
        rest = found.map_or("", |at| &rest[at + piece.len()..]);
        found.is_some()
    })
}

/// The events of a side's log: all of them, and those since the attempt began.
fn events(stage: &Stage, side: &str) -> (Vec<String>, Vec<String>) {
    let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
    let event = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["event"].as_str().unwrap().to_owned()
    };
    let all: Vec<String> = log.lines().map(event).collect();
    let from = all.iter().rposition(|event| event == "restart").unwrap_or(0);
    (all.clone(), all[from..].to_vec())
}

/// What a side's `next` and `status` show.
fn screens(stage: &Stage, side: &'static str, language: Language) -> String {
    let mut desk = Desk::at(stage, side, &[("TERM", "xterm")], (80, 24), language.name());
    // The ends of what it asks, where it asks; where it has ended, it says so.
    let asks = match language {
        Language::English => ["? for more: ", "q stops here: ", "(names): "],
        Language::German => ["? sagt mehr: ", "hier an: ", "(Namen): "],
    };
    let ends = "archive/head.json";
    if desk.sees_any(&[ends, asks[0], asks[1], asks[2]]) != 0 {
        desk.control('c');
    }
    let shown = without_colours(&desk.ended());
    let Ended { out, err, .. } = stage.side(side, &["status", "--language", language.name()]);
    one_line(&[shown, out, err].join(" "))
}

/// What was seen so far: which keys that state something, in which language.
#[derive(Default)]
struct Seen(BTreeSet<(String, &'static str)>);

impl Seen {
    /// Holds what both sides' screens state against their logs.
    fn hold(&mut self, stage: &Stage, languages: &[Language], when: &str) {
        let rows = statements();
        for side in ["tenant", "hoster"] {
            if !stage.path(&format!("{side}/log.jsonl")).exists() {
                continue;
            }
            let (all, attempt) = events(stage, side);
            for language in languages {
                let screen = screens(stage, side, *language);
                for (key, text) in texts(*language) {
                    let claims = rows[&key].iter().flat_map(|(_, claims)| claims);
                    let claims: Vec<&String> = claims.collect();
                    let others = ["tenant", "hoster"]
                        .iter()
                        .any(|other| *other != side && key.split('.').nth(1) == Some(*other));
                    if claims.is_empty() || others || !stands(&text, &screen) {
                        continue;
                    }
                    for claim in claims {
                        let holds = match claim.strip_prefix('!') {
                            Some(event) => !all.iter().any(|one| one == event),
                            None if let Some(event) = claim.strip_prefix('^') => {
                                all.iter().any(|one| one == event)
                            }
                            None => claim.split('|').any(|event| {
                                event == "restart" && all.iter().any(|one| one == event)
                                    || attempt.iter().any(|one| one == event)
                            }),
                        };
                        assert!(holds, "{when}, {side}: {key} states {claim}: {all:?}\n{screen}");
                    }
                    self.0.insert((key, language.name()));
                }
            }
        }
    }
}

/// A side's abort, with its officers' signatures.
fn aborted(stage: &Stage, side: &str) {
    let abort = ["abort", "--reason", "a test"];
    stage.pass(side, "abort", &abort);
    stage.side(side, &abort).ok();
}

const BOTH: [Language; 2] = [Language::English, Language::German];
const ONE: [Language; 1] = [Language::English];

/// Where keys are carried, from the beginning to the end, and whatever may happen on the way.
#[test]
fn what_is_stated_of_keys_that_are_carried_stands_in_the_log() {
    let mut seen = Seen::default();
    for done in Done::ALL {
        let stage = Stage::of(Setting::composite(), done);
        seen.hold(&stage, &BOTH, &format!("{done:?}"));
    }
    // Ended without its aim, before and after there was a KEK.
    for done in [Done::Init, Done::KekCreate] {
        let stage = Stage::of(Setting::composite(), done);
        ["tenant", "hoster"].into_iter().for_each(|side| aborted(&stage, side));
        seen.hold(&stage, &BOTH, &format!("{done:?}, aborted"));
    }
    // What was in a bag is not what went into it; and somebody has stopped for the day.
    let stage = Stage::of(Setting::composite(), Done::Init);
    for (way, number) in [("bag-out", "K-1"), ("bag-in", "K-2")] {
        let bag = ["note", way, "the laptop", "--number", number, "--condition", "intact"];
        stage.hoster(&bag).ok();
    }
    let text = ["note", "break", "--stayed", "Ada", "--text", "stopped for today"];
    stage.tenant(&text).ok();
    seen.hold(&stage, &BOTH, "a bag, and a break");
    // The service was changed after the end.
    let stage = Stage::of(Setting::composite(), Done::TenantClose);
    let nodes = ["nodes", "--remove", "node2"];
    stage.pass("hoster", "nodes", &nodes);
    stage.hoster(&nodes).ok();
    seen.hold(&stage, &BOTH, "changed after the end");
    // A second attempt of both sides, where the KEK is trusted.
    let stage = Stage::at(Done::OfferCheck);
    seen.hold(&stage, &ONE, "a KEK to trust");
    let mut stage = Stage::at(Done::Export);
    ["tenant", "hoster"].into_iter().for_each(|side| drop(stage.restart(side)));
    seen.hold(&stage, &BOTH, "the second attempt");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::OfferCheck);
    seen.hold(&stage, &BOTH, "the second attempt's offer");
    // The originals go.
    let mut stage = Stage::with(Setting::composite(), |plan| {
        plan.replace("[target]\n", "[after]\nsource = \"destroy\"\n\n[target]\n")
    });
    stage.walk_to(Done::AcceptanceRelease);
    seen.hold(&stage, &ONE, "originals to be destroyed");
    every_statement_was_seen(&seen, &["born", "cloud", "trial"]);
}

/// The other ways, and a trial.
#[test]
fn what_is_stated_of_keys_on_other_ways_stands_in_the_log() {
    let mut seen = Seen::default();
    for done in Done::ALL {
        let stage = Stage::of(Setting::born(), done);
        seen.hold(&stage, &ONE, &format!("born, {done:?}"));
    }
    let stage = Stage::of(Setting::born(), Done::KekCreate);
    aborted(&stage, "hoster");
    seen.hold(&stage, &ONE, "born, aborted");
    let waivers = ["WRAP-COMPOSITE", "WRAP-OAEP-SHA1", "WRAP-ZERO-FILLED"];
    let cloud = Setting {
        waivers: waivers.map(str::to_owned).into(),
        cloud: Some("azure-byok"),
        ..Setting::composite()
    };
    let stage = Stage::with(cloud, |plan| plan);
    let words = stage.words("plan", &stage.plan_words());
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    seen.hold(&stage, &ONE, "cloud, begun");
    stage.tenant(&["keys", "create"]).ok();
    seen.hold(&stage, &ONE, "cloud, keys made");
    let trial =
        |plan: String| plan.replace("kind = \"local\"\n", "kind = \"local\"\ntrial = true\n");
    let mut stage = Stage::with(Setting::composite(), trial);
    stage.walk_to(Done::Ready);
    seen.hold(&stage, &ONE, "a trial, before its end");
    every_statement_was_seen(&seen, &["carried"]);
}

/// Which way shows a text that states something; whatever is not said here, the carried one does.
const WAYS: [(&str, &str); 11] = [
    ("step.tenant.cloud-export.what", "cloud"),
    ("step.tenant.release-challenge.what", "born"),
    ("step.hoster.release-keys.what", "born"),
    ("step.hoster.answer.what", "born"),
    ("step.hoster.acceptance-check.what", "born"),
    ("step.hoster.keys-destroy.what", "born"),
    ("first.tenant.challenge-released", "born"),
    ("first.hoster.keys-released", "born"),
    ("step.tenant.abort-trial.what", "trial"),
    ("step.hoster.abort-trial.what", "trial"),
    ("first.abort", "trial"),
];

fn every_statement_was_seen(seen: &Seen, but: &[&str]) {
    let mut missing = Vec::new();
    for (key, rows) in statements() {
        let way = WAYS.iter().find(|(of, _)| *of == key).map_or("carried", |(_, way)| way);
        let claims = rows.iter().any(|(_, claims)| !claims.is_empty());
        let was_seen = seen.0.contains(&(key.clone(), "en"));
        if claims && !but.contains(&way) && !was_seen {
            missing.push(key);
        }
    }
    assert!(missing.is_empty(), "stated nowhere: {missing:#?}");
}

/// The number of a side's step says nothing of the other side: it is as it was where only the
/// other side has done something, and never smaller than before.
#[test]
fn the_number_of_a_step_is_this_sides_own() {
    for language in BOTH {
        for side in ["tenant", "hoster"] {
            let (mut before, mut last): (Option<(String, String)>, usize) = (None, 0);
            let mut steps = BTreeSet::new();
            for done in Done::ALL {
                let stage = Stage::of(Setting::composite(), done);
                let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
                let screen = screens(&stage, side, language);
                let (begins, of, ends) = match language {
                    Language::English => ("Step ", "of", "on this side"),
                    Language::German => ("Schritt ", "von", "auf dieser Seite"),
                };
                let Some((_, step)) = screen.split_once(begins) else {
                    assert!(done >= Done::HosterClose, "{done:?}: {screen}");
                    continue;
                };
                let (number, rest) = step.split_once(' ').unwrap();
                let rest = rest.strip_prefix(of).unwrap().trim_start();
                let (all, rest) = rest.split_once(' ').unwrap();
                assert!(rest.starts_with(ends), "{screen}");
                steps.insert(all.to_owned());
                let number: usize = number.parse().unwrap();
                assert!(number >= last, "{done:?}, {side}: {number} after {last}");
                last = number;
                let shown = step.split_once("^C").unwrap().0.to_owned();
                if let Some((log_before, shown_before)) = &before
                    && *log_before == log
                {
                    assert_eq!(*shown_before, shown, "{done:?}, {side}");
                }
                before = Some((log, shown));
            }
            assert_eq!(steps.len(), 1, "{steps:?}");
            assert!(last > 5, "{last}");
        }
    }
}
