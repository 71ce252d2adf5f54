//! The strongest way that two tokens can, with the waivers that it needs.

use crate::forecast;
use record::probe::{Direction, Probe, TrialOutcome};
use record::{Mechanism, OaepHash, Result, Rule};

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
/// `HSM-MECHANISM` where there is none, whatever is waived.
pub fn strongest(tenant: &Probe, hoster: &Probe) -> Result<Proposal> {
    let ways = forecast::ways(tenant, hoster).into_iter();
    let mut proposals = ways.filter_map(|way| propose(tenant, hoster, way));
    proposals.next().ok_or_else(|| {
        Rule::HsmMechanism.refuse(
            "no way to carry a key that both tokens can, whatever is waived",
            "tokens that can at least composite with one OAEP hash in common",
            "choose another token for one side; the reports say what each was seen to do",
        )
    })
}

/// This way with the waivers that it needs, where the hoster's token can hold a KEK for it.
pub fn propose(
    tenant: &Probe,
    hoster: &Probe,
    (mechanism, oaep_hash): (Mechanism, OaepHash),
) -> Option<Proposal> {
    let mut waivers = Vec::new();
    if mechanism == Mechanism::Composite {
        let found = why_not(tenant, hoster, Mechanism::SingleShot, oaep_hash);
        waivers.push((Rule::WrapComposite, found));
    } else if !tenant.wrap_with_trusted {
        let found = "the tenant's token does not hold CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key";
        waivers.push((Rule::TargetWrapWithTrusted, found.to_owned()));
    }
    if oaep_hash == OaepHash::Sha1 {
        let found = why_not(tenant, hoster, mechanism, OaepHash::Sha256);
        waivers.push((Rule::WrapOaepSha1, found));
    }
    let kek = hoster.keks.iter().find(|kek| kek.mechanism == mechanism)?;
    for miss in kek.missed.as_ref()? {
        if !miss.rule.waivable() {
            return None;
        }
        let found = format!("the hoster's token makes a KEK with {}", miss.found);
        waivers.push((miss.rule, found));
    }
    Some(Proposal { mechanism, oaep_hash, waivers })
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
