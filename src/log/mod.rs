//! The hash-chained log, `log.jsonl`: one RFC 8785 object per line, each naming the hash of the
//! line before it. Appended and fsynced once per step. The state of a side is what replaying it
//! gives.

mod event;
mod line;
mod meaning;
mod record;

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result, encoding::Hash, folder, rule::Rule};
pub use event::Event;
use line::{Parser, format_error};
pub use record::{
    CloudExported, CloudFile, Fetched, KekRecord, KeyRecord, PlainImported, Share, SourceDestroyed,
};

/// The file name of the log in a ceremony folder.
pub const LOG_FILE: &str = "log.jsonl";
/// The greatest length of a line, in bytes.
pub const MAX_LINE: u64 = 4 << 20;
/// The greatest size of a log that travels with a document, in bytes.
pub const MAX_LOG: u64 = 64 << 20;

/// A place in a log: everything up to and including entry `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of the entry, from 1.
    pub seq: u64,
    /// SHA-256 of its line with its LF.
    pub hash: Hash,
}

/// Before the first entry.
pub const GENESIS: Head = Head { seq: 0, hash: Hash([0; 32]) };

/// One entry, checked against the one before it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub head: Head,
    /// The writer's clock, a claim: UTC, RFC 3339.
    pub time: String,
    /// What happened.
    pub event: Event,
}

/// What reading a log ended with.
pub struct End {
    /// The last whole entry.
    pub head: Head,
    /// Bytes after the last LF: an entry that a crash cut off.
    pub torn: Vec<u8>,
    /// The length of the whole entries, in bytes.
    pub length: u64,
}

/// Reads and verifies a log, entry by entry, in constant memory.
///
/// # Errors
/// `LOG-FORMAT` or `LOG-CHAIN` with the line's number, and whatever `sink` says of an entry.
pub fn read(
    mut log: impl BufRead,
    name: &str,
    mut sink: impl FnMut(Entry) -> Result<()>,
) -> Result<End> {
    let mut end = End { head: GENESIS, torn: Vec::new(), length: 0 };
    let (mut line, mut parser) = (Vec::new(), Parser::default());
    loop {
        line.clear();
        let mut bounded = std::io::Read::take(&mut log, MAX_LINE);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::file(Path::new(name), error))?;
        if line.len() as u64 == MAX_LINE {
            return Err(format_error(
                name,
                end.head.seq + 1,
                format!("more than {MAX_LINE} bytes"),
            ));
        }
        if line.last() != Some(&b'\n') {
            end.torn = line;
            return Ok(end);
        }
        let entry = parser.parse(&line, end.head, name)?;
        end.head = entry.head;
        end.length += line.len() as u64;
        sink(entry)?;
    }
}

/// Now, by this machine's clock: UTC, RFC 3339, whole seconds.
pub fn now() -> String {
    let seconds = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// The log of this side, open for appending. Only one program has it open at a time.
pub struct Log {
    path: PathBuf,
    file: File,
    head: Head,
}

impl Log {
    /// Begins a log in a folder that has none. What a killed `init` left without a whole entry is
    /// none.
    ///
    /// # Errors
    /// `CEREMONY-EXISTS` where there is one.
    pub fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(LOG_FILE);
        let failed = |error| Error::file(&path, error);
        let file =
            (OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path))
                .map_err(failed)?;
        lock(&file, &path)?;
        let mut first = Vec::new();
        BufReader::new(&file).read_until(b'\n', &mut first).map_err(failed)?;
        if first.last() == Some(&b'\n') {
            return Err(Rule::CeremonyExists.refuse(
                format!("{} is there already", path.display()),
                "a folder without a ceremony",
                "go on with this ceremony (`status` says how), or begin another in a new folder with --dir",
            ));
        }
        file.set_len(0).map_err(failed)?;
        folder::sync_parent(&path)?;
        Ok(Log { path, file, head: GENESIS })
    }

    /// Opens the log of a ceremony, replays it into `sink`, and mends a torn last line, which it
    /// records.
    ///
    /// # Errors
    /// As [`read`]; [`Error::Failed`] where another program has it open.
    pub fn open(folder: &Path, mut sink: impl FnMut(Entry) -> Result<()>) -> Result<Self> {
        let path = folder.join(LOG_FILE);
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(|error| {
            Error::failed(
                format!("{}: {error}", path.display()),
                "begin a ceremony with `init`, or name its folder with --dir",
            )
        })?;
        lock(&file, &path)?;
        let end = read(BufReader::new(&file), &path.display().to_string(), &mut sink)?;
        let mut log = Log { path, file, head: end.head };
        if log.head == GENESIS {
            // A repair before `init` would be an entry that nothing may begin with.
            return Err(Error::failed(
                format!("{} has no whole entry: `init` was interrupted", log.path.display()),
                "run the same `init` again",
            ));
        }
        if !end.torn.is_empty() {
            log.file.set_len(end.length).map_err(|error| Error::file(&log.path, error))?;
            let repair = Event::Repair { bytes: end.torn.len() as u64, hash: Hash::of(&end.torn) };
            sink(log.append(repair)?)?;
        }
        Ok(log)
    }

    /// The last entry's place.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Appends one entry and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Failed`] where it can't be written; the log is then as it was.
    pub fn append(&mut self, event: Event) -> Result<Entry> {
        let (line, time) = self.line(&event)?;
        let before = self.file.metadata().map_err(|error| Error::file(&self.path, error))?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_all());
        if let Err(error) = written {
            // A part of a line would be repaired at the next start anyway; this keeps the file
            // tidy.
            let _ = self.file.set_len(before);
            return Err(Error::file(&self.path, error));
        }
        self.head = Head { seq: self.head.seq + 1, hash: Hash::of(&line) };
        Ok(Entry { head: self.head, time, event })
    }

    fn line(&self, event: &Event) -> Result<(Vec<u8>, String)> {
        let failed = |error: serde_json::Error| Error::file(&self.path, error);
        let time = now();
        let mut fields = match serde_json::to_value(event).map_err(failed)? {
            Value::Object(fields) => fields,
            other => Map::from_iter([("event".to_owned(), other)]),
        };
        fields.insert("prev".into(), self.head.hash.to_string().into());
        fields.insert("seq".into(), (self.head.seq + 1).into());
        fields.insert("time".into(), time.clone().into());
        let mut line = serde_json::to_vec(&fields).map_err(failed)?;
        line.push(b'\n');
        Ok((line, time))
    }

    /// The log's bytes as they now are, for the document they travel with.
    ///
    /// # Errors
    /// As [`folder::read_file`].
    pub fn bytes(&self) -> Result<Vec<u8>> {
        folder::read_file(&self.path, MAX_LOG)
    }
}

fn lock(file: &File, path: &Path) -> Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::failed(
            format!("{} is in use by another Keyferry program", path.display()),
            "wait until that program has ended",
        )
    })
}

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod tests;
