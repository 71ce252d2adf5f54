//! Folders that somebody else has prepared.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::*;
use record::signature::Namespace;

#[test]
fn links_and_devices_are_never_followed() {
    let stage = offered();
    let desk = on_desk(&stage, "hoster/outbox/offer");
    let own = fs::read(stage.path("people/hana")).unwrap();
    let at = |name: &str| stage.path(&format!("{desk}/{name}"));
    let fifo = |name: &str| drop(run(Command::new("mkfifo").arg(at(name))));
    let key = stage.path("people/hana");
    for name in ["offer.json.hana.sig.part", ".offer.json.hana.sig.part"] {
        symlink(&key, at(name)).unwrap();
        sign(&stage, &desk, "hana").refused("DOCUMENT-SURPLUS");
        fs::remove_file(at(name)).unwrap();
    }
    // A link, one that leads nowhere, and a FIFO where the signature goes.
    for target in [key.clone(), stage.path("nowhere")] {
        symlink(&target, at("offer.json.hana.sig")).unwrap();
        sign(&stage, &desk, "hana").refused("DOCUMENT-LINK");
        fs::remove_file(at("offer.json.hana.sig")).unwrap();
    }
    fifo("offer.json.hana.sig");
    sign(&stage, &desk, "hana").refused("DOCUMENT-LINK");
    fs::remove_file(at("offer.json.hana.sig")).unwrap();
    assert!(!stage.path("nowhere").exists());
    // The same where nothing else of the folder is read.
    fs::create_dir(stage.path("alone")).unwrap();
    let alone = stage.path("alone/ceremony.toml");
    fs::copy(stage.path("plan/ceremony.toml"), &alone).unwrap();
    for target in [&key, &stage.path("nowhere")] {
        symlink(target, stage.path("alone/ceremony.toml.hana.sig")).unwrap();
        sign(&stage, "alone", "hana").refused("DOCUMENT-LINK");
        fs::remove_file(stage.path("alone/ceremony.toml.hana.sig")).unwrap();
    }
    symlink(&key, stage.path("alone/ceremony.toml.hana.sig.part")).unwrap();
    sign(&stage, "alone", "hana").ok();
    assert_eq!(fs::read(&key).unwrap(), own, "the officer's own key");
    // What is to be read.
    fs::rename(at("offer.json"), stage.path("offer.json")).unwrap();
    fifo("offer.json");
    sign(&stage, &desk, "hana").refused("DOCUMENT-LINK");
    fs::remove_file(at("offer.json")).unwrap();
    symlink(stage.path("offer.json"), at("offer.json")).unwrap();
    sign(&stage, &desk, "hana").refused("DOCUMENT-LINK");
    fs::remove_file(at("offer.json")).unwrap();
    // A folder that is a link is not entered.
    fs::create_dir(stage.path("stick")).unwrap();
    symlink(stage.path("hoster/outbox/offer"), stage.path("stick/offer")).unwrap();
    sign(&stage, "stick", "hana").refused("DOCUMENT-KIND");
    sign(&stage, "stick/offer", "hana").refused("DOCUMENT-LINK");
}

#[test]
fn what_is_signed_is_what_was_seen() {
    let (stage, request) = asked();
    let file = on_desk(&stage, &request);
    let shown = fs::read(stage.path(&file)).unwrap();
    let mut screen = Screen::new(sign_with(&stage, &file, "hana", &UNASKED[..2]));
    screen.sees("A quorum of custodians opens the seal");
    screen.sees("WHAT SIGNING IT MEANS");
    screen.sees("You allow the hoster to open the seal");
    for row in record::fingerprint::rows(&Hash::of(&shown).0[..16]).lines() {
        screen.sees(row.trim());
    }
    screen.sees("Type yes");
    let other = String::from_utf8(shown.clone()).unwrap().replace("import", "kek-destroy");
    fs::write(stage.path(&file), other).unwrap();
    screen.answer("", "yes");
    screen.ends_with(0);
    fs::write(stage.path(&file), shown).unwrap();
    assert_eq!(signers(&stage, &file, Namespace::Approval), ["hana"]);
    // What takes the signature's place meanwhile stays, and what it leads to.
    let mut screen = Screen::new(sign_with(&stage, &file, "hugo", &UNASKED[..2]));
    screen.sees("Type yes");
    let own = fs::read(stage.path("people/hugo")).unwrap();
    symlink(stage.path("people/hugo"), stage.path(&format!("{file}.hugo.sig"))).unwrap();
    screen.answer("", "yes");
    screen.sees("FILE-EXISTS");
    screen.ends_with(3);
    assert_eq!(fs::read(stage.path("people/hugo")).unwrap(), own);
}

