//! What docs/accidents.md says is to be done, done: from where the log says that the ceremony is,
//! to the end that it should have had.

use std::{fs, process::Command};

use super::{import, imported};
use crate::common::{
    MODULE, PIN, SO_PIN,
    ending::events,
    preload, production, run,
    stage::{Done, Ended, Stage, ended},
};
use record::log::Event;

fn imported_with(stage: &Stage, ids: &[&str]) -> Ended {
    imported(stage, &import("medium/package", &stage.shares(ids)))
}

#[test]
fn two_of_five_shares_are_lost_and_three_import() {
    let mut stage = Stage::at(Done::PackageCheck);
    for id in ["cyd", "dan"] {
        fs::remove_file(stage.path(&format!("people/{id}.identity"))).unwrap();
    }
    imported_with(&stage, &["eve", "fay", "gus"]).ok();
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("two shares lost");
}

#[test]
fn a_share_file_that_is_lost_is_written_again() {
    let mut stage = Stage::at(Done::PackageCheck);
    // What the custodians held is gone; the tenant's outbox has what was dealt.
    let mut shares = Vec::new();
    for id in ["cyd", "dan", "eve"] {
        let again = format!("{id}-again.age");
        stage.tenant(&["share", "reissue", id, "--to", &again]).ok();
        let identity = format!("people/{id}.identity");
        shares.extend(["--share".into(), again, "--identity".into(), identity]);
    }
    imported(&stage, &import("medium/package", &shares)).ok();
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("share files lost");
    let reissued = |event: &Event| matches!(event, Event::ShareReissue { .. });
    assert_eq!(events(&stage, "tenant").iter().filter(|one| reissued(one)).count(), 3);
}

#[test]
fn a_page_that_the_printer_spoilt_is_printed_again_under_the_next_number() {
    let mut stage = Stage::at(Done::Export);
    for copy in 1..=2 {
        let said = stage.tenant(&["print", "share", "cyd"]).ok();
        assert!(said.contains(&format!("copy:         {copy}\n")), "{said}");
    }
    // The spoilt one is destroyed in front of a witness, who says so.
    let spoilt = "share-cyd, copy 1: jammed in the printer, shredded in front of Iris";
    stage.tenant(&["note", "remark", spoilt]).ok();
    stage.walk_to(Done::TenantClose);
    let noted = stage.verdict().noted.join("\n");
    // After the end no record counts a copy, and the share serves for nothing.
    let said = stage.tenant(&["print", "share", "cyd"]).refused("PHASE-ORDER");
    assert!(said.contains("a share sheet after close"), "{said}");
    assert!(!stage.path("tenant/paper/share-cyd-3.html").exists());
    for line in ["printed share-cyd, copy 1", "printed share-cyd, copy 2", "shredded"] {
        assert!(noted.contains(line), "{noted}");
    }
}

#[test]
fn a_medium_that_cannot_be_read_is_written_again_from_the_outbox() {
    let mut stage = Stage::at(Done::PackageRelease);
    let sealed = stage.path("medium/package/hgs-signing.sealed");
    let whole = fs::read(&sealed).unwrap();
    let check = ["package", "check", "medium/package"];
    // As a worn stick gives it: zeros, half a file, no file.
    fs::write(&sealed, vec![0; whole.len()]).unwrap();
    stage.hoster(&check).refused("DOCUMENT-HASH");
    fs::write(&sealed, &whole[..whole.len() / 2]).unwrap();
    stage.hoster(&check).refused("DOCUMENT-HASH");
    fs::remove_file(&sealed).unwrap();
    let said = stage.hoster(&check).refused("DOCUMENT-MISSING");
    assert!(said.contains("copy it again from its sender's outbox"), "{said}");
    stage.carry("tenant", "package");
    assert_eq!(fs::read(&sealed).unwrap(), whole);
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("a medium written again");
}

