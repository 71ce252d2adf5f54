//! What an auditor is given: a side's ceremony folder, an archive, or a stick with a few documents.

use std::path::{Path, PathBuf};

use crate::layout::{
    Content, HEAD_FILE, INBOX, OUTBOX, SUMS, archived_log, attempt_of, in_ceremony,
};
use crate::verify::logs;
use crate::{Error, Kind, LOG_FILE, PLAN_FILE, Result, Rule, Side, folder};

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A side's ceremony folder.
    Ceremony(Side),
    /// What `close` made.
    Archive(Side),
    /// Documents, or one document; a plan perhaps.
    Documents,
}

/// One folder of evidence.
pub struct Folder {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub holds: Holds,
}

/// Where a document may lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its folder.
    pub path: PathBuf,
    /// The side whose own record it is part of.
    pub own: Option<Side>,
    /// The attempt, where it lies among those that were given up.
    pub attempt: Option<u32>,
}

impl Folder {
    /// Looks what a folder is.
    ///
    /// # Errors
    /// `ARCHIVE-INCOMPLETE` for an archive without its log, `LOG-…`, [`Error::Failed`] where there
    /// is nothing of a ceremony.
    pub fn find(path: &Path) -> Result<Self> {
        let there = |name: &str| path.join(name).exists();
        let archived = Side::ALL.into_iter().find(|side| there(&archived_log(*side)));
        let holds = if is_document(path) {
            Holds::Documents
        } else if let Some(side) = archived {
            Holds::Archive(side)
        } else if [SUMS, "allowed_signers", HEAD_FILE].into_iter().any(there) {
            return Err(Rule::ArchiveIncomplete.refuse(
                format!("{} has no log of its side", path.display()),
                format!("{} or {}", archived_log(Side::Tenant), archived_log(Side::Hoster)),
                "find an unchanged copy of the archive",
            ));
        } else if there(LOG_FILE) {
            Holds::Ceremony(logs::side_of(&path.join(LOG_FILE))?)
        } else if there(PLAN_FILE) || Kind::ALL.iter().any(|kind| there(kind.name())) {
            Holds::Documents
        } else {
            return Err(Error::failed(
                format!("{}: nothing of a ceremony is there", path.display()),
                "name a ceremony folder, an archive, or a folder with documents",
            ));
        };
        Ok(Folder { path: path.to_owned(), holds })
    }

    /// The side whose own record it is.
    pub fn own(&self) -> Option<Side> {
        match self.holds {
            Holds::Ceremony(side) | Holds::Archive(side) => Some(side),
            Holds::Documents => None,
        }
    }

    /// Whether it is the folder of one document.
    pub fn is_document(&self) -> bool {
        is_document(&self.path)
    }

    /// The archives in a ceremony folder.
    ///
    /// # Errors
    /// [`Error::Failed`] where the folder can't be listed.
    pub fn archives(&self) -> Result<Vec<Folder>> {
        let Holds::Ceremony(side) = self.holds else { return Ok(Vec::new()) };
        let mut names = folder::names(&self.path)?;
        names.retain(|name| in_ceremony(side, &[name]) == Content::Archive);
        let archive = |name| Folder { path: self.path.join(name), holds: Holds::Archive(side) };
        Ok(names.into_iter().map(archive).collect())
    }

    /// The side's own log in it.
    pub fn log(&self) -> Option<(Side, PathBuf)> {
        let (side, name) = match self.holds {
            Holds::Ceremony(side) => (side, LOG_FILE.to_owned()),
            Holds::Archive(side) => (side, archived_log(side)),
            Holds::Documents => return None,
        };
        Some((side, self.path.join(name)))
    }

    /// Where documents of a kind lie in it: the current one, and those that were given up.
    ///
    /// # Errors
    /// [`Error::Failed`] where a folder can't be listed.
    pub fn places(&self, kind: Kind) -> Result<Vec<Place>> {
        let base = match self.holds {
            Holds::Ceremony(side) if side == kind.side() => self.path.join(OUTBOX),
            Holds::Ceremony(_) => self.path.join(INBOX),
            Holds::Archive(_) => self.path.clone(),
            Holds::Documents if self.path.join(kind.file()).exists() => {
                return Ok(vec![Place { path: self.path.clone(), own: None, attempt: None }]);
            }
            Holds::Documents => self.path.clone(),
        };
        let names = if base.exists() { folder::names(&base)? } else { Vec::new() };
        let given_up = names.iter().filter(|name| attempt_of(name).is_some());
        let folders = [""].into_iter().chain(given_up.map(String::as_str));
        let place = |folder: &str| Place {
            path: base.join(folder).join(kind.name()),
            own: self.own(),
            attempt: attempt_of(folder),
        };
        Ok(folders.map(place).filter(|place| place.path.exists()).collect())
    }
}

fn is_document(folder: &Path) -> bool {
    Kind::ALL.iter().any(|kind| folder.join(kind.file()).exists())
}
