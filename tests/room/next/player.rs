//! The rehearsal by hand, played by somebody who reads the screen: each question has its answer, and
//! at the menu stands what is done next.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use super::desk::{self, Desk};
use crate::common::run;
use record::{encoding::Hash, fingerprint, plan::Plan};

const MENU: &str = "q  end here";
const READY: &str = "Enter to begin";
const SIGN: &str = "Officers must sign first";
const CLOSED: &str = "closed on this side";
/// What every question of `next` begins with, but those for documents and nodes.
const QUESTIONS: [&str; 12] = [
    MENU,
    READY,
    SIGN,
    CLOSED,
    "Where is the plan?",
    "Word 1 of 16",
    "Word 1 of 10",
    "exist already?",
    "PIN of the token",
    "It did not end well",
    "Share file of the next custodian",
    "Identity file that opens it",
];
const DOCUMENTS: [&str; 6] =
    ["offer", "package", "receipt", "registration", "acceptance", "closing"];
const EVIDENCE: [&str; 4] =
    ["node1-ready.json", "node2-ready.json", "node1-active.json", "node2-active.json"];

/// Why `next` went back to the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Signatures,
    Evidence,
    Codes,
    Document,
    Failed,
    Closed,
    Asked,
}

/// What is done at the question whether to begin, before the step.
#[derive(Debug, Clone)]
pub enum Act {
    Note(&'static str),
    /// The page that the step needs.
    Page,
    /// What has this name in the list of what else there is, with its questions and answers.
    More(&'static str, Vec<(&'static str, String)>),
}

