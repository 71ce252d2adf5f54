//! How the ceremony ends at the hoster: it takes the tenant's acceptance (`acceptance check`), or lets
//! the KEK go with it (`kek destroy`); after an abort the KEK, or the keys that were born here (`keys
//! destroy`). Each makes the closing.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::room;
use crate::{Ceremony, Means, Run};
use hsm::Hsm;
use record::command::with_commands;
use record::document::Released;
use record::document::acceptance::Acceptance;
use record::document::closing::Closing;
use record::encoding::{CkaId, Hash};
use record::log::{Event, KekRecord};
use record::rule::Rule;
use record::terms::{Id, Kind, Originals, Step, TransferRoute, list, list_or};
use record::{Error, Result, gate};
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
    ceremony.other_log(&acceptance)?;
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
        let document =
            ceremony.make(begun, closing, files, |document, _| Event::AcceptanceCheck {
                document,
                acceptance: acceptance.hash,
                signatures: acceptance.signatures.everyone(),
            })?;
        Ok(Report::new("The acceptance is taken: there was no KEK, so there is none to destroy.")
            .value("acceptance", acceptance.hash.to_string())
            .value("closing", document.to_string()))
    }
}

/// Destroy the KEK once the tenant has accepted, or after an abort, and make the closing
#[derive(Args)]
pub struct KekDestroy {
    /// The acceptance/ folder; after an abort there is none
    acceptance: Option<PathBuf>,
    /// How the target keys are backed up here; where the plan says that the tenant then
    /// destroys its originals
    #[arg(long, value_name = "TEXT")]
    backup: Option<String>,
}

impl Run for KekDestroy {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            let (why, kek) = Why::find(ceremony, self.acceptance.as_deref())?;
            let backup = stated(ceremony, &why, self.backup.as_deref())?;
            let acceptance = match &why {
                Why::Accepted(acceptance) => Some(acceptance.hash),
                Why::Aborted(_) => None,
            };
            let subject = gate::KekDestroy::of(&ceremony.plan, &ceremony.state, acceptance)?;
            Ok((subject, KekEnd { why, kek, backup }))
        };
        means.gated(ceremony, Step::KekDestroy, find, destroy)
    }
}

/// A KEK that may go.
struct KekEnd {
    why: Why,
    kek: KekRecord,
    /// What the hoster says of its backups of the keys.
    backup: Option<String>,
}

/// Why the KEK may go: the tenant has accepted, or the ceremony was aborted.
enum Why {
    Accepted(Box<Released<Acceptance>>),
    Aborted(Hash),
}

impl Why {
    /// What allows it, and what it is about, checked as far as documents and logs can tell.
    fn find(ceremony: &Ceremony, folder: Option<&Path>) -> Result<(Self, KekRecord)> {
        ceremony.state.require(Step::KekDestroy)?;
        let kek = ceremony.state.kek.clone().ok_or_else(|| {
            Rule::LogEvent.refuse(
                "no KEK in the log",
                "an entry kek-create",
                "the record names no KEK: one that was begun is removed by an abort, which looks in the HSM, or with the vendor's tool; close ends the record",
            )
        })?;
        let why = match (ceremony.state.aborted, folder) {
            (Some(head), None) => Why::Aborted(head.hash),
            (None, Some(folder)) => Why::Accepted(Box::new(accepted(ceremony, folder)?)),
            (aborted, _) => {
                let remedy = match aborted {
                    Some(_) => with_commands("after an abort: {hoster kek destroy}"),
                    None => with_commands("{hoster kek destroy ACCEPTANCE}"),
                };
                return Err(Error::Usage {
                    what: "an acceptance is given where there is none, or is missing".into(),
                    remedy,
                });
            }
        };
        Ok((why, kek))
    }
}

