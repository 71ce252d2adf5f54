//! One file after another, read once and checked as its receiver would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use probe::MAX_PROBE;
use record::document::{self, MAX_DOCUMENT};
use record::fingerprint::{self, WORDS_TYPED};
use record::gate::MAX_REQUEST;
use record::log::MAX_LOG;
use record::plan::MAX_PLAN;
use record::signature::{self, MAX_SIGNATURE, Namespace, SignatureFile};
use record::verify::counterpart::{self, VerifiedLog};
use record::{Error, Hash, Kind, Plan, Program, Result, Rule, Side, folder};
use show::{self, ShownFile, SignablePage};
use terminal::words::{self, WordsHint};
use terminal::{Asker, Paper};

use crate::listing::{Candidate, Listing};
use crate::waiting::Basis;
use crate::{PendingSignature, SigningTask};

/// What becomes of a file.
pub enum Assessment {
    /// It may be signed.
    Pending(Box<PendingSignature>),
    /// The person has signed it.
    Signed,
    /// A signature over it would count for nothing, and why.
    Void(String),
    /// Nobody signs such a file, or not this person's side.
    NotTheirs,
}

/// What an officer has before them.
pub struct Examiner<'a> {
    task: &'a SigningTask,
    listing: &'a Listing,
    /// What people call them, once a plan was read.
    pub who: String,
    /// The plan that they trust, once it was needed.
    trusted: Option<Plan>,
    /// The bytes of the plan that is to be trusted, once it was read.
    read: Option<Vec<u8>>,
    logs: BTreeMap<PathBuf, VerifiedLog>,
}

/// A file in memory, and what is known of it.
struct FileContent<'a> {
    candidate: &'a Candidate,
    bytes: Vec<u8>,
    page: SignablePage,
    /// What lies in the signature's place, where it was read with its folder.
    place: Option<Option<Vec<u8>>>,
}

impl<'a> Examiner<'a> {
    /// Nothing was opened yet.
    pub fn new(task: &'a SigningTask, listing: &'a Listing) -> Self {
        let (who, logs) = (task.id.to_string(), BTreeMap::new());
        Examiner { task, listing, who, trusted: None, read: None, logs }
    }

    /// Reads a file and checks all that can be checked here.
    ///
    /// # Errors
    /// The rule that its receiver would refuse it by; [`Error::Ended`] and `WORDS-MISMATCH` of the
    /// question for the plan's words.
    pub fn examine(&mut self, candidate: &Candidate) -> Result<Assessment> {
        let name = folder::file_name(&candidate.path);
        let kind = Kind::ALL.into_iter().find(|kind| kind.file() == name);
        match kind {
            Some(kind) => self.document(candidate, kind),
            None => self.other(candidate),
        }
    }

    fn document(&mut self, candidate: &Candidate, kind: Kind) -> Result<Assessment> {
        let path = &candidate.path;
        let plan = self.trust()?.clone();
        if !self.concerns(&plan, candidate, kind.side())? {
            return Ok(Assessment::NotTheirs);
        }
        let (header, mut files) = document::read_to_sign(kind, folder::parent(path), &plan)?;
        let main = kind.file();
        let bytes =
            files.remove(&main).ok_or_else(|| Error::defect("a document without itself"))?;
        let place = files.remove(&format!("{main}.{}.sig", self.task.id));
        let waiting = self.basis(&plan, path)?.document(&header, Hash::of(&bytes))?;
        if let Some(void) = waiting.void {
            return Ok(Assessment::Void(void));
        }
        let page = self.page(path, &bytes)?.ok_or_else(|| Error::defect("an unsigned document"))?;
        let content = FileContent { candidate, bytes, page, place: Some(place) };
        self.pending(content, plan, waiting.unchecked)
    }

