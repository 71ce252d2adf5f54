//! What a ceremony may need besides its script, led through by `next`: in both languages, at a small
//! and at a large terminal. Each line says what is on the screen, and what a person then types.

use std::fs;

use super::{
    answers::as_read,
    desk::{Desk, without_colours},
    share,
};
use crate::common::{
    PIN,
    stage::{CUSTODIANS, Done, Setting, Stage},
};
use record::fingerprint;

/// Terminals and languages.
const SCREENS: [((u16, u16), &str); 4] =
    [((80, 24), "en"), ((120, 40), "en"), ((80, 24), "de"), ((120, 40), "de")];

/// English, German.
type Said = (&'static str, &'static str);

const READY: Said = ("Enter to begin", "Enter beginnt");
const SIGN: Said = ("Officers must sign first", "Erst müssen Officers unterschreiben");
const DONE: Said = ("Done.", "Getan.");
const WHICH: Said = ("Number, or Enter to go back", "Nummer, oder Enter zurück");
const NUMBER: Said = ("The number that is printed on the bag", "Die Nummer, die auf der Tasche");
const INTACT: Said =
    ("Is it closed, and does nothing show", "Ist sie geschlossen, und zeigt nichts");
const ITEM: Said = ("What is in it?", "Was ist darin?");
const STOPPED: Said = ("goes on from here", "hiermit geht es weiter");

struct Led {
    desk: Desk,
    language: &'static str,
}

impl Led {
    fn at(
        stage: &Stage,
        side: &'static str,
        (screen, language): ((u16, u16), &'static str),
    ) -> Self {
        let variables = [("TERM", "xterm")];
        Led { desk: Desk::at(stage, side, &variables, screen, language), language }
    }

    fn text(&self, said: Said) -> String {
        as_read(if self.language == "en" { said.0 } else { said.1 })
    }

    #[track_caller]
    fn sees(&mut self, said: Said) {
        self.desk.sees(&self.text(said));
    }

    #[track_caller]
    fn answer(&mut self, said: Said, typed: &str) {
        self.desk.answer(&self.text(said), typed);
    }

    /// Takes what has this name in the list of what else may be done.
    #[track_caller]
    fn chooses(&mut self, name: Said) {
        self.answer(READY, "m");
        self.sees(WHICH);
        let name = self.text(name);
        let line = self.desk.shown().lines().rev().find(|line| line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name}: {}", self.desk.shown()));
        let number = line.split_whitespace().next().unwrap().to_owned();
        self.desk.send(&number);
    }

    fn ended(mut self) -> String {
        self.answer(READY, "q");
        self.sees(STOPPED);
        without_colours(&self.desk.ended())
    }
}

fn log(stage: &Stage, side: &str) -> String {
    fs::read_to_string(stage.path(&format!("{side}/log.jsonl"))).unwrap()
}

#[test]
fn a_bag_with_another_number_blocks_until_officers_have_signed() {
    let made = Stage::of(Setting::composite(), Done::Init);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        for (way, number) in [
            (("something goes into", "etwas kommt in eine"), "K-0815"),
            (("bag comes back", "tasche kommt zurück"), "K-0816"),
        ] {
            led.chooses(way);
            led.answer(ITEM, "the laptop");
            led.answer(NUMBER, number);
            // Enter is no answer to it.
            led.answer(INTACT, "");
            led.sees(("yes: it is closed", "ja: Sie ist geschlossen"));
            led.answer(INTACT, "y");
        }
        led.sees(("A bag did not come back as it left", "Eine Tasche kam nicht so zurück"));
        led.answer(("Enter has officers sign", "Mit Enter unterschreiben Officers"), "");
        led.sees(SIGN);
        stage.approve("hoster", "deviation", &["hana", "hugo"]);
        led.desk.send("");
        led.ended();
        assert!(log(&stage, "hoster").contains("\"gate\":\"deviation\""));
    }
}

#[test]
fn a_wrong_pin_is_said_at_once_with_who_must_sign() {
    let made = Stage::of(Setting::composite(), Done::Init);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(READY, "");
        led.desk.answer("PIN of the token", "0000");
        led.desk.sees("PIN is wrong");
        led.desk.sees("few tries");
        led.desk.sees("ssh-keygen");
        led.sees(SIGN);
        stage.approve("hoster", "pin-try", &["hana", "hugo"]);
        led.desk.send("");
        led.desk.answer("PIN of the token", PIN);
        led.sees(DONE);
        led.ended();
    }
}

#[test]
fn an_attempt_is_given_up_and_a_page_printed_where_it_is_needed() {
    let made = Stage::of(Setting::composite(), Done::KekCreate);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(READY, "p");
        led.desk.sees("offer-1.html");
        led.chooses(("restart: give this attempt up", "restart: diesen Versuch aufgeben"));
        led.answer(("Why?", "Warum?"), "the medium was left alone");
        led.sees(SIGN);
        stage.approve("hoster", "restart", &["hana", "hugo"]);
        led.desk.send("");
        led.desk.answer("PIN of the token", PIN);
        led.sees(("Make the key-encryption key", "Den KEK erzeugen"));
        led.ended();
        assert!(log(&stage, "hoster").contains("the medium was left alone"));
        assert!(stage.path("hoster/paper/offer-1.html").is_file());
    }
}

