//! Bytes as lines that people type from paper: 15 bytes a line, in base32 (RFC 4648, 6) in groups
//! of four, and a group that checks the line, so that a slip is found where it was made.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::codes::frames::{self, PREFIX};
use record::encoding::{Hash, hash};
use record::rule::Rule;
use record::{Error, Result};
use terminal::answer::{Answer, Question};
use terminal::texts::Texts;
use terminal::{Asker, ended};

/// The bytes of a line.
const BYTES: usize = 15;
/// The characters of a line, without the check.
const CHARACTERS: usize = 24;
/// The characters of the check: 20 bits.
const CHECK: usize = 4;
/// How much of the hash of the whole ends it, in bytes.
const END: usize = 4;
/// The greatest number of bytes that are written in lines.
pub const MOST: usize = 4096;

/// The lines of these bytes, each as it is printed: `ABCD EFGH IJKL MNOP QRST UVWX  2345`, without
/// its number.
///
/// # Errors
/// `LINE-FORMAT` for more than [`MOST`] bytes.
pub fn lines(bytes: &[u8]) -> Result<Vec<Zeroizing<String>>> {
    let length = u16::try_from(bytes.len()).ok();
    let length = length.filter(|length| usize::from(*length) <= MOST);
    let length = length.ok_or_else(|| format_error(&format!("{} bytes", bytes.len())))?;
    let mut whole = Zeroizing::new(Vec::with_capacity(2 + bytes.len() + END + BYTES));
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(bytes);
    whole.extend_from_slice(&Hash::of(bytes).0[..END]);
    let padded = whole.len().next_multiple_of(BYTES);
    whole.resize(padded, 0);
    Ok(whole.chunks(BYTES).enumerate().map(|(n, chunk)| line(n + 1, chunk)).collect())
}

fn line(number: usize, chunk: &[u8]) -> Zeroizing<String> {
    let mut data = Zeroizing::new(String::with_capacity(CHARACTERS));
    BASE32_NOPAD.encode_append(chunk, &mut data);
    let mut line = Zeroizing::new(String::with_capacity(2 * CHARACTERS));
    for (n, c) in data.chars().enumerate() {
        if n > 0 && n % 4 == 0 {
            line.push(' ');
        }
        line.push(c);
    }
    line.push_str("  ");
    line.push_str(&check(number, chunk));
    line
}

/// What ends a line: of its number and bytes.
fn check(number: usize, chunk: &[u8]) -> String {
    let hash = hash(c"keyferry/1 line", &[&(number as u32).to_be_bytes(), chunk]);
    BASE32_NOPAD.encode(&hash.0).chars().take(CHECK).collect()
}

/// Lines as they are typed, in their order.
pub struct TypedLines {
    whole: Zeroizing<Vec<u8>>,
    count: usize,
}

impl Default for TypedLines {
    fn default() -> Self {
        TypedLines {
            // Room from the start, so that no copy is left behind by growing.
            whole: Zeroizing::new(Vec::with_capacity(MOST + 2 + END + BYTES)),
            count: 0,
        }
    }
}

impl TypedLines {
    /// The number of the line that comes next, from 1.
    pub fn next(&self) -> usize {
        self.whole.len() / BYTES + 1
    }

    /// How many lines there are; known from the first on.
    pub fn count(&self) -> Option<usize> {
        (self.count > 0).then_some(self.count)
    }

    /// Takes the next line, typed in any case with any blanks and dashes; 0, 1 and 8, which are no
    /// characters of base32, count as O, I and B. The line's own number may stand before it.
    /// Returns whether it was the last.
    ///
    /// # Errors
    /// `LINE-CHECK`, naming the line; the same line can be typed again.
    pub fn take(&mut self, text: &str) -> Result<bool> {
        let number = self.next();
        let chunk = self.parse(number, text)?;
        self.whole.extend_from_slice(&chunk[..]);
        if number == 1 {
            let length = usize::from(u16::from_be_bytes([chunk[0], chunk[1]]));
            self.count = (2 + length + END).div_ceil(BYTES);
            if length > MOST {
                self.whole.clear();
                self.count = 0;
                return Err(format_error(&format!("{length} bytes")));
            }
        }
        Ok(self.whole.len() / BYTES == self.count)
    }

    /// Takes the last line back.
    pub fn take_back(&mut self) {
        let lines = self.next().saturating_sub(2);
        self.whole.truncate(lines * BYTES);
        if lines == 0 {
            self.count = 0;
        }
    }

