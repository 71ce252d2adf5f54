//! What a ceremony may need besides its script, led through by `next`: in both languages, at a small
//! and at a large terminal. Each line says what is on the screen, and what a person then types.

use std::{fs, process::Command};

use super::{
    answers::as_read,
    desk::{Desk, without_colours},
    share,
};
use crate::common::{
    MODULE, PIN, SO_PIN, kryoptic,
    production::{self, machine_rules},
    run,
    stage::{CUSTODIANS, Done, Family, Setting, Stage},
};
use record::fingerprint;

/// Terminals and languages.
const SCREENS: [((u16, u16), &str); 4] =
    [((80, 24), "en"), ((120, 40), "en"), ((80, 24), "de"), ((120, 40), "de")];

/// English, German.
type Said = (&'static str, &'static str);

const READY: Said = ("Enter to begin", "Enter beginnt");
const SIGN: Said = ("Officers must sign first", "Erst müssen Officers unterschreiben");
const DONE: Said = ("Done.", "Erledigt.");
const WHICH: Said = ("Number, or Enter to go back", "Nummer, oder Enter zurück");
const NUMBER: Said =
    ("The number that is printed on the bag", "Die aufgedruckte Nummer der Tasche");
const INTACT: Said =
    ("Is it closed, and does nothing show", "Ist sie geschlossen, und zeigt nichts");
const ITEM: Said = ("What is in it?", "Was ist darin?");
const PIN_OF: Said = ("PIN of the token", "PIN des Tokens");
const FEW: Said = ("few tries", "wenige");
const FAILED: Said = ("It did not end well", "Das ist fehlgeschlagen");
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
        let number = self.desk.numbered(&self.text(name));
        self.desk.send(&number);
    }

    /// Begins the step that comes next at this point, and answers whatever comes before the PIN.
    fn begins_where_a_pin_is_needed(
        &mut self,
        stage: &Stage,
        side: &str,
        done: Done,
        officers: &[&str],
    ) {
        self.answer(READY, "");
        match done {
            Done::OfferCheck => {
                for label in ["hgs-signing", "hgs-encryption"] {
                    self.desk.answer(label, "");
                }
            }
            Done::PackageCheck => {
                self.answer(
                    ("Where is the folder package/?", "Wo ist der Ordner package/?"),
                    "medium",
                );
            }
            _ => {}
        }
        let gate = match done {
            Done::KeysCreate => "export",
            Done::PackageCheck => "import",
            _ => return,
        };
        self.sees(SIGN);
        stage.approve(side, gate, officers);
        self.desk.send("");
    }

    /// Confirms a custodian's share, by the words that its holder reads out.
    #[track_caller]
    fn confirms(&mut self, stage: &Stage, id: &str) {
        let code = fingerprint::words(&share(stage, id).code()).join(" ");
        self.answer(("Word 1 of 10", "Wort 1 von 10"), &code);
        self.sees(DONE);
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
        led.sees(("did not come as it should: the laptop", "nicht so, wie es sollte: the laptop"));
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
        led.answer(PIN_OF, "0000");
        led.sees(("PIN is wrong", "dass die PIN falsch ist"));
        led.sees(FEW);
        led.desk.sees("ssh-keygen");
        led.sees(SIGN);
        stage.approve("hoster", "pin-try", &["hana", "hugo"]);
        led.desk.send("");
        led.answer(PIN_OF, PIN);
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
        led.answer(PIN_OF, PIN);
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
            led.confirms(&stage, id);
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
                led.sees((
                    "did not come as it should: the words of the",
                    "nicht so, wie es sollte: die Wörter des",
                ));
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
        led.sees(("It did not end well", "Das ist fehlgeschlagen"));
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

#[test]
fn a_deputy_comes_and_another_custodian_does_not() {
    let deputy = custody::custodian::new_identity(None).unwrap();
    let mut made = Stage::with(Setting::composite(), |plan| {
        let cyd = plan.find("id = \"cyd\"").unwrap();
        let end = cyd + plan[cyd..].find("\"]").unwrap() + 1;
        format!("{}, \"{}\"{}", &plan[..end], deputy.recipient, &plan[end..])
    });
    made.walk_to(Done::Export);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "tenant", screen);
        led.sees(READY);
        let shown = led.desk.shown().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&led.text(("d: the deputy of cyd", "d: die Vertretung von cyd"))));
        led.desk.send("d");
        led.confirms(&stage, "cyd");
        // Who has none is not offered one, and Enter alone goes on.
        led.answer(READY, "d");
        led.sees(("Only Enter (or yes) goes on", "Nur Enter (oder ja) geht weiter"));
        led.answer(READY, "a");
        for id in &CUSTODIANS[2..] {
            led.answer(READY, "");
            led.confirms(&stage, id);
        }
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
        let request = stage.json("tenant/approvals/01-deviation.json");
        assert_eq!(request["subject"]["custodians"], serde_json::json!(["dan"]));
        let log = log(&stage, "tenant");
        let confirmed = "\"custodian\":\"cyd\",\"deputy\":true";
        assert_eq!(log.matches("\"deputy\":true").count(), 1, "{log}");
        assert!(log.contains(confirmed), "{log}");
    }
}

