//! The mirror: a copy of the ceremony folder on another medium, brought up to date step by step. It
//! holds no secret, and is a folder to go on from, on another machine, when this one is lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Ceremony;
use crate::documents::{leave_behind, unnamed};
use record::layout::REGISTRY;
use record::service::local::MAX_REGISTRY;
use record::{Error, LOG_FILE, PLAN_FILE, Result, Rule, folder};

/// The greatest size of a file that is mirrored beside the log, in bytes: a registry.
const MAX_MIRRORED: u64 = MAX_REGISTRY;

impl Ceremony {
    /// Keeps a copy of the folder from now on, and brings it up to date at once.
    ///
    /// # Errors
    /// `MIRROR` where the copy is of another ceremony, or went on by itself; [`Error::Failed`]
    /// where it can't be written.
    pub fn mirror_to(&mut self, to: &Path) -> Result<()> {
        folder::make_folder(to)?;
        let whole = |path: &Path| fs::canonicalize(path).map_err(|error| Error::file(path, error));
        let (here, there) = (whole(&self.dir)?, whole(to)?);
        Rule::Mirror.ensure(
            !here.starts_with(&there) && !there.starts_with(&here),
            format!("{} and {}, one in the other", to.display(), self.dir.display()),
            "a folder on another medium",
            "name a folder of its own with --mirror",
        )?;
        self.mirror = Some(to.to_owned());
        self.mirror()
    }

    /// Brings the copy up to date, where there is to be one: documents first, and the log, which
    /// names them, last.
    ///
    /// # Errors
    /// As [`Ceremony::mirror_to`].
    pub fn mirror(&self) -> Result<()> {
        let Some(to) = &self.mirror else { return Ok(()) };
        // A link on the medium would lead what is copied and erased below somewhere else.
        plain_below(to)?;
        let (log, copy) = (self.log_bytes()?, to.join(LOG_FILE));
        let most = MAX_MIRRORED.max(log.len() as u64);
        let copied = folder::read_if_there(&copy, most)?.unwrap_or(Vec::new());
        Rule::Mirror.ensure(
            log.starts_with(&copied),
            format!("{} is not the beginning of this log", copy.display()),
            "a copy of this ceremony, made by --mirror alone",
            "if somebody went on from the mirror, stop here: there must be one record; else name an empty folder",
        )?;
        let unnamed = unnamed(&self.state);
        if copied.is_empty() {
            folder::keeps_what_it_holds(to, &folder::part_of(&to.join(PLAN_FILE)))?;
            begin(&self.dir, to)?;
        } else {
            leave_behind(to, &self.state)?;
            for path in &unnamed {
                folder::erase(&to.join(path))?;
            }
        }
        copy_folder(&self.dir, to, Path::new(""), &unnamed)?;
        if log != copied {
            folder::replace(&copy, &log)?;
        }
        Ok(())
    }
}

/// Whether a folder holds files and folders only, all the way down.
fn plain_below(folder: &Path) -> Result<()> {
    for name in folder::names(folder)? {
        let path = folder.join(name);
        if folder::is_folder(&path)? {
            plain_below(&path)?;
        }
    }
    Ok(())
}

/// The first copy: into an empty folder, or over one that was interrupted. The plan comes first and
/// says whose it is.
fn begin(from: &Path, to: &Path) -> Result<()> {
    let plan = to.join(PLAN_FILE);
    // Of a copy that was interrupted at its first file there is nothing but the draft.
    let mut others = folder::names(to)?.into_iter();
    Rule::Mirror.ensure(
        plan.exists() || others.all(|name| to.join(name) == folder::part_of(&plan)),
        format!("{} holds something else", to.display()),
        "an empty folder, or a copy of this ceremony",
        "name an empty folder with --mirror",
    )?;
    copy_file(&from.join(PLAN_FILE), &plan, PLAN_FILE)
}

/// Copies what is below a place of the ceremony folder.
fn copy_folder(dir: &Path, to: &Path, place: &Path, unnamed: &[PathBuf]) -> Result<()> {
    let from = dir.join(place);
    for entry in fs::read_dir(&from).map_err(|error| Error::file(&from, error))? {
        let entry = entry.map_err(|error| Error::file(&from, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = place.join(&name);
        let kind = entry.file_type().map_err(|error| Error::file(&entry.path(), error))?;
        // What is hidden is being built; the log comes last; anything but files and folders is
        // nobody's record.
        if name.starts_with('.') || path == Path::new(LOG_FILE) || unnamed.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            folder::make_folder(&to.join(&path))?;
            copy_folder(dir, to, &path, unnamed)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &to.join(&path), &name)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, name: &str) -> Result<()> {
    let bytes = folder::read_file(from, MAX_MIRRORED)?;
    match folder::read_if_there(to, MAX_MIRRORED)? {
        None => folder::write_new(to, &bytes),
        Some(there) if there == bytes => Ok(()),
        // The registry changes with every ceremony; an officer may sign again where a signature was
        // spoilt.
        Some(_) if name == REGISTRY || name.ends_with(".sig") => folder::replace(to, &bytes),
        Some(_) => Err(Rule::Mirror.refuse(
            format!("{} differs from {}", to.display(), from.display()),
            "a copy of this ceremony, made by --mirror alone",
            "find out which of the two was changed; then name an empty folder with --mirror",
        )),
    }
}
