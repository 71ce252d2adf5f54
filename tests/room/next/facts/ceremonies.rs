//! Ceremonies of every way, and what may happen in them: wherever they stand, their screens are held
//! against their logs.

use std::{fs, process::Command};

use super::{
    Answer, Seen,
    log::{Log, says},
    screens,
};
use crate::common::{
    elsewhere::{self, Elsewhere},
    run,
    simulated::{self, simulated},
    stage::{Done, NODES, Setting, Stage},
};
use ::show::Language;
use record::{encoding::Hash, fingerprint};

const SIDES: [&str; 2] = ["tenant", "hoster"];
const READY: (&str, &str) = ("? for more: ", "? sagt mehr: ");

/// A gated command, with its officers' signatures.
fn gated(stage: &Stage, side: &str, gate: &str, command: &[&str]) {
    stage.pass(side, gate, command);
    stage.side(side, command).ok();
}

fn aborted(stage: &Stage, side: &str) {
    gated(stage, side, "abort", &["abort", "--reason", "a test"]);
}

/// The same stage, where a command was killed once its intent was on record.
fn cut_off(stage: &Stage, side: &str, command: &[&str]) -> Stage {
    for nth in 1.. {
        let copy = stage.copy();
        assert!(copy.killed(side, command, "fsync", nth), "it came to its end");
        if Log::read(&copy, side).entries.last().unwrap()["event"] == "intent" {
            return copy;
        }
    }
    unreachable!()
}

fn composite(done: Done) -> Stage {
    Stage::of(Setting::composite(), done)
}

/// Where keys are carried, from before the beginning to the end, and whatever may happen on the way.
#[test]
fn what_is_stated_of_keys_that_are_carried_stands_in_the_log() {
    let mut seen = Seen::default();
    for done in [Done::Plan].into_iter().chain(Done::ALL) {
        seen.hold(&composite(done), &format!("{done:?}"));
    }
    // Ended without its aim, before and after there was a KEK, and once the keys were primary.
    for done in [Done::Init, Done::KekCreate, Done::Active] {
        let stage = composite(done);
        SIDES.iter().for_each(|side| aborted(&stage, side));
        seen.hold(&stage, &format!("{done:?}, aborted"));
    }
    // What was in a bag is not what went into it; and somebody has stopped for the day.
    let stage = composite(Done::Init);
    for (way, number) in [("bag-out", "K-1"), ("bag-in", "K-2")] {
        let bag = ["note", way, "the laptop", "--number", number, "--condition", "intact"];
        stage.hoster(&bag).ok();
    }
    let text = ["note", "break", "--stayed", "Ada", "--text", "stopped for today"];
    stage.tenant(&text).ok();
    seen.hold(&stage, "a bag, and a break");
    // The originals go.
    let mut stage = Stage::with(Setting::composite(), |plan| {
        plan.replace("[target]\n", "[after]\nsource = \"destroy\"\n\n[target]\n")
    });
    stage.walk_to(Done::AcceptanceRelease);
    seen.hold(&stage, "originals to be destroyed");
    begun_again(&mut seen);
    not_ended(&mut seen);
    changed(&mut seen);
    seen.all_of(&["carried"]);
}

/// Attempts after the first.
fn begun_again(seen: &mut Seen) {
    let stage = Stage::at(Done::OfferCheck);
    seen.hold(&stage, "a KEK to trust");
    // The hoster alone, before anything is wrapped.
    let mut stage = Stage::at(Done::KeysCreate);
    stage.restart("hoster");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::OfferCheck);
    seen.hold(&stage, "another offer");
    // Both.
    let mut stage = Stage::at(Done::Export);
    SIDES.iter().for_each(|side| drop(stage.restart(side)));
    seen.hold(&stage, "the second attempt");
    stage.done = Some(Done::Init);
    stage.walk_to(Done::OfferCheck);
    seen.hold(&stage, "the second attempt's offer");
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    for done in [Done::Export, Done::PackageCheck] {
        stage.walk_to(done);
        seen.hold(&stage, &format!("the second attempt, {done:?}"));
    }
}

