//! What will happen on the day, foretold from a plan and the reports of both tokens: what is
//! refused where, which waivers the plan needs, and which it can drop.

use std::collections::BTreeSet;

use serde::Serialize;

use record::plan::Plan;
use record::probe::{Direction, Probe, TrialOutcome, WAYS, needs};
use record::rule::Rule;
use record::terms::{KeyType, KwpFlavour, Mechanism, OaepHash, Side, TransferRoute, Usage, list};

/// What is foretold.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// The ways that both tokens can, the strongest first.
    pub ways: Vec<(Mechanism, OaepHash)>,
    /// What will be refused, in the order of the ceremony; the first ends it.
    pub refusals: Vec<ForetoldRefusal>,
    /// What the reports do not say: it may be refused or not.
    pub unknown: Vec<String>,
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
    let (mut foretold, missed) = hoster_steps(plan, hoster);
    foretold.extend(tenant_steps(plan, tenant));
    foretold.extend(import_refusal(plan, tenant, hoster).map(Foretold::Refused));
    // What a session object did says nothing of one that stays.
    let missed = missed.filter(|_| !hoster.session_only);
    let droppable = droppable(plan, &ways, missed.as_deref(), tenant.wrap_with_trusted);
    Forecast { ways, droppable, ..of_foretold(plan, foretold, &[tenant, hoster]) }
}

/// Foretells a ceremony in which the other side's token takes no part; none where it does.
pub fn forecast_alone(plan: &Plan, probe: &Probe) -> Option<Forecast> {
    let foretold = match (plan.way, probe.side) {
        (TransferRoute::Born, Side::Hoster) => born_steps(plan, probe),
        (TransferRoute::Brought, Side::Hoster) => hoster_steps(plan, probe).0,
        (TransferRoute::Cloud, Side::Tenant) => tenant_steps(plan, probe),
        _ => return None,
    };
    Some(of_foretold(plan, foretold, &[probe]))
}

/// What a report says of one thing that a step asks of a token.
enum Foretold {
    /// It is refused.
    Refused(ForetoldRefusal),
    /// The report does not say.
    Unknown(String),
}

fn of_foretold(plan: &Plan, foretold: Vec<Foretold>, probes: &[&Probe]) -> Forecast {
    let (mut refusals, mut unknown) = (Vec::new(), Vec::new());
    for one in foretold {
        match one {
            Foretold::Refused(refusal) => refusals.push(refusal),
            Foretold::Unknown(what) => unknown.push(what),
        }
    }
    let rules = refusals.iter().filter_map(|refusal| refusal.rule);
    Forecast {
        ways: Vec::new(),
        needed: rules.filter(|rule| rule.waivable()).collect(),
        refusals,
        unknown,
        droppable: Vec::new(),
        warnings: warnings(plan, probes),
    }
}

/// `kek create` and `import`: the planned HSM, its mechanisms, the unwrap, the KEK's attributes,
/// the keys that are imported. Also the rules that the KEK misses, where its report says.
fn hoster_steps(plan: &Plan, probe: &Probe) -> (Vec<Foretold>, Option<Vec<Rule>>) {
    let mechanism = plan.transfer.mechanism;
    let mut found = common(plan, probe, Side::Hoster);
    found.extend(transfer(plan, probe, Direction::Unwrap));
    found.extend(size(probe, KeyType::Rsa(plan.transfer.kek_bits)));
    found.extend(object(probe, &format!("{mechanism} KEK")));
    let kek = (probe.keks.iter()).find(|kek| kek.mechanism == mechanism);
    let missed = kek.and_then(|kek| kek.missed.as_deref());
    let refused = missed.iter().copied().flatten();
    let refused = refused.filter(|miss| !(miss.rule.waivable() && plan.waives(miss.rule)));
    found.extend(refused.map(|miss| Found::Refused(Some(miss.rule), miss.found.clone())));
    let mut all = foretold(Side::Hoster, "kek create", found);
    let mut kinds: Vec<_> =
        plan.keys.iter().map(|key| role(key.usage, &format!("imported, {mechanism}"))).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let imported = kinds.iter().filter_map(|kind| object(probe, kind)).collect();
    all.extend(foretold(Side::Hoster, "kek create", imported));
    (all, missed.map(|missed| missed.iter().map(|miss| miss.rule).collect()))
}

