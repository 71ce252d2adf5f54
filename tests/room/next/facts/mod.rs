//! What the texts of `next` and of `status` state, the record holds. `statements.txt` names each of
//! their sentences with the entries that prove it; what is on the screens of ceremonies, wherever
//! they stand, is held against their logs, and each text is met. And the number of a step is this
//! side's own.

mod ceremonies;
mod log;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

use super::{
    answers::as_read,
    desk::{Desk, without_colours},
};
use crate::common::stage::{Done, Ended, Setting, Stage};
use ::show::{Language, by_key};
use log::{Log, filled, hole, parts};
use terminal::texts::Texts;

const STATEMENTS: &str = include_str!("statements.txt");
const FIRST: &str = include_str!("../../../../templates/text/first.toml");
const SAID: &str = include_str!("../../../../templates/text/said.de.toml");
/// Where entries and their words are named.
const PAGES: [&str; 2] =
    [include_str!("../../../../docs/formats.md"), include_str!("../../../../docs/next.md")];

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

/// A key's sentences, and in which ceremony they are met.
struct Statements {
    way: &'static str,
    /// Whether it is of a step, not of a question.
    of_step: bool,
    rows: Vec<Row>,
}

impl Statements {
    fn claims(&self) -> impl Iterator<Item = &String> {
        self.rows.iter().flat_map(|(_, claims)| claims)
    }

    /// Whether it tells of the record: a step's text does, and whatever an entry proves.
    fn tells(&self) -> bool {
        self.of_step || self.claims().next().is_some()
    }

    fn text(&self) -> String {
        self.rows.iter().map(|(sentence, _)| sentence.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// The table, by its keys.
static TABLE: LazyLock<BTreeMap<&str, Statements>> = LazyLock::new(|| {
    let mut all: BTreeMap<&str, Statements> = BTreeMap::new();
    let mut key = "";
    for line in STATEMENTS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix("  [") {
            None => {
                let (name, way) = line.split_once(' ').unwrap_or((line, "(carried)"));
                let way = way.trim_matches(['(', ')']);
                let of_step = !name.starts_with("next.") && !name.starts_with("today.");
                all.insert(name, Statements { way, of_step, rows: Vec::new() });
                key = name;
            }
            Some(row) => {
                let (claims, sentence) = row.split_once("] ").unwrap();
                let claims = claims.split_whitespace().map(str::to_owned).collect();
                all.get_mut(key).unwrap().rows.push((sentence.to_owned(), claims));
            }
        }
    }
    all
});

/// Every text that may state something of the record, by its key.
fn texts(language: Language) -> &'static BTreeMap<String, String> {
    static ENGLISH: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| read(Language::English));
    static GERMAN: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| read(Language::German));
    if language == Language::English { &ENGLISH } else { &GERMAN }
}

