//! The machine before production: what is looked at, what is refused and recorded, and that the
//! process is really hard to look into.

use std::fs;

use serde_json::Value;

use crate::common::{
    PIN,
    kill::through,
    production::{command, hoster, init, log, machine_rules, on_terminal, on_terminal_with, stage},
    stage::{Done, Stage, ended},
};

mod machine;
mod plugins;

const VARIABLES: [&str; 3] = ["LD_KEYFERRY_TEST", "PKCS11SPY", "P11_KIT_STRICT"];
const ABOUT_VARIABLES: [&str; 3] =
    ["PREFLIGHT-LOADER", "PREFLIGHT-PKCS11-SPY", "PREFLIGHT-P11-KIT"];

/// Rules that a test machine may break, whatever the test does.
fn but(kept: &[&str]) -> Vec<&'static str> {
    let rules = machine_rules().into_iter();
    rules.filter(|rule| !kept.contains(rule)).collect()
}

/// What a preflight entry says of a rule.
#[track_caller]
fn of<'a>(entry: &'a Value, rule: &str) -> Vec<&'a Value> {
    assert_eq!(entry["event"], "preflight", "{entry}");
    let findings = entry["findings"].as_array().unwrap().iter();
    let found: Vec<_> = findings.filter(|finding| finding["rule"] == rule).collect();
    assert!(!found.is_empty(), "{rule}: {entry}");
    found
}

fn events(stage: &Stage) -> Vec<String> {
    let name = |entry: Value| entry["event"].as_str().unwrap().to_owned();
    log(stage).into_iter().map(name).collect()
}

#[test]
fn a_rehearsal_reports_and_goes_on() {
    let stage = Stage::at(Done::Init);
    let said = hoster(&stage, &VARIABLES, &["preflight"]).ok();
    assert!(said.starts_with("Production would be refused here: "), "{said}");
    let headline = said.lines().next().unwrap();
    assert_eq!(headline.matches("PREFLIGHT-SOFTWARE").count(), 1, "{said}");
    assert!(!said.contains("a-value-that-nobody-shows"), "{said}");
    for (rule, variable) in ABOUT_VARIABLES.into_iter().zip(VARIABLES) {
        let mut lines = said.lines().skip_while(|line| !line.starts_with(rule));
        let (line, cure) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.contains(&format!("BROKEN: set: {variable}")), "{line}");
        assert!(cure.contains("to do: `unset"), "{cure}");
    }
    for rule in machine_rules() {
        let expected = rule != "PREFLIGHT-MEDIUM";
        assert_eq!(said.contains(&format!("\n{rule} ")), expected, "{rule}: {said}");
    }
    let entry = log(&stage).pop().unwrap();
    for rule in ABOUT_VARIABLES {
        assert_eq!(of(&entry, rule)[0]["outcome"], "broken");
    }
    // Program and module, neither of which the plan names.
    let software = of(&entry, "PREFLIGHT-SOFTWARE");
    assert_eq!(software.len(), 2);
    assert!(software.iter().all(|finding| finding["outcome"] == "broken"));
    assert_eq!(of(&entry, "PREFLIGHT-CLOCK")[0]["outcome"], "holds");
    assert_eq!(of(&entry, "PREFLIGHT-CORE-DUMP")[0]["outcome"], "holds");
    assert_eq!(of(&entry, "PLAN-HSM")[0]["outcome"], "holds");
    assert_eq!(of(&entry, "PIN-COUNT-LOW")[0]["outcome"], "holds");

    // For scripts; and without the variables.
    let said = hoster(&stage, &[], &["--json", "preflight"]).ok();
    let json: Value = serde_json::from_str(&said).unwrap();
    let entry = log(&stage).pop().unwrap();
    assert_eq!(json["findings"], entry["findings"]);
    for rule in ABOUT_VARIABLES {
        assert_eq!(of(&entry, rule)[0]["outcome"], "holds");
    }
    // No other command of a rehearsal looks, and the ceremony goes on from a record that holds.
    let mut create = stage.command("hoster", &["kek", "create"]);
    ended(create.env("LD_KEYFERRY_TEST", "x")).ok();
    let events = events(&stage);
    assert_eq!(events, ["init", "preflight", "preflight", "intent", "kek-create"]);
    let verdict = stage.auditor(&["verify", "hoster"]).ok();
    assert!(verdict.contains("hoster, entry 2: preflight: PREFLIGHT-"), "{verdict}");
}

