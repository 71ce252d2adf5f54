//! From TOML to a [`Plan`], or every fault with its line.

mod content;
mod people;
mod service;
mod target;

use std::collections::BTreeMap;

use toml::Spanned;

use crate::{
    encoding::Hash,
    escape::quote,
    plan::{
        Fault, Faults, Party, Plan, Waiver,
        raw::{RawPlan, RawWaiver},
    },
    rule::Rule,
    terms::{FORMAT, Id, Mechanism, OaepHash, TransferRoute},
};

/// How everything begins that the template leaves to be filled in.
const PLACEHOLDER: &str = "REPLACE-";

pub fn parse(bytes: Vec<u8>) -> Result<Plan, Faults> {
    let syntax = |line, found: String| {
        let expected = "TOML with the fields of the format and no others".into();
        Faults(vec![Fault { line, rule: Rule::PlanSyntax, found, expected }])
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| syntax(0, "not UTF-8".into()))?;
    if let Some(at) = text.find(['\r', '\u{feff}']) {
        // TOML takes both; they come from editors and mail programs, and make another plan of the
        // same text.
        let found = "a carriage return or a byte order mark";
        return Err(syntax(line_of(text, at), found.into()));
    }
    let raw: RawPlan = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        syntax(line, error.message().to_owned())
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

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
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
        at: usize,
        rule: Rule,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let line = line_of(self.text, at);
        self.faults.push(Fault { line, rule, found: found.into(), expected: expected.into() });
    }

    fn whole(&mut self, rule: Rule, found: impl Into<String>, expected: impl Into<String>) {
        self.faults.push(Fault { line: 0, rule, found: found.into(), expected: expected.into() });
    }

    fn once(&mut self, kind: &'static str, text: &str, at: usize) {
        let line = line_of(self.text, at);
        if let Some(first) = self.seen.insert((kind, text.to_owned()), line) {
            self.fault(
                at,
                Rule::PlanRepeated,
                format!("{kind} {} again", quote(text)),
                format!("once; it stands in line {first}"),
            );
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
                self.fault(start, Rule::PlanField, found, "what it stands for");
            }
            start += text.len();
        }
    }

    fn plan(&mut self, raw: RawPlan) -> Option<Plan> {
        if raw.format.get_ref() != FORMAT {
            self.fault(
                raw.format.span().start,
                Rule::PlanField,
                raw.format.get_ref().clone(),
                quote(FORMAT),
            );
        }
        let ceremony = self.id(&raw.ceremony);
        let mode = *raw.mode.get_ref();
        let way = raw.way();
        // Whose HSM takes no part need not be named.
        let tenant = self.party(&raw.tenant, (mode, !way.is_challenged()));
        let hoster = self.party(&raw.hoster, (mode, way != TransferRoute::Cloud));
        let witnesses: Vec<_> = raw.witnesses.iter().map(|witness| self.witness(witness)).collect();
        let quorum = self.quorum(&raw, hoster.as_ref());
        let transfer = self.transfer(&raw);
        let keys = self.keys(&raw.keys);
        let target = self.target(&raw, keys.as_deref());
        let trial = self.trial(raw.target.get_ref().trial.as_ref(), mode);
        let waivers: Vec<_> = raw.waivers.iter().map(|waiver| self.waiver(waiver)).collect();
        let plan = Plan {
            bytes: Vec::new(),
            hash: Hash([0; 32]),
            ceremony: ceremony?,
            mode,
            nonce: raw.nonce,
            supersedes: raw.supersedes,
            tenant: tenant?,
            hoster: hoster?,
            witnesses: witnesses.into_iter().collect::<Option<_>>()?,
            quorum: quorum?,
            way,
            transfer,
            keys: keys?,
            target: target?,
            trial: trial?,
            software: raw.software.into_iter().collect(),
            source: raw.after.source,
            waivers: waivers.into_iter().collect::<Option<_>>()?,
        };
        self.waivers_fit(&plan, &raw.waivers);
        Some(plan)
    }

    fn id(&mut self, text: &Spanned<String>) -> Option<Id> {
        match text.get_ref().parse() {
            Ok(id) => Some(id),
            Err(expected) => {
                let expected: String = expected;
                self.fault(
                    text.span().start,
                    Rule::PlanField,
                    format!("id {}", quote(text.get_ref())),
                    expected.trim_start_matches("expected "),
                );
                None
            }
        }
    }

    fn person_id(&mut self, text: &Spanned<String>) -> Option<Id> {
        self.once("id", text.get_ref(), text.span().start);
        self.id(text)
    }

    fn waiver(&mut self, raw: &RawWaiver) -> Option<Waiver> {
        let at = raw.rule.span().start;
        self.once("waiver", raw.rule.get_ref(), at);
        if raw.reason.get_ref().trim().is_empty() {
            self.fault(
                raw.reason.span().start,
                Rule::PlanWaiver,
                "a waiver without a reason",
                "why this ceremony may go without the rule",
            );
        }
        match Rule::by_name(raw.rule.get_ref()) {
            Some(rule) if rule.waivable() => {
                Some(Waiver { rule, reason: raw.reason.get_ref().clone() })
            }
            Some(rule) => {
                self.fault(
                    at,
                    Rule::PlanWaiver,
                    format!("{} cannot be waived", rule.name()),
                    "a waivable rule",
                );
                None
            }
            None => {
                self.fault(
                    at,
                    Rule::PlanWaiver,
                    format!("no rule is called {}", quote(raw.rule.get_ref())),
                    "the name of a waivable rule",
                );
                None
            }
        }
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
        let broken = [
            (
                Rule::WrapComposite,
                plan.transfer.mechanism == Mechanism::Composite,
                "mechanism = \"composite\"",
            ),
            (
                // No `kek trust` makes a cloud's KEK trusted.
                Rule::TargetWrapWithTrusted,
                plan.way == TransferRoute::Cloud
                    && plan.transfer.mechanism == Mechanism::SingleShot,
                "keys that are wrapped for a cloud's KEK, which nobody makes trusted",
            ),
            (Rule::WrapOaepSha1, plan.transfer.oaep_hash == OaepHash::Sha1, "oaep_hash = \"sha1\""),
            (Rule::PlanNoSpare, no_spare, "no officer or no custodian to spare"),
        ];
        // Whether a token lacks it only `kek trust` finds out.
        let known = |rule: &Rule| *rule != Rule::TargetWrapWithTrusted || !plan.single_shot();
        for (rule, broken, found) in broken.into_iter().filter(|(rule, ..)| known(rule)) {
            let waiver = raw.iter().find(|waiver| waiver.rule.get_ref() == rule.name());
            match (broken, waiver) {
                (true, None) => self.whole(
                    rule,
                    found,
                    format!("another plan, or a waiver of {} with its reason", rule.name()),
                ),
                (false, Some(waiver)) => self.not_broken(waiver, rule),
                _ => {}
            }
        }
    }

    fn not_broken(&mut self, waiver: &RawWaiver, rule: Rule) {
        self.fault(
            waiver.rule.span().start,
            Rule::PlanWaiver,
            format!("{} is waived, but this plan does not break it", rule.name()),
            "no waiver that is not needed",
        );
    }
}
