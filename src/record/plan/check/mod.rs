//! From TOML to a [`Plan`], or every fault with its line.

mod content;
mod people;
mod target;

use std::collections::BTreeMap;

use toml::Spanned;

use crate::plan::raw::{RawPlan, RawWaiver};
use crate::plan::{Fault, Faults, Party, Waiver};
use crate::{FORMAT, Hash, Id, Mechanism, Mode, OaepHash, Plan, Rule, TransferRoute, quote, text};

/// How everything begins that the template leaves to be filled in.
const PLACEHOLDER: &str = "REPLACE-";

pub fn parse(bytes: Vec<u8>) -> Result<Plan, Faults> {
    let syntax = |line, found: String| {
        let expected = "TOML with the fields of the format and no others".into();
        Faults(vec![Fault { line, rule: Rule::PlanSyntax, found, expected }])
    };
    if let Some((at, found)) = text::altered(&bytes) {
        // TOML takes some; they come from editors and mail programs, and make another plan of the
        // same text.
        return Err(saved_otherwise(bytes_line(&bytes, at), found.into()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        saved_otherwise(bytes_line(&bytes, error.valid_up_to()), "not UTF-8".into())
    })?;
    let raw: RawPlan = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        let written = text.lines().nth(line.saturating_sub(1)).and_then(text::typographic);
        match written.filter(|_| line > 0) {
            None => syntax(line, error.message().to_owned()),
            Some(mark) => {
                let found = format!(
                    "{mark} (U+{:04X}), which an editor puts in the place of a plain one",
                    u32::from(mark)
                );
                saved_otherwise(line, format!("{}: the line has {found}", error.message()))
            }
        }
    })?;
    let mut checker = Checker { text, faults: Vec::new(), seen: BTreeMap::new() };
    let plan = checker.plan(raw);
    checker.placeholders();
    let mut faults = checker.faults;
    match plan {
        Some(plan) if faults.is_empty() => Ok(Plan { hash: Hash::of(&bytes), bytes, ..plan }),
        _ => {
            faults.sort_by_key(|fault| fault.line);
            Err(Faults(faults))
        }
    }
}

/// A plan that an editor has made another one of.
fn saved_otherwise(line: usize, found: String) -> Faults {
    Faults(vec![Fault { line, rule: Rule::PlanSyntax, found, expected: text::how_to_save() }])
}

/// The line of a place in a text, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    bytes_line(text.as_bytes(), offset)
}

