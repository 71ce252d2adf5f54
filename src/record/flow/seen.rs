//! What the last preflight found, for what is new.

use crate::{Entry, Event, Finding};

/// What the log says that a preflight compares with.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The time of the last entry that says how far the clock has come. Refusals, repairs and
    /// preflights do not: a clock that was refused would otherwise be right at the second try. A
    /// note does, so that people can correct a record whose clock once ran ahead.
    pub time: Option<String>,
    /// What the last preflight found.
    pub findings: Vec<Finding>,
}

impl Seen {
    /// Takes one entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Preflight { findings } => self.findings = findings.clone(),
            Event::Refusal { .. } | Event::Repair { .. } => {}
            _ => self.time = Some(entry.time.to_string()),
        }
    }

    /// Whether something was found that the last preflight did not find just so.
    pub fn is_news(&self, findings: &[Finding]) -> bool {
        !(findings.iter()).all(|finding| self.findings.contains(finding))
    }
}
