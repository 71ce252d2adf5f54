//! `rehearse --guided`: the rehearsal by hand, every role played at one terminal.

use std::{fs, path::Path};

use super::{
    accidents::rehearsal,
    desk::{self, Desk},
};
use crate::common::production;
use record::{
    encoding::Hash,
    fingerprint,
    plan::Plan,
    terms::Mode,
    verify::{self, Against},
};

fn choose(desk: &mut Desk, what: &str) {
    desk.sees("q  end here");
    desk.answer("> ", what);
}

#[test]
fn the_rehearsal_by_hand_goes_to_the_end() {
    let (folder, screen) = rehearsal();
    // The telephone reads the offer's words, in rows of four.
    let offer = fs::read(folder.join("work/hoster/outbox/offer/offer.json")).unwrap();
    let offer: serde_json::Value = serde_json::from_slice(&offer).unwrap();
    let offer: Hash = offer["body"]["fingerprint"].as_str().unwrap().parse().unwrap();
    let first = format!("     1  {}", fingerprint::words(&offer.0)[..4].join(" "));
    let read = screen.split("the words of the hoster's offer:").nth(1).unwrap();
    assert!(read.lines().nth(1).unwrap().starts_with(&first), "{first}: {read}");
    assert!(screen.contains("nothing false was found"), "{screen}");
    let folders = ["tenant", "hoster"].map(|side| folder.join("work").join(side));
    let verdict = verify::verify(&folders, &Against::default()).unwrap();
    // Nobody has signed the heads; else nothing is missing.
    let head = |line: &String| line.starts_with("signatures over the head of the ");
    assert!(verdict.missing.len() == 2 && verdict.missing.iter().all(head), "{verdict:?}");
}

#[test]
fn a_plan_of_ones_own_is_rehearsed() {
    let stage = production::stage(&production::machine_rules(), |plan| plan);
    let own = stage.path("plan/ceremony.toml");
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    let mut desk = Desk::script(&[
        "--plan",
        own.to_str().unwrap(),
        "--language",
        "de",
        "--keep",
        work.to_str().unwrap(),
    ]);
    choose(&mut desk, "h");
    let plan = work.join("medium/plan/ceremony.toml");
    desk.answer("Wo ist der Plan?", plan.to_str().unwrap());
    desk.sees("Schritt 1 von");
    desk.enter("Enter beginnt");
    let plan = Plan::read(&plan).unwrap();
    desk.answer("Wort 1 von 16", &fingerprint::words(&plan.hash().0)[..16].join(" "));
    desk.sees("Getan.");
    desk.answer("Enter beginnt", "q");
    choose(&mut desk, "q");
    desk.answer("End here?", "yes");
    desk.ended();
    let real = Plan::read(&own).unwrap();
    assert_eq!((real.mode, plan.mode), (Mode::Production, Mode::Rehearsal));
    assert_eq!(real.ceremony, plan.ceremony);
    assert_eq!(real.quorum.threshold, plan.quorum.threshold);
}

/// The hoster begins, and the bag comes back; what somebody says is printed on it.
fn bag_comes_back(work: &Path, number: &str) -> String {
    let mut desk = Desk::script(&["--accident", "bag", "--keep", work.to_str().unwrap()]);
    choose(&mut desk, "h");
    let plan = work.join("medium/plan/ceremony.toml");
    desk.answer("Where is the plan?", plan.to_str().unwrap());
    desk.enter("Enter to begin");
    let words = fingerprint::words(&Plan::read(&plan).unwrap().hash().0)[..16].join(" ");
    desk.answer("Word 1 of 16", &words);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    desk.sees("On it is printed: K-0816.");
    // Left, and taken up again, with its accident.
    desk.answer("> ", "q");
    desk.answer("End here?", "");
    choose(&mut desk, "q");
    desk.answer("End here?", "yes");
    desk.sees("NOT mended");
    desk.ended();
    let mut desk = Desk::script(&["--keep", work.to_str().unwrap()]);
    desk.sees("goes on.");
    choose(&mut desk, "h");
    desk.answer("Enter to begin", "note");
    desk.answer("What is to go on record?", "the bag from the safe has another number");
    desk.answer("Enter to begin", "m");
    desk.sees("a tamper-evident bag comes back");
    desk.answer("Number, or Enter", "6");
    desk.answer("What is in it?", "the laptop");
    desk.answer("The number that is printed", number);
    desk.answer("Is it closed", "yes");
    if number == "K-0816" {
        desk.enter("Enter has officers sign");
        desk.answer("Officers must sign first", "q");
        choose(&mut desk, "s");
        desk.sees("signed:");
        choose(&mut desk, "h");
        desk.enter("Enter has officers sign");
    }
    desk.answer("Enter to begin", "q");
    choose(&mut desk, "q");
    desk.answer("End here?", "yes");
    desk::without_colours(&desk.ended())
}

#[test]
fn an_accident_is_planted_and_the_verdict_names_the_entry() {
    let folder = tempfile::tempdir().unwrap();
    let screen = bag_comes_back(&folder.path().join("right"), "K-0816");
    assert!(screen.contains("It was mended as docs/accidents.md says."), "{screen}");
    assert!(screen.contains("the desk ended with 0"), "{screen}");
    let log = fs::read_to_string(folder.path().join("right/hoster/log.jsonl")).unwrap();
    let entry = log.lines().position(|line| line.contains("K-0816")).unwrap() + 1;
    let named = format!("as it must:  hoster, entry {entry}: the bag is noted as it came");
    assert!(screen.contains(&named), "{named}: {screen}");
    // What it should have had is not what it has.
    let screen = bag_comes_back(&folder.path().join("wrong"), "K-0815");
    assert!(screen.contains("It was NOT mended as docs/accidents.md says."), "{screen}");
    assert!(screen.contains("the desk ended with 1"), "{screen}");
    for line in [
        "MISSING:     hoster, no entry: the bag is noted as it came",
        "WRONG:       hoster, entry ",
    ] {
        assert!(screen.contains(line), "{line}: {screen}");
    }
}

#[test]
fn a_plan_as_plan_new_writes_it_is_rehearsed() {
    let folder = tempfile::tempdir().unwrap();
    let (new, work) = (folder.path().join("new.toml"), folder.path().join("work"));
    let mut audit = std::process::Command::new(crate::common::programs::AUDIT);
    assert!(audit.args(["plan", "new"]).arg(&new).status().unwrap().success());
    let arguments = ["--plan", new.to_str().unwrap(), "--keep", work.to_str().unwrap()];
    let mut desk = Desk::script(&arguments);
    choose(&mut desk, "w");
    desk.sees("the plan's words:");
    choose(&mut desk, "q");
    desk.answer("End here?", "yes");
    desk.ended();
    let plan = Plan::read(&work.join("medium/plan/ceremony.toml")).unwrap();
    assert_eq!((plan.mode, plan.tenant.officers.len()), (Mode::Rehearsal, 3));
    let text = String::from_utf8(plan.bytes().to_vec()).unwrap();
    assert!(text.lines().all(|line| line.starts_with('#') || !line.contains("REPLACE-")), "{text}");
}
