//! The reader of lines accepts what one that takes its time accepts, and nothing else.

use serde_json::Value;

use super::{
    line::{Parser, is_time},
    *,
};
use crate::{
    plan::{Mode, Side},
    room::Remark,
};

/// The reader as the format has it, word for word: into a tree, encoded again, compared.
fn slowly(line: &[u8], before: Head) -> Result<Entry> {
    let number = before.seq + 1;
    let format = |found: String| format_error("log", number, found);
    let body = &line[..line.len() - 1];
    let value: Value = serde_json::from_slice(body).map_err(|error| format(error.to_string()))?;
    check_values(&value).map_err(format)?;
    if serde_json::to_vec(&value).ok().as_deref() != Some(body) {
        return Err(format("not in canonical form".into()));
    }
    let Value::Object(mut fields) = value else {
        return Err(format("not an object".into()));
    };
    let mut text = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format(format!("no text in {field:?}"))),
    };
    let (prev, time) = (text("prev")?, text("time")?);
    let seq = fields.remove("seq").and_then(|seq| seq.as_u64());
    if seq != Some(number) || prev != before.hash.to_string() {
        return Err(Rule::LogChain.refuse(prev, before.hash.to_string(), ""));
    }
    if !is_time_slowly(&time) {
        return Err(format(format!("the time {time:?}")));
    }
    let event =
        serde_json::from_value(Value::Object(fields)).map_err(|error| format(error.to_string()))?;
    let hash = Hash::of(line);
    Ok(Entry { head: Head { seq: number, hash }, time, event })
}

fn check_values(value: &Value) -> std::result::Result<(), String> {
    match value {
        Value::String(_) | Value::Bool(_) => Ok(()),
        Value::Number(number) if number.as_u64().is_some_and(|number| number <= 1 << 53) => Ok(()),
        Value::Array(list) => list.iter().try_for_each(check_values),
        Value::Object(fields) if fields.keys().all(|name| name.is_ascii()) => {
            fields.values().try_for_each(check_values)
        }
        other => Err(format!("the value {other}")),
    }
}

fn is_time_slowly(text: &str) -> bool {
    text.len() == 20 && text.parse::<jiff::Timestamp>().is_ok_and(|time| time.to_string() == text)
}

/// Both readers say the same of a line: the entry, or the rule that refuses it; and after another
/// line, where only the form decides which rule that is, whatever the event.
#[track_caller]
fn agree(parser: &mut Parser, line: &[u8], before: Head) -> bool {
    let elsewhere = Head { seq: 1 << 60, ..before };
    judge(parser, line, elsewhere);
    judge(parser, line, before)
}

#[track_caller]
fn judge(parser: &mut Parser, line: &[u8], before: Head) -> bool {
    let said = |entry: Result<Entry>| {
        entry.map(|entry| (entry.head, entry.time, entry.event)).map_err(|error| error.rule())
    };
    let (quick, slow) = (said(parser.parse(line, before, "log")), said(slowly(line, before)));
    assert_eq!(quick, slow, "{}", String::from_utf8_lossy(line));
    quick.is_ok()
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn line_of(event: &Event, before: Head) -> Vec<u8> {
    let mut fields = serde_json::to_value(event).unwrap();
    fields["prev"] = before.hash.to_string().into();
    fields["seq"] = (before.seq + 1).into();
    fields["time"] = "2026-11-24T00:56:45Z".into();
    format!("{fields}\n").into_bytes()
}

/// Lines of every form that events have: texts with escapes, arrays, objects in them, booleans,
/// integers.
fn lines() -> Vec<(Vec<u8>, Head)> {
    let signed = |id: &str| crate::signature::Signed {
        id: id.parse().unwrap(),
        signature: Hash::of(id.as_bytes()),
    };
    let token = crate::document::parts::TokenIdentity {
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
        Event::Note {
            remark: Remark::Remark {
                text: "tab\tquote\" back\\slash\u{8}\u{c}\r\n\u{1f}/\u{0}é€😀\u{202e}".into(),
            },
        },
        Event::KeysCreate { document: None, attested: None, token, keys: vec![key] },
        Event::Repair { bytes: 1 << 53, hash: Hash::of(b"3") },
        Event::Refusal { rule: Rule::LogChain, found: String::new() },
    ];
    let mut before = GENESIS;
    let line = |event: &Event| {
        let (line, at) = (line_of(event, before), before);
        before = Head { seq: at.seq + 1, hash: Hash::of(&line) };
        (line, at)
    };
    events.iter().map(line).collect()
}

/// Pieces of JSON that are nearly right.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "\\\"",
    "\\u0000",
    "\\u001F",
    "\\u001f",
    "\\u0008",
    "\\b",
    "\\/",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud800",
    " ",
    "\t",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "00",
    "-0",
    "-1",
    "1.0",
    "1e3",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551616",
    "\u{1}",
    "\u{7f}",
    "é",
    "\u{fffd}",
    "\"a\":1,",
    "\"zz\":{\"b\":1,\"a\":2}",
    "\"zz\":{\"a\":1,\"b\":[true,{\"\":\"\"}]}",
    ",\"zz\":1",
    "\"\\u0001\":1,",
    "\"é\":1,",
    "\"text\":",
    "\"seq\":2",
    "\"event\":\"note\",",
    "\"event\":\"note\",\"prev\":\"\",",
    "\r",
    "\n",
];

