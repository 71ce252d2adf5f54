//! The one file that is explained.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use record::service::local::MAX_REGISTRY;
use record::{Error, Hash, Result, Rule, escape, folder, with_commands};

/// How much of a file is looked at to see what it is, in bytes.
const PREFIX: u64 = 64 << 10;

/// What `show` knows, for those who gave it something else.
pub const KNOWN: &str = "a document (offer.json … closing.json), an approval request, a log (log.jsonl), a plan (ceremony.toml), \
     a token's report (of `probe`), head.json, registry.json, what a node publishes (….metadata.xml), or a signature (….sig)";

/// A file that is explained, as far as it was read. It is opened once.
pub struct ShownFile<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// Its bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// The file, where it was not read whole yet.
    opened: Option<File>,
}

impl<'a> ShownFile<'a> {
    /// Looks at the beginning of a file.
    ///
    /// # Errors
    /// `DOCUMENT-LINK`, `DOCUMENT-SIZE`; [`Error::Failed`] where it can't be read.
    pub fn peek(path: &'a Path) -> Result<Self> {
        let mut file = folder::open_file(path, MAX_REGISTRY)?;
        let mut bytes = Vec::new();
        let begun = (&file).take(PREFIX).read_to_end(&mut bytes).and_then(|_| file.rewind());
        begun.map_err(|error| Error::file(path, error))?;
        Ok(ShownFile { path, bytes, opened: Some(file) })
    }

    /// A file whose bytes are all there.
    pub fn of(path: &'a Path, bytes: Vec<u8>) -> Self {
        ShownFile { path, bytes, opened: None }
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// As [`folder::read_file`].
    pub fn whole(mut self, limit: u64) -> Result<Self> {
        if let Some(file) = self.opened.take() {
            self.bytes = folder::read_open(file, self.path, limit)?;
        }
        Ok(self)
    }

    /// The path, for people.
    pub fn shown(&self) -> String {
        escape(&self.path.display().to_string())
    }

    /// The file's own name.
    pub fn name(&self) -> String {
        folder::file_name(self.path)
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.bytes)
    }

    /// The refusal of a file that is nothing known.
    pub fn unknown_error(&self, found: &str) -> Error {
        Rule::DocumentKind.refuse(
            format!("{}: {}", self.shown(), escape(found)),
            KNOWN,
            with_commands(
                "give one file of a ceremony; `{audit verify FOLDER}` takes whole folders",
            ),
        )
    }

    /// The refusal of a file that is not what it says it is.
    pub fn broken_error(&self, what: &str, found: impl std::fmt::Display) -> Error {
        Rule::DocumentFormat.refuse(
            format!("{}: {}", self.shown(), escape(&found.to_string())),
            format!("{what}, whole, with exactly the fields of its format"),
            "copy it again from where it was made; sign nothing that cannot be read",
        )
    }
}