#[test]
fn a_share_file_that_is_lost_is_written_again_from_the_list() {
    let made = Stage::of(Setting::composite(), Done::Export);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "tenant", screen);
        led.chooses(("write a custodian's share file again", "die Anteilsdatei eines Verwahrers"));
        let (whose, where_to) = (("Whose?", "Wessen?"), ("Where to?", "Wohin?"));
        // What was mistyped is asked for again.
        led.answer(whose, "nobody");
        led.answer(where_to, "medium/dan.age");
        led.desk.sees("SHARE-CUSTODIAN");
        led.answer(("It did not end well", "Das ist fehlgeschlagen"), "");
        led.answer(whose, "dan");
        led.answer(where_to, "medium/dan.age");
        led.ended();
        let [again, dealt] = ["medium/dan.age", "tenant/outbox/shares/dan.age"]
            .map(|path| fs::read(stage.path(path)).unwrap());
        assert_eq!(again, dealt);
        assert!(log(&stage, "tenant").contains("\"event\":\"share-reissue\""));
    }
}

#[test]
fn another_machine_takes_a_nodes_place_and_a_former_key_is_shown_to_be_gone() {
    let made = Stage::of(Setting::composite(), Done::Primary);
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout"])
        .arg(made.path("former.key"))
        .args(["-subj", "/CN=former", "-sha256", "-outform", "DER", "-out"])
        .arg(made.path("former.crt")));
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.chooses(("another machine takes", "eine andere Maschine nimmt"));
        led.answer(("Which node?", "Welcher Knoten?"), "node2");
        led.sees(SIGN);
        stage.approve("hoster", "nodes", &["hana", "hugo"]);
        led.desk.send("");
        for (node, machine) in [("node1", "node1"), ("node2", "another")] {
            let file = format!("medium/{node}-active.json");
            let _ = fs::remove_file(stage.path(&file));
            led.answer(READY, "");
            stage.node_prove(node, machine, "medium").ok();
            led.answer(("Where is the file", "Wo ist die Datei"), &file);
            led.sees(DONE);
        }
        led.chooses(("a former key is gone", "ein früherer Schlüssel fort"));
        led.answer(("Where is the file", "Wo ist die Datei"), "former.crt");
        led.answer(PIN_OF, PIN);
        led.ended();
        let log = log(&stage, "hoster");
        assert!(log.contains("\"replaced\":[\"node2\"]"), "{log}");
        assert!(log.contains("\"event\":\"retire\""), "{log}");
    }
}

