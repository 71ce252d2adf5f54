//! What a log says of the nodes of the service: which have proven what, which orders stand, what
//! was primary before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::flow::check::{Allowed, allow};
use crate::service::{NodeEvidence, Order, OrderKind, own_machines, same_former};
use crate::{Entry, Event, Hash, Id, PrimaryKey, Result, Stage};

/// The nodes, as a log has them.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    /// SHA-256 of the brief; absent before `register`.
    pub brief: Option<Hash>,
    /// The kind of target.
    pub target: String,
    /// The nodes of the plan, in its order.
    pub planned: Vec<Id>,
    /// Those that were taken out.
    pub removed: BTreeSet<Id>,
    /// Every order given, in its order.
    pub orders: Vec<Order>,
    /// Who has proven itself since the primaries last changed, before or without activation, with
    /// SHA-256 of the newest evidence.
    pub ready: BTreeMap<Id, Hash>,
    /// Who has proven itself since activation, the same.
    pub active: BTreeMap<Id, Hash>,
    /// Every piece of evidence that was ever added: node, stage, SHA-256.
    pub all: Vec<(Id, Stage, Hash)>,
    /// When the keys last became primary, by this machine's clock.
    pub activated: Option<Timestamp>,
}

impl Nodes {
    /// The nodes that count.
    pub fn current(&self) -> impl Iterator<Item = &Id> {
        self.planned.iter().filter(|node| !self.removed.contains(node))
    }

    /// The newest order that changes what is primary.
    pub fn standing(&self) -> Option<&Order> {
        let mut newest = self.orders.iter().rev();
        newest.find(|order| order.order != OrderKind::Install)
    }

    /// The stage that nodes are at.
    pub fn stage(&self) -> Stage {
        match self.standing().map(|order| order.order) {
            Some(OrderKind::Activate) => Stage::Active,
            _ => Stage::Ready,
        }
    }

    /// What was proven at a stage.
    pub fn proved(&self, stage: Stage) -> &BTreeMap<Id, Hash> {
        match stage {
            Stage::Ready => &self.ready,
            Stage::Active => &self.active,
        }
    }

    /// The nodes that have yet to prove themselves at a stage.
    pub fn missing(&self, stage: Stage) -> Vec<&Id> {
        let proved = self.proved(stage);
        self.current().filter(|node| !proved.contains_key(*node)).collect()
    }

    /// Whether a node may begin: it is the first, or the one before it was green.
    pub fn may_begin(&self, node: &Id) -> bool {
        let ordered = |order: &Order| order.node.as_ref() == Some(node);
        self.planned.first() == Some(node) || self.orders.iter().any(ordered)
    }

    /// The order by which the keys become primary, once officers have signed this subject.
    pub fn activation(&self, former: &[PrimaryKey], subject: Hash) -> Option<Order> {
        let order = self.order(OrderKind::Activate, subject)?;
        let former = former.to_vec();
        Some(Order { former, ..order })
    }

    /// The order by which the primaries before the last activation come back.
    pub fn rollback(&self, subject: Hash) -> Option<Order> {
        let standing = self.standing().filter(|order| order.order == OrderKind::Activate)?;
        let order = self.order(OrderKind::Rollback, subject)?;
        let former = standing.former.clone();
        Some(Order { former, ..order })
    }

    fn order(&self, kind: OrderKind, because: Hash) -> Option<Order> {
        let number = u32::try_from(self.orders.len() + 1).ok()?;
        Some(Order::new(kind, number, self.brief?, because))
    }

    /// The next node may begin, where it may not yet.
    fn install_next(&mut self, because: Hash) {
        let next = self.missing(Stage::Ready).first().map(|node| (*node).clone());
        let next = next.filter(|node| !self.may_begin(node));
        if let Some((node, order)) = next.zip(self.order(OrderKind::Install, because)) {
            let node = Some(node);
            self.orders.push(Order { node, ..order });
        }
    }

