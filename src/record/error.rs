//! How every command ends when it does not end well: what was found, what was expected, what to do.

use std::any::Any;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Rule, escape};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A named rule that was not kept. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[error("Refused: {} ({})\n  found:    {found}\n  expected: {expected}\n  to do:    {remedy}", rule.fault(), rule.name())]
pub struct Refusal {
    /// The rule, by the name that code, log and documents share.
    pub rule: Rule,
    /// What was found, already fit for a terminal (foreign text escaped).
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
    /// What the person at the keyboard can do next.
    pub remedy: String,
}

/// Every way a command can end other than well; each has its exit code.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// Exit code 3: a rule refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Exit code 1: something outside the rules failed (a disk, a missing program).
    #[error("{what}\n  to do:    {remedy}")]
    Failed {
        /// What failed, with the file or value it failed on.
        what: String,
        /// What the person at the keyboard can do next.
        remedy: String,
    },
    /// Exit code 2: the command line is not one of ours.
    #[error("{what}\n  to do:    {remedy}")]
    Usage {
        /// What is wrong with the command line.
        what: String,
        /// The right form.
        remedy: String,
    },
    /// Exit code 4: the people ended it.
    #[error("ended by the people at the keyboard: {what}")]
    Ended {
        /// Where it was ended and how to go on.
        what: String,
    },
    /// Exit code 5: the HSM, or the way to it.
    #[error("HSM: {what}\n  to do:    {remedy}")]
    Hsm {
        /// What the HSM said, and in which call.
        what: String,
        /// What the person at the keyboard can do next.
        remedy: String,
    },
    /// Exit code 6: signatures are missing; the text holds the exact lines that make them.
    #[error("{what}")]
    Waiting {
        /// Who must sign what, with the exact commands.
        what: String,
    },
}

impl Error {
    /// The process exit code of this end (design, section 7).
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Failed { .. } => 1,
            Error::Usage { .. } => 2,
            Error::Refused(_) => 3,
            Error::Ended { .. } => 4,
            Error::Hsm { .. } => 5,
            Error::Waiting { .. } => 6,
        }
    }

    /// The rule that refused, if one did.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Error::Refused(refusal) => Some(refusal.rule),
            _ => None,
        }
    }

    /// A failure outside the rules.
    pub fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Failed { what: what.into(), remedy: remedy.into() }
    }

    /// A command line that is not one of ours, and the right form.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Usage { what: what.into(), remedy: remedy.into() }
    }

    /// What never happens unless Keyferry itself is wrong.
    pub fn defect(what: impl std::fmt::Display) -> Self {
        Error::failed(what.to_string(), "report this as a defect")
    }

    /// A value of ours that has no JSON form.
    pub fn encoding(error: serde_json::Error) -> Self {
        Error::defect(format!("what is to be encoded: {error}"))
    }

    /// A failure of the HSM or of the way to it.
    pub fn hsm(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Hsm { what: what.into(), remedy: remedy.into() }
    }

    /// A file or folder that could not be read or written: why, and what mends that.
    pub fn file(path: &Path, error: impl Display + 'static) -> Self {
        let any: &dyn Any = &error;
        let kind = match (any.downcast_ref::<io::Error>(), any.downcast_ref::<Errno>()) {
            (Some(error), _) => Some(error.kind()),
            (_, Some(errno)) => Some(io::Error::from(*errno).kind()),
            _ => None,
        };
        Error::failed(
            format!("{}: {error}", escape(&path.display().to_string())),
            match kind {
                Some(ErrorKind::NotFound) => {
                    "nothing is there under this name: check the path, and that the medium is mounted"
                }
                Some(ErrorKind::PermissionDenied) => {
                    "whoever runs this may not do that there: look at its owner and mode, and run the command as the owner"
                }
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    "its disk is full: make room on it, then run the same command again"
                }
                Some(ErrorKind::ReadOnlyFilesystem) => {
                    "its medium is mounted for reading only: mount it for writing, or name a folder elsewhere"
                }
                _ => "check that the file or folder is what it should be, and its disk",
            },
        )
    }
}

impl Rule {
    /// Refuses by this rule unless something holds.
    ///
    /// # Errors
    /// The refusal.
    pub fn ensure(
        self,
        holds: bool,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Result<()> {
        if holds { Ok(()) } else { Err(self.refuse(found, expected, remedy)) }
    }

    /// The refusal by this rule.
    pub fn refuse(
        self,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::Refused(Box::new(Refusal {
            rule: self,
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }))
    }
}
