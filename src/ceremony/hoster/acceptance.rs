//! The tenant's acceptance, which ends the ceremony at the hoster: it lets the KEK go (`kek
//! destroy`), or, where the keys were born here, leaves nothing to destroy (`acceptance check`).

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Run};
use record::{
    Result,
    document::{Released, acceptance::Acceptance, closing::Closing},
    log::{Event, LOG_FILE},
    rule::Rule,
    terms::{Kind, Side, Step},
    verify::counterpart,
};
use terminal::report::Report;

/// The tenant's acceptance of this ceremony's receipt, keys and KEK, with a log that is whole.
///
/// # Errors
/// `DOCUMENT-…`, `SIGNATURE-…` and `LOG-…` rules.
pub fn accepted(ceremony: &Ceremony, folder: &Path) -> Result<Released<Acceptance>> {
    let acceptance = ceremony.take::<Acceptance>(folder)?;
    let (body, set) = (acceptance.body(), ceremony.key_set()?);
    let kek = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
    let receipt = ceremony.state.document(Kind::Receipt)?;
    if (body.kek_fingerprint, body.receipt, body.package_id) != (kek, receipt, set.id) {
        let said = |kek: Option<_>, receipt, id| {
            let kek = kek.map_or("none".to_owned(), |kek: record::encoding::Hash| kek.to_string());
            format!("the receipt {receipt}, the id {id} and the KEK {kek}")
        };
        return Err(Rule::DocumentContent.refuse(
            format!(
                "an acceptance of {}",
                said(body.kek_fingerprint, body.receipt, body.package_id)
            ),
            said(kek, receipt, set.id),
            "ask the tenant what was accepted",
        ));
    }
    // What follows cannot be undone: the tenant's record must be whole first.
    let log = counterpart::verify(
        &ceremony.plan,
        Side::Tenant,
        acceptance.file(LOG_FILE),
        "the tenant's log",
    )?;
    log.contains(&acceptance.document.header)?;
    for header in ceremony.taken_headers()? {
        log.contains(&header)?;
    }
    Ok(acceptance)
}

/// Take the acceptance, and make the closing: there is no KEK to destroy
#[derive(Args)]
pub struct AcceptanceCheck {
    /// The acceptance/ folder
    acceptance: PathBuf,
}

impl Run for AcceptanceCheck {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::AcceptanceCheck)?;
        let acceptance = accepted(ceremony, &self.acceptance)?;
        let begun = ceremony.begin_taking(Step::AcceptanceCheck, &acceptance)?;
        let (log, files) = ceremony.log_file()?;
        let closing = Closing { kek_fingerprint: None, token: None, backup: None, log };
        let document = ceremony.make(begun, closing, files, |document| Event::AcceptanceCheck {
            document,
            acceptance: acceptance.hash,
            signatures: acceptance.signatures.everyone(),
        })?;
        Ok(Report::new("The acceptance is taken: there was no KEK, so there is none to destroy.")
            .value("acceptance", acceptance.hash.to_string())
            .value("closing", document.to_string()))
    }
}
