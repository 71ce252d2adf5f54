//! One side's terminal, with everything that was ever on it.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::common::{preload, programs, stage::Stage};

pub struct Desk {
    session: PtySession,
    side: &'static str,
    recording: String,
    /// Whether nothing is typed before a prompt has come to its end: it would be echoed inside it.
    pub whole_prompts: bool,
}

impl Desk {
    /// A script of ours, at a terminal of 80 columns.
    pub fn script(arguments: &[&str]) -> Self {
        let mut command = Command::new("bash");
        command.args([
            "-c",
            "stty echo columns 80; \"$@\"; code=$?; echo; echo the desk ended with $code",
            "bash",
            concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/rehearse"),
        ]);
        let bin = std::path::Path::new(programs::AUDIT);
        command.args(arguments).env("KEYFERRY_BIN", bin.parent().unwrap());
        command.env("LD_PRELOAD", preload::primes());
        Desk {
            session: spawn_command(command, Some(600_000)).unwrap(),
            side: "hoster",
            recording: String::new(),
            whole_prompts: false,
        }
    }

    /// `next` of a side, at a terminal of 80 columns.
    pub fn new(stage: &Stage, side: &'static str) -> Self {
        Desk::sized(stage, side, &[("TERM", "xterm")], 80)
    }

    pub fn sized(
        stage: &Stage,
        side: &'static str,
        variables: &[(&str, &str)],
        columns: u16,
    ) -> Self {
        Desk::at(stage, side, variables, (columns, 24), "en")
    }

    /// `next` of a side, at a terminal of so many columns and rows, in a language.
    pub fn at(
        stage: &Stage,
        side: &'static str,
        variables: &[(&str, &str)],
        (columns, rows): (u16, u16),
        language: &str,
    ) -> Self {
        let program = programs::of_side(side);
        let script = format!(
            "stty echo columns {columns} rows {rows}; \"$@\"; code=$?; echo; echo the desk ended with $code"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script, "sh", program, "--dir", side]);
        command.arg("--module").arg(stage.module(side)).args(["--token", side, "next"]);
        command.args(["--language", language]);
        stage.environment(&mut command, side);
        command.env_remove("NO_COLOR").envs(variables.iter().copied());
        command.current_dir(stage.dir.path());
        Desk {
            session: spawn_command(command, Some(600_000)).unwrap(),
            side,
            recording: String::new(),
            whole_prompts: false,
        }
    }

    /// Waits until this is on the screen.
    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        match self.session.exp_string(text) {
            Ok(before) => {
                self.recording.push_str(&before);
                self.recording.push_str(text);
            }
            Err(error) => panic!("{} waits for {text:?}: {error}\n{}", self.side, self.tail()),
        }
    }

    /// Waits until one of these is on the screen; which.
    #[track_caller]
    pub fn sees_any(&mut self, texts: &[&str]) -> usize {
        let needle = |text: &&str| rexpect::ReadUntil::String((*text).to_owned());
        match self.session.exp_any(texts.iter().map(needle).collect()) {
            Ok((before, found)) => {
                self.recording.push_str(&(before + &found));
                texts.iter().position(|text| *text == found).unwrap()
            }
            Err(error) => panic!("{} waits: {error}\n{}", self.side, self.tail()),
        }
    }

    /// The number of what has this name in the list that is on the screen.
    #[track_caller]
    pub fn numbered(&self, name: &str) -> String {
        let line = self.recording.lines().rev().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {}", self.recording));
        line.split_whitespace().next().unwrap().to_owned()
    }

    fn tail(&self) -> String {
        let from = self.recording.len().saturating_sub(1500);
        let from = (from..).find(|at| self.recording.is_char_boundary(*at)).unwrap();
        self.recording[from..].to_owned()
    }

    /// What follows in the line.
    pub fn rest_of_line(&mut self) -> String {
        let line = self.session.read_line().unwrap();
        self.recording.push_str(&line);
        self.recording.push('\n');
        line
    }

    pub fn send(&mut self, answer: &str) {
        self.session.send_line(answer).unwrap();
    }

    #[track_caller]
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.sees(question);
        if self.whole_prompts && !question.ends_with("> ") {
            // A prompt that just fills a line ends with the line.
            self.sees_any(&[": ", ":\r\n"]);
        }
        self.send(answer);
    }

    #[track_caller]
    pub fn enter(&mut self, question: &str) {
        self.answer(question, "");
    }

    /// Everything that was on the screen so far.
    pub fn shown(&self) -> &str {
        &self.recording
    }

    /// A control character, as a key.
    pub fn control(&mut self, key: char) {
        self.session.send_control(key).unwrap();
    }

    /// Ctrl-C; it says how to go on.
    #[track_caller]
    pub fn interrupt(&mut self) {
        self.session.send_control('c').unwrap();
        self.sees("goes on from here");
    }

    /// The same side's `next` once more.
    pub fn again(self, stage: &Stage) -> Self {
        self.again_with(stage, &[])
    }

    /// The same, its module told this besides.
    pub fn again_with(mut self, stage: &Stage, shim: &[(&str, &str)]) -> Self {
        let so_far = self.until_its_end();
        let variables = [&[("TERM", "xterm")], shim].concat();
        let mut desk = Desk::sized(stage, self.side, &variables, 80);
        desk.recording = so_far;
        desk
    }

    /// Everything that was on the screen, once the program has ended.
    pub fn ended(mut self) -> String {
        let all = self.until_its_end();
        // rexpect reads bytes as characters.
        let bytes: Option<Vec<u8>> = all.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(all)
    }

    fn until_its_end(&mut self) -> String {
        self.sees("the desk ended with");
        let rest = self.session.exp_eof().unwrap();
        std::mem::take(&mut self.recording) + &rest
    }
}

/// A screen without what colours it.
pub fn without_colours(screen: &str) -> String {
    let mut plain = String::new();
    let mut rest = screen;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
