//! The one door to the disk: files are read once and whole, never through a link, never more than
//! their kind can be; they are made new, 0600 and fsynced with their folder, and nothing is
//! overwritten.

mod naming;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::{Error, Hash, Result, Rule, escape};
pub use naming::{has_foreign_mode, keeps_what_it_holds};

/// The most files that a document's folder can hold: a package of 500 keys, and its signatures.
const MAX_FILES: usize = 4096;

/// How the name ends under which a file is written before it gets its own.
const DRAFT: &str = ".part";

/// What becomes of an error of the operating system about a path.
fn at<E: std::fmt::Display + 'static>(path: &Path) -> impl Fn(E) -> Error {
    move |error| Error::file(path, error)
}

/// Opens a plain file of at most `limit` bytes, for those that need not be held whole.
///
/// # Errors
/// `DOCUMENT-LINK` for anything but a plain file, `DOCUMENT-SIZE` beyond the limit, and
/// [`Error::Failed`] where it can't be opened.
pub fn open_file(path: &Path, limit: u64) -> Result<File> {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let is_link = |error: &std::io::Error| error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    let file = opened.map_err(|error| match is_link(&error) {
        true => not_plain_error(path),
        false => Error::file(path, error),
    })?;
    let metadata = file.metadata().map_err(at(path))?;
    if !metadata.is_file() {
        return Err(not_plain_error(path));
    }
    if metadata.len() > limit {
        return Err(too_large_error(path, metadata.len(), limit));
    }
    Ok(file)
}

/// Reads a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`open_file`], and [`Error::Failed`] where it can't be read.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_open(open_file(path, limit)?, path, limit)
}

/// Reads what an open file gives, at most `limit` bytes.
///
/// # Errors
/// `DOCUMENT-SIZE` beyond the limit, [`Error::Failed`] where it can't be read.
pub fn read_open(mut file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut file).take(limit + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() as u64 > limit {
        let length = file.metadata().map_err(at(path))?.len();
        return Err(too_large_error(path, length.max(limit + 1), limit));
    }
    Ok(bytes)
}

/// Reads a plain file of at most `limit` bytes, where there is anything of this name.
///
/// # Errors
/// As [`read_file`].
pub fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => read_file(path, limit).map(Some),
    }
}

/// SHA-256 and length of a plain file of at most `limit` bytes, which is not held.
///
/// # Errors
/// As [`read_file`].
pub fn hash_file(path: &Path, limit: u64) -> Result<(Hash, u64)> {
    let (hash, length) = hash_open(open_file(path, limit)?.take(limit + 1), path)?;
    if length > limit { Err(too_large_error(path, length, limit)) } else { Ok((hash, length)) }
}

/// SHA-256 and length of what an open file gives, a piece at a time.
///
/// # Errors
/// [`Error::Failed`] where it can't be read.
pub fn hash_open(mut file: impl Read, path: &Path) -> Result<(Hash, u64)> {
    let (mut sha, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(at(path))?;
        if count == 0 {
            return Ok((Hash(sha.finalize().into()), length));
        }
        sha.update(&buffer[..count]);
        length += count as u64;
    }
}

/// Reads a flat folder: every file, whole, by its name; `limit` gives the greatest size per name,
/// or refuses the name.
///
/// # Errors
/// As [`read_file`]; `DOCUMENT-SURPLUS` for a name that `limit` does not know; [`Error::Failed`]
/// where the folder can't be read.
pub fn read_folder(
    folder: &Path,
    limit: impl Fn(&str) -> Option<u64>,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut limits = BTreeMap::new();
    for name in entries(folder)? {
        let name = name?;
        // What is no UTF-8 is nobody's file here, and can't be opened by this name.
        let whole = limits.len() < MAX_FILES && !name.contains(char::REPLACEMENT_CHARACTER);
        let known = limit(&name).filter(|_| whole);
        limits.insert(name.clone(), known.ok_or_else(|| surplus_error(folder, &name))?);
    }
    let read = |(name, limit): (String, u64)| {
        let bytes = read_file(&folder.join(&name), limit)?;
        Ok((name, bytes))
    };
    limits.into_iter().map(read).collect()
}

/// The names in a folder, sorted; of one that is no UTF-8, what can be shown of it.
///
/// # Errors
/// [`Error::Failed`] where it can't be listed.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = entries(folder)?.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The names in a folder, one at a time.
fn entries(folder: &Path) -> Result<impl Iterator<Item = Result<String>>> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    Ok(entries.map(move |entry| {
        entry.map_err(at(folder)).map(|entry| entry.file_name().to_string_lossy().into_owned())
    }))
}

