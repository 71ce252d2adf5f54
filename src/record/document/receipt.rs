//! `receipt`: the hoster's HSM holds the tenant's keys, and proves it.

use crate::document::held_key::{BORN, HeldKey};
use crate::document::{Body, Header};
use crate::plan::IMPORT;
use crate::proof::Proof;
use crate::proof::key_set::check_keys;
use crate::{
    Fits, Id, Kind, Listed, PackageId, Plan, TokenIdentity, TransferRoute, ensure, require,
    strict_json,
};

/// What the HSM holds, who opened the seal for it, and the proof.
#[strict_json]
pub struct Receipt {
    /// The export that was imported, or the challenge that is answered.
    pub package_id: PackageId,
    /// The custodians who opened the seal; nobody where the keys were born at the hoster.
    pub custodians: Vec<Id>,
    /// Those of them whose identity was opened on the hoster's machine.
    pub spent: Vec<Id>,
    /// The keys, in the plan's order.
    pub keys: Vec<HeldKey>,
    /// One proof per key, in the plan's order; its place is `import`.
    pub proofs: Vec<Proof>,
    /// The token that they are in: a claim of the module.
    pub token: TokenIdentity,
}

impl Body for Receipt {
    const KIND: Kind = Kind::Receipt;

    fn files(&self) -> Vec<(String, Listed)> {
        Vec::new()
    }

    fn check(&self, header: &Header, plan: &Plan) -> Fits {
        check_keys(&self.keys, plan, |key, planned| {
            key.check(planned, plan, header.attempt)?;
            require(&key.attributes, if plan.way == TransferRoute::Born { BORN } else { &[] })
        })?;
        let planned = |id: &Id| plan.quorum.custodian(id.as_str()).is_some();
        let distinct = self.custodians.iter().collect::<std::collections::BTreeSet<_>>().len();
        let fits = distinct == self.custodians.len()
            && distinct >= usize::from(plan.quorum.threshold)
            && self.custodians.iter().all(planned)
            && self.spent.iter().all(|id| self.custodians.contains(id));
        let nobody = |all: &[Id]| plan.names_of("nobody", all);
        let (by, spent) = (nobody(&self.custodians), nobody(&self.spent));
        let found = format!("opened by {by}, spent by {spent}");
        ensure(fits, found, "a quorum of the plan's custodians, each once")?;
        Proof::check_places(&self.proofs, plan, &[IMPORT.to_owned()])
    }
}
