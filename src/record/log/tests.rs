//! The chain, attacked; and every form of an entry but the one that it has.

use super::*;
use crate::{Mode, Remark, Side};

fn note(text: &str) -> Event {
    Event::Note { remark: Remark::Remark { text: text.into() } }
}

fn end(bytes: &[u8]) -> Result<Head> {
    entries(bytes, "log").try_fold(GENESIS, |_, entry| Ok(entry?.head))
}

fn count(bytes: &[u8]) -> Result<u64> {
    end(bytes).map(|head| head.seq)
}

fn three_entries() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::create(folder.path()).unwrap();
    for text in ["one", "tab\tquote\"\u{1f}é€😀", "three"] {
        log.append(note(text)).unwrap();
    }
    let bytes = log.bytes().unwrap();
    (folder, bytes)
}

#[test]
fn a_torn_tail_is_mended_and_said_and_nothing_else_is() {
    let (folder, whole) = three_entries();
    let path = folder.path().join(LOG_FILE);
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in last + 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut events = Vec::new();
        let log = Log::open(folder.path(), |entry| {
            events.push(entry.event);
            Ok(())
        })
        .unwrap();
        assert_eq!(log.head().seq, 3, "two whole entries and the repair");
        assert!(
            matches!(events.last(), Some(Event::Repair { bytes, .. }) if *bytes == (cut - last) as u64)
        );
    }
}

#[test]
fn every_flipped_bit_and_every_missing_line_is_refused() {
    let (_folder, whole) = three_entries();
    assert_eq!(count(&whole).unwrap(), 3);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let head = end(&flipped);
        // Of the last line the chain says nothing: its hash is held by documents and signed heads.
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let before = end(&whole).unwrap();
        assert!(
            head.is_err() || (bit / 8 >= last && head.is_ok_and(|head| head != before)),
            "bit {bit} was not noticed"
        );
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let error = count(&[lines[0], lines[2]].concat()).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::LogChain));
    assert!(error.to_string().contains("line 2"), "{error}");
}

/// A whole log of one entry, a refusal that found this text as it stands in the line.
fn found(text: &str) -> String {
    format!(
        "{{\"event\":\"refusal\",\"found\":\"{text}\",\"prev\":\"{}\",\"rule\":\"LOG-CHAIN\",\"seq\":1,\"time\":\"2026-11-24T00:56:45Z\"}}\n",
        "0".repeat(64)
    )
}

#[track_caller]
fn refused(log: impl AsRef<[u8]>, rule: Rule) {
    let log = log.as_ref();
    let error = match end(log) {
        Ok(_) if torn(log).is_empty() => panic!("taken: {}", String::from_utf8_lossy(log)),
        Ok(_) => panic!("torn: {}", String::from_utf8_lossy(log)),
        Err(error) => error,
    };
    assert_eq!(error.rule(), Some(rule), "{}: {error}", String::from_utf8_lossy(log));
    assert!(error.to_string().contains("log, line 1: "), "{error}");
}

