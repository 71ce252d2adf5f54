//! What fits a terminal: nothing breaks inside a word, long texts come page by page, and a code that
//! does not fit is not drawn.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::common::{
    programs,
    stage::{Done, Setting, Stage},
};

/// A command at a terminal of so many columns and rows.
fn terminal(
    stage: &Stage,
    (columns, rows): (u16, u16),
    program: &str,
    line: &[&str],
) -> PtySession {
    let script = format!(
        "stty columns {columns} rows {rows}; \"$@\"; code=$?; echo; echo \"ended with $code.\""
    );
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, "bash", program]).args(line).current_dir(stage.dir.path());
    spawn_command(shell, Some(60_000)).unwrap()
}

/// Lines that are wider than the terminal, though they could have been broken between words.
pub fn broken(screen: &str, columns: usize) -> Vec<&str> {
    let fits = |line: &&str| {
        let line = line.trim_end();
        let last = line.rsplit(' ').next().unwrap_or(line);
        // A word that is too long by itself has a line by itself.
        line.chars().count() <= columns || last.chars().count() == line.trim_start().chars().count()
    };
    screen.lines().filter(|line| !fits(line)).collect()
}

#[test]
fn a_code_that_does_not_fit_says_so_before_it_is_drawn() {
    let stage = Stage::of(Setting::composite(), Done::OfferRelease);
    let qr = ["--dir", "hoster", "qr", "hoster/outbox/offer"];
    for screen in [(80, 24), (120, 40)] {
        let mut session = terminal(&stage, screen, programs::HOSTER, &qr);
        let said = session.exp_string("ended with 2.").unwrap();
        let size = format!("this terminal has {} columns and {} rows", screen.0, screen.1);
        assert!(said.contains(&size) && said.contains("--to FOLDER"), "{said}");
        assert!(!said.contains('\u{2588}') && !said.contains("Enter for the next"), "{said}");
    }
    let mut session = terminal(&stage, (200, 120), programs::HOSTER, &qr);
    session.exp_string("code 1 of").unwrap();
    session.exp_string("Enter for the next").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("ended with 4.").unwrap();
}

#[test]
fn what_an_officer_reads_comes_page_by_page_and_whole_words() {
    let stage = Stage::of(Setting::composite(), Done::KekCreate);
    let key = stage.path("people/hana").display().to_string();
    let sign = ["sign", "hoster/outbox/offer", "--as", "hana", "--key", &key];
    let sign = [&sign[..], &["--plan", "plan/ceremony.toml"]].concat();
    for (columns, rows) in [(80, 24), (120, 40)] {
        // Stopped at a page: nothing is signed.
        let mut session = terminal(&stage, (columns, rows), programs::OFFICER, &sign);
        let first = session.exp_string("-- Enter for more").unwrap();
        assert!(first.lines().count() <= rows.into(), "{first}");
        session.send_line("q").unwrap();
        session.exp_string("ended with 4.").unwrap();
        // Read to the end.
        let mut session = terminal(&stage, (columns, rows), programs::OFFICER, &sign);
        let mut shown = String::new();
        loop {
            let needles = ["-- Enter for more", "Type yes"].map(str::to_owned);
            let needles = needles.map(rexpect::ReadUntil::String);
            let (before, found) = session.exp_any(Vec::from(needles)).unwrap();
            // The question's own line is none of the text.
            shown.push_str(before.strip_prefix(", q to stop here: ").unwrap_or(&before));
            if found == "Type yes" {
                break;
            }
            session.send_line("").unwrap();
        }
        assert!(shown.contains("SHA-256 of what you sign"), "{shown}");
        let broken = broken(&shown, columns.into());
        assert!(broken.is_empty(), "{broken:?}");
        session.exp_string("type those: ").unwrap();
        session.send_line("no").unwrap();
        session.exp_string("ended with 4.").unwrap();
    }
}

#[test]
fn what_is_refused_is_json_where_the_result_would_be() {
    let stage = Stage::of(Setting::composite(), Done::Init);
    let refused = |arguments: &[&str]| {
        let ended = stage.hoster(arguments);
        let said: serde_json::Value = serde_json::from_str(ended.out.trim()).unwrap();
        assert_eq!(said["exit_code"], ended.code, "{said}");
        said
    };
    let said = refused(&["--json", "release"]);
    assert_eq!(said["rule"], "PHASE-ORDER");
    for part in ["found", "expected", "to_do"] {
        assert!(!said[part].as_str().unwrap().is_empty(), "{said}");
    }
    let said = refused(&["--json", "abort", "--reason", "a test"]);
    assert_eq!(said["exit_code"], 6);
    assert!(said["what"].as_str().unwrap().contains("ssh-keygen"));
    let said = refused(&["--json", "package", "check", "nowhere"]);
    assert!(said["rule"].is_string() || said["what"].is_string(), "{said}");
    let mut check = Command::new(programs::AUDIT);
    check.args(["plan", "check", "nowhere.toml", "--json"]);
    let output = check.output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["exit_code"], 1, "{said}");
}
