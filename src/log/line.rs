//! One line of the log, read in one pass over its bytes: whether they are the canonical form (RFC
//! 8785) of an object of strings, booleans and integers, and which of its fields are the chain's
//! and which the event's.

use super::{Entry, Event, Head};
use crate::{Error, Result, encoding::Hash, escape::escape, rule::Rule};

/// The greatest integer that every JSON reader keeps exactly (RFC 8785, 3.2.2.3).
const MAX_INTEGER: u64 = 1 << 53;
/// How deep objects and arrays may lie in each other: what serde_json reads.
const MAX_DEPTH: u8 = 127;

/// What is wrong with a line, for people.
type Wrong = String;

/// Parses lines, one after the other, and keeps its buffer between them.
#[derive(Default)]
pub struct Parser {
    /// The line without the fields of the chain: what the event is read from.
    event: String,
}

impl Parser {
    /// The entry that a line with its LF is, after the one before it.
    ///
    /// # Errors
    /// `LOG-FORMAT` and `LOG-CHAIN`, with the line's number.
    pub fn parse(&mut self, line: &[u8], before: Head, name: &str) -> Result<Entry> {
        let number = before.seq + 1;
        let format = |found: Wrong| format_error(name, number, found);
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let chain = self.split(body).map_err(format)?;
        let (prev, time) = (
            chain.prev.ok_or_else(|| format("no text in \"prev\"".into()))?,
            chain.time.ok_or_else(|| format("no text in \"time\"".into()))?,
        );
        if chain.seq != Some(number) || prev.as_bytes() != before.hash.hex() {
            let seq = chain.seq.map_or("absent".into(), |seq| seq.to_string());
            return Err(Rule::LogChain.refuse(
                format!("{name}, line {number}: seq {seq} and prev {}", escape(prev)),
                format!("seq {number} and prev {}", before.hash),
                "do not go on with this log: a line was changed, added or removed; compare it with its copies",
            ));
        }
        if !is_time(time) {
            return Err(format(format!("the time {:?}", escape(time))));
        }
        let event: Event = serde_json::from_str(&self.event)
            .map_err(|error| format(escape(&error.to_string())))?;
        Ok(Entry { head: Head { seq: number, hash: Hash::of(line) }, time: time.to_owned(), event })
    }

    /// Takes the fields of the chain out of a line; what is left is the event's.
    fn split<'a>(&mut self, body: &'a [u8]) -> std::result::Result<Chain<'a>, Wrong> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let mut scanner = Scanner { text, at: 0, depth: 0 };
        let mut chain = Chain::default();
        let event = &mut self.event;
        event.clear();
        event.push('{');
        scanner.object(|name, value, whole| match (name, value) {
            ("prev", Value::Text(text)) => chain.prev = Some(text),
            ("time", Value::Text(text)) => chain.time = Some(text),
            ("seq", Value::Integer(number)) => chain.seq = Some(number),
            ("prev" | "time" | "seq", _) => {}
            _ => {
                if event.len() > 1 {
                    event.push(',');
                }
                event.push_str(whole);
            }
        })?;
        event.push('}');
        match scanner.at == text.len() {
            true => Ok(chain),
            false => Err(scanner.wrong("nothing after the object")),
        }
    }
}

/// The refusal of a line that is no entry.
pub fn format_error(name: &str, line: u64, found: impl std::fmt::Display) -> Error {
    Rule::LogFormat.refuse(
        format!("{name}, line {line}: {found}"),
        "one canonical JSON object (RFC 8785) of a known event",
        "do not go on with this log: compare it with its copies, and note who had access to it",
    )
}

/// The fields that tie an entry to the one before it, as they stand there.
#[derive(Default)]
struct Chain<'a> {
    prev: Option<&'a str>,
    time: Option<&'a str>,
    seq: Option<u64>,
}

/// A value, as far as the chain wants to know. A text is what stands between the quotes: the
/// chain's have no escapes.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Integer(u64),
    Other,
}

