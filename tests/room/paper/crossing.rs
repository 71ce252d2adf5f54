//! A ceremony that crosses in all directions by pictures of QR codes alone.

use std::fs;

use crate::common::stage::{CUSTODIANS, Done, Setting, Stage};

/// Carries a document by camera: what arrives is on the medium, byte for byte.
fn photographed(stage: &Stage, from: &str, kind: &str) {
    let (pictures, medium) = (format!("pictures-{kind}"), format!("by-camera/{kind}"));
    let folder = format!("{from}/outbox/{kind}");
    stage.side(from, &["qr", &folder, "--to", &pictures]).ok();
    let mut names: Vec<String> = fs::read_dir(stage.path(&pictures))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    // A camera keeps no order.
    names.sort_by_key(|name| name.chars().rev().collect::<String>());
    let to = if from == "tenant" { "hoster" } else { "tenant" };
    let mut scan = vec!["scan", "--to", "by-camera"];
    scan.extend(names.iter().map(String::as_str));
    // One picture is missing at first: it is named.
    if kind == "offer" {
        stage.side(to, &scan[..scan.len() - 1]).refused("FRAME-MISSING");
        assert!(!stage.path(&medium).exists());
    }
    stage.side(to, &scan).ok();
    if kind == "offer" {
        stage.side(to, &scan).refused("FILE-EXISTS");
    }
    let _ = fs::remove_dir_all(stage.path(&format!("medium/{kind}")));
    fs::rename(stage.path(&medium), stage.path(&format!("medium/{kind}"))).unwrap();
    for entry in fs::read_dir(stage.path(&folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let arrived = stage.path(&format!("medium/{kind}/{name}"));
        assert_eq!(fs::read(&path).unwrap(), fs::read(arrived).unwrap(), "{name}");
    }
}

#[test]
fn a_ceremony_crosses_by_camera_alone() {
    crosses(2);
}

/// Documents of many keys, in many pictures.
#[test]
#[ignore = "minutes: `ceremony-scripts/test --part paper`"]
fn many_keys_cross_by_camera_alone() {
    crosses(4);
}

fn crosses(keys: usize) {
    let mut stage = Stage::of(Setting { keys, ..Setting::composite() }, Done::Plan);
    for (done, from, kind) in [
        (Done::OfferRelease, "hoster", "offer"),
        (Done::PackageRelease, "tenant", "package"),
        (Done::ReceiptRelease, "hoster", "receipt"),
        (Done::RegistrationRelease, "hoster", "registration"),
        (Done::AcceptanceRelease, "tenant", "acceptance"),
        (Done::ClosingRelease, "hoster", "closing"),
    ] {
        stage.walk_to(done);
        fs::remove_dir_all(stage.path(&format!("medium/{kind}"))).unwrap();
        photographed(&stage, from, kind);
        if kind == "package" {
            shares(&stage);
        }
    }
    stage.walk_to(Done::TenantClose);
    stage.verdict();
}

/// Share files too: to the custodian's own machine, by the custodian's own program.
fn shares(stage: &Stage) {
    for id in CUSTODIANS {
        let file = format!("tenant/outbox/shares/{id}.age");
        let pictures = format!("pictures-{id}");
        stage.tenant(&["qr", &file, "--to", &pictures]).ok();
        let names: Vec<String> = fs::read_dir(stage.path(&pictures))
            .unwrap()
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        let mut scan = vec!["scan", "--to", "at-home"];
        scan.extend(names.iter().map(String::as_str));
        stage.custodian(&scan).ok();
        let (sent, arrived) = (stage.path(&file), stage.path(&format!("at-home/{id}.age")));
        assert_eq!(fs::read(sent).unwrap(), fs::read(arrived).unwrap());
    }
}