/// Whether a path is a folder itself, not a link to one.
///
/// # Errors
/// `DOCUMENT-LINK` for a link or a device, [`Error::Failed`] where it can't be looked at.
pub fn is_folder(path: &Path) -> Result<bool> {
    let kind = fs::symlink_metadata(path).map_err(at(path))?;
    match (kind.is_dir(), kind.is_file()) {
        (false, false) => Err(not_plain_error(path)),
        (folder, _) => Ok(folder),
    }
}

/// The refusal of a file that has no place in a folder.
pub fn surplus_error(folder: &Path, name: &str) -> Error {
    Rule::DocumentSurplus.refuse(
        format!("{}/{}", folder.display(), escape(name)),
        "the document, the files it lists, and its signatures",
        "find out who put the file there and why; then copy the folder again from its sender's outbox",
    )
}

/// A path for people: the names on a medium are its sender's.
pub fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}

fn not_plain_error(path: &Path) -> Error {
    Rule::DocumentLink.refuse(
        format!("{} is a link, a folder or a device", shown(path)),
        "a plain file",
        "name one file; where a document holds it, copy the folder again from its sender's outbox",
    )
}

fn too_large_error(path: &Path, found: u64, limit: u64) -> Error {
    Rule::DocumentSize.refuse(
        format!("{} has {found} bytes", shown(path)),
        format!("at most {limit} bytes"),
        "check that this is the right file; copy it again from its sender",
    )
}

/// Makes a new file, 0600, complete or not at all, synced with its folder.
///
/// # Errors
/// `FILE-EXISTS` where there is one already, [`Error::Failed`] where it can't be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = part_of(path);
    write_synced(&part, bytes)?;
    name(&part, path).inspect_err(|_| drop(fs::remove_file(&part)))?;
    sync_parent(path)
}

/// A folder that is held open: what is made in it lies there, whatever its name stands for by then.
pub struct HeldFolder {
    path: PathBuf,
    file: File,
}

impl HeldFolder {
    /// Opens a folder, not a link to one.
    ///
    /// # Errors
    /// `DOCUMENT-LINK` for anything else, [`Error::Failed`] where it can't be opened.
    pub fn open(path: &Path) -> Result<Self> {
        HeldFolder::open_at(CWD, path.as_os_str(), path)
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// As [`HeldFolder::open`].
    pub fn below(&self, name: &str) -> Result<Self> {
        HeldFolder::open_at(self.file.as_fd(), name.as_ref(), &self.path.join(name))
    }

    fn open_at(within: BorrowedFd, name: &OsStr, path: &Path) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(within, name, flags, Mode::empty()) {
            Ok(file) => Ok(HeldFolder { path: path.to_owned(), file: file.into() }),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(not_folder_error(path, "no folder")),
            Err(error) => Err(Error::file(path, error)),
        }
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its name still stands for it.
    ///
    /// # Errors
    /// `DOCUMENT-LINK` where it does not.
    pub fn ensure_here(&self) -> Result<()> {
        let id = |found: fs::Metadata| (found.dev(), found.ino());
        let held = self.file.metadata().map(id).map_err(at(&self.path))?;
        let here = fs::symlink_metadata(&self.path).is_ok_and(|named| id(named) == held);
        let found = "not the folder any more that was looked at";
        if here { Ok(()) } else { Err(not_folder_error(&self.path, found)) }
    }

    /// Makes a new file in it, 0600, under its own name at once, synced with the folder: in one that
    /// somebody else has prepared nothing besides may be opened for writing. What was made of it
    /// goes again where it can't be written whole.
    ///
    /// # Errors
    /// `FILE-EXISTS` where anything has the name, also a link that leads nowhere; [`Error::Failed`]
    /// where it can't be written.
    pub fn write_alone(&self, name: &OsStr, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(made.map_err(|error| match error {
            Errno::EXIST => exists(&path),
            _ => Error::file(&path, error),
        })?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.and_then(|()| self.file.sync_all()).map_err(|error| {
            let _ = self.remove(name);
            Error::file(&path, error)
        })
    }

    /// Removes a file of it.
    ///
    /// # Errors
    /// [`Error::Failed`] where it can't be removed.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        unlinkat(&self.file, name, AtFlags::empty()).map_err(at(&self.path.join(name)))
    }
}

fn not_folder_error(path: &Path, found: &str) -> Error {
    Rule::DocumentLink.refuse(
        format!("{} is {found}", shown(path)),
        "a folder, not a link to one, from the beginning to the end",
        "find out who put something else in its place; copy the folder again from its sender's outbox",
    )
}

/// Gives what is complete its name, which must be free.
fn name(from: &Path, to: &Path) -> Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Err(exists(to)),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => naming::without_flag(from, to),
        named => named.map_err(at(to)),
    }
}

