//! Share and identity files that were changed on the way and still hold the same: line ends, white
//! space, a byte order mark, another encoding, the armour. They are read as they were made.

use data_encoding::BASE64;
use record::text;
use zeroize::Zeroizing;

use crate::custodian::{ARMOUR, with_armour};
use record::Result;

/// How an age file ends in ASCII armour.
const END: &str = "-----END AGE ENCRYPTED FILE-----";
/// How an age file begins that has none.
const BARE: &[u8] = b"age-encryption.org/v1\n";

/// An age file in the one form in which Keyferry makes it, whatever carried it. None where it is no
/// age file.
///
/// # Errors
/// As [`with_armour`].
pub fn as_made(file: &[u8]) -> Result<Option<Vec<u8>>> {
    let inside = match file.starts_with(BARE) {
        true => Some(file.to_vec()),
        false => text::decoded(file).and_then(|text| without_lines(&text)),
    };
    inside.filter(|inside| inside.starts_with(BARE)).map(|inside| with_armour(&inside)).transpose()
}

/// What is inside the armour.
fn without_lines(text: &str) -> Option<Vec<u8>> {
    let begin = std::str::from_utf8(ARMOUR).ok()?;
    let body = text.trim().strip_prefix(begin)?.strip_suffix(END)?;
    let body: String = body.split_whitespace().collect();
    BASE64.decode(body.as_bytes()).ok()
}

/// What was done to an age file that is not as it was made.
pub fn what(file: &[u8]) -> &'static str {
    match text::altered(file) {
        _ if file.starts_with(BARE) => "without its armour",
        Some((_, what)) => what,
        None => "other line ends or white space",
    }
}

/// A plain identity file, line by line, without what an editor puts around a line. None where it is
/// no text.
pub fn identity_lines(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text::decoded(file)?);
    let mut lines = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    for line in text.lines() {
        lines.extend_from_slice(line.trim().as_bytes());
        lines.push(b'\n');
    }
    Some(lines)
}
