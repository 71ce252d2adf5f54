//! What will happen on the day, foretold from a plan and the reports of both tokens: what is
//! refused where, which waivers the plan needs, and which it can drop.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use probe::{Direction, MissedFacts, ObjectFacts, Probe, TrialOutcome, WAYS, checks, needs};
use record::{
    Error, Finding, KeyType, KwpFlavour, Mechanism, OaepHash, Plan, Result, Rule, Side,
    TransferRoute, list,
};

/// What is foretold.
#[derive(Debug, Clone, Default, Serialize)]
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
    let droppable = droppable(plan, &ways, tenant, hoster);
    let warnings = warnings(plan, &[tenant, hoster]);
    let mut foretold = Forecast { ways, droppable, warnings, ..Forecast::default() };
    hoster_steps(plan, hoster, &mut foretold);
    tenant_steps(plan, tenant, &mut foretold);
    import_refusal(plan, tenant, hoster, &mut foretold);
    foretold
}

/// Foretells a ceremony in which the other side's token takes no part; none where it does.
pub fn forecast_alone(plan: &Plan, probe: &Probe) -> Option<Forecast> {
    let mut foretold = Forecast { warnings: warnings(plan, &[probe]), ..Forecast::default() };
    match (plan.way, probe.side) {
        (TransferRoute::Born, Side::Hoster) => born_steps(plan, probe, &mut foretold),
        (TransferRoute::Brought, Side::Hoster) => hoster_steps(plan, probe, &mut foretold),
        (TransferRoute::Cloud, Side::Tenant) => tenant_steps(plan, probe, &mut foretold),
        _ => return None,
    }
    Some(foretold)
}

/// One command of a ceremony, and what a report says of all that it asks of its token.
struct Command<'a> {
    plan: &'a Plan,
    probe: &'a Probe,
    name: &'static str,
    foretold: &'a mut Forecast,
}

impl<'a> Command<'a> {
    /// What each command looks at first: which HSM it is, and what it lists.
    fn new(
        plan: &'a Plan,
        probe: &'a Probe,
        name: &'static str,
        foretold: &'a mut Forecast,
    ) -> Self {
        let mut command = Command { plan, probe, name, foretold };
        let side = probe.side;
        command.check(checks::planned(plan, side, &probe.token));
        for need in needs::needs(side, plan) {
            match probe.lists(need.id) {
                Some(lists) => command.check(checks::listed(&need, "the token", lists)),
                None => command.unknown(format!("whether it lists {}", need.name)),
            }
        }
        command
    }

    /// Refused by a rule, or where there is none by the token itself.
    fn refused(&mut self, rule: Option<Rule>, found: impl Into<String>) {
        let (side, command, found) = (self.probe.side, self.name, found.into());
        self.foretold.needed.extend(rule.filter(|rule| rule.waivable()));
        self.foretold.refusals.push(ForetoldRefusal { side, command, rule, found });
    }

    fn unknown(&mut self, what: impl fmt::Display) {
        self.foretold.unknown.push(format!("the {}'s {}: {what}", self.probe.side, self.name));
    }

    /// What a check of the step's own says.
    fn check(&mut self, checked: Result<()>) {
        match checked {
            Ok(()) => {}
            Err(Error::Refused(refusal)) => self.refused(Some(refusal.rule), refusal.found),
            Err(error) => self.refused(None, error.to_string()),
        }
    }

    /// The plan's own way, as it was seen: the flavours of key wrap, where it works.
    fn transfer(&mut self, direction: Direction) -> &'a [KwpFlavour] {
        let (mechanism, oaep) = (self.plan.transfer.mechanism, self.plan.transfer.oaep_hash);
        match self.probe.transfer(direction, mechanism, oaep) {
            Some(TrialOutcome::Works { kwp }) => return kwp,
            Some(TrialOutcome::Refused { rule, found }) => self.refused(Some(*rule), found),
            Some(TrialOutcome::Failed { found }) => self.refused(None, found),
            None => self.unknown(format!("{direction} by {mechanism} with {oaep}")),
        }
        &[]
    }

    /// Whether the token makes keys of this kind.
    fn size(&mut self, kind: KeyType) {
        let (tried, bits) = match kind {
            KeyType::Rsa(bits) => (&self.probe.rsa, bits),
            KeyType::Ec(bits) => (&self.probe.ec, bits),
        };
        match tried.iter().find(|size| size.bits == bits) {
            None => self.unknown(format!("whether it makes {kind} keys")),
            Some(size) if !size.made => self.refused(None, format!("it made no {kind} key")),
            Some(_) => {}
        }
    }

    /// Whether the token makes an object of this kind as it must be.
    fn object(&mut self, kind: &str) {
        match self.probe.object(kind) {
            None => self.unknown(format!("no {kind} was tried")),
            Some(ObjectFacts { rule, found: Some(found), .. }) => {
                self.refused(*rule, format!("a {kind}: {found}"));
            }
            Some(_) => {}
        }
    }

    /// The target keys of the plan at the hoster, each kind once.
    fn target_keys(&mut self, how: &str) {
        let signs: BTreeSet<bool> = self.plan.keys.iter().map(|key| key.usage.sign).collect();
        for signs in signs {
            let role = if signs { "signing" } else { "encryption" };
            self.object(&format!("{role} key that is {how}"));
        }
    }

    /// The kinds of the plan's keys, each once.
    fn sizes(&mut self) {
        let kinds: BTreeSet<KeyType> = self.plan.keys.iter().map(|key| key.key_type).collect();
        kinds.into_iter().for_each(|kind| self.size(kind));
    }
}

