//! `registration`: the tenant's keys are the primary keys of the hoster's service, proven by every
//! node.

use jiff::Timestamp;

use crate::document::{Beside, Body, Header};
use crate::service::{
    Brief, ClaimedState, EvidenceContext, MAX_EVIDENCE, NodeEvidence, check_registered,
    evidence_file,
};
use crate::{
    Error, Fits, Hash, Id, KeySet, Kind, Listed, PackageId, Plan, PrimaryKey, Received, Result,
    Stage, ensure, quote, strict_json,
};

/// What is primary now, what was before, and the evidence of every node and stage.
#[strict_json]
pub struct Registration {
    /// The export that was imported, or the challenge that was answered.
    pub package_id: PackageId,
    /// The kind of target.
    pub target: String,
    /// SHA-256 of the order by which the keys became primary.
    pub activation: Hash,
    /// When, by the hoster's clock: UTC, RFC 3339.
    pub activated: String,
    /// What was primary before, signing first.
    pub former: Vec<PrimaryKey>,
    /// Nodes of the plan that have left the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Id>,
    /// The evidence: of every node `ready`, then of every node `active`, in the plan's order.
    pub evidence: Vec<ListedEvidence>,
}

/// A node's evidence, as a file beside the registration: `<node>-<stage>.json`.
#[strict_json]
pub struct ListedEvidence {
    /// The node.
    pub node: Id,
    /// Before or after activation.
    pub stage: Stage,
    /// The file.
    pub file: Listed,
}

impl Registration {
    /// The nodes of the plan that have not left.
    pub fn nodes<'a>(&self, plan: &'a Plan) -> Vec<&'a Id> {
        let all = plan.target.nodes().iter();
        all.filter(|node| !self.removed.contains(node)).collect()
    }
}

impl Body for Registration {
    const KIND: Kind = Kind::Registration;
    const BESIDE: Beside = &[("-ready.json", MAX_EVIDENCE), ("-active.json", MAX_EVIDENCE)];

    fn files(&self) -> Vec<(String, Listed)> {
        let file = |one: &ListedEvidence| (evidence_file(&one.node, one.stage), one.file.clone());
        self.evidence.iter().map(file).collect()
    }

    fn check(&self, _: &Header, plan: &Plan) -> Fits {
        let planned = plan.target.kind();
        let (found, expected) = (quote(&self.target), quote(planned));
        ensure(self.target == planned, format!("target {found}"), format!("target {expected}"))?;
        let time = self.activated.parse::<Timestamp>();
        ensure(time.is_ok(), format!("activated {}", quote(&self.activated)), "a time")?;
        let nodes = self.nodes(plan);
        let left = plan.target.nodes().iter().filter(|node| !nodes.contains(node));
        let fits = !nodes.is_empty() && self.removed.iter().eq(left);
        let expected = "nodes of the plan, in its order, and not all of them";
        ensure(fits, format!("{} nodes left", self.removed.len()), expected)?;
        let of_stage = |stage| nodes.iter().map(move |node| (*node, stage));
        let listed = self.evidence.iter().map(|one| (&one.node, one.stage));
        let found = format!("{} pieces of evidence, of other nodes or stages", self.evidence.len());
        let expected =
            "one of every node that has not left, ready and then active, in the plan's order";
        ensure(listed.eq(Stage::ALL.into_iter().flat_map(of_stage)), found, expected)
    }
}

impl Received<Registration> {
    /// The evidence of the nodes.
    ///
    /// # Errors
    /// `EVIDENCE-FORMAT`.
    pub fn evidence(&self) -> Result<Vec<NodeEvidence>> {
        let parse = |one: &ListedEvidence| {
            let name = evidence_file(&one.node, one.stage);
            NodeEvidence::parse(self.file(&name), &name)
        };
        self.body().evidence.iter().map(parse).collect()
    }

    /// Whether every node has proven the tenant's keys, as this registration says.
    ///
    /// # Errors
    /// `EVIDENCE-…`, `PROOF-…`, `TARGET-CERTIFICATE`.
    pub fn verify(&self, plan: &Plan, keys: &KeySet) -> Result<Vec<NodeEvidence>> {
        let body = self.body();
        let brief = Brief::of(plan, keys, self.document.header.attempt)?;
        let told = EvidenceContext { plan, keys, brief: &brief };
        let proven = ClaimedState {
            activated: body.activated.parse().map_err(Error::defect)?,
            activation: body.activation,
            former: &body.former,
            nodes: body.nodes(plan),
        };
        let evidence = self.evidence()?;
        let half = proven.nodes.len();
        let (ready, active) = evidence.split_at(half.min(evidence.len()));
        check_registered(&told, &proven, ready, active)?;
        Ok(evidence)
    }
}
