//! What else lies in a folder: each file is the one that the log names, or the verdict says that it
//! was not looked at, and why. Nothing goes unmentioned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layout::{
    Content, DRAFT, EVIDENCE, KEYS, OUTBOX, REGISTER, SHARES, SUMS, attempt_folder, cloud_folder,
    evidence_name, in_ceremony, in_documents,
};
use crate::proof::key_set::certificate_file;
use crate::service::local::{MAX_REGISTRY, RegisteredSet, Registry};
use crate::service::{BRIEF_FILE, Brief, MAX_BRIEF};
use crate::verify::Verdict;
use crate::verify::archive::listed;
use crate::verify::counterpart::VerifiedLog;
use crate::verify::evidence::{Folder, Holds};
use crate::verify::logs::Logs;
use crate::{Event, Hash, Result, Rule, Side, escape, folder};

/// Looks at every file of the folders that no document, log or archive accounts for.
///
/// # Errors
/// `DOCUMENT-HASH`, or `SHARE-FILE`, for a file that is not the one of the log;
/// `ARCHIVE-INCOMPLETE` where the register folder has not what it lists.
pub fn check(folders: &[Folder], logs: &Logs, verdict: &mut Verdict) -> Result<()> {
    for folder in folders {
        let (side, logged) = match folder.holds {
            Holds::Archive(_) => continue, // Its list of hashes has every file.
            Holds::Documents if folder.is_document() => continue, // It has no others.
            Holds::Documents => (None, BTreeMap::new()),
            Holds::Ceremony(side) => {
                (Some(side), logs.of(side).map_or(Ok(BTreeMap::new()), logged)?)
            }
        };
        let mut walk = Walk { root: &folder.path, side, logged, held: 0, verdict };
        walk.folder(&[])?;
        let held = walk.held;
        if held > 0 {
            let what = "files beside the documents are those that its log names";
            verdict.holds.push(format!("{}: {held} {what}", folder.path.display()));
        }
    }
    Ok(())
}

