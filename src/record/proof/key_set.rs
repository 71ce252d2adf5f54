//! What must be proven: the keys of a package, or of a challenge where they are born at the hoster.
//! Every proof of either kind of ceremony is held against this.

use std::collections::BTreeMap;

use crate::spki::{self, TargetCertificate};
use crate::{
    Blob, Fits, Fixed, Hash, Id, KeyPlan, KeyType, Listed, PackageId, Plan, Result, Role, Rule,
    differs, ensure, strict_json,
};

/// The keys of a ceremony, and what is asked of whoever says that they hold them.
#[derive(Debug, Clone)]
pub struct KeySet {
    /// The id of the package, or of the challenge.
    pub id: PackageId,
    /// What every signing key signs at every place.
    pub nonce: Fixed<32>,
    /// The keys, in the plan's order.
    pub keys: Vec<ProvenKey>,
}

/// One key of a set.
#[derive(Debug, Clone)]
pub struct ProvenKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// DER SubjectPublicKeyInfo.
    pub spki: Blob,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// For an encryption key, one challenge per place, in the order of [`Plan::places`].
    pub challenges: Vec<PlaceChallenge>,
}

/// What only the holder of an encryption key can answer, at a place.
#[strict_json]
pub struct PlaceChallenge {
    /// Where it must be answered.
    pub place: String,
    /// RSA-OAEP of 32 fresh random bytes under the key.
    pub ciphertext: Blob,
    /// `H("keyferry/1 expected", answer)`.
    pub expected: Hash,
}

/// The certificates, in DER, that a service with one key per role must publish.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The signing key's.
    pub signing: &'a [u8],
    /// The encryption key's.
    pub encryption: &'a [u8],
}

/// How the name of a certificate's file ends.
pub const CERTIFICATE_END: &str = ".crt";

/// The name of a certificate's file.
pub fn certificate_file(label: &Id) -> String {
    format!("{label}{CERTIFICATE_END}")
}

/// A certificate is its key's own.
///
/// # Errors
/// `TARGET-CERTIFICATE`.
pub fn check_certificate(label: &Id, der: &[u8], spki: &Blob) -> Result<()> {
    TargetCertificate::parse(der, label.as_str())?.of_key(&spki.0, label.as_str()).map(drop)
}

impl ProvenKey {
    /// The challenge of a place.
    pub fn challenge(&self, place: &str) -> Option<&PlaceChallenge> {
        self.challenges.iter().find(|challenge| challenge.place == place)
    }
}

impl KeySet {
    /// The keys that a document claims, with their certificates from its files.
    pub(crate) fn of<'a>(
        id: PackageId,
        nonce: Fixed<32>,
        keys: impl Iterator<Item = ChallengedKey>,
        file: impl Fn(&str) -> &'a [u8],
    ) -> Self {
        let key = |ChallengedKey { label, role, spki, challenges, .. }| {
            let certificate = file(&certificate_file(&label)).to_vec();
            ProvenKey { label, role, spki, certificate, challenges }
        };
        KeySet { id, nonce, keys: keys.map(key).collect() }
    }

    /// The key of a label.
    pub fn key(&self, label: &Id) -> Option<&ProvenKey> {
        self.keys.iter().find(|key| key.label == *label)
    }

    /// What names each key: its label, SHA-256 of its SubjectPublicKeyInfo and of its certificate.
    pub fn named(&self) -> impl Iterator<Item = (&Id, Hash, Hash)> {
        let keys = self.keys.iter();
        keys.map(|key| (&key.label, Hash::of(&key.spki.0), Hash::of(&key.certificate)))
    }

    /// The signing keys.
    pub fn signing_keys(&self) -> impl Iterator<Item = &ProvenKey> {
        self.keys.iter().filter(|key| key.role == Role::Signing)
    }

    /// Each certificate is its key's own.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn verify_certificates(&self) -> Result<()> {
        let mut keys = self.keys.iter();
        keys.try_for_each(|key| check_certificate(&key.label, &key.certificate, &key.spki))
    }

    /// The certificates of the one signing and the one encryption key.
    ///
    /// # Errors
    /// `PLAN-TARGET` where there is another number of keys in either role.
    pub fn pair(&self) -> Result<Pair<'_>> {
        let one = |role: Role| {
            let mut keys = self.keys.iter().filter(|key| key.role == role);
            match (keys.next(), keys.next()) {
                (Some(key), None) => Some(key.certificate.as_slice()),
                _ => None,
            }
        };
        match (one(Role::Signing), one(Role::Encryption)) {
            (Some(signing), Some(encryption)) => Ok(Pair { signing, encryption }),
            _ => Err(Rule::PlanTarget.refuse(
                "not one signing and one encryption key",
                "one of each, which is what a service has as its primary ones",
                "make a plan with one key per role",
            )),
        }
    }
}

