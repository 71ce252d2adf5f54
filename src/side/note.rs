//! `note`: a deviation, typed by hand, into the record. It changes no phase and voids no request.

use crate::{Error, Result, ceremony::Ceremony, log::Event, report::Report};

/// The greatest length of a note, in bytes.
const MAX_NOTE: usize = 4096;

/// Records a note.
///
/// # Errors
/// [`Error::Usage`] for an empty or too long note.
pub fn note(ceremony: &mut Ceremony, text: &str) -> Result<Report> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_NOTE {
        return Err(Error::Usage {
            what: format!("a note of {} bytes", text.len()),
            remedy: format!(
                "say in 1 to {MAX_NOTE} bytes what happened, who was there, and what was done about it"
            ),
        });
    }
    let head = ceremony.record(Event::Note {
        text: text.to_owned(),
    })?;
    Ok(Report::new("The note is in the record.").value("entry", head.seq))
}
