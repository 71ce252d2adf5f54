//! Keys, shares and files as entries of the log name them, and what its longer entries say.

use crate::{
    AttestationLevel, CkaId, CloudFormat, Hash, Id, Observed, Signed, TokenIdentity, strict_json,
};

/// Which KEK.
#[strict_json]
pub struct KekRecord {
    /// Its CKA_ID.
    pub id: CkaId,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fingerprint: Hash,
}

/// Which target key.
#[strict_json]
pub struct KeyRecord {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// SHA-256 of its certificate.
    pub certificate: Hash,
    /// Whether this step made it, or found it.
    pub made: bool,
}

impl KeyRecord {
    /// What names the key: as [`KeySet::named`](crate::KeySet::named).
    pub fn named(&self) -> (&Id, Hash, Hash) {
        (&self.label, self.spki, self.certificate)
    }

    /// Of a key and its certificate, DER.
    pub fn of(label: &Id, spki: &[u8], certificate: &[u8], made: bool) -> Self {
        let (spki, certificate) = (Hash::of(spki), Hash::of(certificate));
        KeyRecord { label: label.clone(), spki, certificate, made }
    }
}

/// Which share file went to whom.
#[strict_json]
pub struct ShareFile {
    /// The custodian.
    pub custodian: Id,
    /// SHA-256 of the age file.
    pub file: Hash,
}

/// A share file that was changed on the way to the import, and held the same share.
#[strict_json]
pub struct ChangedShare {
    /// The custodian.
    pub custodian: Id,
    /// SHA-256 of the file as it was brought.
    pub brought: Hash,
    /// SHA-256 of the file as it was dealt, which it is once the change is undone.
    pub taken: Hash,
}

/// A wrapped key, as a cloud service is given it.
#[strict_json]
pub struct CloudFile {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of the file.
    pub file: Hash,
}

/// A file that somebody fetched from a node.
#[strict_json]
pub struct Fetched {
    /// The node.
    pub node: Id,
    /// SHA-256 of the file.
    pub file: Hash,
    /// Who fetched it.
    pub fetched_by: Id,
    /// Where in the network they stood.
    pub fetched_from: String,
}

/// Keys that left for a cloud service.
#[strict_json]
pub struct CloudExported {
    /// Which.
    pub format: CloudFormat,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub fingerprint: Hash,
    /// What wrapping was seen to do with a throwaway key.
    pub observed: Observed,
    /// The token that wrapped.
    pub token: TokenIdentity,
    /// The files, in the plan's order.
    pub files: Vec<CloudFile>,
}

/// Keys of another tool that came in.
#[strict_json]
pub struct PlainImported {
    /// SHA-256 of `keys`.
    pub document: Hash,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub fingerprint: Hash,
    /// The level of attestation that was reached.
    pub attested: AttestationLevel,
    /// The token they are in.
    pub token: TokenIdentity,
    /// The keys, in the plan's order.
    pub keys: Vec<KeyRecord>,
    /// SHA-256 of each wrapped key.
    pub wrapped: Vec<Hash>,
}

/// The tenant's originals, gone.
#[strict_json]
pub struct SourceDestroyed {
    /// SHA-256 of the closing, in which the hoster says how it has backed the keys up.
    pub closing: Hash,
    /// What it says.
    pub backup: String,
    /// The token that was searched.
    pub token: TokenIdentity,
    /// Those that were there.
    pub keys: Vec<Id>,
    /// Who released the closing.
    pub signatures: Vec<Signed>,
}
