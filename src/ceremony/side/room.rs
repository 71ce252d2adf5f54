//! `note` and `deviation`: what people put into the record by hand, and what officers sign for so
//! that it goes on.

use clap::Args;

use crate::{Ceremony, Means, Report, Run};
use record::gate::WrongBags;
use record::{Error, Event, MAX_TEXT, Phase, Remark, Result, Rule, escape};
use terminal::texts::Texts;
use terminal::{Clerk, Recorder, tell};

/// How much of a finding goes into the log, in characters.
const MAX_FOUND: usize = 500;

/// Records what people say. It changes no phase and voids no request.
///
/// # Errors
/// [`Error::Usage`] for an empty or too long text.
pub fn note(ceremony: &mut Ceremony, remark: Remark) -> Result<Report> {
    let texts = remark.texts();
    if texts.iter().any(|text| text.len() > MAX_TEXT)
        || texts.iter().all(|text| text.trim().is_empty())
    {
        return Err(Error::usage(
            "a note without text, or with too much",
            format!(
                "say in 1 to {MAX_TEXT} bytes what happened, who was there, and what was done about it"
            ),
        ));
    }
    Rule::PhaseOrder.ensure(
        ceremony.state.phase != Phase::Closed,
        "a note after close",
        "the record as it was closed: its head is on paper",
        "write it on the paper record, and sign there",
    )?;
    ceremony.state.room.knows(&remark)?;
    let said = remark.line();
    let head = ceremony.record(Event::Note { remark })?;
    let report = Report::new("It is in the record.")
        .value("entry", head.seq)
        .value("said", record::escape::escape(&said));
    Ok(match ceremony.state.room.require() {
        Ok(()) => report,
        Err(error) => report.line(format!(
            "It blocks every step of this side but `deviation` and `abort`. {error}"
        )),
    })
}

impl Clerk for Ceremony {
    fn remark(&mut self, text: String) -> Result<()> {
        note(self, Remark::Remark { text })?;
        tell(&Texts::spoken().get("ask.remarked", &[]));
        Ok(())
    }
}

impl Recorder for Ceremony {
    fn refused(&mut self, rule: Rule, found: String) -> Result<()> {
        let found = escape(&found.chars().take(MAX_FOUND).collect::<String>());
        self.record(Event::Refusal { rule, found }).map(drop)
    }
}

/// `deviation`, as it is typed.
#[derive(Args)]
pub struct Deviation;

impl Run for Deviation {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        let bags = ceremony.state.room.wrong().to_vec();
        if bags.is_empty() {
            return Err(Error::failed(
                "nothing waits for a deviation",
                ceremony.state.see_status(),
            ));
        }
        let count = bags.len();
        crate::approval::require(ceremony, &WrongBags { bags })?;
        Ok(Report::new("The deviation is signed and in the record; the ceremony goes on.")
            .value("bags", count))
    }
}

/// A reason that people give for an act, as it goes into request and log.
///
/// # Errors
/// [`Error::Usage`] for an empty or too long one.
pub fn reason(text: &str) -> Result<String> {
    let text = text.trim();
    match text.is_empty() || text.len() > MAX_TEXT {
        false => Ok(text.to_owned()),
        true => Err(Error::usage(
            format!("a reason of {} bytes", text.len()),
            format!("say in 1 to {MAX_TEXT} bytes why; it is signed and stays in the record"),
        )),
    }
}
