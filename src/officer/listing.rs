//! What lies in the folders and files that an officer names, by name alone: nothing is opened, and
//! no link followed.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use record::folder::HeldFolder;
use record::layout::{EVIDENCE, HEAD_FILE, REGISTER};
use record::{Kind, LOG_FILE, PLAN_FILE, Result, Rule, folder};

/// How deep files are looked for: `outbox/offer/offer.json`.
const DEEPEST: usize = 3;
/// The most files that are opened.
const MOST: usize = 4096;

/// A file that may be one to sign.
pub struct Candidate {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether the officer named it; else it lay in a folder, where much may lie.
    pub named: bool,
    /// Its folder, held since it was listed.
    pub folder: Rc<HeldFolder>,
}

/// What lies there.
#[derive(Default)]
pub struct Listing {
    /// What may be to sign, in the order of the names.
    pub files: Vec<Candidate>,
    /// Plans by which the rest may be judged.
    pub plans: Vec<PathBuf>,
    /// Logs of sides.
    pub logs: Vec<PathBuf>,
}

impl Listing {
    /// Looks at what was named.
    ///
    /// # Errors
    /// `DOCUMENT-LINK`, `DOCUMENT-SURPLUS` for more files than anybody signs, [`Failed`] where a
    /// folder can't be read.
    ///
    /// [`Failed`]: record::Error::Failed
    pub fn at(paths: &[PathBuf]) -> Result<Self> {
        let mut listing = Listing::default();
        for path in paths {
            match folder::is_folder(path)? {
                true => listing.below(&Rc::new(HeldFolder::open(path)?), 1)?,
                false => listing.take(
                    path.clone(),
                    true,
                    &Rc::new(HeldFolder::open(folder::parent(path))?),
                ),
            }
        }
        Ok(listing)
    }

    fn take(&mut self, path: PathBuf, named: bool, folder: &Rc<HeldFolder>) {
        if is_plan(&path) {
            self.plans.push(path.clone());
        }
        self.files.push(Candidate { path, named, folder: folder.clone() });
    }

    fn below(&mut self, held: &Rc<HeldFolder>, depth: usize) -> Result<()> {
        let folder = held.path();
        let names = folder::names(folder)?;
        let has = |name: &str| names.iter().any(|one| one == name);
        let is_document = Kind::ALL.iter().any(|kind| has(&kind.file()));
        let is_log = |name: &str| name == LOG_FILE || name.ends_with(&format!(".{LOG_FILE}"));
        // The log beside a document came with it.
        let logs = names.iter().filter(|name| !is_document && is_log(name));
        self.logs.extend(logs.map(|name| folder.join(name)));
        // An archive is the record of what was signed long ago; only its head waits.
        if has(HEAD_FILE) {
            self.plans.extend(has(PLAN_FILE).then(|| folder.join(PLAN_FILE)));
            self.take(folder.join(HEAD_FILE), false, held);
            return Ok(());
        }
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let path = folder.join(name);
            let is_folder = folder::is_folder(&path);
            if let Ok(true) = is_folder {
                // What was given up waits for nothing; nodes' files are not signed by people.
                let passed =
                    name.starts_with("attempt-") || [REGISTER, EVIDENCE].contains(&&**name);
                if depth < DEEPEST && !passed {
                    self.below(&Rc::new(held.below(name)?), depth + 1)?;
                }
            } else if is_plan(&path) || name.ends_with(".json") {
                // A link or a device too: it is refused when it is opened, and said.
                self.take(path, false, held);
            }
        }
        Rule::DocumentSurplus.ensure(
            self.files.len() <= MOST,
            format!("{}: more than {MOST} files", folder::shown(folder)),
            "the few files of a ceremony that wait for a signature",
            "name the files themselves, and ask who put the others there",
        )
    }

    /// The log in whose folder a file lies, or that of a folder around it.
    pub fn log_of(&self, file: &Path) -> Option<&Path> {
        let around = |log: &&PathBuf| file.starts_with(folder_of(log));
        let nearest = self.logs.iter().filter(around).max_by_key(|log| log.components().count());
        nearest.map(PathBuf::as_path)
    }

    /// A request of the same gate and folder that was made after this one.
    pub fn newer(&self, file: &Path) -> Option<String> {
        let (number, gate) = numbered(file)?;
        let others = self.files.iter().filter(|other| other.path.parent() == file.parent());
        let newer = others.filter_map(|other| {
            let (later, of) = numbered(&other.path)?;
            (of == gate && later > number).then(|| folder::file_name(&other.path))
        });
        newer.max()
    }
}

fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "toml")
}

/// The folder of a log, as the paths of what lies there begin.
fn folder_of(log: &Path) -> &Path {
    log.parent().unwrap_or(Path::new(""))
}

/// The number and the gate in the name of a request.
fn numbered(file: &Path) -> Option<(u32, String)> {
    let name = folder::file_name(file);
    let (number, gate) = name.strip_suffix(".json")?.split_once('-')?;
    Some((number.parse().ok()?, gate.to_owned()))
}
