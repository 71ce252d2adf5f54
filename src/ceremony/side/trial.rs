//! A trial: a rehearsal on the real HSMs and nodes that stops before activation. A production plan
//! may name the closing of one, and then begins only with that trial's record.

use std::path::Path;

use record::document::closing::Closing;
use record::document::read;
use record::verify::counterpart;
use record::verify::counterpart::VerifiedLog;
use record::{
    Event, Hash, Id, LOG_FILE, PLAN_FILE, Plan, Result, Rule, ServicePlan, Side, Stage,
    TokenIdentity, Trial, escape, list,
};

/// Where the closing lies: in an archive of either side, in the hoster's ceremony folder, in the
/// tenant's.
const PLACES: [&str; 3] = ["closing", "outbox/closing", "inbox/closing"];
/// What mends most of these.
const REMEDY: &str = "name the folder or archive of the trial whose closing this plan names; if that one fell short, hold another and name it in a new plan";

/// Looks at the record of the trial that a plan names, where it is shown. The hoster, whose nodes
/// were tried, must show it. The plan names the closing and the closing the log, so that nothing
/// else of the folder is believed.
///
/// # Errors
/// `PLAN-TRIAL` where it is missing, another, no trial, of another target or HSM, or did not try
/// every node; `DOCUMENT-…`, `SIGNATURE-…`, `LOG-…`, `PLAN-…` where its record is not whole.
pub fn shown(plan: &Plan, side: Side, folder: Option<&Path>) -> Result<Option<Hash>> {
    match (plan.trial, folder) {
        (Trial::After(closing), Some(folder)) => {
            verify(plan, closing, folder)?;
            Ok(Some(closing))
        }
        (Trial::After(closing), None) if side == Side::Hoster => Err(Rule::PlanTrial.refuse(
            format!("no --trial, and the plan names the trial with the closing {closing}"),
            "the record of that trial",
            "name the hoster's ceremony folder of the trial, or its archive, with --trial",
        )),
        (Trial::None | Trial::This, Some(folder)) => Err(Rule::PlanTrial.refuse(
            format!("--trial {}, and the plan names no trial", folder.display()),
            "no --trial",
            "leave it out; only a production plan names a trial (`[target] trial`)",
        )),
        (_, None) => Ok(None),
    }
}

fn verify(plan: &Plan, named: Hash, folder: &Path) -> Result<()> {
    let mut found = PLACES.iter().map(|place| folder.join(place));
    let path = found.find(|path| path.exists()).ok_or_else(|| {
        let expected = format!("a trial's record with the closing {named}");
        Rule::PlanTrial.refuse(format!("{} without a closing", folder.display()), expected, REMEDY)
    })?;
    let former = Plan::read(&folder.join(PLAN_FILE))?;
    let closing = read::<Closing>(&path, &former)?.released(&former)?;
    Rule::PlanTrial.ensure(
        closing.hash == named,
        format!("{} has SHA-256 {}", path.display(), closing.hash),
        format!("the closing that the plan names, {named}"),
        REMEDY,
    )?;
    let name = format!("{}/{LOG_FILE}", path.display());
    let log = counterpart::verify(&former, Side::Hoster, closing.file(LOG_FILE), &name)?;
    log.contains(&closing.document.header, Some(closing.file(LOG_FILE)))?;
    let aborted = log.state.aborted.map(|head| head.hash);
    let ended = aborted.is_some() && closing.document.header.answers == aborted;
    Rule::PlanTrial.ensure(
        former.trial == Trial::This && ended,
        format!("{}: a ceremony that was no trial", folder.display()),
        "one whose plan says `trial = true`, and that ended by `abort`",
        REMEDY,
    )?;
    same_target(&former.target, &plan.target)?;
    // Where keys are born, a trial's closing may name no token; then its log names the one that
    // they were born in.
    if let Some((hsm, token)) = plan.hoster.hsm.as_ref().zip(tried_on(closing.body(), &log)) {
        Rule::PlanTrial.ensure(
            hsm.names(token),
            escape(&format!("a trial on the HSM {token}")),
            escape(&format!("on the plan's hoster HSM {hsm}")),
            REMEDY,
        )?;
    }
    tried(ready(&log), plan)
}

/// The token that a trial was held on.
fn tried_on<'a>(closing: &'a Closing, log: &'a VerifiedLog) -> Option<&'a TokenIdentity> {
    let named = log.events().find_map(|(_, event)| match event {
        Event::KeysCreate { token, .. } => Some(token),
        _ => None,
    });
    closing.token.as_ref().or(named)
}

/// The nodes of which a trial's log shows that they proved every key at stage `ready`.
fn ready(log: &VerifiedLog) -> impl Iterator<Item = &Id> {
    log.events().filter_map(|(_, event)| match event {
        Event::Evidence { node, stage: Stage::Ready, .. } => Some(node),
        _ => None,
    })
}

/// Whether a trial has shown each node of a plan to be ready.
///
/// # Errors
/// `PLAN-TRIAL`, naming the nodes that are missing.
pub fn tried<'a>(nodes: impl Iterator<Item = &'a Id>, plan: &Plan) -> Result<()> {
    let nodes: Vec<&Id> = nodes.collect();
    let missing = plan.target.nodes().iter();
    let missing: Vec<&Id> = missing.filter(|node| !nodes.contains(node)).collect();
    Rule::PlanTrial.ensure(
        missing.is_empty(),
        format!("a trial in which {} never proved itself ready", list(&missing)),
        "evidence of stage ready of every node",
        REMEDY,
    )
}

fn same_target(tried: &ServicePlan, planned: &ServicePlan) -> Result<()> {
    let said = |target: &ServicePlan| {
        let ksp = match target {
            ServicePlan::Local { .. } | ServicePlan::Cloud(_) => String::new(),
            ServicePlan::Hgs { ksp, .. } => format!(" through {}", escape(ksp)),
        };
        format!("{}{ksp} on {}", target.kind(), list(target.nodes()))
    };
    let (tried, planned) = (said(tried), said(planned));
    let holds = tried == planned;
    let expected = format!("{planned}, in this order");
    Rule::PlanTrial.ensure(holds, format!("a trial of {tried}"), expected, REMEDY)
}

/// What a trial leaves to be removed by hand on one side, a line each.
pub fn remains(plan: &Plan, side: Side) -> Vec<String> {
    if plan.trial != Trial::This {
        return Vec::new();
    }
    match (side, &plan.target) {
        (Side::Tenant, _) => {
            vec![format!(
                "the trial's throwaway keys in the tenant's HSM ({}), with the vendor's tool: `keys create` makes no second key of a label",
                list(plan.keys.iter().map(|key| &key.label))
            )]
        }
        (Side::Hoster, ServicePlan::Hgs { nodes, .. }) => {
            vec![format!(
                "the trial's certificates on every node ({}): `Install-KeyferryNode.ps1 -Remove` there",
                list(nodes)
            )]
        }
        (Side::Hoster, ServicePlan::Local { .. } | ServicePlan::Cloud(_)) => Vec::new(),
    }
}
