//! What the programs say, in German: every sentence of `said.de.toml` is one that they say, and what
//! they end with has its German there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use crate::common::{
    programs,
    stage::{Done, Ended, Setting, Stage, ended},
};
use ::show::by_key;
use record::Rule;

const SAID: &str = include_str!("../../templates/text/said.de.toml");
const FIRST: &str = include_str!("../../templates/text/first.toml");

/// What is read by people and has no German, by why.
const ENGLISH: &str = include_str!("english.toml");

/// The sources below a folder of `src/`, without their own tests.
fn sources(folder: &str) -> String {
    let mut all = String::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut folders = vec![path];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry
                .to_str()
                .is_some_and(|it| it.ends_with(".rs") && !it.ends_with("tests.rs"))
            {
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

/// What the sentences are, without the name of their table.
fn sentences() -> BTreeMap<String, String> {
    let of = |key: &str| match key.split_once('.') {
        Some(("signed" | "composed" | "library", sentence)) => sentence.to_owned(),
        _ => key.to_owned(),
    };
    by_key(SAID).iter().map(|(key, german)| (of(key), german.clone())).collect()
}

#[test]
fn every_german_sentence_is_of_one_that_the_programs_say() {
    let all = plain(&sources("")) + FIRST;
    let said = by_key(SAID);
    assert!(said.len() > 1200, "{}", said.len());
    assert_eq!(said.len(), sentences().len());
    let mut elsewhere = 0;
    for (key, german) in &said {
        let table = ["composed.", "library."].into_iter().find(|table| key.starts_with(table));
        let english = key.trim_start_matches("signed.").trim_start_matches(table.unwrap_or(""));
        assert_eq!(holes(english), holes(german), "{english}");
        assert!(!german.trim().is_empty(), "{english}");
        let fixed: usize = english.split(['{', '}']).step_by(2).map(str::len).sum();
        assert!(fixed >= 5 || !english.contains('{'), "it fits nearly everything: {english}");
        elsewhere += usize::from(table.is_some());
        assert!(table.is_some() || all.contains(english), "nothing says: {english}");
    }
    assert!(elsewhere < 170, "{elsewhere}");
}

/// The literals of a source, each with what stands before it.
fn literals(source: &str) -> Vec<(&str, String)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(next) = source[at..].find(['"', '\'', '/']) {
        at += next;
        let rest = &source[at..];
        let chars: Vec<char> = rest.chars().take(4).collect();
        at += match chars[..] {
            ['/', '/', ..] => rest.find('\n').unwrap_or(rest.len()),
            ['\'', '\\', c, '\'', ..] => 3 + c.len_utf8(),
            ['\'', c, '\'', ..] => 2 + c.len_utf8(),
            ['"', ..] => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                let end = 1 + end.unwrap();
                found.push((source[..at].trim_end(), plain(&rest[1..end])));
                end + 1
            }
            _ => 1,
        };
    }
    found
}

/// Whether a line is one that is read: two words at least, one of them in small letters.
fn is_sentence(line: &str) -> bool {
    let bare: String = line.split(['{', '}']).step_by(2).collect();
    let words = bare.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphabetic()));
    let is_word =
        |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
    let words: Vec<&str> = words.filter(is_word).collect();
    words.len() > 1 && words.iter().any(|word| word.chars().all(char::is_lowercase))
}

