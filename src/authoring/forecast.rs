//! What will happen on the day, foretold from a plan and the reports of both tokens: what is
//! refused where, which waivers the plan needs, and which it can drop.

use std::collections::BTreeSet;

use serde::Serialize;

use record::probe::{Direction, Probe, TrialOutcome, WAYS, needs};
use record::{KeyType, KwpFlavour, Mechanism, OaepHash, Plan, Rule, Side, TransferRoute, list};

/// What is foretold.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// The ways that both tokens can, the strongest first.
    pub ways: Vec<(Mechanism, OaepHash)>,
    /// What will be refused, in the order of the ceremony; the first ends it.
    pub refusals: Vec<ForetoldRefusal>,
    /// Rules that the plan must waive, or choose other tokens: each stands among `refusals` too.
    pub needed: Vec<Rule>,
    /// Waivers that the plan can drop.
    pub droppable: Vec<DroppableWaiver>,
    /// What no rule refuses, but somebody should know.
    pub warnings: Vec<String>,
}

/// A refusal that is foretold.
#[derive(Debug, Clone, Serialize)]
pub struct ForetoldRefusal {
    /// On which side.
    pub side: Side,
    /// At which command.
    pub command: &'static str,
    /// By which rule; none where the token itself fails (exit code 5).
    pub rule: Option<Rule>,
    /// What was found.
    pub found: String,
}

/// A waiver that is not needed.
#[derive(Debug, Clone, Serialize)]
pub struct DroppableWaiver {
    /// The rule.
    pub rule: Rule,
    /// Why not.
    pub because: &'static str,
}

/// The ways that both tokens can, by what was seen, the strongest first.
pub fn ways(tenant: &Probe, hoster: &Probe) -> Vec<(Mechanism, OaepHash)> {
    let both = |way: &(Mechanism, OaepHash)| flavours(tenant, hoster, *way).is_some_and(fit);
    WAYS.into_iter().filter(both).collect()
}

/// The flavours of AES key wrap that a transfer makes, and those that the other end takes.
type Flavours<'a> = (&'a [KwpFlavour], &'a [KwpFlavour]);

/// What the tenant's token makes this way, and what the hoster's takes; none where one cannot.
fn flavours<'a>(
    tenant: &'a Probe,
    hoster: &'a Probe,
    (mechanism, oaep): (Mechanism, OaepHash),
) -> Option<Flavours<'a>> {
    let seen = |probe: &'a Probe, direction| match probe.transfer(direction, mechanism, oaep) {
        Some(TrialOutcome::Works { kwp }) => Some(kwp.as_slice()),
        _ => None,
    };
    seen(tenant, Direction::Wrap).zip(seen(hoster, Direction::Unwrap))
}

/// Whether the hoster's token takes what the tenant's makes.
fn fit((made, taken): Flavours) -> bool {
    made.iter().all(|flavour| taken.contains(flavour))
}

/// Foretells a ceremony.
pub fn forecast(plan: &Plan, tenant: &Probe, hoster: &Probe) -> Forecast {
    let alone = match plan.way {
        TransferRoute::Carried => None,
        TransferRoute::Born | TransferRoute::Brought => forecast_alone(plan, hoster),
        TransferRoute::Cloud => forecast_alone(plan, tenant),
    };
    if let Some(alone) = alone {
        return alone;
    }
    let ways = ways(tenant, hoster);
    let (mut refusals, missed) = hoster_refusals(plan, hoster);
    refusals.extend(tenant_refusals(plan, tenant));
    refusals.extend(import_refusal(plan, tenant, hoster));
    let droppable = droppable(plan, &ways, &missed, tenant.wrap_with_trusted);
    Forecast { ways, droppable, ..of_refusals(plan, refusals, &[tenant, hoster]) }
}

/// Foretells a ceremony in which the other side's token takes no part; none where it does.
pub fn forecast_alone(plan: &Plan, probe: &Probe) -> Option<Forecast> {
    let refusals = match (plan.way, probe.side) {
        (TransferRoute::Born, Side::Hoster) => born_refusals(plan, probe),
        (TransferRoute::Brought, Side::Hoster) => hoster_refusals(plan, probe).0,
        (TransferRoute::Cloud, Side::Tenant) => tenant_refusals(plan, probe),
        _ => return None,
    };
    Some(of_refusals(plan, refusals, &[probe]))
}

