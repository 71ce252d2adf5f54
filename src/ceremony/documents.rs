//! The documents of a ceremony folder: built, named once the log names them, taken, kept, read
//! again.

use std::any::Any;
use std::path::{Path, PathBuf};

use crate::{Ceremony, StepIntent};
use record::document::challenge::Challenge;
use record::document::package::Package;
use record::document::{Body, Document, Header, MAX_DOCUMENT, header_of, read, read_files};
use record::layout::{INBOX, OUTBOX, REGISTER, SHARES, archive_name, attempt_folder, cloud_folder};
use record::verify::counterpart::VerifiedLog;
use record::verify::{Holds, Record, counterpart};
use record::{
    Error, Event, Hash, KeySet, Kind, LOG_FILE, Listed, Received, Released, Result, Rule, Side,
    State, folder, json_file,
};

/// The files of a folder, by name.
pub type Files = Vec<(String, Vec<u8>)>;

impl Ceremony {
    /// Where a document of this side lies.
    pub fn outbox(&self, name: &str) -> PathBuf {
        self.dir.join(OUTBOX).join(name)
    }

    /// Where a document of the other side is kept.
    pub fn inbox(&self, name: &str) -> PathBuf {
        self.dir.join(INBOX).join(name)
    }

    fn staging(&self, attempt: u32) -> PathBuf {
        self.outbox(&format!(".attempt-{attempt}"))
    }

