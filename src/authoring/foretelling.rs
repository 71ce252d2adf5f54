//! `plan check --probe`: what the tokens were seen to do, held against a plan.

use std::path::PathBuf;

use crate::forecast::{DroppableWaiver, Forecast, ForetoldRefusal, forecast, forecast_alone};
use probe::Probe;
use record::signature::{self, Namespace};
use record::{Error, Plan, Result, Rule, Side, escape, with_commands};

/// The reports that were given, at most one of each side; one is enough where the other side's
/// token takes no part.
#[derive(Default)]
pub struct Reports {
    tenant: Option<ProbeReport>,
    hoster: Option<ProbeReport>,
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
        let mut reports = Reports::default();
        for file in files {
            let (probe, bytes) = Probe::read(file)?;
            let place = match probe.side {
                Side::Tenant => &mut reports.tenant,
                Side::Hoster => &mut reports.hoster,
            };
            let file = file.clone();
            if place.replace(ProbeReport { probe, file, bytes }).is_some() {
                return Err(reports_error());
            }
        }
        Ok(reports)
    }

    /// Those of both tokens, or none.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is but one.
    pub fn both(self) -> Result<Option<Probes>> {
        match (self.tenant, self.hoster) {
            (None, None) => Ok(None),
            (Some(tenant), Some(hoster)) => Ok(Some(Probes { tenant, hoster })),
            _ => Err(reports_error()),
        }
    }

    /// Each of them.
    fn all(&self) -> impl Iterator<Item = &ProbeReport> {
        self.tenant.iter().chain(&self.hoster)
    }

    /// What is foretold of a plan; none where there is no report.
    ///
    /// # Errors
    /// [`Error::Usage`] where the other side's report is needed too.
    pub fn forecast(&self, plan: &Plan) -> Result<Option<Forecast>> {
        if let (Some(tenant), Some(hoster)) = (&self.tenant, &self.hoster) {
            return Ok(Some(forecast(plan, &tenant.probe, &hoster.probe)));
        }
        let alone = |one: &ProbeReport| forecast_alone(plan, &one.probe).ok_or_else(reports_error);
        self.all().next().map(alone).transpose()
    }
}

fn reports_error() -> Error {
    Error::usage(
        "the reports are not one of each side",
        "give --probe twice: the tenant's report and the hoster's",
    )
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
            all => {
                let by = plan.names_of("nobody", all.iter().map(|one| &one.id));
                format!("{}: signed by {by}", file.display())
            }
        });
    }
    Ok(lines)
}

/// The forecast, for people.
pub fn text(forecast: &Forecast, reports: &Reports) -> Vec<String> {
    let mut lines = vec!["\nWHAT THE TOKENS WERE SEEN TO DO, HELD AGAINST IT".to_owned()];
    for ProbeReport { probe, .. } in reports.all() {
        let token = &probe.token;
        let [manufacturer, model, serial, time] =
            [&token.manufacturer, &token.model, &token.serial, &probe.time]
                .map(|text| escape(text));
        lines.push(format!(
            "  {:<8}{} ({manufacturer} {model}, serial {serial}), probed {time}",
            probe.side.name(),
            probe.profile.known().name
        ));
    }
    match forecast.ways.as_slice() {
        // One token alone has no way in common with another.
        [] if reports.all().count() < 2 => {}
        [] => lines.push("  both can: NOTHING; no key can cross between them".into()),
        ways => {
            let ways: Vec<_> =
                ways.iter().map(|(mechanism, oaep)| format!("{mechanism} with {oaep}")).collect();
            lines.push(format!("  both can, the strongest first: {}", ways.join("; ")));
        }
    }
    for ForetoldRefusal { side, command, rule, found } in &forecast.refusals {
        let rule = rule.map_or("the token itself", Rule::name);
        let found = escape(found);
        lines.push(format!("  WILL BE REFUSED at the {side}'s {command}, by {rule}: {found}"));
    }
    for unknown in &forecast.unknown {
        lines.push(format!("  NOT KNOWN at {}", escape(unknown)));
    }
    for rule in &forecast.needed {
        lines.push(format!("  needs the waiver {}, or other tokens", rule.name()));
    }
    for DroppableWaiver { rule, because } in &forecast.droppable {
        lines.push(format!("  can drop the waiver {}: {because}", rule.name()));
    }
    lines.extend(forecast.warnings.iter().map(|warning| format!("  note: {}", escape(warning))));
    if forecast.refusals.is_empty() && forecast.unknown.is_empty() {
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
    let remedy = with_commands(
        "change the plan as `{audit plan new FILE --probe REPORT --probe REPORT}` would write it, or use other tokens",
    );
    Err(match first.rule {
        Some(rule) => rule.refuse(found, "a plan that these tokens can carry out", remedy),
        None => Error::failed(found, remedy),
    })
}