fn of_refusals(plan: &Plan, refusals: Vec<ForetoldRefusal>, probes: &[&Probe]) -> Forecast {
    let rules = refusals.iter().filter_map(|refusal| refusal.rule);
    Forecast {
        ways: Vec::new(),
        needed: rules.filter(|rule| rule.waivable()).collect(),
        refusals,
        droppable: Vec::new(),
        warnings: warnings(plan, probes),
    }
}

/// `kek create`: the planned HSM, its mechanisms, the unwrap, the KEK's attributes. Also the rules
/// that the KEK misses.
fn hoster_refusals(plan: &Plan, probe: &Probe) -> (Vec<ForetoldRefusal>, Vec<Rule>) {
    let mut found = common(plan, probe, Side::Hoster);
    found.extend(transfer(plan, probe, Direction::Unwrap));
    found.extend(size(probe, KeyType::Rsa(plan.transfer.kek_bits)));
    let kek = (probe.keks.iter()).find(|kek| kek.mechanism == plan.transfer.mechanism);
    let Some(missed) = kek.and_then(|kek| kek.missed.as_deref()) else {
        let none = "no KEK of the plan's kind could be made, whatever is waived";
        found.push((None, none.to_owned()));
        return (refusals(Side::Hoster, "kek create", found), Vec::new());
    };
    let refused = missed.iter().filter(|miss| !(miss.rule.waivable() && plan.waives(miss.rule)));
    found.extend(refused.map(|miss| (Some(miss.rule), miss.found.clone())));
    let rules = missed.iter().map(|miss| miss.rule).collect();
    (refusals(Side::Hoster, "kek create", found), rules)
}

/// The hoster's `keys create`, where the keys are born there; the tenant's HSM takes no part.
fn born_refusals(plan: &Plan, hoster: &Probe) -> Vec<ForetoldRefusal> {
    let mut found = common(plan, hoster, Side::Hoster);
    found.extend(sizes(plan, hoster));
    refusals(Side::Hoster, "keys create", found)
}

/// The kinds of the plan's keys that the token did not make, each once.
fn sizes(plan: &Plan, probe: &Probe) -> Vec<Found> {
    let kinds: BTreeSet<KeyType> = plan.keys.iter().map(|key| key.key_type).collect();
    kinds.into_iter().filter_map(|kind| size(probe, kind)).collect()
}

/// `kek trust` and `keys create`.
fn tenant_refusals(plan: &Plan, probe: &Probe) -> Vec<ForetoldRefusal> {
    let mut trust = Vec::new();
    if plan.trusted_only() && !probe.wrap_with_trusted {
        let found = "the token does not hold CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key";
        trust.push((Some(Rule::TargetWrapWithTrusted), found.to_owned()));
    }
    let mut found = common(plan, probe, Side::Tenant);
    found.extend(transfer(plan, probe, Direction::Wrap));
    found.extend(zero_filled(plan, probe).filter(|_| !plan.waives(Rule::WrapZeroFilled)));
    found.extend(sizes(plan, probe));
    let mut all = refusals(Side::Tenant, "kek trust", trust);
    all.extend(refusals(Side::Tenant, "keys create", found));
    all
}

/// A rule, or none where the token itself fails, and what was found.
type Found = (Option<Rule>, String);

fn refusals(side: Side, command: &'static str, found: Vec<Found>) -> Vec<ForetoldRefusal> {
    let refusal = |(rule, found)| ForetoldRefusal { side, command, rule, found };
    found.into_iter().map(refusal).collect()
}

/// What each side looks at first: which HSM it is, and what it lists.
fn common(plan: &Plan, probe: &Probe, side: Side) -> Vec<Found> {
    let mut found = Vec::new();
    let token = &probe.token;
    if (plan.party(side).hsm.as_ref()).is_some_and(|planned| !planned.names(token)) {
        found.push((Some(Rule::PlanHsm), token.to_string()));
    }
    for need in needs::needs(side, plan) {
        if !probe.has(need.id) {
            let lacks = format!("no {} ({}), which {}", need.name, need.id, need.purpose);
            found.push((Some(Rule::HsmMechanism), lacks));
        }
    }
    found
}

