//! `release`: a document leaves only when enough officers of its side have signed its bytes.

use clap::Args;

use crate::{Ceremony, Means, Report, Run};
use record::gate::Unconfirmed;
use record::signature::{self, Namespace};
use record::{Error, Event, Kind, Result, Rule, Stage, Step, with_commands};

/// `release`, as it is typed.
#[derive(Args)]
pub struct Release;

impl Run for Release {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Release)?;
        let (kind, _) = ceremony.state.unreleased().ok_or_else(|| {
            Error::failed("no document waits to be released", ceremony.state.see_status())
        })?;
        if kind == Kind::Package {
            require_confirmed(ceremony)?;
        }
        Rule::PhaseOrder.ensure(
            kind != Kind::Registration || ceremony.state.nodes.stage() == Stage::Active,
            "release of a registration whose activation was taken back",
            "a registration of keys that are primary",
            "the former keys are primary again: an abort ends this ceremony; a new plan may supersede it",
        )?;
        let own = ceremony.made_of(kind)?;
        let folder = ceremony.outbox(kind.name());
        signature::enough(
            &ceremony.plan,
            ceremony.state.side,
            Namespace::Document,
            &folder.join(kind.file()),
            &own.signatures,
        )?;
        let (document, signatures) = (own.hash, own.signatures.everyone());
        ceremony.record(Event::Release { kind, document, signatures: signatures.clone() })?;
        Ok(Report::new(format!("The {kind} is released."))
            .value("document", document.to_string())
            .people("signed by", &ceremony.plan, signatures.iter().map(|one| &one.id))
            .value("folder", folder.display().to_string()))
    }
}

/// Every custodian has confirmed; or one more than a quorum needs, and officers have signed for the
/// rest.
fn require_confirmed(ceremony: &mut Ceremony) -> Result<()> {
    let package = ceremony.state.made(Kind::Package)?.hash;
    let subject = Unconfirmed::of(&ceremony.state, package);
    if subject.custodians.is_empty() {
        return Ok(());
    }
    let enough = usize::from(ceremony.plan.quorum.threshold) + 1;
    if ceremony.state.confirmed.len() >= enough {
        return crate::approval::require(ceremony, &subject)?.covers(&subject);
    }
    Err(Rule::ShareUnconfirmed.refuse(
        format!("not confirmed by {}", ceremony.plan.names_of("nobody", &subject.custodians)),
        match enough < ceremony.plan.quorum.custodians.len() {
            true => format!("a confirmation by every custodian; or by {enough}, and a deviation that officers sign"),
            false => "a confirmation by every custodian".into(),
        },
        with_commands("each custodian runs `{custodian share check FILE --identity IDENTITY}` on a machine of their own, and types the words it shows here, at `{tenant share confirm CUSTODIAN}`"),
    ))
}
