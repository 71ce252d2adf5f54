//! `acceptance`: the tenant has verified every proof; the KEK may go. Carries the tenant's log, and
//! what nodes publish.

use crate::document::{Beside, Body, Header, check_kek};
use crate::log::Fetched;
use crate::service::metadata::MAX_METADATA;
use crate::{
    Fits, Hash, Id, Kind, LOG_FILE, Listed, PackageId, Plan, ServicePlan, ensure, quote,
    strict_json,
};

/// How the name of a node's metadata ends; it begins with the node's id.
pub const METADATA_END: &str = ".metadata.xml";
/// The greatest length of [`Published::fetched_from`], in characters.
pub const MAX_FETCHED_FROM: usize = 200;

/// What the tenant accepts.
#[strict_json]
pub struct Acceptance {
    /// The export that it is about.
    pub package_id: PackageId,
    /// SHA-256 of the receipt whose proofs hold.
    pub receipt: Hash,
    /// The KEK that may be destroyed now; keys that were born at the hoster had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kek_fingerprint: Option<Hash>,
    /// The tenant's log, up to the intent of this step.
    pub log: Listed,
    /// What nodes of Windows Host Guardian Service published, in the plan's order; nodes may be
    /// missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Published>,
}

/// The metadata of one node, verbatim in a file beside the document.
#[strict_json]
pub struct Published {
    /// The node.
    pub node: Id,
    /// The file `<node>.metadata.xml`.
    pub file: Listed,
    /// Who fetched it, a person of the plan. Of an officer of the hoster it is a claim.
    pub fetched_by: Id,
    /// Where in the network they stood: 1 to 200 characters, no control characters. A claim.
    pub fetched_from: String,
}

impl Published {
    /// The name of the file.
    pub fn file_name(&self) -> String {
        format!("{}{METADATA_END}", self.node)
    }

    /// As the log has it.
    pub fn logged(&self) -> Fetched {
        Fetched {
            node: self.node.clone(),
            file: self.file.hash,
            fetched_by: self.fetched_by.clone(),
            fetched_from: self.fetched_from.clone(),
        }
    }
}

/// Whether a text can say where something was fetched.
pub fn is_place(text: &str) -> bool {
    !text.trim().is_empty()
        && text.chars().count() <= MAX_FETCHED_FROM
        && !text.chars().any(char::is_control)
}

impl Acceptance {
    fn check_metadata(&self, plan: &Plan) -> Fits {
        let ServicePlan::Hgs { nodes, .. } = &plan.target else {
            let none = format!("none for the target {}", quote(plan.target.kind()));
            return ensure(self.metadata.is_empty(), "metadata of nodes", none);
        };
        // Each node at most once: what is listed is the plan's list with some left out.
        let mut planned = nodes.iter();
        for one in &self.metadata {
            let of = format!("metadata of {}", one.node);
            let expected = "nodes of the plan, each once, in the plan's order";
            ensure(planned.any(|node| *node == one.node), &of, expected)?;
            let found = format!("{} of {} bytes", one.file_name(), one.file.length);
            ensure(one.file.length <= MAX_METADATA, found, format!("at most {MAX_METADATA}"))?;
            let found = format!("{of} fetched by {}", one.fetched_by);
            ensure(plan.has_person(&one.fetched_by), found, "a person of the plan")?;
            let expected = format!("1 to {MAX_FETCHED_FROM} characters, no control characters");
            ensure(is_place(&one.fetched_from), format!("{of}: fetched_from"), expected)?;
        }
        Ok(())
    }
}

impl Body for Acceptance {
    const KIND: Kind = Kind::Acceptance;
    const BESIDE: Beside = &[(METADATA_END, MAX_METADATA)];

    /// Metadata, the one kind of file that is large and many, only of the plan's own nodes.
    fn belongs(name: &str, plan: &Plan) -> bool {
        let of = |node: &Id| name.strip_suffix(METADATA_END) == Some(node.as_str());
        plan.target.nodes().iter().any(of)
    }

    fn files(&self) -> Vec<(String, Listed)> {
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|one| (one.file_name(), one.file.clone()));
        std::iter::once((LOG_FILE.to_owned(), self.log.clone())).chain(metadata).collect()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Fits {
        check_kek(self.kek_fingerprint, plan)?;
        self.check_metadata(plan)
    }
}
