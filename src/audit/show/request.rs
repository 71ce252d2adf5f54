//! An approval request: what officers are asked to sign before an act. Gates are many and become
//! more, so what is approved is shown whole, field by field, as it stands there.

use serde::Deserialize;

use super::{Page, Source, Tree, end, parsed};
use crate::{
    Result,
    document::FORMAT,
    encoding::Hash,
    plan::{Id, Mode, Side},
    signature::Namespace,
};

/// A request, as far as every gate's is the same.
#[derive(Deserialize)]
struct Request {
    format: String,
    ceremony: Id,
    mode: Mode,
    side: Side,
    plan_hash: Hash,
    gate: String,
    attempt: u32,
    entry: Hash,
    subject: Tree,
    summary: String,
    /// What another version says besides: signed with the rest, so shown.
    #[serde(flatten)]
    further: Tree,
}

/// What is known of a gate.
fn meaning(gate: &str) -> &'static str {
    match gate {
        "export" => {
            "wrap the tenant's keys for the hoster's KEK, seal them, and deal the shares to the custodians"
        }
        "import" => {
            "open the seal with a quorum of custodians, and unwrap the keys into the hoster's HSM"
        }
        "primary" => "make the tenant's keys the primary keys of the hoster's service",
        "nodes" => "change the nodes of the service",
        "rollback" => "make former keys primary again",
        "kek-destroy" => "destroy the KEK: what is wrapped for it can never be opened again",
        "keys-destroy" => {
            "destroy the keys that were born in the hoster's HSM, after the ceremony was aborted"
        }
        "source-destroy" => "destroy the tenant's original keys: only the hoster's remain",
        "restart" => "give this attempt up and begin the next, with everything fresh",
        "abort" => "end this ceremony for good",
        "deviation" => "go on although something was not as the plan has it",
        "pin-try" => {
            "try a PIN once more although the token says that few tries are left; too many block it"
        }
        _ => {
            "what the summary and the subject say; this version of keyferry-audit does not know this gate"
        }
    }
}

/// Explains a request.
pub fn show(source: &Source) -> Result<Page> {
    let request: Request = parsed(source, "an approval request")?;
    if request.format != FORMAT {
        return Err(source.broken("an approval request", format!("format {:?}", request.format)));
    }
    let mut page = Page::new(
        "This is an approval request: an act that waits until enough officers of one side have signed it.",
    );
    page.value("ceremony", &request.ceremony)
        .value("asked of", format!("the {}'s officers", request.side))
        .mode(request.mode)
        .value("attempt", request.attempt)
        .value("gate", &request.gate)
        .value("log entry", request.entry)
        .line("    the last entry that changed the phase; once the ceremony has moved on, this request is void")
        .plan(&request.plan_hash);
    page.title("WHAT IT ASKS FOR, in the words of the program that wrote it")
        .quote(&request.summary);
    page.title("WHAT EXACTLY IS APPROVED").tree("subject", &request.subject);
    if !request.further.names().is_empty() {
        page.title("WHAT ELSE IT SAYS, unknown to this version of keyferry-audit")
            .tree("further", &request.further);
    }
    page.signing(
        source,
        Namespace::Approval,
        &format!("You allow the {} to {}.", request.side, meaning(&request.gate)),
        &[],
    );
    end(
        &mut page,
        source,
        "the program that wrote the request computes it again right before the act, and checks every signature",
    );
    Ok(page)
}
