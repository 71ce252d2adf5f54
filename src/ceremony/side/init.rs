//! `init`: a side takes the plan that officers of both sides have signed, by its words.

use std::path::Path;

use crate::Ceremony;
use crate::services::cloud;
use crate::side::trial;
use record::Result;
use record::command::Program;
use record::encoding::Hash;
use record::fingerprint::{self, WORDS_TYPED};
use record::flow::results::ShownBefore;
use record::log::{self, Event, LOG_FILE};
use record::plan::{PLAN_FILE, Plan};
use record::rule::Rule;
use record::signature::{self, SignatureFile, Signed};
use record::terms::{Side, TransferRoute, Trial, list};
use record::verify::counterpart;
use terminal::report::Report;

/// A plan that enough officers of both sides have signed.
pub struct AgreedPlan {
    plan: Plan,
    files: Vec<SignatureFile>,
    signed: Vec<Signed>,
    /// The head of the aborted ceremony's log that was shown.
    superseded: Option<Hash>,
    /// The closing of the trial whose record was shown.
    trial: Option<Hash>,
}

impl AgreedPlan {
    /// Reads a plan and the signatures beside it.
    ///
    /// # Errors
    /// `PLAN-…` and `SIGNATURE-…` rules.
    pub fn read(path: &Path) -> Result<Self> {
        let plan = Plan::read_new(path)?;
        let files = signature::beside(path)?;
        let signed = signature::verify_plan(&plan, &files)?;
        Ok(AgreedPlan { plan, files, signed, superseded: None, trial: None })
    }

    /// Looks at the ceremony that this plan supersedes, where its folder or archive is shown.
    ///
    /// # Errors
    /// `ABORT-SUPERSEDED` where it is another, or was not aborted; `LOG-…`, `PLAN-…`.
    pub fn superseding(mut self, side: Side, folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else {
            return Ok(self);
        };
        let former = Plan::read(&folder.join(PLAN_FILE))?;
        let archived = folder.join(format!("{side}.{LOG_FILE}"));
        let path = match archived.exists() {
            true => archived,
            false => folder.join(LOG_FILE),
        };
        let bytes = log::own_bytes(&path)?;
        let log = counterpart::verify(&former, side, &bytes, &path.display().to_string())?;
        if self.plan.supersedes != Some(former.hash()) || log.state.aborted.is_none() {
            let how = match log.state.aborted {
                Some(_) => "aborted",
                None => "not aborted",
            };
            let expected = self.plan.supersedes.map_or("none".into(), |plan| plan.to_string());
            return Err(Rule::AbortSuperseded.refuse(
                format!("{}: the ceremony of plan {}, {how}", folder.display(), former.hash()),
                format!("the aborted ceremony of the plan that is superseded: {expected}"),
                "end it with `abort` first, or name the right folder",
            ));
        }
        self.superseded = Some(log.head.hash);
        Ok(self)
    }

    /// Looks at the record of the trial that this plan names. Only the tenant may begin without it.
    ///
    /// # Errors
    /// As [`trial::shown`].
    pub fn tried(mut self, side: Side, folder: Option<&Path>) -> Result<Self> {
        self.trial = trial::shown(&self.plan, side, folder)?;
        Ok(self)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Begins the ceremony in a folder. `typed` are the plan's first 16 words, read aloud by the other
/// side.
///
/// # Errors
/// `WORDS-MISMATCH`, `CEREMONY-EXISTS`, and what writing files can end with.
pub fn init(dir: &Path, side: Side, agreed: AgreedPlan, typed: &str) -> Result<(Ceremony, Report)> {
    let AgreedPlan { plan, files, signed, superseded, trial } = agreed;
    if side == Side::Hoster && plan.way == TransferRoute::Cloud {
        return Err(cloud::no_part_error());
    }
    fingerprint::confirm(plan.hash(), typed)?;
    let shown = ShownBefore { superseded, trial };
    let event = Event::init(&plan, side, signed.clone(), env!("CARGO_PKG_VERSION"), shown);
    let files: Vec<_> = files
        .into_iter()
        .map(|file| (format!("{PLAN_FILE}.{}.sig", file.signer), file.bytes))
        .collect();
    let report =
        Report::new(format!("The ceremony {} has begun on the side of the {side}.", plan.ceremony))
            .value("plan", plan.hash().to_string())
            .value("signed by", list(signed.iter().map(|one| &one.id)))
            .value("folder", dir.display().to_string());
    let report = match (plan.supersedes, superseded) {
        (None, _) => report,
        (Some(former), Some(_)) => {
            report.value("supersedes", format!("{former}, seen to be aborted"))
        }
        (Some(former), None) => report.value("supersedes", format!("{former}, not shown here")),
    };
    let report = match (plan.trial, trial) {
        (Trial::None, _) => report,
        (Trial::This, _) => {
            report.line("This is a trial, with throwaway keys: it stops before activation, and ends with `abort` on both sides.")
        }
        (Trial::After(closing), Some(_)) => {
            report.value("trial", format!("{closing}, in which every node proved itself ready"))
        }
        (Trial::After(closing), None) => report.value("trial", format!("{closing}, not shown here")),
    };
    Ok((Ceremony::create(dir, side, plan, &files, event)?, report))
}

/// What to say before the words are typed.
pub fn words_prompt() -> String {
    format!(
        "Somebody of the other side reads the plan's first {WORDS_TYPED} words aloud, over a second channel\n\
         (`{}` shows them there). Type them here: ",
        Program::Audit.line("plan check PLAN")
    )
}

/// The plan and the signatures that a ceremony began with; these as they lie in its folder.
///
/// # Errors
/// What reading files can end with, and `SIGNATURE-…` rules.
pub fn signatures(dir: &Path, plan: &Plan) -> Result<Vec<(String, Vec<u8>)>> {
    let path = dir.join(PLAN_FILE);
    let named = |file: SignatureFile| (format!("{PLAN_FILE}.{}.sig", file.signer), file.bytes);
    let mut files: Vec<_> = signature::beside(&path)?.into_iter().map(named).collect();
    files.insert(0, (PLAN_FILE.to_owned(), plan.bytes().to_vec()));
    Ok(files)
}