fn mutated(line: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = line[..line.len() - 1].to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(12)).min(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let piece = PIECES[random.below(PIECES.len())].bytes();
                drop(bytes.splice(at..at, piece));
            }
            3 => {
                let piece = PIECES[random.below(PIECES.len())].bytes();
                drop(bytes.splice(at..to, piece));
            }
            4 => {
                let from = random.below(other.len());
                let end = (from + random.below(40)).min(other.len());
                drop(bytes.splice(at..at, other[from..end].to_vec()));
            }
            _ => bytes = bytes[..at].to_vec(),
        }
    }
    bytes.push(b'\n');
    bytes
}

#[test]
fn thousands_of_damaged_lines_are_taken_and_refused_as_by_the_slow_reader() {
    let (lines, mut random, mut parser) = (lines(), Random(0x6b65_7966), Parser::default());
    let mut taken = 0;
    for (line, before) in &lines {
        assert!(agree(&mut parser, line, *before));
        for _ in 0..6000 {
            let other = &lines[random.below(lines.len())].0;
            let damaged = mutated(line, other, &mut random);
            taken += usize::from(agree(&mut parser, &damaged, *before));
        }
    }
    // Changes inside a text make another line, not a wrong one: both verdicts were compared.
    assert!((300..29_000).contains(&taken), "{taken} were taken");
}

#[test]
fn every_single_byte_of_a_line_changed_to_every_other_is_judged_alike() {
    let mut parser = Parser::default();
    for (line, before) in lines() {
        for at in 0..line.len() - 1 {
            for byte in 0..=255u8 {
                let mut changed = line.clone();
                changed[at] = byte;
                agree(&mut parser, &changed, before);
            }
        }
    }
}

/// A refusal whose finding is another value, or beside which stands one more field.
#[test]
fn the_edges_of_the_form_are_judged_alike() {
    let mut parser = Parser::default();
    let found = |value: &str| {
        let prev = GENESIS.hash;
        format!(
            "{{\"event\":\"refusal\",\"found\":{value},\"prev\":\"{prev}\",\"rule\":\"LOG-CHAIN\",\"seq\":1,\"time\":\"2026-11-24T00:56:45Z\"}}\n"
        )
    };
    assert!(agree(&mut parser, found("\"\"").as_bytes(), GENESIS));
    for piece in PIECES {
        for value in [
            piece.to_string(),
            format!("\"{piece}\""),
            format!("[{piece}]"),
            format!("{{\"a\":{piece}}}"),
            format!("{{\"{piece}\":1}}"),
            format!("{{\"{piece}\":1,\"{piece}\":1}}"),
            format!("{{\"\\\"\":1,\"{piece}\":1}}"),
            format!("{{\"{piece}\":1,\"\\\\\":1}}"),
        ] {
            agree(&mut parser, found(&value).as_bytes(), GENESIS);
        }
    }
    for depth in 120..132 {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let value = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            agree(&mut parser, found(&value).as_bytes(), GENESIS);
        }
    }
    // Many beside each other are not in each other.
    for one in ["[]", "{}", "{\"a\":[]}"] {
        let value = format!("[{}]", [one; 200].join(","));
        agree(&mut parser, found(&value).as_bytes(), GENESIS);
    }
    for line in ["\n", "1\n", "\"\"\n", "[]\n", "{}\n", "null\n", "{}{}\n", "{} \n", " {}\n"] {
        agree(&mut parser, line.as_bytes(), GENESIS);
    }
    agree(&mut parser, b"{\"\xff\":1}\n", GENESIS);
}

#[test]
fn names_are_ordered_by_what_they_mean() {
    let mut parser = Parser::default();
    let names = ["\\u0001", "\\t", " ", "\\\"", "A", "\\\\", "a", "\u{7f}"];
    for first in names {
        for second in names {
            let line = format!("{{\"{first}\":1,\"{second}\":1}}\n");
            agree(&mut parser, line.as_bytes(), GENESIS);
            let whole = format!(
                "{{\"event\":\"note\",\"prev\":\"{}\",\"seq\":1,\"text\":{{\"{first}\":1,\"{second}\":1}},\"time\":\"2026-11-24T00:56:45Z\"}}\n",
                GENESIS.hash
            );
            agree(&mut parser, whole.as_bytes(), GENESIS);
        }
    }
}

#[test]
fn moments_are_those_of_the_time_library() {
    let same = |text: &str| assert_eq!(is_time(text), is_time_slowly(text), "{text}");
    for year in (0..=9999).step_by(7).chain([0, 4, 100, 400, 1900, 1972, 2000, 2100, 9996, 9999]) {
        for month in 0..=13 {
            for day in [0, 1, 27, 28, 29, 30, 31, 32] {
                same(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
            }
        }
    }
    for hour in [0, 9, 21, 22, 23, 24, 99] {
        for minute in [0, 59, 60, 99] {
            for second in [0, 1, 59, 60, 61, 99] {
                for day in ["2016-12-31", "9999-12-30", "9999-12-31", "0000-01-01"] {
                    same(&format!("{day}T{hour:02}:{minute:02}:{second:02}Z"));
                }
            }
        }
    }
    let right = "2026-11-24T00:56:45Z";
    assert!(is_time(right));
    for at in 0..right.len() {
        for byte in 0..128u8 {
            let mut changed = right.as_bytes().to_vec();
            changed[at] = byte;
            same(std::str::from_utf8(&changed).unwrap());
        }
        same(&right[..at]);
    }
    same("2026-11-24T00:56:45+00:00Z");
    same("-009999-01-02T01:59:59");
}
