//! The PKCS#11 modules of the tests: the machine's own, and those that cargo built for the test
//! program that runs now.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    fs::{self, DirEntry},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Where Debian's package puts SoftHSM.
pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Keyferry's own shim, which gives another module CKM_RSA_AES_KEY_WRAP.
pub fn shim() -> PathBuf {
    built("libkeyferry_shim")
}

/// Kryoptic, built as a dev-dependency.
pub fn kryoptic() -> PathBuf {
    built("libkryoptic_pkcs11")
}

/// NSS softokn, which Debian's package puts into the folder of the machine's architecture.
pub fn nss() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut modules = folders.map(|folder| folder.join("libsoftokn3.so"));
    modules.find(|module| module.exists()).expect("libnss3 is not installed: see set-up")
}

/// The library of this name that lies beside the test's own program. Builds with other flags or
/// compilers leave theirs there too: cargo links a program after what it depends on, so it is the
/// newest that is not newer than the program. A library that was changed since is never taken.
fn built(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let fits = |entry: &DirEntry| {
        let file = entry.file_name().to_string_lossy().into_owned();
        file.starts_with(name) && file.ends_with(".so")
    };
    let linked = modified(&program);
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(fits);
    entries
        .map(|entry| entry.path())
        .filter(|path| modified(path) <= linked)
        .max_by_key(|path| modified(path))
        .unwrap_or_else(|| panic!("no {name}….so in {} is as old as this test", folder.display()))
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}