#[test]
fn a_ceremony_is_ended_by_the_list_and_closed() {
    let made = Stage::of(Setting::composite(), Done::KekCreate);
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        led.chooses(("abort: end the ceremony", "abort: die Zeremonie endgültig"));
        led.answer(("Why?", "Warum?"), "the plan names a custodian who has left");
        led.sees(SIGN);
        stage.approve("hoster", "abort", &["hana", "hugo"]);
        led.desk.send("");
        led.answer(PIN_OF, PIN);
        led.sees(("Destroy the key-encryption key", "Den KEK vernichten"));
        led.answer(READY, "");
        led.sees(SIGN);
        stage.approve("hoster", "kek-destroy", &["hana", "hugo"]);
        led.desk.send("");
        led.answer(PIN_OF, PIN);
        led.sees(DONE);
        led.answer(READY, "");
        led.sees(SIGN);
        stage.sign_document("hoster", "closing", &["hana", "hugo"]);
        led.desk.send("");
        led.sees(DONE);
        led.answer(READY, "");
        led.sees(("closed on this side", "auf dieser Seite abgeschlossen"));
        led.desk.ended();
        let log = log(&stage, "hoster");
        for event in ["abort", "kek-destroy", "release", "close"] {
            assert!(log.contains(&format!("\"event\":\"{event}\"")), "{event}: {log}");
        }
    }
}

/// Tries PINs at the hoster's token, as somebody does who has another program.
fn tries(stage: &Stage, arguments: &[&str]) -> bool {
    let mut tool = Command::new("pkcs11-tool");
    tool.arg("--module").arg(kryoptic()).args(["--slot", "2", "--login"]).args(arguments);
    let tried = tool.env("KRYOPTIC_CONF", stage.path("kryoptic.conf")).output().unwrap();
    tried.status.success()
}

/// Kryoptic counts: it takes ten tries, and says when two, one and none are left.
#[test]
fn the_last_tries_of_a_pin_are_said_by_a_token_that_counts() {
    let setting = Setting { hoster: Family::Kryoptic, ..Setting::composite() };
    let made = Stage::of(setting, Done::Init);
    for _ in 0..8 {
        assert!(!tries(&made, &["--pin", "00000000", "--list-objects"]));
    }
    for screen in SCREENS {
        let stage = made.copy();
        let mut led = Led::at(&stage, "hoster", screen);
        // Not even the right PIN is tried without signatures.
        led.answer(READY, "");
        led.desk.sees("PIN-COUNT-LOW");
        led.sees(FEW);
        led.desk.sees("ssh-keygen");
        led.sees(SIGN);
        stage.approve("hoster", "pin-try", &["hana", "hugo"]);
        led.desk.send("");
        led.answer(PIN_OF, "00000001");
        led.sees(("one last try", "letzter"));
        led.answer(FAILED, "");
        // Nobody can sign for the last one.
        led.desk.sees("PIN-COUNT-LOW");
        led.sees(("one last try", "letzter"));
        led.answer(FAILED, "q");
        led.sees(STOPPED);
        led.desk.ended();
        let asked = || {
            stage.is_asked("hoster", "pin-try")
                && !stage.path("hoster/approvals/02-pin-try.json").exists()
        };
        assert!(asked());

        assert!(!tries(&stage, &["--pin", "00000002", "--list-objects"]));
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(READY, "");
        led.desk.sees("PIN-COUNT-LOW");
        led.sees(("the PIN is locked", "die PIN ist gesperrt"));
        led.desk.sees("C_InitPIN");
        led.sees(FAILED);
        assert!(asked());
        assert!(tries(
            &stage,
            &["--login-type", "so", "--so-pin", SO_PIN, "--init-pin", "--new-pin", PIN]
        ));
        led.desk.send("");
        led.answer(PIN_OF, PIN);
        led.sees(DONE);
        led.ended();
    }
}

