//! What a command of the table still needs, asked for in its place: `offer check OFFER` becomes
//! `offer check /media/offer`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::next::RunFn;
use record::Result;
use record::command::{CommandLine, Program};
use record::flow::{Needs, Phase};
use record::plan::{Plan, ServicePlan};
use record::service::evidence_file;
use record::terms::{AttestationLevel, CloudFormat, Kind, Side, Step, TransferRoute};
use terminal::answer::file_at;
use terminal::guide::Turn;
use terminal::texts::Texts;
use terminal::{Asker, Clerk, Paper};

/// The most keys that are asked for one by one whether they exist already.
const MOST_ASKED: usize = 8;

/// What was taken before, by what it was asked for; and the medium that it lay on.
#[derive(Default)]
pub(super) struct EarlierAnswers {
    paths: BTreeMap<String, PathBuf>,
    medium: Option<PathBuf>,
}

/// Puts remarks on record by the program's own `note`.
#[derive(Clone, Copy)]
pub(super) struct DeskClerk<'a> {
    pub side: Side,
    /// Whether there is a log yet.
    pub begun: bool,
    pub again: RunFn<'a>,
}

impl Clerk for DeskClerk<'_> {
    fn remark(&mut self, text: String) -> Result<()> {
        if !self.begun {
            return Paper.remark(text);
        }
        // What it says of a failure, it has said.
        (self.again)(&Program::of(self.side).line("note remark TEXT").with("TEXT", text));
        Ok(())
    }
}

/// Where answers come from.
pub(super) struct Inputs<'a> {
    pub plan: &'a Plan,
    pub side: Side,
    pub texts: &'a Texts,
    pub asker: &'a Asker,
    /// The plan, where it was asked for already.
    pub plan_file: Option<PathBuf>,
    pub taken: &'a RefCell<EarlierAnswers>,
    pub clerk: DeskClerk<'a>,
}

