//! What a command of the table still needs, asked for in its place: `offer check OFFER` becomes
//! `offer check /media/offer`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use desk::guide::{Texts, Turn};
use record::Result;
use record::flow::{Needs, Phase};
use record::plan::{Plan, ServicePlan};
use record::service::evidence_file;
use record::terms::{AttestationLevel, CloudFormat, Kind, Originals, Side, Step, TransferRoute};
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

/// A command, word by word; `None` where somebody stopped.
type Words = Option<Vec<OsString>>;

impl Inputs<'_> {
    /// The command of a turn, with everything that it needs.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn command(&self, turn: &Turn) -> Result<Words> {
        if turn.row.step == Step::Evidence
            && let Some(node) = &turn.of
        {
            let name = evidence_file(node, turn.stage());
            let file = self.file("next.file", &[("file", &name)], false)?;
            return Ok(file.map(|file| vec!["evidence".into(), "add".into(), file.into()]));
        }
        let words: Vec<OsString> = turn.row.words.split(' ').map(OsString::from).collect();
        let Some(given) = self.given(turn)? else {
            return Ok(None);
        };
        let options = match turn.row.step {
            Step::KeysCreate if self.side == Side::Tenant => self.existing()?,
            Step::KekCreate | Step::KeysCreate => self.attestations(turn.row.step)?,
            Step::KekDestroy
                if self.plan.source == Originals::Destroy && turn.row.phase != Phase::Aborted =>
            {
                self.option("--backup", "next.backup")?
            }
            _ => Some(Vec::new()),
        };
        Ok(options.map(|options| [words, given, options].concat()))
    }

    /// What the table says that the command needs.
    fn given(&self, turn: &Turn) -> Result<Words> {
        let needs = turn.row.needs;
        let path = match needs {
            Needs::Nothing | Needs::Nodes => return Ok(Some(Vec::new())),
            Needs::Custodian => {
                return Ok(Some(turn.of.iter().map(|of| of.as_str().into()).collect()));
            }
            Needs::Reason => return self.option("--reason", "next.reason"),
            Needs::Wrapped => return self.wrapped(),
            Needs::Cloud => return self.cloud(),
            Needs::Plan => self.plan_file.clone(),
            Needs::Evidence | Needs::Certificate => {
                self.file("next.file", &[("file", needs.name())], false)?
            }
            Needs::Offer => self.folder(Kind::Offer, false)?,
            Needs::Package | Needs::Shares => self.folder(Kind::Package, false)?,
            Needs::Keys => self.folder(Kind::Keys, false)?,
            Needs::Challenge => self.folder(Kind::Challenge, false)?,
            Needs::Receipt => self.folder(Kind::Receipt, false)?,
            Needs::Registration => self.folder(Kind::Registration, false)?,
            Needs::Acceptance => self.folder(Kind::Acceptance, false)?,
            Needs::Closing => self.folder(Kind::Closing, false)?,
            Needs::ClosingIfAny => self.folder(Kind::Closing, true)?,
        };
        let given = |path: PathBuf| Some(path).filter(|path| !path.as_os_str().is_empty());
        Ok(path.map(|path| given(path).map(OsString::from).into_iter().collect()))
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

    /// A file for a label; none at an empty line, where it may be missing.
    fn for_label(&self, option: &str, key: &str, label: &str, optional: bool) -> Result<Words> {
        let file = self.file(key, &[("label", label)], optional)?;
        Ok(file.map(|file| match file.as_os_str().is_empty() {
            true => Vec::new(),
            false => {
                let mut value = OsString::from(format!("{label}="));
                value.push(file);
                vec![option.into(), value]
            }
        }))
    }

    fn for_each(&self, options: &[(&str, &str)], optional: bool) -> Result<Words> {
        let mut words = Vec::new();
        for key in &self.plan.keys {
            for (option, text) in options {
                match self.for_label(option, text, key.label.as_str(), optional)? {
                    Some(more) => words.extend(more),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(words))
    }

    fn existing(&self) -> Result<Words> {
        match self.plan.keys.len() > MOST_ASKED {
            true => Ok(Some(Vec::new())),
            false => self.for_each(&[("--existing", "next.existing")], true),
        }
    }

    fn wrapped(&self) -> Result<Words> {
        let options = [("--wrapped", "next.wrapped"), ("--certificate", "next.certificate")];
        let format = ["--format", "pkcs11"].map(OsString::from).to_vec();
        Ok(self.for_each(&options, false)?.map(|words| [format, words].concat()))
    }

    /// What the vendor says of the KEK, or of each key; asked for where the plan wants it.
    fn attestations(&self, step: Step) -> Result<Words> {
        if self.plan.transfer.evidence == AttestationLevel::Witnessed {
            return Ok(Some(Vec::new()));
        }
        if step == Step::KeysCreate && self.plan.way == TransferRoute::Born {
            return self.for_each(&[("--attestation", "next.attestation")], true);
        }
        let file = self.file("next.attestation", &[("label", "KEK")], true)?;
        Ok(file.map(|file| match file.as_os_str().is_empty() {
            true => Vec::new(),
            false => vec!["--attestation".into(), file.into()],
        }))
    }

    fn cloud(&self) -> Result<Words> {
        let ServicePlan::Cloud(format) = &self.plan.target else {
            return Ok(Some(Vec::new()));
        };
        let Some(kek) = self.file("next.kek", &[], false)? else {
            return Ok(None);
        };
        let mut words = vec!["--format".into(), format.name().into(), "--kek".into(), kek.into()];
        if *format == CloudFormat::AzureByok {
            match self.option("--kid", "next.kid")? {
                Some(kid) => words.extend(kid),
                None => return Ok(None),
            }
        }
        Ok(Some(words))
    }

    fn option(&self, option: &str, key: &str) -> Result<Words> {
        let answer = self.asker.line(&self.texts.get(key, &[]))?;
        Ok(match answer.trim() {
            "q" | "Q" => None,
            text => Some(vec![option.into(), text.into()]),
        })
    }
}
