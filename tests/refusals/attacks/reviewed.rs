//! What a reviewer who played an attacker had found, each refused since.

use std::fs;

use crate::{
    common::stage::{Done, Stage},
    gates::{attempts::objects, audited, copy, events, log},
};
use ceremony::{Ceremony, side};
use record::{
    flow::room::MAX_WRONG,
    terms::{Bag, Condition, Remark, Side},
    verify::{self, Against},
};

/// The log as if the program had been killed before its last entry, which must be this one.
fn forget(stage: &Stage, side: &str, event: &str) {
    let path = stage.path(&format!("{side}/log.jsonl"));
    let text = fs::read_to_string(&path).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    assert!(text[cut..].contains(&format!("\"event\":\"{event}\"")), "{}", &text[cut..]);
    fs::write(&path, &text[..cut]).unwrap();
}

#[test]
fn a_link_on_the_mirrors_medium_leads_nowhere() {
    let stage = Stage::at(Done::KekCreate);
    let victim = Stage::at(Done::Export);
    let outbox = victim.path("tenant/outbox");
    let mirror = stage.path("medium/mirror");
    for (name, target) in [
        ("outbox", outbox.clone()),
        ("inbox", outbox.clone()),
        ("log.jsonl", stage.path("elsewhere")),
        ("ceremony.toml", stage.path("hoster/ceremony.toml")),
    ] {
        fs::create_dir_all(&mirror).unwrap();
        fs::copy(stage.path("hoster/ceremony.toml"), mirror.join("ceremony.toml")).unwrap();
        let _ = fs::remove_file(mirror.join(name));
        std::os::unix::fs::symlink(&target, mirror.join(name)).unwrap();
        stage.hoster(&["--mirror", "medium/mirror", "status"]).refused("DOCUMENT-LINK");
        fs::remove_dir_all(&mirror).unwrap();
    }
    assert!(outbox.join("package/package.json").exists() && outbox.join("shares/cyd.age").exists());
    assert!(!stage.path("elsewhere").exists());
}

#[test]
fn a_kek_that_was_begun_and_never_offered_goes_with_the_abort() {
    let stage = Stage::at(Done::KekCreate);
    let with = objects(&stage);
    forget(&stage, "hoster", "kek-create");
    fs::remove_dir_all(stage.path("hoster/outbox")).unwrap();
    let said = stage.abort("hoster");
    assert!(said.contains("nothing of this ceremony is left in it"), "{said}");
    assert_eq!(objects(&stage), with - 2);
    stage.hoster(&["close"]).ok();
}

#[test]
fn who_opened_an_older_packages_seal_has_not_opened_the_next() {
    let mut stage = Stage::at(Done::Import);
    forget(&stage, "hoster", "import");
    fs::remove_dir_all(stage.path("hoster/outbox/receipt")).unwrap();
    stage.restart("tenant");
    stage.done = Some(Done::OfferCheck);
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::PackageCheck);
    let import = ["import", "medium/package"];
    stage.pass("hoster", "import", &import);
    stage.hoster(&import).refused("SHARE-QUORUM");
    stage.walk_to(Done::TenantClose);
    let quorums = events(&stage, "hoster", "quorum");
    let whole = quorums.iter().filter(|entry| entry["custodians"].as_array().unwrap().len() == 3);
    assert_eq!((quorums.len(), whole.count()), (6, 2));
    audited(&stage);
}

#[test]
fn nothing_goes_on_beside_a_restart_that_did_not_end() {
    let stage = Stage::at(Done::Import);
    stage.sign_document("hoster", "receipt", &["hana", "hugo"]);
    stage.restart("hoster");
    forget(&stage, "hoster", "restart");
    for (folder, kind) in [("outbox", "offer"), ("outbox", "receipt"), ("inbox", "package")] {
        let folder = stage.path(&format!("hoster/{folder}"));
        fs::rename(folder.join("attempt-1").join(kind), folder.join(kind)).unwrap();
    }
    let text = stage.hoster(&["release"]).refused("PHASE-ORDER");
    assert!(text.contains("with the same reason, ends it"), "{text}");
    let next = stage.hoster(&["status"]).err;
    assert!(next.contains("restart --reason TEXT"), "{next}");
    stage.hoster(&["restart", "--reason", "a test"]).ok();
}

/// Whether imported keys go with the KEK is decided by the record, never by a file that somebody
/// names.
#[test]
fn the_end_of_imported_keys_is_decided_by_the_record() {
    let stage = Stage::at(Done::Import);
    stage.abort("hoster");
    let plan = record::encoding::Hash::of(&fs::read(stage.path("hoster/ceremony.toml")).unwrap());
    let forged = format!(
        "{{\"format\":\"keyferry/1\",\"primary\":\"{plan}\",\"key_sets\":[{{\"plan_hash\":\"{plan}\",\"ceremony\":\"test\",\"keys\":[],\"ready\":[],\"former\":null}}]}}"
    );
    fs::write(stage.path("forged.json"), forged).unwrap();
    stage.pass("hoster", "kek-destroy", &["--registry", "forged.json", "kek", "destroy"]);
    let subject = stage.json("hoster/approvals/01-kek-destroy.json")["subject"].clone();
    assert_eq!(subject["keys"].as_array().unwrap().len(), 2, "{subject}");

    let stage = Stage::at(Done::Primary);
    let before = objects(&stage);
    stage.abort("hoster");
    stage.pass("hoster", "kek-destroy", &["--registry", "nowhere.json", "kek", "destroy"]);
    let subject = stage.json("hoster/approvals/01-kek-destroy.json")["subject"].clone();
    assert_eq!(
        (&subject["keys"], subject["stay"].as_array().unwrap().len()),
        (&serde_json::Value::Null, 2)
    );
    stage.hoster(&["--registry", "nowhere.json", "kek", "destroy"]).ok();
    // The KEK's two halves are gone, and nothing else.
    assert_eq!(objects(&stage), before - 2);
}

