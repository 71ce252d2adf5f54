//! `init`: a side takes the plan that officers of both sides have signed, by its words.

use std::path::Path;

use crate::services;
use crate::side::trial;
use crate::{Ceremony, Files, Report};
use record::fingerprint::{self, WORDS_TYPED};
use record::flow::results::ShownBefore;
use record::layout::archived_log;
use record::signature::{self, SignatureFile};
use record::verify::counterpart;
use record::{
    Event, LOG_FILE, PLAN_FILE, Plan, Program, Result, Rule, Side, Signed, TransferRoute, Trial,
    log,
};

/// A plan that enough officers of both sides have signed.
pub struct AgreedPlan {
    /// The plan.
    pub plan: Plan,
    files: Vec<SignatureFile>,
    signed: Vec<Signed>,
    /// The aborted ceremony and the trial whose records were shown.
    shown: ShownBefore,
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
        Ok(AgreedPlan { plan, files, signed, shown: ShownBefore::default() })
    }

    /// Looks at the ceremony that this plan supersedes, where its folder or archive is shown.
    ///
    /// # Errors
    /// `ABORT-SUPERSEDED` where it is another, or was not aborted; `LOG-…`, `PLAN-…`.
    pub fn superseding(mut self, side: Side, folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(self) };
        let former = Plan::read(&folder.join(PLAN_FILE))?;
        let archived = folder.join(archived_log(side));
        let path = if archived.exists() { archived } else { folder.join(LOG_FILE) };
        let bytes = log::own_bytes(&path)?;
        let log = counterpart::verify(&former, side, &bytes, &path.display().to_string())?;
        let aborted = log.state.aborted.is_some();
        let expected = self.plan.supersedes.map_or("none".into(), |plan| plan.to_string());
        let how = if aborted { "aborted" } else { "not aborted" };
        Rule::AbortSuperseded.ensure(
            aborted && self.plan.supersedes == Some(former.hash()),
            format!("{}: the ceremony of plan {}, {how}", folder.display(), former.hash()),
            format!("the aborted ceremony of the plan that is superseded: {expected}"),
            "end it with `abort` first, or name the right folder",
        )?;
        self.shown.superseded = Some(log.head.hash);
        Ok(self)
    }

    /// Looks at the record of the trial that this plan names. Only the tenant may begin without it.
    ///
    /// # Errors
    /// As [`trial::shown`].
    pub fn tried(mut self, side: Side, folder: Option<&Path>) -> Result<Self> {
        self.shown.trial = trial::shown(&self.plan, side, folder)?;
        Ok(self)
    }
}

/// Begins the ceremony in a folder. `typed` are the plan's first 16 words, read aloud by the other
/// side.
///
/// # Errors
/// `WORDS-MISMATCH`, `CEREMONY-EXISTS`, and what writing files can end with.
pub fn init(dir: &Path, side: Side, agreed: AgreedPlan, typed: &str) -> Result<(Ceremony, Report)> {
    let AgreedPlan { plan, files, signed, shown } = agreed;
    if side == Side::Hoster && plan.way == TransferRoute::Cloud {
        return Err(services::no_part_error());
    }
    fingerprint::confirm(plan.hash(), typed)?;
    let event = Event::init(&plan, side, signed.clone(), env!("CARGO_PKG_VERSION"), shown);
    let files: Files = files.into_iter().map(named).collect();
    let report =
        Report::new(format!("The ceremony {} has begun on the side of the {side}.", plan.ceremony))
            .value("plan", plan.hash().to_string())
            .people("signed by", &plan, signed.iter().map(|one| &one.id))
            .value("folder", dir.display().to_string());
    let report = match (plan.supersedes, shown.superseded) {
        (None, _) => report,
        (Some(former), Some(_)) => {
            report.value("supersedes", format!("{former}, seen to be aborted"))
        }
        (Some(former), None) => report.value("supersedes", format!("{former}, not shown here")),
    };
    let report = match (plan.trial, shown.trial) {
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
        "Somebody of the other side reads the plan's first {WORDS_TYPED} words aloud, over a second \
         channel (`{}` shows them there). Type them here: ",
        Program::Audit.line("plan check PLAN")
    )
}

/// The plan and the signatures that a ceremony began with; these as they lie in its folder.
///
/// # Errors
/// What reading files can end with, and `SIGNATURE-…` rules.
pub fn signatures(dir: &Path, plan: &Plan) -> Result<Files> {
    let path = dir.join(PLAN_FILE);
    let mut files: Files = signature::beside(&path)?.into_iter().map(named).collect();
    files.insert(0, (PLAN_FILE.to_owned(), plan.bytes().to_vec()));
    Ok(files)
}

fn named(signature: SignatureFile) -> (String, Vec<u8>) {
    (format!("{PLAN_FILE}.{}.sig", signature.signer), signature.bytes)
}
