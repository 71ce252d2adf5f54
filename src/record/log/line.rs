//! One line of the log: read as the entry that it is and encoded again, which must give the same
//! bytes. So an entry has one form, the canonical one (RFC 8785), and no second.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::MAX_LINE;
use crate::{Entry, Error, Event, Hash, Head, Result, Rule, escape};

/// The greatest integer that every JSON reader keeps exactly (RFC 8785, 3.2.2.3).
const MAX_INTEGER: u64 = 1 << 53;

/// A line: what ties it to the one before it, and beside that the fields of the event.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// SHA-256 of the line before it.
    pub prev: String,
    /// Its number, from 1.
    pub seq: u64,
    /// The writer's clock.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Line {
    /// Its time, written as [`super::now`] writes it, `2026-11-24T00:56:45Z`.
    ///
    /// # Errors
    /// What its time is instead, for people.
    pub fn moment(&self) -> std::result::Result<Timestamp, String> {
        let time = self.time.parse::<Timestamp>().ok();
        let whole = |time: &Timestamp| self.time.len() == 20 && time.to_string() == self.time;
        time.filter(whole).ok_or_else(|| format!("the time \"{}\"", self.time))
    }

    /// Its bytes, with the LF.
    ///
    /// # Errors
    /// What can't be encoded, for people.
    pub fn encode(&self) -> std::result::Result<Vec<u8>, String> {
        // By way of a tree, whose objects have their names in order.
        let value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        require_exact(&value)?;
        let mut bytes = serde_json::to_vec(&value).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        require_short(&bytes)?;
        Ok(bytes)
    }
}

/// The entry that a line with its LF is, after the one before it.
///
/// # Errors
/// `LOG-FORMAT` and `LOG-CHAIN`, with the line's number.
pub fn parse(bytes: &[u8], before: Head, name: &str) -> Result<Entry> {
    let number = before.seq + 1;
    let format = |found: String| format_error(name, number, escape(&found));
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line: Line = serde_json::from_slice(body).map_err(|error| format(error.to_string()))?;
    let again = line.encode().map_err(format)?;
    if again != bytes {
        let same = bytes.iter().zip(&again).take_while(|(found, form)| found == form).count();
        return Err(format(format!("not in canonical form: byte {} differs", same + 1)));
    }
    let time = line.moment();
    let Line { prev, seq, event, .. } = line;
    if seq != number || prev != before.hash.to_string() {
        return Err(Rule::LogChain.refuse(
            format!("{name}, line {number}: seq {seq} and prev {}", escape(&prev)),
            format!("seq {number} and prev {}", before.hash),
            "do not go on with this log: a line was changed, added or removed; compare it with its copies",
        ));
    }
    let time = time.map_err(format)?;
    Ok(Entry { head: Head { seq: number, hash: Hash::of(bytes) }, time, event })
}

/// The refusal of a line that is no entry.
pub fn format_error(name: &str, line: u64, found: impl std::fmt::Display) -> Error {
    Rule::LogFormat.refuse(
        format!("{name}, line {line}: {found}"),
        "one canonical JSON object (RFC 8785) of a known event",
        "do not go on with this log: compare it with its copies, and note who had access to it",
    )
}

/// A line costs many times its length in memory while it is read, whatever it holds.
pub fn require_short(line: &[u8]) -> std::result::Result<(), String> {
    if line.len() < MAX_LINE { Ok(()) } else { Err(format!("more than {MAX_LINE} bytes")) }
}

/// Whether every reader sees the same numbers.
fn require_exact(value: &Value) -> std::result::Result<(), String> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(integer) if integer <= MAX_INTEGER => Ok(()),
            _ => Err(format!("{number} is no integer from 0 to 2^53")),
        },
        Value::Array(list) => list.iter().try_for_each(require_exact),
        Value::Object(fields) => fields.values().try_for_each(require_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}