#[test]
fn a_package_after_one_that_was_given_up_is_of_a_later_attempt() {
    let mut stage = Stage::at(Done::KeysCreate);
    copy(&stage.path("tenant"), &stage.path("older"));
    stage.walk_to(Done::PackageCheck);
    stage.restart("hoster");
    // The tenant goes on from an older copy of its folder: the same attempt again.
    fs::remove_dir_all(stage.path("tenant")).unwrap();
    fs::rename(stage.path("older"), stage.path("tenant")).unwrap();
    stage.done = Some(Done::Init);
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::PackageRelease);
    let text = stage.hoster(&["package", "check", "medium/package"]).refused("DOCUMENT-ATTEMPT");
    assert!(text.contains("attempt 2 or later"), "{text}");
}

#[test]
fn bags_that_wait_for_officers_are_not_without_number() {
    let stage = Stage::at(Done::Init);
    let mut ceremony = Ceremony::open(&stage.path("hoster"), Side::Hoster).unwrap();
    let bag = |item: usize| {
        Remark::BagIn(Bag {
            item: format!("item {item}"),
            number: "1".into(),
            condition: Condition::Damaged,
            first: true,
            text: String::new(),
        })
    };
    for item in 0..MAX_WRONG {
        side::room::note(&mut ceremony, bag(item)).unwrap();
    }
    assert!(side::room::note(&mut ceremony, bag(MAX_WRONG)).is_err());
    drop(ceremony);
    stage.pass("hoster", "deviation", &["deviation"]);
    stage.hoster(&["deviation"]).ok();
    // Other words for what is out do not pass for another thing.
    let note = |arguments: &[&str]| stage.hoster(&[&["note"], arguments].concat());
    let about = ["--number", "K1", "--condition", "intact"];
    note(&[&["bag-out", "the laptop"][..], &about].concat()).ok();
    let text = note(&[&["bag-in", "laptop"][..], &about].concat()).refused("BAG-NUMBER");
    assert!(text.contains("the laptop"), "{text}");
    note(&[&["bag-in", "laptop"][..], &about, &["--first"]].concat()).ok();
    stage.hoster(&["kek", "create"]).ok();
}

#[test]
fn an_abort_says_what_it_has_seen_and_a_closing_names_the_hosters_kek() {
    let stage = Stage::at(Done::KeysCreate);
    let said = stage.abort("tenant");
    assert!(said.contains("the target key hgs-signing, which stays"), "{said}");
    assert!(!said.contains("nothing of this ceremony"), "{said}");
    // Trusted by the HSM and not in the log: it goes all the same.
    let trusting = Stage::at(Done::KekTrust);
    let with = objects(&trusting);
    forget(&trusting, "tenant", "kek-trust");
    trusting.abort("tenant");
    assert_eq!(objects(&trusting), with - 1);

    stage.abort("hoster");
    stage.pass("hoster", "kek-destroy", &["kek", "destroy"]);
    stage.hoster(&["kek", "destroy"]).ok();
    let closing = stage.path("hoster/outbox/closing/closing.json");
    let text = fs::read_to_string(&closing).unwrap();
    let kek = stage.json("hoster/outbox/closing/closing.json")["body"]["kek_fingerprint"].clone();
    let other = text.replace(kek.as_str().unwrap(), &"0f".repeat(32));
    assert_ne!(other, text);
    let taken = |text: &str| {
        fs::write(&closing, text).unwrap();
        stage.sign_document("hoster", "closing", &["hana", "hugo"]);
        stage.carry("hoster", "closing");
        stage.tenant(&["close", "medium/closing"])
    };
    taken(&other).refused("DOCUMENT-CONTENT");
    taken(&text).ok();
}

#[test]
fn a_closed_log_has_no_more_entries_and_its_archive_is_whole() {
    let stage = Stage::at(Done::ClosingRelease);
    // What a crash left of a request is no part of the record.
    fs::write(stage.path("hoster/approvals/.01-restart.json.part"), "{").unwrap();
    stage.hoster(&["close"]).ok();
    let entries = log(&stage, "hoster").len();
    for command in [
        &["release"][..],
        &["note", "remark", "late"],
        &["abort", "--reason", "late"],
        &["deviation"],
    ] {
        assert_ne!(stage.hoster(command).code, 0);
    }
    stage.hoster(&["close"]).ok();
    assert_eq!(log(&stage, "hoster").len(), entries);
    verify::verify(&[stage.path("hoster/archive")], &Against::default()).unwrap();
    // A document that is not the log's is found before the last entry is written.
    let stage = Stage::at(Done::ClosingRelease);
    fs::remove_file(stage.path("hoster/inbox/package/hgs-signing.crt")).unwrap();
    stage.hoster(&["close"]).refused("DOCUMENT-MISSING");
    assert!(events(&stage, "hoster", "close").is_empty());
}
