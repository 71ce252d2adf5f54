//! `registration`: the tenant's keys are the primary keys of the hoster's service, proven at every node.

use serde::{Deserialize, Serialize};

use super::{Body, Header, Kind, Listed};
use crate::{
    encoding::{Hash, PackageId},
    plan::{Plan, Stage},
    proof::Proof,
};

/// What is primary now, what was before, and the proofs of every node and stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The export that was imported.
    pub package_id: PackageId,
    /// The kind of target.
    pub target: String,
    /// The plan hash of the key set that was primary before; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Hash>,
    /// SHA-256 of the registry in which the key set is primary.
    pub registry: Hash,
    /// Per node, stage and key, in the order of [`Plan::places`] after `import` and of the plan's keys.
    pub proofs: Vec<Proof>,
}

impl Body for Registration {
    const KIND: Kind = Kind::Registration;

    fn files(&self) -> Vec<(String, Listed)> {
        Vec::new()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Result<(), (String, String)> {
        if self.target != plan.target.kind() {
            return Err((
                format!("target {:?}", self.target),
                format!("target {:?}", plan.target.kind()),
            ));
        }
        let places = [
            plan.node_places(Stage::Ready),
            plan.node_places(Stage::Active),
        ]
        .concat();
        Proof::check_places(&self.proofs, plan, &places)
    }
}
