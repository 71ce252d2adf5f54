//! What crosses, and how.

use toml::Spanned;
use x509_cert::name::Name;

use crate::plan::Transfer;
use crate::plan::check::{Checker, WHOLE, all};
use crate::plan::raw::{RawKey, RawPlan};
use crate::{
    AttestationLevel, Form, KeyPlan, KeyType, Mechanism, Originals, Role, Rule, TransferRoute,
    Usage, list, quote,
};

impl Checker<'_> {
    pub(super) fn transfer(&mut self, raw: &RawPlan) -> Transfer {
        let bits = raw.transfer.kek_bits.as_ref();
        if let Some(bits) = bits {
            let fits = [3072, 4096].contains(bits.get_ref());
            self.field(fits, bits, format!("kek_bits = {}", bits.get_ref()), "4096 or 3072");
        }
        self.of_the_way(raw);
        for key in raw.keys.get_ref() {
            self.key_of_the_way(key, raw.way());
        }
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
        let (way, transfer) = (raw.way(), &raw.transfer);
        let (born, cloud) = (way == TransferRoute::Born, way == TransferRoute::Cloud);
        if let Some(bits) = transfer.kek_bits.as_ref().filter(|_| born) {
            let expected = "no kek_bits: keys that are born at the hoster need no KEK";
            self.fault(bits, Rule::PlanField, "kek_bits", expected);
        }
        // What no attestation could ever reach is better known before people travel.
        let attested = transfer.evidence > AttestationLevel::Witnessed;
        let evidence = format!("evidence: {}", transfer.evidence.said());
        let wrong = [
            (
                born && transfer.mechanism != Mechanism::SingleShot,
                "mechanism = \"composite\"",
                "no mechanism: keys that are born at the hoster are not wrapped",
            ),
            (
                transfer.format == Form::Pkcs11 && way != TransferRoute::Brought,
                "format = \"pkcs11\"",
                "no format: only keys that another tool brings to the hoster have one",
            ),
            (
                born && raw.target.get_ref().kind.cloud().is_some(),
                "origin = \"hoster\"",
                "origin = \"tenant\": a cloud service takes keys of the tenant's HSM",
            ),
            (
                raw.after.source != Originals::Keep && way != TransferRoute::Carried,
                "source = \"destroy\"",
                "\"keep\": Keyferry destroys only originals that it has carried, after acceptance",
            ),
            (
                attested && cloud,
                evidence.as_str(),
                "\"witnessed\": of a cloud service's KEK no HSM's vendor says anything",
            ),
            (
                attested && !cloud && transfer.roots.is_empty(),
                evidence.as_str(),
                "roots = [\"64 hex digits\"]: SHA-256 of each vendor's root certificate that is trusted",
            ),
        ];
        for (wrong, found, expected) in wrong {
            self.field(!wrong, WHOLE, found, expected);
        }
    }

    fn key_of_the_way(&mut self, key: &RawKey, way: TransferRoute) {
        let label = quote(key.label.get_ref());
        let may = |usage: &Spanned<Vec<String>>| usage.get_ref().iter().any(|use_| use_ == "sign");
        let signs = *key.role.get_ref() == Role::Signing || key.usage.as_ref().is_some_and(may);
        let found = format!("key {label}, which may not sign");
        let expected = "usage = [\"sign\", \"decrypt\"]: where it is born at the hoster, it signs its own certificate there";
        self.field(signs || way != TransferRoute::Born, &key.label, found, expected);
        match (&key.spki, way == TransferRoute::Brought) {
            (None, true) => {
                let found = format!("key {label} without spki");
                let expected = "spki = \"64 hex digits\": SHA-256 of the public key that another tool brings (DER SubjectPublicKeyInfo)";
                self.fault(&key.label, Rule::PlanField, found, expected);
            }
            (Some(spki), true) => self.once("public key", &spki.get_ref().to_string(), spki),
            (Some(spki), false) => {
                let expected = "no spki: only a key that another tool brings is named by it";
                self.fault(spki, Rule::PlanField, "spki", expected);
            }
            _ => {}
        }
    }

    pub(super) fn keys(&mut self, raw: &Spanned<Vec<RawKey>>) -> Option<Vec<KeyPlan>> {
        let keys = raw.get_ref();
        self.field(!keys.is_empty(), raw, "no keys", "at least one [[keys]]");
        // Without one nothing inside the tenant's HSM could sign the package.
        let signing = keys.iter().any(|key| *key.role.get_ref() == Role::Signing);
        self.field(signing, raw, "no signing key", "at least one key with role \"signing\"");
        all(keys, |key| self.key(key))
    }

    fn key(&mut self, raw: &RawKey) -> Option<KeyPlan> {
        let (kind, subject) = (raw.key_type.get_ref(), raw.subject.get_ref());
        let (bits, role) = (*raw.bits.get_ref(), *raw.role.get_ref());
        self.once("key label", raw.label.get_ref(), &raw.label);
        let label = self.id("id", &raw.label);
        let key_type = match (kind.as_str(), bits) {
            ("rsa", 2048 | 3072 | 4096) => Some(KeyType::Rsa(bits)),
            ("ec", 256 | 384) if role == Role::Signing => Some(KeyType::Ec(bits)),
            _ => None,
        };
        let found = format!("type {} with {bits} bits", quote(kind));
        let expected = "rsa with 2048, 3072 or 4096, or for signing ec with 256 or 384";
        self.field(key_type.is_some(), &raw.bits, found, expected);
        let named = subject.parse::<Name>().is_ok_and(|name| !name.is_empty());
        let found = format!("subject {}", quote(subject));
        self.field(named, &raw.subject, found, "a name such as CN=Contoso HGS signing");
        let usage = self.usage(raw);
        let spki = raw.spki.as_ref().map(|spki| *spki.get_ref());
        Some(KeyPlan {
            label: label?,
            role,
            key_type: key_type?,
            usage,
            subject: subject.clone(),
            spki,
        })
    }

    fn usage(&mut self, raw: &RawKey) -> Usage {
        let proves = match raw.role.get_ref() {
            Role::Signing => "sign",
            Role::Encryption => "decrypt",
        };
        let uses: Vec<&str> = match &raw.usage {
            Some(usage) => usage.get_ref().iter().map(String::as_str).collect(),
            None => vec![proves],
        };
        if let Some(usage) = &raw.usage {
            let fits = match uses[..] {
                [one] => one == proves,
                [one, other] => [[one, other], [other, one]].contains(&["sign", "decrypt"]),
                _ => false,
            };
            let found = format!("usage [{}]", list(uses.iter().map(|one| quote(one))));
            let expected =
                format!("{}, and perhaps the other of \"sign\" and \"decrypt\"", quote(proves));
            self.field(fits, usage, found, expected);
        }
        Usage { sign: uses.contains(&"sign"), decrypt: uses.contains(&"decrypt") }
    }
}
