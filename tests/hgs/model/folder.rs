//! The register folder as a node reads it: the real brief, the real orders.

use std::{collections::BTreeMap, fs, path::Path};

use super::cluster::former;
use record::{
    encoding::Hash,
    rule::Rule,
    service::{BRIEF_FILE, Brief, Order, OrderKind},
    terms::{Role, Stage},
};

/// A copy of the folder, as it is at one moment.
pub struct Folder {
    pub brief: Brief,
    pub hash: Hash,
    orders: Vec<Order>,
}

impl Folder {
    pub fn read(register: &Path) -> Self {
        let bytes = fs::read(register.join(BRIEF_FILE)).unwrap();
        let mut orders: Vec<Order> = Vec::new();
        for entry in fs::read_dir(register).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                let order: Order =
                    serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
                assert_eq!(order.file(), name);
                orders.push(order);
            }
        }
        orders.sort_by_key(|order| order.number);
        Folder { brief: serde_json::from_slice(&bytes).unwrap(), hash: Hash::of(&bytes), orders }
    }

    /// The newest order that changes what is primary.
    pub fn standing(&self) -> Option<&Order> {
        let mut newest = self.orders.iter().rev();
        newest.find(|order| order.order != OrderKind::Install)
    }

    pub fn stage(&self) -> Stage {
        match self.standing() {
            Some(order) if order.order == OrderKind::Activate => Stage::Active,
            _ => Stage::Ready,
        }
    }

    /// An order of this kind is the one that stands.
    pub fn stands(&self, kind: OrderKind) -> Result<(), Rule> {
        match self.standing() {
            Some(order) if order.order == kind => Ok(()),
            _ => Err(Rule::NodeOrder),
        }
    }

    /// The node's turn has come.
    pub fn turn(&self, name: &str) -> Result<(), Rule> {
        let first = self.brief.nodes[0].as_str() == name;
        let named = |order: &Order| order.node.as_ref().is_some_and(|node| node.as_str() == name);
        match first || self.orders.iter().any(named) {
            true => Ok(()),
            false => Err(Rule::NodeOrder),
        }
    }

    /// The thumbprints of the ceremony's keys.
    pub fn ours(&self) -> BTreeMap<Role, String> {
        let keys = self.brief.keys.iter();
        keys.map(|key| (key.role, key.thumbprint.clone())).collect()
    }

    /// What an order makes primary, and what it does so instead of.
    pub fn change(&self, order: &Order) -> (BTreeMap<Role, String>, BTreeMap<Role, String>) {
        match order.order {
            OrderKind::Rollback => (former(order), self.ours()),
            _ => (self.ours(), former(order)),
        }
    }
}
