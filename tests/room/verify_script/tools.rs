//! Both verifiers, copies of archives to change, and the tally of what they say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::common::{
    run,
    stage::{Ended, ended},
};
use record::{
    encoding::Hash,
    verify::{self, Against},
};

/// What both verifiers accept although it was changed, and why that can't be otherwise.
pub const NOBODY_VOUCHES: &[(&str, &str)] = &[(
    "VERIFY.txt",
    "explains itself to people; once SHA256SUMS is rewritten, nothing signed names it",
)];

/// What one verifier accepts and the other refuses, and why.
pub const ONE_ALONE: &[(&str, &str)] = &[];

pub fn script(archive: &Path, more: &[&str]) -> Ended {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    let ended = ended(Command::new(script).arg(archive).args(more));
    assert!(matches!(ended.code, 0 | 1), "ended with {}: {}{}", ended.code, ended.out, ended.err);
    assert!(ended.code == 0 || ended.err.contains("FALSE: "), "{}", ended.err);
    ended
}

pub fn audited(archive: &Path) -> record::Result<verify::Verdict> {
    verify::verify(&[archive.to_owned()], &Against::default())
}

/// A copy of an archive that is changed and put back.
pub struct Copy {
    pub dir: tempfile::TempDir,
    original: PathBuf,
}

impl Copy {
    pub fn of(original: &Path) -> Self {
        let copy = Copy { dir: tempfile::tempdir().unwrap(), original: original.to_owned() };
        copy.renew();
        copy
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("archive")
    }

    pub fn renew(&self) {
        let _ = fs::remove_dir_all(self.path());
        run(Command::new("cp").arg("-a").arg(&self.original).arg(self.path()));
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Makes SHA256SUMS fit what is there now, as somebody who changes a record would.
    pub fn make_sums(&self) {
        let names = names(&self.path()).into_iter();
        let listed = names.filter(|name| {
            name != "SHA256SUMS" && !(name.starts_with("head.json.") && name.ends_with(".sig"))
        });
        let line = |name: String| {
            let bytes = fs::read(self.file(&name)).unwrap();
            format!("{}  {name}\n", Hash::of(&bytes))
        };
        fs::write(self.file("SHA256SUMS"), listed.map(line).collect::<String>()).unwrap();
    }
}

/// The files of a folder and those below it, by their names in it.
pub fn names(folder: &Path) -> Vec<String> {
    pub fn below(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(root, &path, found),
                false => {
                    let name = path.strip_prefix(root).unwrap();
                    found.push(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    below(folder, folder, &mut found);
    found.sort();
    found
}

/// SplitMix64: the same numbers in every run.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// How often both refused, and what stands in a list.
#[derive(Default)]
pub struct Tally {
    pub both_refused: usize,
    pub auditor_refused: usize,
    pub listed: Vec<String>,
    /// What no list says: each is a defect of a verifier.
    pub wrong: Vec<String>,
}

impl Tally {
    /// What was changed must be refused by both, unless a list says why not.
    pub fn refused(&mut self, what: &str, archive: &Path) {
        let (audit, script) = (audited(archive).is_err(), script(archive, &[]).code == 1);
        match (audit, script) {
            (true, true) => self.both_refused += 1,
            (false, false) => self.listed(what, NOBODY_VOUCHES, "accepted by both"),
            (true, false) => self.listed(what, ONE_ALONE, "accepted by the script alone"),
            (false, true) => self.listed(what, ONE_ALONE, "accepted by the auditor alone"),
        }
    }

    /// The same, where only the auditor is asked.
    pub fn refused_by_auditor(&mut self, what: &str, archive: &Path) {
        match audited(archive) {
            Err(_) => self.auditor_refused += 1,
            Ok(_) => self.listed(what, NOBODY_VOUCHES, "accepted by the auditor"),
        }
    }

    pub fn listed(&mut self, what: &str, list: &[(&str, &str)], how: &str) {
        match list.iter().any(|(begin, _)| what.starts_with(begin)) {
            true => self.listed.push(what.to_owned()),
            false => self.wrong.push(format!("{what}: {how}")),
        }
    }
}

/// Every item of the work on one of two threads, each with its own copies of the archives.
pub fn on_two_threads(
    archives: &[PathBuf],
    items: usize,
    work: impl Fn(usize, &[Copy], &mut Tally) + Sync,
) -> Tally {
    let whole = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (whole, work) = (&whole, &work);
            scope.spawn(move || {
                let copies: Vec<Copy> = archives.iter().map(|archive| Copy::of(archive)).collect();
                let mut tally = Tally::default();
                for item in (worker..items).step_by(2) {
                    work(item, &copies, &mut tally);
                }
                let mut whole = whole.lock().unwrap();
                whole.both_refused += tally.both_refused;
                whole.auditor_refused += tally.auditor_refused;
                whole.listed.extend(tally.listed);
                whole.wrong.extend(tally.wrong);
            });
        }
    });
    let whole = whole.into_inner().unwrap();
    assert_eq!(whole.wrong, Vec::<String>::new());
    whole
}