/// `kek create` and `import`: the planned HSM, its mechanisms, the unwrap, the KEK's attributes,
/// the keys that are imported.
fn hoster_steps(plan: &Plan, probe: &Probe, foretold: &mut Forecast) {
    let mechanism = plan.transfer.mechanism;
    let mut command = Command::new(plan, probe, "kek create", foretold);
    command.transfer(Direction::Unwrap);
    command.size(KeyType::Rsa(plan.transfer.kek_bits));
    let kek = format!("{mechanism} KEK");
    command.object(&kek);
    match missed(probe, mechanism) {
        Some(missed) => {
            for miss in missed.iter().filter(|miss| !plan.waives(miss.rule)) {
                command.refused(Some(miss.rule), &miss.found);
            }
        }
        // It cannot be made: that was said.
        None if probe.object(&kek).is_some_and(|made| made.found.is_some()) => {}
        None => command.unknown(format!("which rules a {kek} of its misses")),
    }
    command.target_keys(&format!("imported, {mechanism}"));
}

/// The rules that a KEK misses, where the report says.
pub(super) fn missed(probe: &Probe, mechanism: Mechanism) -> Option<&[MissedFacts]> {
    let kek = probe.keks.iter().find(|kek| kek.mechanism == mechanism);
    kek.and_then(|kek| kek.missed.as_deref())
}

/// The hoster's `keys create`, where the keys are born there; the tenant's HSM takes no part.
fn born_steps(plan: &Plan, hoster: &Probe, foretold: &mut Forecast) {
    let mut command = Command::new(plan, hoster, "keys create", foretold);
    command.sizes();
    command.target_keys("born");
}

/// `kek trust` and `keys create`.
fn tenant_steps(plan: &Plan, probe: &Probe, foretold: &mut Forecast) {
    let mut trust = Command { plan, probe, name: "kek trust", foretold };
    match probe.wrap_with_trusted {
        _ if !plan.trusted_only() => {}
        Some(true) => {}
        Some(false) => trust.refused(
            Some(Rule::TargetWrapWithTrusted),
            "the token does not hold CKA_WRAP_WITH_TRUSTED to a CKA_TRUSTED key",
        ),
        None => trust.unknown("whether it holds CKA_WRAP_WITH_TRUSTED"),
    }
    let mut command = Command::new(plan, probe, "keys create", foretold);
    for kwp in command.transfer(Direction::Wrap) {
        command.check(checks::unfilled(plan, *kwp));
    }
    command.sizes();
    command.object("key of the tenant's");
}

/// The hoster's token must take the tenant's flavour of key wrap.
fn import_refusal(plan: &Plan, tenant: &Probe, hoster: &Probe, foretold: &mut Forecast) {
    let own = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    if let Some((made, taken)) = flavours(tenant, hoster, own).filter(|seen| !fit(*seen)) {
        let found =
            format!("the tenant's token makes {}, the hoster's takes {}", list(made), list(taken));
        Command { plan, probe: hoster, name: "import", foretold }.refused(None, found);
    }
}

fn droppable(
    plan: &Plan,
    ways: &[(Mechanism, OaepHash)],
    tenant: &Probe,
    hoster: &Probe,
) -> Vec<DroppableWaiver> {
    let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    // What a session object did says nothing of one that stays.
    let trusts = tenant.wrap_with_trusted == Some(true) && !tenant.session_only;
    // Nor one that unwrapped nothing of what it withstands.
    let unwraps = hoster.transfer(Direction::Unwrap, mechanism, oaep);
    let unwraps = matches!(unwraps, Some(TrialOutcome::Works { .. }));
    let missed = missed(hoster, mechanism).filter(|_| unwraps && !hoster.session_only);
    let keeps = |rule| missed.is_some_and(|missed| missed.iter().all(|miss| miss.rule != rule));
    let because = |rule: Rule| match rule {
        Rule::WrapComposite if ways.contains(&(Mechanism::SingleShot, oaep)) => {
            Some("both tokens can single-shot: change mechanism")
        }
        Rule::WrapOaepSha1 if ways.contains(&(mechanism, OaepHash::Sha256)) => {
            Some("both tokens can SHA-256: change oaep_hash")
        }
        Rule::TargetWrapWithTrusted if trusts => {
            Some("the tenant's token wraps with trusted keys only, where it is told to")
        }
        rule if rule.name().starts_with("KEK-") && keeps(rule) => {
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
    if plan.trusted_only() {
        warnings.push(
            "whether the security officer of the tenant's HSM can make a public key CKA_TRUSTED was not tried: it takes their PIN"
                .to_owned(),
        );
    }
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
        for finding in probe.machine.iter().filter(|finding| !plan.waives(finding.rule)) {
            let Finding { rule, found, .. } = finding;
            warnings.push(format!(
                "the machine of the {side}'s report, before it is one of production: {} ({found})",
                rule.name()
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
        let known = probe.profile.known();
        for advice in known.settings.iter().chain(known.advice) {
            warnings.push(format!("{} ({side}): {advice}", known.name));
        }
    }
    warnings
}