fn read(language: Language) -> BTreeMap<String, String> {
    let texts = Texts::of(language);
    let told = |(key, text): &(String, String)| {
        let of_step = key.ends_with(".what") || key.ends_with(".title") && text.contains('{');
        key.starts_with("step.") && of_step || key.starts_with("next.") || key.starts_with("today.")
    };
    let all = texts.keys().map(|key| (key.to_owned(), texts.get(key, &[])));
    let mut all: BTreeMap<String, String> = all.filter(told).collect();
    let said: BTreeMap<String, String> = by_key(SAID)
        .into_iter()
        .map(|(key, german)| (plain(key.trim_start_matches("composed.")), german))
        .collect();
    let first = by_key(FIRST).into_iter().map(|(key, english)| (format!("first.{key}"), english));
    // What `status` says of itself stands in the program.
    let status = TABLE.iter().filter(|(key, _)| key.starts_with("status."));
    let status = status.map(|(key, one)| ((*key).to_owned(), one.text()));
    for (key, english) in first.chain(status) {
        let german = said[&plain(&english)].clone();
        all.insert(key, if language == Language::English { english } else { german });
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
    let english = texts(Language::English);
    assert!(TABLE.keys().eq(english.keys()));
    for (key, text) in english {
        let rows = TABLE[&**key].rows.iter();
        let named: Vec<String> = rows.map(|(sentence, _)| plain(sentence)).collect();
        assert_eq!(named, sentences(&plain(text)), "{key}");
    }
}

#[test]
fn what_proves_a_sentence_is_something_that_an_entry_says() {
    let page = PAGES.concat();
    let claims = TABLE.values().flat_map(Statements::claims).filter(|claim| *claim != "begun");
    for one in claims.flat_map(|claim| claim.split(['|', '>'])) {
        let (event, words) = parts(one.trim_start_matches(['!', '^']));
        assert!(page.contains(&format!("\n| `{event}` |")), "no entry {event}: {one}");
        for word in words.iter().filter(|word| hole(word).is_none()) {
            assert!(page.contains(&format!("`{word}`")), "nothing says {word}: {one}");
        }
    }
}

#[test]
fn no_text_of_a_step_states_what_no_entry_proves() {
    for (language, past) in PAST {
        let texts = Texts::of(language);
        let open = OPEN.iter().find(|(of, _)| *of == language).unwrap().1;
        let steps = texts.keys().filter(|key| key.starts_with("step."));
        for key in steps.filter(|key| key.ends_with(".what") || key.ends_with(".title")) {
            let claimed = TABLE.get(key).is_some_and(|one| one.claims().next().is_some());
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

/// A question, in English and in German, and what is typed.
type Answer<'a> = ((&'a str, &'a str), &'a str);

/// What a side's `next` and `status` show; `next` to nobody, or to who gives these answers.
fn screens(stage: &Stage, side: &'static str, language: Language, answers: &[Answer]) -> String {
    let begun = stage.path(&format!("{side}/log.jsonl")).exists();
    let next = match (begun, answers) {
        (true, []) => said(stage, side, language, "next"),
        _ => answered(stage, side, language, answers),
    };
    one_line(&(next + &said(stage, side, language, "status")))
}

/// What a command of a side says where nobody answers.
fn said(stage: &Stage, side: &str, language: Language, command: &str) -> String {
    let Ended { out, err, .. } = stage.side(side, &[command, "--language", language.name()]);
    out + &err
}

/// What is on a terminal after these answers; before there is a log, the plan is asked for first.
fn answered(stage: &Stage, side: &'static str, language: Language, answers: &[Answer]) -> String {
    let mut desk = Desk::at(stage, side, &[("TERM", "xterm")], (80, 24), language.name());
    if !stage.path(&format!("{side}/log.jsonl")).exists() {
        desk.answer("ceremony.toml): ", "plan/ceremony.toml");
    }
    for ((english, german), typed) in answers {
        let question = if language == Language::English { english } else { german };
        desk.answer(&as_read(question), typed);
    }
    let waits = match language {
        Language::English => ["? for more: ", " of 16: ", "goes on from here"],
        Language::German => ["? sagt mehr: ", " von 16: ", "geht es weiter"],
    };
    if desk.sees_any(&waits) < 2 {
        desk.control('c');
    }
    without_colours(&desk.ended())
}

/// What was seen so far: which texts, in which language; and of which logs.
#[derive(Default)]
struct Seen {
    texts: BTreeSet<(String, &'static str)>,
    logs: BTreeSet<(&'static str, String)>,
}

impl Seen {
    /// Holds what both sides' screens state against their logs.
    fn hold(&mut self, stage: &Stage, when: &str) {
        for side in ["tenant", "hoster"] {
            // Before there is a log, the plan tells one ceremony from another.
            let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl")));
            let log = log.unwrap_or_else(|_| stage.plan_words());
            // What it shows is what it showed.
            if self.logs.insert((side, log)) {
                self.hold_after(stage, side, &[], when);
            }
        }
    }

    /// Holds what a side's screens state after these answers; in German where that is new.
    fn hold_after(&mut self, stage: &Stage, side: &'static str, answers: &[Answer], when: &str) {
        let before = (!answers.is_empty()).then(|| stage.copy());
        let found = self.hold_in(stage, side, answers, (Language::English, when));
        let seen = |key: &String| self.texts.contains(&(key.clone(), "de"));
        if !found.iter().all(seen) {
            let stage = before.as_ref().unwrap_or(stage);
            self.hold_in(stage, side, answers, (Language::German, when));
        }
    }

    fn hold_in(
        &mut self,
        stage: &Stage,
        side: &'static str,
        answers: &[Answer],
        (language, when): (Language, &str),
    ) -> BTreeSet<String> {
        let screen = screens(stage, side, language, answers);
        let log = Log::read(stage, side);
        let key = format!("step.{side}.");
        assert!(!screen.contains(&key), "{when}, {side}: a text is missing\n{screen}");
        let others = if side == "tenant" { ".hoster." } else { ".tenant." };
        let mut found = BTreeSet::new();
        let texts = texts(language).iter().filter(|(key, _)| !key.contains(others));
        // After an answer, the step that it was given at is another's time.
        let now = |one: &Statements| one.tells() && (one.way == "asked") != answers.is_empty();
        for (key, text) in texts.filter(|(key, _)| now(&TABLE[&***key])) {
            let Some(filled) = filled(&one_line(text), &screen) else { continue };
            for claim in TABLE[&**key].claims() {
                let holds = log.holds(claim, &filled);
                let log = log.events();
                assert!(holds, "{when}, {side}: {key} states {claim}: {log}\n{screen}");
            }
            self.texts.insert((key.clone(), language.name()));
            found.insert(key.clone());
        }
        found
    }

    /// Every text that tells of the record was met, of those that are met on these ways.
    fn all_of(&self, ways: &[&str]) {
        let here = TABLE.iter().filter(|(_, one)| ways.contains(&one.way) && one.tells());
        let here =
            here.flat_map(|(key, _)| ["en", "de"].map(|language| ((*key).to_owned(), language)));
        let missing: Vec<_> = here.filter(|one| !self.texts.contains(one)).collect();
        assert!(missing.is_empty(), "stated nowhere: {missing:#?}");
    }
}

/// The number of a side's step says nothing of the other side: it is as it was where only the
/// other side has done something, and never smaller than before.
#[test]
fn the_number_of_a_step_is_this_sides_own() {
    for language in [Language::English, Language::German] {
        for side in ["tenant", "hoster"] {
            let (mut before, mut last): (Option<(String, String)>, usize) = (None, 0);
            let mut steps = BTreeSet::new();
            for done in Done::ALL {
                let stage = Stage::of(Setting::composite(), done);
                let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
                let screen = one_line(&said(&stage, side, language, "next"));
                let (begins, of, ends, stops) = match language {
                    Language::English => ("Step ", "of", "on this side", "Stopped."),
                    Language::German => ("Schritt ", "von", "auf dieser Seite", "Angehalten."),
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
                let shown = step.split_once(stops).unwrap().0.to_owned();
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
