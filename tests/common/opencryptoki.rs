//! opencryptoki's soft token, in the chroot that `tests/probe/opencryptoki.sh` makes.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use super::{SO_PIN, programs, run};

/// The module, as programs in the chroot find it.
pub const OPENCRYPTOKI: &str = "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0";
/// A PIN that the token takes: 4 to 8 characters.
pub const SHORT_PIN: &str = "7d31f09c";

/// Where Debian forky is, made once.
const ROOT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/forky");

/// The process whose namespaces the token is in; it ends with this test program, whose pipe it
/// reads.
struct Chroot {
    _script: Child,
    process: String,
}

/// Whether this machine can have the chroot.
pub fn is_possible() -> bool {
    let user = String::from_utf8(run(Command::new("id").arg("-u"))).unwrap();
    user.trim() == "0" && Command::new("mmdebstrap").arg("--version").output().is_ok()
}

fn chroot() -> &'static str {
    static CHROOT: OnceLock<Chroot> = OnceLock::new();
    let start = || {
        let programs = Path::new(programs::TENANT).parent().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/opencryptoki.sh");
        let mut script = Command::new(script)
            .arg(ROOT)
            .args([SO_PIN, SHORT_PIN])
            .args([&std::env::temp_dir(), programs])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = String::new();
        let mut said = BufReader::new(script.stdout.take().unwrap());
        said.read_line(&mut process).unwrap();
        let process = process.trim().to_owned();
        assert!(process.parse::<u32>().is_ok(), "the chroot did not start: {process:?}");
        Chroot { _script: script, process }
    };
    &CHROOT.get_or_init(start).process
}

/// A program that runs in the chroot, in this folder.
pub fn enter(program: &str, folder: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-m", "-p", "-t", chroot(), "chroot", ROOT, "env", "-C"]);
    command.arg(folder).arg(program);
    command
}
