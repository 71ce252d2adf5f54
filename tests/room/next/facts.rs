//! What a step's text states, the record holds: each claim of something that has happened is named
//! here with the entries that prove it, and each screen of a ceremony is held against its log.

use std::fs;

use super::desk::{Desk, without_colours};
use crate::common::stage::{Done, Setting, Stage};
use record::show::Language;
use terminal::texts::Texts;

/// A claim: as each language makes it, and the entries of which the log must hold one.
struct Claim {
    english: &'static str,
    german: &'static str,
    entries: &'static [&'static str],
}

const CLAIMS: [Claim; 3] = [
    Claim {
        english: "The ceremony was ended",
        german: "Die Zeremonie wurde beendet",
        entries: &["abort"],
    },
    Claim {
        english: "Everything that the nodes have proven",
        german: "Alles, was die Knoten bewiesen haben",
        entries: &["evidence"],
    },
    Claim {
        english: "The service was changed after the record was closed",
        german: "Der Dienst wurde nach dem Abschluss geändert",
        entries: &["nodes", "retire", "rollback"],
    },
];

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

fn claims(language: Language, sentence: &str) -> Vec<&'static Claim> {
    let said = |claim: &&Claim| match language {
        Language::English => sentence.contains(claim.english),
        Language::German => sentence.contains(claim.german),
    };
    CLAIMS.iter().filter(said).collect()
}

#[test]
fn no_text_of_a_step_states_what_no_entry_proves() {
    let mut found = 0;
    for (language, past) in PAST {
        let texts = Texts::of(language);
        let open = OPEN.iter().find(|(of, _)| *of == language).unwrap().1;
        for key in texts.keys().filter(|key| key.starts_with("step.")) {
            if !key.ends_with(".what") && !key.ends_with(".title") {
                continue;
            }
            let text = texts.get(key, &[]);
            for sentence in text.split(['.', ';']) {
                let lower = sentence.to_lowercase();
                let words: Vec<&str> =
                    lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
                let tells = words.iter().any(|word| past.contains(word));
                let is_open = open.iter().any(|word| {
                    words.contains(word) || (word.contains(' ') && lower.contains(word))
                });
                let named = claims(language, sentence);
                found += named.len();
                assert!(
                    !tells || is_open || !named.is_empty(),
                    "{key} ({}): {sentence}",
                    language.name()
                );
            }
        }
    }
    // Each is made in both languages; that of keys and KEK is one claim twice.
    assert_eq!(found, 2 * (CLAIMS.len() + 1));
}

/// What the next step says, of a side that has begun.
fn what(stage: &Stage, side: &'static str, said: (&str, &str)) -> Option<String> {
    let (language, ready) = said;
    let mut desk = Desk::at(stage, side, &[("TERM", "xterm")], (80, 24), language);
    if desk.sees_any(&[ready, "archive/head.json"]) == 1 {
        desk.ended();
        return None;
    }
    desk.send("q");
    let screen = without_colours(&desk.ended());
    let heading = if language == "en" { ("What:", "Who:") } else { ("Was:", "Wer:") };
    let text = screen.split_once(heading.0).unwrap().1.split_once(heading.1).unwrap().0;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn holds(stage: &Stage, when: &str) -> usize {
    let mut checked = 0;
    for side in ["tenant", "hoster"] {
        let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
        for (language, said) in [
            (Language::English, ("en", "Enter to begin")),
            (Language::German, ("de", "Enter beginnt")),
        ] {
            let Some(text) = what(stage, side, said) else { continue };
            assert!(text.len() > 20, "{when}, {side}: {text}");
            for claim in claims(language, &text) {
                let proven = claim
                    .entries
                    .iter()
                    .any(|event| log.contains(&format!("\"event\":\"{event}\"")));
                assert!(proven, "{when}, {side}: {text}");
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn each_screen_states_what_the_log_holds() {
    let mut stage = Stage::with(Setting::composite(), |plan| plan);
    let mut claimed = 0;
    for done in Done::ALL {
        stage.walk_to(done);
        claimed += holds(&stage, &format!("{done:?}"));
    }
    assert!(claimed > 0);
    // Ended without its aim: nobody has accepted anything.
    let stage = Stage::of(Setting::composite(), Done::KekCreate);
    for side in ["tenant", "hoster"] {
        let abort = ["abort", "--reason", "a test"];
        stage.pass(side, "abort", &abort);
        stage.side(side, &abort).ok();
    }
    assert!(holds(&stage, "aborted") > 0);
}
