//! What people type at each kind of question, and what must come: in both languages, at a small and
//! at a large terminal.

use std::fs;

use super::desk::{Desk, without_colours};
use crate::common::stage::{Done, Setting, Stage};
use record::fingerprint;

/// Terminals: columns and rows.
const SCREENS: [(u16, u16); 2] = [(80, 24), (120, 40)];
const VARIABLES: [(&str, &str); 1] = [("TERM", "xterm")];

/// What a language says.
struct Said {
    language: &'static str,
    plan: &'static str,
    path_help: &'static str,
    no_record: &'static str,
    remark: &'static str,
    remarked: &'static str,
    ready: &'static str,
    ready_help: &'static str,
    stopped: &'static str,
    word: [&'static str; 2],
    how: &'static str,
    unreadable: &'static str,
    several: &'static str,
    wrong: &'static str,
    more: &'static str,
    again: &'static str,
    control: &'static str,
    folder: &'static str,
    no_folder: &'static str,
    default: &'static str,
    /// What goes on, what stops, beside Enter and q.
    yes: &'static str,
    no: [&'static str; 2],
    note: &'static str,
    done: &'static str,
}

const ENGLISH: Said = Said {
    language: "en",
    plan: "Where is the plan?",
    path_help: "A file or a folder, as a path",
    no_record: "There is no record here",
    remark: "What is to go on record?",
    remarked: "It is on record.",
    ready: "Enter to begin",
    ready_help: "Only Enter (or yes) goes on",
    stopped: "goes on from here",
    word: ["Word ", " of 16: "],
    how: "16 words, one at a time or several",
    unreadable: "cannot be the word here",
    several: "may be",
    wrong: "is not the right word here",
    more: "There are only 16 words",
    again: "Those were five wrong words",
    control: "an arrow key?",
    folder: "Where is the folder offer/?",
    no_folder: "is no folder offer/",
    default: "Enter takes ",
    yes: "Yes",
    no: ["quit", "stop"],
    note: "note",
    done: "Done.",
};

const GERMAN: Said = Said {
    language: "de",
    plan: "Wo ist der Plan?",
    path_help: "Eine Datei oder ein Ordner, als Pfad",
    no_record: "Hier gibt es noch keine Aufzeichnung",
    remark: "Was soll in die Aufzeichnung?",
    remarked: "Es steht in der Aufzeichnung.",
    ready: "Enter beginnt",
    ready_help: "Nur Enter (oder ja) geht weiter",
    stopped: "hiermit geht es weiter",
    word: ["Wort ", " von 16: "],
    how: "16 Wörter, einzeln oder mehrere",
    unreadable: "kommt an dieser Stelle nicht vor",
    several: "kann",
    wrong: "ist hier nicht das richtige Wort",
    more: "Es sind nur 16 Wörter",
    again: "Das waren fünf falsche Wörter",
    control: "eine Pfeiltaste?",
    folder: "Wo ist der Ordner offer/?",
    no_folder: "ist kein Ordner offer/",
    default: "Enter nimmt ",
    yes: "ja",
    no: ["nein", "ende"],
    note: "notiz",
    done: "Erledigt.",
};

impl Said {
    fn word(&self, n: usize) -> String {
        format!("{}{n}{}", self.word[0], self.word[1])
    }
}

/// rexpect reads bytes as characters.
pub fn as_read(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Types each answer, and sees what must come of it.
#[track_caller]
fn goes(desk: &mut Desk, question: &str, table: &[(&str, &str)]) {
    for (typed, comes) in table {
        desk.answer(&as_read(question), typed);
        desk.sees(&as_read(comes));
    }
}

/// A word of a place that is not this one.
fn wrong_word(right: &str, place: usize) -> String {
    let mut words = fingerprint::words_beginning("", place).into_iter();
    words.find(|word| !word.eq_ignore_ascii_case(right)).unwrap()
}

/// The plan, the question whether to begin, and the plan's words.
fn begins(stage: &Stage, said: &Said, screen: (u16, u16)) {
    let words = stage.plan_words();
    let words: Vec<&str> = words.split(' ').collect();
    // What stops, stops; each time it goes on from there.
    let stops = ["q", "n", "no", said.no[0], said.no[1]];
    for typed in stops {
        let mut desk = Desk::at(stage, "hoster", &VARIABLES, screen, said.language);
        goes(&mut desk, said.plan, &[("plan", said.ready)]);
        desk.send(typed);
        desk.sees(said.stopped);
        desk.ended();
    }
    for key in ['c', 'd'] {
        let mut desk = Desk::at(stage, "hoster", &VARIABLES, screen, said.language);
        goes(&mut desk, said.plan, &[("plan", said.ready)]);
        desk.control(key);
        desk.sees(said.stopped);
        desk.ended();
    }
    let mut desk = Desk::at(stage, "hoster", &VARIABLES, screen, said.language);
    let plan = [("", said.path_help), ("?", said.path_help), (said.yes, said.path_help)];
    goes(&mut desk, said.plan, &plan);
    goes(&mut desk, said.plan, &[("nowhere.toml", "nowhere.toml"), (said.note, said.remark)]);
    desk.send("the bag lies on the table");
    goes(&mut desk, said.no_record, &[]);
    // Its folder, as a file manager pastes it.
    goes(&mut desk, said.plan, &[("'plan'", said.ready)]);
    desk.send("maybe");
    desk.sees(&as_read(said.ready_help));
    goes(&mut desk, said.ready, &[("\u{1b}[A", said.control), ("?", said.ready_help)]);
    desk.answer(said.ready, said.yes);
    desk.sees(&as_read(said.how));
    // Nothing of this costs anything, however often.
    for _ in 0..3 {
        let table = [
            ("xyzzy", said.unreadable),
            ("..", said.unreadable),
            ("?", said.how),
            ("", said.word[0]),
        ];
        goes(&mut desk, said.word[0], &table[..3]);
        goes(&mut desk, said.word[0], &[("b", said.several)]);
    }
    let first = wrong_word(words[0], 0);
    for _ in 0..4 {
        goes(&mut desk, &said.word(1), &[(&first, said.wrong)]);
    }
    // Right words are kept, with whatever stands between them.
    let two = format!("1. {}, 2) {}!", words[0].to_uppercase(), words[1].to_lowercase());
    desk.answer(&said.word(1), &two);
    let third = wrong_word(words[2], 2);
    goes(&mut desk, &said.word(3), &[("xyzzy", said.unreadable), (&third, said.again)]);
    let last = format!("{} surplus", words[1..].join(", "));
    desk.answer(&said.word(1), words[0]);
    goes(&mut desk, &said.word(2), &[(&last, said.more)]);
    desk.sees(said.done);
    let screen = ended_at(desk, said);
    assert!(screen.contains("init"), "{screen}");
}

/// Stops at the next step.
fn ended_at(mut desk: Desk, said: &Said) -> String {
    desk.answer(said.ready, "q");
    desk.sees(said.stopped);
    without_colours(&desk.ended())
}

#[test]
fn every_question_means_what_people_mean() {
    for said in [&ENGLISH, &GERMAN] {
        for screen in SCREENS {
            let stage = Stage::of(Setting::composite(), Done::Plan);
            begins(&stage, said, screen);
        }
    }
}

/// How often the log has this.
fn recorded(stage: &Stage, side: &str, text: &str) -> usize {
    let log = fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap();
    log.matches(text).count()
}

#[test]
fn paths_and_remarks_at_the_tenants_desk() {
    let made = Stage::of(Setting::composite(), Done::OfferRelease);
    for said in [&ENGLISH, &GERMAN] {
        for screen in SCREENS {
            let stage = made.copy();
            let words = stage.kek_words();
            let words: Vec<&str> = words.split(' ').collect();
            let home = stage.dir.path().display().to_string();
            let variables = [("TERM", "xterm"), ("HOME", home.as_str())];
            let mut desk = Desk::at(&stage, "tenant", &variables, screen, said.language);
            desk.answer(said.ready, said.note);
            desk.answer(&as_read(said.remark), "before the step");
            desk.sees("before the step");
            desk.answer(said.ready, "");
            let table =
                [("", said.path_help), ("medium/nothing", said.no_folder), ("~", said.no_folder)];
            goes(&mut desk, said.folder, &table);
            desk.answer(said.folder, "\"medium/offer/offer.json\"");
            desk.answer(&said.word(1), said.note);
            desk.answer(&as_read(said.remark), "while the words are read");
            desk.sees(&as_read(said.remarked));
            // Five wrong ones, again and again: then it is refused, and each time is on record.
            let wrong = wrong_word(words[0], 0);
            for n in 1..=20 {
                goes(&mut desk, &said.word(1), &[(&wrong, said.wrong)]);
                if n % 5 == 0 && n < 20 {
                    desk.sees(&as_read(said.again));
                }
            }
            desk.sees("WORDS-MISMATCH");
            desk.send(said.yes);
            // What was taken before is taken again.
            desk.sees(said.default);
            desk.sees("medium/offer");
            desk.answer(said.folder, "");
            desk.answer(&said.word(1), &words.join(" "));
            desk.sees(said.done);
            ended_at(desk, said);
            assert_eq!(recorded(&stage, "tenant", "begun again at word 1"), 3);
            assert_eq!(recorded(&stage, "tenant", "\"rule\":\"WORDS-MISMATCH\""), 4);
            for remark in ["before the step", "while the words are read"] {
                assert_eq!(recorded(&stage, "tenant", remark), 1, "{remark}");
            }
        }
    }
}
