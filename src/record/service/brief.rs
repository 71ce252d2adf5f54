//! The brief, `register/registration.json`: what every node is told. Everything in it follows from
//! plan, package and receipt, so whoever has those can tell a right one.

use crate::spki::TargetCertificate;
use crate::{
    Blob, CkaId, Deployment, FORMAT, Fixed, Hash, Id, KeySet, Listed, Mode, OaepHash, PackageId,
    Plan, PrimaryKey, Result, Role, ServicePlan, Stage, Trial, json_file, strict_json,
};

/// The name of the brief in the register folder.
pub const BRIEF_FILE: &str = "registration.json";
/// The greatest size of a brief, in bytes.
pub const MAX_BRIEF: u64 = 4 << 20;

/// What every node is told.
#[strict_json]
pub struct Brief {
    /// [`FORMAT`].
    pub format: String,
    /// The ceremony's id.
    pub ceremony: Id,
    /// Rehearsal or production.
    pub mode: Mode,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// The export that was imported, or the challenge that was answered.
    pub package_id: PackageId,
    /// What every signing key signs at every place.
    pub nonce: Fixed<32>,
    /// The kind of target.
    pub target: String,
    /// What an HGS cluster has before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// The key storage provider that HGS reaches the HSM by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ksp: Option<String>,
    /// Whether the ceremony stops before activation.
    pub trial: bool,
    /// The OAEP hash of the challenges.
    pub oaep_hash: OaepHash,
    /// The nodes, in the order in which they are made ready.
    pub nodes: Vec<Id>,
    /// The keys, in the plan's order.
    pub keys: Vec<BriefKey>,
}

/// One key, as a node finds it.
#[strict_json]
pub struct BriefKey {
    /// Its label in the plan.
    pub label: Id,
    /// What it is for.
    pub role: Role,
    /// Its CKA_LABEL in the hoster's HSM, which some key storage providers take as the container's
    /// name.
    pub container: String,
    /// Its CKA_ID there.
    pub id: CkaId,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
    /// `<label>.crt`.
    pub certificate: Listed,
    /// SHA-1 of the certificate, 40 upper-case hex characters.
    pub thumbprint: String,
    /// For an encryption key, one challenge per node and stage.
    pub challenges: Vec<NodeChallenge>,
}

/// What only the holder of an encryption key can answer, at a place.
#[strict_json]
pub struct NodeChallenge {
    /// `<node>/<stage>`.
    pub place: String,
    /// RSA-OAEP of 32 random bytes, made by the tenant.
    pub ciphertext: Blob,
}

impl Brief {
    /// What the nodes are told of these keys, once the hoster's attempt has them in its HSM.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn of(plan: &Plan, set: &KeySet, attempt: u32) -> Result<Self> {
        let places = Stage::ALL.map(|stage| plan.node_places(stage));
        let keys = set.keys.iter().map(|key| {
            let label = key.label.as_str();
            let certificate = &key.certificate;
            let asked = places.iter().flatten();
            let challenges = asked.filter_map(|place| key.challenge(place));
            Ok(BriefKey {
                label: key.label.clone(),
                role: key.role,
                container: plan.hoster_label(label),
                id: plan.target_id(label, attempt),
                spki: Hash::of(&key.spki.0),
                certificate: Listed::of(certificate),
                thumbprint: TargetCertificate::parse(certificate, label)?.thumbprint(),
                challenges: challenges
                    .map(|challenge| NodeChallenge {
                        place: challenge.place.clone(),
                        ciphertext: challenge.ciphertext.clone(),
                    })
                    .collect(),
            })
        });
        let (deployment, ksp) = match &plan.target {
            ServicePlan::Local { .. } | ServicePlan::Cloud(_) => (None, None),
            ServicePlan::Hgs { deployment, ksp, .. } => (Some(*deployment), Some(ksp.clone())),
        };
        Ok(Brief {
            format: FORMAT.to_owned(),
            ceremony: plan.ceremony.clone(),
            mode: plan.mode,
            plan_hash: plan.hash(),
            package_id: set.id,
            nonce: set.nonce,
            target: plan.target.kind().to_owned(),
            deployment,
            ksp,
            trial: plan.trial == Trial::This,
            oaep_hash: plan.transfer.oaep_hash,
            nodes: plan.target.nodes().to_vec(),
            keys: keys.collect::<Result<_>>()?,
        })
    }

    /// SHA-256 of its file.
    ///
    /// # Errors
    /// As [`json_file`].
    pub fn hash(&self) -> Result<Hash> {
        json_file(self).map(|bytes| Hash::of(&bytes))
    }

    /// The keys of the ceremony as a service names them, signing first.
    pub fn primaries(&self) -> Vec<PrimaryKey> {
        let mut keys: Vec<_> = self.keys.iter().map(BriefKey::primary).collect();
        keys.sort();
        keys
    }
}

impl BriefKey {
    /// How the service names it.
    pub fn primary(&self) -> PrimaryKey {
        PrimaryKey { role: self.role, thumbprint: self.thumbprint.clone() }
    }

    /// Its challenge at a place.
    pub fn challenge(&self, place: &str) -> Option<&NodeChallenge> {
        self.challenges.iter().find(|one| one.place == place)
    }
}
