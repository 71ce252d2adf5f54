//! The log: a torn end is mended and said; every other damage is refused with its line.

use super::*;

#[test]
fn a_torn_end_is_mended_and_said() {
    let stage = Stage::at(Done::OfferCheck);
    let path = stage.path("tenant/log.jsonl");
    let whole = fs::read(&path).unwrap();
    let torn = br#"{"event":"intent","att"#;
    fs::write(&path, [&whole[..], torn].concat()).unwrap();
    stage.tenant(&["kek", "trust", "--so-pin-file", "so-pin"]).ok();
    let log = fs::read_to_string(&path).unwrap();
    let added = log.strip_prefix(std::str::from_utf8(&whole).unwrap()).unwrap();
    let repair: serde_json::Value = serde_json::from_str(added.lines().next().unwrap()).unwrap();
    assert_eq!(repair["event"], "repair");
    assert_eq!(repair["bytes"], torn.len());
    assert_eq!(repair["hash"], Hash::of(torn).to_string());
}

#[test]
fn every_other_damage_is_refused_with_its_line() {
    let stage = Stage::at(Done::TenantClose);
    for side in ["tenant", "hoster"] {
        let path = stage.path(&format!("{side}/log.jsonl"));
        let whole = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let last = lines.len();
        let without = |n: usize| [&lines[..n - 1], &lines[n..]].concat().concat();
        let twice = |n: usize| [&lines[..n], &lines[n - 1..]].concat().concat();
        let spaced =
            |n: usize| whole.replacen(lines[n - 1], &lines[n - 1].replacen(':', ": ", 1), 1);
        let renamed = |n: usize| {
            whole.replacen(
                lines[n - 1],
                &lines[n - 1].replacen("\"event\":\"", "\"event\":\"x", 1),
                1,
            )
        };
        // An entry's time, by some seconds.
        let later = |n: usize| {
            let (line, end) = (lines[n - 1], lines[n - 1].len());
            let digit = if &line[end - 5..end - 4] == "7" { "8" } else { "7" };
            let line = [&line[..end - 5], digit, &line[end - 4..]].concat();
            [&lines[..n - 1], &[&line], &lines[n..]].concat().concat()
        };
        for (damaged, rule, line) in [
            (without(1), "LOG-CHAIN", 1),
            (without(3), "LOG-CHAIN", 3),
            (twice(2), "LOG-CHAIN", 3),
            (twice(last), "LOG-CHAIN", last + 1),
            (spaced(4), "LOG-FORMAT", 4),
            (renamed(last), "LOG-FORMAT", last),
            (format!("{whole}\n"), "LOG-FORMAT", last + 1),
            (format!("{whole}x\n"), "LOG-FORMAT", last + 1),
            (whole.replacen("\"seq\":2,", "\"seq\":3,", 1), "LOG-CHAIN", 2),
            // The line itself still reads; the next one knows its hash.
            (later(2), "LOG-CHAIN", 3),
        ] {
            assert_ne!(damaged, whole);
            fs::write(&path, damaged).unwrap();
            let text = refused_unopened(&stage, side, &["status"], rule);
            assert!(text.contains(&format!("line {line}:")), "expected line {line}: {text}");
        }
        fs::write(&path, whole).unwrap();
        stage.side(side, &["status"]).ok();
    }
    // The other side's folder is not this side's.
    fs::rename(stage.path("tenant"), stage.path("aside")).unwrap();
    fs::rename(stage.path("hoster"), stage.path("tenant")).unwrap();
    refused_unopened(&stage, "tenant", &["status"], "LOG-EVENT");
}

#[test]
fn a_preflight_adds_nothing_to_a_log_that_is_closed() {
    let stage = Stage::at(Done::HosterClose);
    let before = Before::of(&stage, "hoster");
    stage.hoster(&["preflight"]).ok();
    assert_eq!(Before::of(&stage, "hoster"), before);
}