/// Where a command was killed: what it had begun is known, and what came of it is not.
fn not_ended(seen: &mut Seen) {
    let restart = ["restart", "--reason", "a test"];
    for (side, done) in [("hoster", Done::KekCreate), ("tenant", Done::Export)] {
        let stage = composite(done);
        stage.pass(side, "restart", &restart);
        seen.hold(&cut_off(&stage, side, &restart), &format!("{side}: restart, cut off"));
    }
    let stage = composite(Done::Active);
    stage.pass("hoster", "rollback", &["rollback"]);
    seen.hold(&cut_off(&stage, "hoster", &["rollback"]), "rollback, cut off");
    let mut stage = composite(Done::KeysCreate);
    stage.pass("tenant", "export", &["export"]);
    for nth in ["export, cut off", "another export, cut off"] {
        stage = cut_off(&stage, "tenant", &["export"]);
        seen.hold(&stage, nth);
    }
    // Between the package and the end of the trust that it was made under.
    let stage = Stage::at(Done::Export);
    let path = stage.path("tenant/log.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    let last = log.trim_end().rfind('\n').unwrap() + 1;
    assert!(log[last..].contains("\"event\":\"kek-untrust\""), "{log}");
    fs::write(&path, &log[..last]).unwrap();
    seen.hold(&stage, "a KEK that is trusted still");
}

/// What becomes of the nodes, and of what is primary, also after the end.
fn changed(seen: &mut Seen) {
    let proves = |stage: &Stage, node: &str, what: &str| {
        let file = stage.prove_node(node, what);
        stage.hoster(&["evidence", "add", &file]).ok();
    };
    let replace = ["nodes", "--replace", "node1"];
    // The first again, once the second may begin.
    let stage = composite(Done::Register);
    proves(&stage, "node1", "ready");
    seen.hold(&stage, "node1 is ready");
    gated(&stage, "hoster", "nodes", &replace);
    seen.hold(&stage, "node1 is another, before the keys are primary");
    gated(&stage, "hoster", "nodes", &["nodes", "--remove", "node1"]);
    seen.hold(&stage, "node1 has left");
    let stage = composite(Done::Active);
    gated(&stage, "hoster", "nodes", &replace);
    seen.hold(&stage, "node1 is another, while the keys are primary");
    gated(&stage, "hoster", "rollback", &["rollback"]);
    seen.hold(&stage, "taken back");
    for node in NODES {
        proves(&stage, node, "ready");
        seen.hold(&stage, &format!("taken back, {node} is ready"));
    }
    gated(&stage, "hoster", "primary", &["primary"]);
    seen.hold(&stage, "primary again");
    let stage = composite(Done::Registration);
    gated(&stage, "hoster", "rollback", &["rollback"]);
    seen.hold(&stage, "taken back before the registration was released");
    // After the end, and closed again each time.
    let stage = composite(Done::TenantClose);
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "former.key"])
        .args(["-subj", "/CN=former", "-sha256", "-outform", "DER", "-out", "former.crt"])
        .current_dir(&stage.dir));
    let changes: [(&str, &dyn Fn()); 4] = [
        ("node1 is another", &|| gated(&stage, "hoster", "nodes", &replace)),
        ("node1 is active", &|| proves(&stage, "node1", "active")),
        ("taken back", &|| gated(&stage, "hoster", "rollback", &["rollback"])),
        ("retired", &|| drop(stage.hoster(&["retire", "former.crt"]).ok())),
    ];
    for (n, (what, change)) in changes.iter().enumerate() {
        change();
        seen.hold(&stage, &format!("after the end, {what}"));
        stage.hoster(&["close"]).ok();
        seen.hold(&stage, &format!("after the end, {what}, closed"));
        let said = stage.hoster(&["status"]).err;
        let archive = format!("let officers and witnesses sign archive-{}/head.json", n + 2);
        assert_eq!(said.contains(&archive), *what == "node1 is active", "{said}");
    }
}

