//! How the ceremony ends at the hoster: it takes the tenant's acceptance (`acceptance check`), or lets
//! the KEK go with it (`kek destroy`); after an abort the KEK, or the keys that were born here (`keys
//! destroy`). Each makes the closing.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::room;
use crate::{Ceremony, Means, Report, Run, StepIntent};
use hsm::Hsm;
use record::document::acceptance::Acceptance;
use record::document::closing::Closing;
use record::log::KekRecord;
use record::{
    CkaId, Error, Event, Hash, Id, KeyPlan, Kind, Originals, PackageId, Released, Result, Rule,
    Step, TransferRoute, gate, list, list_or, with_commands,
};

/// The tenant's acceptance of this ceremony's receipt, keys and KEK, with a log that is whole.
///
/// # Errors
/// `DOCUMENT-…`, `SIGNATURE-…` and `LOG-…` rules.
pub fn accepted(ceremony: &Ceremony, folder: &Path) -> Result<Released<Acceptance>> {
    let acceptance = ceremony.take::<Acceptance>(folder)?;
    let (body, set) = (acceptance.body(), ceremony.key_set()?);
    let kek = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
    let receipt = ceremony.state.document(Kind::Receipt)?;
    let said = |kek: Option<Hash>, receipt: Hash, id: PackageId| {
        let kek = kek.map_or("none".to_owned(), |kek| kek.to_string());
        format!("the receipt {receipt}, the id {id} and the KEK {kek}")
    };
    Rule::DocumentContent.ensure(
        (body.kek_fingerprint, body.receipt, body.package_id) == (kek, receipt, set.id),
        format!("an acceptance of {}", said(body.kek_fingerprint, body.receipt, body.package_id)),
        said(kek, receipt, set.id),
        "ask the tenant what was accepted",
    )?;
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
        let document =
            close(ceremony, begun, (None, None, None), |document| Event::AcceptanceCheck {
                document,
                acceptance: acceptance.hash,
                signatures: acceptance.signatures.everyone(),
            })?;
        Ok(Report::new("The acceptance is taken: there was no KEK, so there is none to destroy.")
            .value("acceptance", acceptance.hash.to_string())
            .value("closing", document.to_string()))
    }
}

/// Makes the closing: of this KEK and token, where there were any, with what the hoster says of its
/// backups.
fn close(
    ceremony: &mut Ceremony,
    begun: StepIntent,
    (kek_fingerprint, hsm, backup): (Option<Hash>, Option<&Hsm>, Option<String>),
    result: impl FnOnce(Hash) -> Event,
) -> Result<Hash> {
    let (log, files) = ceremony.log_file()?;
    let token = hsm.map(|hsm| hsm.identity().clone());
    let closing = Closing { kek_fingerprint, token, backup, log };
    ceremony.make(begun, closing, files, |document, _| result(document))
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
            let (acceptance, kek) = self.allowed(ceremony)?;
            let backup = self.stated(ceremony, acceptance.is_some())?;
            let hash = acceptance.as_ref().map(|acceptance| acceptance.hash);
            let subject = gate::KekDestroy::of(&ceremony.plan, &ceremony.state, hash)?;
            Ok((subject, KekEnd { acceptance, kek, backup }))
        };
        means.gated(ceremony, Step::KekDestroy, find, destroy)
    }
}

/// A KEK that may go.
struct KekEnd {
    /// None after an abort.
    acceptance: Option<Released<Acceptance>>,
    kek: KekRecord,
    /// What the hoster says of its backups of the keys.
    backup: Option<String>,
}

impl KekDestroy {
    /// The acceptance, or none after an abort, and the KEK that it is about, checked as far as
    /// documents and logs can tell.
    fn allowed(&self, ceremony: &Ceremony) -> Result<(Option<Released<Acceptance>>, KekRecord)> {
        ceremony.state.require(Step::KekDestroy)?;
        let kek = ceremony.state.kek.clone().ok_or_else(|| {
            Rule::LogEvent.refuse(
                "no KEK in the log",
                "an entry kek-create",
                "the record names no KEK: one that was begun is removed by an abort, which looks in the HSM, or with the vendor's tool; close ends the record",
            )
        })?;
        let remedy = match (ceremony.state.aborted, &self.acceptance) {
            (Some(_), None) => return Ok((None, kek)),
            (None, Some(folder)) => return Ok((Some(accepted(ceremony, folder)?), kek)),
            (Some(_), Some(_)) => "after an abort: {hoster kek destroy}",
            (None, None) => "{hoster kek destroy ACCEPTANCE}",
        };
        Err(Error::usage(
            "an acceptance is given where there is none, or is missing",
            with_commands(remedy),
        ))
    }

