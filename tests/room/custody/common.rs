//! What the tests of share files and of the custodian's program have in common.

use std::{cell::Cell, path::PathBuf};

use tempfile::TempDir;
use zeroize::Zeroizing;

use custody::{
    custodian::{encrypt_share, new_identity, open_share},
    share::{Secret, Share, deal},
};
use record::{
    Error, Result,
    encoding::{Fixed, Hash},
};

pub const PASSPHRASE: &str = "eine lange Passphräse";

/// Opens a share file; every question is answered with the passphrase, none with "". Says how many
/// there were.
pub fn open(file: &[u8], identity: &[u8], passphrase: &str) -> (Result<Share>, usize) {
    let asked = Cell::new(0);
    let answer = |_: &str| {
        asked.set(asked.get() + 1);
        match passphrase {
            "" => Err(Error::Ended { what: "Ctrl-D".to_owned() }),
            passphrase => Ok(Zeroizing::new(passphrase.to_owned())),
        }
    };
    let opened = open_share(file, identity, &answer).map(|opened| opened.share);
    (opened, asked.get())
}

pub fn shares() -> Vec<Share> {
    let package = Fixed([0xab; 16]);
    let secret = Secret::derive(&[1; 32], &[2; 32], &package, &Hash::of(b"plan")).unwrap();
    deal(&secret, package, 2, 3).unwrap()
}

pub fn identity(folder: &TempDir, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let new = new_identity(None).unwrap();
    std::fs::write(&path, new.file.as_slice()).unwrap();
    (path, new.recipient)
}

/// A folder with an identity `id`, and the share that is encrypted to it, `cyd.age`.
pub fn handed_out() -> (TempDir, Share, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (identity, recipient) = identity(&folder, "id");
    let share = shares().remove(0);
    let file = folder.path().join("cyd.age");
    std::fs::write(&file, encrypt_share(&share, &[recipient]).unwrap()).unwrap();
    (folder, share, file, identity)
}