/// Few tries are left before `next` is begun: whoever must sign by the plan is asked to, before the
/// first step that needs the PIN and in the middle, on both sides. For a last try nobody is asked.
#[test]
fn few_tries_of_a_pin_are_signed_for_in_a_new_next() {
    let setting = Setting { shim: true, ..Setting::composite() };
    for (side, done, officers) in [
        ("hoster", Done::Init, ["hana", "hugo", "hedy"]),
        ("tenant", Done::OfferCheck, ["ada", "ben", "cora"]),
        ("tenant", Done::KeysCreate, ["ada", "ben", "cora"]),
        ("hoster", Done::PackageCheck, ["hana", "hugo", "hedy"]),
    ] {
        let made = Stage::of(setting.clone(), done);
        for screen in SCREENS {
            let stage = made.copy();
            // Somebody has typed a wrong one elsewhere.
            let mut tool = Command::new("pkcs11-tool");
            tool.args(["--module", MODULE, "--token-label", side, "--login", "--pin", "0000"]);
            tool.arg("--list-objects").env("SOFTHSM2_CONF", stage.path("softhsm2.conf"));
            assert!(!tool.output().unwrap().status.success());
            let mut led = Led::at(&stage, side, screen);
            led.begins_where_a_pin_is_needed(&stage, side, done, &officers[..2]);
            led.desk.sees("PIN-COUNT-LOW");
            led.sees(FEW);
            for id in officers {
                led.desk.sees(&format!("keyferry-officer sign FOLDER --as {id}"));
            }
            led.sees(SIGN);
            // One alone is too few.
            stage.approve(side, "pin-try", &officers[..1]);
            led.desk.send("");
            led.desk.sees("PIN-COUNT-LOW");
            led.sees(SIGN);
            stage.approve(side, "pin-try", &officers[1..2]);
            led.desk.send("");
            led.answer(PIN_OF, PIN);
            if done == Done::PackageCheck {
                led.sees(("Share file of the next custodian", "Anteilsdatei des nächsten"));
                led.desk.control('c');
                led.sees(STOPPED);
                led.desk.ended();
            } else {
                led.sees(DONE);
                led.ended();
            }

            let stage = made.copy();
            let variables = [("TERM", "xterm"), ("KEYFERRY_SHIM_LIE", "final-try")];
            let desk = Desk::at(&stage, side, &variables, screen.0, screen.1);
            let mut led = Led { desk, language: screen.1 };
            led.begins_where_a_pin_is_needed(&stage, side, done, &officers[..2]);
            led.sees(("one last try", "letzter"));
            led.sees(FAILED);
            led.desk.send("q");
            led.sees(STOPPED);
            led.desk.ended();
            assert!(!stage.is_asked(side, "pin-try"));
        }
    }
}

/// A token with a keypad of its own: the screen asks for no PIN, and says where it is typed.
#[test]
fn a_pin_is_typed_at_the_keypad_of_a_token_that_has_one() {
    let setting = Setting { shim: true, ..Setting::composite() };
    for (side, done, officers) in [
        ("hoster", Done::Init, ["hana", "hugo"]),
        ("tenant", Done::OfferCheck, ["ada", "ben"]),
        ("tenant", Done::KeysCreate, ["ada", "ben"]),
    ] {
        let made = Stage::of(setting.clone(), done);
        for screen in SCREENS {
            let stage = made.copy();
            for (typed, comes) in
                [("0000", ("PIN is wrong", "dass die PIN falsch ist")), (PIN, DONE)]
            {
                let stage = stage.copy();
                let variables = [
                    ("TERM", "xterm"),
                    ("KEYFERRY_SHIM_LIE", "keypad"),
                    ("KEYFERRY_SHIM_KEYPAD", typed),
                ];
                let desk = Desk::at(&stage, side, &variables, screen.0, screen.1);
                let mut led = Led { desk, language: screen.1 };
                led.begins_where_a_pin_is_needed(&stage, side, done, &officers);
                led.sees(("own keypad", "am Tastenfeld"));
                led.sees(comes);
                led.sees(if typed == PIN { READY } else { SIGN });
                led.desk.control('c');
                led.sees(STOPPED);
                let shown = without_colours(&led.desk.ended());
                let asked = if screen.1 == "en" { PIN_OF.0 } else { PIN_OF.1 };
                let keypad = if screen.1 == "en" { "own keypad" } else { "Tastenfeld" };
                assert_eq!(shown.matches(asked).count(), 1, "{shown}");
                assert_eq!(shown.matches(keypad).count(), 1, "{shown}");
            }
        }
    }
}

