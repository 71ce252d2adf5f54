//! A stage whose plan is for production: with HSMs by their serials, software by its hash, and
//! waivers for what the machine of the tests may break.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rexpect::session::{PtySession, spawn_command};

use super::{
    programs, run,
    stage::{Done, Ended, Stage, ended},
};
use record::{encoding::Hash, rule::Rule};

/// Every rule of the machine that a plan may waive.
pub fn machine_rules() -> Vec<&'static str> {
    let waivable = Rule::ALL.iter().filter(|rule| rule.waivable());
    waivable.map(|rule| rule.name()).filter(|name| name.starts_with("PREFLIGHT-")).collect()
}

/// A production plan of this text: each side's HSM is `hsm`, and these rules are waived.
pub fn production(plan: String, hsm: [&str; 2], waived: &[&str]) -> String {
    let mut plan = plan.replace("mode = \"rehearsal\"", "mode = \"production\"");
    for (name, hsm) in ["Contoso", "Fabrikam"].into_iter().zip(hsm) {
        let name = format!("name = \"{name}\"\n");
        plan = plan.replace(&name, &format!("{name}hsm = {hsm}\n"));
    }
    for rule in waived {
        plan.push_str(&format!(
            "\n[[waivers]]\nrule = \"{rule}\"\nreason = \"the machine of a test\"\n"
        ));
    }
    plan
}

/// A stage of SoftHSM tokens, planned as they are, and of the programs and modules as they are;
/// `change` may spoil the plan.
pub fn stage(waived: &[&str], change: impl FnOnce(String) -> String) -> Stage {
    let stage = Stage::at(Done::Plan);
    let path = stage.path("plan/ceremony.toml");
    let hsm = ["tenant", "hoster"].map(|label| {
        format!(
            "{{ manufacturer = \"SoftHSM project\", model = \"SoftHSM v2\", serials = [\"{}\"] }}",
            serial(&stage, label)
        )
    });
    let plan = fs::read_to_string(&path).unwrap();
    let mut plan = production(plan, [&hsm[0], &hsm[1]], waived);
    plan.push_str("\n[software]\n");
    for file in [Path::new(programs::TENANT), Path::new(programs::HOSTER), &super::shim()] {
        let name = file.file_name().unwrap().to_str().unwrap();
        let hash = Hash::of(&fs::read(file).unwrap());
        plan.push_str(&format!("\"{name}\" = \"{hash}\"\n"));
    }
    fs::write(&path, change(plan)).unwrap();
    for id in ["ada", "ben", "hana", "hugo"] {
        stage.sign(&path, "keyferry-plan", id);
    }
    stage
}

/// The serial number of a token.
pub fn serial(stage: &Stage, label: &str) -> String {
    let slots = run(Command::new("softhsm2-util")
        .arg("--show-slots")
        .env("SOFTHSM2_CONF", stage.path("softhsm2.conf")));
    let slots = String::from_utf8(slots).unwrap();
    let mut serial = "";
    for line in slots.lines().map(str::trim) {
        match line.split_once(':') {
            Some(("Serial number", found)) => serial = found.trim(),
            Some(("Label", found)) if found.trim() == label => return serial.to_owned(),
            _ => {}
        }
    }
    panic!("no token {label}: {slots}")
}

/// A command of the hoster in production, without the variables that `cargo test` itself sets, and
/// with these.
pub fn command(stage: &Stage, variables: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::HOSTER);
    command.arg("--dir").arg(stage.path("hoster"));
    command.arg("--module").arg(super::shim());
    command.arg("--mirror").arg(stage.path("mirror-hoster"));
    command.args(["--token", "hoster"]).args(arguments);
    stage.environment(&mut command, "hoster");
    // Which production refuses: the faster primes stay away here.
    command.env_remove("LD_PRELOAD");
    command.current_dir(stage.dir.path()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["LD_", "OPENSSL_", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "PKCS11SPY", "P11_KIT"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    for name in variables {
        command.env(name, "a-value-that-nobody-shows");
    }
    command
}

/// Runs such a command to its end.
pub fn hoster(stage: &Stage, variables: &[&str], arguments: &[&str]) -> Ended {
    ended(&mut command(stage, variables, arguments))
}

/// Such a command on a terminal of its own, on which it first says which process it is.
pub fn on_terminal(stage: &Stage, arguments: &[&str]) -> (PtySession, u32) {
    on_terminal_with(stage, &[], arguments)
}

/// The same, with these variables.
pub fn on_terminal_with(
    stage: &Stage,
    variables: &[&str],
    arguments: &[&str],
) -> (PtySession, u32) {
    let command = command(stage, variables, arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo process $$; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(stage.dir.path());
    let mut session = spawn_command(shell, Some(600_000)).unwrap();
    session.exp_string("process ").unwrap();
    let process = session.read_line().unwrap().trim().parse().unwrap();
    (session, process)
}

/// Begins the ceremony at the hoster: the words are typed.
pub fn init(stage: &Stage) {
    let (mut session, _) = on_terminal(stage, &["init", "plan/ceremony.toml"]);
    session.exp_string("Type them here").unwrap();
    session.send_line(&stage.plan_words()).unwrap();
    let screen = session.exp_eof().unwrap();
    assert!(stage.path("hoster/log.jsonl").exists(), "{screen}");
}

/// The entries of the hoster's log.
pub fn log(stage: &Stage) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
