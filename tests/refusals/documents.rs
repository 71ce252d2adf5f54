//! Documents are taken whole, unchanged, and of this ceremony, or not at all.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use keyferry::{
    document::{
        Body, acceptance::Acceptance, closing::Closing, offer::Offer, package::Package, read,
        receipt::Receipt, registration::Registration,
    },
    plan::Plan,
    rule::Rule,
};

use super::{
    common::{
        run,
        stage::{Done, Stage},
    },
    refused,
};

#[test]
fn a_byte_changed_added_or_cut_anywhere_in_a_document_is_refused() {
    let stage = Stage::at(Done::TenantClose);
    let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
    let mut tried = 0;
    tried += attack::<Offer>(&stage, &plan);
    tried += attack::<Package>(&stage, &plan);
    tried += attack::<Receipt>(&stage, &plan);
    tried += attack::<Registration>(&stage, &plan);
    tried += attack::<Acceptance>(&stage, &plan);
    tried += attack::<Closing>(&stage, &plan);
    assert!(tried > 4000, "{tried}");
}

fn attack<B: Body>(stage: &Stage, plan: &Plan) -> usize {
    let folder = stage.path(&format!("medium/{}", B::KIND));
    let taken = |folder: &Path| {
        read::<B>(folder, plan)?.released(plan)?;
        // What is checked of a package when it is taken.
        match B::KIND.name() {
            "package" => read::<Package>(folder, plan)?.verify_keys(),
            _ => Ok(()),
        }
    };
    taken(&folder).unwrap();
    let mut tried = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let mut changed = vec![
            [bytes.as_slice(), b"\n"].concat(),
            [b" ".as_slice(), &bytes].concat(),
            Vec::new(),
        ];
        changed.extend((0..8).map(|n| bytes[..bytes.len() * n / 8].to_vec()));
        changed.push(bytes[..bytes.len() - 1].to_vec());
        // Small files at every byte, larger ones at every few.
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(400)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            changed.push(flipped);
        }
        for change in changed {
            fs::write(&path, &change).unwrap();
            assert!(
                taken(&folder).is_err(),
                "{} of {} bytes",
                path.display(),
                change.len()
            );
            tried += 1;
        }
        fs::write(&path, &bytes).unwrap();
    }
    taken(&folder).unwrap();
    tried
}

