//! What officers sign for at the gates of the service: which keys serve, and on which nodes.

use crate::gate::Subject;
use crate::{Gate, Hash, Id, PrimaryKey, Stage, escape, list, shown, strict_json};

/// `primary`: which keys serve from now on, on what evidence, and which served before.
#[strict_json]
pub struct Primary {
    /// The kind of target.
    pub target: String,
    /// The hash of every node's id and evidence, in the plan's order, as of a subject.
    pub evidence: Hash,
    /// The nodes.
    pub nodes: Vec<Id>,
    /// The keys, by label, and SHA-256 of each SubjectPublicKeyInfo.
    pub keys: Vec<(Id, Hash)>,
    /// What is primary now, as every node has seen it.
    pub former: Vec<PrimaryKey>,
}

impl Subject for Primary {
    const GATE: Gate = Gate::Primary;

    fn summary(&self) -> String {
        let labels = list(self.keys.iter().map(|(label, _)| label));
        let service = match self.target.as_str() {
            "hgs" => "every tenant of this HGS",
            _ => "everyone who uses this service",
        };
        format!(
            "The keys {labels} become primary: they will serve {service}, not this tenant alone. {} are ready: {}. Replaced primaries: {}.",
            self.nodes.len(),
            list(&self.nodes),
            shown(&self.former)
        )
    }
}

/// `rollback`: what was primary before becomes so again.
#[strict_json]
pub struct Rollback {
    /// The kind of target.
    pub target: String,
    /// SHA-256 of the order by which the keys became primary.
    pub activation: Hash,
    /// What becomes primary again.
    pub to: Vec<PrimaryKey>,
}

impl Subject for Rollback {
    const GATE: Gate = Gate::Rollback;

    fn summary(&self) -> String {
        format!(
            "The keys of this ceremony are primary no more. Primary again: {}. Nothing is removed; what was protected under the keys of this ceremony still needs them.",
            shown(&self.to)
        )
    }
}

/// `deviation`: a node's evidence is taken although its service's own diagnostics do not pass.
#[strict_json]
pub struct Unpassed {
    /// The node.
    pub node: Id,
    /// Before or after activation.
    pub stage: Stage,
    /// What does not pass, by the names that the service has for it.
    pub diagnostics: Vec<String>,
}

impl Subject for Unpassed {
    const GATE: Gate = Gate::Deviation;

    fn summary(&self) -> String {
        format!(
            "The evidence {} of {} is taken although the service's own diagnostics there do not pass: {}. Sign only if you know what each of these is, and why it may be so.",
            self.stage,
            self.node,
            list(self.diagnostics.iter().map(|one| escape(one)))
        )
    }
}

/// `nodes`: which nodes leave, and which are other machines from now on.
#[strict_json]
pub struct Nodes {
    /// Those that leave for good.
    pub removed: Vec<Id>,
    /// Those that another machine takes the place of.
    pub replaced: Vec<Id>,
    /// Those that the service has afterwards.
    pub stay: Vec<Id>,
}

impl Subject for Nodes {
    const GATE: Gate = Gate::Nodes;

    fn summary(&self) -> String {
        let what = match (self.removed.is_empty(), self.replaced.is_empty()) {
            (false, true) => format!("{} leave the service", list(&self.removed)),
            (true, _) => format!("{} are replaced by other machines", list(&self.replaced)),
            (false, false) => format!(
                "{} leave the service, and {} are replaced by other machines",
                list(&self.removed),
                list(&self.replaced)
            ),
        };
        format!("{what}. The nodes are then: {}. Who is new must prove itself.", list(&self.stay))
    }
}
