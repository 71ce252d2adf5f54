//! Metadata at the end of a whole ceremony for a (simulated) HGS, through the real programs and
//! both verifiers.

use std::{fs, path::Path, process::Command};

use crate::common::{
    kill::CHANGES,
    simulated::{ready, registered, simulated},
    stage::{Done, Ended, Setting, Stage},
};
use record::encoding::Hash;

/// A stage whose registration lies on the medium, and what node1 published before (`before.xml`)
/// and after (`node1.xml`).
fn stage() -> Stage {
    let setting = Setting { hgs: true, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan);
    ready(&mut stage);
    fs::write(stage.path("before.xml"), simulated(&stage, &["metadata"])).unwrap();
    registered(&mut stage);
    fs::write(stage.path("node1.xml"), simulated(&stage, &["metadata"])).unwrap();
    stage
}

const ACCEPT: [&str; 6] = [
    "accept",
    "medium/registration",
    "--fetched-from",
    "the tenant's own network",
    "--fetched-by",
    "hana",
];

fn accept(stage: &Stage, metadata: &str) -> Ended {
    stage.tenant(&[&ACCEPT[..], &["--metadata", metadata]].concat())
}

/// The verdict of the script that uses ordinary tools only.
fn by_script(archive: &Path) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    let output = Command::new(script).arg(archive).output().unwrap();
    output.status.success()
}

/// Writes SHA256SUMS anew: its own order, surplus files last.
fn sums(archive: &Path, surplus: &[&str]) {
    let path = archive.join("SHA256SUMS");
    let text = fs::read_to_string(&path).unwrap();
    let names = text.lines().map(|line| line.split_once("  ").unwrap().1);
    let there = |name: &&str| archive.join(name).exists();
    let line = |name: &str| {
        let bytes = fs::read(archive.join(name)).unwrap();
        format!("{}  {name}\n", Hash::of(&bytes))
    };
    let all = names.chain(surplus.iter().copied()).filter(there);
    let all: String = all.map(line).collect();
    fs::write(&path, all).unwrap();
}

#[test]
fn a_ceremony_that_ends_with_metadata_holds_and_no_other_file_in_its_place() {
    let mut stage = stage();
    accept(&stage, "node1=before.xml").refused("METADATA-CERTIFICATE");
    accept(&stage, "node9=node1.xml").ended_with(2);
    assert!(!stage.path("tenant/outbox/acceptance").exists());
    let said = accept(&stage, "node1=node1.xml").ok();
    for words in
        ["You may now deploy new shielded VMs", "Import-HgsGuardian", "New-ShieldingDataFile"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    stage.done = Some(Done::Accept);
    stage.walk_to(Done::TenantClose);
    for (side, ids) in [("tenant", ["ada", "ben"]), ("hoster", ["hana", "hugo"])] {
        let archive = stage.path(&format!("{side}/archive"));
        for id in ids {
            stage.sign(&archive.join("head.json"), "keyferry-head", id);
        }
        stage.auditor(&["verify", archive.to_str().unwrap()]).ok();
        assert!(by_script(&archive));
    }
    // What the hoster's own officer fetched is the hoster's word.
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    let words = "that node1 published its metadata: hana says so, who fetched it from the tenant's own network; an officer of the hoster, so the hoster's own word";
    assert!(verdict.contains(words), "{verdict}");

    let spoilt = |name: &str, bytes: Option<&[u8]>, surplus: &[&str], rule: &str| {
        let copy = stage.copy();
        let archive = copy.path("tenant/archive");
        let path = archive.join(name);
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        sums(&archive, surplus);
        let ended = copy.auditor(&["verify", "tenant/archive"]);
        ended.refused(rule);
        assert!(!by_script(&archive), "{name}");
    };
    let (kept, other) =
        ("acceptance/node1.metadata.xml", fs::read(stage.path("before.xml")).unwrap());
    spoilt(kept, Some(&other), &[], "DOCUMENT-HASH");
    spoilt(kept, None, &[], "DOCUMENT-MISSING");
    let more = "acceptance/node2.metadata.xml";
    spoilt(more, Some(&other), &[more], "DOCUMENT-SURPLUS");
    let strange = "acceptance/x.metadata.xml";
    spoilt(strange, Some(&other), &[strange], "DOCUMENT-SURPLUS");
}

/// Killed wherever it changes the disk, and run again: the same files are kept, whole.
#[test]
fn an_acceptance_with_metadata_survives_a_kill() {
    let stage = stage();
    let arguments = [&ACCEPT[..], &["--metadata", "node1=node1.xml"]].concat();
    let mut killed = 0;
    for call in CHANGES {
        for nth in 1.. {
            let copy = stage.copy();
            if !copy.killed("tenant", &arguments, call, nth) {
                break;
            }
            killed += 1;
            let again = copy.tenant(&arguments);
            // The kill may have come between the entry and the name: then the next start has
            // settled it.
            assert!(
                again.code == 0 || again.err.contains("PHASE-ORDER"),
                "{call} {nth}: {}",
                again.err
            );
            let kept = copy.path("tenant/outbox/acceptance/node1.metadata.xml");
            assert_eq!(
                fs::read(kept).unwrap(),
                fs::read(copy.path("node1.xml")).unwrap(),
                "{call} {nth}"
            );
        }
    }
    assert!(killed >= 10, "{killed} kills");
}
