//! The custodian's program, on a real terminal where people are asked.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use rexpect::session::{PtySession, spawn_command};

use crate::common::programs;
use common::{PASSPHRASE, handed_out, shares};
use custody::{custodian::encrypt_share, share::Share};
use record::fingerprint;

mod common;
mod files;

fn program() -> Command {
    Command::new(programs::CUSTODIAN)
}

fn run(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    program().args(arguments.iter().map(|argument| argument.as_ref())).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The program on a terminal of its own, which echoes (rexpect's does not by itself) and tells at
/// the end whether it still does.
fn terminal(arguments: &[&str]) -> PtySession {
    let script = r#"stty echo; "$@"; code=$?; stty -a; exit $code"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", programs::CUSTODIAN]);
    command.args(arguments);
    spawn_command(command, Some(600_000)).unwrap()
}

fn exit_code(mut session: PtySession) -> (String, i32) {
    let rest = session.exp_eof().unwrap();
    match session.process_mut().wait().unwrap() {
        rexpect::process::WaitStatus::Exited(_, code) => {
            for mode in ["echo", "isig", "icanon"] {
                assert!(rest.split_whitespace().any(|word| word == mode), "{mode} is off: {rest}");
            }
            (rest, code)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn check_shows_the_code_and_never_the_share() {
    let (_folder, share, file, identity) = handed_out();
    let output = run(&[&"share", &"check", &file, &"--identity", &identity]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(err.contains("1 of 3"), "{err}");
    assert!(err.contains(&share.deal().package_id.to_string()), "{err}");
    assert_eq!(out.trim_end(), fingerprint::words(&share.code()).join(" "));
    assert!(err.contains("share confirm"), "{err}");
    let all = (out + &err).to_uppercase().replace(char::is_whitespace, "");
    let record = share.text();
    assert!((0..100).all(|at| !all.contains(&record[at..at + 9])));
}

#[test]
fn open_refuses_to_write_a_share_anywhere_but_a_terminal() {
    let (_folder, _, file, identity) = handed_out();
    let output = run(&[&"share", &"open", &file, &"--identity", &identity]);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("SHARE-SHOWN"));
}

#[test]
fn the_program_refuses_by_name_and_exit_code() {
    let (folder, _, file, identity) = handed_out();
    let (other, _) = common::identity(&folder, "other");
    let output = run(&[&"share", &"check", &file, &"--identity", &other]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("SHARE-IDENTITY"));
    assert!(output.stdout.is_empty());
    let evil = folder.path().join("\u{1b}[2Jno");
    let output = run(&[&"share", &"check", &evil, &"--identity", &identity]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).contains('\u{1b}'));
    assert_eq!(run(&[&"share", &"chek"]).status.code(), Some(2));
    assert_eq!(run(&[&"share", &"check", &file]).status.code(), Some(2));
}

#[test]
fn identity_new_writes_once_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let output = run(&[&"identity", &"new", &path, &"--no-passphrase"]);
    assert!(output.status.success());
    let recipient = text(&output.stdout).trim_end().to_owned();
    assert!(recipient.starts_with("age1"));
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    for arguments in [&["--no-passphrase"][..], &[]] {
        let again =
            program().args(["identity", "new"]).arg(&path).args(arguments).output().unwrap();
        assert_eq!(again.status.code(), Some(3));
        assert!(text(&again.stderr).contains("FILE-EXISTS"));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let file = encrypt_share(&shares()[0], &[recipient]).unwrap();
    common::open(&file, &before, "").0.unwrap();
}

#[test]
fn a_passphrase_is_typed_unseen_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let name = path.to_str().unwrap();
    let mut session = terminal(&["identity", "new", name]);
    let mut seen = session.exp_string("New passphrase").unwrap();
    session.send_line("short").unwrap();
    seen += &session.exp_string("at least 12 characters").unwrap();
    seen += &session.exp_string("New passphrase").unwrap();
    session.send_line(PASSPHRASE).unwrap();
    seen += &session.exp_string("The same again").unwrap();
    session.send_line("not quite the same").unwrap();
    seen += &session.exp_string("New passphrase").unwrap();
    session.send_line(PASSPHRASE).unwrap();
    seen += &session.exp_string("The same again").unwrap();
    session.send_line(PASSPHRASE).unwrap();
    let (rest, code) = exit_code(session);
    assert_eq!(code, 0, "{rest}");
    seen += &rest;
    for typed in ["short\r", PASSPHRASE, "not quite"] {
        assert!(!seen.contains(typed), "{seen}");
    }
    let recipient = rest.split_whitespace().find(|word| word.starts_with("age1")).unwrap();
    let share = shares().remove(2);
    let file = folder.path().join("dan.age");
    std::fs::write(&file, encrypt_share(&share, &[recipient.to_owned()]).unwrap()).unwrap();

    let mut session = terminal(&["share", "open", file.to_str().unwrap(), "--identity", name]);
    session.exp_string("Passphrase of the identity").unwrap();
    session.send_line(PASSPHRASE).unwrap();
    // Shown once somebody says that nobody sees it, then cleared, the scrollback too.
    session.exp_string("Enter shows your share").unwrap();
    session.send_line("").unwrap();
    let shown = session.exp_string("Enter clears it from the screen").unwrap();
    session.send_line("").unwrap();
    let (rest, code) = exit_code(session);
    assert_eq!(code, 0, "{rest}");
    assert!(shown.contains("\u{1b}[?1049h"), "{shown}");
    assert!(rest.contains("\u{1b}[2J\u{1b}[3J\u{1b}[H\u{1b}[?1049l"), "{rest}");
    let screen = shown + &rest;
    assert!(!screen.contains(PASSPHRASE));
    assert!(screen.contains("keyferry-hoster --dir CEREMONY import PACKAGE"), "{screen}");
    // What is shown can be typed as it is.
    let shown = screen.lines().filter(|line| line.starts_with("  "));
    let mut typed = custody::codes::lines::TypedLines::default();
    let restored = shown.take(5).map(|line| typed.take(line).unwrap());
    assert_eq!(restored.collect::<Vec<_>>(), [0; 5]);
    let typed = Share::from_record(&typed.finish().unwrap().bytes).unwrap();
    assert_eq!(*typed.text(), *share.text());
}

#[test]
fn ctrl_c_and_ctrl_d_end_a_question_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    for key in ['c', 'd'] {
        let mut session = terminal(&["identity", "new", path.to_str().unwrap()]);
        session.exp_string("New passphrase").unwrap();
        session.send_control(key).unwrap();
        let (rest, code) = exit_code(session);
        assert_eq!(code, 4, "{rest}");
        assert!(rest.contains("ended by the people"), "{rest}");
        assert!(!path.exists());
    }
}
