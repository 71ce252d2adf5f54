//! A report of each side's token, and what follows from it: a plan that both can carry out, and its
//! rehearsal.

use std::{fs, process::Command};

use crate::common::{
    PIN,
    programs::HOSTER as HOSTER_PROGRAM,
    run,
    stage::{CUSTODIANS, Done, Family, HOSTER, Setting, Stage, TENANT, ended},
};

fn report(stage: &Stage, side: &str) -> serde_json::Value {
    stage.probe(side);
    stage.json(&format!("{side}.json"))
}

fn outcome(report: &serde_json::Value, direction: &str, mechanism: &str, oaep: &str) -> String {
    let transfers = report["transfers"].as_array().unwrap();
    let facts = transfers.iter().find(|facts| {
        facts["direction"] == direction
            && facts["mechanism"] == mechanism
            && facts["oaep_hash"] == oaep
    });
    let outcome = &facts.unwrap()["outcome"];
    match outcome["rule"].as_str() {
        Some(rule) => rule.to_owned(),
        None => outcome["outcome"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn a_report_says_what_a_token_does() {
    let bare = Stage::of(Setting::composite(), Done::Plan);
    let soft = report(&bare, "tenant");
    assert_eq!(soft["profile"], "softhsm");
    assert_eq!(soft["wrap_with_trusted"], true);
    let listed = soft["mechanisms"].as_array().unwrap();
    assert!(listed.iter().any(|facts| facts["id"] == "0x00000009"));
    assert!(!listed.iter().any(|facts| facts["id"] == "0x00001054"));
    for direction in ["wrap", "unwrap"] {
        assert_eq!(outcome(&soft, direction, "composite", "sha1"), "works");
        let other = outcome(&soft, direction, "composite", "sha256");
        assert_eq!(other, "WRAP-OAEP-HASH");
        let single = outcome(&soft, direction, "single-shot", "sha1");
        assert_eq!(single, "WRAP-SINGLE-SHOT");
    }
    let enforced = soft["enforced"].as_array().unwrap();
    assert!(enforced.len() >= 10, "{enforced:#?}");
    for facts in enforced {
        // Without CKM_RSA_AES_KEY_WRAP no unwrap shows whether a single-shot KEK holds its
        // template.
        let template = facts["attribute"].as_str().unwrap();
        let untried =
            facts["object"] == "single-shot KEK" && template.starts_with("CKA_UNWRAP_TEM");
        match untried {
            true => assert!(facts["refused"].is_null(), "{facts}"),
            false => assert_eq!(facts["refused"], true, "{facts}"),
        }
    }
    // Nothing of it is overwritten, and a PIN from a file is for rehearsals.
    bare.tenant(&["probe", "--rehearsal", "tenant.json"]).refused("FILE-EXISTS");
    let mut production = bare.command("tenant", &["probe", "other.json"]);
    ended(production.env_remove("LD_PRELOAD")).refused("PIN-FILE");
    assert!(!bare.path("other.json").exists());

    let kryoptic = Stage::with(
        Setting { tenant: Family::Kryoptic, hoster: Family::Kryoptic, ..Setting::default() },
        |plan| plan,
    );
    let other = report(&kryoptic, "hoster");
    assert_eq!(other["profile"], "kryoptic");
    assert_eq!(other["wrap_with_trusted"], false);
    // Through the shim every trial could be made, and every one was refused.
    let enforced = other["enforced"].as_array().unwrap();
    assert_eq!(enforced.len(), 18);
    assert!(enforced.iter().all(|facts| facts["refused"] == true), "{enforced:#?}");
    for oaep in ["sha256", "sha1"] {
        assert_eq!(outcome(&other, "unwrap", "single-shot", oaep), "works");
    }
}

#[test]
fn a_token_that_lies_is_reported_as_one() {
    let stage = Stage::at(Done::Plan);
    let mut command = stage.command("tenant", &["probe", "--rehearsal", "tenant.json"]);
    command.env("KEYFERRY_SHIM_LIE", "constant-aes");
    ended(&mut command).ok();
    let lying = stage.json("tenant.json");
    assert_eq!(outcome(&lying, "wrap", "single-shot", "sha1"), "WRAP-CANARY");
    assert_eq!(outcome(&lying, "wrap", "composite", "sha1"), "WRAP-CANARY");
}

#[test]
fn a_plan_is_checked_against_both_reports_and_who_signed_them() {
    let stage = Stage::at(Done::Plan);
    for side in ["tenant", "hoster"] {
        stage.probe(side);
    }
    let check = ["plan", "check", "plan/ceremony.toml"];
    let both = ["--probe", "tenant.json", "--probe", "hoster.json"];
    let checked = || stage.auditor(&[&check[..], &both].concat());
    let said = checked().ok();
    assert!(said.contains("nothing of this plan will be refused"), "{said}");
    assert!(said.contains("signed by nobody"), "{said}");
    stage.sign(&stage.path("tenant.json"), "keyferry-probe", "ada");
    assert!(checked().ok().contains("tenant.json: signed by ada"));
    stage.sign_as(&stage.path("hoster.json"), "keyferry-probe", "mallory", "hana");
    checked().refused("SIGNATURE-KEY");
    fs::remove_file(stage.path("hoster.json.hana.sig")).unwrap();
    stage.sign(&stage.path("hoster.json"), "keyferry-probe", "ben");
    checked().refused("SIGNATURE-SIDE");
    fs::remove_file(stage.path("hoster.json.ben.sig")).unwrap();
    stage.sign(&stage.path("hoster.json"), "keyferry-document", "hana");
    checked().refused("SIGNATURE-NAMESPACE");
    stage.sign(&stage.path("hoster.json"), "keyferry-probe", "hana");
    checked().ok();
    // Changed after it was signed.
    let text = fs::read_to_string(stage.path("hoster.json")).unwrap();
    fs::write(stage.path("hoster.json"), text.replace("0.1.0", "0.1.1")).unwrap();
    checked().refused("SIGNATURE-DOCUMENT");
    for (content, rule) in [
        ("{}", "DOCUMENT-FORMAT"),
        ("", "DOCUMENT-FORMAT"),
        (&text.replace("\"probe\"", "\"offer\""), "DOCUMENT-KIND"),
    ] {
        fs::write(stage.path("hoster.json"), content).unwrap();
        checked().refused(rule);
    }
    // One report, or two of one side, foretell nothing.
    let twice = ["--probe", "tenant.json", "--probe", "tenant.json"];
    (stage.auditor(&[&check[..], &twice].concat())).ended_with(2);
    (stage.auditor(&[&check[..], &both[..2]].concat())).ended_with(2);
}

#[test]
fn the_strongest_plan_of_two_tokens_is_written_and_can_be_rehearsed() {
    let tokens =
        Stage::with(Setting { hoster: Family::Kryoptic, ..Setting::composite() }, |plan| plan);
    for side in ["tenant", "hoster"] {
        tokens.probe(side);
    }
    let both = ["--probe", "tenant.json", "--probe", "hoster.json"];
    let new = ["plan", "new", "new.toml"];
    tokens.auditor(&[&new[..], &both].concat()).ok();
    let text = fs::read_to_string(tokens.path("new.toml")).unwrap();
    for expected in [
        "mechanism = \"composite\"",
        "oaep_hash = \"sha1\"",
        "rule = \"WRAP-COMPOSITE\"",
        "rule = \"WRAP-OAEP-SHA1\"",
        "model = \"SoftHSM v2\"",
        "\"libsofthsm2.so\" = \"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("rule = \"KEK-"), "{text}");

    // A real plan of stronger tokens, rehearsed on these.
    let strong = |plan: String| {
        let hsm = "hsm = { manufacturer = \"Maker\", model = \"One\", serials = [\"7\"] }\n";
        plan.replace("mode = \"rehearsal\"", "mode = \"production\"")
            .replace("approvals = 2\n", &format!("approvals = 2\n{hsm}"))
            .replace(
                "kind = \"local\"\n",
                &format!("kind = \"local\"\ntrial = \"{}\"\n", "ab".repeat(32)),
            )
    };
    let setting = Setting { oaep: "sha256", waivers: Vec::new(), ..Setting::default() };
    let real = Stage::with(setting, strong);
    let rehearse = |extra: &[&str]| {
        let plan = real.path("plan/ceremony.toml");
        let arguments = ["plan", "rehearse", plan.to_str().unwrap(), "r.toml"];
        tokens.auditor(&[&arguments[..], &["--people", "people"], extra].concat())
    };
    fs::remove_file(tokens.path("people/gus.recipient")).unwrap();
    let missing = rehearse(&both).ended_with(1);
    assert!(missing.contains("gus.recipient"), "{missing}");
    assert!(missing.contains("identity new"), "{missing}");
    assert!(!tokens.path("r.toml").exists());
    fs::copy(real.path("people/gus.recipient"), tokens.path("people/gus.recipient")).unwrap();
    let said = rehearse(&both).ok();
    let mut changed: Vec<String> = (said.lines())
        .map(|line| line.split(':').next().unwrap().to_owned())
        .filter(|line| !line.starts_with("waivers"))
        .collect();
    let mut expected: Vec<String> =
        ["mode", "transfer.mechanism", "transfer.oaep_hash"].map(str::to_owned).into();
    for side in ["tenant", "hoster"] {
        for part in ["manufacturer", "model", "serials[0]"] {
            expected.push(format!("{side}.hsm.{part}"));
        }
        for n in 0..TENANT.len().min(HOSTER.len()) {
            expected.push(format!("{side}.officers[{n}].key"));
        }
    }
    // Gus's recipient is the real one here, so it does not change.
    for n in 0..CUSTODIANS.len() - 1 {
        expected.push(format!("quorum.custodians[{n}].recipients[0]"));
    }
    expected.push("witnesses[0].key".to_owned());
    // Only the real ceremony comes after a trial.
    expected.push("target.trial".to_owned());
    changed.sort();
    expected.sort();
    assert_eq!(changed, expected, "{said}");
    assert!(said.contains("mode: \"production\" -> \"rehearsal\""), "{said}");
    let check = ["plan", "check", "r.toml"];
    tokens.auditor(&[&check[..], &both].concat()).ok();
    rehearse(&both).refused("FILE-EXISTS");
    // Every comment of the plan is still there.
    let before = fs::read_to_string(real.path("plan/ceremony.toml")).unwrap();
    let after = fs::read_to_string(tokens.path("r.toml")).unwrap();
    let comments = |text: &str| text.matches('#').count();
    assert_eq!(comments(&before), comments(&after));
}

#[test]
fn a_module_is_given_its_arguments() {
    let setting = Setting { tenant: Family::Kryoptic, ..Setting::composite() };
    let stage = Stage::with(setting, |plan| plan);
    let conf = stage.path("kryoptic.conf");
    let arguments = format!("kryoptic_conf={}", conf.display());
    // Without its configuration the module does not find the token; with it as an argument it does.
    let probe = |arguments: &[&str], file: &str| {
        let whole = [arguments, &["probe", "--rehearsal", file]].concat();
        let mut command = stage.command("tenant", &whole);
        command.env_remove("KRYOPTIC_CONF").env("HOME", stage.dir.path());
        ended(&mut command)
    };
    assert_ne!(probe(&[], "a.json").code, 0);
    probe(&["--module-args", &arguments], "b.json").ok();
    assert!(stage.path("b.json").exists());
}

/// What is no module, and what is no PIN: an error that says so, at once.
#[test]
fn what_is_no_module_or_no_pin_ends_with_an_error() {
    let stage = Stage::at(Done::Init);
    let probe = ["probe", "--rehearsal", "hoster.json"];
    run(Command::new("mkfifo").arg(stage.path("fifo")));
    for module in ["fifo", "people"] {
        let with_module = |arguments: &[&str]| {
            let mut command = Command::new(HOSTER_PROGRAM);
            command.args(["--dir", "hoster", "--token", "hoster", "--module", module]);
            stage.environment(&mut command, "hoster");
            ended(command.args(arguments).current_dir(stage.dir.path()))
        };
        let said = with_module(&probe).ended_with(5);
        assert!(said.contains("it is no regular file"), "{said}");
        let said = with_module(&["preflight"]).ended_with(5);
        assert!(said.contains("it is no regular file"), "{said}");
    }
    let lying = |lie: &str| {
        let mut command = stage.command("hoster", &probe);
        ended(command.env("KEYFERRY_SHIM_LIE", lie))
    };
    let said = lying("no-list").ended_with(5);
    assert!(said.contains("the module has no function list"), "{said}");
    fs::write(stage.path("pin"), "").unwrap();
    let said = stage.hoster(&probe).ended_with(5);
    assert!(said.contains("the PIN is empty, and was not tried"), "{said}");
    fs::write(stage.path("pin"), PIN).unwrap();
    // The first list is the one that is used, whatever the second is.
    lying("two-lists").ok();
}

/// A module that crashes or hangs is a line of the report; what was tried before and after it is
/// there.
#[test]
fn a_module_that_crashes_or_hangs_is_reported() {
    let stage = Stage::at(Done::Plan);
    for (file, fault, unknown) in [
        ("crash.json", "C_WrapKey once crash", "wrap, single-shot, sha1"),
        ("hang.json", "C_GetMechanismList once hang", "mechanisms and objects"),
    ] {
        let probe = ["probe", "--rehearsal", "--trial-limit", "20", file];
        let mut command = stage.command("tenant", &probe);
        let said = ended(command.env("KEYFERRY_SHIM_FAULT", fault)).ok();
        assert!(said.contains(&format!("NOT KNOWN, {unknown}")), "{said}");
        // Nobody has seen whether that left something there.
        assert!(!said.contains("throwaway objects are gone"), "{said}");
        let report = stage.json(file);
        let unfinished = report["unfinished"].as_array().unwrap();
        assert!(unfinished.iter().any(|one| one["trial"] == unknown), "{unfinished:#?}");
        // What does not need it was tried all the same, to the last.
        assert_eq!(report["rsa"].as_array().unwrap().len(), 3);
        let objects = report["objects"].as_array().unwrap();
        assert!(objects.iter().any(|one| one["object"] == "certificate"), "{objects:#?}");
    }
    // What is not known is foretold as that.
    stage.probe("hoster");
    let both = ["--probe", "crash.json", "--probe", "hoster.json"];
    let checked = stage.auditor(&[&["plan", "check", "plan/ceremony.toml"][..], &both].concat());
    assert!(checked.out.contains("NOT KNOWN at the tenant's keys create"), "{checked:?}");
    let mut report = stage.json("hoster.json");
    report["keks"] = serde_json::json!([]);
    fs::write(stage.path("no-kek.json"), report.to_string()).unwrap();
    let both = ["--probe", "tenant.json", "--probe", "no-kek.json"];
    stage.probe("tenant");
    let without = stage.auditor(&[&["plan", "check", "plan/ceremony.toml"][..], &both].concat());
    assert!(without.out.contains("which rules a single-shot KEK of its misses"), "{without:?}");
    assert!(!without.out.contains("nothing of this plan will be refused"), "{without:?}");
    assert!(!checked.out.contains("nothing of this plan will be refused"), "{checked:?}");
}

/// A login is tried once, whatever becomes of it.
#[test]
fn a_probe_tries_the_pin_once() {
    let stage = Stage::at(Done::Plan);
    let calls = stage.path("calls");
    let logins = || {
        let text = fs::read_to_string(&calls).unwrap();
        text.lines().filter(|line| line.ends_with(" C_Login")).count()
    };
    let probe = ["probe", "--rehearsal", "tenant.json"];
    let mut command = stage.command("tenant", &probe);
    command.env("KEYFERRY_SHIM_FAULT", "C_Login once crash").env("KEYFERRY_SHIM_CALLS", &calls);
    let said = ended(&mut command).ended_with(5);
    assert!(said.contains("at the login; the PIN was not tried again"), "{said}");
    assert_eq!(logins(), 1);
    fs::remove_file(&calls).unwrap();
    fs::write(stage.path("pin"), "not-the-pin").unwrap();
    let mut command = stage.command("tenant", &probe);
    let said = ended(command.env("KEYFERRY_SHIM_CALLS", &calls)).ended_with(5);
    assert!(said.contains("says that the PIN is wrong"), "{said}");
    assert_eq!(logins(), 1);
    assert!(!stage.path("tenant.json").exists());
}

/// What a killed probe left on the token is gone after the next; without token objects nothing is
/// known of those.
#[test]
fn throwaway_objects_are_erased_and_can_be_done_without() {
    let stage = Stage::at(Done::Plan);
    let probe = ["probe", "--rehearsal", "killed.json"];
    let mut command = stage.command("hoster", &probe);
    ended(command.env("KEYFERRY_SHIM_FAULT", "C_DestroyObject lasting kill-before")).ok();
    let killed = stage.json("killed.json");
    assert!(killed["left"].is_null(), "{killed}");
    let objects = |file: &str| stage.json(file)["facts"]["objects"].as_u64().unwrap();
    let session_only = ["probe", "--rehearsal", "--session-only", "session.json"];
    let said = stage.hoster(&session_only).ok();
    assert!(said.contains("not tried: token objects, by --session-only"), "{said}");
    assert_eq!(stage.json("session.json")["objects"].as_array().unwrap().len(), 0);
    // What the killed one left was there, by the name of its run, and is gone.
    let left = stage.json("session.json")["left"].clone();
    let label = left[0]["label"].as_str().unwrap();
    assert!(label.starts_with("keyferry throwaway ") && label.len() == 27, "{left}");
    assert!(left[0]["objects"].as_u64().unwrap() > 0 && left[1].is_null(), "{left}");
    assert!(said.contains(&format!("with the label \"{label}\"")), "{said}");
    assert_eq!(objects("session.json"), 0);
    stage.probe("hoster");
    assert_eq!(objects("hoster.json"), 0);
    stage.hoster(&["probe", "--rehearsal", "last.json"]).ok();
    assert_eq!(objects("last.json"), 0);
}

/// A token that takes other attributes of token objects than of session objects, has one serial for
/// all of its make, and wraps what must stay: foretold, and so it goes.
#[test]
fn nss_carries_a_key_out_and_takes_none() {
    let composite = Setting { oaep: "sha256", ..Setting::composite() };
    let waivers = vec!["WRAP-COMPOSITE".to_owned()];
    let setting =
        Setting { tenant: Family::Nss, hoster: Family::Kryoptic, waivers, ..composite.clone() };
    let mut stage = Stage::with(setting, |plan| plan);
    let seen = report(&stage, "tenant");
    stage.probe("hoster");
    let made = |object: &str| {
        let objects = seen["objects"].as_array().unwrap();
        objects.iter().find(|facts| facts["object"] == object).unwrap()["left_out"].clone()
    };
    assert_eq!(made("key of the tenant's"), serde_json::json!(["CKA_COPYABLE"]));
    let both = ["--probe", "tenant.json", "--probe", "hoster.json"];
    let check = ["plan", "check", "plan/ceremony.toml"];
    let said = stage.auditor(&[&check[..], &both].concat()).ok();
    assert!(said.contains("nothing of this plan will be refused"), "{said}");
    assert!(said.contains("PLAN-HSM cannot tell it from others of its make"), "{said}");
    stage.walk_to(Done::TenantClose);

    let setting = Setting {
        tenant: Family::Kryoptic,
        hoster: Family::Nss,
        waivers: vec!["WRAP-COMPOSITE".into()],
        ..composite
    };
    let mut stage = Stage::with(setting, |plan| plan);
    for side in ["tenant", "hoster"] {
        stage.probe(side);
    }
    let said = stage.auditor(&[&check[..], &both].concat()).refused("KEK-EXTRACTABLE");
    assert!(said.contains("foretold for the hoster's kek create"), "{said}");
    let said = stage.auditor(&[&["plan", "new", "new.toml"][..], &both].concat());
    let said = said.refused("KEK-EXTRACTABLE");
    assert!(said.contains("single-shot with sha256: the hoster's token"), "{said}");
    stage.walk_to(Done::Init);
    stage.hoster(&["kek", "create"]).refused("KEK-EXTRACTABLE");
}