    fn parse(&self, number: usize, text: &str) -> Result<Zeroizing<[u8; BYTES]>> {
        let check_error = |found: &str| {
            Rule::LineCheck.refuse(
                format!("line {number}: {found}"),
                format!("{CHARACTERS} characters and the {CHECK} that check them, as line {number} of the page has them"),
                format!("look at line {number} once more, character by character, and type it again"),
            )
        };
        let text = text.trim_start();
        let text = match text.split_once([' ', '.', ':']) {
            Some((before, rest)) if before.parse() == Ok(number) && before.len() < 4 => rest,
            _ => text,
        };
        let mut kept = Zeroizing::new(String::with_capacity(CHARACTERS + CHECK + 1));
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            if kept.len() > CHARACTERS + CHECK {
                break;
            }
            kept.push(match c.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                other => other,
            });
        }
        let count = kept.chars().count();
        if count != CHARACTERS + CHECK {
            let more = if count > CHARACTERS + CHECK { "more than " } else { "" };
            return Err(check_error(&format!(
                "{more}{} characters",
                count.min(CHARACTERS + CHECK)
            )));
        }
        let (data, typed) = kept
            .split_at_checked(CHARACTERS)
            .ok_or_else(|| check_error("a character that is none of base32"))?;
        let mut chunk = Zeroizing::new([0; BYTES]);
        BASE32_NOPAD
            .decode_mut(data.as_bytes(), &mut chunk[..])
            .map_err(|_| check_error("a character that is none of base32"))?;
        match check(number, &chunk[..]) == typed {
            true => Ok(chunk),
            false => Err(check_error("a character is not that of the page")),
        }
    }

    /// What was typed.
    ///
    /// # Errors
    /// `LINE-FORMAT` for lines of two pages, or too few.
    pub fn finish(self) -> Result<Zeroizing<Vec<u8>>> {
        let parts = || {
            let (length, rest) = self.whole.split_first_chunk::<2>()?;
            let (bytes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (end, rest) = rest.split_at_checked(END)?;
            let whole = *end == Hash::of(bytes).0[..END] && rest.iter().all(|byte| *byte == 0);
            whole.then(|| Zeroizing::new(bytes.to_vec()))
        };
        parts().ok_or_else(|| format_error("lines of different pages, or not all of them"))
    }
}

/// Asks for lines without showing them, until all were right. Whoever has a scanner that types like
/// a keyboard lets it read the QR codes instead, in any order.
///
/// # Errors
/// As [`Asker::hidden`]; where nobody can be asked again, `LINE-…` and `FRAME-…`.
pub fn ask(asker: &Asker) -> Result<Zeroizing<Vec<u8>>> {
    let mut typed = TypedLines::default();
    let mut scanned = frames::ScannedFrames::default();
    loop {
        let answer = match asker.hidden(&question(&typed, &scanned)) {
            // What was typed is not lost by a slip of the finger.
            Err(Error::Ended { .. }) if asker.is_interactive() && typed.next() > 1 => {
                stop_or_back(asker, &mut typed)?;
                continue;
            }
            answer => answer?,
        };
        let taken = match answer.trim_start().starts_with(PREFIX) {
            true => scanned
                .add(answer.trim())
                .map(|()| scanned.progress().iter().all(|one| one.missing.is_empty())),
            false => typed.take(&answer),
        };
        match taken {
            Ok(true) if typed.next() == 1 => return only_file(scanned),
            Ok(true) => return typed.finish(),
            Ok(false) => {}
            Err(error) if asker.is_interactive() => asker.say(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
}

/// Whether to stop where lines were typed already; or to take the last one back.
///
/// # Errors
/// [`Error::Ended`] where somebody stops.
fn stop_or_back(asker: &Asker, typed: &mut TypedLines) -> Result<()> {
    let texts = Texts::spoken();
    let (n, next) = ((typed.next() - 1).to_string(), typed.next().to_string());
    let question = texts.get("lines.stop", &[("n", &n), ("next", &next)]);
    loop {
        let answer = asker.line(&question)?;
        match Answer::to(Question::GoOn, &answer) {
            Answer::Yes => return Ok(()),
            Answer::Stop => return Err(ended("q")),
            Answer::Other("b" | "B") => {
                typed.take_back();
                return Ok(());
            }
            _ => asker.say(&texts.get("lines.how", &[])),
        }
    }
}

fn question(typed: &TypedLines, scanned: &frames::ScannedFrames) -> String {
    match (scanned.progress().first(), typed.count()) {
        (Some(progress), _) => format!(
            "Code {} of {}: ",
            progress.missing.first().copied().unwrap_or_default(),
            progress.count
        ),
        (None, Some(count)) => format!("Line {} of {count}: ", typed.next()),
        (None, None) => "Line 1, or the first code: ".into(),
    }
}

fn only_file(scanned: frames::ScannedFrames) -> Result<Zeroizing<Vec<u8>>> {
    let mut files = scanned.finish()?;
    match (files.pop(), files.is_empty()) {
        (Some((_, bytes)), true) => Ok(Zeroizing::new(bytes)),
        _ => Err(format_error("codes of several files")),
    }
}

fn format_error(found: &str) -> Error {
    Rule::LineFormat.refuse(
        found,
        format!("all lines of one page, of at most {MOST} bytes"),
        "begin again with the first line of the page",
    )
}