    fn other(&mut self, candidate: &Candidate) -> Result<Assessment> {
        let path = &candidate.path;
        let bytes = self.bytes(path)?;
        let page = match self.page(path, &bytes) {
            Ok(Some(page)) => page,
            Ok(None) if candidate.named => return Err(unsigned_error(path)),
            // Much lies in folders that Keyferry does not know.
            Err(error) if candidate.named || error.rule() != Some(Rule::DocumentKind) => {
                return Err(error);
            }
            _ => return Ok(Assessment::NotTheirs),
        };
        let (name, length) = (folder::shown(path), bytes.len() as u64);
        let limit = limit(page.namespace);
        let found = format!("{name} has {length} bytes");
        let remedy = "check that this is the right file";
        Rule::DocumentSize.ensure(length <= limit, found, format!("at most {limit}"), remedy)?;
        if page.namespace == Namespace::Plan {
            return self.plan(candidate, bytes, page);
        }
        let plan = self.trust()?.clone();
        let basis = self.basis(&plan, path)?;
        let mut waiting = match page.namespace {
            Namespace::Approval => basis.request(&bytes, &name)?,
            Namespace::Head => basis.head(&bytes, &name)?,
            Namespace::Probe => basis.probe(&bytes, &name)?,
            Namespace::Document | Namespace::Plan => return Err(misnamed_error(path)),
        };
        if !self.concerns(&plan, candidate, waiting.side)? {
            return Ok(Assessment::NotTheirs);
        }
        if let Some(void) = waiting.void {
            return Ok(Assessment::Void(void));
        }
        if let Some(newer) = self.listing.newer(path) {
            let older =
                format!("whether it still counts: it is older of this gate, {newer} is newer");
            waiting.unchecked.push(older);
        }
        self.pending(FileContent { candidate, bytes, page, place: None }, plan, waiting.unchecked)
    }

    /// A plan holds the keys of everybody: it can be signed without any other, but is none other
    /// than the one that the officer has.
    fn plan(
        &mut self,
        candidate: &Candidate,
        bytes: Vec<u8>,
        page: SignablePage,
    ) -> Result<Assessment> {
        let path = &candidate.path;
        let plan = Plan::parse(bytes.clone())?;
        signature::ensure_signer(&plan, &self.task.id, None)?;
        self.who = plan.name_of(&self.task.id);
        let mut unchecked = Vec::new();
        if self.task.plan.is_some() {
            let own = self.trust()?.hash();
            Rule::PlanChanged.ensure(
                plan.hash() == own,
                format!("{} has SHA-256 {}", folder::shown(path), plan.hash()),
                format!("your own copy of the plan, {own}"),
                "compare the two, and ask who made this one",
            )?;
        } else {
            unchecked
                .push("that it is the plan that both sides agreed on: compare its words".into());
        }
        self.pending(FileContent { candidate, bytes, page, place: None }, plan, unchecked)
    }

    fn pending(
        &self,
        content: FileContent,
        plan: Plan,
        unchecked: Vec<String>,
    ) -> Result<Assessment> {
        let FileContent { candidate, bytes, page, place } = content;
        let path = &candidate.path;
        let id = &self.task.id;
        let name = path.file_name().ok_or_else(|| Error::defect("a file without a name"))?;
        let mut name = name.to_owned();
        name.push(format!(".{id}.sig"));
        let signature = path.with_file_name(&name);
        let there = match place {
            Some(there) => there,
            None => folder::read_if_there(&signature, MAX_SIGNATURE)?,
        };
        let SignablePage { namespace, lines } = page;
        let signer = id.to_string();
        let there = there.map(|bytes| SignatureFile { path: signature, signer, bytes });
        let verified = there.map(|one| signature::verify_any(&plan, namespace, &bytes, &[one]));
        if let Some(Ok(_)) = verified {
            return Ok(Assessment::Signed);
        }
        let invalid = verified.and_then(Result::err).map(|error| error.to_string());
        let (path, folder) = (path.to_owned(), candidate.folder.clone());
        let pending = PendingSignature {
            path,
            bytes,
            namespace,
            plan,
            page: lines,
            unchecked,
            folder,
            name,
            invalid,
        };
        Ok(Assessment::Pending(Box::new(pending)))
    }

    /// Whether a side's files are for this person to sign; those that they named must be.
    fn concerns(&self, plan: &Plan, candidate: &Candidate, side: Side) -> Result<bool> {
        let signer = signature::ensure_signer(plan, &self.task.id, Some(side));
        match signer {
            Err(error) if !candidate.named && error.rule() == Some(Rule::SignatureSide) => {
                Ok(false)
            }
            signer => signer.map(|()| true),
        }
    }

