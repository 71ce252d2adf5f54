//! A machine is lost, and the ceremony goes on from its mirror on another one.

use super::*;

fn mirrored() -> Stage {
    let mut stage = Stage::at(Done::Plan);
    stage.mirror = true;
    stage
}

/// The machine of a side burns; its mirror is copied to another one, which keeps a mirror of its
/// own.
fn burn(stage: &Stage, side: &str) {
    fs::remove_dir_all(stage.path(side)).unwrap();
    fs::rename(stage.path(&format!("mirror-{side}")), stage.path(side)).unwrap();
}

#[test]
fn each_sides_machine_is_lost_after_each_step_and_it_ends_the_same() {
    let mut walked = mirrored();
    for (done, side) in [
        (Done::KekCreate, "hoster"),
        (Done::OfferCheck, "tenant"),
        (Done::Export, "tenant"),
        (Done::Confirm, "tenant"),
        (Done::Import, "hoster"),
        (Done::Primary, "hoster"),
        (Done::KekDestroy, "hoster"),
    ] {
        walked.walk_to(done);
        let status = walked.side(side, &["status"]).ok();
        burn(&walked, side);
        assert_eq!(walked.side(side, &["status"]).ok(), status, "{done:?}");
    }
    walked.walk_to(Done::TenantClose);
    audited(&walked);
    // The mirror is the folder, byte for byte.
    for side in ["tenant", "hoster"] {
        run(Command::new("diff")
            .args(["-r", "-x", ".*"])
            .args([walked.path(side), walked.path(&format!("mirror-{side}"))]));
    }
}

/// The machine burns after the HSM has acted and before the result is written: only the intent is
/// in the mirror.
#[test]
fn an_intent_without_result_is_settled_from_the_hsm() {
    for (done, before, side, event) in [
        (Done::KekCreate, Done::Init, "hoster", "kek-create"),
        (Done::KeysCreate, Done::KekTrust, "tenant", "keys-create"),
        (Done::Import, Done::PackageCheck, "hoster", "import"),
        (Done::KekDestroy, Done::AcceptanceRelease, "hoster", "kek-destroy"),
    ] {
        let mut stage = mirrored();
        stage.walk_to(before);
        stage.walk_to(done);
        let finished = events(&stage, side, event).remove(0);
        let mirror = stage.path(&format!("mirror-{side}/log.jsonl"));
        let text = fs::read_to_string(&mirror).unwrap();
        let intent = text.rfind("\"event\":\"intent\"").unwrap();
        let end = intent + text[intent..].find('\n').unwrap() + 1;
        fs::write(&mirror, &text[..end]).unwrap();
        // The documents may have come that far or not.
        burn(&stage, side);
        stage.done = Some(before);
        stage.walk_to(done);
        let again = events(&stage, side, event).remove(0);
        match event {
            "kek-create" => assert_eq!(again["kek"], finished["kek"]),
            "keys-create" => {
                let spki = |event: &serde_json::Value, n: usize| event["keys"][n]["spki"].clone();
                assert!((0..2).all(|n| spki(&again, n) == spki(&finished, n)), "{again}");
            }
            "import" => assert!(
                again["keys"].as_array().unwrap().iter().all(|key| key["made"] == false),
                "{again}"
            ),
            _ => assert_eq!(again["fingerprint"], finished["fingerprint"]),
        }
        stage.walk_to(Done::TenantClose);
        audited(&stage);
    }
}

/// The same, where one custodian had come before: the receipt needs a quorum, so custodians come again,
/// although every key is found.
#[test]
fn who_opened_the_seal_comes_again_where_the_record_of_it_is_lost() {
    let mut stage = mirrored();
    stage.walk_to(Done::PackageCheck);
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let import = |stage: &Stage, who: &[&str]| {
        let given = stage.shares(who);
        let given = given.iter().map(String::as_str);
        stage.hoster(&["import", "medium/package"].into_iter().chain(given).collect::<Vec<_>>())
    };
    import(&stage, &["cyd"]).refused("SHARE-QUORUM");
    import(&stage, &["dan", "fay", "gus"]).ok();
    let mirror = stage.path("mirror-hoster/log.jsonl");
    let text = fs::read_to_string(&mirror).unwrap();
    let intent = text.rfind("\"event\":\"intent\"").unwrap();
    let end = intent + text[intent..].find('\n').unwrap() + 1;
    fs::write(&mirror, &text[..end]).unwrap();
    burn(&stage, "hoster");
    import(&stage, &["dan", "fay", "gus"]).ok();
    let found = events(&stage, "hoster", "import").remove(0);
    assert!(found["keys"].as_array().unwrap().iter().all(|key| key["made"] == false), "{found}");
    let receipt = &stage.json("hoster/outbox/receipt/receipt.json")["body"];
    assert_eq!(receipt["custodians"], serde_json::json!(["dan", "fay", "gus"]));
    stage.done = Some(Done::Import);
    stage.walk_to(Done::TenantClose);
    audited(&stage);
    for side in ["tenant", "hoster"] {
        let archive = stage.path(&format!("{side}/archive"));
        run(Command::new("ceremony-scripts/verify").arg(archive));
    }
}

