//! A plan. It holds the keys of everybody and so is the one file that says who may sign it.

use std::path::Path;

use super::{Page, Source, end};
use crate::{
    Result,
    audit::planning::content,
    plan::{MAX_PLAN, Plan, Side},
    signature::Namespace,
};

/// Explains a plan.
///
/// # Errors
/// Every fault of the plan with its line.
pub fn show(path: &Path) -> Result<Page> {
    let source = Source::whole(path, MAX_PLAN)?;
    let plan = Plan::parse(source.bytes.clone())?;
    let mut page = Page::new(
        "This is a plan: who takes part in a ceremony, how many of them it needs, what crosses and how, and which rules are waived. \
         It has no faults.",
    );
    page.value("ceremony", &plan.ceremony).mode(plan.mode).plan(&plan.hash());
    page.title("WHAT IT SAYS");
    for line in content(&plan) {
        page.line(format!("  {line}"));
    }
    let officers = [Side::Tenant, Side::Hoster].map(|side| &plan.party(side).officers);
    let ids: Vec<String> =
        (officers.into_iter().flatten()).map(|officer| officer.id.to_string()).collect();
    page.signing(
        &source,
        Namespace::Plan,
        "You agree that the ceremony is carried out by this plan, waivers included. Enough officers of both sides must sign.",
        &ids,
    );
    let check = "keyferry-audit plan check FILE: it verifies the signatures beside the plan";
    end(&mut page, &source, check);
    Ok(page)
}
