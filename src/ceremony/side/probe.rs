//! `probe`: a report of this side's token, before there is a plan. Throwaway objects only; no
//! ceremony is touched.

use std::path::Path;

use crate::side::preflight::guard_unplanned;
use crate::side::token::{TokenArgs, require_tries_left};
use hsm::{PinState, Token};
use record::probe::{Probe, TrialOutcome};
use record::{Mode, Result, Rule, Side, escape, folder, json_file, list};
use terminal::Asker;
use terminal::report::Report;

/// Probes the token and writes the report to a new file.
///
/// # Errors
/// `FILE-EXISTS`, `TOKEN-NOT-FOUND`, `PIN-…`, or the HSM's.
pub fn probe(side: Side, args: &TokenArgs, mode: Mode, to: &Path) -> Result<Report> {
    args.named()?;
    if to.exists() {
        return Err(folder::exists(to));
    }
    let machine = guard_unplanned(mode)?;
    let asker = Asker::new(mode);
    let probe = args.find_to_login(mode, |module, token| {
        require_tries(token)?;
        let (module_facts, token_facts) = (module.facts(args.named()?.0)?, token.facts()?);
        let hsm = args.login(&asker, token)?;
        hsm.probe(side, module_facts, token_facts, &|text| asker.progress(text))
    })?;
    let probe = Probe { machine, ..probe };
    folder::write_new(to, &json_file(&probe)?)?;
    Ok(report(&probe, to))
}

/// There is no record here in which officers could allow one more try.
fn require_tries(token: &Token) -> Result<()> {
    match token.pin_state()? {
        PinState::CountLow => Err(Rule::PinCountLow.refuse(
            "the token says that few tries are left after a wrong PIN",
            "a token whose PIN has tries left",
            "whoever holds the PIN logs in once with the vendor's own tool and the right PIN, which resets the counter; then run this command again",
        )),
        other => require_tries_left(other),
    }
}

fn report(probe: &Probe, to: &Path) -> Report {
    let mut report = Report::new("The token was probed; its throwaway objects are gone.")
        .value("token", escape(&probe.token.to_string()))
        .value("family", probe.profile.known().name)
        .value("mechanisms", probe.mechanisms.len());
    for facts in &probe.transfers {
        let said = match &facts.outcome {
            TrialOutcome::Works { kwp } => format!("works ({})", list(kwp)),
            TrialOutcome::Refused { rule, .. } => format!("refused by {}", rule.name()),
            TrialOutcome::Failed { found } => {
                format!("failed: {}", escape(found.lines().next().unwrap_or_default()))
            }
        };
        report = report.line(format!(
            "{} {}, OAEP {}: {said}",
            facts.direction, facts.mechanism, facts.oaep_hash
        ));
    }
    for facts in probe.enforced.iter().filter(|facts| facts.refused != Some(true)) {
        let what = match facts.refused {
            None => "not held, or could not be tried",
            _ => "HELD AND NOT ENFORCED",
        };
        report = report.line(format!("{} of a {}: {what}", facts.attribute, facts.object));
    }
    for finding in &probe.machine {
        let proposed = format!("{} on this machine: {}", finding.rule.name(), finding.found);
        report = report.line(format!("a waiver to propose, unless it is mended: {proposed}"));
    }
    report
        .value("trusted KEK", probe.trusted_kek())
        .value("attestation", probe.attestation.clone())
        .value("file", to.display().to_string())
}
