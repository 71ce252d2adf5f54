//! Ceremonies that ended once, kept for ever: every later version must verify them.
//!
//! Below `v1/` lie the archives of both sides, of each way that keys come and each kind of service,
//! and of a ceremony that was aborted. A change that breaks one of these is no change of this
//! version's formats: it is another version. `KEYFERRY_REPLAYED=v2` makes those of the next; what is
//! there already stays as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{
    run,
    simulated::{ready, registered},
    stage::{Done, Setting, Stage},
};
use record::verify::{self, Against};

/// The one that ended without its aim.
const ABORTED: &str = "aborted";

fn versions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

#[test]
fn every_ceremony_that_ever_ended_still_holds() {
    if let Some(version) = std::env::var_os("KEYFERRY_REPLAYED") {
        write(&versions().join(version));
    }
    let mut held = 0;
    for ceremony in sorted(&versions()).iter().flat_map(|version| sorted(version)) {
        let archives = ["tenant", "hoster"].map(|side| ceremony.join(side));
        let verdict = verify::verify(&archives, &Against::default())
            .unwrap_or_else(|error| panic!("{}: {error}", ceremony.display()));
        assert!(verdict.missing.is_empty(), "{verdict:?}");
        assert_eq!(verdict.aborted, ceremony.ends_with(ABORTED), "{}", ceremony.display());
        for archive in &archives {
            verify::verify(std::slice::from_ref(archive), &Against::default()).unwrap();
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
            run(Command::new(script).arg(archive));
            explained(archive);
        }
        held += 1;
    }
    assert!(held >= 7, "{held}");
}

/// Every file is still known to `show`, with all that it says, but those that are of no format of
/// ours.
fn explained(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            explained(&path);
        } else if name.ends_with(".json") || name.ends_with(".jsonl") || name.ends_with(".toml") {
            let mut out = Vec::new();
            let shown = show::show(&path, show::Language::English, &mut out);
            shown.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains("WHAT ELSE IT SAYS"), "{}: {text}", path.display());
        }
    }
}

fn write(version: &Path) {
    let ways = [
        ("single-shot", Setting::default()),
        ("composite", Setting::composite()),
        ("born", Setting::born()),
    ];
    for (way, setting) in ways {
        for hgs in [false, true] {
            let name = format!("{way}-{}", if hgs { "hgs" } else { "local" });
            keep(&version.join(name), || {
                let mut stage = Stage::with(Setting { hgs, ..setting.clone() }, |plan| plan);
                if hgs {
                    ready(&mut stage);
                    registered(&mut stage);
                }
                stage.walk_to(Done::TenantClose);
                stage
            });
        }
    }
    keep(&version.join(ABORTED), || {
        let mut stage = Stage::new(|plan| plan);
        stage.walk_to(Done::PackageCheck);
        stage.abort_both("kek-destroy", &["kek", "destroy"]);
        stage
    });
}

/// Keeps the archives of both sides of a ceremony that is not kept yet, with their heads signed.
fn keep(ceremony: &Path, walked: impl Fn() -> Stage) {
    if ceremony.exists() {
        return;
    }
    let stage = walked();
    fs::create_dir_all(ceremony).unwrap();
    for (side, ids) in [("tenant", ["ada", "ben"]), ("hoster", ["hana", "hugo"])] {
        let archive = stage.path(side).join("archive");
        for id in ids.iter().chain(&["iris"]) {
            stage.sign(&archive.join("head.json"), "keyferry-head", id);
        }
        run(Command::new("cp").arg("-r").arg(&archive).arg(ceremony.join(side)));
    }
}
