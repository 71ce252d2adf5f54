//! `receipt`: the hoster's HSM holds the tenant's keys, and proves it.

use serde::{Deserialize, Serialize};

use super::{
    Body, Header, Kind, Listed,
    parts::{self, ReadBack, TokenIdentity},
};
use crate::{
    encoding::{CkaId, PackageId, cka_id},
    plan::{IMPORT, Id, Plan},
    proof::Proof,
};

/// What was imported, by whom it was opened, and the proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The export that was imported.
    pub package_id: PackageId,
    /// The custodians who opened the seal.
    pub custodians: Vec<Id>,
    /// Those of them whose identity was opened on the hoster's machine.
    pub spent: Vec<Id>,
    /// The keys, in the plan's order.
    pub keys: Vec<ImportedKey>,
    /// One proof per key, in the plan's order; its place is `import`.
    pub proofs: Vec<Proof>,
    /// The token that they are in: a claim of the module.
    pub token: TokenIdentity,
}

/// One imported key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedKey {
    /// Its label in the plan.
    pub label: Id,
    /// Its CKA_ID at the hoster.
    pub id: CkaId,
    /// Its CKA_LABEL at the hoster.
    pub hoster_label: String,
    /// Its attributes, as read back in a new session: a claim of the module. LOCAL, ALWAYS_SENSITIVE and
    /// NEVER_EXTRACTABLE are false or absent, since it was born elsewhere.
    pub attributes: Vec<ReadBack>,
}

/// What the hoster must at least say of an imported key.
const REQUIRED: &[(&str, &str)] = &[
    ("CKA_SENSITIVE", "true"),
    ("CKA_EXTRACTABLE", "false"),
    ("CKA_UNWRAP", "false"),
    ("CKA_DERIVE", "false"),
    ("CKA_SIGN_RECOVER", "false"),
];

impl Body for Receipt {
    const KIND: Kind = Kind::Receipt;

    fn files(&self) -> Vec<(String, Listed)> {
        Vec::new()
    }

    fn check(&self, header: &Header, plan: &Plan) -> Result<(), (String, String)> {
        let planned = plan.keys.iter().map(|key| &key.label);
        if !self.keys.iter().map(|key| &key.label).eq(planned) {
            return Err((
                "other keys, or another order".into(),
                "the plan's keys, in the plan's order".into(),
            ));
        }
        for key in &self.keys {
            let label = key.label.as_str();
            let id = cka_id(&plan.hash(), "hoster", "target", label, header.attempt);
            if key.id != id || key.hoster_label != plan.hoster_label(label) {
                let expected = format!("CKA_ID {id} and label {}", plan.hoster_label(label));
                return Err((format!("{label} under the CKA_ID {}", key.id), expected));
            }
            parts::require(&key.attributes, REQUIRED)?;
        }
        let planned = |id: &Id| {
            plan.quorum
                .custodians
                .iter()
                .any(|custodian| custodian.id == *id)
        };
        let distinct = self
            .custodians
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        let quorum =
            distinct == self.custodians.len() && distinct >= usize::from(plan.quorum.threshold);
        if !quorum
            || !self.custodians.iter().all(planned)
            || !self.spent.iter().all(|id| self.custodians.contains(id))
        {
            let found = format!("opened by {:?}, spent by {:?}", self.custodians, self.spent);
            return Err((found, "a quorum of the plan's custodians, each once".into()));
        }
        Proof::check_places(&self.proofs, plan, &[IMPORT.to_owned()])
    }
}
