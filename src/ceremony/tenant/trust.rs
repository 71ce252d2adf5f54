//! `kek trust`: the security officer of the tenant's HSM makes the confirmed KEK trusted, so that
//! no other key, and nobody without the SO's PIN, can get the target keys wrapped.

use std::path::PathBuf;

use clap::Args;

use crate::side::token::TokenArgs;
use crate::tenant::keys;
use crate::{Ceremony, Means, Report, Run};
use hsm::{Hsm, Officer};
use record::document::offer::Offer;
use record::{Event, Result, Rule, Step};

/// Make the KEK trusted, with the PIN of the HSM's security officer
#[derive(Args)]
pub struct KekTrust {
    /// In a rehearsal: the file that holds the security officer's PIN
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
}

impl Run for KekTrust {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        ceremony.state.require(Step::KekTrust)?;
        Rule::PhaseOrder.ensure(
            ceremony.plan.trusted_only(),
            "kek trust under a plan that is composite, or waives TARGET-WRAP-WITH-TRUSTED",
            "keys create",
            "leave this step out: no target key of this plan is bound to a trusted KEK",
        )?;
        let args = TokenArgs { pin_file: self.so_pin_file.clone(), ..means.token.clone() };
        args.find_for_step(ceremony, Step::KekTrust, |ceremony, token| {
            let pin = args.pin("PIN of the security officer (SO)", means.asker, token)?;
            let officer = token.login_officer(pin.as_ref())?;
            drop(pin);
            trust(ceremony, &officer)
        })
    }
}

/// Removes the trusted KEK, where there is one, and records that it is gone.
///
/// # Errors
/// `KEK-GONE`, or the HSM's.
pub fn untrust(ceremony: &mut Ceremony, hsm: &Hsm) -> Result<()> {
    let trusted = ceremony.state.kek.clone();
    let Some(kek) = trusted.filter(|_| ceremony.state.trusted) else { return Ok(()) };
    hsm.kek_clear(kek.id)?;
    ceremony.record(Event::KekUntrust { kek }).map(drop)
}

/// What is left in the tenant's HSM when the ceremony is aborted. A trusted KEK goes at once, even
/// one that the log does not name; the target keys stay, for the plan that supersedes this one.
///
/// # Errors
/// `KEK-GONE`, `TARGET-CERTIFICATE`, or the HSM's.
pub fn look(ceremony: &mut Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    untrust(ceremony, hsm)?;
    let id = ceremony.state.trusted_id(&ceremony.plan);
    if hsm.holds(id)? {
        hsm.kek_clear(id)?;
    }
    let inventory = hsm.inventory()?;
    let mut left = Vec::new();
    for record in &ceremony.state.keys {
        let certificate = keys::certificate_of(ceremony, record)?;
        if !hsm.private_keys(&inventory, certificate.spki())?.is_empty() {
            left.push(format!(
                "the target key {}, which stays for a plan that supersedes this one",
                record.label
            ));
        }
    }
    Ok(left)
}

/// Makes the KEK of the offer trusted, or finds it so.
fn trust(ceremony: &mut Ceremony, officer: &Officer) -> Result<Report> {
    let offer = ceremony.kept::<Offer>()?;
    let begun = ceremony.begin(Step::KekTrust)?;
    let id = ceremony.state.trusted_id(&ceremony.plan);
    let former = ceremony.state.kek.clone();
    if let Some(kek) = former.filter(|kek| ceremony.state.trusted && kek.id != id) {
        // Of an offer that a newer one has replaced.
        officer.untrust(kek.id)?;
        ceremony.record(Event::KekUntrust { kek })?;
    }
    let label = ceremony.plan.hoster_label("keyferry-kek");
    let trusted = officer.trust(id, &label, &offer.body().spki.0)?;
    let fingerprint = offer.body().fingerprint;
    let (plan, state) = (&ceremony.plan, &ceremony.state);
    let event = Event::kek_trust(plan, state, officer.identity().clone(), trusted.attributes)?;
    ceremony.finish(begun, event)?;
    let how = if trusted.made { "made" } else { "found" };
    Ok(Report::new("The HSM trusts the hoster's KEK: target keys that are made now can be wrapped by it alone.")
        .value("KEK", format!("{how}, {fingerprint}"))
        .line("It is removed again by `export`."))
}

/// What to do where the trusted KEK has outlived the export, because that was killed at its very
/// end or the token kept the key.
pub const TRUSTED_LEFT: &str = "it may still be on the token; let the HSM's security officer remove the public key keyferry-kek-\u{2026}, and note it";