/// The other ways, and a trial.
#[test]
fn what_is_stated_of_keys_on_other_ways_stands_in_the_log() {
    let mut seen = Seen::default();
    for done in Done::ALL {
        seen.hold(&Stage::of(Setting::born(), done), &format!("born, {done:?}"));
    }
    let stage = Stage::of(Setting::born(), Done::PackageRelease);
    SIDES.iter().for_each(|side| drop(stage.restart(side)));
    seen.hold(&stage, "born, begun again");
    let stage = Stage::of(Setting::born(), Done::KekCreate);
    aborted(&stage, "hoster");
    seen.hold(&stage, "born, aborted");
    for setting in [Setting::composite(), Setting::born()] {
        let mut stage = Stage::with(setting, |plan| {
            plan.replace("kind = \"local\"\n", "kind = \"local\"\ntrial = true\n")
        });
        stage.walk_to(Done::Ready);
        seen.hold(&stage, "a trial, before its end");
    }
    cloud(&mut seen);
    seen.all_of(&["born", "cloud", "trial"]);
}

/// For a cloud service, whose wrapping key may expire.
fn cloud(seen: &mut Seen) {
    let waivers = ["WRAP-COMPOSITE", "WRAP-OAEP-SHA1", "WRAP-ZERO-FILLED"];
    let setting = Setting {
        waivers: waivers.map(str::to_owned).into(),
        cloud: Some("aws-kms"),
        ..Setting::composite()
    };
    let stage = Stage::with(setting, |plan| plan);
    let words = stage.words("plan", &stage.plan_words());
    stage.tenant(&["init", "plan/ceremony.toml", "--words", &words]).ok();
    seen.hold(&stage, "cloud, begun");
    stage.tenant(&["keys", "create"]).ok();
    seen.hold(&stage, "cloud, keys made");
    run(Command::new("openssl").args(["genrsa", "-out"]).arg(stage.path("kek.pem")).arg("3072"));
    let public = ["pkey", "-pubout", "-in", "kek.pem", "-out", "wrapping-key"];
    run(Command::new("openssl").args(public).current_dir(&stage.dir));
    let export = ["export", "--format", "aws-kms", "--kek", "wrapping-key"];
    gated(&stage, "tenant", "export", &export);
    seen.hold(&stage, "cloud, exported");
    stage.tenant(&["close"]).ok();
    seen.hold(&stage, "cloud, closed");
}

/// Keys that another tool has wrapped.
#[test]
fn what_is_stated_of_keys_that_another_tool_brings_stands_in_the_log() {
    let mut seen = Seen::default();
    let elsewhere = Elsewhere::new();
    let setting = Setting { brought: elsewhere.spki(), ..Setting::composite() };
    let mut stage = Stage::with(setting, |plan| plan);
    for done in Done::ALL.into_iter().take_while(|done| *done <= Done::OfferCheck) {
        stage.walk_to(done);
        seen.hold(&stage, &format!("brought, {done:?}"));
    }
    elsewhere.wrap_all(&stage);
    let import = elsewhere.import();
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    gated(&stage, "hoster", "import", &import);
    let mut given_up = None;
    elsewhere::to_the_end(&mut stage, &mut |stage| {
        seen.hold(stage, "brought");
        // Once both sides have something to give up.
        if stage.path("tenant/outbox/challenge").exists() && given_up.is_none() {
            given_up = Some(stage.copy());
        }
    });
    let stage = given_up.unwrap();
    let ended = stage.copy();
    SIDES.iter().for_each(|side| drop(stage.restart(side)));
    seen.hold(&stage, "brought, begun again");
    SIDES.iter().for_each(|side| aborted(&ended, side));
    seen.hold(&ended, "brought, aborted");
    seen.all_of(&["brought"]);
}

