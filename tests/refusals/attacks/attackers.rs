//! Attackers on both sides.

use std::fs;

use super::{import, imported};
use crate::{
    common::stage::{Done, Setting, Stage},
    gates::copy,
};

/// The keys of the hoster's officers are stolen: all signatures hold, and the KEK is the thief's.
#[test]
fn a_kek_that_was_substituted_on_the_way_has_other_words() {
    let mut stage = Stage::at(Done::Init);
    let mut thief = stage.copy();
    stage.walk_to(Done::OfferRelease);
    thief.walk_to(Done::OfferRelease);
    assert_ne!(stage.kek_words(), thief.kek_words());
    fs::remove_dir_all(stage.path("medium/offer")).unwrap();
    copy(&thief.path("medium/offer"), &stage.path("medium/offer"));
    // What the hoster's operator reads aloud, over another channel, are the words of the hoster's
    // own KEK.
    let words = stage.words("kek", &stage.kek_words());
    let check = ["offer", "check", "medium/offer", "--words", &words];
    stage.tenant(&check).refused("WORDS-MISMATCH");
    stage.carry("hoster", "offer");
    stage.walk_to(Done::TenantClose);
    stage.ends_the_same("after a substituted KEK");
}

/// An officer of the tenant, who has its HSM's PIN, shows an offer of their own once the right one
/// was taken.
#[test]
fn a_second_offer_is_not_exported_to() {
    let mut stage = Stage::at(Done::Init);
    let mut second = stage.copy();
    second.walk_to(Done::OfferRelease);
    stage.walk_to(Done::KeysCreate);
    let own = stage.path("own");
    copy(&second.path("medium/offer"), &own);
    let words = stage.words("own", &second.kek_words());
    let check = ["offer", "check", "own", "--words", &words];
    stage.tenant(&check).refused("DOCUMENT-ATTEMPT");
    // Put in the place of the one that was taken.
    let taken = stage.path("tenant/inbox/offer");
    fs::remove_dir_all(&taken).unwrap();
    copy(&own, &taken);
    stage.tenant(&["export"]).refused("DOCUMENT-HASH");
}

/// A recipient is changed after everybody has signed the plan.
#[test]
fn a_custodians_recipient_cannot_be_swapped() {
    let mut stage = Stage::at(Done::KeysCreate);
    let own = custody::custodian::new_identity(None).unwrap();
    let right = fs::read_to_string(stage.path("people/cyd.recipient")).unwrap();
    let plan = stage.path("tenant/ceremony.toml");
    let text = fs::read_to_string(&plan).unwrap();
    let swapped = text.replace(right.trim(), &own.recipient);
    assert_ne!(swapped, text);
    fs::write(&plan, &swapped).unwrap();
    let said = stage.tenant(&["export"]).ended_with(3);
    assert!(said.contains("ceremony.toml"), "{said}");
    fs::write(&plan, text).unwrap();
    // After the export: a file that opens for somebody else is not the one that was dealt.
    stage.walk_to(Done::PackageCheck);
    let file = stage.path("tenant/outbox/shares/cyd.age");
    let identity = fs::read(stage.path("people/cyd.identity")).unwrap();
    let dealt = fs::read(&file).unwrap();
    let share = custody::custodian::open_share(&dealt, &identity, &|_| Ok(Default::default()));
    let again = custody::custodian::encrypt_share(&share.unwrap().share, &[own.recipient]);
    fs::write(&file, again.unwrap()).unwrap();
    fs::write(stage.path("people/cyd.identity"), &*own.file).unwrap();
    let shares = stage.shares(&["cyd", "dan", "eve"]);
    imported(&stage, &import("medium/package", &shares)).refused("SHARE-FILE");
}

/// A package that was given up is brought to a folder that was put back to before anybody knew
/// better.
#[test]
fn an_old_package_is_not_replayed_into_an_older_folder() {
    let mut stage = Stage::at(Done::PackageCheck);
    copy(&stage.path("hoster"), &stage.path("older"));
    copy(&stage.path("medium/package"), &stage.path("old-package"));
    copy(&stage.path("tenant/outbox/shares"), &stage.path("old-shares"));
    for side in ["hoster", "tenant"] {
        stage.restart(side);
    }
    stage.done = Some(Done::Init);
    stage.walk_to(Done::KekTrust);
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::PackageCheck);
    let newer = stage.path("newer");
    fs::rename(stage.path("hoster"), &newer).unwrap();
    fs::rename(stage.path("older"), stage.path("hoster")).unwrap();
    let mut shares = Vec::new();
    for id in ["cyd", "dan", "eve"] {
        shares.extend(["--share".into(), format!("old-shares/{id}.age")]);
        shares.extend(["--identity".into(), format!("people/{id}.identity")]);
    }
    // The HSM is not put back: the KEK of then is gone.
    imported(&stage, &import("old-package", &shares)).refused("KEK-KEY");
    fs::remove_dir_all(stage.path("hoster")).unwrap();
    fs::rename(newer, stage.path("hoster")).unwrap();
    stage.walk_to(Done::TenantClose);
    stage.verdict();
}

