//! Where the keys go, what the service there demands (`PLAN-TARGET`), and whether that was tried.

use toml::{Spanned, Value};

use crate::command::tool;
use crate::plan::check::{Checker, Place, WHOLE};
use crate::plan::raw::{RawPlan, RawTarget, TargetKind};
use crate::{
    CloudFormat, Hash, Id, KeyPlan, KeyType, Mode, OaepHash, Role, Rule, ServicePlan, Trial,
    escape, quote,
};

/// The longest name of a key storage provider, in characters.
const MAX_KSP: usize = 100;

/// The longest soak: a year.
const MAX_SOAK_HOURS: u32 = 8760;

/// The most nodes.
const MAX_NODES: usize = 64;

impl Checker<'_> {
    /// `keys` are those of the plan, where they have no fault by themselves.
    pub(super) fn target(
        &mut self,
        raw: &RawPlan,
        keys: Option<&[KeyPlan]>,
    ) -> Option<ServicePlan> {
        let target = raw.target.get_ref();
        self.surplus(target);
        if let Some(format) = target.kind.cloud() {
            let oaep = raw.transfer.oaep_hash;
            if (format, oaep) == (CloudFormat::AzureByok, OaepHash::Sha256) {
                let expected =
                    "sha1, with the waiver WRAP-OAEP-SHA1: Azure Key Vault takes no other";
                self.fault(WHOLE, Rule::PlanTarget, format!("oaep_hash {oaep}"), expected);
            }
            return Some(ServicePlan::Cloud(format));
        }
        let nodes = self.nodes(&raw.target);
        match target.kind {
            TargetKind::Local => Some(ServicePlan::Local { nodes }),
            _ => self.hgs(raw, nodes, keys),
        }
    }

    /// What only other kinds of target have. A service that imports wrapped keys itself has no
    /// nodes that Keyferry knows.
    fn surplus(&mut self, target: &RawTarget) {
        fn place<T>(field: &Option<Spanned<T>>) -> Option<Place> {
            field.as_ref().map(Place::from)
        }
        let of_nodes = [("nodes", place(&target.nodes)), ("trial", place(&target.trial))];
        for (field, place) in of_nodes.into_iter().filter(|_| target.kind.cloud().is_some()) {
            let expected = format!("no {field}: the service imports the keys itself");
            self.field(place.is_none(), place.unwrap_or(WHOLE), field, expected);
        }
        let of_hgs = [
            ("ksp", place(&target.ksp)),
            ("deployment", place(&target.deployment)),
            ("soak_hours", place(&target.soak_hours)),
        ];
        for (field, place) in of_hgs.into_iter().filter(|_| target.kind != TargetKind::Hgs) {
            let found = format!("{field} for another target than hgs");
            let expected = format!("no {field}: only hgs has it");
            self.field(place.is_none(), place.unwrap_or(WHOLE), found, expected);
        }
    }

    fn nodes(&mut self, target: &Spanned<RawTarget>) -> Vec<Id> {
        let Some(raw) = &target.get_ref().nodes else {
            self.fault(target, Rule::PlanField, "no nodes", "at least one node");
            return Vec::new();
        };
        self.field(!raw.get_ref().is_empty(), raw, "no node", "at least one node");
        let node = |text: &Spanned<String>| {
            self.once("node", text.get_ref(), text);
            self.id("node", text)
        };
        raw.get_ref().iter().filter_map(node).collect()
    }

    fn hgs(
        &mut self,
        raw: &RawPlan,
        nodes: Vec<Id>,
        keys: Option<&[KeyPlan]>,
    ) -> Option<ServicePlan> {
        let target = raw.target.get_ref();
        let expected = "ksp = \"…\": the HSM's CNG key storage provider";
        self.field(target.ksp.is_some(), &raw.target, "hgs without ksp", expected);
        let expected = "deployment = \"new\", \"added\" or \"rotation\"";
        self.field(target.deployment.is_some(), &raw.target, "hgs without deployment", expected);
        let (ksp, deployment) = (target.ksp.as_ref()?, *target.deployment.as_ref()?.get_ref());
        if let Some(keys) = keys {
            self.keys_of_hgs(raw, keys);
        }
        if nodes.len() > MAX_NODES {
            let found = format!("{} nodes", nodes.len());
            let place = target.nodes.as_ref().map_or(WHOLE, Place::from);
            self.fault(place, Rule::PlanTarget, found, format!("at most {MAX_NODES} for hgs"));
        }
        let name = ksp.get_ref();
        let printable = escape(name) == *name && name.trim() == name;
        if !printable || !(1..=MAX_KSP).contains(&name.chars().count()) {
            let list = tool("certutil -csplist");
            let expected = format!(
                "1 to {MAX_KSP} printable characters: the provider's name as `{list}` has it"
            );
            self.fault(ksp, Rule::PlanTarget, format!("ksp {}", quote(name)), expected);
        }
        let soak_hours = target.soak_hours.as_ref().map_or(0, |soak| *soak.get_ref());
        for soak in target.soak_hours.iter().filter(|_| soak_hours > MAX_SOAK_HOURS) {
            let expected = format!("at most {MAX_SOAK_HOURS}, a year");
            self.fault(soak, Rule::PlanTarget, format!("soak_hours = {soak_hours}"), expected);
        }
        Some(ServicePlan::Hgs { nodes, ksp: name.clone(), deployment, soak_hours })
    }

    /// HGS has one primary certificate for signing and one for encryption, both RSA of at least
    /// 2048 bits (Microsoft, "Obtain certificates for HGS"), which is the least that a plan takes.
    fn keys_of_hgs(&mut self, raw: &RawPlan, keys: &[KeyPlan]) {
        for role in Role::ALL {
            let expected = format!("exactly one {role} key for hgs");
            let mut of_role =
                raw.keys.get_ref().iter().zip(keys).filter(|(_, key)| key.role == role);
            if of_role.next().is_none() {
                self.fault(&raw.keys, Rule::PlanTarget, format!("no {role} key"), &expected);
            }
            for (raw, key) in of_role {
                let found = format!("another {role} key, {}", key.label);
                self.fault(&raw.role, Rule::PlanTarget, found, &expected);
            }
        }
        for (raw, key) in raw.keys.get_ref().iter().zip(keys) {
            if let KeyType::Ec(_) = key.key_type {
                let found = format!("{} is an EC key", key.label);
                let expected = "rsa with at least 2048 bits for hgs";
                self.fault(&raw.key_type, Rule::PlanTarget, found, expected);
            }
        }
    }

    pub(super) fn trial(&mut self, raw: Option<&Spanned<Value>>, mode: Mode) -> Option<Trial> {
        let Some(raw) = raw else { return Some(Trial::None) };
        let value = raw.get_ref();
        let hash = value.as_str().and_then(|text| text.parse::<Hash>().ok());
        let (rule, found, expected) = match (value, hash, mode) {
            (Value::Boolean(true), _, Mode::Rehearsal) => return Some(Trial::This),
            (_, Some(hash), Mode::Production) => return Some(Trial::After(hash)),
            (Value::Boolean(true), ..) => (
                Rule::PlanTrial,
                "a trial in production".to_owned(),
                "the SHA-256 of the closing.json of the trial that went before, or no trial; a trial itself is a rehearsal",
            ),
            (_, Some(_), _) => (
                Rule::PlanTrial,
                "a rehearsal after a trial".to_owned(),
                "true, where this rehearsal is the trial, or no trial; only a production plan names the one before it",
            ),
            (Value::Boolean(false), ..) => {
                (Rule::PlanField, format!("trial = {value}"), "no trial, where there is none")
            }
            _ => (
                Rule::PlanField,
                format!("trial = {value}"),
                "true, or the SHA-256 of a trial's closing.json: 64 lower-case hex digits",
            ),
        };
        self.fault(raw, rule, found, expected);
        None
    }
}
