//! Primes for SoftHSM's RSA keys, found faster (`primes.c` says why, and what it leaves as it is).

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::run;

/// The library that a program gets by LD_PRELOAD, built once in each test program.
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (library, building) = (
            folder.join("primes.so"),
            format!("primes.{}", std::process::id()),
        );
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/primes.c");
        // Its OpenSSL calls are those that SoftHSM makes, older than OpenSSL 3.
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
            .arg(source)
            .arg("-lcrypto")
            .current_dir(folder));
        // Whole or not at all, for another test program that runs beside this one.
        std::fs::rename(folder.join(building), &library).unwrap();
        library
    })
}
