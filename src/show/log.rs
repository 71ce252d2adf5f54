//! A log, told entry by entry as it is read. Its chain and the order of its steps are checked on
//! the way, and where they break the telling ends.

use std::io::Write;

use serde_json::json;

use crate::{Sentences, ShownFile, sentence, unwritten_error, write};
use record::log::{self, GENESIS};
use record::{Entry, Event, Head, Result, Rule, Side, State};

/// Whether a file is a log: its first line is an entry, and nothing comes before it.
pub fn begins(start: &ShownFile) -> bool {
    let first = start.bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let genesis = format!("\"prev\":\"{}\"", GENESIS.hash);
    let entry = first.starts_with(b"{\"")
        && first.windows(genesis.len()).any(|part| part == genesis.as_bytes());
    entry || start.name().ends_with(".jsonl")
}

/// Explains a log.
///
/// # Errors
/// `LOG-FORMAT`, `LOG-CHAIN`, `LOG-EVENT` at the line where it breaks, after what comes before it
/// was told.
pub fn show(source: &ShownFile, texts: &Sentences, out: &mut dyn Write) -> Result<()> {
    write(out, texts, &texts.page("log.page", json!({})))?;
    let told = tell(source, texts, out);
    if let Err(error) = &told {
        let rule = error.rule().map_or("unreadable", Rule::name);
        write(out, texts, &texts.page("log.broken", json!({ "rule": rule })))?;
    }
    let (state, head) = told?;
    let facts = json!({
        "side": state.side,
        "entries": head.seq,
        "phase": state.phase.name(),
        "attempt": state.attempt,
        "head": head.hash.to_string(),
        "hash": source.hash().to_string(),
        "kind": "log",
    });
    write(out, texts, &texts.page("log.end", facts.clone()))?;
    write(out, texts, &texts.page("page.end", facts))
}

/// Tells every entry; what they amount to.
fn tell(source: &ShownFile, texts: &Sentences, out: &mut dyn Write) -> Result<(State, Head)> {
    let (mut state, mut head) = (None::<State>, GENESIS);
    for entry in log::entries(&source.bytes, &source.shown()) {
        let entry = entry?;
        state.get_or_insert_with(|| State::new(side_of(&entry))).apply(&entry)?;
        let told = sentence(&entry.event, None, texts)?;
        let line = format!("{:>6}  {}  {}", entry.head.seq, entry.time, texts.one_line(&told));
        writeln!(out, "{line}").map_err(unwritten_error)?;
        head = entry.head;
    }
    let Some(state) = state.filter(|_| log::torn(&source.bytes).is_empty()) else {
        let line = head.seq + 1;
        return Err(Rule::LogFormat.refuse(
            format!("{}, line {line}: no line, or one without an end", source.shown()),
            "whole lines",
            "copy it again; on its own machine the next command mends it",
        ));
    };
    Ok((state, head))
}

/// The side whose log begins with this entry; one that does not begin a log is refused by either.
fn side_of(entry: &Entry) -> Side {
    match entry.event {
        Event::Init { side, .. } => side,
        _ => Side::Tenant,
    }
}
