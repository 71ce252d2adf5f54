//! The officers' program on a machine of their own: what it lets be signed, and what whoever
//! prepared the folder can do with it.

mod attacks;
mod keys;
mod screen;
mod watched;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::common::{
    programs, run,
    stage::{Done, Ended, Stage, ended},
};
use record::{encoding::Hash, plan::Plan, signature};
use screen::Screen;

/// The program with these arguments, in a stage's folder; no agent, no window that asks.
fn officer(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::OFFICER);
    command.args(arguments).current_dir(stage.dir.path()).stdin(Stdio::null());
    command.env_remove("SSH_AUTH_SOCK").env_remove("DISPLAY").env_remove("SSH_ASKPASS");
    command
}

/// `sign PATH --as ID` with that person's key and the stage's plan, in a rehearsal.
fn sign_with(stage: &Stage, path: &str, id: &str, more: &[&str]) -> Command {
    let key = format!("people/{id}");
    let mut command = officer(stage, &["sign", path, "--as", id, "--key", &key]);
    command.args(more);
    command
}

const UNASKED: [&str; 3] = ["--plan", "plan/ceremony.toml", "--yes"];

fn sign(stage: &Stage, path: &str, id: &str) -> Ended {
    ended(&mut sign_with(stage, path, id, &UNASKED))
}

/// A copy of a file or folder of the stage on the officer's desk; its path below the stage.
fn on_desk(stage: &Stage, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap();
    fs::create_dir_all(stage.path("desk")).unwrap();
    let to = format!("desk/{name}");
    run(Command::new("cp").arg("-r").arg(stage.path(path)).arg(stage.path(&to)));
    to
}

/// Every file below a folder of the stage, and what it holds.
fn files(stage: &Stage, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![stage.path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap().is_dir() {
                true => folders.push(path),
                false => found.push((path.clone(), fs::read(&path).unwrap_or_default())),
            }
        }
    }
    found.sort();
    found
}

/// Who has validly signed a file of the stage, by the files beside it.
fn signers(stage: &Stage, file: &str, namespace: signature::Namespace) -> Vec<String> {
    let plan = Plan::read(&stage.path("plan/ceremony.toml")).unwrap();
    let (path, files) = (stage.path(file), signature::beside(&stage.path(file)).unwrap());
    let signed = signature::verify_any(&plan, namespace, &fs::read(path).unwrap(), &files).unwrap();
    signed.into_iter().map(|one| one.id.to_string()).collect()
}

/// The hoster has made an offer, and asks for nothing else yet.
fn offered() -> Stage {
    Stage::at(Done::KekCreate)
}

/// The hoster has asked for the import: its request, below the stage.
fn asked() -> (Stage, String) {
    let stage = Stage::at(Done::PackageCheck);
    stage.hoster(&["import", "medium/package"]).ended_with(6);
    (stage, "hoster/approvals/01-import.json".into())
}

fn words_of(path: &Path) -> String {
    let hash = Hash::of(&fs::read(path).unwrap());
    record::fingerprint::words(&hash.0)[..16].join(" ")
}

#[test]
fn a_document_leaves_by_what_officers_signed() {
    let stage = offered();
    let desk = on_desk(&stage, "hoster/outbox/offer");
    let said = sign(&stage, &desk, "hana").ok();
    assert!(said.contains("signed: desk/offer/offer.json.hana.sig"), "{said}");
    let said = sign(&stage, "desk", "hugo").ok();
    assert!(said.contains("1 signed by hugo"), "{said}");
    // Signed is signed.
    let before = files(&stage, "desk");
    let said = sign(&stage, "desk", "hugo").ok();
    assert!(said.contains("already signed by hugo: desk/offer/offer.json"), "{said}");
    assert_eq!(files(&stage, "desk"), before);
    // The other side's officers have nothing to do with it; named, it is refused.
    sign(&stage, "desk", "ada").refused("DOCUMENT-KIND");
    let named = "desk/offer/offer.json";
    sign(&stage, named, "ada").refused("SIGNATURE-SIDE");
    sign(&stage, named, "nobody").ended_with(2); // There is no key of that name.
    fs::copy(stage.path("people/ada"), stage.path("people/nobody")).unwrap();
    sign(&stage, named, "nobody").refused("SIGNATURE-UNKNOWN");
    sign(&stage, named, "iris").ok();
    for id in ["hana", "hugo", "iris"] {
        let name = format!("offer.json.{id}.sig");
        let to = stage.path(&format!("hoster/outbox/offer/{name}"));
        fs::copy(stage.path(&format!("desk/offer/{name}")), to).unwrap();
    }
    stage.hoster(&["release"]).ok();
}