    /// Whether evidence fits beside that of the other nodes at its stage: they are machines of their
    /// own, and where orders were taken back each must see what became primary again. Else they are
    /// compared when all are there: `primary`.
    ///
    /// # Errors
    /// `EVIDENCE-NODE`, `EVIDENCE-PRIMARY`.
    pub fn beside(&self, evidence: &NodeEvidence, others: &[NodeEvidence]) -> Result<()> {
        let said = &evidence.statement;
        let others = others.iter().filter(|other| other.statement.node != said.node);
        own_machines(&others.chain([evidence]).cloned().collect::<Vec<_>>())?;
        match (said.stage, self.standing()) {
            (Stage::Ready, Some(order)) => same_former(evidence, &order.former),
            _ => Ok(()),
        }
    }

    /// What is primary, as far as orders and evidence tell: `ours` once the keys are; absent where
    /// nobody has shown it yet.
    pub fn primaries<'a>(
        &self,
        ours: Vec<PrimaryKey>,
        ready: impl Iterator<Item = &'a NodeEvidence>,
    ) -> Option<Vec<PrimaryKey>> {
        match (self.stage(), self.standing()) {
            (Stage::Active, _) => Some(ours),
            (Stage::Ready, Some(order)) => Some(order.former.clone()),
            (Stage::Ready, None) if self.ready.is_empty() => None,
            (Stage::Ready, None) => {
                Some(ready.flat_map(|one| one.statement.primaries.clone()).collect())
            }
        }
    }

    /// Whether a node's evidence of a stage may be added.
    pub(super) fn may_prove(&self, node: &Id, stage: Stage) -> Allowed {
        let there = self.current().any(|one| one == node);
        let found = format!("evidence of {node} at the stage {stage}, out of its turn");
        allow(there && stage == self.stage() && self.may_begin(node), found)
    }

    /// Whether these nodes may leave and be replaced.
    pub(super) fn may_change(&self, removed: &[Id], replaced: &[Id]) -> Allowed {
        let named: BTreeSet<&Id> = removed.iter().chain(replaced).collect();
        let there = named.iter().all(|node| self.current().any(|one| one == *node));
        let once = named.len() == removed.len() + replaced.len();
        let rest = !named.is_empty() && removed.len() < self.current().count();
        allow(there && once && rest, "nodes that are not there, or the last one, leave")
    }

    /// Takes an entry. `approved` is the subject that officers have signed for the step.
    pub(super) fn take(&mut self, entry: &Entry, approved: Option<Hash>) {
        match &entry.event {
            Event::Register { brief, target, nodes } => {
                self.target = target.clone();
                self.brief = Some(*brief);
                self.planned = nodes.clone();
            }
            Event::Evidence { node, stage, evidence, .. } => {
                self.all.push((node.clone(), *stage, *evidence));
                match stage {
                    Stage::Ready => self.ready.insert(node.clone(), *evidence),
                    Stage::Active => self.active.insert(node.clone(), *evidence),
                };
                if self.stage() == Stage::Ready {
                    self.install_next(*evidence);
                }
            }
            Event::Primary { former, .. } => {
                let order = approved.and_then(|subject| self.activation(former, subject));
                self.orders.extend(order);
                self.active = BTreeMap::new();
                self.activated = Some(entry.time);
            }
            Event::Rollback { .. } => {
                let order = approved.and_then(|subject| self.rollback(subject));
                self.orders.extend(order);
                (self.ready, self.active) = Default::default();
            }
            Event::Nodes { removed, replaced } => {
                self.removed.extend(removed.iter().cloned());
                for node in removed.iter().chain(replaced) {
                    self.active.remove(node);
                    // Once the keys are primary nobody can show `ready` any more: what was shown
                    // before stays.
                    if self.stage() == Stage::Ready {
                        self.ready.remove(node);
                    }
                }
                if let Some(subject) = approved.filter(|_| self.stage() == Stage::Ready) {
                    self.install_next(subject);
                }
            }
            _ => {}
        }
    }
}
