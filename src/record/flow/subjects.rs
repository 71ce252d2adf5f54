//! What officers sign for, as a side's state has it: the same when they are asked, when it is done,
//! and when it is audited.

use crate::{
    Result,
    encoding::Hash,
    flow::{Phase, State, nodes},
    gate::{Abort, Nodes, Primary, Rollback, Unconfirmed, subject_hash},
    log::KeyRecord,
    terms::{Id, PrimaryKey},
};

impl Abort {
    /// The end of a ceremony in this state.
    pub fn of(phase: Phase, attempt: u32, reason: &str) -> Self {
        Abort { phase: phase.name().to_owned(), attempt, reason: reason.to_owned() }
    }
}

impl Unconfirmed {
    /// The custodians of a tenant's state who have not confirmed.
    pub fn of(state: &State, package: Hash) -> Self {
        let dealt = state.shares.iter().map(|share| &share.custodian);
        let missing = dealt.filter(|id| !state.confirmed.contains(id));
        Unconfirmed { package, custodians: missing.cloned().collect() }
    }
}

impl Primary {
    /// What the log says that is about to become primary: the newest evidence of every node that
    /// counts.
    ///
    /// # Errors
    /// As [`subject_hash`].
    pub fn of(nodes: &nodes::Nodes, keys: &[KeyRecord], former: &[PrimaryKey]) -> Result<Self> {
        let ready: Vec<(&Id, Hash)> = (nodes.current())
            .filter_map(|node| Some((node, nodes.ready.get(node)?.evidence)))
            .collect();
        Ok(Primary {
            target: nodes.target.clone(),
            evidence: subject_hash(&ready)?,
            nodes: ready.into_iter().map(|(node, _)| node.clone()).collect(),
            keys: keys.iter().map(|key| (key.label.clone(), key.spki)).collect(),
            former: former.to_vec(),
        })
    }
}

impl Rollback {
    /// The way back from the order that stands.
    pub fn of(nodes: &nodes::Nodes) -> Option<Self> {
        let standing = nodes.standing()?;
        Some(Rollback {
            target: nodes.target.clone(),
            activation: standing.hash().ok()?,
            to: standing.former.clone(),
        })
    }
}

impl Nodes {
    /// The change of these nodes.
    pub fn of(nodes: &nodes::Nodes, removed: &[Id], replaced: &[Id]) -> Self {
        let stay = nodes.current().filter(|node| !removed.contains(node));
        Nodes {
            removed: removed.to_vec(),
            replaced: replaced.to_vec(),
            stay: stay.cloned().collect(),
        }
    }
}