/// Makes a folder that has no name of its own yet, with these files, 0600; at the end all of it is
/// on the disk. Half of it is nothing: [`publish`] gives the whole its name.
///
/// # Errors
/// [`Error::Failed`] where it can't be written.
pub fn draft<Name: AsRef<Path>, Bytes: AsRef<[u8]>>(
    folder: &Path,
    files: impl IntoIterator<Item = (Name, Bytes)>,
) -> Result<()> {
    make_folder(folder)?;
    for (name, bytes) in files {
        write_synced(&folder.join(name), bytes.as_ref())?;
    }
    sync(folder)
}

/// Replaces a file in one step: who reads it sees the old or the new bytes, whole. For state of
/// this side's own that changes, never for anything of the record.
///
/// # Errors
/// [`Error::Failed`] where it can't be written; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = part_of(path);
    write_synced(&part, bytes)?;
    fs::rename(&part, path).map_err(at(path))?;
    sync_parent(path)
}

/// A file's own name, as people read it; nothing for `..`, which is none.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

/// What a file is called while it is being written.
pub fn part_of(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}{DRAFT}", file_name(path)))
}

fn write_synced(part: &Path, bytes: &[u8]) -> Result<()> {
    // What a killed run left half-written has no name of its own yet.
    remove_if_there(part)?;
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    create().map_err(|error| {
        let _ = fs::remove_file(part);
        Error::file(part, error)
    })
}

/// Removes a file of this side's own, if it is there.
///
/// # Errors
/// [`Error::Failed`] where it is there and can't be removed.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it, 0700, each synced with the one that it is in.
///
/// # Errors
/// [`Error::Failed`] where it can't be made.
pub fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // The last ancestor of a relative path is the empty one, which stands for the folder that we
    // are in.
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<&Path> = path.ancestors().take_while(missing).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
    // One that is there may have been made by a run that was killed before it was synced.
    sync_parent(path)?;
    made.into_iter().try_for_each(sync_parent)
}

/// Gives a complete folder its name in one step.
///
/// # Errors
/// `FILE-EXISTS` where the name is taken, [`Error::Failed`] where it can't be renamed.
pub fn publish(from: &Path, to: &Path) -> Result<()> {
    sync(from)?;
    name(from, to)?;
    // The new name first: where the power fails in between it has two, and never none.
    sync_parent(to)?;
    sync_parent(from)
}

/// Erases a folder that an interrupted step left behind, if it is there.
///
/// # Errors
/// [`Error::Failed`] where it can't be erased.
pub fn erase(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Erases every folder whose name begins with a dot: what was being built, and never got its own
/// name.
///
/// # Errors
/// [`Error::Failed`] where one can't be erased.
pub fn erase_hidden(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for name in names(folder)?.iter().filter(|name| name.starts_with('.')) {
        erase(&folder.join(name))?;
    }
    Ok(())
}

/// Erases below a folder every file that a killed run left half-written, under the name that it is
/// drafted by.
///
/// # Errors
/// [`Error::Failed`] where one can't be erased.
pub fn erase_drafts(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        let path = folder.join(&name);
        let kind = fs::symlink_metadata(&path).map_err(at(&path))?;
        if kind.is_dir() {
            erase_drafts(&path)?;
        } else if name.starts_with('.') && name.ends_with(DRAFT) {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// The refusal to overwrite.
pub fn exists(path: &Path) -> Error {
    Rule::FileExists.refuse(
        format!("{} is there already", path.display()),
        "a name that is free",
        "look what is there; if it is no longer needed, move it away yourself",
    )
}

/// Waits until what was made, renamed or removed beside a path is on the disk.
///
/// # Errors
/// [`Error::Failed`] where the folder can't be synced.
pub fn sync_parent(path: &Path) -> Result<()> {
    sync(parent(path))
}

/// The folder that a path is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}