#[test]
fn an_entry_has_one_form() {
    let line = found("");
    assert_eq!(count(line.as_bytes()).unwrap(), 1);
    for (from, to) in [
        // Blanks.
        ("\"seq\":1", "\"seq\": 1"),
        ("\"seq\":1", "\"seq\" :1"),
        ("\"seq\":1,", "\"seq\":1, "),
        ("{\"event\"", "{ \"event\""),
        ("{\"event\"", " {\"event\""),
        ("{\"event\"", "\t{\"event\""),
        ("{\"event\"", "\u{feff}{\"event\""),
        ("Z\"}", "Z\" }"),
        ("Z\"}", "Z\"} "),
        ("Z\"}", "Z\"}\r"),
        // The order of names, and one twice.
        ("\"event\":\"refusal\",\"found\":\"\"", "\"found\":\"\",\"event\":\"refusal\""),
        ("\"found\":\"\",", "\"found\":\"\",\"found\":\"\","),
        ("\"event\":\"refusal\",", "\"event\":\"refusal\",\"event\":\"refusal\","),
        ("\"seq\":1", "\"seq\":1,\"seq\":1"),
        ("\"seq\":1", "\"seq\":2,\"seq\":1"),
        ("\"found\"", "\"\\u0066ound\""),
        ("\"seq\"", "\"s\\u0065q\""),
        // Numbers.
        ("\"seq\":1", "\"seq\":1.0"),
        ("\"seq\":1", "\"seq\":1e0"),
        ("\"seq\":1", "\"seq\":01"),
        ("\"seq\":1", "\"seq\":-1"),
        ("\"seq\":1", "\"seq\":\"1\""),
        ("\"seq\":1", "\"seq\":9007199254740993"),
        ("\"seq\":1", "\"seq\":18446744073709551616"),
        // Fields that are not the event's, none, and values that are nothing.
        ("\"found\"", "\"extra\":true,\"found\""),
        ("\"found\"", "\"extra\":{\"a\":[1,{}]},\"found\""),
        ("\"found\"", "\"\\u00e9\":1,\"found\""),
        ("\"found\"", "\"é\":1,\"found\""),
        ("\"found\":\"\",", ""),
        ("\"found\":\"\"", "\"found\":null"),
        ("\"found\":\"\"", "\"found\":[]"),
        ("\"event\":\"refusal\",", ""),
        ("\"seq\":1,", ""),
        (",\"time\":\"2026-11-24T00:56:45Z\"", ""),
        ("\"refusal\"", "\"unheard-of\""),
        ("\"refusal\"", "7"),
        ("LOG-CHAIN", "LOG-UNHEARD-OF"),
        // More than an object, or less.
        ("Z\"}", "Z\"}{}"),
        ("Z\"}", "Z\"}}"),
        ("Z\"}", "Z\""),
    ] {
        let other = line.replacen(from, to, 1);
        assert_ne!(other, line, "{from}");
        refused(other, Rule::LogFormat);
    }
    for whole in ["\n", "1\n", "\"\"\n", "[]\n", "{}\n", "null\n", "{}{}\n", "\r\n"] {
        refused(whole, Rule::LogFormat);
    }
    for (at, byte) in [(0, 0xff), (30, 0xff), (40, 0x80), (line.len() - 3, 0xc3)] {
        let mut bytes = line.clone().into_bytes();
        bytes[at] = byte;
        refused(bytes, Rule::LogFormat);
    }
}

#[test]
fn a_text_has_one_form() {
    let text = r#"\"\\/\b\t\n\f\r\u0000\u000b\u001f é€😀"#.to_owned() + "\u{7f}\u{202e}\u{fffd}";
    let line = found(&text);
    let read: Vec<Entry> = entries(line.as_bytes(), "log").map(Result::unwrap).collect();
    let [Entry { head, event, .. }] = &read[..] else { panic!("{read:?}") };
    assert_eq!(head.hash, Hash::of(line.as_bytes()));
    let meant = "\"\\/\u{8}\t\n\u{c}\r\0\u{b}\u{1f} é€😀\u{7f}\u{202e}\u{fffd}".to_owned();
    assert_eq!(*event, Event::Refusal { rule: Rule::LogChain, found: meant });
    for other in [
        r"\/",
        r"\u0008",
        r"\u0009",
        r"\u000a",
        r"\u0022",
        r"\u005c",
        r"\u001F",
        r"\u000B",
        r"\u0041",
        r"\u007f",
        r"\u00e9",
        r"\ud83d\ude00",
        r"\ud800",
        r"\x41",
        r"\u00",
        r"\",
        "\t",
        "\0",
        "\u{1f}",
        "\"",
    ] {
        refused(found(other), Rule::LogFormat);
    }
}

