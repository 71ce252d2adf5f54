//! Where the keys go, and whether that was tried.

use toml::Spanned;

use crate::{
    encoding::Hash,
    escape::quote,
    plan::{
        KeyPlan, ServicePlan,
        check::{
            Checker,
            service::{At, requirements},
        },
        raw::{RawKey, RawPlan, RawTarget, TargetKind},
    },
    rule::Rule,
    terms::{CloudFormat, Id, Mode, Trial},
};

impl Checker<'_> {
    /// `keys` are those of the plan, where they have no fault by themselves.
    pub(super) fn target(
        &mut self,
        raw: &RawPlan,
        keys: Option<&[KeyPlan]>,
    ) -> Option<ServicePlan> {
        let target = raw.target.get_ref();
        if let Some(format) = target.kind.cloud() {
            return Some(self.cloud(raw, format, keys));
        }
        let nodes = self.nodes(&target.nodes, raw.target.span().start);
        match target.kind {
            TargetKind::Local => {
                self.not_of_local(target);
                Some(ServicePlan::Local { nodes })
            }
            _ => self.hgs(raw, nodes, keys),
        }
    }

    /// A service that imports wrapped keys itself has no nodes that Keyferry knows.
    fn cloud(
        &mut self,
        raw: &RawPlan,
        format: CloudFormat,
        keys: Option<&[KeyPlan]>,
    ) -> ServicePlan {
        let target = raw.target.get_ref();
        let given = [
            ("nodes", target.nodes.as_ref().map(Spanned::span)),
            ("trial", target.trial.as_ref().map(Spanned::span)),
        ];
        for (field, span) in given {
            if let Some(span) = span {
                let expected = format!("no {field}: the service imports the keys itself");
                self.fault(span.start, Rule::PlanField, field, expected);
            }
        }
        self.not_of_local(target);
        let planned = ServicePlan::Cloud(format);
        let oaep = raw.transfer.oaep_hash;
        if let Some(expected) = crate::plan::check::service::oaep_miss(format, oaep) {
            let found = format!("oaep_hash {oaep}");
            self.whole(Rule::PlanTarget, found, expected);
        }
        self.requirements(raw, keys, &planned);
        planned
    }

    fn nodes(&mut self, raw: &Option<Spanned<Vec<Spanned<String>>>>, at: usize) -> Vec<Id> {
        let mut nodes: Vec<Id> = Vec::new();
        let Some(raw) = raw else {
            self.fault(at, Rule::PlanField, "no nodes", "at least one node");
            return nodes;
        };
        for node in raw.get_ref() {
            let at = node.span().start;
            match node.get_ref().parse::<Id>() {
                Ok(id) if !nodes.contains(&id) => nodes.push(id),
                Ok(id) => {
                    let found = format!("node {id} again");
                    self.fault(at, Rule::PlanRepeated, found, "each node once");
                }
                Err(expected) => {
                    let found = format!("node {}", quote(node.get_ref()));
                    let expected = expected.trim_start_matches("expected ");
                    self.fault(at, Rule::PlanField, found, expected);
                }
            }
        }
        if raw.get_ref().is_empty() {
            let at = raw.span().start;
            self.fault(at, Rule::PlanField, "no node", "at least one node");
        }
        nodes
    }

    /// What only the other kind has.
    fn not_of_local(&mut self, raw: &RawTarget) {
        let given = [
            ("ksp", raw.ksp.as_ref().map(Spanned::span)),
            ("deployment", raw.deployment.as_ref().map(Spanned::span)),
            ("soak_hours", raw.soak_hours.as_ref().map(Spanned::span)),
        ];
        for (field, span) in given {
            if let Some(span) = span {
                let found = format!("{field} for another target than hgs");
                let expected = format!("no {field}: only hgs has it");
                self.fault(span.start, Rule::PlanField, found, expected);
            }
        }
    }

    fn hgs(
        &mut self,
        raw: &RawPlan,
        nodes: Vec<Id>,
        keys: Option<&[KeyPlan]>,
    ) -> Option<ServicePlan> {
        let target = raw.target.get_ref();
        let at = raw.target.span().start;
        if target.ksp.is_none() {
            let expected = "ksp = \"…\": the HSM's CNG key storage provider";
            self.fault(at, Rule::PlanField, "hgs without ksp", expected);
        }
        if target.deployment.is_none() {
            let expected = "deployment = \"new\", \"added\" or \"rotation\"";
            self.fault(at, Rule::PlanField, "hgs without deployment", expected);
        }
        let soak_hours = target.soak_hours.as_ref().map_or(0, |soak| *soak.get_ref());
        let (ksp, deployment) = (target.ksp.as_ref()?, target.deployment.as_ref()?);
        let planned = ServicePlan::Hgs {
            nodes,
            ksp: ksp.get_ref().clone(),
            deployment: *deployment.get_ref(),
            soak_hours,
        };
        self.requirements(raw, keys, &planned);
        Some(planned)
    }

    /// What the service itself demands.
    fn requirements(&mut self, raw: &RawPlan, keys: Option<&[KeyPlan]>, planned: &ServicePlan) {
        for miss in requirements(keys, planned) {
            let at = place(miss.at, raw.target.get_ref(), &raw.keys);
            let at = at.unwrap_or(raw.target.span().start);
            self.fault(at, Rule::PlanTarget, miss.found, miss.expected);
        }
    }

    pub(super) fn trial(
        &mut self,
        raw: Option<&Spanned<toml::Value>>,
        mode: Mode,
    ) -> Option<Trial> {
        let Some(raw) = raw else {
            return Some(Trial::None);
        };
        let hash = raw.get_ref().as_str().map(str::parse::<Hash>);
        let (rule, found, expected) = match (raw.get_ref(), hash, mode) {
            (toml::Value::Boolean(true), _, Mode::Rehearsal) => return Some(Trial::This),
            (_, Some(Ok(hash)), Mode::Production) => return Some(Trial::After(hash)),
            (toml::Value::Boolean(true), ..) => (
                Rule::PlanTrial,
                "a trial in production".to_owned(),
                "the SHA-256 of the closing.json of the trial that went before, or no trial; a trial itself is a rehearsal",
            ),
            (_, Some(Ok(_)), _) => (
                Rule::PlanTrial,
                "a rehearsal after a trial".to_owned(),
                "true, where this rehearsal is the trial, or no trial; only a production plan names the one before it",
            ),
            (toml::Value::Boolean(false), ..) => {
                (Rule::PlanField, "trial = false".to_owned(), "no trial, where there is none")
            }
            (other, ..) => (
                Rule::PlanField,
                format!("trial = {other}"),
                "true, or the SHA-256 of a trial's closing.json: 64 lower-case hex digits",
            ),
        };
        self.fault(raw.span().start, rule, found, expected);
        None
    }
}

/// Where in the plan's text something stands, if it stands there.
fn place(at: At, target: &RawTarget, keys: &Spanned<Vec<RawKey>>) -> Option<usize> {
    let key = |n: usize| keys.get_ref().get(n);
    let span = match at {
        At::Keys => keys.span(),
        At::Role(n) => key(n)?.role.span(),
        At::Type(n) => key(n)?.key_type.span(),
        At::Bits(n) => key(n)?.bits.span(),
        At::Nodes => target.nodes.as_ref()?.span(),
        At::Ksp => target.ksp.as_ref()?.span(),
        At::SoakHours => target.soak_hours.as_ref()?.span(),
    };
    Some(span.start)
}
