//! Keys that are born in the hoster's HSM: the whole ceremony on both token families, and what is
//! refused on the way.

use std::{fs, process::Command};

use crate::common::{
    PIN, run,
    stage::{Done, Family, Setting, Stage},
};
use record::verify::{self, Against};

fn on(family: Family) -> Setting {
    Setting { tenant: family, hoster: family, ..Setting::born() }
}

/// A stage of keys born at the hoster, walked to some point.
fn at(family: Family, done: Done) -> Stage {
    Stage::of(on(family), done)
}

#[test]
fn the_whole_ceremony_on_both_token_families() {
    for family in Family::ALL {
        let stage = at(family, Done::TenantClose);
        let registry = stage.json("hoster/registry.json");
        let keys = stage.json("medium/keys/keys.json");
        assert_eq!(registry["primary"], keys["header"]["plan_hash"]);
        for key in keys["body"]["keys"].as_array().unwrap() {
            let attributes = key["held"]["attributes"].as_array().unwrap();
            let value = |name: &str| {
                let of = attributes.iter().find(|one| one["attribute"] == name);
                of.unwrap()["value"].clone()
            };
            for (name, expected) in [
                ("CKA_LOCAL", "true"),
                ("CKA_NEVER_EXTRACTABLE", "true"),
                ("CKA_EXTRACTABLE", "false"),
                ("CKA_SENSITIVE", "true"),
            ] {
                assert_eq!(value(name), expected, "{family:?} {name}");
            }
        }
        stage.sign_heads();
        let folders = [vec!["tenant", "hoster"], vec!["tenant/archive"], vec!["hoster/archive"]];
        for folders in folders {
            let folders: Vec<_> = folders.into_iter().map(|one| stage.path(one)).collect();
            let verdict = verify::verify(&folders, &Against::default()).unwrap();
            assert!(verdict.missing.is_empty() || folders.len() == 1, "{verdict:?}");
            let claim = "CKA_LOCAL and CKA_NEVER_EXTRACTABLE are its module's word";
            assert!(verdict.text().contains(claim));
        }
        for side in ["tenant", "hoster"] {
            let archive = stage.path(&format!("{side}/archive"));
            let verify = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
            run(Command::new(verify).arg(archive));
        }
    }
}

/// The first private key with this label, gone from the hoster's token.
fn delete(stage: &Stage, class: &str, id: &str) {
    let mut command = Command::new("pkcs11-tool");
    stage.environment(&mut command, "hoster");
    run(command
        .arg("--module")
        .arg(stage.module("hoster"))
        .args(["--token-label", "hoster", "--login", "--pin", PIN])
        .args(["--delete-object", "--type", class, "--id", id]));
}

