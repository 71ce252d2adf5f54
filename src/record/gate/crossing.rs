//! What officers sign for before keys cross: at the tenant before they leave, at the hoster before
//! they are unwrapped.

use crate::gate::Subject;
use crate::{CloudFormat, Gate, Hash, Id, Mechanism, OaepHash, list, strict_json};

/// `export`: which keys leave, how, for whose KEK, and to whom the shares go.
#[strict_json]
pub struct Export {
    /// SHA-256 of the offer.
    pub offer: Hash,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub kek_fingerprint: Hash,
    /// How keys are wrapped.
    pub mechanism: Mechanism,
    /// The hash of RSA-OAEP.
    pub oaep_hash: OaepHash,
    /// The keys, in the plan's order.
    pub keys: Vec<ExportKey>,
    /// How many shares open the seal.
    pub threshold: u8,
    /// Who gets one.
    pub custodians: Vec<ShareHolder>,
}

/// A key that leaves.
#[strict_json]
pub struct ExportKey {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// SHA-256 of its certificate.
    pub certificate: Hash,
}

/// A custodian, and what their share is encrypted to.
#[strict_json]
pub struct ShareHolder {
    /// Who.
    pub id: Id,
    /// Their recipient, and the deputy's.
    pub recipients: Vec<String>,
}

impl Subject for Export {
    const GATE: Gate = Gate::Export;

    fn summary(&self) -> String {
        format!(
            "The private keys {} are wrapped inside the tenant's HSM for the hoster's KEK {} and sealed; any {} of {} open the seal. \
             Whoever holds that KEK and those shares has the keys.",
            list(self.keys.iter().map(|key| &key.label)),
            self.kek_fingerprint,
            self.threshold,
            list(self.custodians.iter().map(|one| &one.id))
        )
    }
}

/// `export`: which keys leave for a cloud service's KEK, with no seal.
#[strict_json]
pub struct CloudExport {
    /// Which service.
    pub format: CloudFormat,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub kek_fingerprint: Hash,
    /// The KEK's identifier at the service, where it wants to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// How keys are wrapped.
    pub mechanism: Mechanism,
    /// The hash of RSA-OAEP.
    pub oaep_hash: OaepHash,
    /// The keys, in the plan's order.
    pub keys: Vec<ExportKey>,
}

impl Subject for CloudExport {
    const GATE: Gate = Gate::Export;

    fn summary(&self) -> String {
        let kid = self.kid.as_ref().map_or(String::new(), |kid| format!(" ({kid})"));
        format!(
            "The private keys {} are wrapped inside the tenant's HSM for the KEK {}{kid} of {}. There is no seal: whoever holds that KEK has the \
             keys. Sign only if you have compared its fingerprint with what the service itself shows.",
            list(self.keys.iter().map(|key| &key.label)),
            self.kek_fingerprint,
            self.format.name()
        )
    }
}

/// `import`: which keys of another tool are unwrapped.
#[strict_json]
pub struct ImportPlain {
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub kek_fingerprint: Hash,
    /// The keys, in the plan's order.
    pub keys: Vec<PlainKey>,
}

/// A key that another tool has wrapped.
#[strict_json]
pub struct PlainKey {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// SHA-256 of its certificate.
    pub certificate: Hash,
    /// SHA-256 of the wrapped key.
    pub wrapped: Hash,
}

impl Subject for ImportPlain {
    const GATE: Gate = Gate::Import;

    fn summary(&self) -> String {
        format!(
            "The hoster's HSM unwraps the keys {}, which another tool has wrapped for the KEK {}. No custodian opens anything: there is no seal.",
            list(self.keys.iter().map(|key| &key.label)),
            self.kek_fingerprint
        )
    }
}

/// `import`: which package is opened.
#[strict_json]
pub struct Import {
    /// SHA-256 of the package.
    pub package: Hash,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub kek_fingerprint: Hash,
}

impl Subject for Import {
    const GATE: Gate = Gate::Import;

    fn summary(&self) -> String {
        format!(
            "A quorum of custodians opens the seal of the package {}, and the hoster's HSM unwraps the tenant's keys under the KEK {}. \
             Each custodian's identity that is opened on this machine is spent.",
            self.package, self.kek_fingerprint
        )
    }
}
