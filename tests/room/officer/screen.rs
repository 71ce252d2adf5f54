//! An officer's terminal.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

pub struct Screen {
    session: PtySession,
    seen: String,
}

impl Screen {
    /// A command at a terminal that is wide enough for every line.
    pub fn new(command: Command) -> Self {
        // The shell outlives Ctrl-C and says how the program ended.
        let script =
            "stty columns 400; trap : INT; \"$@\"; code=$?; echo; echo \"ended with $code.\"";
        // Of a test that runs in the background, a shell would ignore Ctrl-C.
        let mut shell = Command::new("env");
        shell
            .args(["--default-signal=INT", "bash", "-c", script, "bash"])
            .arg(command.get_program())
            .args(command.get_args());
        shell.current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Screen { session: spawn_command(shell, Some(60_000)).unwrap(), seen: String::new() }
    }

    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        match self.session.exp_string(text) {
            Ok(before) => self.seen.push_str(&(before + text)),
            Err(error) => panic!("waits for {text:?}: {error}\n{}", self.seen),
        }
    }

    #[track_caller]
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.sees(question);
        self.session.send_line(answer).unwrap();
    }

    pub fn interrupt(&mut self) {
        self.session.send_control('c').unwrap();
    }

    /// All that was on the screen, once the program has ended with this code.
    #[track_caller]
    pub fn ends_with(mut self, code: i32) -> String {
        self.sees(&format!("ended with {code}."));
        self.seen
    }
}
