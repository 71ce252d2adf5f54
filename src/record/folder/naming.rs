//! Names on file systems that know no RENAME_NOREPLACE (renameat2(2)): through FUSE (ntfs-3g, exfat,
//! vfat, bindfs) it is EINVAL. Sticks from Windows are such.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{at, exists, remove_if_there, shown, sync, write_synced};
use crate::{Error, Result, Rule};

/// Gives what is complete its name, which must be free: a file by a second link, which never takes
/// a name that is there; where there are no links, it replaces an empty file that was made for it
/// under that name, and only then. A folder, whose name only one program at a time gives, after a
/// look; the file system itself refuses a file or a filled folder of that name.
///
/// # Errors
/// `FILE-EXISTS` where the name is taken, [`Error::Failed`] where it can't be given.
pub(super) fn without_flag(from: &Path, to: &Path) -> Result<()> {
    if fs::symlink_metadata(from).map_err(at(from))?.is_dir() {
        return match fs::symlink_metadata(to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::rename(from, to).map_err(|error| taken(to, error))
            }
            Err(error) => Err(Error::file(to, error)),
            Ok(_) => Err(exists(to)),
        };
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map_err(at(from)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(to)),
        // EPERM or ENOSYS, by what knows no links (link(2)); another error comes again here.
        Err(_) => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
            made.map_err(|error| taken(to, error))?;
            fs::rename(from, to).map_err(|error| {
                let _ = fs::remove_file(to);
                Error::file(to, error)
            })
        }
    }
}

fn taken(to: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => {
            exists(to)
        }
        _ => Error::file(to, error),
    }
}

/// Looks whether a folder lies where what it holds stays as it is made: nobody else may read a file
/// of it, a folder can be synced, and upper and lower case are two names. `draft` is a name of
/// nobody's below it, and is tried out.
///
/// # Errors
/// `FILE-SYSTEM`; [`Error::Failed`] where nothing can be written.
pub fn keeps_what_it_holds(folder: &Path, draft: &Path) -> Result<()> {
    write_synced(draft, b"")?;
    let found = faults(folder, draft);
    remove_if_there(draft)?;
    match found? {
        None => Ok(()),
        Some(found) => Err(Rule::FileSystem.refuse(
            format!("{}: {found}", shown(folder)),
            "a file system that keeps modes, syncs folders, and tells upper from lower case: ext4, xfs, btrfs",
            "name a folder on the machine's own disk, or on a medium that was formatted for Linux (mkfs.ext4); sticks with NTFS, exFAT or FAT carry documents and shares, but hold no ceremony folder and no mirror",
        )),
    }
}

fn faults(folder: &Path, draft: &Path) -> Result<Option<String>> {
    let mode = fs::symlink_metadata(draft).map_err(at(draft))?.permissions().mode() & 0o777;
    if mode & 0o177 != 0 {
        return Ok(Some(format!("a file that is made for its owner alone (0600) is {mode:04o}")));
    }
    let upper = draft.with_file_name(super::file_name(draft).to_ascii_uppercase());
    if fs::symlink_metadata(&upper).is_ok() {
        return Ok(Some("upper and lower case are one".into()));
    }
    Ok(sync(folder).err().map(|_| "a folder can't be synced".into()))
}

/// Whether a file has a mode that Keyferry never gives: then its file system may not keep any.
///
/// # Errors
/// [`Error::Failed`] where it can't be looked at.
pub fn has_foreign_mode(file: &Path) -> Result<bool> {
    Ok(fs::symlink_metadata(file).map_err(at(file))?.permissions().mode() & 0o111 != 0)
}
