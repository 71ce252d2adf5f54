//! Words that differ, plans that changed, signatures that are missing.

use std::{fs, process::Command};

use keyferry::encoding::Hash;

use super::{
    common::{
        run,
        stage::{Done, Stage, ended},
    },
    refused,
};

#[test]
fn wrong_words_are_refused_wherever_words_are_typed() {
    let mut stage = Stage::new(|plan| plan);
    let wrong = stage.words("wrong", &other_words());
    stage
        .tenant(&["init", "plan/ceremony.toml", "--words", &wrong])
        .refused("WORDS-MISMATCH");
    assert!(
        !stage.path("tenant").exists(),
        "a refused init leaves nothing"
    );
    stage.walk_to(Done::OfferRelease);
    refused(
        &stage,
        "tenant",
        &["offer", "check", "medium/offer", "--words", &wrong],
        "WORDS-MISMATCH",
    );
    let words = stage.words("fifteen", stage.kek_words().rsplit_once(' ').unwrap().0);
    refused(
        &stage,
        "tenant",
        &["offer", "check", "medium/offer", "--words", &words],
        "WORDS-MISMATCH",
    );
    stage.walk_to(Done::Export);
    for (custodian, words) in [("cyd", wrong.as_str()), ("dan", "wrong.words")] {
        refused(
            &stage,
            "tenant",
            &["share", "confirm", custodian, "--words", words],
            "SHARE-CODE",
        );
    }
    // Another custodian's words.
    let code = stage
        .custodian(&[
            "share",
            "check",
            "tenant/outbox/shares/cyd.age",
            "--identity",
            "people/cyd.identity",
        ])
        .ok();
    let words = stage.words("cyds", &code);
    refused(
        &stage,
        "tenant",
        &["share", "confirm", "dan", "--words", &words],
        "SHARE-CODE",
    );
    refused(
        &stage,
        "tenant",
        &["share", "confirm", "mallory", "--words", &words],
        "SHARE-CUSTODIAN",
    );
    // Nothing leaves before every custodian has confirmed.
    stage.sign_document("tenant", "package", &["ada", "ben"]);
    let said = refused(&stage, "tenant", &["release"], "SHARE-UNCONFIRMED");
    assert!(said.contains("cyd, dan, eve, fay, gus"), "{said}");
    stage.walk_to(Done::PackageRelease);
}

#[test]
fn a_share_file_is_written_again_byte_for_byte_and_over_nothing() {
    let stage = Stage::at(Done::Export);
    fs::write(stage.path("taken"), "something").unwrap();
    refused(
        &stage,
        "tenant",
        &["share", "reissue", "eve", "--to", "taken"],
        "FILE-EXISTS",
    );
    assert_eq!(fs::read(stage.path("taken")).unwrap(), b"something");
    stage
        .tenant(&["share", "reissue", "eve", "--to", "again.age"])
        .ok();
    let dealt = fs::read(stage.path("tenant/outbox/shares/eve.age")).unwrap();
    assert_eq!(fs::read(stage.path("again.age")).unwrap(), dealt);
    fs::write(
        stage.path("tenant/outbox/shares/eve.age"),
        &dealt[..dealt.len() - 1],
    )
    .unwrap();
    refused(
        &stage,
        "tenant",
        &["share", "reissue", "eve", "--to", "third.age"],
        "SHARE-FILE",
    );
}

/// The first words of some other value.
fn other_words() -> String {
    keyferry::fingerprint::words(&Hash::of(b"another plan").0)[..16].join(" ")
}

#[test]
fn a_ceremony_begins_once_with_the_plan_that_both_sides_signed() {
    let stage = Stage::at(Done::Init);
    let init = ["init", "plan/ceremony.toml", "--words", "plan.words"];
    stage.tenant(&init).refused("CEREMONY-EXISTS");
    let plan = stage.path("tenant/ceremony.toml");
    let text = fs::read_to_string(&plan).unwrap();
    fs::write(
        &plan,
        text.replace("name = \"Contoso\"", "name = \"Contosa\""),
    )
    .unwrap();
    stage.tenant(&["status"]).refused("PLAN-CHANGED");
    fs::write(&plan, text).unwrap();
    stage.tenant(&["status"]).ok();
    // Two officers of one side are not enough.
    let other = Stage::new(|plan| plan);
    fs::remove_file(other.path("plan/ceremony.toml.hugo.sig")).unwrap();
    let words = other.words("plan", &other.plan_words());
    other
        .hoster(&["init", "plan/ceremony.toml", "--words", &words])
        .refused("SIGNATURE-MISSING");
    assert!(!other.path("hoster").exists());
}

#[test]
fn production_takes_words_from_people_only() {
    let hsm = "approvals = 2\nhsm = { manufacturer = \"m\", model = \"m\", serials = [\"1\"] }";
    let stage = Stage::new(|plan| {
        plan.replace("mode = \"rehearsal\"", "mode = \"production\"")
            .replace("approvals = 2", hsm)
    });
    let words = stage.words("plan", &stage.plan_words());
    let said = stage
        .tenant(&["init", "plan/ceremony.toml", "--words", &words])
        .ended_with(2);
    assert!(said.contains("--words in production"), "{said}");
    // And from a terminal only: there is none here.
    let mut command = Command::new("setsid");
    let init = stage.command("tenant", &["init", "plan/ceremony.toml"]);
    command
        .arg("-w")
        .arg(init.get_program())
        .args(init.get_args())
        .current_dir(stage.dir.path());
    let words = fs::File::open(stage.path(&words)).unwrap();
    let said = ended(command.stdin(words)).ended_with(1);
    assert!(said.contains("no terminal"), "{said}");
}

/// The lines that a command prints for officers work exactly as they stand, with the officer's own key.
#[test]
fn what_waits_for_signatures_says_how_to_make_them() {
    let mut stage = Stage::at(Done::KekCreate);
    let said = stage.hoster(&["release"]).ended_with(6);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("ssh-keygen"))
        .collect();
    assert_eq!(lines.len(), 3, "{said}");
    for (line, id) in lines.iter().zip(["hana", "hugo"]) {
        let line = line.replace(
            "-f KEY",
            &format!("-f {}", stage.path(&format!("people/{id}")).display()),
        );
        run(Command::new("sh")
            .args(["-c", &line])
            .current_dir(stage.dir.path()));
        if id == "hana" {
            let said = stage.hoster(&["release"]).ended_with(6);
            assert!(
                said.contains("1 more of 2") && !said.contains("hana.sig"),
                "{said}"
            );
        }
    }
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "offer");
    stage.done = Some(Done::OfferRelease);
    stage.walk_to(Done::OfferCheck);
}
