//! `package`: the tenant's keys, each wrapped for the KEK and sealed under the quorum's secret.

use crate::document::{Body, Header};
use crate::encoding::enc;
use crate::proof::key_set::{
    ChallengedKey, PlaceChallenge, certificate_file, check_keys, each_of_its_own,
};
use crate::share::ShareListing;
use crate::{
    Blob, Error, Fits, Fixed, Hash, Id, KeySet, Kind, Listed, Mechanism, OaepHash, Observed,
    PackageId, Plan, Received, Result, Role, Rule, TokenIdentity, ensure, spki, strict_json,
};

/// Everything that the hoster needs to import, prove and be held to.
#[strict_json]
pub struct Package {
    /// The identity of this export.
    pub package_id: PackageId,
    /// The KEK that it is wrapped for.
    pub kek_fingerprint: Hash,
    /// How it is wrapped.
    pub mechanism: Mechanism,
    /// With which OAEP hash.
    pub oaep_hash: OaepHash,
    /// What wrapping was seen to do with a throwaway key.
    pub observed: Observed,
    /// What every signing key signs at every place.
    pub nonce: Fixed<32>,
    /// M.
    pub threshold: u8,
    /// The N shares, in the order of x.
    pub shares: Vec<ShareListing>,
    /// The keys, in the plan's order.
    pub keys: Vec<PackagedKey>,
    /// The token that wrapped: a claim of the module.
    pub token: TokenIdentity,
}

/// One key of a package.
#[strict_json]
pub struct PackagedKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// DER SubjectPublicKeyInfo.
    pub spki: Blob,
    /// `<label>.crt`.
    pub certificate: Listed,
    /// `<label>.sealed`.
    pub sealed: Listed,
    /// The length of the wrapped key inside, in bytes.
    pub wrapped_length: u64,
    /// For an encryption key, one challenge per place, in the order of [`Plan::places`].
    pub challenges: Vec<PlaceChallenge>,
}

/// How the name of a sealed key's file ends.
pub(super) const SEALED_END: &str = ".sealed";
/// How the name of the file with a key's own signature ends.
pub(super) const HSM_SIGNATURE_END: &str = ".hsm-sig";

impl PackagedKey {
    /// The name of the sealed key's file.
    pub fn sealed_file(&self) -> String {
        format!("{}{SEALED_END}", self.label)
    }

    /// What must be proven of it.
    fn challenged(&self) -> ChallengedKey {
        let PackagedKey { label, role, spki, certificate, challenges, .. } = self.clone();
        ChallengedKey { label, role, spki, certificate, challenges }
    }

    /// Whether a wrapped key of this length seals to a file of that one.
    fn check_length(&self) -> Fits {
        let wrapped = usize::try_from(self.wrapped_length).ok();
        let sealed = wrapped.and_then(sealed_length).map(|length| length as u64);
        let (label, length) = (&self.label, self.sealed.length);
        let found = format!("key {label}: {} bytes sealed to {length}", self.wrapped_length);
        let expected = "16 to 8192 bytes, sealed to the next multiple of 8 and 8 more";
        ensure(sealed == Some(length), found, expected)
    }
}

/// The name of the file with a signing key's own signature over the package.
pub fn hsm_signature_file(label: &Id) -> String {
    format!("package.json.{label}{HSM_SIGNATURE_END}")
}

/// What each signing key signs inside the tenant's HSM: that it owns this package.
pub fn signed_by_keys(package: &Hash) -> Vec<u8> {
    enc(c"keyferry/1 package", &[package.as_bytes()])
}

impl Package {
    /// The signing keys that it carries.
    pub fn signing_keys(&self) -> impl Iterator<Item = &PackagedKey> {
        self.keys.iter().filter(|key| key.role == Role::Signing)
    }

    /// The share of a custodian.
    ///
    /// # Errors
    /// [`Error::Failed`] where there is none: a package that was read has one of each.
    pub fn share_of(&self, custodian: &Id) -> Result<&ShareListing> {
        let share = self.shares.iter().find(|share| share.custodian == custodian.as_str());
        share.ok_or_else(|| Error::defect(format!("no share of {custodian}")))
    }

    fn check_shares(&self, plan: &Plan) -> Fits {
        let quorum = &plan.quorum;
        let planned =
            quorum.custodians.iter().zip(1..).map(|(custodian, x)| (custodian.id.as_str(), x));
        let listed = self.shares.iter().map(|share| (share.custodian.as_str(), share.x));
        let fits = self.threshold == quorum.threshold && listed.eq(planned);
        let found = "shares of other custodians, order or threshold";
        ensure(fits, found, "the plan's custodians and threshold")
    }
}

impl Body for Package {
    const KIND: Kind = Kind::Package;

    fn files(&self) -> Vec<(String, Listed)> {
        let of = |key: &PackagedKey| {
            [
                (key.sealed_file(), key.sealed.clone()),
                (certificate_file(&key.label), key.certificate.clone()),
            ]
        };
        self.keys.iter().flat_map(of).collect()
    }

    fn seals(&self) -> Vec<String> {
        self.signing_keys().map(|key| hsm_signature_file(&key.label)).collect()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Fits {
        let (mechanism, oaep) = (self.mechanism, self.oaep_hash);
        let fits = (mechanism, oaep) == (plan.transfer.mechanism, plan.transfer.oaep_hash);
        let found = format!("{mechanism}, OAEP {oaep}");
        ensure(fits, found, "the plan's mechanism and OAEP hash")?;
        let found = format!("OAEP {} observed", self.observed.oaep_hash);
        ensure(self.observed.oaep_hash == oaep, found, "the plan's OAEP hash")?;
        self.check_shares(plan)?;
        check_keys(&self.keys, plan, |key, planned| {
            key.challenged().check(planned, plan)?;
            key.check_length()
        })?;
        each_of_its_own(self.keys.iter().map(|key| (&key.label, Hash::of(&key.spki.0))))
    }
}

impl Received<Package> {
    /// Each certificate is its key's own, and each signing key has signed the package in the
    /// tenant's HSM.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`, `PACKAGE-SIGNATURE`.
    pub fn verify_keys(&self) -> Result<()> {
        KeySet::from(self).verify_certificates()?;
        let message = signed_by_keys(&self.hash);
        for key in self.body().signing_keys() {
            let name = hsm_signature_file(&key.label);
            Rule::PackageSignature.ensure(
                spki::verifies(&key.spki.0, &message, self.file(&name)),
                format!("{name} does not fit the package"),
                "a signature by the key itself",
                "copy the package again from the tenant's outbox",
            )?;
        }
        Ok(())
    }
}

impl From<&Received<Package>> for KeySet {
    fn from(package: &Received<Package>) -> Self {
        let body = package.body();
        let keys = body.keys.iter().map(PackagedKey::challenged);
        KeySet::of(body.package_id, body.nonce, keys, |name| package.file(name))
    }
}

/// The length of a sealed key, in bytes, by that of the wrapped key inside. `None` for a length
/// that no wrapped key has: below 16 AES-KWP is a single block, for which its library's checks are
/// not made; RSA-4096 under RSA-4096 has under 3 KiB.
pub fn sealed_length(wrapped: usize) -> Option<usize> {
    (16..=8192).contains(&wrapped).then(|| kwp_length(wrapped))
}

/// The length of an AES-KWP of this many bytes (RFC 5649, 4.1).
pub fn kwp_length(bytes: usize) -> usize {
    8 + bytes.next_multiple_of(8)
}
