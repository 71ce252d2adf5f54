//! A command that is run again after its step was done, because it was cut off before it could say
//! so: it says what was done, and does nothing. (What may be done twice says so itself.)

use std::ffi::OsString;
use std::path::Path;

use clap::ArgMatches;

use ceremony::brought;
use ceremony::hoster::import::MAX_WRAPPED;
use ceremony::{Ceremony, step};
use record::document::MAX_DOCUMENT;
use record::flow::{ABORT, SERVICE, TABLE, way_in};
use record::log::PlainImported;
use record::{Error, Event, Hash, Kind, Result, Rule, folder};
use terminal::report::Report;

/// A command as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The words that name it.
    words: Vec<String>,
    /// What it was given.
    given: Vec<OsString>,
}

impl Invocation {
    /// What was typed, from its parts.
    pub fn of(matches: &ArgMatches) -> Self {
        let (mut words, mut matches) = (Vec::new(), matches);
        while let Some((word, below)) = matches.subcommand() {
            words.push(word.to_owned());
            matches = below;
        }
        let values = matches.ids().filter_map(|id| matches.try_get_raw(id.as_str()).ok().flatten());
        Invocation { words, given: values.flatten().map(OsString::from).collect() }
    }

    /// What is said where the step was refused because it is the last one that was done, with what
    /// it is given now.
    ///
    /// # Errors
    /// [`Error::Failed`] where the entry can't be shown.
    pub fn done_before(&self, ceremony: &Ceremony, error: &Error) -> Result<Option<Report>> {
        let again = [Some(Rule::PhaseOrder), Some(Rule::PackageImported)].contains(&error.rule());
        let Some((seq, event)) = ceremony.last_result().filter(|_| again) else { return Ok(None) };
        if !self.takes(ceremony, event) || !self.gives(ceremony, event) {
            return Ok(None);
        }
        step::done_before(&ceremony.plan, seq, event).map(Some)
    }

    /// Whether the command takes the step whose result this is.
    fn takes(&self, ceremony: &Ceremony, event: &Event) -> bool {
        let (state, words) = (&ceremony.state, self.words.join(" "));
        let rows = [way_in(state.way), TABLE, ABORT, SERVICE].into_iter().flatten();
        let mut rows = rows.filter(|row| row.side == state.side && row.words == words);
        rows.any(|row| Some(row.step) == event.step())
    }

    /// Whether what the entry names of what its command was given is given again.
    fn gives(&self, ceremony: &Ceremony, event: &Event) -> bool {
        let package = || Some((Kind::Package, *ceremony.state.taken.get(&Kind::Package)?));
        let taken = match event {
            Event::Import { .. } => package(),
            _ => event.took(),
        };
        let document = |(kind, hash): (Kind, Hash)| {
            let mut paths = self.given.iter().map(|given| Path::new(given).join(kind.file()));
            paths.any(|path| {
                let bytes = folder::read_file(&path, MAX_DOCUMENT);
                bytes.is_ok_and(|bytes| Hash::of(&bytes) == hash)
            })
        };
        let text = |text: &str| {
            self.given.iter().any(|given| given.to_str().is_some_and(|given| given.trim() == text))
        };
        let texts = match event {
            Event::Restart { reason, .. } | Event::Abort { reason, .. } => text(reason),
            Event::Nodes { removed, replaced } => {
                removed.iter().chain(replaced).all(|node| text(node.as_str()))
            }
            Event::ImportPlain(done) => self.brings(done),
            _ => true,
        };
        texts && taken.is_none_or(document)
    }

    /// Whether the files that were given as LABEL=FILE are the wrapped keys and certificates that
    /// an import took.
    fn brings(&self, done: &PlainImported) -> bool {
        let given = self.given.iter().filter_map(|given| given.to_str()?.split_once('='));
        let given: Vec<(&str, &Path)> = given.map(|(label, file)| (label, file.as_ref())).collect();
        done.keys.iter().zip(&done.wrapped).all(|(key, wrapped)| {
            let of_key = given.iter().filter(|(label, _)| *label == key.label.as_str());
            let files = || of_key.clone().map(|(_, file)| *file);
            let is_wrapped = |file: &Path| {
                let hash = folder::hash_file(file, MAX_WRAPPED);
                hash.is_ok_and(|(hash, _)| hash == *wrapped)
            };
            let is_certificate = |file: &Path| {
                let der = brought::certificate(file, Rule::TargetCertificate);
                der.is_ok_and(|der| Hash::of(&der) == key.certificate)
            };
            files().any(is_wrapped) && files().any(is_certificate)
        })
    }
}
