//! The hash-chained log, `log.jsonl`: one RFC 8785 object per line, each naming the hash of the
//! line before it. Appended and fsynced once per step. The state of a side is what replaying it
//! gives.

pub mod claims;
mod event;
mod line;
mod meaning;
mod record;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::{Error, Hash, Head, Result, Rule, folder};
pub use event::Event;
use line::{Line, format_error};
pub use record::{
    ChangedShare, CloudExported, CloudFile, Fetched, KekRecord, KeyRecord, PlainImported,
    ShareFile, SourceDestroyed,
};

pub use crate::layout::LOG_FILE;
/// What a line is shorter than, in bytes, with its LF.
pub const MAX_LINE: usize = 512 << 10;
/// The greatest size of a log that comes from elsewhere, in bytes. A side's own has none.
pub const MAX_LOG: u64 = 2 << 20;

/// Before the first entry.
pub const GENESIS: Head = Head { seq: 0, hash: Hash([0; 32]) };

/// One entry, checked against the one before it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub head: Head,
    /// The writer's clock, a claim.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The entries of a log, each verified against the one before it; the first error ends them. An
/// entry that a crash cut off is none: it is [`torn`].
///
/// # Errors
/// `LOG-FORMAT` or `LOG-CHAIN` with the line's number.
pub fn entries<'a>(log: &'a [u8], name: &'a str) -> impl Iterator<Item = Result<Entry>> + 'a {
    let mut head = GENESIS;
    log.split_inclusive(|byte| *byte == b'\n').map_while(move |line| {
        if let Err(found) = line::require_short(line) {
            return Some(Err(format_error(name, head.seq + 1, found)));
        }
        let entry = line.ends_with(b"\n").then(|| line::parse(line, head, name))?;
        Some(entry.inspect(|entry| head = entry.head))
    })
}

/// What a crash has left of an entry: the bytes after the last LF.
pub fn torn(log: &[u8]) -> &[u8] {
    let last = log.iter().rposition(|byte| *byte == b'\n');
    &log[last.map_or(0, |last| last + 1)..]
}

/// The bytes of a side's own log, however long it has become: only what comes from elsewhere has a
/// limit.
///
/// # Errors
/// As [`folder::read_file`].
pub fn own_bytes(path: &Path) -> Result<Vec<u8>> {
    folder::read_file(path, u64::MAX - 1)
}

/// What this machine's clock says.
///
/// # Errors
/// [`Error::Failed`] for a time that no record can have: a year before 1970, or of five digits.
pub fn clock() -> Result<Timestamp> {
    let now = Timestamp::try_from(SystemTime::now()).ok();
    now.filter(|now| *now >= Timestamp::UNIX_EPOCH).ok_or_else(|| {
        Error::failed(
            "this machine's clock shows a year before 1970 or after 9999",
            "set the clock, then run this command again",
        )
    })
}

/// The same as records have it: UTC, RFC 3339, whole seconds.
///
/// # Errors
/// As [`clock`].
pub fn now() -> Result<String> {
    Ok(format!("{:.0}", clock()?))
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
    /// As [`entries`]; [`Error::Failed`] where another program has it open.
    pub fn open(folder: &Path, mut sink: impl FnMut(Entry) -> Result<()>) -> Result<Self> {
        let path = folder.join(LOG_FILE);
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(|error| {
            Error::failed(
                format!("{}: {error}", path.display()),
                "begin a ceremony with `init`, or name its folder with --dir",
            )
        })?;
        lock(&file, &path)?;
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).map_err(|error| Error::file(&path, error))?;
        let mut head = GENESIS;
        for entry in entries(&bytes, &path.display().to_string()) {
            let entry = entry?;
            head = entry.head;
            sink(entry)?;
        }
        let mut log = Log { path, file, head };
        if log.head == GENESIS {
            // A repair before `init` would be an entry that nothing may begin with.
            return Err(Error::failed(
                format!("{} has no whole entry: `init` was interrupted", log.path.display()),
                "run the same `init` again",
            ));
        }
        let torn = torn(&bytes);
        if !torn.is_empty() {
            let whole = bytes.len() - torn.len();
            log.file.set_len(whole as u64).map_err(|error| Error::file(&log.path, error))?;
            let repair = Event::Repair { bytes: torn.len() as u64, hash: Hash::of(torn) };
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
        let (prev, seq) = (self.head.hash.to_string(), self.head.seq + 1);
        let unwritable = |found: String| {
            Error::defect(format!("{}: an entry can't be written: {found}", self.path.display()))
        };
        let line = Line { prev, seq, time: now()?, event };
        let time = line.moment().map_err(unwritable)?;
        let bytes = line.encode().map_err(unwritable)?;
        let before = self.file.metadata().map_err(|error| Error::file(&self.path, error))?.len();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_all());
        if let Err(error) = written {
            // A part of a line would be repaired at the next start anyway; this keeps the file
            // tidy.
            let _ = self.file.set_len(before);
            return Err(Error::file(&self.path, error));
        }
        self.head = Head { seq, hash: Hash::of(&bytes) };
        Ok(Entry { head: self.head, time, event: line.event })
    }

    /// The log's bytes as they now are, for the document they travel with.
    ///
    /// # Errors
    /// As [`folder::read_file`].
    pub fn bytes(&self) -> Result<Vec<u8>> {
        own_bytes(&self.path)
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
mod tests;
