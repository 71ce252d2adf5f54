//! What is refused on the way, each by its rule, with exit code 3 and nothing changed; and that the right thing
//! still works afterwards.
#![cfg(all(feature = "hsm", feature = "custody"))]

#[path = "../common/mod.rs"]
mod common;
mod documents;
mod people;
mod token;

use std::fs;

use common::stage::{CUSTODIANS, Done, Ended, Stage};
use keyferry::custodian;

/// What a refusal must leave as it is: the phase, and the names of all files of a side.
fn state(stage: &Stage, side: &str) -> (String, Vec<String>) {
    let status = stage.side(side, &["status", "--json"]).ok();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let mut names = Vec::new();
    let mut folders = vec![stage.path(side)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            names.push(format!(
                "{} {}",
                path.display(),
                path.metadata().map_or(0, |found| found.len())
            ));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    // The log grows by the refusal; everything else is as it was.
    names.retain(|name| !name.contains("log.jsonl"));
    names.sort();
    (status["phase"].as_str().unwrap().to_owned(), names)
}

/// Refused by this rule, and nothing changed but the record of it.
#[track_caller]
fn refused(stage: &Stage, side: &str, arguments: &[&str], rule: &str) -> String {
    let before = state(stage, side);
    let said = stage.side(side, arguments).refused(rule);
    assert_eq!(state(stage, side), before, "{arguments:?}");
    let log = fs::read_to_string(stage.path(side).join("log.jsonl")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("\"event\":\"refusal\"") && last.contains(rule),
        "{last}"
    );
    said
}

#[test]
fn every_step_out_of_order_is_refused_at_every_phase() {
    let hoster: [&[&str]; 7] = [
        &["kek", "create"],
        &["package", "check", "medium/package"],
        &["import", "medium/package"],
        &["register"],
        &["primary"],
        &["kek", "destroy", "medium/acceptance"],
        &["close"],
    ];
    let tenant: [&[&str]; 9] = [
        &["offer", "check", "medium/offer", "--words", "kek.words"],
        &["keys", "create"],
        &["export"],
        &["share", "confirm", "cyd", "--words", "cyd.words"],
        &["share", "reissue", "cyd", "--to", "again.age"],
        &["receipt", "check", "medium/receipt"],
        &["accept", "medium/registration"],
        &["release"],
        &["close", "medium/closing"],
    ];
    let mut stage = Stage::at(Done::Init);
    for (done, allowed) in [
        (Done::Init, vec!["kek create", "offer check"]),
        (Done::OfferRelease, vec!["package check", "offer check"]),
        (Done::KeysCreate, vec!["package check", "export"]),
        (
            Done::PackageRelease,
            vec!["package check", "receipt check", "share reissue"],
        ),
        (
            Done::PackageCheck,
            vec!["import", "receipt check", "share reissue"],
        ),
        (Done::ReceiptCheck, vec!["register", "accept"]),
        (Done::Register, vec!["primary", "accept"]),
        (
            Done::AcceptanceRelease,
            vec!["kek destroy", "close medium/closing"],
        ),
        (Done::TenantClose, vec!["close", "close medium/closing"]),
    ] {
        stage.walk_to(done);
        for (side, commands) in [("hoster", hoster.as_slice()), ("tenant", tenant.as_slice())] {
            for command in commands {
                if allowed
                    .iter()
                    .any(|allowed| command.join(" ").starts_with(allowed))
                    && (command[0] != "close" || allowed.contains(&command.join(" ").as_str()))
                {
                    continue;
                }
                let ended = stage.side(side, command);
                // After an import the package is named, before anything else is said.
                let rule = if command[0] == "import" && stage.path("hoster/outbox/receipt").exists()
                {
                    "PACKAGE-IMPORTED"
                } else {
                    "PHASE-ORDER"
                };
                // Without its document a step can't even be asked for.
                if ended.code != 1 || !ended.err.contains("medium/") {
                    ended.refused(rule);
                }
            }
        }
    }
}

#[test]
fn shares_that_are_too_few_repeated_wrong_or_foreign_are_refused_and_named() {
    let mut stage = Stage::at(Done::PackageCheck);
    let import = |shares: &[String]| -> Vec<String> {
        let head = ["import", "medium/package"].map(str::to_owned);
        head.into_iter().chain(shares.iter().cloned()).collect()
    };
    let try_import = |shares: &[String], rule: &str| -> String {
        let arguments = import(shares);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused(&stage, "hoster", &arguments, rule)
    };
    let said = try_import(&stage.shares(&["dan", "gus"]), "SHARE-QUORUM");
    assert!(
        said.contains("2 of 3") && said.contains("cyd, eve, fay"),
        "{said}"
    );
    let said = try_import(&stage.shares(&["dan", "dan", "gus"]), "SHARE-REPEATED");
    assert!(said.contains("dan"), "{said}");
    // Another's identity.
    let mut other = stage.shares(&["dan", "eve", "gus"]);
    other[3] = "people/fay.identity".into();
    try_import(&other, "SHARE-IDENTITY");
    // A share file in which one byte was changed.
    let path = stage.path("changed.age");
    let mut bytes = fs::read(stage.path("tenant/outbox/shares/dan.age")).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut changed = stage.shares(&["dan", "eve", "gus"]);
    changed[1] = "changed.age".into();
    try_import(&changed, "SHARE-FILE");
    // A share of another ceremony, and one with a flipped bit, typed.
    let foreign = Stage::at(Done::Export);
    assert!(
        typed(&stage, &[record(&foreign, "dan")])
            .refused("SHARE-PACKAGE")
            .contains("older attempt or another ceremony")
    );
    let mut wrong = record(&stage, "eve").into_bytes();
    wrong[60] = if wrong[60] == b'A' { b'B' } else { b'A' };
    let said = typed(&stage, &[String::from_utf8(wrong).unwrap()]).refused("SHARE-COMMITMENT");
    assert!(said.contains("eve"), "{said}");
    typed(&stage, &["ABC".into()]).refused("SHARE-FORMAT");
    // Nobody answers any more: ended by the people, and nothing is done.
    typed(&stage, &[record(&stage, "eve")]).ended_with(4);
    // Typed in lower case and in groups, by three of them.
    let lines: Vec<String> = ["cyd", "fay", "dan"]
        .map(|id| record(&stage, id).to_lowercase().replace('a', " a-"))
        .into();
    typed(&stage, &lines).ok();
    stage.done = Some(Done::Import);
    let receipt = stage.json("hoster/outbox/receipt/receipt.json");
    assert_eq!(
        receipt["body"]["custodians"],
        serde_json::json!(["cyd", "dan", "fay"])
    );
    assert_eq!(
        receipt["body"]["spent"],
        serde_json::json!([]),
        "no identity was opened here"
    );
    stage.walk_to(Done::TenantClose);
}

/// A custodian's opened share.
fn record(stage: &Stage, id: &str) -> String {
    assert!(CUSTODIANS.contains(&id));
    let file = fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
    let identity = fs::read(stage.path(&format!("people/{id}.identity"))).unwrap();
    let share = custodian::open_share(&file, &identity, &|_| unreachable!()).unwrap();
    share.text().to_string()
}

/// An import at which shares are typed, one line each after an empty one.
fn typed(stage: &Stage, shares: &[String]) -> Ended {
    let input: String = shares.iter().map(|share| format!("\n{share}\n")).collect();
    fs::write(stage.path("typed"), input).unwrap();
    let mut command = stage.command("hoster", &["import", "medium/package"]);
    common::stage::ended(command.stdin(fs::File::open(stage.path("typed")).unwrap()))
}

#[test]
fn a_log_is_mended_at_its_torn_end_only_and_belongs_to_one_program() {
    let stage = Stage::at(Done::KekCreate);
    let path = stage.path("hoster/log.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"{\"event\":\"no"].concat()).unwrap();
    stage.hoster(&["status"]).ok();
    let mended = fs::read_to_string(&path).unwrap();
    assert!(
        mended
            .lines()
            .last()
            .unwrap()
            .contains("\"event\":\"repair\""),
        "{mended}"
    );
    let line_two = mended.find('\n').unwrap() + 20;
    for damage in [line_two, mended.len() - 30] {
        let mut bytes = mended.clone().into_bytes();
        bytes[damage] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let ended = stage.hoster(&["status"]);
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert!(
            ended.err.contains("rule LOG-") && ended.err.contains("line "),
            "{}",
            ended.err
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "nothing is mended that was not torn"
        );
    }
    fs::write(&path, &mended).unwrap();
    let held = fs::File::open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(stage.hoster(&["status"]).ended_with(1).contains("in use"));
    drop(held);
    stage.hoster(&["status"]).ok();
}