    /// What the closing says of backups: something where the plan destroys the tenant's originals,
    /// and nothing else.
    fn stated(&self, ceremony: &Ceremony, accepted: bool) -> Result<Option<String>> {
        let needed = ceremony.plan.source == Originals::Destroy && accepted;
        match (&self.backup, needed) {
            (Some(backup), true) => room::reason(backup).map(Some),
            (None, false) => Ok(None),
            (None, true) => Err(Error::usage(
                "no --backup, and the tenant destroys its originals after this",
                with_commands(
                    "`{hoster kek destroy ACCEPTANCE --backup TEXT}`: how the target keys are backed up; it goes into the closing, which your officers sign",
                ),
            )),
            (Some(_), false) => {
                Err(Error::usage("--backup where the tenant's originals stay", "leave it out"))
            }
        }
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
    let KekEnd { acceptance, kek, backup } = going;
    if let Some(acceptance) = &acceptance {
        ceremony.keep(acceptance)?;
    }
    let abort = ceremony.state.aborted.map(|head| head.hash);
    let begun = ceremony.begin(Step::KekDestroy)?.answering(subject.acceptance.or(abort));
    hsm.kek_destroy(kek.id, kek.fingerprint)?;
    let keys = if subject.keys.is_empty() { Vec::new() } else { destroy_targets(ceremony, hsm)? };
    let destroyed = list_or("none", &keys);
    let ended = (Some(kek.fingerprint), Some(hsm), backup);
    let document = close(ceremony, begun, ended, |document| Event::KekDestroy {
        document,
        acceptance: subject.acceptance,
        fingerprint: kek.fingerprint,
        keys,
        signatures: acceptance.map_or(Vec::new(), |one| one.signatures.everyone()),
    })?;
    Ok(Report::new("The KEK is destroyed; a new session no longer finds either half.")
        .line(BACKUPS)
        .value("KEK", kek.fingerprint.to_string())
        .value("keys destroyed", destroyed)
        .value("closing", document.to_string()))
}

/// What no program here can look for.
const BACKUPS: &str = "Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.";

/// After an abort: destroy them, once officers have signed, and make the closing
#[derive(Args)]
pub struct KeysDestroy;

impl Run for KeysDestroy {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.gated(ceremony, Step::KeysDestroy, born_left, |ceremony, hsm, subject, ()| {
            let begun = ceremony.begin(Step::KeysDestroy)?.answering(Some(subject.abort));
            let keys = destroy_targets(ceremony, hsm)?;
            let destroyed = list(&keys);
            let document = close(ceremony, begun, (None, Some(hsm), None), |document| {
                Event::KeysDestroy { document, keys }
            })?;
            Ok(Report::new("The keys are destroyed; a new session no longer finds them.")
                .line(BACKUPS)
                .value("keys destroyed", destroyed)
                .value("closing", document.to_string()))
        })
    }
}

/// What officers sign for: the keys that were born here and must go.
fn born_left(ceremony: &Ceremony) -> Result<(gate::KeysDestroy, ())> {
    ceremony.state.require(Step::KeysDestroy)?;
    Rule::LogEvent.ensure(
        ceremony.state.born_left(),
        "no keys that must go",
        "keys that were born here, recorded, and never made primary",
        with_commands("what was begun and not recorded, the abort has destroyed; `{hoster close}` ends the record"),
    )?;
    Ok((gate::KeysDestroy::of(&ceremony.plan, &ceremony.state)?, ()))
}

/// The target keys of this attempt that are in the HSM, with their CKA_IDs.
fn targets_left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<(Id, CkaId)>> {
    let (plan, attempt) = (&ceremony.plan, ceremony.state.attempt);
    let mut there = Vec::new();
    for KeyPlan { label, .. } in &plan.keys {
        let id = plan.target_id(label.as_str(), attempt);
        if hsm.holds(id)? {
            there.push((label.clone(), id));
        }
    }
    Ok(there)
}

/// What is there.
fn left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let kek = hsm.holds(ceremony.plan.kek_id(ceremony.state.attempt))?;
    let keys = targets_left(ceremony, hsm)?.into_iter();
    let keys = keys.map(|(label, _)| match ceremony.state.way {
        TransferRoute::Born => format!("the key {label}"),
        _ => format!("the imported key {label}"),
    });
    Ok(kek.then(|| "the KEK".to_owned()).into_iter().chain(keys).collect())
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
            found.push(cut_off(label));
        }
    }
    Ok(found)
}

/// The same, of the keys that this side has been sent.
///
/// # Errors
/// The HSM's.
pub fn nameless_left(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let state = &ceremony.state;
    if state.has_begun(Step::ImportPlain) {
        let found = hsm.nameless(&hsm.inventory()?)?;
        let left = |key: &&KeyPlan| key.spki.is_some_and(|spki| found.contains(&spki));
        return Ok(ceremony.plan.keys.iter().filter(left).map(|key| cut_off(&key.label)).collect());
    }
    let set = match ceremony.key_set() {
        Ok(set) => set,
        // Before there is a package, nothing was unwrapped.
        Err(_) if !state.taken.contains_key(&Kind::Package) => return Ok(Vec::new()),
        // It must not keep anybody from ending the ceremony, nor go unsaid.
        Err(error) => {
            let why = error.to_string().replace('\n', " ");
            return Ok(vec![format!(
                "whether an unwrap that was cut off left a private key without CKA_ID is not known: {why}"
            )]);
        }
    };
    nameless(hsm, set.keys.iter().map(|key| (&key.label, key.spki.0.as_slice())))
}

fn cut_off(label: &Id) -> String {
    format!(
        "a private key without CKA_ID that is {label}, left by an unwrap that was cut off: remove it with the vendor's tool"
    )
}

/// Says in a report what was found without a name.
pub fn with_nameless(report: Report, found: Vec<String>) -> Report {
    report.lines(found.into_iter().map(|one| format!("Still in the HSM: {one}")))
}

/// What is there when the ceremony is aborted. A KEK, or keys, that were begun and never shown to
/// the tenant go at once: nothing can need them.
///
/// # Errors
/// `KEK-GONE`, or the HSM's.
pub fn look(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<String>> {
    let state = &ceremony.state;
    if state.has_begun(Step::KekCreate) && state.kek.is_none() {
        hsm.kek_clear(ceremony.plan.kek_id(state.attempt))?;
    }
    if state.has_begun(Step::KeysCreate) && state.keys.is_empty() {
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
fn destroy_targets(ceremony: &Ceremony, hsm: &Hsm) -> Result<Vec<Id>> {
    let there = targets_left(ceremony, hsm)?;
    there.iter().try_for_each(|(_, id)| hsm.target_destroy(*id))?;
    Ok(there.into_iter().map(|(label, _)| label).collect())
}