/// A Host Guardian Service: nodes are installed, prove themselves, are replaced and leave; what was
/// primary comes back; and the tenant has what they publish.
#[test]
fn what_is_stated_of_a_host_guardian_service_stands_in_the_log() {
    let mut seen = Seen::default();
    let mut stage = Stage::of(Setting { hgs: true, ..Setting::composite() }, Done::ReceiptCheck);
    simulated::begin(&mut stage);
    seen.hold(&stage, "HGS, registered");
    let each = |stage: &Stage, seen: &mut Seen, what: &str, nodes: &[&str]| {
        for node in nodes {
            simulated::proves(stage, node, what);
            seen.hold(stage, &format!("HGS, {node} is {what}"));
        }
    };
    each(&stage, &mut seen, "ready", &["node1", "node2"]);
    gated(&stage, "hoster", "nodes", &["nodes", "--remove", "node3"]);
    seen.hold(&stage, "HGS, node3 has left");
    gated(&stage, "hoster", "primary", &["primary"]);
    simulated(&stage, &["set", "hoster/register"]);
    seen.hold(&stage, "HGS, primary");
    each(&stage, &mut seen, "active", &["node1"]);
    gated(&stage, "hoster", "rollback", &["rollback"]);
    simulated(&stage, &["undo", "hoster/register"]);
    seen.hold(&stage, "HGS, taken back");
    each(&stage, &mut seen, "ready", &["node1", "node2"]);
    gated(&stage, "hoster", "primary", &["primary"]);
    simulated(&stage, &["set", "hoster/register"]);
    each(&stage, &mut seen, "active", &["node1", "node2"]);
    stage.done = Some(Done::Active);
    stage.walk_to(Done::RegistrationRelease);
    seen.hold(&stage, "HGS, registered");
    fs::write(stage.path("node1.xml"), simulated(&stage, &["metadata"])).unwrap();
    let accept = ["accept", "medium/registration", "--metadata", "node1=node1.xml"];
    let fetched = ["--fetched-from", "the tenant's own network", "--fetched-by", "ada"];
    stage.tenant(&[&accept[..], &fetched].concat()).ok();
    seen.hold(&stage, "HGS, accepted");
    stage.done = Some(Done::Accept);
    stage.walk_to(Done::TenantClose);
    gated(&stage, "hoster", "nodes", &["nodes", "--replace", "node2"]);
    stage.hoster(&["close"]).ok();
    seen.hold(&stage, "HGS, after the end, node2 is another");
}

/// What is said once something was answered.
#[test]
fn what_is_stated_after_an_answer_stands_in_the_log() {
    let mut seen = Seen::default();
    let stage = composite(Done::KekCreate);
    stage.sign_document("hoster", "offer", &["hana", "hugo"]);
    seen.hold_after(&stage, "hoster", &[(READY, "")], "an offer is released");
    seen.hold_after(&composite(Done::Export), "tenant", &[(READY, "a")], "cyd is absent");
    let stage = composite(Done::Init);
    let bag = ("What goes into a bag?", "Was kommt in eine Tasche?");
    let stops: [Answer; 7] = [
        (READY, "m"),
        (("Number, or Enter", "Nummer, oder Enter"), "0"),
        (bag, "the laptop"),
        (("The number that is printed", "Die aufgedruckte Nummer"), "K-1"),
        (bag, ""),
        (("Who has the bags", "Wer hat die Taschen"), "Ada"),
        (("Are the words on paper", "Stehen die Wörter auf Papier"), "yes"),
    ];
    seen.hold_after(&stage, "hoster", &stops, "stopped for today");
    let who = (("Who is here now?", "Wer ist jetzt da?"), "Ada");
    let back: [Answer; 3] = [
        (("The number of the bag with", "Die Nummer der Tasche mit"), "K-1"),
        (("Is it closed", "Ist sie geschlossen"), "yes"),
        who,
    ];
    seen.hold_after(&stage, "hoster", &back, "the next day");
    // What has come since is counted; the hash of an entry is in the one behind it.
    let log = Log::read(&stage, "hoster").entries;
    let at = log.iter().position(|entry| says(entry, "stopped for today")).unwrap();
    let hash: Hash = log[at + 1]["prev"].as_str().unwrap().parse().unwrap();
    let words = fingerprint::words(&hash.0)[..16].join(" ");
    let back = [who, (("Word 1 of 16", "Wort 1 von 16"), words.as_str())];
    let screen = screens(&stage, "hoster", Language::English, &back);
    let since =
        format!("Between that entry and this return {} entries have come", log.len() - at - 1);
    assert!(screen.contains(&since), "{since}: {screen}");
    seen.all_of(&["asked"]);
}
