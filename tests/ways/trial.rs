//! A trial: a rehearsal on the real tokens and nodes that stops before activation, and the
//! production plan that comes after it.

use std::{fs, path::PathBuf};

use crate::common::{
    production, simulated,
    stage::{Done, Setting, Stage},
};
use ceremony::side::init::AgreedPlan;
use record::{
    encoding::Hash,
    rule::Rule,
    terms::Side,
    verify::{self, Against},
};

/// The plan with one more line in `[target]`.
fn with(plan: &str, line: &str) -> String {
    plan.replace("kind = \"local\"\n", &format!("kind = \"local\"\n{line}\n"))
}

/// Ends the trial on both sides; the closing's hash.
fn end(stage: &Stage) -> Hash {
    stage.abort("hoster");
    let destroy = ["kek", "destroy"];
    stage.pass("hoster", "kek-destroy", &destroy);
    let said = stage.hoster(&destroy).ok();
    assert!(said.contains("hgs-signing, hgs-encryption"), "{said}");
    stage.close_hoster();
    let said = stage.abort("tenant");
    assert!(said.contains("(hgs-signing, hgs-encryption)"), "{said}");
    stage.tenant(&["close", "medium/closing"]).ok();
    Hash::of(&fs::read(stage.path("medium/closing/closing.json")).unwrap())
}

/// The rule by which a side that is shown this folder refuses the plan of a stage; none where it
/// takes it.
#[track_caller]
fn refusal(stage: &Stage, side: Side, folder: Option<PathBuf>, rule: Option<Rule>, text: &str) {
    let agreed = AgreedPlan::read(&stage.path("plan/ceremony.toml")).unwrap();
    let end = agreed.tried(side, folder.as_deref());
    let error = end.err();
    let said = error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(error.and_then(|error| error.rule()), rule, "{said}");
    assert!(said.contains(text), "{said}");
}

/// A production stage whose plan names a trial, on nodes of this order.
fn after(closing: Hash, serial: Option<&str>, nodes: &str) -> Stage {
    production::stage(&production::machine_rules(), |plan| {
        let plan =
            with(&plan, &format!("trial = \"{closing}\"")).replace("[\"node1\", \"node2\"]", nodes);
        let Some(serial) = serial else { return plan };
        let (before, hoster) = plan.split_once("[hoster]").unwrap();
        let (head, rest) = hoster.split_once("serials = [\"").unwrap();
        let (_, tail) = rest.split_once('"').unwrap();
        format!("{before}[hoster]{head}serials = [\"{serial}\"{tail}")
    })
}

