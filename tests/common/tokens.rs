//! Real SoftHSM tokens for tests.
//!
//! SoftHSM reads its configuration when a process initialises it, and sees only the tokens that are
//! there by then. So one process has one configuration file, and the tests of one process take
//! turns: each makes its own tokens, opens the module, and removes the tokens again.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::modules::MODULE;

/// The user PIN of every token.
pub const PIN: &str = "pin-of-a-test-7d31f09c";
/// The security officer's PIN of every token.
pub const SO_PIN: &str = "12345678";

static TURN: Mutex<()> = Mutex::new(());
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Fresh tokens; they are gone when this is dropped. Declare it before the module, so that the
/// module is finalised first.
pub struct Tokens {
    _turn: MutexGuard<'static, ()>,
}

impl Tokens {
    /// Makes one token of each label.
    pub fn new(labels: &[&str]) -> Self {
        // A test that failed has left nothing behind but its turn.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = Tokens { _turn: turn };
        let folder = folder();
        std::fs::create_dir_all(folder.join("tokens")).unwrap();
        std::fs::write(
            tokens.conf(),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                folder.join("tokens").display()
            ),
        )
        .unwrap();
        for label in labels {
            run(Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", label])
                .args(["--so-pin", SO_PIN, "--pin", PIN])
                .env("SOFTHSM2_CONF", tokens.conf()));
        }
        tokens
    }

    /// SoftHSM's configuration file, for SOFTHSM2_CONF of programs that a test starts; this process
    /// has it already.
    pub fn conf(&self) -> PathBuf {
        folder().join("softhsm2.conf")
    }

    /// A folder for the test's own files.
    pub fn folder(&self) -> &'static Path {
        folder()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(folder());
    }
}

fn folder() -> &'static Path {
    FOLDER.get_or_init(|| {
        let name = format!("keyferry-test-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // Set once, before any thread of this process uses the module; no test reads the
        // environment meanwhile.
        unsafe {
            std::env::set_var("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
            std::env::set_var("KEYFERRY_SHIM_MODULE", MODULE);
            std::env::set_var("KEYFERRY_SHIM_STATE", folder.join("shim"));
        }
        folder
    })
}

/// Runs a program that must succeed and gives its output.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate of this public key, signed by some key: enough for a token, which does not check
/// it.
pub fn certificate(folder: &Path, spki: &[u8], subject: &str) -> Vec<u8> {
    let (public, signer) = (folder.join("public.der"), folder.join("signer.pem"));
    std::fs::write(&public, spki).unwrap();
    if !signer.exists() {
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(&signer).arg("2048"));
    }
    let pem =
        run(Command::new("openssl").args(["pkey", "-pubin", "-inform", "DER", "-in"]).arg(&public));
    let public = folder.join("public.pem");
    std::fs::write(&public, pem).unwrap();
    run(Command::new("openssl")
        .args(["x509", "-new", "-days", "1", "-outform", "DER", "-force_pubkey"])
        .arg(&public)
        .args(["-subj", subject, "-signkey"])
        .arg(&signer))
}
