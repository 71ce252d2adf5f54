//! What a service demands of a plan (`PLAN-TARGET`).

use crate::{
    escape::{escape, quote},
    plan::{KeyPlan, ServicePlan},
    terms::{CloudFormat, Id, KeyType, OaepHash, Role},
};

/// Where in a plan a requirement is missed; keys are counted from 0, in the plan's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Among the keys, at none of them.
    Keys,
    /// A key's role.
    Role(usize),
    /// A key's type.
    Type(usize),
    /// A key's size.
    Bits(usize),
    /// `nodes`.
    Nodes,
    /// `ksp`.
    Ksp,
    /// `soak_hours`.
    SoakHours,
}

/// A requirement that a plan misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Miss {
    /// Where.
    pub at: At,
    /// What stands there.
    pub found: String,
    /// What the service needs.
    pub expected: String,
}

/// Everything in a plan that its service cannot use. Keys that are faulty by themselves are `None`
/// and not looked at.
pub(super) fn requirements(keys: Option<&[KeyPlan]>, target: &ServicePlan) -> Vec<Miss> {
    match target {
        ServicePlan::Hgs { nodes, ksp, soak_hours, .. } => hgs(keys, nodes, ksp, *soak_hours),
        ServicePlan::Local { .. } | ServicePlan::Cloud(_) => Vec::new(),
    }
}

/// What the service wants instead, where it can't take this hash. Azure Key Vault takes RSA-OAEP
/// with SHA-1 alone.
pub(super) fn oaep_miss(format: CloudFormat, oaep: OaepHash) -> Option<&'static str> {
    match (format, oaep) {
        (CloudFormat::AzureByok, OaepHash::Sha256) => {
            Some("sha1, with the waiver WRAP-OAEP-SHA1: Azure Key Vault takes no other")
        }
        _ => None,
    }
}

/// The least modulus that HGS takes, in bits.
const LEAST_BITS: u32 = 2048;

/// The longest name of a key storage provider, in characters.
const MAX_KSP: usize = 100;

/// The longest soak: a year.
const MAX_SOAK_HOURS: u32 = 8760;

/// The most nodes.
const MAX_NODES: usize = 64;

/// HGS has one primary certificate for signing and one for encryption, both RSA of at least 2048
/// bits (Microsoft, "Obtain certificates for HGS").
fn hgs(keys: Option<&[KeyPlan]>, nodes: &[Id], ksp: &str, soak_hours: u32) -> Vec<Miss> {
    let mut missed = Vec::new();
    let mut miss = |at, found: String, expected: String| {
        missed.push(Miss { at, found, expected });
    };
    for role in [Role::Signing, Role::Encryption] {
        let Some(keys) = keys else { break };
        let name = match role {
            Role::Signing => "signing",
            Role::Encryption => "encryption",
        };
        let of_role = (0..).zip(keys).filter(|(_, key)| key.role == role);
        let expected = format!("exactly one {name} key for hgs");
        match of_role.clone().count() {
            0 => miss(At::Keys, format!("no {name} key"), expected),
            _ => of_role.skip(1).for_each(|(n, key)| {
                let found = format!("another {name} key, {}", key.label);
                miss(At::Role(n), found, expected.clone());
            }),
        }
    }
    for (n, key) in keys.into_iter().flatten().enumerate() {
        let expected = format!("rsa with at least {LEAST_BITS} bits for hgs");
        match key.key_type {
            KeyType::Rsa(bits) if bits >= LEAST_BITS => {}
            KeyType::Rsa(bits) => {
                miss(At::Bits(n), format!("{} is RSA-{bits}", key.label), expected)
            }
            KeyType::Ec(_) => miss(At::Type(n), format!("{} is an EC key", key.label), expected),
        }
    }
    if nodes.len() > MAX_NODES {
        let found = format!("{} nodes", nodes.len());
        miss(At::Nodes, found, format!("at most {MAX_NODES} for hgs"));
    }
    let printable = escape(ksp) == ksp && ksp.trim() == ksp;
    if !printable || !(1..=MAX_KSP).contains(&ksp.chars().count()) {
        let expected = format!(
            "1 to {MAX_KSP} printable characters: the provider's name as `certutil -csplist` has it"
        );
        miss(At::Ksp, format!("ksp {}", quote(ksp)), expected);
    }
    if soak_hours > MAX_SOAK_HOURS {
        let found = format!("soak_hours = {soak_hours}");
        miss(At::SoakHours, found, format!("at most {MAX_SOAK_HOURS}, a year"));
    }
    missed
}
