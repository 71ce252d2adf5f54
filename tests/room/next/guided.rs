//! `rehearse --guided`: the rehearsal by hand, every role played at one terminal.

use std::{fs, path::Path};

use super::{
    desk::{self, Desk},
    sample,
};
use crate::common::production;
use record::{
    fingerprint,
    plan::Plan,
    terms::Mode,
    verify::{self, Against},
};

/// What the script's last answer shows after some words, up to the line's end.
fn read_line(desk: &mut Desk, after: &str) -> String {
    desk.sees(after);
    desk.rest_of_line()
}

fn choose(desk: &mut Desk, what: &str) {
    desk.sees("q  end here");
    desk.answer("> ", what);
}

/// Stops where somebody else is waited for, lets the officers sign, and goes on.
fn signed(desk: &mut Desk, side: &str, pin: Option<&str>, folder: Option<(&str, &str)>) {
    desk.answer("Officers must sign first", "q");
    choose(desk, "s");
    desk.sees("signed:");
    choose(desk, side);
    desk.enter("Enter to begin");
    if let Some((question, path)) = folder {
        desk.answer(question, path);
    }
    if let Some(pin) = pin {
        desk.answer("PIN of the token", pin);
    }
}

fn to_the_end(desk: &mut Desk, work: &Path) {
    let pin = read_line(desk, "The PIN of both tokens is ");
    let pin = pin.split('.').next().unwrap().to_owned();
    let path = |name: &str| work.join(name).display().to_string();
    let (plan, medium) = (path("medium/plan/ceremony.toml"), path("medium"));
    let words = |hash: record::encoding::Hash| fingerprint::words(&hash.0)[..16].join(" ");
    let begin = words(Plan::read(Path::new(&plan)).unwrap().hash());
    for side in ["h", "t"] {
        choose(desk, side);
        desk.answer("Where is the plan?", &plan);
        desk.enter("Enter to begin");
        desk.answer("Word 1 of 16", &begin);
        desk.sees("Done.");
        desk.answer("Enter to begin", "q");
    }
    sample::printed(work, "hoster", &["script"]);
    sample::printed(work, "tenant", &["script"]);
    choose(desk, "w");
    desk.sees("the plan's words:");
    choose(desk, "h");
    desk.enter("Enter to begin");
    desk.answer("PIN of the token", &pin);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    signed(desk, "h", None, None);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    sample::printed(work, "hoster", &["offer"]);
    let offer: serde_json::Value =
        serde_json::from_slice(&fs::read(work.join("hoster/outbox/offer/offer.json")).unwrap())
            .unwrap();
    let offer = words(offer["body"]["fingerprint"].as_str().unwrap().parse().unwrap());
    // The telephone reads the offer's words, in rows of four.
    choose(desk, "w");
    desk.sees("the words of the hoster's offer:");
    let first: Vec<&str> = offer.split(' ').take(4).collect();
    desk.sees(&format!("     1  {}", first.join(" ")));
    choose(desk, "t");
    desk.enter("Enter to begin");
    desk.answer("Where is the folder offer/?", &medium);
    desk.answer("Word 1 of 16", &offer);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    desk.enter("exist already?");
    desk.enter("exist already?");
    desk.answer("PIN of the token", &pin);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    signed(desk, "t", Some(&pin), None);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    choose(desk, "c");
    let codes: Vec<String> = ["cyd", "dan", "eve", "fay", "gus"]
        .iter()
        .map(|id| {
            read_line(desk, &format!("{id} reads out:"));
            // Ten words, in rows of four behind their numbers.
            let rows: Vec<String> = (0..3).map(|_| desk.rest_of_line()).collect();
            let words: Vec<&str> =
                rows.iter().flat_map(|row| row.split_whitespace().skip(1)).collect();
            assert_eq!(words.len(), 10, "{rows:?}");
            words.join(" ")
        })
        .collect();
    sample::printed(work, "tenant", &["share", "dan"]);
    sample::printed(work, "tenant", &["label", "envelope", "dan"]);
    sample::printed(work, "hoster", &["label", "medium", "offer"]);
    sample::printed(work, "hoster", &["label", "bag", "the laptop", "K-0815"]);
    choose(desk, "t");
    for code in &codes {
        desk.enter("Enter to begin");
        desk.answer("Word 1 of 10", code.trim());
        desk.sees("Done.");
    }
    desk.enter("Enter to begin");
    signed(desk, "t", None, None);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    choose(desk, "h");
    desk.enter("Enter to begin");
    desk.answer("Where is the folder package/?", &medium);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    desk.answer("Where is the folder package/?", &medium);
    signed(desk, "h", Some(&pin), Some(("Where is the folder package/?", &medium)));
    for id in ["dan", "eve", "gus"] {
        desk.answer(
            "Share file of the next custodian",
            &path(&format!("tenant/outbox/shares/{id}.age")),
        );
        desk.answer("Identity file that opens it", &path(&format!("people/{id}/identity")));
    }
    desk.sees("Done.");
    desk.enter("Enter to begin");
    signed(desk, "h", None, None);
    desk.sees("Done.");
    // The receipt, and the nodes: nothing else waits for signatures until the keys are primary.
    desk.enter("Enter to begin");
    desk.sees("Done.");
    nodes(desk, work, "ready");
    choose(desk, "h");
    desk.enter("Enter to begin");
    signed(desk, "h", None, None);
    desk.sees("Done.");
    nodes(desk, work, "active");
    choose(desk, "h");
    desk.enter("Enter to begin");
    desk.sees("Done.");
    desk.enter("Enter to begin");
    signed(desk, "h", None, None);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    choose(desk, "t");
    for document in ["receipt", "registration"] {
        desk.enter("Enter to begin");
        desk.answer(&format!("Where is the folder {document}/?"), &medium);
        desk.sees("Done.");
    }
    desk.enter("Enter to begin");
    signed(desk, "t", None, None);
    desk.sees("Done.");
    desk.answer("Enter to begin", "q");
    choose(desk, "h");
    desk.enter("Enter to begin");
    desk.answer("Where is the folder acceptance/?", &medium);
    signed(desk, "h", Some(&pin), Some(("Where is the folder acceptance/?", &medium)));
    desk.sees("Done.");
    desk.enter("Enter to begin");
    signed(desk, "h", None, None);
    desk.sees("Done.");
    desk.enter("Enter to begin");
    desk.sees("The ceremony is closed on this side");
    choose(desk, "t");
    desk.enter("Enter to begin");
    desk.answer("Where is the folder closing/?", &medium);
    desk.sees("The ceremony is closed on this side");
    choose(desk, "q");
    desk.answer("End here?", "yes");
}