#[test]
fn who_is_absent_is_left_out_once_officers_have_signed() {
    let made = Stage::of(Setting::composite(), Done::Export);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "tenant", screen);
        led.answer(READY, "a");
        for id in &CUSTODIANS[1..] {
            led.desk.sees(id);
            led.answer(READY, "");
            let code = fingerprint::words(&share(&stage, id).code()).join(" ");
            led.answer(("Word 1 of 10", "Wort 1 von 10"), &code);
            led.sees(DONE);
        }
        // Nobody else is there: it is the release's turn, and officers sign for it first.
        led.sees(("Release the package", "Das Paket freigeben"));
        led.answer(READY, "");
        led.sees(SIGN);
        stage.approve("tenant", "deviation", &["ada", "ben"]);
        led.desk.send("");
        led.sees(SIGN);
        stage.sign_document("tenant", "package", &["ada", "ben"]);
        led.desk.send("");
        led.sees(DONE);
        led.ended();
        let log = log(&stage, "tenant");
        assert!(!log.contains("\"custodian\":\"cyd\",\"event\":\"share-confirm\""));
        assert!(log.contains("\"gate\":\"deviation\""));
    }
}

/// The words of the head, as somebody copies them from the screen.
fn copied(led: &mut Led) -> Vec<String> {
    led.answer(("Are the words on paper", "Stehen die Wörter auf Papier"), "");
    led.sees(("Write the 16 words down", "Schreiben Sie die 16 Wörter"));
    let row = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (number, words) = words.split_first()?;
        (words.len() == 4 && number.parse::<u8>().is_ok()).then(|| words.to_vec())
    };
    let words: Vec<String> = led.desk.shown().lines().filter_map(row).flatten().collect();
    led.answer(("Are the words on paper", "Stehen die Wörter auf Papier"), "yes");
    led.sees(STOPPED);
    words[words.len() - 16..].to_vec()
}

#[test]
fn it_stops_for_today_and_goes_on_with_bags_people_and_words() {
    let made = Stage::of(Setting::composite(), Done::Init);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(READY, "m");
        led.answer(WHICH, "0");
        led.answer(("What goes into a bag?", "Was kommt in eine Tasche?"), "the laptop");
        led.answer(NUMBER, "K-0815");
        led.answer(("What goes into a bag?", "Was kommt in eine Tasche?"), "");
        led.answer(("Who has the bags", "Wer hat die Taschen"), "Hana");
        let words = copied(&mut led);
        led.desk.ended();
        // The next morning, once as it should be, and once with other words.
        let right = words.join(" ");
        for heard in [true, false] {
            let stage = stage.copy();
            let mut led = Led::at(&stage, "hoster", screen);
            led.answer(
                ("The number of the bag with the laptop", "Die Nummer der Tasche mit the laptop"),
                "K-0815",
            );
            led.answer(INTACT, "yes");
            led.answer(("Who is here now?", "Wer ist jetzt da?"), "Hana, Hugo");
            let first = ("Word 1 of 16", "Wort 1 von 16");
            if heard {
                led.answer(first, &right);
                led.ended();
            } else {
                let mut others = fingerprint::words_beginning("", 0).into_iter();
                let wrong = others.find(|word| !word.eq_ignore_ascii_case(&words[0])).unwrap();
                for _ in 0..20 {
                    led.answer(first, &wrong);
                }
                led.desk.sees("WORDS-MISMATCH");
                led.sees(("A bag did not come back as it left", "Eine Tasche kam nicht so zurück"));
                led.answer(("Enter has officers sign", "Mit Enter unterschreiben Officers"), "q");
                led.sees(STOPPED);
                led.desk.ended();
                stage.hoster(&["kek", "create"]).refused("BAG-NUMBER");
            }
            assert!(log(&stage, "hoster").contains("taken up again"));
        }
    }
}

#[test]
fn a_node_leaves_and_what_was_primary_comes_back() {
    let made = Stage::of(Setting::composite(), Done::Primary);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.chooses(("a node leaves the service", "ein Knoten verlässt den Dienst"));
        led.answer(("Which node?", "Welcher Knoten?"), "node2");
        led.sees(SIGN);
        stage.approve("hoster", "nodes", &["hana", "hugo"]);
        led.desk.send("");
        led.chooses(("rollback: what was primary", "rollback: wieder primär"));
        led.sees(SIGN);
        stage.approve("hoster", "rollback", &["hana", "hugo"]);
        led.desk.send("");
        led.ended();
        let log = log(&stage, "hoster");
        assert!(log.contains("\"event\":\"nodes\"") && log.contains("\"event\":\"rollback\""));
    }
}

#[test]
fn what_hgs_nodes_publish_is_asked_for_before_it_is_accepted() {
    let setting = Setting { hgs: true, ..Setting::composite() };
    let made = Stage::of(setting, Done::ReceiptCheck);
    for screen in SCREENS {
        let stage = made.copy();
        fs::write(stage.path("metadata.xml"), "<none/>").unwrap();
        fs::create_dir(stage.path("medium/registration")).unwrap();
        fs::write(stage.path("medium/registration/registration.json"), "{}").unwrap();
        let mut led = Led::at(&stage, "tenant", screen);
        led.answer(READY, "");
        led.answer(
            ("Where is the folder registration/?", "Wo ist der Ordner registration/?"),
            "medium",
        );
        for (node, file) in [("node1", "metadata.xml"), ("node2", ""), ("node3", "no")] {
            led.sees(("What ", "Was "));
            led.desk.answer(node, file);
        }
        led.answer(("Who fetched these files?", "Wer hat diese Dateien geholt?"), "ada");
        led.answer(("Where in the network", "Wo im Netz"), "the tenant's network");
        // What is given is looked at before anything is accepted; this is no registration.
        led.sees(("It did not end well", "Es ist nicht gut ausgegangen"));
        led.desk.send("q");
        led.sees(STOPPED);
        let screen = without_colours(&led.desk.ended());
        for given in ["--metadata node1=metadata.xml", "--fetched-by ada", "--fetched-from"] {
            let joined = screen.replace(" \\\r\n      ", " ");
            assert!(joined.contains(given), "{given}: {screen}");
        }
        assert!(!screen.contains("--metadata node2"));
    }
}
