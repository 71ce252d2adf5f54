//! PINs: one try each, none while few are left but with two signatures; none from a file in
//! production.

use super::{
    common::{
        production::{machine_rules, production},
        programs,
        stage::{Family, Setting},
    },
    plant::plant,
    *,
};

#[test]
fn a_wrong_pin_is_one_try_and_the_next_needs_two_signatures() {
    let stage = Stage::at(Done::Init);
    let pin = |pin: &str| fs::write(stage.path("pin"), pin).unwrap();
    let flag = || plant(&stage, "hoster", "pin-flag");
    let create = ["kek", "create"];
    let request = |n: u8| stage.path(&format!("hoster/approvals/{n:02}-pin-try.json"));
    let sign = |n: u8, id: &str| stage.sign(&request(n), "keyferry-approval", id);
    assert_eq!(flag(), "normal");
    pin("4321");
    let before = Before::of(&stage, "hoster");
    // What the token says, and what officers sign before the next try, comes at once.
    let text = stage.hoster(&create).ended_with(6);
    assert!(text.contains("PIN is wrong; it says that few tries are left"), "{text}");
    assert!(text.contains("ssh-keygen -Y sign -n keyferry-approval"), "{text}");
    fs::remove_dir_all(stage.path("hoster/approvals")).unwrap();
    assert_eq!(Before::of(&stage, "hoster"), before, "not even an intent");
    assert_eq!(flag(), "low");

    // The right PIN is not tried: it would have lowered the flag.
    pin(common::PIN);
    let text = refused(&stage, "hoster", &create, "PIN-COUNT-LOW");
    assert!(text.contains("ssh-keygen -Y sign -n keyferry-approval"), "{text}");
    sign(1, "hana");
    refused(&stage, "hoster", &create, "PIN-COUNT-LOW");
    stage.sign_as(&request(1), "keyferry-approval", "hana", "hugo");
    refused(&stage, "hoster", &create, "SIGNATURE-REPEATED");
    stage.sign(&request(1), "keyferry-document", "hugo");
    refused(&stage, "hoster", &create, "SIGNATURE-NAMESPACE");
    fs::remove_file(format!("{}.hugo.sig", request(1).display())).unwrap();
    stage.sign(&request(1), "keyferry-approval", "iris");
    refused(&stage, "hoster", &create, "PIN-COUNT-LOW");
    assert_eq!(flag(), "low");

    // Two have signed: one try, here with a wrong PIN again.
    sign(1, "hugo");
    pin("9999");
    stage.hoster(&create).ended_with(6);
    let tries = || {
        fs::read_to_string(stage.path("hoster/log.jsonl"))
            .unwrap()
            .matches("\"gate\":\"pin-try\"")
            .count()
    };
    assert_eq!((tries(), flag()), (1, "low".to_owned()));
    // The same signatures give no second one, not even under the new request's name.
    pin(common::PIN);
    refused(&stage, "hoster", &create, "PIN-COUNT-LOW");
    for id in ["hana", "hugo"] {
        fs::copy(
            format!("{}.{id}.sig", request(1).display()),
            format!("{}.{id}.sig", request(2).display()),
        )
        .unwrap();
    }
    refused(&stage, "hoster", &create, "SIGNATURE-DOCUMENT");
    assert_eq!((tries(), flag()), (1, "low".to_owned()));
    sign(2, "hana");
    sign(2, "hugo");
    stage.hoster(&create).ok();
    assert_eq!((tries(), flag()), (2, "normal".to_owned()));
}

#[test]
fn the_last_try_of_a_pin_is_not_spent_whoever_signs() {
    let stage = Stage::at(Done::OfferCheck);
    let last = |side: &str, arguments: &[&str]| {
        let mut command = stage.command(side, arguments);
        common::stage::ended(command.env("KEYFERRY_SHIM_LIE", "final-try"))
    };
    // Of a user's PIN it is known before anybody is asked for it.
    last("tenant", &["probe", "--rehearsal", "probe.json"]).refused("PIN-COUNT-LOW");
    assert!(!stage.is_asked("tenant", "pin-try"));
    let trust = ["kek", "trust", "--so-pin-file"];
    let pin = stage.path("so-pin").display().to_string();
    last("tenant", &[&trust[..], &[pin.as_str()]].concat()).refused("PIN-FINAL-TRY");
}

#[test]
fn a_token_without_a_mechanism_is_refused_before_anything_is_made() {
    let denied = Some(("hoster", "CKM_SHA256_RSA_PKCS".to_owned()));
    let setting = Setting { hoster: Family::Kryoptic, denied, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan);
    stage.walk_to(Done::Init);
    let text = stage.hoster(&["kek", "create"]).refused("HSM-MECHANISM");
    assert!(text.contains("CKM_SHA256_RSA_PKCS (0x00000040)"), "{text}");
}

#[test]
fn a_token_is_the_one_that_is_named() {
    let stage = Stage::at(Done::Init);
    let mut command = stage.command("hoster", &["kek", "create", "--token", "nobody"]);
    refused_by(&stage, "hoster", "TOKEN-NOT-FOUND", || common::stage::ended(&mut command));
    stage.hoster(&["kek", "create"]).ok();
}

