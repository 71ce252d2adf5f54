//! The texts that explain: every language has them all, and every entry of a log is told whole.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::every_kind;
use crate::common::stage::Stage;
use ::show::{Language, Sentences};
use record::{
    log::Event,
    terms::{Gate, Kind, Remark},
};

/// What stands for values that are long: a token, a CKA_ID, a package id, and five hashes.
fn spelled_out(text: &str) -> String {
    let token =
        r#"{"manufacturer":"Acme","model":"M1","serial":"42","firmware":"1.2","label":"tok"}"#;
    let ids = text.replace("@t", token).replace("@k", &"12".repeat(20));
    let ids = ids.replace("@p", &"34".repeat(16));
    ["a", "b", "c", "d", "e"]
        .iter()
        .fold(ids, |text, letter| text.replace(&format!("@{letter}"), &letter.repeat(64)))
}

/// The names that a type knows, as its reader lists them when it is given another.
fn names<T: DeserializeOwned>(unknown: &str) -> Vec<String> {
    let error = serde_json::from_str::<T>(unknown).err().unwrap().to_string();
    let (_, known) = error.split_once("expected one of ").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// An entry is three lines: the event, and what is said of it in English and in German.
#[test]
fn every_event_is_told_in_every_language() {
    let mut told = BTreeSet::new();
    for entry in include_str!("entries.txt").split("\n\n") {
        let lines: Vec<String> = entry.trim().lines().map(spelled_out).collect();
        let [json, english, german] = lines.as_slice() else {
            panic!("three lines: {entry}");
        };
        let event: Event = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {entry}"));
        for (language, expected) in [(Language::English, english), (Language::German, german)] {
            let said = ::show::sentence(&event, None, &Sentences::of(language)).unwrap();
            assert_eq!(said, *expected, "{entry}");
        }
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        told.insert(json["event"].as_str().unwrap().to_owned());
        told.extend(json["remark"]["kind"].as_str().map(|kind| format!("note: {kind}")));
    }
    for event in names::<Event>("{\"event\": \"?\"}") {
        assert!(told.contains(&event), "{event}");
    }
    for remark in names::<Remark>("{\"kind\": \"?\"}") {
        assert!(told.contains(&format!("note: {remark}")), "{remark}");
    }
}

#[test]
fn every_language_has_every_text() {
    let english = Sentences::of(Language::English);
    let fields = |text: &str| {
        let found = text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0.to_owned());
        let mut found: Vec<String> = found.collect();
        found.sort();
        found
    };
    let needed = |names: Vec<String>, group: &str| {
        names.into_iter().map(|name| format!("{group}.{name}")).collect::<Vec<_>>()
    };
    let mut keys = needed(names::<Event>("{\"event\": \"?\"}"), "event");
    keys.extend(needed(names::<Remark>("{\"kind\": \"?\"}"), "part.remark"));
    for group in ["part.gate", "part.gate-name"] {
        keys.extend(needed(names::<Gate>("\"?\""), group));
    }
    for kind in Kind::ALL {
        for key in ["page", "signing"] {
            keys.push(format!("document.{kind}.{key}"));
        }
        keys.push(format!("part.the-kind.{kind}"));
        keys.extend((kind != Kind::Offer).then(|| format!("part.before.{kind}")));
    }
    for language in Language::ALL {
        let texts = Sentences::of(language);
        assert!(texts.all().keys().eq(english.all().keys()), "{}", language.name());
        for (key, text) in texts.all() {
            assert_eq!(fields(text), fields(&english.all()[key]), "{key}");
            // A part that is not said stands there as nothing.
            assert!(!text.trim().is_empty() || key.starts_with("part."), "{key}");
            for part in fields(text).iter().filter_map(|field| field.split_once(':')) {
                let has = |key: &String| {
                    *key == format!("part.{}", part.1)
                        || key.starts_with(&format!("part.{}.", part.1))
                };
                let computed = ["count", "words", "quote", "tree", "sha256", "fault", "waived"];
                assert!(computed.contains(&part.1) || texts.all().keys().any(has), "{part:?}");
            }
        }
        for key in &keys {
            assert!(texts.all().contains_key(key), "{key}");
        }
        if language != Language::English {
            let words = |text: &&String| {
                text.split('{').any(|part| {
                    part.rsplit('}').next().is_some_and(|text| text.contains(char::is_alphabetic))
                })
            };
            let spoken: Vec<_> = english.all().iter().filter(|(_, text)| words(text)).collect();
            let same = spoken.iter().filter(|(key, text)| texts.all()[*key] == **text);
            assert!(same.count() < spoken.len() / 10);
        }
    }
}

/// Nothing of a file is without its text, and in German nothing of ours is English.
pub fn german(stage: &Stage) {
    for file in every_kind(stage) {
        let mut out = Vec::new();
        ::show::show(&file, Language::German, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("Dies "), "{text}");
        for ours in ["This ", "WHAT ", "To verify", "WAS SIE SONST SAGT"] {
            assert!(!text.contains(ours), "{}: {ours} in {text}", file.display());
        }
        assert!(!super::show(&file).unwrap().contains("WHAT ELSE IT SAYS"), "{}", file.display());
    }
}
