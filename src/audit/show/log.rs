//! A log, told entry by entry as it is read. Its chain and the order of its steps are checked on
//! the way, and where they break the telling ends.

use std::io::Write;

use super::{NOT_VERIFIED, Page, Source, event::sentence, page::one_line, written};
use crate::{
    Result,
    ceremony::Replay,
    encoding::Hash,
    log::{self, Entry, Event},
    phase::name,
    plan::Side,
    rule::Rule,
};

/// Explains a log.
///
/// # Errors
/// `LOG-FORMAT`, `LOG-CHAIN`, `LOG-EVENT` at the line where it breaks, after what comes before it
/// was told.
pub fn show(source: &Source, out: &mut dyn Write) -> Result<()> {
    let mut first = Page::new(
        "This is a log: what one side of a ceremony did, each entry tied to the one before it by its hash. Times are what a machine's \
         clock said.",
    );
    first.line(" entry  time                  what happened");
    writeln!(out, "{}", first.text()).map_err(written)?;
    let told = tell(source, out);
    if let Err(error) = &told {
        let line = "HERE THE RECORD BREAKS: what follows in the file is not told, and what was told may have been cut";
        writeln!(out, "{line} ({})", error.rule().map_or("unreadable", Rule::name))
            .map_err(written)?;
        out.flush().map_err(written)?;
    }
    writeln!(out, "{}", last(&told?, source.hash()).text())
        .and_then(|()| out.flush())
        .map_err(written)
}

/// Tells every entry; what they amount to.
fn tell(source: &Source, out: &mut dyn Write) -> Result<Replayed> {
    let mut replay: Option<Replay> = None;
    let end = log::read(&source.bytes, &source.shown(), |entry| {
        let replay = replay.get_or_insert_with(|| Replay::new(side_of(&entry)));
        replay.take(&entry)?;
        let told = sentence(&entry.event);
        let line = format!("{:>6}  {}  {}", entry.head.seq, entry.time, one_line(&told));
        writeln!(out, "{line}").map_err(written)
    })?;
    let Some(replay) = replay.filter(|_| end.torn.is_empty()) else {
        let line = end.head.seq + 1;
        return Err(Rule::LogFormat.refuse(
            format!("{}, line {line}: no line, or one without an end", source.shown()),
            "whole lines",
            "copy it again; on its own machine the next command mends it",
        ));
    };
    Ok(Replayed { replay, head: end.head })
}

struct Replayed {
    replay: Replay,
    head: log::Head,
}

/// The side whose log begins with this entry; one that does not begin a log is refused by either's
/// replay.
fn side_of(entry: &Entry) -> Side {
    match entry.event {
        Event::Init { side, .. } => side,
        _ => Side::Tenant,
    }
}

fn last(replayed: &Replayed, hash: Hash) -> Page {
    let state = &replayed.replay.state;
    let mut page = Page::default();
    page.blank()
        .value("side", format!("the {}'s log", state.side))
        .value("entries", replayed.head.seq)
        .value("phase", name(&state.phase))
        .value("attempt", state.attempt)
        .value("head", replayed.head.hash)
        .line("    its words, to compare with the paper record:")
        .words(&replayed.head.hash)
        .blank()
        .line(format!("SHA-256 of this file: {hash}"))
        .blank()
        .line(NOT_VERIFIED)
        .line("The chain is whole and each step may follow the one before it; that the log was not rewritten as a whole only the heads in documents and signatures show.")
        .line("To verify: keyferry-audit verify FOLDER, where FOLDER is a side's ceremony folder or its archive");
    page
}