/// What the writer leaves out, or never writes, no line has.
#[test]
fn what_is_left_out_is_not_written_out() {
    let line = |event: &str| {
        format!(
            "{{{event}\"prev\":\"{}\",\"seq\":1,\"time\":\"2026-11-24T00:56:45Z\"}}\n",
            "0".repeat(64)
        )
    };
    let confirm =
        |deputy: &str| line(&format!("\"custodian\":\"cyd\",{deputy}\"event\":\"share-confirm\","));
    for taken in ["", "\"deputy\":true,"] {
        assert_eq!(count(confirm(taken).as_bytes()).unwrap(), 1, "{taken}");
    }
    for deputy in [
        "\"deputy\":false,",
        "\"deputy\":null,",
        "\"deputy\":1,",
        "\"deputy\":true,\"deputy\":true,",
    ] {
        refused(confirm(deputy), Rule::LogFormat);
    }
    let repair = |bytes: &str| {
        line(&format!("\"bytes\":{bytes},\"event\":\"repair\",\"hash\":\"{}\",", "0".repeat(64)))
    };
    for taken in ["0", "9007199254740992"] {
        assert_eq!(count(repair(taken).as_bytes()).unwrap(), 1, "{taken}");
    }
    for bytes in ["9007199254740993", "18446744073709551615", "-0", "-1", "1.5", "1e3", "00"] {
        refused(repair(bytes), Rule::LogFormat);
    }
    let note = |remark: &str| {
        line("\"event\":\"note\",").replacen("\"seq\"", &format!("\"remark\":{remark},\"seq\""), 1)
    };
    assert_eq!(count(note("{\"kind\":\"remark\",\"text\":\"\"}").as_bytes()).unwrap(), 1);
    for remark in [
        "{\"text\":\"\",\"kind\":\"remark\"}",
        "{\"kind\":\"remark\",\"text\":\"\",\"who\":\"\"}",
        "{\"kind\":\"break\",\"stayed\":[],\"text\":\"\"}",
        "[\"remark\",\"\"]",
    ] {
        refused(note(remark), Rule::LogFormat);
    }
    // An array of the values in the place of an object.
    let release = |signed: &str| {
        line(&format!(
            "\"document\":\"{0}\",\"event\":\"release\",\"kind\":\"offer\",",
            "0".repeat(64)
        ))
        .replacen("\"time\"", &format!("\"signatures\":[{signed}],\"time\""), 1)
    };
    let zeros = "0".repeat(64);
    let signed = format!("{{\"id\":\"ada\",\"signature\":\"{zeros}\"}}");
    assert_eq!(count(release(&signed).as_bytes()).unwrap(), 1);
    refused(release(&format!("[\"ada\",\"{zeros}\"]")), Rule::LogFormat);
}

#[test]
fn only_the_line_before_is_before() {
    let line = found("");
    for (from, to) in [
        ("\"seq\":1", "\"seq\":0".to_owned()),
        ("\"seq\":1", "\"seq\":2".to_owned()),
        ("\"seq\":1", format!("\"seq\":{}", 1u64 << 53)),
        ("000\",", "001\",".to_owned()),
        ("\"prev\":\"0", "\"prev\":\"".to_owned()),
        ("\"prev\":\"0", "\"prev\":\"A".to_owned()),
    ] {
        let other = line.replacen(from, &to, 1);
        assert_ne!(other, line);
        refused(other, Rule::LogChain);
    }
}

#[test]
fn now_is_a_whole_second_that_has_begun() {
    let before = Timestamp::now().as_second();
    let now: Timestamp = super::now().unwrap().parse().unwrap();
    assert!((before..=Timestamp::now().as_second()).contains(&now.as_second()));
    assert_eq!(now.subsec_nanosecond(), 0);
    let late = "2026-11-24T00:56:45.999999999Z".parse::<Timestamp>().unwrap();
    assert_eq!(format!("{late:.0}"), "2026-11-24T00:56:45Z");
}

#[test]
fn a_time_is_a_moment_in_the_one_form() {
    let at = |time: &str| found("").replace("2026-11-24T00:56:45Z", time);
    for time in ["2026-11-24T00:56:45Z", "2024-02-29T23:59:59Z", "0000-01-01T00:00:00Z"] {
        assert_eq!(count(at(time).as_bytes()).unwrap(), 1, "{time}");
    }
    for time in [
        "",
        "2026-11-24 00:56:45Z",
        "2026-11-24T00:56:45z",
        "2026-11-24T00:56:45",
        "2026-11-24T00:56:45.0Z",
        "2026-11-24T00:56:45+00:00",
        "2026-11-24T00:56Z",
        "20261124T005645Z",
        "2026-11-24T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-11-24T00:60:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "-009999-01-02T01:59:59Z",
        "9999-12-31T23:59:59Z",
        "today",
    ] {
        refused(at(time), Rule::LogFormat);
    }
}

