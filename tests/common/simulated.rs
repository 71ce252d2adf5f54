//! The rehearsal's Host Guardian Service, `ceremony-scripts/simulated-hgs`, beside a stage: its
//! evidence is made with `jq`, `openssl` and `pkcs11-tool` alone.
#![allow(dead_code)] // Each test program uses its part.

use std::process::Command;

use super::{
    MODULE, run,
    stage::{Done, Stage},
};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// Runs the script on the stage's cluster; what it prints.
pub fn simulated(stage: &Stage, arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/simulated-hgs");
    let mut command = Command::new(script);
    command.arg("hgs.json").args(arguments);
    command.current_dir(stage.dir.path());
    command
        .env("HGS_MODULE", MODULE)
        .env("HGS_TOKEN", "hoster")
        .env("HGS_PIN_FILE", stage.path("pin"))
        .env("SOFTHSM2_CONF", stage.path("softhsm2.conf"));
    String::from_utf8(run(&mut command)).unwrap()
}

/// Every node proves itself in turn.
pub fn each_node(stage: &Stage, what: &str) {
    NODES.iter().for_each(|node| proves(stage, node, what));
}

/// A node proves itself, and its evidence is added; to be `ready` it is installed first.
pub fn proves(stage: &Stage, node: &str, what: &str) {
    if what == "ready" {
        simulated(stage, &["install", node, "hoster/register"]);
    }
    simulated(stage, &["test", node, "hoster/register", "medium"]);
    let file = format!("medium/{node}-{what}.json");
    // What of its diagnostics does not pass, officers sign for.
    if stage.hoster(&["evidence", "add", &file]).code == 6 {
        stage.approve("hoster", "deviation", &["hana", "hedy"]);
    }
    stage.hoster(&["evidence", "add", &file]).ok();
}

/// From the import to nodes of which nothing is known yet.
pub fn begin(stage: &mut Stage) {
    stage.walk_to(Done::Register);
    simulated(stage, &[&["begin"][..], &NODES].concat());
}

/// From the import to nodes that are ready, with two primaries of the hoster's own.
pub fn ready(stage: &mut Stage) {
    begin(stage);
    each_node(stage, "ready");
    stage.done = Some(Done::Ready);
}

/// From nodes that are ready to the released registration.
pub fn registered(stage: &mut Stage) {
    stage.walk_to(Done::Primary);
    simulated(stage, &["set", "hoster/register"]);
    each_node(stage, "active");
    stage.done = Some(Done::Active);
    stage.walk_to(Done::RegistrationRelease);
}
