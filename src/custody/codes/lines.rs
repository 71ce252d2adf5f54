//! Bytes as lines that people type from paper: 15 bytes a line, in base32 (RFC 4648, 6) in groups
//! of four, and a group that finds a slip where it was made, and restores a small one.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::codes::frames::{self, PREFIX};
use crate::codes::repair::{CHARACTERS, CHECK, LineWord, Unrepairable};
use record::encoding::hash;
use record::{Error, Hash, Result, Rule};
use terminal::answer::{Answer, Question};
use terminal::texts::Texts;
use terminal::{Asker, Clerk, ended};

/// The characters of a line, each at its value.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The bytes of a line.
const BYTES: usize = 15;
/// How much of the hash of the whole ends it, in bytes.
const END: usize = 4;
/// The greatest number of bytes that are written in lines.
pub const MOST: usize = 4096;

/// How a line is checked: the version of the lines of a page. A page says its own; who types need
/// not, because its first line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineVersion {
    /// By the beginning of a hash, which restores nothing. Read, and no longer written.
    Hash = 1,
    /// By a code that restores a small slip.
    Repair = 2,
}

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
    let mut word = LineWord::of(number);
    for (symbol, character) in word.written().iter_mut().zip(data.bytes()) {
        *symbol = value(character).unwrap_or_default();
    }
    word.close();
    let mut line = Zeroizing::new(String::with_capacity(2 * CHARACTERS));
    for (n, symbol) in word.written().iter().enumerate() {
        if n > 0 && n % 4 == 0 {
            line.push_str(if n == CHARACTERS { "  " } else { " " });
        }
        line.push(char::from(ALPHABET[usize::from(*symbol)]));
    }
    line
}

/// What a character stands for: 0, 1 and 8, which are none of base32, for O, I and B.
fn value(character: u8) -> Option<u8> {
    let meant = match character.to_ascii_uppercase() {
        b'0' => b'O',
        b'1' => b'I',
        b'8' => b'B',
        other => other,
    };
    ALPHABET.iter().position(|one| *one == meant).and_then(|place| u8::try_from(place).ok())
}

/// What ends a line of [`LineVersion::Hash`]: of its number and bytes.
fn check(number: usize, chunk: &[u8]) -> String {
    let hash = hash(c"keyferry/1 line", &[&(number as u32).to_be_bytes(), chunk]);
    BASE32_NOPAD.encode(&hash.0).chars().take(CHECK).collect()
}

/// What people have typed from a page.
pub struct TypedFile {
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The lines in which a slip was restored, by their numbers.
    pub restored: Vec<usize>,
}

/// Lines as they are typed, in their order.
pub struct TypedLines {
    whole: Zeroizing<Vec<u8>>,
    count: usize,
    version: Option<LineVersion>,
    restored: Vec<usize>,
}