/// What the closing says of backups: something where the plan destroys the tenant's originals, and
/// nothing else.
fn stated(ceremony: &Ceremony, why: &Why, backup: Option<&str>) -> Result<Option<String>> {
    let needed = ceremony.plan.source == Originals::Destroy && matches!(why, Why::Accepted(_));
    match (backup, needed) {
        (Some(backup), true) => room::reason(backup).map(Some),
        (None, false) => Ok(None),
        (None, true) => Err(Error::Usage {
            what: "no --backup, and the tenant destroys its originals after this".into(),
            remedy: with_commands(
                "`{hoster kek destroy ACCEPTANCE --backup TEXT}`: how the target keys are backed up; it goes into the closing, which your officers sign",
            ),
        }),
        (Some(_), false) => Err(Error::Usage {
            what: "--backup where the tenant's originals stay".into(),
            remedy: "leave it out".into(),
        }),
    }
}

/// Destroys the KEK, and after an abort what was imported under it, looks that it is gone, and
/// makes the closing.
fn destroy(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    subject: gate::KekDestroy,
    going: KekEnd,
) -> Result<Report> {
    let KekEnd { why, kek, backup } = going;
    let (begun, signatures) = match &why {
        Why::Accepted(acceptance) => {
            let begun = ceremony.begin_taking(Step::KekDestroy, acceptance)?;
            (begun, acceptance.signatures.everyone())
        }
        Why::Aborted(abort) => (ceremony.begin(Step::KekDestroy)?.answering(*abort), Vec::new()),
    };
    hsm.kek_destroy(kek.id, kek.fingerprint)?;
    let keys = match subject.keys.is_empty() {
        true => Vec::new(),
        false => destroy_targets(ceremony, hsm)?,
    };
    let (log, files) = ceremony.log_file()?;
    let closing = Closing {
        kek_fingerprint: Some(kek.fingerprint),
        token: Some(hsm.identity().clone()),
        backup,
        log,
    };
    let destroyed = list_or("none", &keys);
    let document = ceremony.make(begun, closing, files, |document, _| Event::KekDestroy {
        document,
        acceptance: subject.acceptance,
        fingerprint: kek.fingerprint,
        keys,
        signatures,
    })?;
    Ok(Report::new("The KEK is destroyed; a new session no longer finds either half.")
        .line("Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("KEK", kek.fingerprint.to_string())
        .value("keys destroyed", destroyed)
        .value("closing", document.to_string()))
}

/// After an abort: destroy them, once officers have signed, and make the closing
#[derive(Args)]
pub struct KeysDestroy;

impl Run for KeysDestroy {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| Ok((born_left(ceremony)?, ()));
        means.gated(ceremony, Step::KeysDestroy, find, |ceremony, hsm, subject, ()| {
            destroy_born(ceremony, hsm, &subject)
        })
    }
}

/// What officers sign for: the keys that were born here and must go.
fn born_left(ceremony: &Ceremony) -> Result<gate::KeysDestroy> {
    ceremony.state.require(Step::KeysDestroy)?;
    if !ceremony.state.born_left() {
        return Err(Rule::LogEvent.refuse(
            "no keys that must go",
            "keys that were born here, recorded, and never made primary",
            with_commands("what was begun and not recorded, the abort has destroyed; `{hoster close}` ends the record"),
        ));
    }
    gate::KeysDestroy::of(&ceremony.plan, &ceremony.state)
}

