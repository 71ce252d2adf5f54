//! Stages that are walked once and kept: every test that begins at a step takes a copy.
//!
//! They lie in cargo's folder for files of tests, below a name of all that they come from: the
//! programs and modules that walk them, how they are walked, and the day. So none is stale, and all
//! programs of one run share them.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::{
    MODULE,
    programs::{self, kryoptic, shim},
    stage::{Done, Setting, Stage},
};
use record::encoding::Hash;

impl Stage {
    /// A stage on which everything up to this step is done.
    pub fn at(done: Done) -> Self {
        Stage::of(Setting::default(), done)
    }

    /// The same of another ceremony, with its own plan, people and tokens.
    pub fn another(done: Done) -> Self {
        Stage::another_of(Setting::default(), done)
    }

    /// As [`Stage::at`], of another setting.
    pub fn of(setting: Setting, done: Done) -> Self {
        kept(setting, "one", done)
    }

    /// As [`Stage::another`], of another setting.
    pub fn another_of(setting: Setting, done: Done) -> Self {
        kept(setting, "another", done)
    }
}

fn kept(setting: Setting, which: &str, done: Done) -> Stage {
    let name = Hash::of(format!("{which} {setting:?}").as_bytes()).to_string();
    let folder = FOLDER.join(&name[..16]);
    let step = |done: Done| folder.join(format!("{done:?}"));
    if !step(done).exists() {
        fs::create_dir_all(&folder).unwrap();
        // One walks, whoever else wants it waits: threads of this program, and other programs.
        let lock = File::create(folder.join("lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let kept = [Done::Plan].into_iter().chain(Done::ALL);
        let mut stage = match kept.filter(|at| *at <= done && step(*at).exists()).max() {
            Some(at) => Stage::load(&step(at), setting.clone(), Some(at)),
            None => {
                let stage = Stage::with(setting.clone(), |plan| plan);
                keep(&stage, &step(Done::Plan));
                stage
            }
        };
        for next in Done::ALL {
            if stage.done < Some(next) && next <= done {
                stage.walk_to(next);
                keep(&stage, &step(next));
            }
        }
    }
    Stage::load(&step(done), setting, Some(done))
}

/// Whole or not at all.
fn keep(stage: &Stage, to: &Path) {
    let copying = to.with_extension("copying");
    let _ = fs::remove_dir_all(&copying);
    stage.save(&copying);
    fs::rename(copying, to).unwrap();
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut parts: Vec<u8> = Vec::new();
    let files = [programs::TENANT, programs::HOSTER, programs::CUSTODIAN].map(PathBuf::from);
    for file in files.into_iter().chain([MODULE.into(), shim(), kryoptic()]) {
        parts.extend(Hash::of(&fs::read(file).unwrap()).0);
    }
    for walk in [
        include_str!("stage.rs"),
        include_str!("walk.rs"),
        include_str!("setting.rs"),
        include_str!("primes.c"),
        include_str!("../../ceremony-scripts/plans/rehearsal.toml"),
    ] {
        parts.extend(Hash::of(walk.as_bytes()).0);
    }
    let day = Timestamp::now().as_second() / 86_400;
    let stages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stages");
    fs::create_dir_all(&stages).unwrap();
    // A run that began before midnight still has its own.
    let older = |name: &str| !(0..2).any(|ago| name.starts_with(&format!("{}-", day - ago)));
    for entry in fs::read_dir(&stages).unwrap().map(Result::unwrap) {
        if older(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    stages.join(format!("{day}-{}", &Hash::of(&parts).to_string()[..16]))
});
