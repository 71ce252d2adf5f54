//! What crosses, and how.

use super::Checker;
use toml::Spanned;

use crate::{
    document::parts::Mechanism,
    plan::{
        KeyPlan, KeyType, Origin, Role, Source, Transfer, Usage,
        raw::{RawKey, RawPlan},
    },
    rule::Rule,
};

impl Checker<'_> {
    pub(super) fn transfer(&mut self, raw: &RawPlan) -> Transfer {
        let bits = raw.transfer.kek_bits.as_ref();
        if let Some(bits) = bits.filter(|bits| ![3072, 4096].contains(bits.get_ref())) {
            self.fault(
                bits.span().start,
                Rule::PlanField,
                format!("kek_bits = {}", bits.get_ref()),
                "4096 or 3072",
            );
        }
        if raw.transfer.origin == Origin::Hoster {
            self.nothing_wrapped(raw);
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

    /// What only keys have that travel, and what keys need that are born at the hoster.
    fn nothing_wrapped(&mut self, raw: &RawPlan) {
        if let Some(bits) = &raw.transfer.kek_bits {
            let expected = "no kek_bits: keys that are born at the hoster need no KEK";
            self.fault(bits.span().start, Rule::PlanField, "kek_bits", expected);
        }
        if raw.transfer.mechanism != Mechanism::SingleShot {
            let expected = "no mechanism: keys that are born at the hoster are not wrapped";
            self.whole(Rule::PlanField, "mechanism = \"composite\"", expected);
        }
        if raw.after.source != Source::Keep {
            let expected =
                "\"keep\": the tenant has no originals of keys that are born at the hoster";
            self.whole(Rule::PlanField, "source = \"destroy\"", expected);
        }
        for key in raw.keys.get_ref() {
            let signs = (key.usage.as_ref())
                .is_some_and(|usage| usage.get_ref().iter().any(|may| may == "sign"));
            if *key.role.get_ref() == Role::Encryption && !signs {
                let at = key.label.span().start;
                let found = format!("key {:?}, which may not sign", key.label.get_ref());
                let expected = "usage = [\"sign\", \"decrypt\"]: where it is born at the hoster, it signs its own certificate there";
                self.fault(at, Rule::PlanField, found, expected);
            }
        }
    }

    pub(super) fn keys(&mut self, raw: &Spanned<Vec<RawKey>>) -> Option<Vec<KeyPlan>> {
        if raw.get_ref().is_empty() {
            self.fault(
                raw.span().start,
                Rule::PlanField,
                "no keys",
                "at least one [[keys]]",
            );
        }
        if raw
            .get_ref()
            .iter()
            .all(|key| *key.role.get_ref() != Role::Signing)
        {
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

    pub(super) fn key(&mut self, raw: &RawKey) -> Option<KeyPlan> {
        self.once("key label", raw.label.get_ref(), raw.label.span().start);
        let label = self.id(&raw.label);
        let bits = *raw.bits.get_ref();
        let key_type = match (raw.key_type.get_ref().as_str(), bits) {
            ("rsa", 2048 | 3072 | 4096) => Some(KeyType::Rsa(bits)),
            ("ec", 256 | 384) if *raw.role.get_ref() == Role::Signing => Some(KeyType::Ec(bits)),
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
            role: *raw.role.get_ref(),
            key_type: key_type?,
            usage,
            subject: raw.subject.get_ref().clone(),
        })
    }

    pub(super) fn usage(&mut self, raw: &RawKey) -> Usage {
        let proves = match raw.role.get_ref() {
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
}