    fn page(&self, path: &Path, bytes: &[u8]) -> Result<Option<SignablePage>> {
        let file = ShownFile::of(path, bytes.to_vec());
        show::before_signing(&file, self.trusted.as_ref(), self.task.language)
    }

    /// The plan that is to be trusted: the officer's own, or the folder's.
    fn trusted_path(&self) -> Option<&Path> {
        let within = self.listing.plans.iter().min_by_key(|plan| plan.components().count());
        self.task.plan.as_deref().or(within.map(PathBuf::as_path))
    }

    /// The bytes of a file. The plan that is trusted may be signed too, and is read once all the
    /// same.
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>> {
        let whole = |path: &Path| std::fs::canonicalize(path).ok();
        let is_trusted = self.trusted_path().is_some_and(|plan| whole(plan) == whole(path));
        match &self.read {
            Some(bytes) if is_trusted => Ok(bytes.clone()),
            _ => {
                let bytes = folder::read_file(path, MAX_DOCUMENT)?;
                self.read = is_trusted.then(|| bytes.clone()).or(self.read.take());
                Ok(bytes)
            }
        }
    }

    /// What a file is held against: the plan, and the log around it.
    fn basis<'b>(&'b mut self, plan: &'b Plan, file: &Path) -> Result<Basis<'b>> {
        let Some(path) = self.listing.log_of(file) else {
            return Ok(Basis { plan, log: None });
        };
        if !self.logs.contains_key(path) {
            let bytes = folder::read_file(path, MAX_LOG)?;
            let name = folder::shown(path);
            let log = counterpart::verify_any(plan, &bytes, &name)?;
            self.logs.insert(path.to_owned(), log);
        }
        Ok(Basis { plan, log: self.logs.get(path) })
    }

    /// The plan that the officer trusts: their own, or the folder's once its words were typed from
    /// paper.
    fn trust(&mut self) -> Result<&Plan> {
        if self.trusted.is_none() {
            let path = self.trusted_path().ok_or_else(no_plan_error)?.to_owned();
            let plan = Plan::parse(self.bytes(&path)?)?;
            if self.task.plan.is_none() {
                self.typed(&plan, &path)?;
            }
            self.who = plan.name_of(&self.task.id);
            self.trusted = Some(plan);
        }
        self.trusted.as_ref().ok_or_else(no_plan_error)
    }

    /// Asks for the words of a plan that lies beside what it would vouch for.
    fn typed(&self, plan: &Plan, path: &Path) -> Result<()> {
        let asker = Asker::new(plan.mode);
        let prompt = format!(
            "{} lies in this folder, and anybody may have put it there. Type the first {WORDS_TYPED} words of the plan that you signed, from paper (or end here, and give --plan FILE, your own copy):\n",
            folder::shown(path)
        );
        let typed = words::ask(&asker, &prompt, WordsHint::First(plan.hash()), &mut Paper)?;
        fingerprint::confirm(plan.hash(), &typed)
    }
}

/// The greatest size of what is signed for a purpose, in bytes.
fn limit(namespace: Namespace) -> u64 {
    match namespace {
        Namespace::Plan => MAX_PLAN,
        Namespace::Approval | Namespace::Head => MAX_REQUEST,
        Namespace::Probe => MAX_PROBE,
        Namespace::Document => MAX_DOCUMENT,
    }
}

fn no_plan_error() -> Error {
    Rule::DocumentPlan.refuse(
        "no plan to hold this against",
        "--plan FILE, the copy of the plan that you keep; or ceremony.toml in the folder, and its words on paper",
        "without either only a plan can be signed",
    )
}

fn unsigned_error(path: &Path) -> Error {
    Rule::DocumentKind.refuse(
        format!("{}: nobody signs such a file", folder::shown(path)),
        "a plan, a request, a document, the head of an archive, or a token's report",
        format!("`{}` says what it is", Program::Officer.line("show FILE").with("FILE", path)),
    )
}

fn misnamed_error(path: &Path) -> Error {
    Rule::DocumentKind.refuse(
        format!("{}: a document under another name", folder::shown(path)),
        "a document's whole folder, as it lies in the outbox: offer/offer.json",
        "copy the folder again from the outbox",
    )
}