    /// Builds a document under another name, complete and synced. It gets its own once the log
    /// names it.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn build<B: Body>(
        &self,
        begun: &StepIntent,
        body: B,
        mut files: Files,
    ) -> Result<(Hash, B)> {
        if B::KIND.side() != self.state.side {
            return Err(Error::defect(format!("a {} made by the {}", B::KIND, self.state.side)));
        }
        let answers = match begun.answers {
            Some(taken) => Some(taken),
            None => {
                let before = B::KIND.answers(self.plan.way);
                before.map(|kind| self.state.document(kind)).transpose()?
            }
        };
        let header = Header::new(&self.plan, B::KIND, begun.attempt, answers, begun.head);
        let document = Document { header, body };
        let bytes = json_file(&document)?;
        let hash = Hash::of(&bytes);
        files.push((B::KIND.file(), bytes));
        self.stage(begun, B::KIND.name(), &files)?;
        Ok((hash, document.body))
    }

    /// Builds a document, and ends the step with the result that names it.
    ///
    /// # Errors
    /// As [`Ceremony::build`] and [`Ceremony::finish`].
    pub fn make<B: Body>(
        &mut self,
        begun: StepIntent,
        body: B,
        files: Files,
        result: impl FnOnce(Hash, &B) -> Event,
    ) -> Result<Hash> {
        let (document, body) = self.build(&begun, body, files)?;
        self.finish(begun, result(document, &body))?;
        Ok(document)
    }

    /// The log as it is now, for the document that it travels with: how that lists it, and its
    /// file.
    ///
    /// # Errors
    /// As [`Ceremony::log_bytes`].
    pub fn log_file(&self) -> Result<(Listed, Files)> {
        let log = self.log_bytes()?;
        Ok((Listed::of(&log), vec![(LOG_FILE.to_owned(), log)]))
    }

    /// Writes the files of a folder that will stand in the outbox.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn stage(&self, begun: &StepIntent, name: &str, files: &Files) -> Result<()> {
        let files = files.iter().map(|(name, bytes)| (name, bytes));
        folder::draft(&self.staging(begun.attempt).join(name), files)
    }

    /// Records the result of a step, then gives what it made its name in the outbox.
    ///
    /// # Errors
    /// What writing log and folders can end with; whatever then is missing, the next start settles.
    pub fn finish(&mut self, begun: StepIntent, result: Event) -> Result<()> {
        if result.step() != Some(begun.step) {
            let what = format!("another result than that of {}", begun.step.name());
            return Err(Error::defect(what));
        }
        self.record(result)?;
        self.settle()
    }

    /// Gives every document that the log names its name, where a killed run did not come to it;
    /// first those make room that a restart has left behind.
    pub(super) fn settle(&mut self) -> Result<()> {
        // In a mirror that was cut off, and is gone on from now, they lie inside documents too.
        folder::erase_drafts(&self.dir)?;
        leave_behind(&self.dir, &self.state)?;
        for (kind, made) in self.state.made.clone() {
            let staging = self.staging(made.attempt);
            if kind == Kind::Package {
                self.settle_one(&staging, SHARES)?;
            }
            self.settle_one(&staging, kind.name())?;
        }
        if self.state.cloud_exports > 0 {
            let staging = self.staging(self.state.attempt);
            self.settle_one(&staging, &cloud_folder(self.state.cloud_exports))?;
        }
        for (kind, hash) in self.state.taken.clone() {
            let (part, to) = (self.inbox(&format!(".{kind}")), self.inbox(kind.name()));
            if is_document(&part, kind, hash) {
                // Only a mirror that was cut off can hold a document that its log does not name.
                folder::erase(&to)?;
                folder::publish(&part, &to)?;
            }
        }
        self.settle_nodes()
    }

    fn settle_one(&self, staging: &Path, name: &str) -> Result<()> {
        let (from, to) = (staging.join(name), self.outbox(name));
        match (from.exists(), to.exists()) {
            (true, false) => folder::publish(&from, &to)?,
            // The power failed in the middle of giving it its name: it has both.
            (true, true) => folder::erase(&from)?,
            (false, _) => {}
        }
        // Gone only when empty: a package's staging still holds its shares.
        let _ = std::fs::remove_dir(staging);
        Ok(())
    }

    /// Clears the outbox for a step: what interrupted runs left, of this attempt or an older one,
    /// is not trusted and is made again.
    pub(super) fn clear_outbox(&self) -> Result<()> {
        let outbox = self.dir.join(OUTBOX);
        folder::erase_hidden(&outbox)?;
        let unnamed = unnamed(&self.state).into_iter().map(|path| self.dir.join(path));
        let mut own = unnamed.filter(|path| path.starts_with(&outbox));
        own.try_for_each(|path| folder::erase(&path))
    }

    /// Takes a document of the other side: whole, released, and answering what this side released.
    ///
    /// # Errors
    /// `DOCUMENT-…` and `SIGNATURE-…` rules.
    pub fn take<B: Body>(&self, folder: &Path) -> Result<Released<B>> {
        let received: Received<B> = read(folder, &self.plan)?;
        Rule::PhaseOrder.ensure(
            self.state.taken.get(&B::KIND) != Some(&received.hash),
            format!("the {} that was taken already", B::KIND),
            "a newer one, or the next step",
            self.state.see_status(),
        )?;
        let received = received.not_before(self.state.least_attempt(B::KIND))?;
        self.answers(&received)?;
        received.released(&self.plan)
    }

    /// Whether a document answers the one that this side released.
    ///
    /// # Errors
    /// `DOCUMENT-ANSWERS`; `LOG-EVENT` where this side has released none.
    pub fn answers<B: Body>(&self, received: &Received<B>) -> Result<()> {
        match B::KIND.answers(self.plan.way) {
            Some(kind) => received.answering(self.state.document(kind)?),
            None => Ok(()),
        }
    }

    /// The other side's log, as it came with its document: whole, the one under which each of its
    /// documents was made, and true as far as this side's record can tell.
    ///
    /// # Errors
    /// `LOG-…`, and as [`Record::hold`].
    pub fn other_log<B: Body>(&self, received: &Received<B>) -> Result<VerifiedLog> {
        let side = B::KIND.side();
        let (bytes, name) = (received.file(LOG_FILE), format!("the {side}'s log"));
        let log = counterpart::verify(&self.plan, side, bytes, &name)?;
        log.contains(&received.document.header, Some(bytes))?;
        self.taken_headers()?.iter().try_for_each(|header| log.contains(header, None))?;
        Record::own(&self.dir, Holds::Ceremony(self.state.side))?.hold(&log)?;
        Ok(log)
    }

    /// The headers of the documents that were taken, of every attempt, as they lie in the record.
    ///
    /// # Errors
    /// What reading them can end with.
    fn taken_headers(&self) -> Result<Vec<Header>> {
        let all = self.record_of_documents().into_iter();
        let taken = all.filter(|(kind, ..)| kind.side() != self.state.side);
        taken
            .map(|(kind, _, folder, _)| {
                let path = folder.join(kind.file());
                let bytes = folder::read_file(&path, MAX_DOCUMENT)?;
                header_of(&bytes, &path.display().to_string())
            })
            .collect()
    }

    /// Keeps a document of the other side, byte for byte as it was verified. It gets its name once
    /// the log names it.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn keep<B: Body>(&self, received: &Released<B>) -> Result<()> {
        let part = self.inbox(&format!(".{}", B::KIND));
        folder::erase(&part)?;
        folder::draft(&part, &received.files)
    }

    /// Keeps a document, and records the result of the step that took it and made none.
    ///
    /// # Errors
    /// As [`Ceremony::keep`], [`Ceremony::record`] and what renaming folders can end with.
    pub fn took<B: Body>(&mut self, taken: &Released<B>, result: Event) -> Result<()> {
        if result.took().is_none() || result.made().is_some() {
            return Err(Error::defect("a step that takes a document, and no more, did otherwise"));
        }
        self.keep(taken)?;
        self.record(result)?;
        self.settle()
    }

    /// Every document of the record, of both sides, in the order in which they cross: where it
    /// lies, and below which folder it belongs in an archive. Those that were given up come last.
    pub fn record_of_documents(&self) -> Vec<(Kind, Hash, PathBuf, PathBuf)> {
        let folder = |kind: Kind| match kind.side() == self.state.side {
            true => self.dir.join(OUTBOX),
            false => self.dir.join(INBOX),
        };
        let made = self.state.made.iter().map(|(kind, made)| (*kind, made.hash));
        let taken = self.state.taken.iter().map(|(kind, hash)| (*kind, *hash));
        let current = made.chain(taken).map(|(kind, hash)| {
            let name = PathBuf::from(kind.name());
            (kind, hash, folder(kind).join(&name), name)
        });
        let abandoned = self.state.abandoned.iter().map(|left| {
            let name = PathBuf::from(attempt_folder(left.attempt)).join(left.kind.name());
            (left.kind, left.hash, folder(left.kind).join(&name), name)
        });
        let mut all: Vec<_> = current.collect();
        all.sort_by_key(|(kind, ..)| *kind);
        all.extend(abandoned);
        all
    }

    /// The document of the other side that was taken, verified again.
    ///
    /// # Errors
    /// As [`Ceremony::take`], and `DOCUMENT-HASH` where it is not the one of the log.
    pub fn kept<B: Body>(&self) -> Result<Released<B>> {
        let hash = self.state.document(B::KIND)?;
        read::<B>(&self.inbox(B::KIND.name()), &self.plan)?.released(&self.plan)?.being(hash)
    }

    /// What must be proven, as this side sent or took it.
    ///
    /// # Errors
    /// As [`Ceremony::kept`] and [`Ceremony::sent`].
    pub fn key_set(&self) -> Result<KeySet> {
        Ok(match (self.plan.way.is_challenged(), self.state.side) {
            (false, Side::Tenant) => KeySet::from(&self.sent::<Package>()?),
            (false, Side::Hoster) => KeySet::from(&*self.kept::<Package>()?),
            (true, Side::Tenant) => KeySet::from(&self.sent::<Challenge>()?),
            (true, Side::Hoster) => KeySet::from(&*self.kept::<Challenge>()?),
        })
    }

    /// The document of this side that was made, with the signatures beside it.
    ///
    /// # Errors
    /// `DOCUMENT-…` and `SIGNATURE-…` rules, `DOCUMENT-HASH` where it is not the one of the log.
    pub fn sent<B: Body>(&self) -> Result<Received<B>> {
        let (path, made) = (self.outbox(B::KIND.name()), self.state.made(B::KIND)?);
        let own = read::<B>(&path, &self.plan)?;
        unchanged(&path, own.hash, Some(made.hash))?;
        Ok(own)
    }

    /// The same of any kind.
    ///
    /// # Errors
    /// As [`Ceremony::sent`].
    pub fn made_of(&self, kind: Kind) -> Result<Box<Received<dyn Any>>> {
        let (path, made) = (self.outbox(kind.name()), self.state.made(kind)?);
        let own = read_files(kind, &path, &self.plan)?;
        unchanged(&path, own.hash, Some(made.hash))?;
        Ok(own)
    }
}