/// A key that is to be proven, as a document lists it.
#[strict_json]
pub struct ChallengedKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// DER SubjectPublicKeyInfo.
    pub spki: Blob,
    /// `<label>.crt`.
    pub certificate: Listed,
    /// For an encryption key, one challenge per place, in the order of [`Plan::places`].
    pub challenges: Vec<PlaceChallenge>,
}

impl ChallengedKey {
    /// Whether it is the planned key.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check(&self, planned: &KeyPlan, plan: &Plan) -> Fits {
        let of = |found: String| format!("key {}: {found}", planned.label);
        let fits = self.label == planned.label && self.role == planned.role;
        let found = of(format!("{} in its place", self.label));
        ensure(fits, found, "the plan's keys, in the plan's order")?;
        spki::check(&self.spki.0, planned.key_type)
            .map_err(|found| (of(found), "a key of the plan's type and size".into()))?;
        let places = match self.role {
            Role::Encryption => plan.places(),
            Role::Signing => Vec::new(),
        };
        let asked = self.challenges.iter().map(|challenge| &challenge.place);
        let found = of("challenges of other places".into());
        let expected = "one challenge per place for an encryption key, none for a signing key";
        ensure(asked.eq(places.iter()), found, expected)?;
        // RFC 8017, 7.1.2: another length is no ciphertext of this key, and the hoster's HSM would
        // be asked in vain.
        let length = match planned.key_type {
            KeyType::Rsa(bits) => Some(bits as usize / 8),
            KeyType::Ec(_) => None,
        };
        for PlaceChallenge { place, ciphertext: Blob(bytes), .. } in &self.challenges {
            let found = of(format!("a challenge of {} bytes for {place}", bytes.len()));
            let expected = "as many bytes as the key's modulus has";
            ensure(length == Some(bytes.len()), found, expected)?;
        }
        Ok(())
    }
}

/// No two labels have one key, by SHA-256 of its SubjectPublicKeyInfo.
///
/// # Errors
/// What was found and what was expected.
pub fn each_of_its_own<'a>(keys: impl Iterator<Item = (&'a Id, Hash)>) -> Fits {
    let mut seen = BTreeMap::new();
    for (label, spki) in keys {
        if let Some(other) = seen.insert(spki, label) {
            let found = format!("one public key, {spki}, for {other} and for {label}");
            return differs(found, "a key of its own for every label");
        }
    }
    Ok(())
}

/// As many keys as the plan has, and each as the plan has it.
///
/// # Errors
/// What was found and what was expected.
pub(crate) fn check_keys<K>(keys: &[K], plan: &Plan, check: impl Fn(&K, &KeyPlan) -> Fits) -> Fits {
    let (found, expected) = (keys.len(), plan.keys.len());
    ensure(found == expected, format!("{found} keys"), format!("{expected} keys"))?;
    keys.iter().zip(&plan.keys).try_for_each(|(key, planned)| check(key, planned))
}