/// Two nodes, one after the other: the second must wait for the first one's evidence.
fn nodes(desk: &mut Desk, work: &Path, stage: &str) {
    for node in ["node1", "node2"] {
        desk.answer("Enter to begin", "q");
        choose(desk, "n");
        choose(desk, "h");
        desk.enter("Enter to begin");
        let file = work.join(format!("medium/{node}-{stage}.json"));
        desk.answer("Where is the file", &file.display().to_string());
        desk.sees("Done.");
    }
    desk.answer("Enter to begin", "q");
}

#[test]
fn the_rehearsal_by_hand_goes_to_the_end() {
    let folder = sample::folder();
    let work = folder.path().join("work");
    let mut desk = Desk::script(&["--guided", "--keep", work.to_str().unwrap()]);
    desk.whole_prompts = true;
    to_the_end(&mut desk, &work);
    let screen = desk::without_colours(&desk.ended());
    assert!(screen.contains("nothing false was found"), "{screen}");
    let folders = ["tenant", "hoster"].map(|side| work.join(side));
    let verdict = verify::verify(&folders, &Against::default()).unwrap();
    // Nobody has signed the heads; else nothing is missing.
    let head = |line: &String| line.starts_with("signatures over the head of the ");
    assert!(verdict.missing.len() == 2 && verdict.missing.iter().all(head), "{verdict:?}");
    for side in ["tenant", "hoster"] {
        sample::printed(&work, side, &["transcript"]);
    }
    sample::printed(&work, "hoster", &["document", "offer"]);
    sample::identity_sheet(&work);
    sample::holds(&screen, &work);
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
    desk.sees("Erledigt.");
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