/// Everything is put back but the HSM, and the same package is imported once more: no second key,
/// and a record that the other side's contradicts.
#[test]
fn an_import_that_is_done_twice_makes_no_second_key_and_is_found_in_the_record() {
    let mut stage = Stage::at(Done::PackageCheck);
    copy(&stage.path("hoster"), &stage.path("older"));
    stage.walk_to(Done::ReceiptCheck);
    let import = import("medium/package", &stage.shares(&["cyd", "dan", "eve"]));
    fs::rename(stage.path("hoster"), stage.path("newer")).unwrap();
    fs::rename(stage.path("older"), stage.path("hoster")).unwrap();
    let keys = || {
        let listed = stage.pkcs11_tool("hoster", &["--list-objects", "--type", "privkey"]);
        String::from_utf8(listed).unwrap().matches("Private Key Object").count()
    };
    let before = keys();
    imported(&stage, &import).ok();
    assert_eq!(keys(), before);
    // The receipt that the tenant holds has the head of the other record.
    let folders = [stage.path("tenant"), stage.path("hoster")];
    let verdict = record::verify::verify(&folders, &record::verify::Against::default());
    let error = verdict.expect_err("two records of one ceremony");
    assert!(error.rule().is_some(), "{error}");
    println!("an import done twice: {}", error.rule().unwrap().name());
}

/// The waiver that leaves a residue is in the plan, in what officers are shown, and in the verdict.
#[test]
fn what_a_waiver_leaves_open_is_said_by_its_name() {
    let mut stage = Stage::of(Setting::composite(), Done::Plan);
    let shown = stage.auditor(&["show", "plan/ceremony.toml"]).ok();
    assert!(shown.contains("WRAP-COMPOSITE"), "{shown}");
    stage.walk_to(Done::TenantClose);
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("WRAP-COMPOSITE"), "{verdict}");
}

/// Documents that cost their reader as much as they can: each is refused, and soon, or this test
/// does not end.
#[test]
fn no_document_makes_its_reader_slow() {
    let stage = Stage::at(Done::OfferRelease);
    let path = stage.path("medium/offer/offer.json");
    let most = 4 << 20;
    let repeated = |piece: &str| piece.repeat(most / piece.len() - 1);
    let nested = |open: &str| repeated(open);
    let entries: String = (0..150_000).map(|n| format!("\"{n:06}\":{{}},")).collect();
    let words = stage.words("kek", &stage.kek_words());
    for (what, text) in [
        ("arrays", nested("[")),
        ("objects", nested("{\"a\":")),
        ("one name again and again", format!("{{{}\"header\":1}}", repeated("\"header\":1,"))),
        ("one number", format!("{{\"header\":{}}}", repeated("9"))),
        ("one exponent", format!("{{\"header\":1e{}}}", repeated("9"))),
        ("escapes", format!("{{\"header\":\"{}\"}}", repeated("\\u0061"))),
        ("names", format!("{{{entries}\"a\":1}}")),
        ("white space", repeated(" ")),
    ] {
        fs::write(&path, &text).unwrap();
        let check = ["offer", "check", "medium/offer", "--words", &words];
        let said = stage.tenant(&check).ended_with(3);
        assert!(said.contains("DOCUMENT-") && said.len() < 20_000, "{what}: {said}");
    }
    let plan = stage.path("slow.toml");
    for (what, text) in [
        ("arrays", format!("a = {}", repeated("["))),
        ("tables", format!("a = {}", repeated("{a="))),
        ("headers", repeated("[a]\n")),
        ("dots", format!("{}a = 1", "a.".repeat(100_000))),
        ("keys", (0..100_000).map(|n| format!("k{n}=1\n")).collect()),
        ("number", format!("a = {}", repeated("9"))),
    ] {
        fs::write(&plan, &text).unwrap();
        let said = stage.auditor(&["plan", "check", "slow.toml"]).ended_with(3);
        assert!(said.len() < 40_000, "{what}: {} bytes are said", said.len());
    }
}
