//! One run of a command in which something goes wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{
    stage::{Ended, Stage},
    walk::ASKS,
};

/// Longer than any command takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a run ended.
pub enum End {
    /// By itself.
    Exited(Ended),
    /// By a signal: its own fault's, or ours once it hung.
    Killed,
}

/// What the shim is told, and where it records.
pub struct Shim {
    pub fault: Option<String>,
    pub record: PathBuf,
}

impl Shim {
    pub fn in_command(&self, command: &mut Command) {
        command.env("KEYFERRY_SHIM_CALLS", &self.record);
        if let Some(fault) = &self.fault {
            command.env("KEYFERRY_SHIM_FAULT", fault);
        }
    }

    /// The names of the calls that were made.
    pub fn calls(&self) -> Vec<String> {
        let record = fs::read_to_string(&self.record).unwrap_or_default();
        let name = |line: &str| line.split_once(' ').map(|(_, name)| name.to_owned());
        record.lines().filter_map(name).collect()
    }
}

/// Runs a command with which nothing is wrong.
pub fn run_well(stage: &Stage, command: Command, record: &Path, context: &str) {
    match run(stage, command, record, context) {
        End::Exited(ended) if [0, ASKS].contains(&ended.code) => {}
        End::Exited(ended) => panic!("{context}: {ended:?}"),
        End::Killed => panic!("{context}: it was killed"),
    }
}

/// Runs a command whose HSM may hang, by the shim's record; a run that ends in no other way fails
/// the test.
pub fn run(stage: &Stage, mut command: Command, record: &Path, context: &str) -> End {
    let outputs = ["trial.out", "trial.err"].map(|name| stage.path(name));
    let open = |path: &PathBuf| Stdio::from(fs::File::create(path).unwrap());
    command.stdout(open(&outputs[0])).stderr(open(&outputs[1]));
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let hangs = || fs::read(record).is_ok_and(|calls| calls.ends_with(b"hangs\n"));
        if hangs() {
            // What a person does with an HSM that never answers.
            child.kill().unwrap();
        }
        assert!(begun.elapsed() < PATIENCE, "{context}: it does not end");
        std::thread::sleep(Duration::from_millis(2));
    };
    let [out, err] = outputs.map(|path| {
        let text = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    match status.code() {
        Some(code) => End::Exited(Ended { code, out, err }),
        None => End::Killed,
    }
}
