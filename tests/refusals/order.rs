//! Steps out of order, second times, words, and people who are not enough.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::common::{ending::events, what_follows::WhatFollows};
use record::{
    log::Event,
    terms::{Step, TransferRoute},
};

/// What may be done to a service from its registration on, whatever the phase.
const SERVICE: [&str; 4] = ["evidence", "nodes", "retire", "rollback"];

/// Every command of a side, by the name of its step.
fn commands(stage: &Stage, side: &str) -> Vec<(&'static str, Vec<String>)> {
    let words = stage.words("any", "these are not the words");
    let import =
        [vec!["import".to_owned(), "medium/package".into()], stage.shares(&["cyd"])].concat();
    let list = |all: &[(&'static str, &str)]| -> Vec<(&'static str, Vec<String>)> {
        let split = |line: &str| line.split(' ').map(str::to_owned).collect();
        all.iter().map(|(step, line)| (*step, split(line))).collect()
    };
    let confirm = format!("share confirm cyd --words {words}");
    let offer = format!("offer check medium/offer --words {words}");
    let keys = format!("keys check medium/keys --words {words}");
    match side {
        "tenant" => list(&[
            ("offer-check", &offer),
            ("keys-create", "keys create"),
            ("keys-check", &keys),
            ("source-destroy", "source destroy medium/closing"),
            ("export", "export"),
            ("share-confirm", &confirm),
            ("share-reissue", "share reissue cyd --to again.age"),
            ("release", "release"),
            ("receipt-check", "receipt check medium/receipt"),
            ("accept", "accept medium/registration"),
            ("restart", "restart --reason a"),
            ("abort", "abort --reason a"),
            ("close", "close medium/closing"),
        ]),
        _ => {
            // What does most harm first: there are more commands than phases.
            let mut all = list(&[
                ("kek-destroy", "kek destroy medium/acceptance"),
                ("kek-create", "kek create"),
                ("keys-create", "keys create"),
                ("answer", "answer medium/challenge"),
                ("acceptance-check", "acceptance check medium/acceptance"),
                ("keys-destroy", "keys destroy"),
                ("release", "release"),
                ("package-check", "package check medium/package"),
                ("register", "register"),
                ("primary", "primary"),
                ("evidence", "evidence add medium/node1-ready.json"),
                ("rollback", "rollback"),
                ("nodes", "nodes --remove node1"),
                ("retire", "retire tenant/keys/hgs-signing.crt"),
                ("restart", "restart --reason a"),
                ("abort", "abort --reason a"),
                ("close", "close"),
            ]);
            all.insert(0, ("import", import));
            all
        }
    }
}

/// Both sides have given the ceremony up.
fn aborted(stage: Stage) -> Stage {
    for side in ["tenant", "hoster"] {
        let abort = ["abort", "--reason", "a test"];
        stage.pass(side, "abort", &abort);
        stage.side(side, &abort).ok();
    }
    stage
}

fn rolled_back(stage: Stage) -> Stage {
    stage.pass("hoster", "rollback", &["rollback"]);
    stage.hoster(&["rollback"]).ok();
    stage
}

#[test]
fn every_step_at_every_phase_is_in_the_table_or_out_of_order() {
    let mut stages: Vec<Stage> = Done::ALL.into_iter().map(Stage::at).collect();
    stages.push(aborted(Stage::at(Done::KekCreate)));
    stages.push(rolled_back(Stage::at(Done::Primary)));
    in_order(stages, TransferRoute::Carried);
}

#[test]
fn so_it_is_where_the_keys_are_born_at_the_hoster() {
    let at = |done| Stage::of(Setting::born(), done);
    let mut stages: Vec<Stage> = Done::ALL.into_iter().map(at).collect();
    stages.push(aborted(at(Done::KekCreate)));
    stages.push(rolled_back(at(Done::Primary)));
    in_order(stages, TransferRoute::Born);
}

/// At every phase of these stages the programs know where they are, and refuse one command that the
/// page does not allow there: each in its turn. (Every step at every phase, in process:
/// `tests/record/order.rs`.)
fn in_order(stages: Vec<Stage>, way: TransferRoute) {
    let follows = WhatFollows::read(way);
    let (mut seen, mut tried) = (BTreeSet::new(), BTreeMap::new());
    for stage in stages {
        for side in ["tenant", "hoster"] {
            let status = stage.side(side, &["--json", "status"]).ok();
            let status: serde_json::Value = serde_json::from_str(&status).unwrap();
            let phase = status["phase"].as_str().unwrap().to_owned();
            if !seen.insert((side, phase.clone())) {
                continue;
            }
            // A PIN that is wrong: out of order comes before it is tried.
            fs::write(stage.path("pin"), "4321").unwrap();
            let begins = |starts: &[&str]| starts.iter().any(|start| phase.starts_with(start));
            let served = begins(&["regist", "activated", "rolled", "closing", "closed"]);
            let mut illegal = commands(&stage, side);
            let events = events(&stage, side);
            let last = events.iter().rev().find_map(Event::step).map(Step::name);
            illegal.retain(|(step, _)| {
                // Once the order is given, the same command makes the registration.
                let same = if *step == "primary" { "registration" } else { *step };
                let listed =
                    [step, same].iter().any(|step| follows.next(side, &phase, step).is_some());
                // What is closed may write its archive again; and what was done last says so.
                let again = (phase == "closed" && *step == "close")
                    || [*step, same].map(Some).contains(&last);
                !(listed || again || (served && SERVICE.contains(step)))
            });
            // What was tried least, so that each has its turn.
            let least = |(step, _): &&(&str, _)| *tried.get(&(side, *step)).unwrap_or(&0);
            let (step, arguments) = illegal.iter().min_by_key(least).unwrap();
            *tried.entry((side, *step)).or_default() += 1;
            let imported = served || begins(&["receipt"]);
            let rule = match *step {
                "import" if way == TransferRoute::Carried && imported => "PACKAGE-IMPORTED",
                _ => "PHASE-ORDER",
            };
            refused(&stage, side, &strings(arguments), rule);
        }
    }
    // Every phase of the page was there; only a plan that destroys the originals comes to that one:
    // `tests/ways/source.rs`.
    for side in ["tenant", "hoster"] {
        let mut phases = follows.phases(side);
        phases.remove("source-destroyed");
        let seen = seen.iter().filter(|(of, _)| *of == side).map(|(_, phase)| phase.clone());
        assert_eq!(seen.collect::<BTreeSet<_>>(), phases);
    }
}

#[test]
fn a_ceremony_begins_once_with_its_words_and_its_plan() {
    let stage = Stage::at(Done::Plan);
    let right = stage.plan_words();
    let init = |words: &str| {
        let words = stage.words("plan", words);
        stage.tenant(&["init", "plan/ceremony.toml", "--words", &words])
    };
    let swapped = right.split(' ').rev().collect::<Vec<_>>().join(" ");
    let one_less = right.rsplit_once(' ').unwrap().0.to_owned();
    for wrong in ["", &one_less, &swapped, &format!("{right} aardvark")] {
        refused_by(&stage, "tenant", "WORDS-MISMATCH", || init(wrong));
        assert!(!stage.path("tenant/log.jsonl").exists());
    }
    init(&right).ok();
    let log = fs::read(stage.path("tenant/log.jsonl")).unwrap();
    let again = init(&right).ok();
    assert!(again.contains("has begun already with this plan"), "{again}");
    assert_eq!(fs::read(stage.path("tenant/log.jsonl")).unwrap(), log);
    let other = fs::read(stage.path("plan/ceremony.toml")).unwrap();
    fs::write(stage.path("plan/ceremony.toml"), [&other[..], b"\n"].concat()).unwrap();
    refused_unopened(
        &stage,
        "tenant",
        &["init", "plan/ceremony.toml", "--words", "plan.words"],
        "CEREMONY-EXISTS",
    );
    stage.tenant(&["status"]).ok();

    // Not one byte of the agreed plan may change, not even of a comment.
    let plan = stage.path("tenant/ceremony.toml");
    let agreed = fs::read(&plan).unwrap();
    fs::write(&plan, [&agreed[..], b"\n"].concat()).unwrap();
    refused_unopened(&stage, "tenant", &["status"], "PLAN-CHANGED");
    fs::write(&plan, agreed).unwrap();
    stage.tenant(&["status"]).ok();
}

#[test]
fn a_plan_that_too_few_have_signed_or_that_was_changed_does_not_begin() {
    let stage = Stage::at(Done::Plan);
    let (plan, words) =
        (stage.path("plan/ceremony.toml"), stage.words("plan", &stage.plan_words()));
    let init = ["init", "plan/ceremony.toml", "--words", &words];
    let sig = |id: &str| stage.path(&format!("plan/ceremony.toml.{id}.sig"));
    let (agreed, by_ben) = (fs::read(&plan).unwrap(), fs::read(sig("ben")).unwrap());
    for at in [0, agreed.len() / 2, agreed.len() - 2] {
        flip(&plan, at);
        let end = stage.tenant(&init);
        // Broken TOML, a broken value, or signatures over other bytes.
        assert!(end.code == 3 && !end.err.contains("WORDS"), "{}", end.err);
        fs::write(&plan, &agreed).unwrap();
    }
    fs::remove_file(sig("ben")).unwrap();
    refused(&stage, "tenant", &init, "SIGNATURE-MISSING");
    stage.sign(&plan, "keyferry-plan", "iris");
    refused(&stage, "tenant", &init, "SIGNATURE-WITNESS");
    fs::write(sig("ben"), fs::read(sig("ada")).unwrap()).unwrap();
    refused(&stage, "tenant", &init, "SIGNATURE-REPEATED");
    stage.sign_as(&plan, "keyferry-plan", "mallory", "ben");
    refused(&stage, "tenant", &init, "SIGNATURE-KEY");
    stage.sign(&plan, "keyferry-document", "ben");
    refused(&stage, "tenant", &init, "SIGNATURE-NAMESPACE");
    fs::write(sig("ben"), [&by_ben[..], b"\n"].concat()).unwrap();
    refused(&stage, "tenant", &init, "SIGNATURE-TRAILING");
    fs::write(sig("ben"), &by_ben).unwrap();
    stage.sign(&plan, "keyferry-plan", "mallory");
    refused(&stage, "tenant", &init, "SIGNATURE-UNKNOWN");
    fs::remove_file(sig("mallory")).unwrap();
    stage.tenant(&init).ok();
}

#[test]
fn a_document_is_released_by_enough_officers_of_its_side() {
    let stage = Stage::at(Done::KekCreate);
    let offer = stage.path("hoster/outbox/offer/offer.json");
    let waiting = stage.hoster(&["release"]).ended_with(6);
    // The very lines work, executed by a shell, each with its officer's key.
    let lines: Vec<&str> = waiting
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("keyferry-officer sign"))
        .collect();
    assert_eq!(lines.len(), 3, "{waiting}");
    let sign = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let id = words[words.iter().position(|word| *word == "--as").unwrap() + 1];
        let [key, plan] = [format!("people/{id}"), "plan/ceremony.toml".into()]
            .map(|name| stage.path(&name).display().to_string());
        let folder = stage.path("hoster/outbox/offer").display().to_string();
        let filled = [(" KEY", &key), (" PLAN", &plan), (" FOLDER", &folder)];
        let line = filled
            .iter()
            .fold(line.to_owned(), |line, (name, value)| line.replace(name, &format!(" {value}")));
        let programs = std::path::Path::new(common::programs::OFFICER).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut shell = std::process::Command::new("sh");
        common::run(shell.arg("-c").arg(format!("{line} --yes")).env("PATH", path));
    };
    sign(lines[0]);
    let waiting = stage.hoster(&["release"]).ended_with(6);
    assert!(!waiting.contains(lines[0]) && waiting.contains(lines[1]), "{waiting}");
    // A witness beside one officer is not two officers: here, and for the receiver.
    stage.sign(&offer, "keyferry-document", "iris");
    stage.hoster(&["release"]).ended_with(6);
    stage.carry("hoster", "offer");
    let words = stage.words("kek", &stage.kek_words());
    let check = ["offer", "check", "medium/offer", "--words", &words];
    refused(&stage, "tenant", &check, "SIGNATURE-WITNESS");
    stage.sign(&offer, "keyferry-document", "ada");
    refused(&stage, "hoster", &["release"], "SIGNATURE-SIDE");
    fs::remove_file(format!("{}.ada.sig", offer.display())).unwrap();
    sign(lines[2]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "offer");
    for wrong in ["", "aardvark", &stage.plan_words()] {
        let words = stage.words("wrong", wrong);
        refused(
            &stage,
            "tenant",
            &["offer", "check", "medium/offer", "--words", &words],
            "WORDS-MISMATCH",
        );
    }
    stage.tenant(&check).ok();
}

#[test]
fn a_folder_serves_one_program_at_a_time() {
    use std::{
        io::{Read, Write},
        process::Stdio,
    };
    let stage = Stage::at(Done::OfferRelease);
    // This one waits for its words, with the folder in use.
    let mut first = stage
        .command("tenant", &["offer", "check", "medium/offer"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asks = [0];
    (first.stderr.as_mut().unwrap().read_exact(&mut asks)).expect("it asks for the words");
    let second = stage.tenant(&["status"]);
    assert!(second.code == 1 && second.err.contains("in use"), "{}", second.err);
    let words = format!("{}\n", stage.kek_words());
    first.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
    assert!(first.wait().unwrap().success());
    stage.tenant(&["kek", "trust", "--so-pin-file", "so-pin"]).ok();
}
