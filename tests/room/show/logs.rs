//! Logs, whole and broken.

use std::fs;

use super::{says, show};
use crate::common::stage::{Ended, Stage};

pub fn told(stage: &Stage) {
    let text = show(&stage.path("tenant/log.jsonl")).unwrap();
    says(
        &text,
        &[
            "     1  20",
            "the rehearsal test began on the side of the tenant, under the plan ",
            "waived: WRAP-OAEP-SHA1",
            "the words of the KEK ",
            "made the KEK ",
            "kek-untrust: kek.fingerprint ",
            "cyd confirmed to hold the right share",
            " was released by ada, ben",
            "the ceremony was closed on this side",
            "phase:        closed",
        ],
    );
    let entries = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap().lines().count();
    says(&text, &[&format!("entries:      {entries}")]);
    let hoster = show(&stage.path("hoster/archive/hoster.log.jsonl")).unwrap();
    says(
        &hoster,
        &[
            "cyd, eve, gus presented their shares",
            "was given, by which the keys become primary; before, primary were: none",
            " was destroyed, after the acceptance ",
        ],
    );
    broken_log(stage, entries);
}

/// A log is told up to the line where it breaks, and the program ends as refused.
fn broken_log(stage: &Stage, entries: usize) {
    let whole = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let path = stage.path("broken.jsonl");
    let told = |text: String, rule: &str, line: usize| {
        fs::write(&path, text).unwrap();
        let ended: Ended = stage.auditor(&["show", "broken.jsonl"]);
        let out = ended.out.clone();
        let at = ended.err.clone();
        ended.refused(rule);
        let last = out.lines().rfind(|line| line.starts_with("    ")).unwrap_or_default();
        assert!(last.trim_start().starts_with(&format!("{} ", line - 1)), "{out}{at}");
        says(
            &out,
            &[&format!(
                "HERE THE RECORD BREAKS: what follows in the file is not told, and what was told may have been cut ({rule})"
            )],
        );
        assert!(
            at.contains(&format!("line {line}")) || at.contains(&format!("entry {line}")),
            "{at}"
        );
    };
    told([&lines[..3], &lines[4..]].concat().concat(), "LOG-CHAIN", 4);
    told(whole.replacen("\"attempt\":1", "\"attempt\": 1", 1), "LOG-FORMAT", 2);
    told(whole[..whole.len() - 1].to_owned(), "LOG-FORMAT", entries);
    let changed = whole.replacen("share-confirm", "share-reissue", 1);
    let line = 1 + whole.lines().position(|line| line.contains("share-confirm")).unwrap();
    told(changed, "LOG-FORMAT", line);
}
