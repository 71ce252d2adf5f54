//! How a ceremony must have ended, whatever happened on the way.
#![allow(dead_code)] // Each test program uses its part.

use std::{fs, path::Path};

use super::stage::{Ended, Stage};
use record::{log::Event, verify};

/// Whether a command that was interrupted, and run again, ended well: it did its work, asks for
/// signatures, or had done it before and finds that the ceremony has moved on.
pub fn went_on(arguments: &[&str], ended: &Ended) -> bool {
    let mut moved_on = vec!["PHASE-ORDER", "CEREMONY-EXISTS", "PACKAGE-IMPORTED"];
    if arguments == ["primary"] {
        // Once the order is given, `primary` waits for the nodes.
        moved_on.push("EVIDENCE-MISSING");
    }
    let done = moved_on.iter().any(|rule| ended.err.contains(rule));
    [0, super::walk::ASKS].contains(&ended.code) || (ended.code == 3 && done)
}

impl Stage {
    /// It ended as every ceremony of its setting does, whatever happened on the way.
    pub fn ends_the_same(&self, context: &str) {
        let stage = self;
        for side in ["tenant", "hoster"] {
            if !stage.path(side).join("archive").exists() {
                // Killed after the last entry and before the archive: `close` again writes it.
                let closing: &[&str] =
                    if side == "tenant" { &["close", "medium/closing"] } else { &["close"] };
                stage.side(side, closing).ok();
            }
        }
        stage.sign_heads();
        let verdict = verify::verify(
            &[stage.path("tenant"), stage.path("hoster")],
            &verify::Against::default(),
        )
        .unwrap();
        assert_eq!(verdict.missing, Vec::<String>::new(), "{context}");
        for side in ["tenant", "hoster"] {
            verify::verify(&[stage.path(side).join("archive")], &verify::Against::default())
                .unwrap();
            nothing_left_over(&stage.path(side), context);
        }
        let arrived = |event: &Event| matches!(event, Event::Import { .. } | Event::Answer { .. });
        assert_eq!(events(stage, "hoster").into_iter().filter(arrived).count(), 1);
        let left = |event: &Event| matches!(event, Event::Export { .. } | Event::KeysCheck { .. });
        assert_eq!(events(stage, "tenant").into_iter().filter(left).count(), 1);
        let registry = stage.json("hoster/registry.json");
        assert_eq!(registry["key_sets"].as_array().unwrap().len(), 1);
        assert_eq!(registry["primary"], registry["key_sets"][0]["plan_hash"]);
        assert_eq!(objects(stage, "hoster"), [2, 2, 2, 0], "{context}");
        if stage.setting.born {
            assert_eq!(objects(stage, "tenant"), [0; 4], "{context}");
            return;
        }
        // The trusted KEK is removed after the export is recorded. One that is still there must be
        // said by the audit.
        let said = (verdict.noted.iter()).any(|line| line.contains("trusted KEK was removed"));
        let found = objects(stage, "tenant");
        let left = [2, 3, 2, 0];
        assert!(found == [2, 2, 2, 0] || (said && found == left), "{found:?}, {context}");
    }
}

/// The entries of a side's log, without an end that was torn; of one that was never begun, none.
pub fn events(stage: &Stage, side: &str) -> Vec<Event> {
    let log = fs::read(stage.path(side).join("log.jsonl")).unwrap_or_default();
    record::log::entries(&log, side).map(|entry| entry.unwrap().event).collect()
}

/// Nothing half-written lies in a ceremony folder.
fn nothing_left_over(folder: &Path, context: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with('.'), "{} is left over, {context}", path.display());
        if path.is_dir() {
            nothing_left_over(&path, context);
        }
    }
}

/// Private keys, public keys, certificates and secret keys of a token, as another program counts
/// them. SoftHSM writes an object's attributes one after the other: killed in between it leaves one
/// without any id, which no program can use.
fn objects(stage: &Stage, token: &str) -> [usize; 4] {
    let listed = stage.pkcs11_tool(token, &["--list-objects"]);
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let kinds =
        ["Private Key Object", "Public Key Object", "Certificate Object", "Secret Key Object"];
    let (mut counts, mut kind) = ([0; 4], None);
    for line in listed.lines() {
        kind = kinds.iter().position(|kind| line.starts_with(kind)).or(kind);
        if line.trim_start().starts_with("ID:") {
            counts[kind.unwrap()] += 1;
        }
    }
    counts
}
