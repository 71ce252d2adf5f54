//! From TOML to a [`Plan`], or every fault with its line.

use std::collections::BTreeMap;

use ssh_key::{Algorithm, EcdsaCurve, PublicKey};
use toml::Spanned;

use super::{
    Custodian, Fault, Faults, Id, KeyPlan, KeyType, Mode, Party, Person, Plan, QuorumPlan, Role,
    Target, Transfer, Usage, Waiver, Witness,
    raw::{RawCustodian, RawKey, RawOfficer, RawParty, RawPlan, RawTarget, RawWaiver, RawWitness},
};
use crate::{document::parts::Mechanism, document::parts::OaepHash, encoding::Hash, rule::Rule};

const FORMAT: &str = "keyferry/1";

pub fn parse(bytes: Vec<u8>) -> Result<Plan, Faults> {
    let syntax = |line, found: String| {
        let expected = "TOML with the fields of the format and no others".into();
        Faults(vec![Fault {
            line,
            rule: Rule::PlanSyntax,
            found,
            expected,
        }])
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| syntax(0, "not UTF-8".into()))?;
    let raw: RawPlan = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        syntax(line, error.message().to_owned())
    })?;
    let mut checker = Checker {
        text,
        faults: Vec::new(),
        seen: BTreeMap::new(),
    };
    let plan = checker.plan(raw);
    let mut faults = checker.faults;
    match plan {
        Some(plan) if faults.is_empty() => Ok(Plan {
            hash: Hash::of(&bytes),
            bytes,
            ..plan
        }),
        _ => {
            faults.sort_by_key(|fault| fault.line);
            Err(Faults(faults))
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
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
        self.faults.push(Fault {
            line,
            rule,
            found: found.into(),
            expected: expected.into(),
        });
    }

    fn whole(&mut self, rule: Rule, found: impl Into<String>, expected: impl Into<String>) {
        self.faults.push(Fault {
            line: 0,
            rule,
            found: found.into(),
            expected: expected.into(),
        });
    }

    fn once(&mut self, kind: &'static str, text: &str, at: usize) {
        let line = line_of(self.text, at);
        if let Some(first) = self.seen.insert((kind, text.to_owned()), line) {
            self.fault(
                at,
                Rule::PlanRepeated,
                format!("{kind} {text:?} again"),
                format!("once; it stands in line {first}"),
            );
        }
    }

    fn plan(&mut self, raw: RawPlan) -> Option<Plan> {
        if raw.format.get_ref() != FORMAT {
            self.fault(
                raw.format.span().start,
                Rule::PlanField,
                raw.format.get_ref().clone(),
                format!("{FORMAT:?}"),
            );
        }
        let ceremony = self.id(&raw.ceremony);
        let mode = *raw.mode.get_ref();
        let tenant = self.party(&raw.tenant, mode);
        let hoster = self.party(&raw.hoster, mode);
        let witnesses: Vec<_> = raw
            .witnesses
            .iter()
            .map(|witness| self.witness(witness))
            .collect();
        let quorum = self.quorum(&raw, hoster.as_ref());
        let transfer = self.transfer(&raw);
        let keys = self.keys(&raw.keys);
        let target = self.target(raw.target);
        let waivers: Vec<_> = raw
            .waivers
            .iter()
            .map(|waiver| self.waiver(waiver))
            .collect();
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
            transfer,
            keys: keys?,
            target: target?,
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
                    format!("id {:?}", text.get_ref()),
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

    fn party(&mut self, raw: &Spanned<RawParty>, mode: Mode) -> Option<Party> {
        let at = raw.span().start;
        let raw = raw.get_ref();
        let officers: Vec<_> = raw
            .officers
            .iter()
            .map(|officer| self.officer(officer))
            .collect();
        let approvals = usize::from(*raw.approvals.get_ref());
        if approvals < 2 || approvals > officers.len() {
            let found = format!("approvals = {approvals} of {} officers", officers.len());
            self.fault(
                raw.approvals.span().start,
                Rule::PlanApprovals,
                found,
                "at least 2, and no more than there are officers",
            );
        }
        if mode == Mode::Production && raw.hsm.as_ref().is_none_or(|hsm| hsm.serials.is_empty()) {
            self.fault(
                at,
                Rule::PlanHsm,
                "no hsm with serials",
                "hsm = { manufacturer, model, serials } in production",
            );
        }
        let officers = officers.into_iter().collect::<Option<_>>()?;
        Some(Party {
            name: raw.name.clone(),
            approvals,
            officers,
            hsm: raw.hsm.clone(),
        })
    }

    fn officer(&mut self, raw: &RawOfficer) -> Option<Person> {
        let id = self.person_id(&raw.id);
        let key = self.ssh_key(&raw.key);
        let (key, openssh) = key?;
        Some(Person {
            id: id?,
            name: raw.name.clone(),
            key,
            openssh,
        })
    }

    fn witness(&mut self, raw: &RawWitness) -> Option<Witness> {
        let id = self.person_id(&raw.id)?;
        let person = match &raw.key {
            None => None,
            Some(key) => {
                let (key, openssh) = self.ssh_key(key)?;
                Some(Person {
                    id: id.clone(),
                    name: raw.name.clone(),
                    key,
                    openssh,
                })
            }
        };
        Some(Witness {
            id,
            name: raw.name.clone(),
            person,
        })
    }

    fn ssh_key(&mut self, text: &Spanned<String>) -> Option<(ssh_key::public::KeyData, String)> {
        let at = text.span().start;
        let expected = "an OpenSSH public key: ed25519, ecdsa P-256 or P-384, or an sk- form";
        let key = match PublicKey::from_openssh(text.get_ref()) {
            Ok(key) if allowed(&key.algorithm()) => key,
            _ => {
                self.fault(
                    at,
                    Rule::PlanField,
                    format!("key {:?}", text.get_ref()),
                    expected,
                );
                return None;
            }
        };
        let openssh = PublicKey::new(key.key_data().clone(), "")
            .to_openssh()
            .ok()?;
        let openssh = openssh.trim_end().to_owned();
        self.once("SSH key", &openssh, at);
        Some((key.key_data().clone(), openssh))
    }

    fn quorum(&mut self, raw: &RawPlan, hoster: Option<&Party>) -> Option<QuorumPlan> {
        let threshold = *raw.quorum.threshold.get_ref();
        let count = raw.quorum.custodians.len();
        if threshold < 2 || usize::from(threshold) > count || count > 16 {
            let found = format!("threshold {threshold} of {count} custodians");
            self.fault(
                raw.quorum.threshold.span().start,
                Rule::PlanQuorum,
                found,
                "2 <= threshold <= custodians <= 16",
            );
        }
        let custodians: Vec<_> = raw
            .quorum
            .custodians
            .iter()
            .map(|custodian| self.custodian(custodian, raw, hoster))
            .collect();
        Some(QuorumPlan {
            threshold,
            custodians: custodians.into_iter().collect::<Option<_>>()?,
        })
    }

    /// A custodian may be an officer of the tenant, under the same id, but never one of the hoster.
    fn custodian(
        &mut self,
        raw: &RawCustodian,
        plan: &RawPlan,
        hoster: Option<&Party>,
    ) -> Option<Custodian> {
        let (id, at) = (raw.id.get_ref(), raw.id.span().start);
        self.once("custodian", id, at);
        let hoster_officer = hoster.is_some_and(|party| {
            party
                .officers
                .iter()
                .any(|officer| officer.id.as_str() == id)
        });
        if hoster_officer
            || plan
                .witnesses
                .iter()
                .any(|witness| witness.id.get_ref() == id)
        {
            self.fault(
                at,
                Rule::PlanTwoRoles,
                format!("custodian {id:?} is an officer of the hoster or a witness"),
                "a custodian who is neither",
            );
        }
        if raw.recipients.get_ref().is_empty() {
            self.fault(
                raw.recipients.span().start,
                Rule::PlanField,
                "no recipient",
                "at least one age recipient",
            );
        }
        for recipient in raw.recipients.get_ref() {
            self.once("recipient", recipient.get_ref(), recipient.span().start);
            if !is_age_recipient(recipient.get_ref()) {
                let found = format!("recipient {:?}", recipient.get_ref());
                self.fault(
                    recipient.span().start,
                    Rule::PlanField,
                    found,
                    "an age recipient, age1… with an intact checksum",
                );
            }
        }
        let recipients = raw
            .recipients
            .get_ref()
            .iter()
            .map(|recipient| recipient.get_ref().clone())
            .collect();
        Some(Custodian {
            id: self.id(&raw.id)?,
            name: raw.name.clone(),
            recipients,
        })
    }

    fn transfer(&mut self, raw: &RawPlan) -> Transfer {
        let bits = raw.transfer.kek_bits.as_ref();
        if let Some(bits) = bits.filter(|bits| ![3072, 4096].contains(bits.get_ref())) {
            self.fault(
                bits.span().start,
                Rule::PlanField,
                format!("kek_bits = {}", bits.get_ref()),
                "4096 or 3072",
            );
        }
        Transfer {
            origin: raw.transfer.origin,
            mechanism: raw.transfer.mechanism,
            oaep_hash: raw.transfer.oaep_hash,
            kek_bits: bits.map_or(4096, |bits| *bits.get_ref()),
            evidence: raw.transfer.evidence,
            roots: raw.transfer.roots.clone(),
        }
    }

    fn keys(&mut self, raw: &Spanned<Vec<RawKey>>) -> Option<Vec<KeyPlan>> {
        if raw.get_ref().is_empty() {
            self.fault(
                raw.span().start,
                Rule::PlanField,
                "no keys",
                "at least one [[keys]]",
            );
        }
        if raw.get_ref().iter().all(|key| key.role != Role::Signing) {
            // Without one nothing inside the tenant's HSM could sign the package.
            self.fault(
                raw.span().start,
                Rule::PlanField,
                "no signing key",
                "at least one key with role \"signing\"",
            );
        }
        raw.get_ref()
            .iter()
            .map(|key| self.key(key))
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    }

    fn key(&mut self, raw: &RawKey) -> Option<KeyPlan> {
        self.once("key label", raw.label.get_ref(), raw.label.span().start);
        let label = self.id(&raw.label);
        let bits = *raw.bits.get_ref();
        let key_type = match (raw.key_type.get_ref().as_str(), bits) {
            ("rsa", 2048 | 3072 | 4096) => Some(KeyType::Rsa(bits)),
            ("ec", 256 | 384) if raw.role == Role::Signing => Some(KeyType::Ec(bits)),
            (other, _) => {
                let found = format!("type {other:?} with {bits} bits");
                self.fault(
                    raw.bits.span().start,
                    Rule::PlanField,
                    found,
                    "rsa with 2048, 3072 or 4096, or for signing ec with 256 or 384",
                );
                None
            }
        };
        if raw
            .subject
            .get_ref()
            .parse::<x509_cert::name::Name>()
            .map_or(true, |name| name.is_empty())
        {
            self.fault(
                raw.subject.span().start,
                Rule::PlanField,
                format!("subject {:?}", raw.subject.get_ref()),
                "a name such as CN=Contoso HGS signing",
            );
        }
        let usage = self.usage(raw);
        Some(KeyPlan {
            label: label?,
            role: raw.role,
            key_type: key_type?,
            usage,
            subject: raw.subject.get_ref().clone(),
        })
    }

    fn usage(&mut self, raw: &RawKey) -> Usage {
        let proves = match raw.role {
            Role::Signing => "sign",
            Role::Encryption => "decrypt",
        };
        let Some(usage) = &raw.usage else {
            return Usage {
                sign: proves == "sign",
                decrypt: proves == "decrypt",
            };
        };
        let list: Vec<&str> = usage.get_ref().iter().map(String::as_str).collect();
        let known = list.iter().all(|use_| ["sign", "decrypt"].contains(use_));
        let repeated = list.len() == 2 && list[0] == list[1];
        if !known || repeated || list.len() > 2 || !list.contains(&proves) {
            let expected = format!("{proves:?}, and perhaps the other of \"sign\" and \"decrypt\"");
            self.fault(
                usage.span().start,
                Rule::PlanField,
                format!("usage {list:?}"),
                expected,
            );
        }
        Usage {
            sign: list.contains(&"sign"),
            decrypt: list.contains(&"decrypt"),
        }
    }

    fn target(&mut self, raw: RawTarget) -> Option<Target> {
        let (RawTarget::Local { nodes } | RawTarget::Hgs { nodes, .. }) = &raw;
        let mut ids: Vec<Id> = Vec::new();
        for node in nodes {
            match node.parse::<Id>() {
                Ok(id) if !ids.contains(&id) => ids.push(id),
                Ok(id) => self.whole(
                    Rule::PlanRepeated,
                    format!("node {id} again"),
                    "each node once",
                ),
                Err(expected) => self.whole(Rule::PlanField, format!("node {node:?}"), expected),
            }
        }
        if nodes.is_empty() {
            self.whole(Rule::PlanField, "target without nodes", "at least one node");
        }
        Some(match raw {
            RawTarget::Local { .. } => Target::Local { nodes: ids },
            RawTarget::Hgs {
                ksp,
                deployment,
                soak_hours,
                trial,
                ..
            } => Target::Hgs {
                nodes: ids,
                ksp,
                deployment,
                soak_hours,
                trial,
            },
        })
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
            Some(rule) if rule.waivable() => Some(Waiver {
                rule,
                reason: raw.reason.get_ref().clone(),
            }),
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
                    format!("no rule is called {:?}", raw.rule.get_ref()),
                    "the name of a waivable rule",
                );
                None
            }
        }
    }

    /// What the plan itself breaks must be waived, and what it cannot break must not be. Whether a
    /// KEK-… waiver is needed only the hoster's token can tell.
    fn waivers_fit(&mut self, plan: &Plan, raw: &[RawWaiver]) {
        let spare = |party: &Party| party.officers.len() > party.approvals;
        let no_spare = !spare(&plan.tenant)
            || !spare(&plan.hoster)
            || plan.quorum.custodians.len() <= usize::from(plan.quorum.threshold);
        let broken = [
            (
                Rule::WrapComposite,
                plan.transfer.mechanism == Mechanism::Composite,
                "mechanism = \"composite\"",
            ),
            (
                Rule::WrapOaepSha1,
                plan.transfer.oaep_hash == OaepHash::Sha1,
                "oaep_hash = \"sha1\"",
            ),
            (
                Rule::PlanNoSpare,
                no_spare,
                "no officer or no custodian to spare",
            ),
        ];
        for (rule, broken, found) in broken {
            let waiver = raw
                .iter()
                .find(|waiver| waiver.rule.get_ref() == rule.name());
            match (broken, waiver) {
                (true, None) => self.whole(
                    rule,
                    found,
                    format!(
                        "another plan, or a waiver of {} with its reason",
                        rule.name()
                    ),
                ),
                (false, Some(waiver)) => self.fault(
                    waiver.rule.span().start,
                    Rule::PlanWaiver,
                    format!("{} is waived, but this plan does not break it", rule.name()),
                    "no waiver that is not needed",
                ),
                _ => {}
            }
        }
    }
}

fn allowed(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384
            }
    )
}

/// Bech32 with an intact checksum and age's prefix, or a plugin's, in lower case. What a plugin's own
/// bytes mean only the plugin can tell.
fn is_age_recipient(text: &str) -> bool {
    let Ok((prefix, data)) = bech32::decode(text) else {
        return false;
    };
    match text.chars().any(char::is_uppercase) {
        true => false,
        false => {
            (prefix.as_str() == "age" && data.len() == 32) || prefix.as_str().starts_with("age1")
        }
    }
}