#[test]
fn a_key_that_was_not_born_in_the_hsm_is_refused_by_both_sides() {
    // Somebody has put a key of their own in its place: everything of it is right but where it was
    // made.
    let stage = at(Family::SoftHsm, Done::PackageRelease);
    let keys = stage.json("hoster/outbox/keys/keys.json");
    let held = &keys["body"]["keys"][0]["held"];
    let (id, label) = (held["id"].as_str().unwrap(), held["hoster_label"].as_str().unwrap());
    let (key, der) = (stage.path("made.pem"), stage.path("made.der"));
    run(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048"));
    let pkcs8 = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"];
    run(Command::new("openssl").args(pkcs8).arg(&key).arg("-out").arg(&der));
    delete(&stage, "privkey", id);
    let mut command = Command::new("pkcs11-tool");
    stage.environment(&mut command, "hoster");
    run(command
        .arg("--module")
        .arg(stage.module("hoster"))
        .args(["--token-label", "hoster", "--login", "--pin", PIN])
        .args(["--write-object"])
        .arg(&der)
        .args(["--type", "privkey", "--usage-sign", "--sensitive"])
        .args(["--id", id, "--label", label]));
    let said = stage.hoster(&["answer", "medium/challenge"]).refused("TARGET-LOCAL");
    assert!(said.contains("CKA_LOCAL false"), "{said}");
    assert!(!stage.path("hoster/outbox/receipt").exists());

    // A hoster that says so itself is refused by the tenant, before any word is typed.
    let stage = at(Family::SoftHsm, Done::KekCreate);
    let path = stage.path("hoster/outbox/keys/keys.json");
    let mut keys = stage.json("hoster/outbox/keys/keys.json");
    let attributes = &mut keys["body"]["keys"][0]["held"]["attributes"];
    let local = (attributes.as_array_mut().unwrap().iter_mut())
        .find(|one| one["attribute"] == "CKA_LOCAL")
        .unwrap();
    local["value"] = "false".into();
    fs::remove_file(&path).unwrap();
    fs::write(&path, serde_json::to_vec_pretty(&keys).unwrap()).unwrap();
    stage.sign_document("hoster", "keys", &["hana", "hugo"]);
    stage.carry("hoster", "keys");
    let words = stage.words("keys", &stage.kek_words());
    let check = ["keys", "check", "medium/keys", "--words", &words];
    let said = stage.tenant(&check).refused("DOCUMENT-CONTENT");
    assert!(said.contains("CKA_LOCAL false (TARGET-LOCAL)"), "{said}");
}

#[test]
fn a_foreign_challenge_and_a_second_one_are_not_answered() {
    let stage = at(Family::SoftHsm, Done::PackageRelease);
    // Of another ceremony: refused by its plan.
    let other = Stage::another_of(on(Family::SoftHsm), Done::PackageRelease);
    let foreign = other.path("medium/challenge");
    let foreign = foreign.to_str().unwrap();
    stage.hoster(&["answer", foreign]).refused("DOCUMENT-PLAN");

    // Of this ceremony, made by officers of the tenant for a key that was not born here.
    let mut dishonest = stage.copy();
    let own = stage.path("dishonest");
    run(Command::new("cp").arg("-r").arg(stage.path("medium/challenge")).arg(&own));
    let path = own.join("challenge.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut challenge: serde_json::Value = serde_json::from_str(&text).unwrap();
    let planted = other.json("medium/challenge/challenge.json")["body"]["keys"][0].clone();
    challenge["body"]["keys"][0] = planted;
    fs::write(&path, serde_json::to_vec_pretty(&challenge).unwrap()).unwrap();
    fs::copy(other.path("medium/challenge/hgs-signing.crt"), own.join("hgs-signing.crt")).unwrap();
    for id in ["ada", "ben"] {
        fs::remove_file(own.join(format!("challenge.json.{id}.sig"))).unwrap();
        stage.sign(&path, "keyferry-document", id);
    }
    let said = stage.hoster(&["answer", "dishonest"]).refused("DOCUMENT-CONTENT");
    assert!(said.contains("a challenge for other keys"), "{said}");

    // Not released by enough officers.
    let alone = stage.path("alone");
    run(Command::new("cp").arg("-r").arg(stage.path("medium/challenge")).arg(&alone));
    fs::remove_file(alone.join("challenge.json.ben.sig")).unwrap();
    stage.hoster(&["answer", "alone"]).refused("SIGNATURE-MISSING");

    // One answer: asked the same again, it says so, and signs nothing.
    dishonest.walk_to(Done::Import);
    let log = fs::read(dishonest.path("hoster/log.jsonl")).unwrap();
    for _ in 0..2 {
        let said = dishonest.hoster(&["answer", "medium/challenge"]).ok();
        assert!(said.contains("This is done already"), "{said}");
    }
    assert_eq!(fs::read(dishonest.path("hoster/log.jsonl")).unwrap(), log);
    dishonest.walk_to(Done::ReceiptRelease);
    let said = dishonest.hoster(&["answer", "medium/challenge"]).refused("PHASE-ORDER");
    assert!(said.contains("one answer"), "{said}");
}

#[test]
fn wrong_words_take_no_keys() {
    let stage = at(Family::SoftHsm, Done::OfferRelease);
    let words = stage.words("wrong", &stage.plan_words());
    let check = ["keys", "check", "medium/keys", "--words", &words];
    stage.tenant(&check).refused("WORDS-MISMATCH");
    assert!(!stage.path("tenant/outbox/challenge").exists());
    let words = stage.words("keys", &stage.kek_words());
    stage.tenant(&["keys", "check", "medium/keys", "--words", &words]).ok();
}

#[test]
fn the_commands_of_the_other_origin_are_out_of_order() {
    let born = at(Family::SoftHsm, Done::Init);
    for (side, command) in [
        ("hoster", "kek create"),
        ("hoster", "package check medium"),
        ("tenant", "keys create"),
        ("tenant", "offer check medium"),
    ] {
        let command: Vec<&str> = command.split(' ').collect();
        born.side(side, &command).refused("PHASE-ORDER");
    }
    let carried = Stage::at(Done::Init);
    for (side, command) in [
        ("hoster", "keys create"),
        ("hoster", "answer medium"),
        ("hoster", "acceptance check medium"),
        ("tenant", "keys check medium"),
    ] {
        let command: Vec<&str> = command.split(' ').collect();
        carried.side(side, &command).refused("PHASE-ORDER");
    }
}

#[test]
fn both_sides_begin_again_with_new_keys() {
    let mut stage = at(Family::SoftHsm, Done::Import);
    let first = stage.json("medium/keys/keys.json")["body"]["fingerprint"].clone();
    let said = stage.restart("hoster");
    assert!(said.contains("the key hgs-signing, the key hgs-encryption"), "{said}");
    stage.hoster(&["keys", "create"]).ok();
    stage.sign_document("hoster", "keys", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "keys");
    assert_ne!(first, stage.json("medium/keys/keys.json")["body"]["fingerprint"]);
    let words = stage.words("keys", &stage.kek_words());
    let check = ["keys", "check", "medium/keys", "--words", &words];
    let said = stage.tenant(&check).refused("PHASE-ORDER");
    assert!(said.contains("restart, then keys check"), "{said}");
    // The challenge of the first attempt asks about keys that are gone.
    stage.hoster(&["answer", "medium/challenge"]).refused("DOCUMENT-ATTEMPT");
    stage.restart("tenant");
    stage.tenant(&check).ok();
    stage.done = Some(Done::OfferCheck);
    stage.walk_to(Done::TenantClose);
    stage.sign_heads();
    let folders = ["tenant", "hoster"].map(|side| stage.path(side));
    let verdict = verify::verify(&folders, &Against::default()).unwrap();
    assert!(verdict.missing.is_empty(), "{verdict:?}");
    let text = verdict.text();
    assert!(text.contains("the challenge") && text.contains("which was given up"), "{text}");
}

#[test]
fn an_abort_takes_the_keys_with_it() {
    let stage = at(Family::SoftHsm, Done::ReceiptCheck);
    let abort = ["abort", "--reason", "a test"];
    for side in ["hoster", "tenant"] {
        stage.pass(side, "abort", &abort);
        stage.side(side, &abort).ok();
    }
    stage.hoster(&["close"]).refused("LOG-EVENT");
    let destroy = ["keys", "destroy"];
    stage.hoster(&destroy).ended_with(6);
    stage.approve("hoster", "keys-destroy", &["hana"]);
    stage.hoster(&destroy).ended_with(6);
    stage.approve("hoster", "keys-destroy", &["hedy"]);
    let said = stage.hoster(&destroy).ok();
    assert!(said.contains("hgs-signing, hgs-encryption"), "{said}");
    stage.sign_document("hoster", "closing", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "closing");
    stage.hoster(&["close"]).ok();
    stage.tenant(&["close", "medium/closing"]).ok();
    stage.sign_heads();
    let folders = ["tenant", "hoster"].map(|side| stage.path(side));
    let verdict = verify::verify(&folders, &Against::default()).unwrap();
    assert!(verdict.aborted && verdict.missing.is_empty(), "{verdict:?}");
}