fn bytes_line(bytes: &[u8], offset: usize) -> usize {
    bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Where in a plan something stands; none where the whole plan is meant.
#[derive(Clone, Copy)]
struct Place(Option<usize>);

const WHOLE: Place = Place(None);

impl<T> From<&Spanned<T>> for Place {
    fn from(one: &Spanned<T>) -> Self {
        Place(Some(one.span().start))
    }
}

/// All of them, where none has a fault; each is looked at.
fn all<R, T>(raw: &[R], check: impl FnMut(&R) -> Option<T>) -> Option<Vec<T>> {
    raw.iter().map(check).collect::<Vec<_>>().into_iter().collect()
}

/// Collects faults; what it returns is used only where there were none.
struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    /// What may stand once, by its kind and text, with its first line.
    seen: BTreeMap<(&'static str, String), usize>,
}

impl Checker<'_> {
    fn fault(
        &mut self,
        place: impl Into<Place>,
        rule: Rule,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let line = place.into().0.map_or(0, |at| line_of(self.text, at));
        self.faults.push(Fault { line, rule, found: found.into(), expected: expected.into() });
    }

    /// A fault of a field, unless it is as it must be.
    fn field(
        &mut self,
        fits: bool,
        place: impl Into<Place>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if !fits {
            self.fault(place, Rule::PlanField, found, expected);
        }
    }

    fn once(&mut self, kind: &'static str, text: &str, place: impl Into<Place>) {
        let place = place.into();
        let line = place.0.map_or(0, |at| line_of(self.text, at));
        if let Some(first) = self.seen.insert((kind, text.to_owned()), line) {
            let found = format!("{kind} {} again", quote(text));
            let expected = format!("once; it stands in line {first}");
            self.fault(place, Rule::PlanRepeated, found, expected);
        }
    }

    /// Placeholders of the template in lines that have no other fault, such as names, which may be
    /// any text.
    fn placeholders(&mut self) {
        let mut start = 0;
        for (line, text) in (1..).zip(self.text.split_inclusive('\n')) {
            let known = self.faults.iter().any(|fault| fault.line == line);
            if text.contains(PLACEHOLDER) && !text.trim_start().starts_with('#') && !known {
                let found = format!("a placeholder: {}", text.trim());
                self.fault(Place(Some(start)), Rule::PlanField, found, "what it stands for");
            }
            start += text.len();
        }
    }

    fn plan(&mut self, raw: RawPlan) -> Option<Plan> {
        let (format, mode, way) = (raw.format.get_ref(), *raw.mode.get_ref(), raw.way());
        self.field(format == FORMAT, &raw.format, format, quote(FORMAT));
        let ceremony = self.id("id", &raw.ceremony);
        // Whose HSM takes no part need not be named.
        let production = mode == Mode::Production;
        let tenant = self.party(&raw.tenant, production && !way.is_challenged());
        let hoster = self.party(&raw.hoster, production && way != TransferRoute::Cloud);
        let witnesses = all(&raw.witnesses, |witness| self.witness(witness));
        let quorum = self.quorum(&raw);
        let transfer = self.transfer(&raw);
        let keys = self.keys(&raw.keys);
        let target = self.target(&raw, keys.as_deref());
        let trial = self.trial(raw.target.get_ref().trial.as_ref(), mode);
        let waivers = all(&raw.waivers, |waiver| self.waiver(waiver));
        let plan = Plan {
            bytes: Vec::new(),
            hash: Hash([0; 32]),
            ceremony: ceremony?,
            mode,
            nonce: raw.nonce,
            supersedes: raw.supersedes,
            tenant: tenant?,
            hoster: hoster?,
            witnesses: witnesses?,
            quorum: quorum?,
            way,
            transfer,
            keys: keys?,
            target: target?,
            trial: trial?,
            software: raw.software.into_iter().collect(),
            source: raw.after.source,
            waivers: waivers?,
        };
        self.waivers_fit(&plan, &raw.waivers);
        Some(plan)
    }

    fn id(&mut self, what: &str, text: &Spanned<String>) -> Option<Id> {
        let id = text.get_ref().parse::<Id>();
        if let Err(expected) = &id {
            let found = format!("{what} {}", quote(text.get_ref()));
            let expected = expected.trim_start_matches("expected ");
            self.fault(text, Rule::PlanField, found, expected);
        }
        id.ok()
    }

    fn person_id(&mut self, text: &Spanned<String>) -> Option<Id> {
        self.once("id", text.get_ref(), text);
        self.id("id", text)
    }

    fn waiver(&mut self, raw: &RawWaiver) -> Option<Waiver> {
        let (name, reason) = (raw.rule.get_ref(), raw.reason.get_ref());
        self.once("waiver", name, &raw.rule);
        if reason.trim().is_empty() {
            let expected = "why this ceremony may go without the rule";
            self.fault(&raw.reason, Rule::PlanWaiver, "a waiver without a reason", expected);
        }
        let (found, expected) = match Rule::by_name(name) {
            Some(rule) if rule.waivable() => return Some(Waiver { rule, reason: reason.clone() }),
            Some(_) => (format!("{name} cannot be waived"), "a waivable rule"),
            None => (format!("no rule is called {}", quote(name)), "the name of a waivable rule"),
        };
        self.fault(&raw.rule, Rule::PlanWaiver, found, expected);
        None
    }

    /// What the plan itself breaks must be waived, and what it cannot break must not be. Whether a
    /// KEK-… waiver is needed only the hoster's token can tell, whether TARGET-WRAP-WITH-TRUSTED is
    /// only the tenant's.
    fn waivers_fit(&mut self, plan: &Plan, raw: &[RawWaiver]) {
        let spare = |party: &Party| party.officers.len() > party.approvals;
        let no_spare = !spare(&plan.tenant)
            || !spare(&plan.hoster)
            || (plan.way == TransferRoute::Carried
                && plan.quorum.custodians.len() <= usize::from(plan.quorum.threshold));
        let composite = plan.transfer.mechanism == Mechanism::Composite;
        let broken = [
            (Rule::WrapComposite, composite, "mechanism = \"composite\""),
            (
                // No `kek trust` makes a cloud's KEK trusted.
                Rule::TargetWrapWithTrusted,
                plan.way == TransferRoute::Cloud && !composite,
                "keys that are wrapped for a cloud's KEK, which nobody makes trusted",
            ),
            (Rule::WrapOaepSha1, plan.transfer.oaep_hash == OaepHash::Sha1, "oaep_hash = \"sha1\""),
            (Rule::PlanNoSpare, no_spare, "no officer or no custodian to spare"),
            (Rule::WrapZeroFilled, false, "keys that no cloud service unwraps"),
        ];
        // Whether a token lacks it only `kek trust` finds out, whether it fills only a canary.
        let known = |rule: Rule| match rule {
            Rule::TargetWrapWithTrusted => !plan.single_shot(),
            Rule::WrapZeroFilled => plan.way != TransferRoute::Cloud,
            _ => true,
        };
        for (rule, broken, found) in broken.into_iter().filter(|(rule, ..)| known(*rule)) {
            let name = rule.name();
            match (broken, raw.iter().find(|waiver| waiver.rule.get_ref() == name)) {
                (true, None) => {
                    let expected = format!("another plan, or a waiver of {name} with its reason");
                    self.fault(WHOLE, rule, found, expected);
                }
                (false, Some(waiver)) => {
                    let found = format!("{name} is waived, but this plan does not break it");
                    let expected = "no waiver that is not needed";
                    self.fault(&waiver.rule, Rule::PlanWaiver, found, expected);
                }
                _ => {}
            }
        }
    }
}
