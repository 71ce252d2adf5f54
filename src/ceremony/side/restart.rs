//! `restart`: this side gives its attempt up and begins the next. Only before a receipt is
//! released.

use clap::Args;

use crate::{Ceremony, Means, Run, approval, hoster::remains, side::room};
use record::{
    Result, gate,
    log::Event,
    terms::{Side, Step, TransferRoute, list_or},
};
use terminal::report::Report;

/// `restart`, as it is typed.
#[derive(Args)]
pub struct Restart {
    /// Why; it is signed and stays in the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Run for Restart {
    /// The hoster's last attempt has left keys in its HSM; the tenant's has not.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        if ceremony.state.side == Side::Tenant {
            let subject = self.subject(ceremony)?;
            approval::require(ceremony, &subject)?;
            return restart(ceremony, subject, |_| Ok(Vec::new()));
        }
        let find = |ceremony: &Ceremony| Ok((self.subject(ceremony)?, ()));
        means.gated(ceremony, Step::Restart, find, |ceremony, hsm, subject, ()| {
            restart(ceremony, subject, |ceremony| remains::destroy(ceremony, hsm))
        })
    }
}

impl Restart {
    /// What officers sign for.
    fn subject(&self, ceremony: &Ceremony) -> Result<gate::Restart> {
        let state = &ceremony.state;
        state.require(Step::Restart)?;
        Ok(gate::Restart {
            phase: state.phase.name().to_owned(),
            attempt: state.attempt,
            reason: room::reason(&self.reason)?,
            side: state.side,
            way: state.way,
        })
    }
}

/// Begins the next attempt. `clear` destroys what the last one made in the HSM, where there is
/// something; where it fails, the attempt has not ended.
fn restart(
    ceremony: &mut Ceremony,
    subject: gate::Restart,
    clear: impl FnOnce(&Ceremony) -> Result<Vec<String>>,
) -> Result<Report> {
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
