//! The chain, attacked.

use super::*;
use crate::room::Remark;

fn note(text: &str) -> Event {
    Event::Note { remark: Remark::Remark { text: text.into() } }
}

fn count(bytes: &[u8]) -> Result<u64> {
    read(bytes, "log", |_| Ok(())).map(|end| end.head.seq)
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
        let end = read(flipped.as_slice(), "log", |_| Ok(()));
        // Of the last line the chain says nothing: its hash is held by documents and signed heads.
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let before = three_heads(&whole);
        assert!(
            end.is_err() || (bit / 8 >= last && end.is_ok_and(|end| end.head != before)),
            "bit {bit} was not noticed"
        );
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let error = count(&[lines[0], lines[2]].concat()).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::LogChain));
    assert!(error.to_string().contains("line 2"), "{error}");
}

fn three_heads(whole: &[u8]) -> Head {
    read(whole, "log", |_| Ok(())).unwrap().head
}

#[test]
fn only_one_encoding_of_an_entry_is_accepted() {
    let (_folder, whole) = three_entries();
    let line = String::from_utf8(whole).unwrap().lines().next().unwrap().to_owned();
    for other in [
        line.replace("\"seq\":1", "\"seq\":1.0"),
        line.replace("\"seq\":1", "\"seq\": 1"),
        line.replace("\"seq\":1", "\"seq\":1,\"seq\":1"),
        line.replace("one", "\\u006fne"),
        line.replace("\"seq\":1", "\"extra\":true,\"seq\":1"),
        line.replace("note", "unheard-of"),
    ] {
        assert_ne!(other, line);
        assert_eq!(
            count(format!("{other}\n").as_bytes()).unwrap_err().rule(),
            Some(Rule::LogFormat),
            "{other}"
        );
    }
}