/// Nothing that a line holds costs more than its refusal.
#[test]
fn deep_and_long_lines_are_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 126, 127, 128, 100_000] {
            let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
            refused(found("").replacen("\"\"", &value, 1), Rule::LogFormat);
            refused(format!("{value}\n"), Rule::LogFormat);
            refused(format!("{}\n", open.repeat(depth)), Rule::LogFormat);
        }
    }
    let longest = MAX_LINE - 1 - found("").len();
    assert_eq!(count(found(&"x".repeat(longest)).as_bytes()).unwrap(), 1);
    refused(found(&"x".repeat(longest + 1)), Rule::LogFormat);
    refused("x".repeat(MAX_LINE), Rule::LogFormat);
}

/// Nobody's limit stops a side in the middle of its ceremony; but no line that nobody can read is
/// ever written.
#[test]
fn a_sides_own_log_may_be_longer_than_any_that_comes_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::create(folder.path()).unwrap();
    let text = "x".repeat(MAX_LINE - 1000);
    while log.bytes().unwrap().len() as u64 <= MAX_LOG {
        log.append(note(&text)).unwrap();
    }
    let head = log.append(note("and on")).unwrap().head;
    let before = log.bytes().unwrap();
    for event in [note(&"x".repeat(MAX_LINE)), Event::Repair { bytes: 1 << 54, hash: head.hash }] {
        assert!(matches!(log.append(event), Err(Error::Failed { .. })));
    }
    assert_eq!(log.bytes().unwrap(), before);
    drop(log);
    assert_eq!(Log::open(folder.path(), |_| Ok(())).unwrap().head(), head);
}

/// Each event that has something else than texts and hashes comes back as it was written.
#[test]
fn what_is_written_is_what_is_read() {
    let signed = |id: &str| crate::signature::Signed {
        id: id.parse().unwrap(),
        signature: Hash::of(id.as_bytes()),
    };
    let token = crate::terms::TokenIdentity {
        manufacturer: "SoftHSM project".into(),
        model: "v2 \u{1}\u{7f}\u{e000}".into(),
        serial: "é\\€😀".into(),
        firmware: "2.6".into(),
        label: String::new(),
    };
    let key = KeyRecord {
        label: "hgs-signing".parse().unwrap(),
        spki: Hash::of(b"1"),
        certificate: Hash::of(b"2"),
        made: true,
    };
    let events = [
        Event::Init {
            ceremony: "contoso".parse().unwrap(),
            mode: Mode::Rehearsal,
            side: Side::Tenant,
            plan: Hash::of(b"plan"),
            way: Default::default(),
            waived: vec![Rule::WrapOaepSha1],
            signatures: vec![signed("ada"), signed("hugo")],
            version: "0.1.0".into(),
            superseded: None,
            trial: None,
        },
        note("tab\tquote\" back\\slash\u{8}\u{c}\r\n\u{1f}/\u{0}é€😀\u{202e}"),
        Event::KeysCreate { document: None, attested: None, token, keys: vec![key] },
        Event::Repair { bytes: 1 << 53, hash: Hash::of(b"3") },
        Event::Refusal { rule: Rule::LogChain, found: String::new() },
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::create(folder.path()).unwrap();
    let written: Vec<Entry> =
        events.iter().map(|event| log.append(event.clone()).unwrap()).collect();
    let bytes = log.bytes().unwrap();
    let back = entries(&bytes, "log").map(Result::unwrap);
    let back: Vec<_> = back.map(|entry| (entry.head, entry.time, entry.event)).collect();
    let written = written.into_iter().map(|entry| (entry.head, entry.time, entry.event));
    assert_eq!(back, written.collect::<Vec<_>>());
    assert_eq!(back.into_iter().map(|(_, _, event)| event).collect::<Vec<_>>(), events);
}
