//! `plan check --probe`: what the tokens were seen to do, held against a plan.

use std::path::PathBuf;

use crate::forecast::{Forecast, forecast, forecast_alone};
use record::{
    Error, Result,
    escape::escape,
    plan::Plan,
    probe::Probe,
    rule::Rule,
    signature::{self, Namespace},
    terms::{Side, list},
};

/// The reports that were given.
pub enum Reports {
    /// None.
    None,
    /// Of one token: enough where the other side's takes no part.
    One(Box<ProbeReport>),
    /// Of both.
    Both(Box<Probes>),
}

/// The reports of both tokens.
pub struct Probes {
    /// The tenant's.
    pub tenant: ProbeReport,
    /// The hoster's.
    pub hoster: ProbeReport,
}

/// A report as it was read, once: what is foretold from is what was signed.
pub struct ProbeReport {
    /// What it says.
    pub probe: Probe,
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Reports {
    /// Reads the reports.
    ///
    /// # Errors
    /// `DOCUMENT-…`; [`Error::Usage`] where there are several of one side.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut sides = [None, None];
        for file in files {
            let (probe, bytes) = Probe::read(file)?;
            let place = match probe.side {
                Side::Tenant => &mut sides[0],
                Side::Hoster => &mut sides[1],
            };
            let file = file.clone();
            if place.replace(ProbeReport { probe, file, bytes }).is_some() {
                return Err(one_of_each());
            }
        }
        Ok(match sides {
            [Some(tenant), Some(hoster)] => Reports::Both(Box::new(Probes { tenant, hoster })),
            [Some(one), None] | [None, Some(one)] => Reports::One(Box::new(one)),
            [None, None] => Reports::None,
        })
    }

    /// Those of both tokens, or none.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is but one.
    pub fn both(self) -> Result<Option<Probes>> {
        match self {
            Reports::None => Ok(None),
            Reports::Both(probes) => Ok(Some(*probes)),
            Reports::One(_) => Err(one_of_each()),
        }
    }

    /// Each of them.
    fn all(&self) -> Vec<&ProbeReport> {
        match self {
            Reports::None => Vec::new(),
            Reports::One(one) => vec![one],
            Reports::Both(probes) => vec![&probes.tenant, &probes.hoster],
        }
    }

    /// What is foretold of a plan; none where there is no report.
    ///
    /// # Errors
    /// [`Error::Usage`] where the other side's report is needed too.
    pub fn forecast(&self, plan: &Plan) -> Result<Option<Forecast>> {
        match self {
            Reports::None => Ok(None),
            Reports::Both(probes) => {
                let Probes { tenant, hoster } = probes.as_ref();
                Ok(Some(forecast(plan, &tenant.probe, &hoster.probe)))
            }
            Reports::One(one) => forecast_alone(plan, &one.probe).map(Some).ok_or_else(one_of_each),
        }
    }
}

fn one_of_each() -> Error {
    Error::Usage {
        what: "the reports are not one of each side".into(),
        remedy: "give --probe twice: the tenant's report and the hoster's".into(),
    }
}

/// Who has signed each report; a signature that is wrong refuses it.
///
/// # Errors
/// `SIGNATURE-…`.
pub fn signers(plan: &Plan, reports: &Reports) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for ProbeReport { probe, file, bytes } in reports.all() {
        let files = signature::beside(file)?;
        let signed = signature::verify(plan, probe.side, Namespace::Probe, bytes, &files)?;
        lines.push(match signed.officers.as_slice() {
            [] => {
                format!("{}: signed by nobody, so a claim of whoever made the file", file.display())
            }
            all => format!("{}: signed by {}", file.display(), list(all.iter().map(|one| &one.id))),
        });
    }
    Ok(lines)
}

/// The forecast, for people.
pub fn text(forecast: &Forecast, reports: &Reports) -> Vec<String> {
    let mut lines = vec!["What the tokens were seen to do, held against the plan:".to_owned()];
    for ProbeReport { probe, .. } in reports.all() {
        let token = &probe.token;
        lines.push(format!(
            "  {:<8}{} ({} {}, serial {}), probed {}",
            probe.side.name(),
            probe.profile.known().name,
            escape(&token.manufacturer),
            escape(&token.model),
            escape(&token.serial),
            escape(&probe.time)
        ));
    }
    match forecast.ways.as_slice() {
        // One token alone has no way in common with another.
        [] if reports.all().len() < 2 => {}
        [] => lines.push("  both can: NOTHING; no key can cross between them".into()),
        ways => {
            let ways: Vec<_> =
                ways.iter().map(|(mechanism, oaep)| format!("{mechanism} with {oaep}")).collect();
            lines.push(format!("  both can, the strongest first: {}", ways.join("; ")));
        }
    }
    for refused in &forecast.refusals {
        let rule = refused.rule.map_or("the token itself", Rule::name);
        lines.push(format!(
            "  WILL BE REFUSED at the {}'s {}, by {rule}: {}",
            refused.side,
            refused.command,
            escape(&refused.found)
        ));
    }
    for rule in &forecast.needed {
        lines.push(format!("  needs the waiver {}, or other tokens", rule.name()));
    }
    for droppable in &forecast.droppable {
        lines.push(format!(
            "  can drop the waiver {}: {}",
            droppable.rule.name(),
            droppable.because
        ));
    }
    for warning in &forecast.warnings {
        lines.push(format!("  note: {}", escape(warning)));
    }
    if forecast.refusals.is_empty() {
        lines.push("  nothing of this plan will be refused by these tokens".into());
    }
    lines
}

/// The first refusal that is foretold, as the end of the command.
///
/// # Errors
/// By its rule, with exit code 3; [`Error::Failed`] where the token itself would fail.
pub fn require(forecast: &Forecast) -> Result<()> {
    let Some(first) = forecast.refusals.first() else {
        return Ok(());
    };
    let found =
        format!("foretold for the {}'s {}: {}", first.side, first.command, escape(&first.found));
    let remedy = "change the plan as `plan new --probe` would write it, or use other tokens";
    Err(match first.rule {
        Some(rule) => rule.refuse(found, "a plan that these tokens can carry out", remedy),
        None => Error::failed(found, remedy),
    })
}