/// Every file beside the documents that follows from a log, by its place in the ceremony folder.
fn logged(log: &VerifiedLog) -> Result<BTreeMap<PathBuf, Hash>> {
    let mut all = BTreeMap::new();
    let mut put = |folder: &Path, name: String, hash| all.insert(folder.join(name), hash);
    let outbox = Path::new(OUTBOX);
    log.walk(|state, entry| {
        match &entry.event {
            Event::Evidence { node, stage, evidence, .. } => {
                put(Path::new(EVIDENCE), evidence_name(node, *stage, *evidence), *evidence);
            }
            Event::KeysCreate { document: None, keys, .. } => {
                for key in keys {
                    put(Path::new(KEYS), certificate_file(&key.label), key.certificate);
                }
            }
            Event::Export { shares, .. } => {
                for place in [outbox.to_owned(), outbox.join(attempt_folder(state.attempt))] {
                    for share in shares {
                        let name = format!("{}.age", share.custodian);
                        put(&place.join(SHARES), name, share.file);
                    }
                }
            }
            Event::CloudExport(done) => {
                let folder = outbox.join(cloud_folder(state.cloud_exports + 1));
                for file in &done.files {
                    put(&folder, done.format.file_name(&file.label), file.file);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let nodes = &log.state.nodes;
    if let Some(brief) = nodes.brief {
        put(Path::new(REGISTER), BRIEF_FILE.to_owned(), brief);
    }
    for order in &nodes.orders {
        put(Path::new(REGISTER), order.file(), order.hash()?);
    }
    Ok(all)
}

/// A walk through one folder.
struct Walk<'a> {
    root: &'a Path,
    /// Of a ceremony folder: whose it is.
    side: Option<Side>,
    logged: BTreeMap<PathBuf, Hash>,
    held: usize,
    verdict: &'a mut Verdict,
}

impl Walk<'_> {
    fn folder(&mut self, place: &[&str]) -> Result<()> {
        for name in folder::names(&self.path(place))? {
            let place = [place, &[name.as_str()]].concat();
            let content = match self.side {
                Some(side) => in_ceremony(side, &place),
                None => in_documents(&place),
            };
            let is_folder = matches!(folder::is_folder(&self.path(&place)), Ok(true));
            match content {
                Content::Record | Content::Archive => {}
                Content::Folder if is_folder => self.folder(&place)?,
                Content::Register if is_folder => self.register(&place)?,
                Content::Folder | Content::Register => self.unread(&place, "no folder"),
                Content::Registry => self.registry(&place),
                Content::Logged if self.is_logged(&place)? => self.held += 1,
                Content::Logged => self.unnamed(&place),
                Content::Unread(why) => self.unread(&place, why),
            }
        }
        Ok(())
    }

    fn path(&self, place: &[&str]) -> PathBuf {
        self.root.join(place.iter().collect::<PathBuf>())
    }

    /// Whether the log names the file; then it is that file.
    fn is_logged(&self, place: &[&str]) -> Result<bool> {
        let Some(expected) = self.logged.get(&place.iter().collect::<PathBuf>()) else {
            return Ok(false);
        };
        let path = self.path(place);
        let (found, _) = folder::hash_file(&path, MAX_REGISTRY)?;
        if found == *expected {
            return Ok(true);
        }
        let rule = if place.contains(&SHARES) { Rule::ShareFile } else { Rule::DocumentHash };
        Err(rule.refuse(
            escape(&format!("{} has SHA-256 {found}", path.display())),
            format!("the one that the log names, {expected}"),
            "find out what changed it, and find an unchanged copy",
        ))
    }

    fn unread(&mut self, place: &[&str], why: &str) {
        self.verdict.unread.push(format!("{}: {why}", self.path(place).display()));
    }

    fn unnamed(&mut self, place: &[&str]) {
        let path = self.path(place);
        self.verdict.claims.push(format!("{}: no entry of the log names it", path.display()));
    }

    /// What every node is given: brief and orders follow from the log, the rest stands in a list,
    /// whose hash is on paper.
    fn register(&mut self, register: &[&str]) -> Result<()> {
        let path = self.path(register);
        let (mut files, mut rest) = (BTreeMap::new(), Vec::new());
        for name in folder::names(&path)? {
            let place = [register, &[name.as_str()]].concat();
            let plain = matches!(folder::is_folder(&self.path(&place)), Ok(false));
            if name.starts_with('.') || !plain {
                self.unread(&place, if plain { DRAFT } else { "no file" });
                continue;
            }
            let (hash, _) = folder::hash_file(&path.join(&name), MAX_REGISTRY)?;
            if self.is_logged(&place)? {
                self.held += 1
            } else {
                rest.push(name.clone())
            }
            files.insert(name, hash);
        }
        let Some(sums) = files.get(SUMS) else {
            self.verdict.missing.push(format!("{}/{SUMS}", path.display()));
            return Ok(());
        };
        let listed = listed(&path, "register folder", &files)?;
        self.verdict.claims.push(format!(
            "{}: {} files are those of {SUMS}, which has SHA-256 {sums}: the paper record says whether it is the right one",
            path.display(),
            listed.len()
        ));
        for name in rest.iter().filter(|name| *name != SUMS && !listed.contains(*name)) {
            self.unnamed(&[register, &[name.as_str()]].concat());
        }
        Ok(())
    }

    /// The registry, which later ceremonies change too: what it says of this one's keys.
    fn registry(&mut self, place: &[&str]) {
        let path = self.path(place);
        let Ok(bytes) = folder::read_file(&path, MAX_REGISTRY) else {
            self.unread(place, "no file that a registry can be");
            return;
        };
        let brief = folder::read_file(&self.root.join(REGISTER).join(BRIEF_FILE), MAX_BRIEF);
        let brief = brief.ok().and_then(|bytes| serde_json::from_slice::<Brief>(&bytes).ok());
        let registry = Registry::parse(&path, &bytes).ok();
        let says = match (registry, brief) {
            (None, _) => "can't be read",
            (_, None) => "is of keys of which nothing here says what they are",
            (Some(registry), Some(brief)) => {
                let told = RegisteredSet::of(&brief);
                let mut sets = registry.key_sets.iter();
                match sets.find(|set| set.plan_hash == told.plan_hash) {
                    Some(set) if set.keys == told.keys => "has the keys that nodes were told of",
                    Some(_) => "has OTHER keys than nodes were told of",
                    None => "does NOT have the keys that nodes were told of",
                }
            }
        };
        self.verdict.claims.push(format!(
            "{} {says}; it is the service's, later ceremonies change it, and it has SHA-256 {}",
            path.display(),
            Hash::of(&bytes)
        ));
    }
}
