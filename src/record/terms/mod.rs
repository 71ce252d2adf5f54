//! Small values that everyone names: who, which side, what crosses and how.

#[macro_use]
mod named;

mod act;
mod document;
mod key;
mod room;
mod route;
mod text;
mod token;

use crate::as_text;
pub use act::*;
pub use document::*;
pub use key::*;
pub use room::*;
pub use route::*;
pub use text::*;
pub use token::*;

/// The id of a ceremony, person, node or key: `[a-z0-9][a-z0-9-]{0,39}`, so that it can be a file
/// name and a signer's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

as_text!(Id, |id| id.0.clone(), |text| {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=40).contains(&text.len())
        && text.starts_with(legal)
        && text.chars().all(|c| legal(c) || c == '-');
    let expected = "expected 1 to 40 of a-z, 0-9 and -, not beginning with -";
    fits.then(|| Id(text.to_owned())).ok_or_else(|| expected.into())
});

named! {
    /// Whether keys that matter are carried. A document of one mode is refused by the other.
    pub enum Mode {
        /// Throwaway keys; PIN files and questions on stdin are allowed.
        Rehearsal = "rehearsal",
        /// Real keys; every rule holds.
        Production = "production",
    }
}

named! {
    /// One of the two sides of a ceremony.
    pub enum Side {
        /// Owns the keys.
        Tenant = "tenant",
        /// Runs the service that will use them.
        Hoster = "hoster",
    }
}

impl Side {
    /// The counterpart.
    pub fn other(self) -> Side {
        match self {
            Side::Tenant => Side::Hoster,
            Side::Hoster => Side::Tenant,
        }
    }
}