/// Whatever people may read on a screen has its German, or stands in `english.toml`, with why not.
#[test]
fn what_programs_say_has_its_german() {
    let texts = by_key(include_str!("../../templates/text/de.toml"));
    let said = sentences();
    // What rules say has its German in rules.de.toml, by their names.
    let rules = Rule::ALL.iter().flat_map(|rule| [rule.text(), rule.fault()]);
    let who = texts.keys().filter_map(|key| key.strip_prefix("who."));
    let said: BTreeSet<&str> = said.keys().map(|key| key.trim()).chain(rules).chain(who).collect();
    let mut english = by_key(ENGLISH);
    // Command lines and attributes are nobody's sentences.
    let before = [".line(", ".complete(", "reason =", "tool(", "include_str!(", "doc ="];
    let (mut missing, mut seen) = (BTreeSet::new(), 0);
    let all = sources("");
    let mut found = BTreeSet::new();
    for (before_it, literal) in literals(&all) {
        if before.iter().any(|call| before_it.ends_with(call)) {
            continue;
        }
        for line in literal
            .split('\n')
            .map(str::trim)
            .filter(|line| is_sentence(line) && !line.starts_with('<'))
        {
            seen += 1;
            found.insert(line.to_owned());
            if !said.contains(line) && !english.contains_key(line) {
                missing.insert(line.to_owned());
            }
        }
    }
    assert!(seen > 1500, "{seen}");
    assert!(missing.is_empty(), "{} without German: {missing:#?}", missing.len());
    english.retain(|line, _| !found.contains(line));
    assert!(english.is_empty(), "nothing says: {english:#?}");
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
    for line in ["Dies ist Anteil 1 von 5", "als Nächstes: diese Wörter dem Security Officer"] {
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

/// Words that English has, and German has not.
const OF_ENGLISH: &str = "the of is are and that with from has have not which what it its nothing nobody for by been one no other than would can cannot this be to";

/// What a program ended with in German says nothing of what it says in English, but for names,
/// values and words that people sign.
fn assert_german(program: &str, arguments: &[&str]) -> Ended {
    let said = |language: &str| {
        let mut command = Command::new(program);
        ended(command.args(arguments).env("KEYFERRY_LANGUAGE", language))
    };
    let (english, german) = (said("en"), said("de"));
    assert_eq!(english.code, german.code, "{german:?}");
    assert_no_english(&(german.out.clone() + &german.err), &(english.out + &english.err));
    german
}

/// What is read in German, beside what is read in English of the same.
fn assert_no_english(german: &str, english: &str) {
    // Words that people sign stand there in English, and below them what they mean.
    let below = german.lines().skip(1).chain([""]);
    let lines = german.lines().zip(below).filter(|(_, below)| !below.contains("(auf Deutsch: "));
    let lines: BTreeSet<&str> = lines.map(|(line, _)| line.trim()).collect();
    let stays = |line: &&str| {
        ["keyferry-", "ssh-keygen ", "| ", "reason: "].iter().any(|it| line.starts_with(it))
            || is_row(line)
    };
    for line in english.lines().map(str::trim).filter(|line| !stays(line)) {
        let read = is_sentence(&without_names(line));
        assert!(!read || !lines.contains(line), "in English: {line}\n{german}");
    }
    for line in lines.iter().filter(|line| !stays(line)) {
        let bare = without_names(line);
        let words = bare.split_whitespace().map(|it| it.trim_matches(|c: char| !c.is_alphabetic()));
        for word in words.filter(|word| !word.is_empty()) {
            assert!(!OF_ENGLISH.split(' ').any(|one| one == word), "{word} in: {line}\n{german}");
        }
    }
}

/// A line without what stands in quotation marks, and without paths.
fn without_names(line: &str) -> String {
    let outside = line.split(['"', '`']).step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(' ').filter(|word| !word.contains('/'));
    words.collect::<Vec<_>>().join(" ")
}

/// One thing has one word.
#[test]
fn what_nodes_are_ordered_has_one_word() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/text");
    let mut seen = 0;
    for name in ["de.toml", "rules.de.toml", "said.de.toml", "show.de.toml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(!text.to_lowercase().contains("anweisung"), "{name}: an order is an Anordnung");
        seen += text.matches("Anordnung").count();
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn faults_of_a_plan_are_german() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ceremony.toml");
    let check = ["plan", "check", file.to_str().unwrap()];
    let template = include_str!("../../templates/ceremony.toml");
    fs::write(&file, template.replace("@NONCE@", &"0".repeat(64))).unwrap();
    let placeholders = assert_german(programs::AUDIT, &check);
    assert!(placeholders.err.contains("Zeile 21: ein Platzhalter"), "{placeholders:?}");
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replayed/v1/single-shot-hgs/tenant");
    let plan = fs::read_to_string(Path::new(kept).join("ceremony.toml")).unwrap();
    fs::write(&file, &plan).unwrap();
    let fine = assert_german(programs::AUDIT, &check).ok();
    assert!(fine.starts_with("Der Plan test hat keine Fehler."), "{fine}");
    for line in
        ["Art:         Probe", "Schlüssel  hgs-signing: Signatur, RSA-2048, darf unterschreiben, "]
    {
        assert!(fine.lines().any(|one| one.trim().starts_with(line)), "{line}: {fine}");
    }
    // What a plan's file has its own words for.
    let words = ["rehearsal", "signing", "encryption", "sign", "decrypt", "witnessed", "keep"];
    for line in fine.lines().filter(|line| !line.trim().starts_with("keyferry-")) {
        let of = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        let ours = line.split("CN=").next().unwrap();
        let raw = ours.split_whitespace().map(of).find(|word| words.contains(&word.as_str()));
        assert_eq!(raw, None, "{line}");
    }
    let mode = "mode = \"rehearsal\"";
    for (from, to) in [
        ("mode = ", "moed = "),
        (mode, "mode = rehearsal"),
        (mode, "mode = 5"),
        (mode, "mode = \"x\""),
        (mode, "mode = \"rehearsal"),
        (mode, "mode = \u{201c}rehearsal\u{201d}"),
        (mode, "mode = \"rehearsal\"\r"),
        (mode, ""),
        (mode, "mode = \"rehearsal\" # ein Kommentar"),
        (mode, "mode = \"rehearsal\"\nmode = \"rehearsal\""),
        (mode, "mode = \"production\""),
        ("kek_bits = ", "kek_bits = 1"),
        ("threshold = 3", "threshold = 9"),
        ("approvals = 2", "approvals = 1"),
        ("\"cyd\"", "\"hana\""),
        ("\"cyd\"", "\"dan\""),
        ("age1", "age2"),
        ("ssh-ed25519", "AGE-SECRET-KEY-"),
        ("ssh-ed25519", " ssh-ed25519"),
        ("CN=", ""),
        ("kind = \"hgs\"", "kind = \"local\""),
        ("kind = \"hgs\"", "kind = \"azure-byok\""),
        ("deployment = ", "soak_hours = 9999999\ndeployment = "),
        ("type = \"rsa\"", "type = \"ec\""),
        ("\"encryption\"", "\"signing\""),
        ("rule = \"", "rule = \"NO-"),
        ("rule = \"WRAP-OAEP-SHA1\"", "rule = \"WRAP-COMPOSITE\""),
        ("reason = \"a test\"", "reason = \"\""),
    ] {
        let faulty = plan.replace(from, to);
        assert_ne!(faulty, plan, "{from}");
        fs::write(&file, faulty).unwrap();
        let said = assert_german(programs::AUDIT, &check).ended_with(3);
        assert!(said.contains("gefunden:"), "{said}");
    }
}

#[test]
fn a_verdict_is_german() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1");
    for name in ["single-shot-hgs", "born-local", "composite-local"] {
        let sides = ["tenant", "hoster"].map(|side| kept.join(name).join(side));
        let [tenant, hoster] = sides.each_ref().map(|path| path.to_str().unwrap());
        let said = assert_german(programs::AUDIT, &["verify", tenant, hoster]).ok();
        assert!(said.starts_with("Nichts Falsches wurde gefunden; die Aufzeichnung"), "{said}");
        for heading in ["BESTÄTIGT", "NUR BEHAUPTET", "FEHLT", "VERZICHTE UND VERMERKE"] {
            assert!(said.lines().any(|line| line == heading), "{heading}: {said}");
        }
        let json = ["verify", "--json", tenant];
        let json = ended(Command::new(programs::AUDIT).args(json).env("KEYFERRY_LANGUAGE", "de"));
        assert!(json.ok().contains("nothing else on record determines"));
        assert_german(programs::AUDIT, &["verify", hoster]).ok();
    }
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("hoster");
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(kept.join("single-shot-hgs/hoster")).arg(&own).status();
    assert!(copied.unwrap().success());
    let verify = ["verify", own.to_str().unwrap()];
    let changed = |file: &str, from: &str, to: &str| {
        let path = own.join(file);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file}: {from}");
        fs::write(&path, before.replacen(from, to, 1)).unwrap();
        let said = assert_german(programs::AUDIT, &verify).ended_with(3);
        fs::write(&path, before).unwrap();
        said
    };
    let said = changed("hoster.log.jsonl", "kek-create", "kek-creatf");
    assert!(said.contains("(DOCUMENT-HASH)"), "{said}");
    let said = changed("SHA256SUMS", "hoster.log.jsonl", "hoster.log.jsonm");
    assert!(said.contains("SHA256SUMS führt"), "{said}");
    fs::remove_file(own.join("SHA256SUMS")).unwrap();
    assert_german(programs::AUDIT, &verify).ended_with(1);
}

