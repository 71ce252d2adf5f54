//! `source destroy`: where the plan says so, the tenant's originals go, once it has accepted and
//! the hoster has said, in the closing, how it has backed the keys up.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::archive;
use crate::tenant::keys;
use crate::{Ceremony, Means, Report, Run};
use hsm::Hsm;
use record::document::closing::Closing;
use record::log::SourceDestroyed;
use record::{Event, Originals, Released, Result, Rule, Step, escape, gate, list};

/// Destroy them, where the plan says so, once the hoster has said how it has backed the keys up
/// and officers have signed
#[derive(Args)]
pub struct SourceDestroy {
    /// The closing/ folder
    closing: PathBuf,
}

impl Run for SourceDestroy {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| subject(ceremony, &self.closing);
        means.gated(ceremony, Step::SourceDestroy, find, destroy)
    }
}

/// What officers sign for, and the closing that allows it.
fn subject(ceremony: &Ceremony, folder: &Path) -> Result<(gate::SourceDestroy, Released<Closing>)> {
    ceremony.state.require(Step::SourceDestroy)?;
    Rule::PhaseOrder.ensure(
        ceremony.plan.source != Originals::Keep,
        "source destroy under a plan that keeps the originals",
        "close CLOSING",
        "the plan says `[after] source = \"keep\"`: Keyferry leaves them as they are",
    )?;
    let closing = archive::closing(ceremony, folder)?;
    let backup = closing.body().backup.clone().ok_or_else(|| {
        Rule::SourceBackup.refuse(
            "a closing without a word about backups",
            "how the hoster has backed the keys up",
            "ask the hoster why: the originals stay until it has said that it cannot lose the keys",
        )
    })?;
    Ok((gate::SourceDestroy::of(&ceremony.state, closing.hash, backup)?, closing))
}

/// Destroys the originals, and looks that they are gone. Those that are gone already are no fault.
fn destroy(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    subject: gate::SourceDestroy,
    closing: Released<Closing>,
) -> Result<Report> {
    let originals = keys::certificates_of(ceremony)?;
    let begun = ceremony.begin_taking(Step::SourceDestroy, &closing)?;
    let mut there = Vec::new();
    for (record, certificate) in ceremony.state.keys.iter().zip(&originals) {
        if hsm.source_destroy(certificate.spki())? {
            there.push(record.label.clone());
        }
    }
    let report = Report::new("The originals are destroyed; a new session no longer finds them.")
        .line("Backups and clones of this HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("destroyed", list(&there))
        .value("hoster's backup", escape(&subject.backup));
    let event = Event::SourceDestroy(SourceDestroyed {
        closing: closing.hash,
        backup: subject.backup,
        token: hsm.identity().clone(),
        keys: there,
        signatures: closing.signatures.everyone(),
    });
    ceremony.finish(begun, event)?;
    Ok(report)
}