/// The hoster's `keys create`, where the keys are born there; the tenant's HSM takes no part.
fn born_steps(plan: &Plan, hoster: &Probe) -> Vec<Foretold> {
    let mut found = common(plan, hoster, Side::Hoster);
    found.extend(sizes(plan, hoster));
    let mut kinds: Vec<_> = plan.keys.iter().map(|key| role(key.usage, "born")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    found.extend(kinds.iter().filter_map(|kind| object(hoster, kind)));
    foretold(Side::Hoster, "keys create", found)
}

/// What a report calls a target key at the hoster.
fn role(usage: Usage, how: &str) -> String {
    let role = if usage.sign { "signing" } else { "encryption" };
    format!("{role} key that is {how}")
}

/// The kinds of the plan's keys that the token did not make, each once.
fn sizes(plan: &Plan, probe: &Probe) -> Vec<Found> {
    let kinds: BTreeSet<KeyType> = plan.keys.iter().map(|key| key.key_type).collect();
    kinds.into_iter().filter_map(|kind| size(probe, kind)).collect()
}

/// `kek trust` and `keys create`.
fn tenant_steps(plan: &Plan, probe: &Probe) -> Vec<Foretold> {
    let mut trust = Vec::new();
    if plan.trusted_only() && !probe.wrap_with_trusted {
        let found = "the token does not hold CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key";
        trust.push(Found::Refused(Some(Rule::TargetWrapWithTrusted), found.to_owned()));
    }
    let mut found = common(plan, probe, Side::Tenant);
    found.extend(transfer(plan, probe, Direction::Wrap));
    found.extend(zero_filled(plan, probe).filter(|_| !plan.waives(Rule::WrapZeroFilled)));
    found.extend(sizes(plan, probe));
    found.extend(object(probe, "key of the tenant's"));
    let mut all = foretold(Side::Tenant, "kek trust", trust);
    all.extend(foretold(Side::Tenant, "keys create", found));
    all
}

/// What was found of one thing: a rule, or none where the token itself fails; or nothing.
enum Found {
    Refused(Option<Rule>, String),
    Unknown(String),
}

fn foretold(side: Side, command: &'static str, found: Vec<Found>) -> Vec<Foretold> {
    let one = |found| match found {
        Found::Refused(rule, found) => {
            Foretold::Refused(ForetoldRefusal { side, command, rule, found })
        }
        Found::Unknown(what) => Foretold::Unknown(format!("the {side}'s {command}: {what}")),
    };
    found.into_iter().map(one).collect()
}

/// Whether the token makes an object of this kind as it must be.
fn object(probe: &Probe, kind: &str) -> Option<Found> {
    match probe.object(kind) {
        None => Some(Found::Unknown(format!("no {kind} was tried"))),
        Some(facts) => {
            let found = facts.found.clone()?;
            Some(Found::Refused(facts.rule, format!("a {kind}: {found}")))
        }
    }
}

/// What each side looks at first: which HSM it is, and what it lists.
fn common(plan: &Plan, probe: &Probe, side: Side) -> Vec<Found> {
    let mut found = Vec::new();
    let token = &probe.token;
    if (plan.party(side).hsm.as_ref()).is_some_and(|planned| !planned.names(token)) {
        found.push(Found::Refused(Some(Rule::PlanHsm), token.to_string()));
    }
    for need in needs::needs(side, plan) {
        if !probe.has(need.id) {
            let lacks = format!("no {} ({}), which {}", need.name, need.id, need.purpose);
            found.push(Found::Refused(Some(Rule::HsmMechanism), lacks));
        }
    }
    found
}

/// The plan's own way, as it was seen.
fn transfer(plan: &Plan, probe: &Probe, direction: Direction) -> Option<Found> {
    let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    match probe.transfer(direction, mechanism, oaep) {
        Some(TrialOutcome::Works { .. }) => None,
        Some(TrialOutcome::Refused { rule, found }) => {
            Some(Found::Refused(Some(*rule), found.clone()))
        }
        Some(TrialOutcome::Failed { found }) => Some(Found::Refused(None, found.clone())),
        None => Some(Found::Unknown(format!("{direction} by {mechanism} with {oaep}"))),
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
            Some(Found::Refused(Some(Rule::WrapZeroFilled), found.to_owned()))
        }
        _ => None,
    }
}

fn size(probe: &Probe, kind: KeyType) -> Option<Found> {
    let (tried, bits) = match kind {
        KeyType::Rsa(bits) => (&probe.rsa, bits),
        KeyType::Ec(bits) => (&probe.ec, bits),
    };
    match tried.iter().find(|size| size.bits == bits) {
        None => Some(Found::Unknown(format!("whether it makes {kind} keys"))),
        Some(size) => (!size.made).then(|| Found::Refused(None, format!("it made no {kind} key"))),
    }
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
    missed: Option<&[Rule]>,
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
        rule if of_the_kek.contains(&rule)
            && missed.is_some_and(|missed| !missed.contains(&rule)) =>
        {
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
        for trial in &probe.unfinished {
            warnings
                .push(format!("the {side}'s token, {}: not known, {}", trial.trial, trial.found));
        }
        if probe.facts.write_protected {
            warnings.push(format!("the {side}'s token says that it is write-protected"));
        }
        if !probe.serial_tells() {
            warnings.push(format!(
                "the {side}'s token has the serial \"{}\": PLAN-HSM cannot tell it from others of its make",
                probe.token.serial
            ));
        }
        for advice in probe.profile.known().advice {
            warnings.push(format!("{} ({side}): {advice}", probe.profile.known().name));
        }
    }
    warnings
}