impl Inputs<'_> {
    /// The command of a turn, with everything that it needs.
    ///
    /// # Errors
    /// As [`Asker::path`].
    pub fn command(&self, turn: &Turn) -> Result<CommandLine> {
        let (row, needs) = (turn.row, turn.row.needs);
        let line = Program::of(row.side).line(row.words);
        let path = match needs {
            Needs::Nothing | Needs::Nodes => return self.options(line, row.step),
            Needs::Custodian => return Ok(turn.command(self.plan)),
            Needs::Reason => return self.answer(line.and("--reason TEXT"), "TEXT", "next.reason"),
            Needs::Wrapped => return self.wrapped(line),
            Needs::Cloud => return self.cloud(turn.command(self.plan)),
            Needs::Plan => self.plan_file.clone(),
            Needs::Evidence | Needs::Certificate => {
                let node = turn.of.as_ref().map(|node| evidence_file(node, turn.stage));
                let name = node.as_deref().unwrap_or(needs.name());
                Some(self.file("next.file", ("file", name))?)
            }
            Needs::Offer => Some(self.folder(Kind::Offer)?),
            Needs::Package => Some(self.folder(Kind::Package)?),
            Needs::Keys => Some(self.folder(Kind::Keys)?),
            Needs::Challenge => Some(self.folder(Kind::Challenge)?),
            Needs::Receipt => Some(self.folder(Kind::Receipt)?),
            Needs::Registration => Some(self.folder(Kind::Registration)?),
            Needs::Acceptance => Some(self.folder(Kind::Acceptance)?),
            // A tenant that has aborted may have none.
            Needs::Closing if row.phase == Phase::Aborted => {
                self.optional("next.folder_or_none", ("kind", "closing"), |path| {
                    document_at(path, Kind::Closing)
                })?
            }
            Needs::Closing => Some(self.folder(Kind::Closing)?),
        };
        let line = given(line, needs.name(), needs.name(), path);
        if row.step == Step::Accept && matches!(self.plan.target, ServicePlan::Hgs { .. }) {
            return self.metadata(line);
        }
        match turn.says_backup(self.plan) {
            true => self.answer(line.and("--backup TEXT"), "TEXT", "next.backup"),
            false => Ok(line),
        }
    }

    /// What is asked for besides.
    fn options(&self, line: CommandLine, step: Step) -> Result<CommandLine> {
        match step {
            Step::KeysCreate if self.side == Side::Tenant => match self.plan.keys.len() {
                0..=MOST_ASKED => self.for_each(line, "--existing LABEL=FILE", "next.existing"),
                _ => Ok(line),
            },
            Step::KekCreate | Step::KeysCreate => self.attestations(line, step),
            _ => Ok(line),
        }
    }

    /// Asks for a document's folder until it is one.
    fn folder(&self, kind: Kind) -> Result<PathBuf> {
        let name = kind.name();
        self.required("next.folder", ("kind", name), name, |path| document_at(path, kind))
    }

    /// Asks for a file until it is one; the folder that it lies in will do.
    pub fn file(&self, key: &str, value: (&str, &str)) -> Result<PathBuf> {
        let name = value.1.to_owned();
        self.required(key, value, &name, |path| {
            file_at(path, |file| file == name).or_else(|| any_file(path))
        })
    }

    /// Asks for what has this name. What was taken for it before, or lies on the medium that was
    /// there last, is taken where nothing is typed.
    fn required(
        &self,
        key: &str,
        value: (&str, &str),
        name: &str,
        find: impl Fn(&Path) -> Option<PathBuf>,
    ) -> Result<PathBuf> {
        let id = format!("{key} {name}");
        let before = {
            let taken = self.taken.borrow();
            let medium = taken.medium.as_ref().map(|medium| medium.join(name));
            [taken.paths.get(&id).cloned(), medium]
                .into_iter()
                .flatten()
                .find_map(|path| find(&path))
        };
        if let Some(before) = &before {
            let shown = before.display().to_string();
            self.asker.say(&self.texts.get("ask.default", &[("path", &shown)]));
        }
        let path = loop {
            match (self.path(key, value)?, &before) {
                (None, Some(before)) => break before.clone(),
                (None, None) => self.asker.say(&self.texts.get("ask.path", &[])),
                (Some(path), _) => match find(&path) {
                    Some(found) => break found,
                    None => self.not_there(&path, key, value),
                },
            }
        };
        let mut taken = self.taken.borrow_mut();
        taken.medium = path.parent().map(Path::to_owned);
        taken.paths.insert(id, path.clone());
        Ok(path)
    }

    /// Asks for what there may be, until there is, or nothing is typed.
    fn optional(
        &self,
        key: &str,
        value: (&str, &str),
        find: impl Fn(&Path) -> Option<PathBuf>,
    ) -> Result<Option<PathBuf>> {
        loop {
            let Some(path) = self.path(key, value)? else { return Ok(None) };
            match find(&path) {
                Some(found) => return Ok(Some(found)),
                None => self.not_there(&path, key, value),
            }
        }
    }

    fn path(&self, key: &str, value: (&str, &str)) -> Result<Option<PathBuf>> {
        let mut clerk = self.clerk;
        self.asker.path(&self.texts.get(key, &[value]), &mut clerk)
    }

    fn not_there(&self, path: &Path, key: &str, value: (&str, &str)) {
        let shown = path.display().to_string();
        let said = if key.starts_with("next.folder") { "next.no_folder" } else { "next.no_file" };
        self.asker.say(&self.texts.get(said, &[("path", &shown), value]));
    }

    /// The line with a file for each key that there may be one for.
    fn for_each(
        &self,
        mut line: CommandLine,
        option: &'static str,
        text: &str,
    ) -> Result<CommandLine> {
        for key in &self.plan.keys {
            let label = key.label.as_str();
            let file = self.optional(text, ("label", label), any_file)?;
            line = given(line, option, "FILE", file).with("LABEL", label);
        }
        Ok(line)
    }

    fn wrapped(&self, line: CommandLine) -> Result<CommandLine> {
        let mut line = line.and("--format pkcs11");
        for key in &self.plan.keys {
            let label = ("label", key.label.as_str());
            for (option, text) in [
                ("--wrapped LABEL=FILE", "next.wrapped"),
                ("--certificate LABEL=FILE", "next.certificate"),
            ] {
                let file = self.file(text, label)?;
                line = given(line, option, "FILE", Some(file)).with("LABEL", label.1);
            }
        }
        Ok(line)
    }

    /// What the vendor says of the KEK, or of each key; asked for where the plan wants it.
    fn attestations(&self, line: CommandLine, step: Step) -> Result<CommandLine> {
        if self.plan.transfer.evidence == AttestationLevel::Witnessed {
            return Ok(line);
        }
        if step == Step::KeysCreate && self.plan.way == TransferRoute::Born {
            return self.for_each(line, "--attestation LABEL=FILE", "next.attestation");
        }
        let file = self.optional("next.attestation", ("label", "KEK"), any_file)?;
        Ok(given(line, "--attestation FILE", "FILE", file))
    }

    fn cloud(&self, line: CommandLine) -> Result<CommandLine> {
        let line = line.with("FILE", self.file("next.kek", ("file", "KEK"))?);
        match self.plan.target {
            ServicePlan::Cloud(CloudFormat::AzureByok) => self.answer(line, "URL", "next.kid"),
            _ => Ok(line),
        }
    }

    /// What the nodes of a Host Guardian Service publish, as far as somebody has fetched it.
    fn metadata(&self, mut line: CommandLine) -> Result<CommandLine> {
        let mut any = false;
        for node in self.plan.target.nodes() {
            let name = node.as_str();
            let file = self.optional("next.metadata", ("file", name), |path| {
                file_at(path, |file| file.ends_with(".xml"))
            })?;
            any = any || file.is_some();
            line = given(line, "--metadata NODE=FILE", "FILE", file).with("NODE", name);
        }
        if !any {
            return Ok(line);
        }
        let line = self.answer(line.and("--fetched-by ID"), "ID", "next.fetched_by")?;
        self.answer(line.and("--fetched-from TEXT"), "TEXT", "next.fetched_from")
    }

    /// The line with a text in a placeholder's place; nothing but Ctrl-C and Ctrl-D stops here.
    fn answer(&self, line: CommandLine, placeholder: &str, key: &str) -> Result<CommandLine> {
        Ok(line.with(placeholder, self.asker.needed(&self.texts.get(key, &[]))?))
    }
}

/// A file: itself, or the only one in its folder.
fn any_file(path: &Path) -> Option<PathBuf> {
    file_at(path, |_| true)
}

/// A document's folder: itself, its file, or the medium that it lies on.
fn document_at(path: &Path, kind: Kind) -> Option<PathBuf> {
    let holds = |folder: &Path| folder.join(kind.file()).is_file();
    if path.is_file() && path.file_name().is_some_and(|name| name == kind.file().as_str()) {
        // A name alone lies in the folder that this runs in.
        return path.parent().map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        });
    }
    [path.to_owned(), path.join(kind.name())].into_iter().find(|folder| holds(folder))
}

/// The line with these words and what was given for them; as it was where nothing was.
fn given(
    line: CommandLine,
    words: &'static str,
    placeholder: &str,
    path: Option<PathBuf>,
) -> CommandLine {
    match path {
        None => line,
        Some(path) => line.and(words).with(placeholder, path),
    }
}
