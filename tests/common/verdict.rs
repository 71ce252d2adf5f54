//! What both verifiers say of a ceremony that has ended.
#![allow(dead_code)] // Each test program uses its part.

use std::process::Command;

use super::{run, stage::Stage};
use record::verify::{self, Against, Verdict};

impl Stage {
    /// The auditor's verdict over both folders, once officers have signed the heads. It misses nothing, and both archives hold too, for
    /// it and for the script of ordinary tools.
    pub fn verdict(&self) -> Verdict {
        self.sign_heads();
        let folders = ["tenant", "hoster"].map(|side| self.path(side));
        let verdict = verify::verify(&folders, &Against::default()).unwrap();
        assert!(verdict.missing.is_empty(), "{verdict:?}");
        // The log names every file that the programs have made.
        let unnamed = |line: &String| line.contains("no entry of the log names it");
        assert!(!verdict.claims.iter().any(unnamed), "{verdict:?}");
        for folder in folders {
            let archive = folder.join("archive");
            verify::verify(std::slice::from_ref(&archive), &Against::default()).unwrap();
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
            run(Command::new(script).arg(archive));
        }
        verdict
    }
}
