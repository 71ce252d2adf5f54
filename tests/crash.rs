//! What kills leave behind, one by one (wherever else one may come: `reliability/crashes.rs`).
#![cfg(all(feature = "hsm", feature = "custody"))]

mod common;

use std::{fs, process::Command};

use common::{
    run,
    stage::{Done, Stage},
};

/// What a kill in the middle of SoftHSM's first write leaves: an object file with a generation and
/// no attribute at all.
#[test]
fn an_object_without_any_attribute_is_passed_over() {
    let stage = Stage::at(Done::OfferCheck);
    for folder in fs::read_dir(stage.path("tokens")).unwrap() {
        let name = "11111111-2222-3333-4444-555555555555.object";
        fs::write(folder.unwrap().path().join(name), [0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    }
    let listed = stage.pkcs11_tool("tenant", &["--list-objects"]);
    assert!(String::from_utf8_lossy(&listed).contains("application:    <empty>"));
    let mut stage = stage;
    stage.walk_to(Done::TenantClose);
}

/// Less than a first entry is no ceremony: `init` is run again, and nothing else is.
#[test]
fn an_init_that_was_killed_is_run_again() {
    let whole = Stage::at(Done::Init);
    let line = fs::read(whole.path("tenant/log.jsonl")).unwrap();
    for length in [0, 1, line.len() / 2, line.len() - 1] {
        let stage = whole.copy();
        fs::write(stage.path("tenant/log.jsonl"), &line[..length]).unwrap();
        let said = stage.tenant(&["status"]).ended_with(1);
        assert!(said.contains("run the same `init` again"), "{said}");
        stage.tenant(&["init", "plan/ceremony.toml", "--words", "plan.words"]).ok();
        stage.tenant(&["status"]).ok();
    }
    // An emptied log beside documents is something else.
    let begun = Stage::at(Done::KekCreate);
    fs::write(begun.path("hoster/log.jsonl"), "").unwrap();
    begun
        .hoster(&["init", "plan/ceremony.toml", "--words", "plan.words"])
        .refused("CEREMONY-EXISTS");
}

/// Shares and packages of an export that was interrupted open and import nothing.
#[test]
fn an_older_attempts_shares_and_package_are_refused_by_name() {
    let mut stage = Stage::at(Done::KeysCreate);
    stage.pass("tenant", "export", &["export"]);
    let staged = stage.path("tenant/outbox/.attempt-1");
    let old = stage.path("old");
    // Killed when the share files are written, as the log is about to name them: approval and
    // intent are the lines before.
    assert!(stage.killed_on("tenant", &["export"], Some("tenant/log.jsonl"), "write", 3));
    assert!(staged.join("shares/gus.age").exists());
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    assert!(!log.contains("\"event\":\"export\""), "{log}");
    run(Command::new("cp").arg("-a").arg(&staged).arg(&old));
    stage.walk_to(Done::PackageRelease);
    assert_eq!(stage.json("tenant/outbox/package/package.json")["header"]["attempt"], 2);
    assert!(!staged.exists(), "the abandoned attempt is erased");
    // Its package was released by nobody; released or not, the log of the tenant names another.
    for id in ["ada", "ben"] {
        stage.sign(&old.join("package/package.json"), "keyferry-document", id);
    }
    stage.walk_to(Done::PackageCheck);
    let import = |shares: &[String]| {
        let mut arguments = vec!["import", "medium/package"];
        arguments.extend(shares.iter().map(String::as_str));
        stage.hoster(&arguments)
    };
    let mut shares = stage.shares(&["cyd", "eve", "gus"]);
    shares[5] = old.join("shares/eve.age").display().to_string();
    stage.pass("hoster", "import", &["import", "medium/package"]);
    import(&shares).refused("SHARE-FILE");
    let old_package = old.join("package").display().to_string();
    stage.hoster(&["import", &old_package]).refused("DOCUMENT-ATTEMPT");
    stage.walk_to(Done::TenantClose);
}