#[test]
fn a_locked_pin_is_set_anew_by_the_security_officer() {
    let mut stage = Stage::at(Done::PackageCheck);
    stage.lie = Some(("hoster", "pin-locked"));
    let said = imported_with(&stage, &["cyd", "dan", "eve"]).refused("PIN-COUNT-LOW");
    assert!(said.contains("the PIN is locked") && said.contains("no key is lost"), "{said}");
    stage.lie = None;
    // The officer sets a new PIN, which lifts the lock.
    set_pin(&stage, "87654321");
    let arguments = import("medium/package", &stage.shares(&["cyd", "dan", "eve"]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The signatures for the import still stand.
    fs::write(stage.path("pin"), "87654321").unwrap();
    stage.hoster(&arguments).ok();
    fs::write(stage.path("pin"), PIN).unwrap();
    set_pin(&stage, PIN);
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("a locked PIN");
}

/// As the security officer of the hoster's token does it, with another tool than ours.
fn set_pin(stage: &Stage, pin: &str) {
    run(Command::new("pkcs11-tool")
        .args(["--module", MODULE, "--token-label", "hoster"])
        .args(["--login", "--login-type", "so", "--so-pin", SO_PIN])
        .args(["--init-pin", "--new-pin", pin])
        .env("SOFTHSM2_CONF", stage.path("softhsm2.conf")));
}

/// The same keys in another device: here the token's files, with another serial number in them.
fn clone(stage: &Stage, from: &str, to: &str) {
    for token in fs::read_dir(stage.path("tokens")).unwrap() {
        let file = token.unwrap().path().join("token.object");
        let bytes = fs::read(&file).unwrap();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
        if let Some(at) = at {
            let cloned = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
            fs::write(&file, cloned).unwrap();
            return;
        }
    }
    panic!("no token {from}");
}

#[test]
fn a_clone_that_the_plan_names_takes_the_place_of_an_hsm_and_no_other_does() {
    let mut stage = Stage::at(Done::Plan);
    let (serial, spare, stranger) =
        (production::serial(&stage, "hoster"), "5ba4e00000000001", "57a46e0000000001");
    let path = stage.path("plan/ceremony.toml");
    let hsm = format!(
        "name = \"Fabrikam\"\nhsm = {{ manufacturer = \"SoftHSM project\", model = \"SoftHSM v2\", serials = [\"{serial}\", \"{spare}\"] }}\n"
    );
    let plan = fs::read_to_string(&path).unwrap();
    assert!(plan.contains("name = \"Fabrikam\"\n"));
    fs::write(&path, plan.replace("name = \"Fabrikam\"\n", &hsm)).unwrap();
    for id in ["ada", "ben", "hana", "hugo"] {
        stage.sign(&path, "keyferry-plan", id);
    }
    stage.walk_to(Done::PackageCheck);
    clone(&stage, &serial, stranger);
    let said = imported_with(&stage, &["cyd", "dan", "eve"]).refused("PLAN-HSM");
    assert!(said.contains(stranger) && said.contains("clone or backup"), "{said}");
    clone(&stage, stranger, spare);
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("a clone of the HSM");
}

/// A clock in a year that no record can have, before anything is done by it.
#[test]
fn a_clock_past_the_year_9999_ends_the_command() {
    let stage = Stage::at(Done::Init);
    let log = fs::read(stage.path("hoster/log.jsonl")).unwrap();
    for arguments in [&["note", "remark", "the clock is wrong"][..], &["print", "script"]] {
        let mut command = stage.command("hoster", arguments);
        command.env("LD_PRELOAD", preload::clock()).env("KEYFERRY_TEST_AHEAD", "260000000000");
        let said = ended(&mut command).ended_with(1);
        assert!(said.contains("this machine's clock shows a year"), "{said}");
    }
    assert_eq!(fs::read(stage.path("hoster/log.jsonl")).unwrap(), log);
}

/// Killed after its last change to the disk, before it could say so: the same command says what was
/// done, writes nothing, and ends well.
#[test]
fn a_command_that_was_done_says_so_when_it_is_run_again() {
    let mut stage = Stage::at(Done::Plan);
    let mut said_so = Vec::new();
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let code = stage.side(side, &arguments).code;
        if code == 0 {
            let log = fs::read(stage.path(side).join("log.jsonl")).unwrap();
            let copy = stage.copy();
            let again = copy.side(side, &arguments);
            let unchanged = fs::read(copy.path(side).join("log.jsonl")).unwrap() == log;
            let done = [
                "is done already",
                "has begun already",
                "is closed on this side",
                "is in the record already",
            ];
            if done.iter().any(|done| again.out.contains(done)) {
                assert!(again.code == 0 && unchanged, "{arguments:?}: {again:?}");
                said_so.push(arguments[..2.min(arguments.len())].join(" "));
            } else {
                // What may be done twice is: `kek trust` finds it so, a share is confirmed again;
                // and `primary` goes on to what follows it.
                let known = ["kek trust", "share confirm", "primary"];
                let command = arguments.join(" ");
                assert!(known.iter().any(|known| command.starts_with(known)), "{again:?}");
            }
        }
        code
    });
    said_so.sort();
    said_so.dedup();
    println!("counted: {said_so:?}");
    for command in ["init plan/ceremony.toml", "kek create", "release", "package check"] {
        assert!(said_so.iter().any(|said| said.starts_with(command)), "{command}: {said_so:?}");
    }
}