#[test]
fn production_is_refused_until_the_machine_is_right() {
    let stage = stage(&but(&ABOUT_VARIABLES), |plan| plan);
    let plan = ["init", "plan/ceremony.toml"];
    for (rule, variable) in ABOUT_VARIABLES.into_iter().zip(VARIABLES) {
        let text = hoster(&stage, &[variable], &plan).refused(rule);
        assert!(text.contains(variable) && text.contains("unset"), "{text}");
    }
    // OpenSSL loads what its configuration names, into the module that uses it.
    let text = hoster(&stage, &["OPENSSL_CONF"], &plan).refused("PREFLIGHT-LOADER");
    assert!(text.contains("OPENSSL_CONF"), "{text}");
    assert!(!stage.path("hoster").exists());
    init(&stage);
    assert_eq!(events(&stage), ["init", "preflight"]);

    // What does something is refused first thing; what is new is in the record, once.
    for command in [&["release"][..], &["kek", "create"], &["register"]] {
        hoster(&stage, &VARIABLES[..1], command).refused("PREFLIGHT-LOADER");
    }
    let refused = ["init", "preflight", "preflight", "refusal", "refusal", "refusal"];
    assert_eq!(events(&stage), refused);
    assert_eq!(log(&stage)[3]["rule"], "PREFLIGHT-LOADER");
    assert_eq!(of(&log(&stage)[2], "PREFLIGHT-LOADER")[0]["outcome"], "broken");
    // What looks, or adds to the record, is not refused.
    hoster(&stage, &VARIABLES, &["status"]).ok();
    hoster(&stage, &VARIABLES, &["note", "remark", "an operator's shell set LD_KEYFERRY_TEST"])
        .ok();

    // The command itself shows everything, then ends as the others would; no module is loaded by
    // then.
    let ended = hoster(&stage, &VARIABLES[1..], &["preflight"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    for rule in &ABOUT_VARIABLES[1..] {
        assert!(ended.out.contains(&format!("{rule} ")), "{}", ended.out);
    }
    assert!(!ended.out.contains("PLAN-HSM"), "{}", ended.out);
    ended.refused("PREFLIGHT-PKCS11-SPY");

    // And with the machine as it should be: the token is the planned one, and the step is done.
    let said = hoster(&stage, &[], &["preflight"]).ok();
    assert!(said.contains("PLAN-HSM               holds: the planned one"), "{said}");
    let (mut session, _) = on_terminal(&stage, &["kek", "create"]);
    session.exp_string("PIN of the token").unwrap();
    session.send_line(PIN).unwrap();
    let screen = session.exp_eof().unwrap();
    let last = events(&stage).pop().unwrap();
    assert_eq!(last, "kek-create", "{screen}");
}

#[test]
fn what_the_plan_waives_is_recorded_and_passes() {
    let stage = stage(&machine_rules(), |plan| plan);
    init(&stage);
    // Nothing to release yet: the phase refuses, not the machine.
    let waivable = [VARIABLES[0], VARIABLES[2]];
    hoster(&stage, &waivable, &["release"]).refused("PHASE-ORDER");
    let log = log(&stage);
    let entry = &log[log.len() - 2];
    for rule in ["PREFLIGHT-LOADER", "PREFLIGHT-P11-KIT"] {
        assert_eq!(of(entry, rule)[0]["outcome"], "waived");
    }
    let said = hoster(&stage, &waivable, &["preflight"]).ok();
    assert!(said.contains("broken, but waived: set: LD_KEYFERRY_TEST"), "{said}");
}

/// Whoever reads along would have the PIN: refused before it is asked for, by what has a plan that
/// waives whatever can be waived, and by what has none.
#[test]
fn what_reads_along_is_refused_whatever_is_waived() {
    let mut stage = stage(&machine_rules(), |plan| plan);
    let watchers = [
        ("LD_PRELOAD", "PREFLIGHT-LOADER"),
        ("LD_AUDIT", "PREFLIGHT-LOADER"),
        ("PKCS11SPY_OUTPUT", "PREFLIGHT-PKCS11-SPY"),
    ];
    for (variable, rule) in watchers {
        hoster(&stage, &[variable], &["init", "plan/ceremony.toml"]).refused(rule);
        hoster(&stage, &[variable], &["probe", "hoster.json"]).refused(rule);
    }
    init(&stage);
    let probed = command(&stage, &[], &["probe", "hoster.json"]);
    ended(&mut through("strace", &["-f", "-o", "/dev/null"], &probed)).refused("PREFLIGHT-PTRACE");
    let step = command(&stage, &[], &["kek", "create"]);
    ended(&mut through("strace", &["-f", "-o", "/dev/null"], &step)).refused("PREFLIGHT-PTRACE");
    assert_eq!(of(&log(&stage)[2], "PREFLIGHT-PTRACE")[0]["outcome"], "broken");
    assert!(!stage.path("hoster.json").exists());

    // A host that uses the keys has a brief, which says that it is no rehearsal.
    stage = Stage::at(Done::Register);
    let register = stage.path("hoster/register");
    let brief = fs::read_to_string(register.join("registration.json")).unwrap();
    assert!(brief.contains("\"rehearsal\""), "{brief}");
    let brief = brief.replace("\"rehearsal\"", "\"production\"");
    fs::write(register.join("registration.json"), brief).unwrap();
    let prove = ["node", "prove", "--register", "hoster/register", "--node", "node1"];
    for (variable, rule) in watchers {
        hoster(&stage, &[variable], &prove).refused(rule);
    }
    // Without them it goes on, to the PIN, which nobody types.
    let said = hoster(&stage, &[], &prove);
    assert!(said.err.contains("terminal"), "{}", said.err);
}

/// Without a plan, what else stands against production is in the report.
#[test]
fn a_probe_in_production_proposes_what_would_have_to_be_waived() {
    let stage = stage(&machine_rules(), |plan| plan);
    let probe = ["probe", "hoster.json"];
    // Nothing is made on the token that the operator has not agreed to.
    let (mut session, _) = on_terminal_with(&stage, &["P11_KIT_STRICT"], &probe);
    session.exp_string("throwaway objects with the label").unwrap();
    session.exp_string("Type yes to have them made").unwrap();
    for typed in ["", "maybe", "?"] {
        session.send_line(typed).unwrap();
        session.exp_string("Only yes has them made").unwrap();
        session.exp_string("Type yes to have them made").unwrap();
    }
    session.send_line("no").unwrap();
    session.exp_string("nothing was made on the token").unwrap();
    session.exp_eof().unwrap();
    let (mut session, _) = on_terminal_with(&stage, &["P11_KIT_STRICT"], &probe);
    session.exp_string("Type yes to have them made").unwrap();
    session.send_line("yes").unwrap();
    session.exp_string("PIN of the token").unwrap();
    session.send_line(PIN).unwrap();
    let screen = session.exp_eof().unwrap();
    let proposed = "a waiver to propose, unless it is mended: PREFLIGHT-P11-KIT on this machine";
    assert!(screen.contains(proposed), "{screen}");
    let report = stage.json("hoster.json");
    let machine = report["machine"].as_array().unwrap();
    let found = machine.iter().find(|finding| finding["rule"] == "PREFLIGHT-P11-KIT");
    assert_eq!(found.unwrap()["found"], "set: P11_KIT_STRICT");
    let shown = stage.auditor(&["show", "hoster.json"]).ok();
    assert!(shown.contains("PREFLIGHT-P11-KIT BROKEN (set: P11_KIT_STRICT)"), "{shown}");
}

#[test]
fn another_program_or_module_is_refused() {
    let waived = but(&["PREFLIGHT-SOFTWARE"]);
    let init = ["init", "plan/ceremony.toml"];
    let spoilt = |start: &'static str| {
        move |plan: String| {
            let spoil = |line: &str| match line.split_once("\" = \"") {
                Some((name, _)) if name.starts_with(start) => {
                    format!("{name}\" = \"{}\"\n", "0".repeat(64))
                }
                _ => format!("{line}\n"),
            };
            plan.lines().map(spoil).collect()
        }
    };
    for start in ["\"keyferry-hoster", "\"libkeyferry_shim"] {
        let stage = stage(&waived, spoilt(start));
        let text = hoster(&stage, &[], &init).refused("PREFLIGHT-SOFTWARE");
        assert!(text.contains(&format!("found:    {}", &start[1..])), "{text}");
        assert!(text.contains(&"0".repeat(64)), "{text}");
    }
    // A plan that names none of them.
    let stage = stage(&waived, |plan| plan.split("\n[software]").next().unwrap().to_owned());
    let text = hoster(&stage, &[], &init).refused("PREFLIGHT-SOFTWARE");
    assert!(text.contains("does not name keyferry-hoster"), "{text}");
}

#[test]
fn a_clock_behind_the_record_is_refused_until_people_note_it() {
    let stage = stage(&but(&["PREFLIGHT-CLOCK"]), |plan| plan);
    init(&stage);
    hoster(&stage, &[], &["note", "remark", "the last entry before the clock was set back"]).ok();
    // The last line may have any time: nothing is chained to it yet.
    let path = stage.path("hoster/log.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    let mut ahead: Value = serde_json::from_str(last).unwrap();
    ahead["time"] = "2999-01-01T00:00:00Z".into();
    fs::write(&path, text.replace(last, &ahead.to_string())).unwrap();
    fs::copy(&path, stage.path("mirror-hoster/log.jsonl")).unwrap();

    for _ in 0..2 {
        let text = hoster(&stage, &[], &["release"]).refused("PREFLIGHT-CLOCK");
        assert!(text.contains("2999-01-01T00:00:00Z"), "{text}");
    }
    hoster(&stage, &[], &["preflight"]).refused("PREFLIGHT-CLOCK");
    hoster(&stage, &[], &["note", "remark", "the clock ran ahead at the last note"]).ok();
    hoster(&stage, &[], &["release"]).refused("PHASE-ORDER");
}
