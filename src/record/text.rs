//! What editors, shells and mail programs do to a text on its way.

use crate::with_commands;

/// A text as it was meant: UTF-8, or UTF-16 with the mark by which Windows begins it; no byte order
/// mark, and line ends as they are. None where the bytes are no text.
pub fn decoded(bytes: &[u8]) -> Option<String> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        // Room from the start: a secret leaves no copy behind by growing.
        let mut text = String::with_capacity(2 * rest.len());
        for c in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
            text.push(c.ok()?);
        }
        Some(text).filter(|_| odd.is_empty())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => std::str::from_utf8(rest).ok().map(str::to_owned),
    }
}

/// What was done to a text that is signed byte for byte, and so can't be taken as it was meant:
/// the place of it in bytes, and what to call it.
pub fn altered(bytes: &[u8]) -> Option<(usize, &'static str)> {
    let zeros = bytes.iter().take(64).filter(|byte| **byte == 0).count();
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some((0, "UTF-16, as Windows saves it")),
        [0xef, 0xbb, 0xbf, ..] => return Some((0, "a byte order mark (BOM) at its beginning")),
        _ if zeros > 8 => return Some((0, "UTF-16 without a mark, or no text")),
        _ => {}
    }
    let mark = [0xef, 0xbb, 0xbf];
    let carriage = bytes.iter().position(|byte| *byte == b'\r').map(|at| {
        let line_end = bytes.get(at + 1) == Some(&b'\n');
        (at, if line_end { "line ends of Windows (CR LF)" } else { "a carriage return" })
    });
    let marked = bytes.windows(mark.len()).position(|some| *some == mark);
    carriage.or(marked.map(|at| (at, "a byte order mark (BOM) inside it")))
}

/// The first quotation mark or dash that an editor has made of a plain one.
pub fn typographic(text: &str) -> Option<char> {
    text.chars().find(
        |c| matches!(c, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2010}'..='\u{2015}'),
    )
}

/// How a text is saved so that it stays what it is.
pub fn how_to_save() -> String {
    with_commands(SAVE)
}

const SAVE: &str = "UTF-8 without a byte order mark, lines that end with LF, straight quotes; in \
    Windows' Notepad choose the encoding UTF-8 (not with BOM), and carry files as files, never through an editor or mail text. \
    A copy without carriage returns: {tr -d '\\r' < FILE > NEW}; of UTF-16: {iconv -f UTF-16 -t UTF-8 FILE > NEW}";