/// What lies here has the hash that the log names.
///
/// # Errors
/// `DOCUMENT-HASH`.
pub(super) fn unchanged(path: &Path, found: Hash, logged: Option<Hash>) -> Result<()> {
    Rule::DocumentHash.ensure(
        logged == Some(found),
        format!("{} has SHA-256 {found}", path.display()),
        logged.map_or("none".into(), |logged| format!("the one of the log, {logged}")),
        "put it back unchanged from a copy, and find out what changed it",
    )
}

/// Where documents would lie that the log does not name, and an archive: only a mirror that was cut
/// off can have any.
pub(super) fn unnamed(state: &State) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for kind in Kind::ALL {
        let own = kind.side() == state.side;
        if own && !state.made.contains_key(&kind) {
            paths.push(Path::new(OUTBOX).join(kind.name()));
            if kind == Kind::Package {
                paths.push(Path::new(OUTBOX).join(SHARES));
            }
        }
        if !own && !state.taken.contains_key(&kind) {
            paths.push(Path::new(INBOX).join(kind.name()));
        }
    }
    if state.nodes.brief.is_none() {
        paths.push(PathBuf::from(REGISTER));
    }
    paths.push(PathBuf::from(archive_name(state.closes + 1)));
    paths
}

/// Moves what a restart has left behind out of the way of what comes next. Nothing of the record is
/// erased.
pub(super) fn leave_behind(dir: &Path, state: &State) -> Result<()> {
    for left in &state.abandoned {
        let own = left.kind.side() == state.side;
        let folder = dir.join(if own { OUTBOX } else { INBOX });
        let from = folder.join(left.kind.name());
        if !is_document(&from, left.kind, left.hash) {
            continue;
        }
        let to = folder.join(attempt_folder(left.attempt));
        folder::make_folder(&to)?;
        let shares = folder.join(SHARES);
        if own && left.kind == Kind::Package && shares.exists() {
            folder::publish(&shares, &to.join(SHARES))?;
        }
        folder::publish(&from, &to.join(left.kind.name()))?;
    }
    Ok(())
}

/// Whether a folder holds exactly this document.
fn is_document(folder: &Path, kind: Kind, hash: Hash) -> bool {
    folder::read_file(&folder.join(kind.file()), MAX_DOCUMENT)
        .is_ok_and(|bytes| Hash::of(&bytes) == hash)
}