impl Default for TypedLines {
    fn default() -> Self {
        TypedLines {
            // Room from the start, so that no copy is left behind by growing.
            whole: Zeroizing::new(Vec::with_capacity(MOST + 2 + END + BYTES)),
            count: 0,
            version: None,
            restored: Vec::new(),
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
    /// characters of base32, count as O, I and B, and any other that is none as one that could not
    /// be read. The line's own number may stand before it. Returns how many of its characters were
    /// restored.
    ///
    /// # Errors
    /// `LINE-CHECK`, naming the line; the same line can be typed again.
    pub fn take(&mut self, text: &str) -> Result<usize> {
        let number = self.next();
        let (version, chunk, restored) = self.parse(number, text)?;
        if number == 1 {
            let length = usize::from(u16::from_be_bytes([chunk[0], chunk[1]]));
            if length > MOST {
                return Err(format_error(&format!("{length} bytes")));
            }
            self.count = (2 + length + END).div_ceil(BYTES);
        }
        self.version = version;
        self.whole.extend_from_slice(&chunk[..]);
        self.restored.extend((restored > 0).then_some(number));
        Ok(restored)
    }

    /// Whether the last line was taken.
    pub fn is_whole(&self) -> bool {
        self.whole.len() / BYTES == self.count && self.count > 0
    }

    /// Takes the last line back.
    pub fn take_back(&mut self) {
        let lines = self.next().saturating_sub(2);
        self.whole.truncate(lines * BYTES);
        self.restored.retain(|restored| *restored <= lines);
        if lines == 0 {
            (self.count, self.version) = (0, None);
        }
    }

    /// The version of lines as far as it is known then, a line's bytes, and how many characters
    /// were restored.
    fn parse(
        &self,
        number: usize,
        text: &str,
    ) -> Result<(Option<LineVersion>, Zeroizing<[u8; BYTES]>, usize)> {
        let check_error = |found: &str| {
            Rule::LineCheck.refuse(
                format!("line {number}: {found}"),
                format!("{CHARACTERS} characters and the {CHECK} that check them, as line {number} of the page has them"),
                format!("look at line {number} once more, character by character, and type it again, with ? for what cannot be read"),
            )
        };
        let text = text.trim_start();
        let text = match text.split_once([' ', '.', ':']) {
            Some((before, rest)) if before.parse() == Ok(number) && before.len() < 4 => rest,
            _ => text,
        };
        let mut word = LineWord::of(number);
        let mut characters = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let mut unreadable = Vec::new();
        for (place, symbol) in word.written().iter_mut().enumerate() {
            let character = characters.next();
            let character = character.ok_or_else(|| check_error(&format!("{place} characters")))?;
            match u8::try_from(character).ok().and_then(value) {
                Some(value) => *symbol = value,
                None => unreadable.push(place),
            }
        }
        if characters.next().is_some() {
            return Err(check_error(&format!("more than {} characters", CHARACTERS + CHECK)));
        }
        let (chunk, typed) = decoded(&mut word);
        let hashed = unreadable.is_empty() && check(number, &chunk[..]) == *typed;
        let places = match self.version {
            Some(LineVersion::Hash) => Err(Unrepairable),
            _ => word.restore(&unreadable),
        };
        match (places, self.version) {
            // One line in a million fits both: the next one tells.
            (Ok(places), None) if hashed && places.is_empty() => Ok((None, chunk, 0)),
            (_, None | Some(LineVersion::Hash)) if hashed => {
                Ok((Some(LineVersion::Hash), chunk, 0))
            }
            (Ok(places), _) => Ok((Some(LineVersion::Repair), decoded(&mut word).0, places.len())),
            (_, Some(LineVersion::Hash)) => Err(check_error("a character is not that of the page")),
            _ => Err(check_error(
                "more than one character is wrong, or more than two cannot be read, or it is another line",
            )),
        }
    }

    /// What was typed.
    ///
    /// # Errors
    /// `LINE-FORMAT` for lines of two pages, or too few, or where what was restored is not what the
    /// page has: the hash at the end decides.
    pub fn finish(self) -> Result<TypedFile> {
        let parts = || {
            let (length, rest) = self.whole.split_first_chunk::<2>()?;
            let (bytes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (end, rest) = rest.split_at_checked(END)?;
            let whole = *end == Hash::of(bytes).0[..END] && rest.iter().all(|byte| *byte == 0);
            whole.then(|| Zeroizing::new(bytes.to_vec()))
        };
        let bytes = parts();
        let bytes =
            bytes.ok_or_else(|| format_error("lines of different pages, or not all of them"))?;
        Ok(TypedFile { bytes, restored: self.restored })
    }
}

/// The bytes of a line, and its check.
fn decoded(word: &mut LineWord) -> (Zeroizing<[u8; BYTES]>, Zeroizing<String>) {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let (data, check) = word.written().split_at(CHARACTERS);
    // Eight characters are five bytes.
    for (eight, five) in data.chunks(8).zip(bytes.chunks_mut(5)) {
        let bits = eight.iter().fold(0u64, |bits, symbol| (bits << 5) | u64::from(*symbol));
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    let check = check.iter().map(|symbol| char::from(ALPHABET[usize::from(*symbol)])).collect();
    (bytes, Zeroizing::new(check))
}

/// Asks for lines without showing them, until all were right. Whoever has a scanner that types like
/// a keyboard lets it read the QR codes instead, in any order.
///
/// # Errors
/// As [`Asker::hidden`]; where nobody can be asked again, `LINE-…` and `FRAME-…`.
pub fn ask(asker: &Asker, clerk: &mut dyn Clerk) -> Result<TypedFile> {
    let mut typed = TypedLines::default();
    let mut scanned = frames::ScannedFrames::default();
    loop {
        let answer = match asker.hidden(&question(&typed, &scanned)) {
            // What was typed is not lost by a slip of the finger.
            Err(Error::Ended { .. }) if asker.is_interactive() && typed.next() > 1 => {
                stop_or_back(asker, clerk, &mut typed)?;
                continue;
            }
            answer => answer?,
        };
        let taken = match answer.trim_start().starts_with(PREFIX) {
            true => scanned
                .add(answer.trim())
                .map(|()| scanned.progress().iter().all(|one| one.missing.is_empty())),
            false => take_said(asker, &mut typed, &answer),
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

/// Takes a line, and says what was restored of it; returns whether it was the last.
fn take_said(asker: &Asker, typed: &mut TypedLines, answer: &str) -> Result<bool> {
    let (n, texts) = (typed.next().to_string(), Texts::spoken());
    match typed.take(answer)? {
        0 => {}
        1 => asker.say(&texts.get("lines.restored_one", &[("n", &n)])),
        more => asker.say(&texts.get("lines.restored", &[("n", &n), ("count", &more.to_string())])),
    }
    Ok(typed.is_whole())
}

/// Whether to stop where lines were typed already; or to take the last one back.
///
/// # Errors
/// [`Error::Ended`] where somebody stops.
fn stop_or_back(asker: &Asker, clerk: &mut dyn Clerk, typed: &mut TypedLines) -> Result<()> {
    let texts = Texts::spoken();
    let (n, next) = ((typed.next() - 1).to_string(), typed.next().to_string());
    let question = texts.get("lines.stop", &[("n", &n), ("next", &next)]);
    loop {
        let answer = asker.line(&question)?;
        match Answer::to(Question::GoOn, &answer) {
            Answer::Yes => return Ok(()),
            Answer::Stop => return Err(ended("q")),
            Answer::Note => asker.remark(clerk)?,
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

fn only_file(scanned: frames::ScannedFrames) -> Result<TypedFile> {
    let mut files = scanned.finish()?;
    match (files.pop(), files.is_empty()) {
        (Some((_, bytes)), true) => {
            Ok(TypedFile { bytes: Zeroizing::new(bytes), restored: Vec::new() })
        }
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
