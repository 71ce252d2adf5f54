//! Commands that are killed, each time at the same moment.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::stage::Stage;

/// System calls between which a disk changes: killed as each begins, a command leaves every state
/// that it ever lets be seen.
pub const CHANGES: [&str; 3] = ["fsync", "renameat2", "unlink"];

const SIGKILL: i32 = 9;

impl Stage {
    /// Runs a command of a side that is killed as it begins this system call for the n-th time,
    /// counted from 1, of a path below the stage where one is given. Whether it was; otherwise it
    /// came to its end.
    pub fn killed(&self, side: &str, arguments: &[&str], call: &str, nth: usize) -> bool {
        self.killed_on(side, arguments, None, call, nth)
    }

    /// The same, of the calls that concern this path below the stage.
    pub fn killed_on(
        &self,
        side: &str,
        arguments: &[&str],
        path: Option<&str>,
        call: &str,
        nth: usize,
    ) -> bool {
        let (trace, inject) =
            (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
        let mut options = vec!["-f", "-qq", "-e", &trace, "-e", &inject, "-o", "/dev/null"];
        let path = path.map(|path| self.path(path).display().to_string());
        options.extend(path.iter().flat_map(|path| ["-P", path]));
        let mut command = through("strace", &options, &self.command(side, arguments));
        let status = (command.stdin(Stdio::null()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        // strace ends as the command did.
        status.signal() == Some(SIGKILL)
    }

    /// Runs a command of a side whose shim is told this fault, by which it is killed.
    pub fn killed_in_hsm(&self, side: &str, arguments: &[&str], fault: &str) {
        let mut command = self.command(side, arguments);
        command.env("KEYFERRY_SHIM_FAULT", fault);
        let status = command.stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "{fault}: {status}");
    }

    /// Waits until a call of the shim that was told to hang does so, by its record.
    pub fn hangs(&self, record: &Path) {
        while !fs::read(record).is_ok_and(|calls| calls.ends_with(b"hangs\n")) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A command, run by a program that takes it as its last arguments.
pub fn through(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut whole = Command::new(program);
    whole.args(arguments);
    whole.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        whole.current_dir(dir);
    }
    whole
}
