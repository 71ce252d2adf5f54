//! Programs that age runs for a custodian: looked for before anybody signs, and in production the
//! ones of the plan.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::common::{production::command, stage::Setting};

/// A recipient of age's plugin "tag", with an intact checksum.
const TAG: &str = "age1tag1qf0w6dgygjq2g0gn6kzr3hes8cmfw3582a6yymhz0n3hr8st3tt8s7ujc6d";

/// With the plugin's recipient in the place of the first custodian's.
fn tagged(plan: String) -> String {
    let recipient = plan.split('"').find(|text| text.starts_with("age1")).unwrap().to_owned();
    plan.replacen(&recipient, TAG, 1)
}

#[test]
fn an_export_asks_for_no_signature_where_a_plugin_is_missing() {
    let mut stage = Stage::with(Setting::default(), tagged);
    stage.walk_to(Done::KeysCreate);
    let said = stage.tenant(&["preflight"]);
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("AGE-PLUGIN") && text.contains("age-plugin-tag"), "{text}");
    let said = stage.tenant(&["export"]).refused("AGE-PLUGIN");
    assert!(said.contains("no program age-plugin-tag on the PATH"), "{said}");
    assert!(!stage.path("tenant/approvals").exists(), "nobody is asked to sign");
    // The hoster opens no identity of it: its custodian may type the share.
    let said = stage.hoster(&["preflight"]);
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("type or scan their shares"), "{text}");
    // One that is there, but is none: age says so, in letters that can be seen.
    let plugin = stage.path("bin/age-plugin-tag");
    fs::create_dir(stage.path("bin")).unwrap();
    fs::write(&plugin, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", stage.path("bin").display(), std::env::var("PATH").unwrap());
    let export = |stage: &Stage| ended(stage.command("tenant", &["export"]).env("PATH", &path));
    export(&stage).ended_with(6);
    stage.approve("tenant", "export", &["ben", "cora"]);
    let said = export(&stage);
    assert!(said.code != 0 && !said.err.contains("\\u{20"), "{}", said.err);
}

#[test]
fn in_production_a_plugin_is_the_one_of_the_plan() {
    let stage = stage(&but(&["PREFLIGHT-SOFTWARE"]), tagged);
    let folder = stage.path("bin");
    fs::create_dir(&folder).unwrap();
    let plugin = folder.join("age-plugin-tag");
    fs::write(&plugin, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    init(&stage);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut preflight = command(&stage, &[], &["preflight"]);
    let said = ended(preflight.env("PATH", path));
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("[software] does not name age-plugin-tag"), "{text}");
    assert_eq!(said.code, 3, "{text}");
}