/// A row of words for a hash, which are the same in every language.
fn is_row(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|number| number.parse::<u8>().is_ok()) && words.count() == 4
}

#[test]
fn a_token_and_what_waits_for_officers_are_told_in_german() {
    let stage = Stage::of(Setting::composite(), Done::Export);
    let said = |side: &str, language: &str, arguments: &[&str]| {
        ended(stage.command(side, arguments).env("KEYFERRY_LANGUAGE", language))
    };
    let mut reports = Vec::new();
    for side in ["tenant", "hoster"] {
        let files = ["en", "de"].map(|language| stage.path(&format!("{side}-{language}.json")));
        let [english, german] = ["en", "de"].map(|language| {
            let file = &files[usize::from(language == "de")];
            said(side, language, &["probe", "--rehearsal", file.to_str().unwrap()])
        });
        assert!(german.out.starts_with("Das Token ist untersucht"), "{german:?}");
        assert_no_english(&(german.out + &german.err), &(english.out + &english.err));
        reports.push(files[1].to_str().unwrap().to_owned());
    }
    let plan = stage.path("plan/ceremony.toml");
    let check =
        ["plan", "check", plan.to_str().unwrap(), "--probe", &reports[0], "--probe", &reports[1]];
    let foretold = assert_german(programs::AUDIT, &check);
    assert!(foretold.out.contains("WAS DIE TOKENS KONNTEN, AN IHM GEMESSEN"), "{foretold:?}");
    let abort = ["abort", "--reason", "Übungsende", "--without-hsm"];
    let [english, german] = ["en", "de"].map(|language| said("tenant", language, &abort));
    assert_eq!(german.code, 6, "{german:?}");
    let signed = "The ceremony ends here for good, in the phase";
    let means = "(auf Deutsch: Die Zeremonie endet hier endgültig, in der Phase";
    for words in ["NOCH IST NICHTS GESCHEHEN", signed, means] {
        assert!(german.err.contains(words), "{words}: {german:?}");
    }
    assert_no_english(&german.err, &english.err);
    let request = stage.path("tenant/approvals/01-abort.json");
    for program in [programs::OFFICER, programs::AUDIT] {
        let shown = assert_german(program, &["show", request.to_str().unwrap()]).ok();
        for words in [signed, means] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
}

/// Whoever reads German is told to type what speaks German too, of the program that they run; others
/// type for themselves.
#[test]
fn commands_of_the_own_program_have_its_language() {
    let stage = Stage::at(Done::Plan);
    for (program, arguments, line) in [
        (programs::AUDIT, &["show", "people/ada"][..], "keyferry-audit verify FOLDER"),
        (programs::AUDIT, &["plan", "check", "plan/ceremony.toml"], "keyferry-tenant --dir"),
        (programs::OFFICER, &["show", "plan/ceremony.toml"], "keyferry-officer sign plan/"),
        (programs::OFFICER, &["show", "people/ada"], "keyferry-audit verify FOLDER"),
        (
            programs::CUSTODIAN,
            &["identity", "sheet", "people/cyd.identity", "cyd.html"],
            "keyferry-custodian identity new FILE",
        ),
    ] {
        for language in ["en", "de"] {
            let mut command = Command::new(program);
            command.args(arguments).args(["--language", language]).current_dir(stage.dir.path());
            let said = ended(&mut command);
            let (name, words) = line.split_once(' ').unwrap();
            let own = language == "de" && program.ends_with(name);
            let given = if own { " --language de" } else { "" };
            let line = format!("{name}{given} {words}");
            assert!((said.out.clone() + &said.err).contains(&line), "{line}: {said:?}");
        }
    }
    // Such a line can be typed.
    let said = stage.auditor(&["--language", "de", "plan", "new", "next.toml"]);
    let line = said.err.lines().find_map(|line| line.trim().strip_prefix("keyferry-audit "));
    let words: Vec<&str> = line.unwrap().split(' ').collect();
    let checked = stage.auditor(&words).ended_with(3);
    assert!(checked.contains("gefunden:"), "{words:?}: {checked}");
}

/// What others have written, parted as often as a name may be, costs no time: it stays as it is.
#[test]
fn what_is_parted_in_many_ways_is_told_at_once() {
    let setting = Stage::at(Done::Init);
    for parts in ["a b: c d; ", "a (b): c, d; of e, ", "; : , "] {
        let name = parts.repeat(200 / parts.len());
        let said = setting.auditor_within(20, &["--language", "de", "verify", &name]).ended_with(1);
        assert!(said.contains(parts.trim_end()), "{said}");
    }
}

/// What people wrote, what a folder is called and a command that is to be pasted are no sentences
/// of ours, whatever they are like.
#[test]
fn what_others_wrote_stays_as_it_is() {
    let stage = Stage::at(Done::KekCreate);
    let written =
        ["the seal has no number", "Hugo signed", "making coffee", "the disk with the offer"];
    for text in written {
        stage.hoster(&["note", "remark", text]).ok();
    }
    let shown = stage.auditor(&["--language", "de", "show", "hoster/log.jsonl"]).ok();
    for text in written {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    std::fs::rename(stage.path("hoster"), stage.path("hst has no lid")).unwrap();
    let mut status = Command::new(programs::HOSTER);
    status.args(["--dir", "hst has no lid", "--language", "de", "status"]);
    let said = ended(status.current_dir(stage.path("")));
    let said = said.out + &said.err;
    assert!(said.contains("--dir 'hst has no lid'"), "{said}");
}