/// Whoever prepared the folder puts a link in its place while the question waits: to where the
/// signature would be in another folder, and where something of that name would go.
#[test]
fn a_folder_that_is_exchanged_while_the_question_waits_gets_nothing() {
    let stage = offered();
    for around in [false, true] {
        let desk = on_desk(&stage, "hoster/outbox/offer");
        let own = stage.path("people/offer");
        fs::create_dir_all(&own).unwrap();
        fs::copy(stage.path(&format!("{desk}/offer.json")), own.join("offer.json")).unwrap();
        // What lies in the signature's place there is not the preparer's to remove.
        fs::write(own.join("offer.json.hana.sig"), "the officer's own").unwrap();
        fs::write(stage.path(&format!("{desk}/offer.json.hana.sig")), "none").unwrap();
        let before = files(&stage, "people");
        let mut screen = Screen::new(sign_with(&stage, "desk", "hana", &UNASKED[..2]));
        screen.sees("offer.json.hana.sig IS NO SIGNATURE OF YOURS");
        screen.sees("Type yes");
        let (name, target) =
            if around { ("desk", "people") } else { ("desk/offer", "people/offer") };
        fs::rename(stage.path(name), stage.path("moved")).unwrap();
        symlink(stage.path(target), stage.path(name)).unwrap();
        screen.answer("", "yes");
        screen.sees("DOCUMENT-LINK");
        screen.ends_with(3);
        assert_eq!(files(&stage, "people"), before);
        let left = stage.path(if around { "moved/offer" } else { "moved" });
        assert_eq!(fs::read(left.join("offer.json.hana.sig")).unwrap(), b"none");
        fs::remove_file(stage.path(name)).unwrap();
        fs::remove_dir_all(stage.path("moved")).unwrap();
        fs::remove_dir_all(stage.path("people/offer")).unwrap();
    }
}

#[test]
fn a_request_says_what_its_subject_is_or_is_not_signed() {
    let (stage, request) = asked();
    let file = on_desk(&stage, &request);
    let text = fs::read_to_string(stage.path(&file)).unwrap();
    let refused = |change: (&str, &str), rule: &str| {
        let changed = text.replacen(change.0, change.1, 1);
        assert_ne!(changed, text);
        fs::write(stage.path(&file), changed).unwrap();
        sign(&stage, &file, "hana").refused(rule);
        assert!(!stage.path(&format!("{file}.hana.sig")).exists());
    };
    refused(("A quorum of custodians opens", "Nobody opens"), "APPROVAL-SUBJECT");
    refused(("\"gate\": \"import\"", "\"gate\": \"abort\""), "DOCUMENT-FORMAT");
    refused(("\"ceremony\": \"test\"", "\"ceremony\": \"other\""), "DOCUMENT-CEREMONY");
    refused(("\"mode\": \"rehearsal\"", "\"mode\": \"production\""), "APPROVAL-SUBJECT");
    refused(("\"side\": \"hoster\"", "\"side\": \"tenant\""), "SIGNATURE-SIDE");
    refused(("\"attempt\": 1", "\"attempt\": 1, \"attempt\": 1"), "DOCUMENT-FORMAT");
    fs::write(stage.path(&file), format!("{text}{{}}")).unwrap();
    sign(&stage, &file, "hana").refused("DOCUMENT-FORMAT");
}

