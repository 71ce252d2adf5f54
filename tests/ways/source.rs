//! What becomes of the tenant's originals after the ceremony: destroyed where the plan says so,
//! kept otherwise, and on record either way.

use std::{fs, process::Command};

use crate::common::{
    PIN, run,
    stage::{Done, Setting, Stage},
};

const BACKUP: &str = "two smart cards in the safes of Berlin and Graz, M of N";

fn destroys(plan: String) -> String {
    plan.replace("[target]\n", "[after]\nsource = \"destroy\"\n\n[target]\n")
}

/// Private keys of a side's token, as another program counts them.
fn private_keys(stage: &Stage, side: &str) -> usize {
    let mut command = Command::new("pkcs11-tool");
    stage.environment(&mut command, side);
    let listed = run(command
        .arg("--module")
        .arg(stage.module(side))
        .args(["--token-label", side, "--login", "--pin", PIN])
        .args(["--list-objects", "--type", "privkey"]));
    let listed = String::from_utf8_lossy(&listed);
    listed.matches("Private Key Object").count()
}

/// The hoster destroys the KEK, and says how the keys are backed up.
fn closing(stage: &Stage) {
    let destroy = ["kek", "destroy", "medium/acceptance"];
    let said = stage.hoster(&destroy).ended_with(2);
    assert!(said.contains("--backup TEXT"), "{said}");
    let destroy = [&destroy[..], &["--backup", BACKUP]].concat();
    stage.pass("hoster", "kek-destroy", &destroy);
    stage.hoster(&destroy).ok();
    stage.sign_document("hoster", "closing", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "closing");
    stage.hoster(&["close"]).ok();
}

#[test]
fn originals_go_after_acceptance_and_the_hosters_word_about_backups() {
    let mut stage = Stage::with(Setting { shim: true, ..Setting::composite() }, destroys);
    let destroy = ["source", "destroy", "medium/closing"];
    for done in [Done::KeysCreate, Done::ReceiptCheck, Done::Accept] {
        stage.walk_to(done);
        stage.tenant(&destroy).refused("PHASE-ORDER");
    }
    stage.walk_to(Done::AcceptanceRelease);
    closing(&stage);
    let status = stage.tenant(&["status"]);
    assert!(status.err.contains("source destroy CLOSING"), "{}", status.err);
    let said = stage.tenant(&["close", "medium/closing"]).refused("SOURCE-LEFT");
    assert!(said.contains("source destroy CLOSING`, with"), "{said}");

    // A closing that says nothing of backups, signed by the hoster's officers all the same.
    let silent = stage.path("silent");
    run(Command::new("cp").arg("-r").arg(stage.path("medium/closing")).arg(&silent));
    let mut text = stage.json("silent/closing.json");
    text["body"].as_object_mut().unwrap().remove("backup");
    fs::write(silent.join("closing.json"), serde_json::to_vec_pretty(&text).unwrap()).unwrap();
    for id in ["hana", "hugo"] {
        stage.sign(&silent.join("closing.json"), "keyferry-document", id);
    }
    stage.tenant(&["source", "destroy", "silent"]).refused("SOURCE-BACKUP");

    // Two officers, over exactly these keys and this closing.
    stage.tenant(&destroy).ended_with(6);
    let request = fs::read_to_string(stage.request("tenant", "source-destroy")).unwrap();
    assert!(request.contains(BACKUP), "{request}");
    stage.approve("tenant", "source-destroy", &["ada"]);
    stage.tenant(&destroy).ended_with(6);
    assert_eq!(private_keys(&stage, "tenant"), 2);
    stage.approve("tenant", "source-destroy", &["cora"]);
    // A token that says that it destroyed them is looked into once more.
    let mut keeps = stage.command("tenant", &destroy);
    crate::common::stage::ended(keeps.env("KEYFERRY_SHIM_LIE", "keeps")).refused("TARGET-GONE");
    assert_eq!(private_keys(&stage, "tenant"), 2);
    let said = stage.tenant(&destroy).ok();
    assert!(said.contains("hgs-signing, hgs-encryption"), "{said}");
    assert_eq!(private_keys(&stage, "tenant"), 0);
    assert_eq!(private_keys(&stage, "hoster"), 2);
    let again = stage.tenant(&destroy).ok();
    assert!(again.contains("This is done already"), "{again}");
    stage.tenant(&["close"]).ok();
    let text = stage.verdict().text();
    assert!(
        text.contains("originals were destroyed, found and gone: hgs-signing, hgs-encryption"),
        "{text}"
    );
    assert!(text.contains(BACKUP), "{text}");
}

#[test]
fn a_killed_destruction_goes_on_without_new_signatures() {
    let setting = Setting { shim: true, ..Setting::composite() };
    let mut stage = Stage::with(setting, destroys);
    stage.walk_to(Done::AcceptanceRelease);
    closing(&stage);
    let destroy = ["source", "destroy", "medium/closing"];
    stage.pass("tenant", "source-destroy", &destroy);
    // Wherever it is killed: at the end both originals are gone, and the log says so once.
    let killed = |fault: &str, left: usize| {
        stage.killed_in_hsm("tenant", &destroy, fault);
        assert_eq!(private_keys(&stage, "tenant"), left, "{fault}");
    };
    killed("C_Login once kill-before", 2);
    killed("C_DestroyObject once kill-before", 2);
    killed("C_DestroyObject once kill-after", 1);
    killed("C_DestroyObject once kill-after", 0);
    // Its last entry is on its way to the disk.
    let log = Some("tenant/log.jsonl");
    assert!(stage.killed_on("tenant", &destroy, log, "write", 1));
    stage.tenant(&destroy).ok();
    assert_eq!(private_keys(&stage, "tenant"), 0);
    stage.tenant(&["close"]).ok();
    let text = stage.verdict().text();
    assert_eq!(text.matches("originals were destroyed").count(), 1, "{text}");
}

#[test]
fn originals_that_are_kept_are_on_record_too() {
    let mut stage = Stage::of(Setting::composite(), Done::AcceptanceRelease);
    let said = stage.hoster(&["kek", "destroy", "medium/acceptance", "--backup", BACKUP]);
    let said = said.ended_with(2);
    assert!(said.contains("where the tenant's originals stay"), "{said}");
    stage.walk_to(Done::ClosingRelease);
    stage.tenant(&["source", "destroy", "medium/closing"]).refused("PHASE-ORDER");
    stage.walk_to(Done::TenantClose);
    assert_eq!(private_keys(&stage, "tenant"), 2);
    let text = stage.verdict().text();
    assert!(text.contains("originals stay in its HSM, as the plan says"), "{text}");
}