/// The plan's own way, as it was seen.
fn transfer(plan: &Plan, probe: &Probe, direction: Direction) -> Option<Found> {
    let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    match probe.transfer(direction, mechanism, oaep) {
        Some(TrialOutcome::Works { .. }) => None,
        Some(TrialOutcome::Refused { rule, found }) => Some((Some(*rule), found.clone())),
        Some(TrialOutcome::Failed { found }) => Some((None, found.clone())),
        None => Some((None, "the report does not say whether the token can".into())),
    }
}

/// What the tenant's token wraps for a cloud service has zeros behind it.
fn zero_filled(plan: &Plan, probe: &Probe) -> Option<Found> {
    let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    match probe.transfer(Direction::Wrap, mechanism, oaep) {
        Some(TrialOutcome::Works { kwp })
            if plan.way == TransferRoute::Cloud && kwp.contains(&KwpFlavour::Rfc5649ZeroFilled) =>
        {
            let found = "the token fills what it wraps with zeros, which the service may refuse";
            Some((Some(Rule::WrapZeroFilled), found.into()))
        }
        _ => None,
    }
}

fn size(probe: &Probe, kind: KeyType) -> Option<Found> {
    let (tried, bits) = match kind {
        KeyType::Rsa(bits) => (&probe.rsa, bits),
        KeyType::Ec(bits) => (&probe.ec, bits),
    };
    let made = tried.iter().any(|size| size.bits == bits && size.made);
    (!made).then(|| (None, format!("it made no {kind} key")))
}

/// The hoster's token must take the tenant's flavour of key wrap.
fn import_refusal(plan: &Plan, tenant: &Probe, hoster: &Probe) -> Option<ForetoldRefusal> {
    let own = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    let (made, taken) = flavours(tenant, hoster, own).filter(|seen| !fit(*seen))?;
    let (made, taken) = (list(made), list(taken));
    let found = format!("the tenant's token makes {made}, the hoster's takes {taken}");
    Some(ForetoldRefusal { side: Side::Hoster, command: "import", rule: None, found })
}

fn droppable(
    plan: &Plan,
    ways: &[(Mechanism, OaepHash)],
    missed: &[Rule],
    trusts: bool,
) -> Vec<DroppableWaiver> {
    let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    let of_the_kek = [
        Rule::KekSignRecover,
        Rule::KekDerive,
        Rule::KekModifiable,
        Rule::KekCopyable,
        Rule::KekAllowedMechanisms,
        Rule::KekUnwrapTemplate,
    ];
    let because = |rule| match rule {
        Rule::WrapComposite if ways.contains(&(Mechanism::SingleShot, oaep)) => {
            Some("both tokens can single-shot: change mechanism")
        }
        Rule::WrapOaepSha1 if ways.contains(&(mechanism, OaepHash::Sha256)) => {
            Some("both tokens can SHA-256: change oaep_hash")
        }
        Rule::TargetWrapWithTrusted if trusts => {
            Some("the tenant's token wraps with trusted keys only, where it is told to")
        }
        rule if of_the_kek.contains(&rule) && !missed.contains(&rule) => {
            Some("the hoster's token makes a KEK that keeps the rule")
        }
        _ => None,
    };
    let waived = plan.waivers.iter().map(|waiver| waiver.rule);
    waived.filter_map(|rule| Some(DroppableWaiver { rule, because: because(rule)? })).collect()
}

/// Attributes that are held but forbid nothing, and what the profiles advise.
fn warnings(plan: &Plan, probes: &[&Probe]) -> Vec<String> {
    let mut warnings = Vec::new();
    for probe in probes {
        let side = probe.side;
        for facts in probe.enforced.iter().filter(|facts| facts.refused == Some(false)) {
            warnings.push(format!(
                "the {side}'s token says {} of a {}, and yet: {}",
                facts.attribute, facts.object, facts.tried
            ));
        }
        let module = (plan.software.iter()).find(|(file, _)| *file == probe.module.file);
        if module.is_some_and(|(_, hash)| *hash != probe.module.sha256) {
            warnings.push(format!(
                "the {side}'s module {} is another than the plan's [software]: {}",
                probe.module.file, probe.module.sha256
            ));
        }
        for advice in probe.profile.known().advice {
            warnings.push(format!("{} ({side}): {advice}", probe.profile.known().name));
        }
    }
    warnings
}