/// When a copy of the folder is kept: under which name, and once a side's log has such an entry.
pub type Moment = (&'static str, &'static str, &'static str);

pub struct Player {
    desk: Desk,
    pub work: PathBuf,
    pin: String,
    pub acts: VecDeque<Act>,
    begun: Option<Act>,
    pub absent: &'static str,
    /// The words that custodians read out.
    codes: BTreeMap<String, String>,
    /// Share files and identities, as custodians bring them.
    pub shares: VecDeque<[PathBuf; 2]>,
    moments: Vec<Moment>,
    copies: PathBuf,
}

impl Player {
    /// A new rehearsal; at each of these moments it is copied.
    pub fn begin(folder: &Path, options: &[&str], moments: &[Moment]) -> Self {
        let work = folder.join("work");
        let kept = ["--guided", "--keep", work.to_str().unwrap()];
        let mut desk = Desk::script(&[&kept, options].concat());
        desk.sees("The PIN of both tokens is ");
        let pin = desk.rest_of_line().split('.').next().unwrap().to_owned();
        Player::at(desk, work, pin, moments, folder.to_owned())
    }

    /// One that was copied, in which this accident happens.
    pub fn meets(accident: &str, copies: &Path, folder: &Path) -> Self {
        let work = folder.join(accident);
        run(std::process::Command::new("cp").arg("-a").args([&copies.join(accident), &work]));
        let state = fs::read_to_string(work.join("guided.state")).unwrap();
        assert!(state.contains("accident=\"\""), "{state}");
        let state = state.replace("accident=\"\"", &format!("accident={accident:?}"));
        fs::write(work.join("guided.state"), state).unwrap();
        let pin = fs::read_to_string(work.join("secret/pin")).unwrap();
        let desk = Desk::script(&["--keep", work.to_str().unwrap()]);
        Player::at(desk, work, pin.trim().to_owned(), &[], folder.to_owned())
    }

    fn at(mut desk: Desk, work: PathBuf, pin: String, moments: &[Moment], copies: PathBuf) -> Self {
        desk.sees(MENU);
        let brought = |id: &&str| {
            [
                work.join(format!("tenant/outbox/shares/{id}.age")),
                work.join(format!("people/{id}/identity")),
            ]
        };
        Player {
            shares: ["dan", "eve", "gus"].iter().map(brought).collect(),
            desk,
            work,
            pin,
            acts: VecDeque::new(),
            begun: None,
            absent: "",
            codes: BTreeMap::new(),
            moments: moments.to_vec(),
            copies,
        }
    }

    /// What a side's log holds.
    pub fn log(&self, side: &str) -> String {
        fs::read_to_string(self.work.join(side).join("log.jsonl")).unwrap_or_default()
    }

    /// Whether a side's log has an entry with this in it.
    pub fn has(&self, side: &str, entry: &str) -> bool {
        self.log(side).contains(entry)
    }

    fn due(&self) -> Vec<Moment> {
        let due = self.moments.iter().copied();
        due.filter(|(_, side, entry)| self.has(side, entry)).collect()
    }

    /// Chooses something at the menu, and waits until it is there again.
    #[track_caller]
    pub fn choose(&mut self, what: &str) {
        self.desk.answer("> ", what);
        self.desk.sees(MENU);
        if what == "c" {
            self.listen();
        }
    }

    /// The words that custodians have read out, in rows behind their numbers.
    fn listen(&mut self) {
        let shown = self.desk.shown();
        for id in ["cyd", "dan", "eve", "fay", "gus"] {
            let Some(at) = shown.rfind(&format!("{id} reads out:")) else { continue };
            let rows = shown[at..].lines().skip(1).take(3);
            let words: Vec<&str> = rows.flat_map(|row| row.split_whitespace().skip(1)).collect();
            assert_eq!(words.len(), 10, "{words:?}");
            self.codes.insert(id.to_owned(), words.join(" "));
        }
    }

    /// A side's `next`, as far as it goes.
    #[track_caller]
    pub fn session(&mut self, side: &str) -> Why {
        let folders = DOCUMENTS.map(|kind| format!("Where is the folder {kind}/? (path, or q"));
        let files = EVIDENCE.map(|file| format!("Where is the file {file}"));
        let none = "Enter where there is none".to_owned();
        let needles: Vec<&str> = QUESTIONS
            .into_iter()
            .chain(folders.iter().chain(&files).chain([&none]).map(String::as_str))
            .collect();
        let program = if side == "h" { "hoster" } else { "tenant" };
        self.desk.answer("> ", side);
        let mut why = Why::Asked;
        loop {
            let at = self.desk.sees_any(&needles);
            let answer = match needles[at] {
                MENU => return why,
                CLOSED => {
                    why = Why::Closed;
                    continue;
                }
                READY => match self.ready(program, &mut why) {
                    Some(answer) => answer,
                    None => continue,
                },
                SIGN => {
                    // What was begun is begun again, once they have.
                    if let Some(act) = self.begun.take() {
                        self.acts.push_front(act);
                    }
                    why = Why::Signatures;
                    "q".into()
                }
                "It did not end well" => {
                    why = Why::Failed;
                    "q".into()
                }
                question => self.answer(program, question, at, &mut why),
            };
            self.desk.send(&answer);
        }
    }

    fn answer(&mut self, side: &str, question: &str, at: usize, why: &mut Why) -> String {
        let medium = self.work.join("medium");
        let or_stop = |path: PathBuf, reason: Why, why: &mut Why| match path.exists() {
            true => path.display().to_string(),
            false => {
                *why = reason;
                "q".into()
            }
        };
        if at >= QUESTIONS.len() {
            return match at - QUESTIONS.len() {
                n @ 0..6 => or_stop(medium.join(DOCUMENTS[n]), Why::Document, why),
                n @ 6..10 => or_stop(medium.join(EVIDENCE[n - 6]), Why::Evidence, why),
                _ => String::new(),
            };
        }
        let words = |hash: Hash| fingerprint::words(&hash.0)[..16].join(" ");
        let plan = medium.join("plan/ceremony.toml");
        match question {
            "Where is the plan?" => plan.display().to_string(),
            "Word 1 of 16" if self.log(side).is_empty() => words(Plan::read(&plan).unwrap().hash()),
            "Word 1 of 16" => {
                let offer = fs::read(self.work.join("hoster/outbox/offer/offer.json")).unwrap();
                let offer: serde_json::Value = serde_json::from_slice(&offer).unwrap();
                words(offer["body"]["fingerprint"].as_str().unwrap().parse().unwrap())
            }
            "Word 1 of 10" => self.codes[&self.confirmed().unwrap()].clone(),
            "PIN of the token" => self.pin.clone(),
            "Share file of the next custodian" => self.shares[0][0].display().to_string(),
            "Identity file that opens it" => {
                self.shares.pop_front().unwrap()[1].display().to_string()
            }
            _ => String::new(),
        }
    }

    /// Whose share the step on the screen confirms.
    fn confirmed(&self) -> Option<String> {
        let screen = self.desk.shown();
        let step = &screen[screen.rfind("REHEARSAL: no real key")?..];
        let (_, rest) = step.split_once("Confirm the share of ")?;
        let name: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        Some(name.to_lowercase())
    }

    /// What is answered where a step may begin; nothing where something else was done.
    fn ready(&mut self, side: &str, why: &mut Why) -> Option<String> {
        self.begun = None;
        if !self.due().is_empty() {
            return Some("q".into());
        }
        // Before there is a record, nothing goes into it.
        let act = if self.log(side).is_empty() { None } else { self.acts.pop_front() };
        match act {
            Some(Act::Page) => return Some("p".into()),
            Some(Act::Note(text)) => {
                self.desk.send("note");
                self.desk.answer("What is to go on record?", text);
                return None;
            }
            Some(Act::More(name, answers)) => {
                self.desk.send("m");
                self.desk.sees("Number, or Enter to go back");
                let number = self.desk.numbered(name);
                self.desk.send(&number);
                for (question, answer) in &answers {
                    self.desk.answer(question, answer);
                }
                self.begun = Some(Act::More(name, answers));
                return None;
            }
            None => {}
        }
        Some(match self.confirmed() {
            Some(id) if id == self.absent => "a".into(),
            Some(_) if self.codes.is_empty() => {
                *why = Why::Codes;
                "q".into()
            }
            _ => String::new(),
        })
    }

    /// Plays both sides, this one first, until something is so.
    #[track_caller]
    pub fn play(&mut self, first: &'static str, until: impl Fn(&Self) -> bool) {
        let (mut side, mut idle, mut sessions) = (first, 0, 0);
        while !until(self) {
            sessions += 1;
            let entries = |player: &Self| player.log("hoster").len() + player.log("tenant").len();
            let before = entries(self);
            match self.session(side) {
                Why::Signatures => self.choose("s"),
                Why::Evidence => self.choose("n"),
                Why::Codes => self.choose("c"),
                Why::Document | Why::Failed | Why::Closed => {
                    side = if side == "h" { "t" } else { "h" };
                }
                Why::Asked => {}
            }
            idle = if entries(self) > before { 0 } else { idle + 1 };
            assert!(idle < 6 && sessions < 60, "nothing goes on: {}", self.desk.shown());
            for (name, ..) in self.due() {
                self.copy(name);
            }
        }
    }

    fn copy(&mut self, name: &str) {
        let to = self.copies.join(name);
        run(std::process::Command::new("cp").arg("-a").args([&self.work, &to]));
        self.moments.retain(|(other, ..)| *other != name);
    }

    /// Everything that was on the screen so far.
    pub fn shown(&self) -> &str {
        self.desk.shown()
    }

    /// Ends the rehearsal; everything that was on the screen.
    pub fn ended(mut self) -> String {
        self.desk.answer("> ", "q");
        self.desk.answer("End here?", "yes");
        desk::without_colours(&self.desk.ended())
    }
}
