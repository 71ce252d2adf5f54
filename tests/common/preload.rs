//! Libraries that stand before a program's own by LD_PRELOAD, each a C file beside this one that
//! says what it changes.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::run;

/// Primes for SoftHSM's RSA keys, found faster.
pub fn primes() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("primes"))
}

/// A clock that goes ahead by `KEYFERRY_TEST_AHEAD` seconds.
pub fn clock() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("clock"))
}

/// Writes that take half of what they are given.
pub fn short_writes() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("short_writes"))
}

/// Built once in each test program; whole or not at all, for another one that runs beside it.
fn build(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("{name}.so"));
    let building = folder.join(format!("{name}.{}", std::process::id()));
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common");
    // The OpenSSL calls of `primes` are those that SoftHSM makes, older than OpenSSL 3.
    run(Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-deprecated-declarations",
            "-O1",
            "-o",
        ])
        .arg(&building)
        .arg(format!("{sources}/{name}.c"))
        .args(["-Wl,--as-needed", "-lcrypto"]));
    std::fs::rename(building, &library).unwrap();
    library
}
