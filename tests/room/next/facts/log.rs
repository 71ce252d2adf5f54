//! A side's log as a file, and what of it proves a sentence. What the programs make of a log has no
//! part in this.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::common::stage::Stage;

/// What a text was filled with where it stands on a screen, by name.
pub type Filled = BTreeMap<String, String>;

/// A log, as far as it is on the disk.
pub struct Log {
    pub entries: Vec<Value>,
    /// Where the attempt began.
    attempt: usize,
}

impl Log {
    pub fn read(stage: &Stage, side: &str) -> Self {
        let text = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap_or_default();
        let entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut entries: Vec<Value> = entries.collect();
        if let Some(Value::Object(init)) = entries.first_mut() {
            init.entry("way").or_insert("carried".into());
        }
        let restart = entries.iter().rposition(|entry| entry["event"] == "restart");
        Log { attempt: restart.unwrap_or(0), entries }
    }

    /// Whether it holds a claim of `statements.txt`, filled in like the text that states it.
    pub fn holds(&self, claim: &str, filled: &Filled) -> bool {
        claim.split('|').any(|claim| match claim.strip_prefix('!') {
            Some(claim) => !self.has(claim, filled),
            None => self.has(claim, filled),
        })
    }

    fn has(&self, claim: &str, filled: &Filled) -> bool {
        if claim == "begun" {
            return self.has_begun();
        }
        let (claim, before) = claim.split_once('>').map_or((claim, None), |(a, b)| (a, Some(b)));
        let (claim, from) = match claim.strip_prefix('^') {
            Some(claim) => (claim, 0),
            None => (claim, self.attempt),
        };
        let last = before
            .and_then(|before| self.entries.iter().rposition(|entry| is(entry, before, filled)));
        let from = last.map_or(from, |last| from.max(last + 1));
        self.entries[from..].iter().any(|entry| is(entry, claim, filled))
    }

    fn has_begun(&self) -> bool {
        let intent = self.entries.iter().rposition(|entry| entry["event"] == "intent");
        intent.is_some_and(|at| {
            let step = &self.entries[at]["step"];
            self.entries[at..].iter().all(|entry| entry["event"] != *step)
        })
    }

    /// What there is, for people.
    pub fn events(&self) -> String {
        let event = |entry: &Value| entry["event"].as_str().unwrap().to_owned();
        self.entries.iter().map(event).collect::<Vec<_>>().join(" ")
    }
}

/// The event that a claim names, and the words that such an entry says: `note(bag-in,{item})`.
pub fn parts(claim: &str) -> (&str, Vec<String>) {
    let (event, words) = claim.split_once('(').unwrap_or((claim, ")"));
    let words = words.strip_suffix(')').unwrap().split(',').filter(|word| !word.is_empty());
    (event, words.map(|word| word.replace('_', " ")).collect())
}

/// The name of what is filled in where this word stands.
pub fn hole(word: &str) -> Option<&str> {
    word.strip_prefix('{')?.strip_suffix('}')
}

fn is(entry: &Value, claim: &str, filled: &Filled) -> bool {
    let (event, words) = parts(claim);
    let said = |word: &String| says(entry, hole(word).map_or(word, |name| &filled[name]));
    entry["event"] == *event && words.iter().all(said)
}

/// Whether a value is this word, or has it somewhere in it.
pub fn says(value: &Value, word: &str) -> bool {
    match value {
        Value::Object(all) => all.values().any(|value| says(value, word)),
        Value::Array(all) => all.iter().any(|value| says(value, word)),
        Value::String(text) => text == word,
        Value::Number(number) => word.parse().is_ok_and(|word: u64| number.as_u64() == Some(word)),
        _ => false,
    }
}

/// What a text is filled with on a screen, if it stands there; commands have options of their own.
pub fn filled(text: &str, screen: &str) -> Option<Filled> {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| if n % 2 == 0 { part } else { "{command}" });
    let text = parts.collect::<String>();
    let (mut filled, mut rest, mut name) = (Filled::new(), screen, "");
    // What is always the same, each piece behind the name of what is filled in before it.
    for part in text.split('{') {
        let (hole, piece) = part.split_once('}').unwrap_or(("", part));
        name = if hole.is_empty() { name } else { hole };
        let piece = piece.trim();
        if piece.len() < 2 {
            continue;
        }
        let (value, after) = rest.split_once(piece)?;
        // Before its first piece stands more than this text.
        let value =
            if rest == screen { value.split_whitespace().last() } else { Some(value.trim()) };
        filled.insert(std::mem::take(&mut name).to_owned(), value.unwrap_or_default().to_owned());
        rest = after;
    }
    Some(filled)
}