#[test]
fn the_head_plan_and_report_are_signed_and_the_auditor_takes_it() {
    let stage = Stage::at(Done::TenantClose);
    let said = sign(&stage, "tenant/archive", "ada").ok();
    assert!(said.contains("1 signed by ada"), "{said}");
    let verdict = stage.auditor(&["verify", "tenant/archive"]).ok();
    assert!(verdict.contains("the head of the tenant is signed by ada"), "{verdict}");
    // An archive that was cut does not end as its log does.
    let desk = on_desk(&stage, "hoster/archive");
    let head = stage.path(&format!("{desk}/head.json"));
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("\"count\": ", "\"count\": 1")).unwrap();
    sign(&stage, &desk, "hana").refused("LOG-CHAIN");
    // A plan needs no other plan; another name than ceremony.toml is a plan's too.
    let next = stage.path("desk/next.toml");
    fs::copy(stage.path("plan/ceremony.toml"), &next).unwrap();
    ended(&mut sign_with(&stage, "desk/next.toml", "cora", &["--yes"])).ok();
    assert_eq!(signers(&stage, "desk/next.toml", signature::Namespace::Plan), ["cora"]);
    // A report is its own side's.
    stage.probe("hoster");
    sign(&stage, "hoster.json", "ada").refused("SIGNATURE-SIDE");
    sign(&stage, "hoster.json", "hedy").ok();
    stage.probe("tenant");
    let probes = ["--probe", "hoster.json", "--probe", "tenant.json"];
    let checked = stage.auditor(&[&["plan", "check", "plan/ceremony.toml"][..], &probes].concat());
    assert!(checked.out.contains("hoster.json: signed by hedy"), "{checked:?}");
    // What a side keeps of the other side, and what is given up, is nobody's here; all of it once.
    let said = ended(&mut sign_with(&stage, "hoster", "hedy", &UNASKED));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_request_counts_by_the_log_that_lies_with_it() {
    let (mut stage, request) = asked();
    let file = on_desk(&stage, &request);
    let said = sign(&stage, &file, "hana").ok();
    assert!(said.contains("signed: desk/01-import.json.hana.sig"), "{said}");
    assert_eq!(signers(&stage, &file, signature::Namespace::Approval), ["hana"]);
    // With the whole folder the subject is computed from the log.
    sign(&stage, "hoster", "hugo").ok();
    assert_eq!(signers(&stage, &request, signature::Namespace::Approval), ["hugo"]);
    let text = fs::read_to_string(stage.path(&request)).unwrap();
    let package = stage.json(&request)["subject"]["package"].as_str().unwrap().to_owned();
    let other = text.replace(&package, &Hash::of(b"another").to_string());
    let lie = stage.path("hoster/approvals/02-import.json");
    fs::write(&lie, &other).unwrap();
    sign(&stage, "hoster", "hedy").refused("APPROVAL-SUBJECT");
    // Without the log it is true to its own summary, and what is not known is said.
    fs::remove_file(stage.path("hoster/approvals/01-import.json.hedy.sig")).unwrap();
    let desk = on_desk(&stage, "hoster/approvals");
    let mut screen = Screen::new(sign_with(&stage, &desk, "hedy", &UNASKED[..2]));
    screen.sees("there is no log of the hoster");
    screen.sees("older of this gate, 02-import.json is newer");
    screen.answer("Type yes", "no");
    screen.answer("Type yes", "no");
    screen.ends_with(4);
    fs::remove_file(lie).unwrap();
    // Once the ceremony has moved on, the log shows that it is void.
    stage.walk_to(Done::Import);
    let said = ended(&mut sign_with(&stage, "hoster", "hana", &UNASKED));
    assert!(said.err.contains("01-import.json: void"), "{said:?}");
    assert!(!stage.path("hoster/approvals/01-import.json.hana.sig").exists());
    sign(&stage, "hoster/approvals", "hana").ok(); // Without the log nobody knows.
}
