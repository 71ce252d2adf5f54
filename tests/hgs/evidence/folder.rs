//! The register folder as a node reads it: the real brief, the real orders.

use std::{collections::BTreeSet, fs, path::Path};

use record::{
    encoding::Hash,
    service::{BRIEF_FILE, Brief, Order, OrderKind},
    terms::{PrimaryKey, Role, Stage},
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

    /// What is primary by the orders: the ceremony's keys, or those that a cluster had before.
    pub fn primaries(&self) -> Vec<PrimaryKey> {
        match self.stage() {
            Stage::Active => self.brief.primaries(),
            Stage::Ready => FORMER.map(|(role, thumbprint)| former(role, thumbprint)).to_vec(),
        }
    }

    /// What the service knows: both.
    pub fn registered(&self) -> Vec<String> {
        let ours = self.brief.keys.iter().map(|key| key.thumbprint.clone());
        let former = FORMER.map(|(_, thumbprint)| thumbprint.repeat(40));
        let all: BTreeSet<String> = ours.chain(former).collect();
        all.into_iter().collect()
    }
}

const FORMER: [(Role, &str); 2] = [(Role::Signing, "A"), (Role::Encryption, "B")];

fn former(role: Role, digit: &str) -> PrimaryKey {
    PrimaryKey { role, thumbprint: digit.repeat(40) }
}