/// Reads canonical JSON and nothing else.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Scanner<'a> {
    fn wrong(&self, expected: &str) -> Wrong {
        format!("not in canonical form: byte {}: expected {expected}", self.at + 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, text: &str) -> std::result::Result<(), Wrong> {
        let rest = &self.text.as_bytes()[self.at..];
        if !rest.starts_with(text.as_bytes()) {
            return Err(self.wrong(text));
        }
        self.at += text.len();
        Ok(())
    }

    fn enter(&mut self) -> std::result::Result<(), Wrong> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.wrong("fewer objects and arrays in each other")),
            false => Ok(()),
        }
    }

    /// An object; `field` gets each name, value, and both as they stand there.
    fn object(
        &mut self,
        mut field: impl FnMut(&'a str, Value<'a>, &'a str),
    ) -> std::result::Result<(), Wrong> {
        self.enter()?;
        self.take("{")?;
        let mut before: Option<&str> = None;
        while self.peek() != Some(b'}') {
            if before.is_some() {
                self.take(",")?;
            }
            let start = self.at;
            let name = self.string()?;
            if !name.is_ascii() {
                return Err(self.wrong("a name in ASCII"));
            }
            if before.is_some_and(|before| !is_less(before, name)) {
                return Err(self.wrong("names in their order, each once"));
            }
            before = Some(name);
            self.take(":")?;
            let value = self.value()?;
            field(name, value, &self.text[start..self.at]);
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> std::result::Result<(), Wrong> {
        self.enter()?;
        self.take("[")?;
        let mut first = true;
        while self.peek() != Some(b']') {
            if !std::mem::take(&mut first) {
                self.take(",")?;
            }
            self.value()?;
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self) -> std::result::Result<Value<'a>, Wrong> {
        match self.peek() {
            Some(b'"') => return self.string().map(Value::Text),
            Some(b'0'..=b'9') => return self.integer().map(Value::Integer),
            Some(b'{') => self.object(|_, _, _| {})?,
            Some(b'[') => self.array()?,
            Some(b't') => self.take("true")?,
            Some(b'f') => self.take("false")?,
            _ => return Err(self.wrong("a string, an integer, a boolean, an array or an object")),
        }
        Ok(Value::Other)
    }

    fn integer(&mut self) -> std::result::Result<u64, Wrong> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = &self.text[start..self.at];
        let number = digits.parse().ok().filter(|number| *number <= MAX_INTEGER);
        match number.filter(|_| digits == "0" || !digits.starts_with('0')) {
            Some(number) => Ok(number),
            None => Err(self.wrong("an integer of at most 2^53 before it")),
        }
    }

    /// A string: what stands between its quotes.
    fn string(&mut self) -> std::result::Result<&'a str, Wrong> {
        self.take("\"")?;
        let (start, bytes) = (self.at, self.text.as_bytes());
        loop {
            while bytes.get(self.at).is_some_and(|byte| is_plain(*byte)) {
                self.at += 1;
            }
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escaped()?,
                _ => return Err(self.wrong("a character of a string")),
            }
        }
        self.at += 1;
        Ok(&self.text[start..self.at - 1])
    }

    /// An escape, the one that its character has (RFC 8785, 3.2.2.2).
    fn escaped(&mut self) -> std::result::Result<(), Wrong> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
            | [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return Err(self.wrong("the one escape of its character")),
        };
        self.at += length;
        Ok(())
    }
}

/// Whether a byte of a string stands for itself and neither ends it nor begins an escape.
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Whether a name comes before another by the order of what they mean; both are canonical.
fn is_less(before: &str, after: &str) -> bool {
    if !before.contains('\\') && !after.contains('\\') {
        return before < after;
    }
    let meant = |name: &str| serde_json::from_str::<String>(&format!("\"{name}\"")).ok();
    matches!((meant(before), meant(after)), (Some(before), Some(after)) if before < after)
}

/// Whether a text is a moment as [`super::now`] writes it, `2026-11-24T00:56:45Z`; no later than
/// the last that the time library knows.
pub(super) fn is_time(text: &str) -> bool {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    const LAST: &str = "9999-12-30T22:00:00Z";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == *form,
    };
    let bytes = text.as_bytes();
    if bytes.len() != FORM.len() || !bytes.iter().copied().zip(FORM).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let clock = number(11, 13) < 24 && number(14, 16) < 60 && number(17, 19) < 60;
    clock && (1..=days(year, month)).contains(&day) && text <= LAST
}

/// The days of a month of the Gregorian calendar; none where there is no such month.
fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}
