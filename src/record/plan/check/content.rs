//! What crosses, and how.

use toml::Spanned;

use crate::{
    escape::quote,
    plan::{
        KeyPlan, Transfer,
        check::Checker,
        raw::{RawKey, RawPlan},
    },
    rule::Rule,
    terms::{AttestationLevel, Form, KeyType, Mechanism, Originals, Role, TransferRoute, Usage},
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
        self.of_the_way(raw);
        Transfer {
            mechanism: raw.transfer.mechanism,
            oaep_hash: raw.transfer.oaep_hash,
            kek_bits: bits.map_or(4096, |bits| *bits.get_ref()),
            evidence: raw.transfer.evidence,
            roots: raw.transfer.roots.clone(),
        }
    }

    /// What only keys of another way have, and what those of this one need.
    fn of_the_way(&mut self, raw: &RawPlan) {
        let way = raw.way();
        let wrapped = way != TransferRoute::Born;
        if let Some(bits) = raw.transfer.kek_bits.as_ref().filter(|_| !wrapped) {
            let expected = "no kek_bits: keys that are born at the hoster need no KEK";
            self.fault(bits.span().start, Rule::PlanField, "kek_bits", expected);
        }
        if raw.transfer.mechanism != Mechanism::SingleShot && !wrapped {
            let expected = "no mechanism: keys that are born at the hoster are not wrapped";
            self.whole(Rule::PlanField, "mechanism = \"composite\"", expected);
        }
        if raw.transfer.format == Form::Pkcs11 && way != TransferRoute::Brought {
            let expected = "no format: only keys that another tool brings to the hoster have one";
            self.whole(Rule::PlanField, "format = \"pkcs11\"", expected);
        }
        if way == TransferRoute::Born && raw.target.get_ref().kind.cloud().is_some() {
            let expected = "origin = \"tenant\": a cloud service takes keys of the tenant's HSM";
            self.whole(Rule::PlanField, "origin = \"hoster\"", expected);
        }
        if raw.after.source != Originals::Keep && way != TransferRoute::Carried {
            let expected =
                "\"keep\": Keyferry destroys only originals that it has carried, after acceptance";
            self.whole(Rule::PlanField, "source = \"destroy\"", expected);
        }
        self.attestation(raw, way);
        for key in raw.keys.get_ref() {
            self.key_of_the_way(key, way);
        }
    }

    /// What no attestation could ever reach is better known before people travel.
    fn attestation(&mut self, raw: &RawPlan, way: TransferRoute) {
        let evidence = raw.transfer.evidence;
        let expected = match way {
            TransferRoute::Cloud if evidence > AttestationLevel::Witnessed => {
                "\"witnessed\": of a cloud service's KEK no HSM's vendor says anything"
            }
            _ if evidence > AttestationLevel::Witnessed && raw.transfer.roots.is_empty() => {
                "roots = [\"64 hex digits\"]: SHA-256 of each vendor's root certificate that is trusted"
            }
            _ => return,
        };
        let found = format!("evidence: {}", evidence.said());
        self.whole(Rule::PlanField, found, expected);
    }

    fn key_of_the_way(&mut self, key: &RawKey, way: TransferRoute) {
        let (at, label) = (key.label.span().start, key.label.get_ref());
        let usage = key.usage.as_ref().map(|usage| usage.get_ref());
        let signs = usage.is_some_and(|usage| usage.iter().any(|may| may == "sign"));
        if way == TransferRoute::Born && *key.role.get_ref() == Role::Encryption && !signs {
            let found = format!("key {}, which may not sign", quote(label));
            let expected = "usage = [\"sign\", \"decrypt\"]: where it is born at the hoster, it signs its own certificate there";
            self.fault(at, Rule::PlanField, found, expected);
        }
        match (&key.spki, way) {
            (None, TransferRoute::Brought) => {
                let expected = "spki = \"64 hex digits\": SHA-256 of the public key that another tool brings (DER SubjectPublicKeyInfo)";
                self.fault(
                    at,
                    Rule::PlanField,
                    format!("key {} without spki", quote(label)),
                    expected,
                );
            }
            (Some(spki), TransferRoute::Carried | TransferRoute::Born | TransferRoute::Cloud) => {
                let expected = "no spki: only a key that another tool brings is named by it";
                self.fault(spki.span().start, Rule::PlanField, "spki", expected);
            }
            _ => {}
        }
    }

    pub(super) fn keys(&mut self, raw: &Spanned<Vec<RawKey>>) -> Option<Vec<KeyPlan>> {
        if raw.get_ref().is_empty() {
            self.fault(raw.span().start, Rule::PlanField, "no keys", "at least one [[keys]]");
        }
        if raw.get_ref().iter().all(|key| *key.role.get_ref() != Role::Signing) {
            // Without one nothing inside the tenant's HSM could sign the package.
            self.fault(
                raw.span().start,
                Rule::PlanField,
                "no signing key",
                "at least one key with role \"signing\"",
            );
        }
        raw.get_ref().iter().map(|key| self.key(key)).collect::<Vec<_>>().into_iter().collect()
    }

    pub(super) fn key(&mut self, raw: &RawKey) -> Option<KeyPlan> {
        self.once("key label", raw.label.get_ref(), raw.label.span().start);
        let label = self.id(&raw.label);
        let bits = *raw.bits.get_ref();
        let key_type = match (raw.key_type.get_ref().as_str(), bits) {
            ("rsa", 2048 | 3072 | 4096) => Some(KeyType::Rsa(bits)),
            ("ec", 256 | 384) if *raw.role.get_ref() == Role::Signing => Some(KeyType::Ec(bits)),
            (other, _) => {
                let found = format!("type {} with {bits} bits", quote(other));
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
                format!("subject {}", quote(raw.subject.get_ref())),
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
            spki: raw.spki.as_ref().map(|spki| *spki.get_ref()),
        })
    }

    pub(super) fn usage(&mut self, raw: &RawKey) -> Usage {
        let proves = match raw.role.get_ref() {
            Role::Signing => "sign",
            Role::Encryption => "decrypt",
        };
        let Some(usage) = &raw.usage else {
            return Usage { sign: proves == "sign", decrypt: proves == "decrypt" };
        };
        let list: Vec<&str> = usage.get_ref().iter().map(String::as_str).collect();
        let known = list.iter().all(|use_| ["sign", "decrypt"].contains(use_));
        let repeated = list.len() == 2 && list[0] == list[1];
        if !known || repeated || list.len() > 2 || !list.contains(&proves) {
            let expected =
                format!("{}, and perhaps the other of \"sign\" and \"decrypt\"", quote(proves));
            let list: Vec<String> = list.iter().map(|usage| quote(usage)).collect();
            let found = format!("usage [{}]", list.join(", "));
            self.fault(usage.span().start, Rule::PlanField, found, expected);
        }
        Usage { sign: list.contains(&"sign"), decrypt: list.contains(&"decrypt") }
    }
}