/// Somebody stops a question with Ctrl-C, comes back, and has something to say first; a name with
/// an apostrophe is kept as it is, and a shell reads the line that is shown.
#[test]
fn a_remark_after_ctrl_c_and_a_name_with_an_apostrophe() {
    const REMARK: Said = ("What is to go on record?", "Was soll in die Aufzeichnung?");
    const SAID: &str = "O'Neil's \"bag\" lies on the table; $HOME `stays`";
    let made = Stage::of(Setting::composite(), Done::KekCreate);
    for screen in SCREENS {
        let stage = made.copy_into("O'Neil-");
        let mut led = Led::at(&stage, "hoster", screen);
        // At the question itself, within the remark, and in a new `next`.
        led.answer(READY, "note");
        led.sees(REMARK);
        led.desk.control('c');
        led.answer(READY, "note");
        led.answer(REMARK, SAID);
        led.sees(READY);
        led.desk.control('c');
        led.sees(STOPPED);
        led.desk.ended();
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(READY, "note");
        led.answer(REMARK, "came back: O'Neil");
        // What is no number of the list is explained; q goes back to the step.
        led.answer(READY, "m");
        led.answer(WHICH, "99");
        led.sees(("Only a number of this list", "Nur eine Nummer dieser Liste"));
        led.answer(WHICH, "q");
        led.chooses(("somebody comes", "jemand kommt"));
        led.answer(("Who? (names)", "Wer? (Namen)"), "O'Neil");
        led.answer(READY, "");
        led.sees(SIGN);
        led.desk.control('c');
        led.sees(STOPPED);
        let shown = without_colours(&led.desk.ended());
        let log = log(&stage, "hoster");
        let entries = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let texts: Vec<String> = entries
            .filter_map(|entry: serde_json::Value| Some(entry["remark"]["text"].as_str()?.into()))
            .collect();
        assert_eq!(texts, [SAID, "came back: O'Neil"]);
        // The command that is shown is one that a shell reads: the name is one word of it.
        let whole = shown.replace(" \\\r\n      ", " ");
        let line = whole.lines().map(str::trim).find(|line| line.contains("note arrival"));
        let line = line.unwrap().replace("keyferry-hoster", "printf '%s\\n'");
        let words = run(Command::new("sh").args(["-c", &line]));
        let words = String::from_utf8(words).unwrap();
        assert!(words.lines().any(|word| word == "O'Neil"), "{words}");
    }
}

/// What production will refuse by the plan alone is said before anybody signs it.
#[test]
fn a_plan_that_names_no_software_will_be_refused() {
    let waived: Vec<&str> =
        machine_rules().into_iter().filter(|rule| *rule != "PREFLIGHT-SOFTWARE").collect();
    let without = |plan: String| plan.split("\n[software]").next().unwrap().to_owned();
    let stage = production::stage(&waived, without);
    let checked = stage.auditor(&["plan", "check", "plan/ceremony.toml"]);
    assert!(checked.out.contains("WILL BE REFUSED as it is"), "{checked:?}");
    assert!(!checked.out.contains("has no faults"), "{checked:?}");
    for program in ["keyferry-tenant", "keyferry-hoster"] {
        let line = format!("REFUSED:    PREFLIGHT-SOFTWARE: [software] names no {program}");
        assert!(checked.out.contains(&line), "{checked:?}");
    }
    checked.refused("PREFLIGHT-SOFTWARE");
    for screen in SCREENS {
        let mut led = Led::at(&stage, "hoster", screen);
        led.answer(("Where is the plan?", "Wo ist der Plan?"), "plan");
        led.sees((
            "Production will refuse this plan (PREFLIGHT-SOFTWARE)",
            "In der Produktion wird dieser Plan abgelehnt (PREFLIGHT-SOFTWARE)",
        ));
        led.ended();
    }
    // One that names them all is not said to be refused.
    let whole = production::stage(&waived, |plan| plan);
    let checked = whole.auditor(&["plan", "check", "plan/ceremony.toml"]).ok();
    assert!(checked.contains("has no faults"), "{checked}");
}
