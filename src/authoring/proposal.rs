//! The strongest way that two tokens can, with the waivers that it needs.

use crate::forecast;
use probe::{Direction, Probe, TrialOutcome, WAYS};
use record::{Mechanism, OaepHash, Result, Rule, Side};

/// A way for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The hash of RSA-OAEP.
    pub oaep_hash: OaepHash,
    /// What must be waived, each with what was found: a reason to be reviewed.
    pub waivers: Vec<(Rule, String)>,
}

/// The strongest way of all that both tokens can.
///
/// # Errors
/// Where there is none, whatever is waived: by the rule that blocks the weakest way, naming what
/// blocks each, and on which side; `HSM-MECHANISM` where a token failed at it.
pub fn strongest(tenant: &Probe, hoster: &Probe) -> Result<Proposal> {
    let mut blocks = Vec::new();
    for way in WAYS {
        match propose(tenant, hoster, way) {
            Ok(proposal) => return Ok(proposal),
            Err((rule, found)) => blocks.push((rule, format!("{} with {}: {found}", way.0, way.1))),
        }
    }
    let rule = blocks.last().and_then(|(rule, _)| *rule).unwrap_or(Rule::HsmMechanism);
    Err(rule.refuse(
        blocks.iter().map(|(_, found)| found.as_str()).collect::<Vec<_>>().join("; "),
        "two tokens that can at least composite with one OAEP hash in common",
        "choose another token for the side that is named, or set it up otherwise; the reports say what each was seen to do",
    ))
}

/// This way with the waivers that it needs; or what blocks it whatever is waived, and on which
/// side.
pub fn propose(
    tenant: &Probe,
    hoster: &Probe,
    (mechanism, oaep_hash): (Mechanism, OaepHash),
) -> std::result::Result<Proposal, (Option<Rule>, String)> {
    let blocked = |rule: Option<Rule>, side: Side, found: &str| {
        let name = rule.map_or("the token itself", Rule::name);
        let found = found.lines().next().unwrap_or_default();
        (rule, format!("the {side}'s token, by {name} ({found})"))
    };
    for (probe, direction) in [(hoster, Direction::Unwrap), (tenant, Direction::Wrap)] {
        match probe.transfer(direction, mechanism, oaep_hash) {
            Some(TrialOutcome::Works { .. }) => {}
            Some(TrialOutcome::Refused { rule, found }) => {
                return Err(blocked(Some(*rule), probe.side, found));
            }
            Some(TrialOutcome::Failed { found }) => return Err(blocked(None, probe.side, found)),
            None => {
                return Err(blocked(None, probe.side, "its report does not say whether it can"));
            }
        }
    }
    if !forecast::ways(tenant, hoster).contains(&(mechanism, oaep_hash)) {
        let found = "it does not take the key wrap that the tenant's token makes";
        return Err(blocked(Some(Rule::WrapKwp), Side::Hoster, found));
    }
    let mut waivers = Vec::new();
    if mechanism == Mechanism::Composite {
        let found = why_not(tenant, hoster, Mechanism::SingleShot, oaep_hash);
        waivers.push((Rule::WrapComposite, found));
    } else if tenant.wrap_with_trusted != Some(true) {
        let found = match tenant.wrap_with_trusted {
            None => {
                "NOT KNOWN: the tenant's report does not say whether its token holds CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key"
            }
            Some(_) => {
                "the tenant's token does not hold CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key"
            }
        };
        waivers.push((Rule::TargetWrapWithTrusted, found.to_owned()));
    }
    if oaep_hash == OaepHash::Sha1 {
        let found = why_not(tenant, hoster, mechanism, OaepHash::Sha256);
        waivers.push((Rule::WrapOaepSha1, found));
    }
    let Some(missed) = forecast::missed(hoster, mechanism) else {
        return Err(blocked(None, Side::Hoster, "it made no KEK of the plan's kind"));
    };
    for miss in missed {
        if !miss.rule.waivable() {
            return Err(blocked(Some(miss.rule), Side::Hoster, &miss.found));
        }
        let found = format!("the hoster's token makes a KEK with {}", miss.found);
        waivers.push((miss.rule, found));
    }
    Ok(Proposal { mechanism, oaep_hash, waivers })
}

/// What a stronger way failed at.
fn why_not(tenant: &Probe, hoster: &Probe, mechanism: Mechanism, oaep: OaepHash) -> String {
    for (probe, direction) in [(tenant, Direction::Wrap), (hoster, Direction::Unwrap)] {
        if let Some(TrialOutcome::Refused { found, .. } | TrialOutcome::Failed { found }) =
            probe.transfer(direction, mechanism, oaep)
        {
            let line = found.lines().next().unwrap_or_default();
            return format!("the {}: {line}", probe.side);
        }
    }
    "one of the tokens can do no other".to_owned()
}
