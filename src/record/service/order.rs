//! An order, `register/<nn>-<order>.json`: what nodes may do next. Orders follow from the log
//! alone, so one that is lost is written again, and one that nobody gave is known by its hash.

use crate::named;
use crate::{FORMAT, Hash, Id, PrimaryKey, Result, json_file, strict_json};

/// The greatest size of an order, in bytes.
pub const MAX_ORDER: u64 = 1 << 20;

named! {
    /// What is ordered.
    pub enum OrderKind {
        /// A node may begin: the one before it is green.
        Install = "install",
        /// The keys become primary.
        Activate = "activate",
        /// The former keys become primary again.
        Rollback = "rollback",
    }
}

/// What nodes may do next.
#[strict_json]
pub struct Order {
    /// [`FORMAT`].
    pub format: String,
    /// What.
    pub order: OrderKind,
    /// Its place among the orders of this ceremony, from 1.
    pub number: u32,
    /// SHA-256 of the brief.
    pub brief: Hash,
    /// The node that may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Id>,
    /// To activate: what is primary now and will be no more. To roll back: what becomes primary
    /// again.
    pub former: Vec<PrimaryKey>,
    /// To install: SHA-256 of the evidence of the node before. Else: SHA-256 of the request that
    /// officers signed.
    pub because: Hash,
}

impl Order {
    /// An order of this ceremony, at its place among them.
    pub fn new(order: OrderKind, number: u32, brief: Hash, because: Hash) -> Self {
        Order {
            format: FORMAT.to_owned(),
            order,
            number,
            brief,
            node: None,
            former: Vec::new(),
            because,
        }
    }

    /// SHA-256 of its file.
    ///
    /// # Errors
    /// As [`json_file`].
    pub fn hash(&self) -> Result<Hash> {
        json_file(self).map(|bytes| Hash::of(&bytes))
    }

    /// The name of its file, such as `01-install-node2.json`.
    pub fn file(&self) -> String {
        match &self.node {
            Some(node) => format!("{:02}-{}-{node}.json", self.number, self.order),
            None => format!("{:02}-{}.json", self.number, self.order),
        }
    }
}