#[test]
fn the_plan_is_the_officers_own() {
    let stage = offered();
    on_desk(&stage, "hoster/outbox/offer");
    // Without a plan only a plan can be signed.
    ended(&mut sign_with(&stage, "desk", "hana", &["--yes"])).refused("DOCUMENT-PLAN");
    // A plan of its preparer's making: one officer's key is the preparer's.
    let text = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let made_up = text.replace(&stage.public_key("hugo"), &stage.public_key("mallory"));
    let plan = stage.path("desk/ceremony.toml");
    fs::write(&plan, &made_up).unwrap();
    ended(&mut sign_with(&stage, "desk/ceremony.toml", "hana", &UNASKED)).refused("PLAN-CHANGED");
    // Its words are not those of the officer's paper, however often they are typed.
    let paper = words_of(&stage.path("plan/ceremony.toml"));
    let mut screen = Screen::new(sign_with(&stage, "desk", "hana", &[]));
    screen.sees("that it is the plan that both sides agreed on");
    screen.answer("Type yes", "no");
    screen.sees("anybody may have put it there");
    for _ in 0..20 {
        screen.answer("Word ", &paper);
    }
    screen.sees("WORDS-MISMATCH");
    screen.ends_with(3);
    let names = files(&stage, "desk").into_iter().map(|(path, _)| path);
    assert_eq!(names.filter(|path| path.to_string_lossy().ends_with(".sig")).count(), 0);
    // A rehearsal takes answers from elsewhere, and no other words.
    fs::write(stage.path("typed"), format!("no\n{paper}\n")).unwrap();
    let mut command = sign_with(&stage, "desk", "hana", &[]);
    command.stdin(fs::File::open(stage.path("typed")).unwrap());
    ended(&mut command).refused("WORDS-MISMATCH");
    // Those of the right one are.
    fs::copy(stage.path("plan/ceremony.toml"), &plan).unwrap();
    let mut screen = Screen::new(sign_with(&stage, "desk", "hana", &[]));
    screen.answer("Type yes", "yes");
    screen.sees("anybody may have put it there");
    screen.answer("Word 1 of 16:", &paper);
    screen.answer("Type yes", "yes");
    screen.ends_with(0);
    assert_eq!(signers(&stage, "desk/offer/offer.json", Namespace::Document), ["hana"]);
    assert_eq!(signers(&stage, "desk/ceremony.toml", Namespace::Plan), ["hana"]);
}

#[test]
fn a_document_of_another_ceremony_is_not_signed() {
    let stage = offered();
    let desk = on_desk(&stage, "hoster/outbox/offer");
    let other = stage.path("other.toml");
    let text = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    fs::write(&other, text.replace("ceremony = \"test\"", "ceremony = \"next\"")).unwrap();
    let said = ended(&mut sign_with(&stage, &desk, "hana", &["--plan", "other.toml", "--yes"]));
    said.refused("DOCUMENT-CEREMONY");
    fs::write(&other, format!("{text}\n# later\n")).unwrap();
    let said = ended(&mut sign_with(&stage, &desk, "hana", &["--plan", "other.toml", "--yes"]));
    said.refused("DOCUMENT-PLAN");
    // A document whose folder holds one byte too many, or under another name.
    fs::write(stage.path(&format!("{desk}/more.crt")), "x").unwrap();
    sign(&stage, &desk, "hana").refused("DOCUMENT-SURPLUS");
    fs::copy(stage.path("hoster/outbox/offer/offer.json"), stage.path("desk/mine.json")).unwrap();
    sign(&stage, "desk/mine.json", "hana").refused("DOCUMENT-KIND");
}

#[test]
fn folders_that_are_too_much_are_refused_and_names_are_escaped() {
    let stage = offered();
    let foul = "de\u{1b}[2Jsk\nsigned";
    let at = |name: &str| stage.path(&format!("{foul}/{name}"));
    fs::create_dir(stage.path(foul)).unwrap();
    for n in 0..100_000 {
        fs::write(at(&format!("{n}.txt")), "").unwrap();
    }
    fs::copy(stage.path("plan/ceremony.toml"), at("ceremony.toml")).unwrap();
    let said = sign(&stage, foul, "hedy").ok();
    assert!(said.contains("1 signed by hedy") && !said.contains('\u{1b}'), "{said:?}");
    assert!(said.contains("de\\u{1b}[2Jsk\\nsigned/ceremony.toml"), "{said:?}");
    for n in 0..5000 {
        fs::write(at(&format!("{n}.json")), "{}").unwrap();
    }
    sign(&stage, foul, "hugo").refused("DOCUMENT-SURPLUS");
    fs::create_dir(stage.path("huge")).unwrap();
    for name in ["head.json", "01-import.json", "ceremony.toml"] {
        let path = stage.path(&format!("huge/{name}"));
        fs::File::create(&path).unwrap().set_len(10 << 30).unwrap();
        sign(&stage, "huge", "hana").refused("DOCUMENT-SIZE");
        fs::remove_file(path).unwrap();
    }
    sign(&stage, "huge", "hana").refused("DOCUMENT-KIND");
    sign(&stage, "people/hana.pub", "hana").refused("DOCUMENT-KIND");
}
