//! `restart`: this side gives its attempt up and begins the next. Only before a receipt is
//! released.

use crate::{Ceremony, approval::Approved, side::room};
use record::{
    Result, gate,
    log::Event,
    terms::{Side, Step, TransferRoute, list_or},
};
use terminal::report::Report;

fn subject(ceremony: &Ceremony, reason: &str) -> Result<gate::Restart> {
    let state = &ceremony.state;
    Ok(gate::Restart {
        phase: state.phase.name().to_owned(),
        attempt: state.attempt,
        reason: room::reason(reason)?,
        side: state.side,
        way: state.way,
    })
}

/// Asks the officers for the restart.
///
/// # Errors
/// `PHASE-ORDER`, [`record::Error::Waiting`], `SIGNATURE-…`.
pub fn ask(ceremony: &mut Ceremony, reason: &str) -> Result<Approved<gate::Restart>> {
    ceremony.state.require(Step::Restart)?;
    let subject = subject(ceremony, reason)?;
    crate::approval::require(ceremony, &subject)
}

/// Begins the next attempt. `clear` destroys what the last one made in the HSM, where there is
/// something.
///
/// # Errors
/// `APPROVAL-SUBJECT`, and what `clear` ends with: then the attempt has not ended.
pub fn restart(
    ceremony: &mut Ceremony,
    approved: &Approved<gate::Restart>,
    reason: &str,
    clear: impl FnOnce(&Ceremony) -> Result<Vec<String>>,
) -> Result<Report> {
    let subject = subject(ceremony, reason)?;
    approved.covers(&subject)?;
    let begun = ceremony.begin(Step::Restart)?;
    let destroyed = clear(ceremony)?;
    let attempt = begun.attempt() + 1;
    ceremony.finish(begun, Event::Restart { attempt, reason: subject.reason })?;
    Ok(Report::new(format!(
        "Attempt {attempt} begins. Documents and shares of attempt {} serve for nothing more; they stay in the record.",
        attempt - 1
    ))
    .value("attempt", attempt)
    .value("destroyed", list_or("nothing", destroyed))
    .line(match (ceremony.state.side, ceremony.state.way) {
        (Side::Tenant, TransferRoute::Born | TransferRoute::Brought) => "Take the hoster's new keys with `keys check`.",
        (Side::Hoster, TransferRoute::Born) => "Tell the tenant that new keys come. If it has made a challenge for the old ones, it must `restart` too before it can take them.",
        (Side::Tenant, TransferRoute::Carried | TransferRoute::Cloud) => "Custodians destroy the shares of the attempt that ended, and so do you: outbox/attempt-…/shares here and in the mirror. If the hoster has begun again too, take its new offer first.",
        (Side::Hoster, TransferRoute::Carried | TransferRoute::Brought | TransferRoute::Cloud) => "Tell the tenant that a new offer comes. If it has made a package for the old one, it must `restart` too before it can take it.",
    }))
}