#[test]
fn a_folder_with_anything_else_than_its_document_is_refused() {
    let stage = Stage::at(Done::PackageRelease);
    let fresh = || {
        let folder = stage.path("medium/attacked");
        let _ = fs::remove_dir_all(&folder);
        run(Command::new("cp")
            .arg("-r")
            .arg(stage.path("medium/package"))
            .arg(&folder));
        folder
    };
    let check = ["package", "check", "medium/attacked"];
    let folder = fresh();
    fs::write(folder.join("autorun.inf"), "x").unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-SURPLUS");
    let folder = fresh();
    fs::write(folder.join("another.sealed"), "x").unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-SURPLUS");
    let folder = fresh();
    fs::create_dir(folder.join("more.crt")).unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-LINK");
    let folder = fresh();
    fs::remove_file(folder.join("hgs-signing.sealed")).unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-MISSING");
    symlink(
        stage.path("medium/package/hgs-signing.sealed"),
        folder.join("hgs-signing.sealed"),
    )
    .unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-LINK");
    fs::remove_file(folder.join("hgs-signing.sealed")).unwrap();
    run(Command::new("mkfifo").arg(folder.join("hgs-signing.sealed")));
    refused(&stage, "hoster", &check, "DOCUMENT-LINK");
    let folder = fresh();
    // A sparse giant: read to its end it would fill the memory.
    fs::File::create(folder.join("hgs-signing.sealed"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    refused(&stage, "hoster", &check, "DOCUMENT-SIZE");
    let folder = fresh();
    fs::remove_file(folder.join("package.json.ada.sig")).unwrap();
    refused(&stage, "hoster", &check, "SIGNATURE-MISSING");
    stage.sign(&folder.join("package.json"), "keyferry-document", "iris");
    refused(&stage, "hoster", &check, "SIGNATURE-WITNESS");
    stage.sign_as(
        &folder.join("package.json"),
        "keyferry-document",
        "ben",
        "ada",
    );
    refused(&stage, "hoster", &check, "SIGNATURE-REPEATED");
    let folder = fresh();
    let signature = folder.join("package.json.hgs-signing.hsm-sig");
    let mut bytes = fs::read(&signature).unwrap();
    bytes[9] ^= 1;
    fs::write(&signature, bytes).unwrap();
    refused(&stage, "hoster", &check, "PACKAGE-SIGNATURE");
    fresh();
    stage.hoster(&check).ok();
}

#[test]
fn a_document_of_another_mode_ceremony_plan_side_kind_or_attempt_is_refused() {
    let mut stage = Stage::at(Done::PackageRelease);
    let folder = stage.path("medium/package");
    let original = fs::read_to_string(folder.join("package.json")).unwrap();
    let plan_hash = stage.json("medium/package/package.json")["header"]["plan_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let answers = stage.json("medium/package/package.json")["header"]["answers"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = "0".repeat(64);
    for (from, to, rule) in [
        (
            "\"mode\": \"rehearsal\"",
            "\"mode\": \"production\"",
            "DOCUMENT-MODE",
        ),
        (
            "\"ceremony\": \"test\"",
            "\"ceremony\": \"tset\"",
            "DOCUMENT-CEREMONY",
        ),
        (
            "\"side\": \"tenant\"",
            "\"side\": \"hoster\"",
            "DOCUMENT-SIDE",
        ),
        (
            "\"document\": \"package\"",
            "\"document\": \"receipt\"",
            "DOCUMENT-KIND",
        ),
        (plan_hash.as_str(), other.as_str(), "DOCUMENT-PLAN"),
        (answers.as_str(), other.as_str(), "DOCUMENT-ANSWERS"),
        (
            "\"format\": \"keyferry/1\"",
            "\"format\": \"keyferry/2\"",
            "DOCUMENT-FORMAT",
        ),
        ("\"attempt\": 1", "\"attempt\": 0", "SIGNATURE-DOCUMENT"),
        ("\"attempt\": 1", "\"attempt\": 1.0", "DOCUMENT-FORMAT"),
        (
            "\"attempt\": 1",
            "\"attempt\": 1,\n    \"attempt\": 1",
            "DOCUMENT-FORMAT",
        ),
        (
            "\"attempt\": 1",
            "\"attempt\": 1,\n    \"urgent\": true",
            "DOCUMENT-FORMAT",
        ),
        ("\"threshold\": 3", "\"threshold\": 2", "DOCUMENT-CONTENT"),
        (
            "\"hgs-encryption\"",
            "\"hgs-decryption\"",
            "DOCUMENT-CONTENT",
        ),
    ] {
        assert!(original.contains(from), "{from}");
        fs::write(folder.join("package.json"), original.replacen(from, to, 1)).unwrap();
        // Signed by the very officers: a correct signature does not help a document that lies.
        if rule == "DOCUMENT-ANSWERS" {
            for id in ["ada", "ben"] {
                stage.sign(&folder.join("package.json"), "keyferry-document", id);
            }
        }
        refused(
            &stage,
            "hoster",
            &["package", "check", "medium/package"],
            rule,
        );
    }
    stage.carry("tenant", "package");
    // The reverse: this rehearsal's document under a plan for production.
    let text = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let hsm = "approvals = 2\nhsm = { manufacturer = \"m\", model = \"m\", serials = [\"1\"] }";
    let production = text
        .replace("mode = \"rehearsal\"", "mode = \"production\"")
        .replace("approvals = 2", hsm);
    let production = Plan::parse(production.into_bytes()).unwrap();
    let error = read::<Package>(&folder, &production).err().unwrap();
    assert_eq!(error.rule(), Some(Rule::DocumentMode));
    // A whole other ceremony's.
    let foreign = Stage::at(Done::PackageRelease);
    run(Command::new("cp")
        .arg("-r")
        .arg(foreign.path("medium/package"))
        .arg(stage.path("medium/foreign")));
    refused(
        &stage,
        "hoster",
        &["package", "check", "medium/foreign"],
        "DOCUMENT-PLAN",
    );
    stage.walk_to(Done::Import);
    refused(
        &stage,
        "hoster",
        &["import", "medium/foreign"],
        "DOCUMENT-PLAN",
    );
    refused(
        &stage,
        "hoster",
        &["import", "medium/package"],
        "PACKAGE-IMPORTED",
    );
}