#[test]
fn production_takes_neither_words_nor_pins_from_files() {
    let hsm = "{ manufacturer = \"M\", model = \"X\", serials = [\"1\"] }";
    let stage = Stage::new(|plan| production(plan, [hsm, hsm], &machine_rules()));
    let right = stage.plan_words();
    let words = stage.words("plan", &right);
    let init = ["init", "plan/ceremony.toml", "--words", &words];
    stage.hoster(&init).refused("MIRROR");
    assert!(!stage.path("hoster").exists());
    let mirrored = ["--mirror", "mirror", "init", "plan/ceremony.toml", "--words", &words];
    let text = stage.hoster(&mirrored).ended_with(2);
    assert!(text.contains("--words in production"), "{text}");
    assert!(!stage.path("hoster").exists());

    // They are typed on a terminal; stdin says nothing there.
    let mut session = rexpect::session::spawn_command(
        {
            let program = programs::HOSTER;
            let mut command = std::process::Command::new("sh");
            command.args([
                "-c",
                "\"$@\" < /dev/null",
                "sh",
                program,
                "--dir",
                "hoster",
                "--mirror",
                "mirror",
                "init",
                "plan/ceremony.toml",
            ]);
            command.current_dir(stage.dir.path());
            command
        },
        Some(600_000),
    )
    .unwrap();
    session.exp_string("Type them here").unwrap();
    session.send_line(&right).unwrap();
    let screen = session.exp_eof().unwrap();
    assert!(stage.path("hoster/log.jsonl").exists(), "{screen}");

    refused(&stage, "hoster", &["kek", "create"], "MIRROR");
    let create = ["--mirror", "mirror", "kek", "create"];
    refused(&stage, "hoster", &create, "PIN-FILE");
    let mut command = std::process::Command::new(programs::HOSTER);
    command.arg("--dir").arg(stage.path("hoster")).args([
        "--mirror",
        "mirror",
        "--module",
        common::MODULE,
        "--token",
        "hoster",
        "kek",
        "create",
    ]);
    command
        .env("SOFTHSM2_CONF", stage.path("softhsm2.conf"))
        .current_dir(stage.dir.path())
        .stdin(std::process::Stdio::null());
    // Nor is any token taken but the planned one.
    let text = refused_by(&stage, "hoster", "PLAN-HSM", || common::stage::ended(&mut command));
    for mend in ["clone or backup", "officers of both sides", "`supersedes`"] {
        assert!(text.contains(mend), "{text}");
    }
}

/// Wraps that look right and are not: only opening them in software shows it.
#[test]
fn a_token_that_lies_about_its_wrap_is_caught_by_the_canary() {
    let lying = |stage: &Stage, side: &str, lie: &str, arguments: &[&str]| {
        let mut command = stage.command(side, arguments);
        command.env("KEYFERRY_SHIM_LIE", lie);
        super::common::stage::ended(&mut command)
    };
    // By its length or by its content, as the key that was wrapped happens to be long.
    let padded = |ended: Ended| {
        let by = |rule| ended.err.contains(&format!(" ({rule})\n  found: "));
        assert!(ended.code == 3 && (by("WRAP-KWP") || by("WRAP-FORMAT")), "{}", ended.err);
    };
    let composite = Setting { shim: true, ..Setting::composite() };
    for setting in [Setting::default(), composite] {
        let mut stage = Stage::with(setting, |plan| plan);
        stage.walk_to(Done::KekTrust);
        let keys = ["keys", "create"];
        padded(lying(&stage, "tenant", "pkcs7", &keys));
        lying(&stage, "tenant", "constant-aes", &keys).refused("WRAP-CANARY");
        // The keys are made honestly, and the token lies afterwards.
        stage.walk_to(Done::KeysCreate);
        stage.pass("tenant", "export", &["export"]);
        padded(lying(&stage, "tenant", "pkcs7", &["export"]));
        lying(&stage, "tenant", "constant-aes", &["export"]).refused("WRAP-CANARY");
        stage.tenant(&["export"]).ok();
    }
    // The hoster's KEK is as it must be, and the AES key between the two can leave the token.
    let mut late = Stage::of(Setting { shim: true, ..Setting::composite() }, Done::PackageCheck);
    late.lie = Some(("hoster", "changes"));
    let (_, ended) = late.walk_until_refused(Done::Import).expect("the import is refused");
    ended.refused("WRAP-AES-KEY");
    for mechanism in ["single-shot", "composite"] {
        let waivers = match mechanism {
            "composite" => vec!["WRAP-COMPOSITE".into()],
            _ => Vec::new(),
        };
        let setting = Setting {
            hoster: Family::Kryoptic,
            mechanism,
            oaep: "sha256",
            waivers,
            ..Setting::default()
        };
        let mut stage = Stage::with(setting, |plan| plan);
        stage.walk_to(Done::Init);
        let lie = "sha1-for-sha256";
        lying(&stage, "hoster", lie, &["kek", "create"]).refused("WRAP-OAEP-HASH");
        stage.walk_to(Done::KekTrust);
        lying(&stage, "tenant", lie, &["keys", "create"]).refused("WRAP-OAEP-HASH");
        assert!(!stage.path("tenant/keys").exists());
    }
}