#[test]
fn a_trial_stops_before_activation_and_production_begins_with_its_record() {
    let mut trial = Stage::new(|plan| with(&plan, "trial = true"));
    trial.walk_to(Done::Ready);
    let said = trial.hoster(&["primary"]).refused("TRIAL-ENDS");
    assert!(said.contains("abort it on both sides"), "{said}");
    let status = trial.hoster(&["status"]);
    assert!(status.err.contains("abort --reason"), "{}", status.err);
    let status = trial.tenant(&["status"]);
    assert!(status.err.contains("abort --reason"), "{}", status.err);
    let closing = end(&trial);
    let folders = ["tenant", "hoster"].map(|side| trial.path(side));
    verify::verify(&folders, &Against::default()).unwrap();

    // The record is taken from either side, folder or archive.
    let serial = trial.json("medium/closing/closing.json")["body"]["token"]["serial"].clone();
    let serial = serial.as_str().unwrap();
    let nodes = "[\"node1\", \"node2\"]";
    let real = after(closing, Some(serial), nodes);
    for folder in ["hoster", "hoster/archive", "tenant", "tenant/archive"] {
        for side in [Side::Hoster, Side::Tenant] {
            refusal(&real, side, Some(trial.path(folder)), None, "");
        }
    }
    refusal(&real, Side::Tenant, None, None, "");
    let rule = Some(Rule::PlanTrial);
    refusal(&real, Side::Hoster, None, rule, "no --trial");
    let empty = trial.path("medium");
    fs::rename(trial.path("medium/closing"), trial.path("closing")).unwrap();
    refusal(&real, Side::Hoster, Some(empty), rule, "without a closing");

    // The program: refused before any word is asked for, then begun, and the log has it.
    let init = ["init", "plan/ceremony.toml"];
    let said = production::hoster(&real, &[], &init).refused("PLAN-TRIAL");
    assert!(said.contains("with --trial"), "{said}");
    let shown = trial.path("hoster/archive");
    let init = [&init[..], &["--trial", shown.to_str().unwrap()]].concat();
    let (mut session, _) = production::on_terminal(&real, &init);
    session.exp_string("Type them here").unwrap();
    session.send_line(&real.plan_words()).unwrap();
    let screen = session.exp_eof().unwrap();
    assert!(screen.contains("every node proved itself ready"), "{screen}");
    let log = production::log(&real);
    assert_eq!(log[0]["trial"], closing.to_string());
    let text = production::hoster(&real, &[], &["status"]);
    text.ok();

    // A log that was begun without the trial is none of this plan.
    let path = real.path("hoster/log.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    let first = line.lines().next().unwrap();
    let without = first.replace(&format!(",\"trial\":\"{closing}\""), "");
    assert_ne!(first, without);
    fs::write(&path, format!("{without}\n")).unwrap();
    production::hoster(&real, &[], &["status"]).refused("PLAN-TRIAL");

    // Another trial, another HSM, other nodes or another order of them.
    let hoster = || Some(trial.path("hoster"));
    for (other, text) in [
        (after(Hash([7; 32]), Some(serial), nodes), "the closing that the plan names"),
        (after(closing, None, nodes), "on the plan's hoster HSM"),
        (after(closing, Some(serial), "[\"node2\", \"node1\"]"), "local on node2, node1"),
        (after(closing, Some(serial), "[\"node1\"]"), "local on node1, in this order"),
    ] {
        refusal(&other, Side::Hoster, hoster(), rule, text);
    }
    // Nothing is shown for a plan that names no trial.
    let plain = Stage::at(Done::Plan);
    refusal(&plain, Side::Hoster, hoster(), rule, "names no trial");
}

#[test]
fn what_was_no_whole_trial_does_not_count() {
    let nodes = "[\"node1\", \"node2\"]";
    let serial = |stage: &Stage| {
        let closing = stage.json("medium/closing/closing.json");
        closing["body"]["token"]["serial"].as_str().unwrap().to_owned()
    };
    let rule = Some(Rule::PlanTrial);
    // It ended before any node was tried.
    let mut trial = Stage::new(|plan| with(&plan, "trial = true"));
    trial.walk_to(Done::ReceiptCheck);
    let closing = end(&trial);
    let real = after(closing, Some(&serial(&trial)), nodes);
    let shown = Some(trial.path("hoster"));
    refusal(&real, Side::Hoster, shown, rule, "node1, node2 never proved");
    // An aborted rehearsal, but none that its plan calls a trial.
    let rehearsal = Stage::at(Done::Ready);
    for side in ["hoster", "tenant"] {
        let said = {
            let abort = ["abort", "--reason", "a test"];
            rehearsal.pass(side, "abort", &abort);
            rehearsal.side(side, &abort).ok()
        };
        assert!(said.contains("names what it supersedes"), "{said}");
    }
    let destroy = ["kek", "destroy"];
    rehearsal.pass("hoster", "kek-destroy", &destroy);
    rehearsal.hoster(&destroy).ok();
    rehearsal.sign_document("hoster", "closing", &["hana", "hugo"]);
    rehearsal.hoster(&["release"]).ok();
    rehearsal.carry("hoster", "closing");
    let closing = Hash::of(&fs::read(rehearsal.path("medium/closing/closing.json")).unwrap());
    let real = after(closing, Some(&serial(&rehearsal)), nodes);
    let shown = Some(rehearsal.path("hoster"));
    refusal(&real, Side::Hoster, shown, rule, "was no trial");
    // A ceremony that came to its end is none either.
    let whole = Stage::at(Done::TenantClose);
    let closing = Hash::of(&fs::read(whole.path("medium/closing/closing.json")).unwrap());
    let real = after(closing, Some(&serial(&whole)), nodes);
    let shown = Some(whole.path("tenant/archive"));
    refusal(&real, Side::Hoster, shown, rule, "was no trial");
}

/// A trial at an HGS: the nodes are ready, the service knows nothing of it, and its primaries are
/// what they were.
#[test]
fn a_trial_leaves_an_hgs_as_it_was() {
    let setting = Setting { hgs: true, ..Setting::default() };
    let mut trial = Stage::with(setting, |plan| {
        plan.replace("kind = \"hgs\"\n", "kind = \"hgs\"\ntrial = true\n")
    });
    simulated::ready(&mut trial);
    let state = trial.json("hgs.json");
    let known: Vec<&String> = state["known"].as_object().unwrap().keys().collect();
    let mut primary: Vec<&str> = (state["primary"].as_object().unwrap().values())
        .map(|thumbprint| thumbprint.as_str().unwrap())
        .collect();
    primary.sort_unstable();
    assert_eq!(known, primary);
    trial.hoster(&["primary"]).refused("TRIAL-ENDS");
    end(&trial);
    let folders = ["tenant", "hoster"].map(|side| trial.path(side));
    verify::verify(&folders, &Against::default()).unwrap();
}
