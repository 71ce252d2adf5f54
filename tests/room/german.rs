//! What the programs say, in German: every sentence of `said.de.toml` is one that they say, and what
//! they end with has its German there.

use std::{collections::BTreeSet, fs, path::Path};

use crate::common::stage::{Done, Setting, Stage, ended};
use record::show::by_key;

const SAID: &str = include_str!("../../templates/text/said.de.toml");
const FIRST: &str = include_str!("../../templates/text/first.toml");

/// What programs put together, each from parts of theirs.
const COMPOSED: [&str; 15] = [
    "now one last try is left",
    "now the PIN is locked",
    "it may still be on the token; let the HSM's security officer remove the public key keyferry-kek-…, and note it",
    "next: on the {}'s machine, {}",
    "next: on the {}'s machine, the {}'s officers",
    "PIN of the security officer (SO) of the token {}: ",
    "the deputy of {} holds the right share.",
    "the deputy of {name} holds the right share.",
    "{name} holds the right share.",
    "Refused: {fault} ({rule})",
    "made, SPKI SHA-256 {}",
    "found, SPKI SHA-256 {}",
    "the share file: {}",
    "the identity file: {}",
    "no PKCS#11 module",
];

/// The sources below a folder of `src/`, without their own tests.
fn sources(folder: &str) -> String {
    let mut all = String::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut folders = vec![path];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                all += text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            }
        }
    }
    all
}

/// A literal's text, as it is in the program.
fn plain(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some('\n')) => {
                while rest.peek().is_some_and(|c| c.is_whitespace()) {
                    rest.next();
                }
            }
            ('\\', Some(_)) => match rest.next().unwrap() {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            _ => text.push(c),
        }
    }
    text
}

/// What is filled in; commands are, as soon as the German is read.
fn holes(text: &str) -> Vec<&str> {
    let all = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let mut found: Vec<&str> = all.filter(|hole| !hole.contains(' ')).collect();
    found.sort_unstable();
    found
}

#[test]
fn every_german_sentence_is_of_one_that_the_programs_say() {
    let all = plain(&sources("")) + FIRST;
    let said = by_key(SAID);
    assert!(said.len() > 700, "{}", said.len());
    for (english, german) in &said {
        assert_eq!(holes(english), holes(german), "{english}");
        assert!(!german.trim().is_empty(), "{english}");
        let fixed: usize = english.split(['{', '}']).step_by(2).map(str::len).sum();
        assert!(fixed >= 6 || !english.contains('{'), "it fits nearly everything: {english}");
        let composed = COMPOSED.contains(&english.as_str());
        assert!(composed || all.contains(english.as_str()), "nothing says: {english}");
    }
    for composed in COMPOSED {
        assert!(said.contains_key(composed), "{composed}");
    }
}

/// What stands between the parentheses of each call of this name, as far as they go.
fn calls<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(name) {
        let call = &text[at + name.len()..];
        let (mut depth, mut quoted, mut escaped) = (1, false, false);
        let end = call.char_indices().find(|(_, c)| {
            match (c, quoted) {
                _ if escaped => escaped = false,
                ('\\', true) => escaped = true,
                ('"', _) => quoted = !quoted,
                ('(', false) => depth += 1,
                (')', false) => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        found.push(&call[..end.unwrap().0]);
    }
    found
}

/// The literals of a piece of source.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some((_, after)) = rest.split_once('"') {
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.unwrap();
        found.push(plain(&after[..end]));
        rest = &after[end + 1..];
    }
    found
}

/// Results, and what people find, need and do where something is refused: of the two sides and of
/// custodians, but for `probe`.
#[test]
fn what_commands_end_with_has_its_german() {
    let said = by_key(SAID);
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for folder in ["ceremony/tenant", "ceremony/hoster", "custody", "program", "desk"] {
        let text = sources(folder);
        let names =
            ["Report::new(", ".line(", ".refuse(", ".ensure(", "Error::failed(", "Error::usage("];
        for call in names.iter().flat_map(|name| calls(&text, name)) {
            for line in literals(call).iter().flat_map(|literal| literal.split('\n')) {
                let line = line.trim();
                let words = line.split(['{', '}']).step_by(2).collect::<String>();
                let is_sentence = words.split(' ').filter(|word| word.len() > 2).count() > 2;
                // A command, or what PowerShell takes.
                let is_command = line.split(' ').any(|word| {
                    word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '-')
                }) || line.contains(" -")
                    && line.starts_with(|c: char| c.is_ascii_uppercase());
                if !is_sentence || is_command {
                    continue;
                }
                seen += 1;
                let has = said.contains_key(line) || said.contains_key(&format!("{line} "));
                if !has && line != "{who}{name} holds the right share." {
                    missing.insert(line.to_owned());
                }
            }
        }
    }
    assert!(seen > 150, "{seen}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What somebody reads who has chosen German: of results, of refusals, of what comes next.
#[test]
fn a_german_officer_reads_german() {
    let stage = Stage::of(Setting::composite(), Done::Export);
    let german = |side: &str, arguments: &[&str]| {
        stage.side(side, &[arguments, &["--language", "de"]].concat())
    };
    let status = german("tenant", &["status"]);
    for line in ["Die Zeremonie test, Seite tenant.", "Art:          Probe", "unbestätigt:  cyd,"]
    {
        assert!(status.out.contains(line), "{line}: {status:?}");
    }
    for line in ["als Nächstes, am Rechner der Seite tenant: der Security Officer", "zuerst: jedem"]
    {
        assert!(status.err.contains(line), "{line}: {status:?}");
    }
    // The next command speaks German, too.
    assert!(status.err.contains("--language de share confirm cyd"), "{status:?}");
    let refused = german("tenant", &["receipt", "check", "medium/offer"]).ended_with(3);
    for line in [
        "Abgelehnt: dieser Schritt ist jetzt nicht an der Reihe (PHASE-ORDER)",
        "  gefunden:  ",
        "  erwartet:  ",
        "  zu tun:    `keyferry-tenant",
        "zeigt den nächsten Schritt, wer ihn tut, und den genauen Befehl",
    ] {
        assert!(refused.contains(line), "{line}: {refused}");
    }
    // Logs and JSON do not.
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("\"rule\":\"PHASE-ORDER\""), "{log}");
    let json = german("tenant", &["--json", "status"]).ok();
    assert!(json.contains("\"mode\":\"rehearsal\"") && json.contains("\"phase\""), "{json}");
    let share = "tenant/outbox/shares/cyd.age";
    let check = ["share", "check", share, "--identity", "people/cyd.identity", "--language", "de"];
    let said = stage.custodian(&check);
    assert_eq!(said.code, 0, "{said:?}");
    for line in ["Dies ist Anteil 1 von 5", "als Nächstes: diese Wörter dem Officer"] {
        assert!(said.err.contains(line), "{line}: {said:?}");
    }
    let other = ["share", "check", share, "--identity", "people/dan.identity", "--language", "de"];
    let said = stage.custodian(&other).ended_with(3);
    for line in ["(SHARE-IDENTITY)", "sehen Sie nach, ob Datei und Identität derselben Person"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // For every program at once.
    let mut print = stage.command("hoster", &["print", "offer"]);
    let printed = ended(print.env("KEYFERRY_LANGUAGE", "de")).ok();
    assert!(printed.starts_with("Die Seite ist gemacht"), "{printed}");
}
