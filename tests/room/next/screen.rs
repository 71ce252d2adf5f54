//! What fits a terminal: nothing breaks inside a word, long texts come page by page, and a code that
//! does not fit is not drawn.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::common::{
    programs,
    stage::{Done, Setting, Stage},
};
use terminal::report::Report;

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
    // Only Enter shows the next one.
    session.send_line("maybe").unwrap();
    session.exp_string("Only Enter (or yes) goes on").unwrap();
    session.exp_string("Enter for the next").unwrap();
    session.send_line("").unwrap();
    session.exp_string("code 2 of").unwrap();
    session.exp_string("Enter for the next").unwrap();
    session.send_line("no").unwrap();
    session.exp_string("ended with 4.").unwrap();
    let mut session = terminal(&stage, (200, 120), programs::HOSTER, &qr);
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

/// A command as a person copies it from the screen: with the lines that it goes on in.
fn copied(screen: &str, program: &str, has: &str) -> String {
    let whole = screen.replace(" \\\r\n", " ");
    let line =
        whole.lines().map(str::trim).find(|line| line.starts_with(program) && line.contains(has));
    let line = line.unwrap_or_else(|| panic!("{program}, {has}: {screen}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// On a medium that is called after its owner, O'Neil, the lines that the screen prints for those
/// who sign are such as a shell reads: typed there, they sign.
#[test]
fn the_lines_to_sign_by_are_read_by_a_shell_whatever_the_medium_is_called() {
    let stage = Stage::of(Setting::composite(), Done::KekCreate);
    let medium = stage.path("O'Neil's medium");
    for (folder, file) in [("plan", "ceremony.toml"), ("hoster/outbox/offer", "offer.json")] {
        let to = medium.join(std::path::Path::new(folder).file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(stage.path(folder).join(file), to.join(file)).unwrap();
    }
    let bin = std::path::Path::new(programs::OFFICER).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let plan = medium.join("plan/ceremony.toml");
    for language in ["en", "de"] {
        for screen in [(80, 24), (120, 40)] {
            let shown = |program: &str, line: &[&str]| {
                let line = [line, &["--language", language]].concat();
                let line = if program == programs::AUDIT { &line[..line.len() - 2] } else { &line };
                // rexpect reads bytes as characters.
                let read = terminal(&stage, screen, program, line).exp_eof().unwrap();
                let bytes = read.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
                String::from_utf8(bytes).unwrap()
            };
            let check = ["plan", "check", plan.to_str().unwrap()];
            let offer = medium.join("offer/offer.json");
            let show = ["show", offer.to_str().unwrap()];
            let [checked, explained] =
                [shown(programs::AUDIT, &check), shown(programs::OFFICER, &show)];
            for text in [&checked, &explained] {
                let broken = broken(text, screen.0.into());
                assert!(broken.is_empty(), "{broken:#?}");
            }
            let key = stage.path("people/hana");
            for (line, signature) in [
                (
                    copied(&checked, "keyferry-officer", "--as hana") + " --yes",
                    "plan/ceremony.toml",
                ),
                (
                    copied(&explained, "keyferry-officer", "--as YOUR-ID") + " --yes",
                    "offer/offer.json",
                ),
                (copied(&explained, "ssh-keygen", "YOUR-ID"), "offer/offer.json"),
            ] {
                assert!(line.contains("O'\\''Neil") || line.contains("O\\'Neil"), "{line}");
                let typed = line
                    .replace("KEY", &format!("'{}'", key.display()))
                    .replace("--plan PLAN", "--plan plan/ceremony.toml")
                    .replace("YOUR-ID", "hana");
                let signed = medium.join(format!("{signature}.hana.sig"));
                let mut shell = Command::new("sh");
                shell.args(["-c", &typed]).current_dir(stage.dir.path()).env("PATH", &path);
                let ended = crate::common::stage::ended(&mut shell);
                assert_eq!(ended.code, 0, "{typed}: {ended:?}");
                let bytes = std::fs::read_to_string(&signed);
                let bytes = bytes.unwrap_or_else(|error| panic!("{typed}: {error}: {ended:?}"));
                assert!(bytes.starts_with("-----BEGIN SSH SIGNATURE-----"), "{bytes}");
                std::fs::remove_file(signed).unwrap();
            }
        }
    }
}

#[test]
fn a_long_result_has_headings_and_a_short_one_is_as_it_was() {
    // With what comes next it still fits a terminal of 24 rows.
    const SHORT: usize = 14;
    let report = |rows: usize| {
        Report::new("It is made.")
            .value("file", "offer.json")
            .part("NOTHING IN IT")
            .part("WORDS")
            .lines((0..rows).map(|n| format!("{n}  one two three four")))
            .part("WORDS")
            .line("These were the words.")
            .part("NOTHING AFTER IT")
    };
    let short = report(SHORT - 3).text();
    assert_eq!(short.lines().count(), SHORT);
    assert!(!short.contains("WORDS") && !short.contains("\n\n"), "{short}");
    let long = report(SHORT - 2).text();
    let begins = "It is made.\nfile:         offer.json\n\nWORDS\n0  one two";
    assert!(long.starts_with(begins), "{long}");
    assert!(long.ends_with("These were the words.\n"), "{long}");
    assert_eq!(long.lines().count(), SHORT + 1 + 2);
    // What is wider than the terminal takes as many rows as it is broken into.
    let wide = Report::new("a ".repeat(80 * SHORT)).part("PART").line("one").text();
    assert!(wide.contains("\n\nPART\none\n"), "{wide}");
}