#[test]
fn a_mirror_is_of_one_ceremony_and_goes_on_alone_never() {
    let mut stage = mirrored();
    stage.walk_to(Done::KekCreate);
    let keep = stage.path("mirror-hoster");
    // Somebody went on from the mirror: there must be one record.
    let apart = stage.copy();
    fs::remove_dir_all(apart.path("hoster")).unwrap();
    copy(&keep, &apart.path("hoster"));
    apart.hoster(&["note", "remark", "from the mirror"]).ok();
    fs::remove_dir_all(&keep).unwrap();
    copy(&apart.path("hoster"), &keep);
    stage.hoster(&["note", "remark", "from the machine"]).refused("MIRROR");
    // Another ceremony's folder, a file that was changed, one inside the other.
    let other = Stage::another(Done::KekCreate);
    fs::remove_dir_all(&keep).unwrap();
    copy(&other.path("hoster"), &keep);
    stage.hoster(&["note", "remark", "x"]).refused("MIRROR");
    fs::remove_dir_all(&keep).unwrap();
    stage.hoster(&["note", "remark", "a new mirror"]).ok();
    fs::write(keep.join("outbox/offer/offer.json"), "{}").unwrap();
    stage.hoster(&["note", "remark", "x"]).refused("MIRROR");
    stage.mirror = false;
    stage.hoster(&["--mirror", "hoster/mirror", "status"]).refused("MIRROR");
    // A medium that is full or gone: said before anything is done.
    fs::write(stage.path("no-folder"), "").unwrap();
    let before = log(&stage, "hoster").len();
    stage.sign_document("hoster", "offer", &["hana", "hugo"]);
    stage.hoster(&["--mirror", "no-folder", "release"]).ended_with(1);
    assert_eq!(log(&stage, "hoster").len(), before);
    stage.hoster(&["release"]).ok();
}

/// A mirror that could not follow is said where officers are asked too: nobody signs as if the copy
/// were whole.
#[test]
fn a_mirror_that_could_not_follow_is_said_where_a_command_asks() {
    let mut stage = mirrored();
    stage.walk_to(Done::KekCreate);
    // The medium takes a folder in the place of the request that comes.
    let taken = stage.path("mirror-hoster/approvals/01-abort.json");
    fs::create_dir_all(&taken).unwrap();
    let abort = ["abort", "--reason", "a test"];
    let asked = stage.hoster(&abort);
    assert!(asked.err.contains("waiting for 2 more"), "{asked:?}");
    let said = "the mirror is not up to date";
    let (_, said) = asked.err.split_once(said).unwrap();
    assert!(said.contains("mirror-hoster/approvals/01-abort.json"));
    asked.refused("DOCUMENT-LINK");
    // The next command is refused for it before it does anything.
    let remark = stage.hoster(&["note", "remark", "x"]);
    remark.refused("DOCUMENT-LINK");
    fs::remove_dir(&taken).unwrap();
    assert_eq!(stage.hoster(&abort).code, 6);
    assert!(taken.is_file());
}

/// A copy that was interrupted at its first file is begun again, and nothing else is taken for one.
#[test]
fn a_mirror_that_holds_only_the_draft_of_its_plan_is_begun_again() {
    let mut stage = mirrored();
    stage.walk_to(Done::Init);
    let mirror = stage.path("mirror-hoster");
    fs::remove_dir_all(&mirror).unwrap();
    fs::create_dir(&mirror).unwrap();
    fs::write(mirror.join(".ceremony.toml.part"), "[cerem").unwrap();
    fs::write(mirror.join("holiday.jpg"), "").unwrap();
    let remark = ["note", "remark", "x"];
    stage.hoster(&remark).refused("MIRROR");
    fs::remove_file(mirror.join("holiday.jpg")).unwrap();
    stage.hoster(&remark).ok();
    assert_eq!(log(&stage, "hoster").len(), 3);
    for name in ["ceremony.toml", "log.jsonl"] {
        let [here, there] = ["hoster", "mirror-hoster"].map(|folder| stage.path(folder).join(name));
        assert_eq!(fs::read(here).unwrap(), fs::read(there).unwrap());
    }
    assert!(!mirror.join(".ceremony.toml.part").exists());
}
