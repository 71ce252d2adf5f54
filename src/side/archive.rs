//! `close`: the last entry, and `archive/`: the whole record, checked with ordinary tools by anyone.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{counterpart, init};
use crate::{
    Error, Result,
    ceremony::Ceremony,
    document::{
        Body, FORMAT, Kind, Received, acceptance::Acceptance, closing::Closing, offer::Offer,
        package::Package, receipt::Receipt, registration::Registration,
    },
    encoding::Hash,
    folder,
    log::{Event, Head, LOG_FILE},
    phase::{Phase, Step},
    plan::{Id, Plan, Side},
    report::Report,
    rule::Rule,
    signature,
};

/// What officers and witnesses sign at the end, `head.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedHead {
    /// [`FORMAT`].
    pub format: String,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Whose log it is.
    pub side: Side,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// How many entries the log has.
    pub count: u64,
    /// SHA-256 of the last one's line.
    pub head: Hash,
}

impl ClosedHead {
    /// What is signed of a log of this plan that ends here.
    pub fn new(plan: &Plan, side: Side, head: Head) -> Self {
        ClosedHead {
            format: FORMAT.to_owned(),
            ceremony: plan.ceremony.clone(),
            side,
            plan_hash: plan.hash(),
            count: head.seq,
            head: head.hash,
        }
    }
}

/// Closes the ceremony on this side. The tenant takes the hoster's closing.
///
/// # Errors
/// `PHASE-ORDER`, `DOCUMENT-…`, `SIGNATURE-…`, `LOG-…`.
pub fn close(ceremony: &mut Ceremony, closing: Option<&Path>) -> Result<Report> {
    if ceremony.state.phase != Phase::Closed {
        ceremony.state.require(Step::Close)?;
        let closing = match (ceremony.state.side, closing) {
            (Side::Tenant, Some(folder)) => Some(take_closing(ceremony, folder)?),
            (Side::Tenant, None) => {
                return Err(Error::Usage {
                    what: "no closing".into(),
                    remedy: "keyferry-tenant close CLOSING".into(),
                });
            }
            (Side::Hoster, _) => None,
        };
        ceremony.record(Event::Close {
            count: ceremony.head().seq + 1,
            closing,
        })?;
    }
    let archive = ceremony.dir.join("archive");
    if !archive.exists() {
        write_archive(ceremony, &archive)?;
    }
    let head = ceremony.head();
    Ok(Report::new("The ceremony is closed on this side.")
        .value("entries", head.seq)
        .value("head", head.hash.to_string())
        .line("Its words, for the paper record:")
        .value("words", crate::fingerprint::words(&head.hash.0).join(" "))
        .value("archive", archive.display().to_string()))
}

fn take_closing(ceremony: &Ceremony, folder: &Path) -> Result<Hash> {
    let closing = ceremony.take::<Closing>(folder)?;
    let (package, _) = ceremony.sent::<Package>()?;
    if closing.body().kek_fingerprint != package.body().kek_fingerprint {
        return Err(Rule::DocumentContent.refuse(
            format!("a closing of the KEK {}", closing.body().kek_fingerprint),
            package.body().kek_fingerprint.to_string(),
            "ask the hoster which KEK was destroyed",
        ));
    }
    let log = counterpart::verify(
        &ceremony.plan,
        Side::Hoster,
        closing.file(LOG_FILE),
        "the hoster's log",
    )?;
    for header in [
        &ceremony.kept::<Offer>()?.document.header,
        &ceremony.kept::<Receipt>()?.document.header,
        &ceremony.kept::<Registration>()?.document.header,
        &closing.document.header,
    ] {
        log.contains(header)?;
    }
    ceremony.keep(&closing)?;
    Ok(closing.hash)
}

fn write_archive(ceremony: &Ceremony, archive: &Path) -> Result<()> {
    let part = ceremony.dir.join(".archive");
    folder::erase(&part)?;
    folder::make_folder(&part)?;
    let side = ceremony.state.side;
    let mut files = init::signatures(&ceremony.dir, &ceremony.plan)?;
    files.push((format!("{side}.{LOG_FILE}"), ceremony.log_bytes()?));
    files.push((
        "allowed_signers".into(),
        signature::allowed_signers(&ceremony.plan).into_bytes(),
    ));
    files.push((
        "head.json".into(),
        head_json(&ceremony.plan, side, ceremony.head())?,
    ));
    files.push((
        "VERIFY.txt".into(),
        include_str!("../../templates/VERIFY.txt")
            .as_bytes()
            .to_vec(),
    ));
    for kind in Kind::ALL {
        let bytes = documents(ceremony, kind)?;
        folder::make_folder(&part.join(kind.name()))?;
        files.extend(
            bytes
                .into_iter()
                .map(|(name, bytes)| (format!("{kind}/{name}"), bytes)),
        );
    }
    let sums: String = files
        .iter()
        .map(|(name, bytes)| format!("{}  {name}\n", Hash::of(bytes)))
        .collect();
    files.push(("SHA256SUMS".into(), sums.into_bytes()));
    files
        .iter()
        .try_for_each(|(name, bytes)| folder::write_new(&part.join(name), bytes))?;
    folder::publish(&part, archive)
}

/// The file of one kind of document, all verified once more on the way.
fn documents(ceremony: &Ceremony, kind: Kind) -> Result<Vec<(String, Vec<u8>)>> {
    match kind {
        Kind::Offer => of_kind::<Offer>(ceremony),
        Kind::Package => of_kind::<Package>(ceremony),
        Kind::Receipt => of_kind::<Receipt>(ceremony),
        Kind::Registration => of_kind::<Registration>(ceremony),
        Kind::Acceptance => of_kind::<Acceptance>(ceremony),
        Kind::Closing => of_kind::<Closing>(ceremony),
    }
}

fn of_kind<B: Body>(ceremony: &Ceremony) -> Result<Vec<(String, Vec<u8>)>> {
    let files = |received: &Received<B>| received.files.clone().into_iter().collect();
    match B::KIND.side() == ceremony.state.side {
        true => Ok(files(&ceremony.sent::<B>()?.0)),
        false => Ok(files(&*ceremony.kept::<B>()?)),
    }
}

fn head_json(plan: &Plan, side: Side, head: Head) -> Result<Vec<u8>> {
    let closed = ClosedHead::new(plan, side, head);
    let mut bytes = serde_json::to_vec_pretty(&closed)
        .map_err(|error| Error::failed(error.to_string(), "report this as a defect"))?;
    bytes.push(b'\n');
    Ok(bytes)
}