/// Destroys the keys, looks that they are gone, and makes the closing.
fn destroy_born(ceremony: &mut Ceremony, hsm: &Hsm, subject: &gate::KeysDestroy) -> Result<Report> {
    let begun = ceremony.begin(Step::KeysDestroy)?.answering(subject.abort);
    let keys = destroy_targets(ceremony, hsm)?;
    let (log, files) = ceremony.log_file()?;
    let token = Some(hsm.identity().clone());
    let closing = Closing { kek_fingerprint: None, token, backup: None, log };
    let destroyed = list(&keys);
    let document = ceremony
        .make(begun, closing, files, |document, _| Event::KeysDestroy { document, keys })?;
    Ok(Report::new("The keys are destroyed; a new session no longer finds them.")
        .line("Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("keys destroyed", destroyed)
        .value("closing", document.to_string()))
}

/// The target keys of this attempt, with their CKA_IDs.
pub fn targets(ceremony: &Ceremony) -> impl Iterator<Item = (&Id, CkaId)> {
    let (plan, attempt) = (&ceremony.plan, ceremony.state.attempt);
    let labels = plan.keys.iter().map(|key| &key.label);
    labels.map(move |label| (label, plan.target_id(label.as_str(), attempt)))
}

/// What is there.
///
/// # Errors
/// The HSM's.
pub fn left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let mut left = Vec::new();
    if hsm.holds(ceremony.plan.kek_id(ceremony.state.attempt))? {
        left.push("the KEK".to_owned());
    }
    for (label, id) in targets(ceremony) {
        if hsm.holds(id)? {
            let what = match ceremony.state.way {
                TransferRoute::Born => "key",
                _ => "imported key",
            };
            left.push(format!("the {what} {label}"));
        }
    }
    Ok(left)
}

/// Private keys of this ceremony without CKA_ID, which an unwrap that was cut off can leave, and no
/// search by id finds: said, and never destroyed, for nothing names them.
///
/// # Errors
/// The HSM's.
pub fn nameless<'a>(
    hsm: &Hsm,
    keys: impl Iterator<Item = (&'a Id, &'a [u8])>,
) -> Result<Vec<String>> {
    let inventory = hsm.inventory()?;
    let mut found = Vec::new();
    for (label, spki) in keys {
        if hsm.private_keys(&inventory, spki)?.iter().any(String::is_empty) {
            found.push(format!(
                "a private key without CKA_ID that is {label}, left by an unwrap that was cut off: remove it with the vendor's tool"
            ));
        }
    }
    Ok(found)
}

/// The same, of the keys that this side has been sent.
///
/// # Errors
/// The HSM's.
pub fn nameless_left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    // Before there is a package, nothing was unwrapped.
    let Ok(set) = ceremony.key_set() else { return Ok(Vec::new()) };
    nameless(hsm, set.keys.iter().map(|key| (&key.label, key.spki.0.as_slice())))
}

/// Says in a report what was found without a name.
pub fn with_nameless(report: Report, found: Vec<String>) -> Report {
    let line = |report: Report, one: String| report.line(format!("Still in the HSM: {one}"));
    found.into_iter().fold(report, line)
}

/// What is there when the ceremony is aborted. A KEK, or keys, that were begun and never shown to
/// the tenant go at once: nothing can need them.
///
/// # Errors
/// `KEK-GONE`, or the HSM's.
pub fn look(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let state = &ceremony.state;
    if state.kek_begun && state.kek.is_none() {
        hsm.kek_clear(ceremony.plan.kek_id(state.attempt))?;
    }
    if state.keys_begun && state.keys.is_empty() {
        destroy_targets(ceremony, hsm)?;
    }
    Ok([left(ceremony, hsm)?, nameless_left(ceremony, hsm)?].concat())
}

/// Destroys all of it, and looks that it is gone. Says what was there.
///
/// # Errors
/// `KEK-KEY`, `KEK-GONE`, `TARGET-GONE`, or the HSM's.
pub fn destroy_left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let there = left(ceremony, hsm)?;
    if let Some(kek) = &ceremony.state.kek {
        hsm.kek_destroy(kek.id, kek.fingerprint)?;
    }
    destroy_targets(ceremony, hsm)?;
    Ok(there)
}

/// Destroys the target keys, and looks that they are gone. Says which were there.
///
/// # Errors
/// `TARGET-GONE`, or the HSM's.
pub fn destroy_targets(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<Id>> {
    let mut there = Vec::new();
    for (label, id) in targets(ceremony) {
        if hsm.holds(id)? {
            hsm.target_destroy(id)?;
            there.push(label.clone());
        }
    }
    Ok(there)
}
