//! What a command of the table still needs, asked for in its place: `offer check OFFER` becomes
//! `offer check /media/offer`.

use std::path::{Path, PathBuf};

use desk::guide::{Texts, Turn};
use record::Result;
use record::command::{CommandLine, Program};
use record::flow::{Needs, Phase};
use record::plan::{Plan, ServicePlan};
use record::service::evidence_file;
use record::terms::{AttestationLevel, CloudFormat, Kind, Side, Step, TransferRoute};
use terminal::Asker;

/// The most keys that are asked for one by one whether they exist already.
const MOST_ASKED: usize = 8;

/// Where answers come from.
pub(super) struct Inputs<'a> {
    pub plan: &'a Plan,
    pub side: Side,
    pub texts: &'a Texts,
    pub asker: &'a Asker,
    /// The plan, where it was asked for already.
    pub plan_file: Option<PathBuf>,
}

/// A command with all that it needs; `None` where somebody stopped.
type Line = Option<CommandLine>;

impl Inputs<'_> {
    /// The command of a turn, with everything that it needs.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn command(&self, turn: &Turn) -> Result<Line> {
        let (row, needs) = (turn.row, turn.row.needs);
        let line = Program::of(row.side).line(row.words);
        let path = match needs {
            Needs::Nothing | Needs::Nodes => return self.options(line, row.step),
            Needs::Custodian => return Ok(Some(turn.command(self.plan))),
            Needs::Reason => return self.answer(line.and("--reason TEXT"), "TEXT", "next.reason"),
            Needs::Wrapped => return self.wrapped(line),
            Needs::Cloud => return self.cloud(turn.command(self.plan)),
            Needs::Plan => self.plan_file.clone(),
            Needs::Evidence | Needs::Certificate => {
                let node = turn.of.as_ref().map(|node| evidence_file(node, turn.stage()));
                let name = node.as_deref().unwrap_or(needs.name());
                self.file("next.file", &[("file", name)], false)?
            }
            Needs::Offer => self.folder(Kind::Offer, false)?,
            Needs::Package => self.folder(Kind::Package, false)?,
            Needs::Keys => self.folder(Kind::Keys, false)?,
            Needs::Challenge => self.folder(Kind::Challenge, false)?,
            Needs::Receipt => self.folder(Kind::Receipt, false)?,
            Needs::Registration => self.folder(Kind::Registration, false)?,
            Needs::Acceptance => self.folder(Kind::Acceptance, false)?,
            // A tenant that has aborted may have none.
            Needs::Closing => self.folder(Kind::Closing, row.phase == Phase::Aborted)?,
        };
        let Some(path) = path else { return Ok(None) };
        let line = given(line, needs.name(), needs.name(), &path);
        match turn.says_backup(self.plan) {
            true => self.answer(line.and("--backup TEXT"), "TEXT", "next.backup"),
            false => Ok(Some(line)),
        }
    }

    /// What is asked for besides.
    fn options(&self, line: CommandLine, step: Step) -> Result<Line> {
        match step {
            Step::KeysCreate if self.side == Side::Tenant => match self.plan.keys.len() {
                0..=MOST_ASKED => {
                    self.for_each(line, &[("--existing LABEL=FILE", "next.existing")], true)
                }
                _ => Ok(Some(line)),
            },
            Step::KekCreate | Step::KeysCreate => self.attestations(line, step),
            _ => Ok(Some(line)),
        }
    }

    /// Asks for a document's folder until it is one; the medium that it lies on will do. An empty
    /// answer counts only where there may be none.
    fn folder(&self, kind: Kind, optional: bool) -> Result<Option<PathBuf>> {
        let key = if optional { "next.folder_or_none" } else { "next.folder" };
        let question = self.texts.get(key, &[("kind", kind.name())]);
        loop {
            let Some(path) = self.path(&question)? else {
                return Ok(None);
            };
            if optional && path.as_os_str().is_empty() {
                return Ok(Some(path));
            }
            let inside = path.join(kind.name());
            for folder in [&path, &inside] {
                if folder.join(kind.file()).is_file() {
                    return Ok(Some(folder.clone()));
                }
            }
            let shown = path.display().to_string();
            let values = [("path", shown.as_str()), ("kind", kind.name())];
            self.asker.say(&self.texts.get("next.no_folder", &values));
        }
    }

    /// Asks for a file until it is one. An empty answer counts only where there may be none.
    fn file(&self, key: &str, values: &[(&str, &str)], optional: bool) -> Result<Option<PathBuf>> {
        let question = self.texts.get(key, values);
        loop {
            let Some(path) = self.path(&question)? else {
                return Ok(None);
            };
            if path.is_file() || (optional && path.as_os_str().is_empty()) {
                return Ok(Some(path));
            }
            self.no_file(&path);
        }
    }

    fn no_file(&self, path: &Path) {
        let shown = path.display().to_string();
        let said = self.texts.get("next.no_file", &[("path", &shown)]);
        self.asker.say(&said);
    }

    fn path(&self, question: &str) -> Result<Option<PathBuf>> {
        let answer = self.asker.line(question)?;
        Ok(match answer.trim() {
            "q" | "Q" => None,
            path => Some(path.into()),
        })
    }

    /// The line with a file for each key; without it at an empty answer, where it may be missing.
    fn for_each(
        &self,
        mut line: CommandLine,
        options: &[(&'static str, &str)],
        optional: bool,
    ) -> Result<Line> {
        for key in &self.plan.keys {
            let label = key.label.as_str();
            for (option, text) in options {
                let Some(file) = self.file(text, &[("label", label)], optional)? else {
                    return Ok(None);
                };
                line = given(line, option, "FILE", &file).with("LABEL", label);
            }
        }
        Ok(Some(line))
    }

    fn wrapped(&self, line: CommandLine) -> Result<Line> {
        let options = [
            ("--wrapped LABEL=FILE", "next.wrapped"),
            ("--certificate LABEL=FILE", "next.certificate"),
        ];
        self.for_each(line.and("--format pkcs11"), &options, false)
    }

    /// What the vendor says of the KEK, or of each key; asked for where the plan wants it.
    fn attestations(&self, line: CommandLine, step: Step) -> Result<Line> {
        if self.plan.transfer.evidence == AttestationLevel::Witnessed {
            return Ok(Some(line));
        }
        if step == Step::KeysCreate && self.plan.way == TransferRoute::Born {
            return self.for_each(line, &[("--attestation LABEL=FILE", "next.attestation")], true);
        }
        let file = self.file("next.attestation", &[("label", "KEK")], true)?;
        Ok(file.map(|file| given(line, "--attestation FILE", "FILE", &file)))
    }

    fn cloud(&self, line: CommandLine) -> Result<Line> {
        let Some(kek) = self.file("next.kek", &[], false)? else {
            return Ok(None);
        };
        let line = line.with("FILE", kek);
        match self.plan.target {
            ServicePlan::Cloud(CloudFormat::AzureByok) => self.answer(line, "URL", "next.kid"),
            _ => Ok(Some(line)),
        }
    }

    /// The line with an answer in a placeholder's place.
    fn answer(&self, line: CommandLine, placeholder: &str, key: &str) -> Result<Line> {
        let answer = self.asker.line(&self.texts.get(key, &[]))?;
        Ok(match answer.trim() {
            "q" | "Q" => None,
            text => Some(line.with(placeholder, text)),
        })
    }
}

/// The line with these words and what was given for them; as it was where nothing was.
fn given(line: CommandLine, words: &'static str, placeholder: &str, path: &Path) -> CommandLine {
    match path.as_os_str().is_empty() {
        true => line,
        false => line.and(words).with(placeholder, path),
    }
}
