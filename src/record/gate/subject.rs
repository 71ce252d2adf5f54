//! What officers sign for at each gate: exactly what is about to happen, and in plain words.

use serde::Serialize;

use crate::{
    Error, Gate, Hash, Id, Kind, Result, Side, TokenIdentity, TransferRoute, WrongBag, list, quote,
    strict_json,
};

/// What is about to happen at a gate. Its hash goes into the log, so it must say everything that
/// matters.
pub trait Subject: Serialize {
    /// The gate.
    const GATE: Gate;

    /// The same in plain words, for the officers who sign.
    fn summary(&self) -> String;
}

impl<S: Subject> Subject for &S {
    const GATE: Gate = S::GATE;

    fn summary(&self) -> String {
        (*self).summary()
    }
}

/// SHA-256 of a subject as compact JSON, fields in the order of its declaration: how the log names
/// it.
///
/// # Errors
/// [`Error::Failed`] where it can't be encoded: what has no bytes is no subject.
pub fn subject_hash(subject: &impl Serialize) -> Result<Hash> {
    serde_json::to_vec(subject).map(|bytes| Hash::of(&bytes)).map_err(Error::encoding)
}

/// `kek-destroy`: the KEK goes for good.
#[strict_json]
pub struct KekDestroy {
    /// SHA-256 of the acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Hash>,
    /// The log entry of the abort, where there is no acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Hash>,
    /// SHA-256 of the KEK's SubjectPublicKeyInfo.
    pub kek_fingerprint: Hash,
    /// Imported keys that stay, after an abort: they may be primary already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stay: Vec<Id>,
    /// Imported keys that go with it, after an abort.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Id>,
}

impl Subject for KekDestroy {
    const GATE: Gate = Gate::KekDestroy;

    fn summary(&self) -> String {
        let why = match self.acceptance {
            Some(_) => "The tenant has accepted.",
            None => "The ceremony was aborted.",
        };
        let with = match self.keys.is_empty() {
            true => String::new(),
            false => format!(", and with it the imported keys {}", list(&self.keys)),
        };
        let stay = match self.stay.is_empty() {
            true => String::new(),
            false => format!(
                " The imported keys {} stay in the HSM, because they may be primary already.",
                list(&self.stay)
            ),
        };
        format!(
            "{why} The KEK {} is destroyed{with}: nothing that was wrapped for it can be opened again.{stay}",
            self.kek_fingerprint
        )
    }
}

/// `keys-destroy`: after an abort, keys that were born at the hoster go for good.
#[strict_json]
pub struct KeysDestroy {
    /// The log entry of the abort.
    pub abort: Hash,
    /// The keys.
    pub keys: Vec<Id>,
}

impl Subject for KeysDestroy {
    const GATE: Gate = Gate::KeysDestroy;

    fn summary(&self) -> String {
        format!(
            "The ceremony was aborted. The keys {}, which were born in the hoster's HSM for it, are destroyed.",
            list(&self.keys)
        )
    }
}

/// `source-destroy`: the tenant's originals go for good.
#[strict_json]
pub struct SourceDestroy {
    /// SHA-256 of the acceptance.
    pub acceptance: Hash,
    /// SHA-256 of the closing.
    pub closing: Hash,
    /// How the hoster has backed the keys up, in its own words.
    pub backup: String,
    /// The keys, in the plan's order.
    pub keys: Vec<SourceKey>,
}

/// An original that goes.
#[strict_json]
pub struct SourceKey {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Hash,
}

impl Subject for SourceDestroy {
    const GATE: Gate = Gate::SourceDestroy;

    fn summary(&self) -> String {
        format!(
            "The tenant's originals of {} are destroyed in its HSM. From then on only the hoster has these keys. Of its backups it says: {}",
            list(self.keys.iter().map(|key| &key.label)),
            self.backup
        )
    }
}

/// `restart`: everything of this side's attempt is given up.
#[strict_json]
pub struct Restart {
    /// How far this side has come.
    pub phase: String,
    /// The attempt that ends.
    pub attempt: u32,
    /// Why.
    pub reason: String,
    /// Who makes the next attempt's key or secret.
    pub side: Side,
    /// How keys come to where they are used; carried where nothing is said.
    #[serde(default, skip_serializing_if = "TransferRoute::is_usual")]
    pub way: TransferRoute,
}

impl Subject for Restart {
    const GATE: Gate = Gate::Restart;

    fn summary(&self) -> String {
        let next = match (self.side, self.way) {
            (Side::Hoster, TransferRoute::Born) => {
                "The keys that were born here are destroyed; the next attempt has new ones"
            }
            (Side::Tenant, TransferRoute::Born | TransferRoute::Brought) => {
                "The challenge of this attempt serves for nothing more; the next takes other keys of the hoster"
            }
            (
                Side::Hoster,
                TransferRoute::Carried | TransferRoute::Brought | TransferRoute::Cloud,
            ) => {
                "The KEK and what was imported under it are destroyed; the next attempt has a new KEK and a new offer"
            }
            (Side::Tenant, TransferRoute::Carried | TransferRoute::Cloud) => {
                "The package and the shares of this attempt serve for nothing more; the next has a new secret and new shares"
            }
        };
        format!(
            "Attempt {} is given up in the phase {}: {}. {next}.",
            self.attempt, self.phase, self.reason
        )
    }
}

/// `abort`: the ceremony ends without its aim.
#[strict_json]
pub struct Abort {
    /// How far this side has come.
    pub phase: String,
    /// The attempt that ends.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

impl Subject for Abort {
    const GATE: Gate = Gate::Abort;

    fn summary(&self) -> String {
        format!(
            "The ceremony ends here for good, in the phase {}, attempt {}: {}. Nothing of it can be resumed; a new plan may supersede it.",
            self.phase, self.attempt, self.reason
        )
    }
}

/// `deviation`: the package leaves although not every custodian has shown that they hold their
/// share.
#[strict_json]
pub struct Unconfirmed {
    /// SHA-256 of the package.
    pub package: Hash,
    /// Who has not confirmed.
    pub custodians: Vec<Id>,
}

impl Subject for Unconfirmed {
    const GATE: Gate = Gate::Deviation;

    fn summary(&self) -> String {
        format!(
            "The {} {} is released although {} have not confirmed their shares. If those shares are lost or wrong, fewer are left to open the seal.",
            Kind::Package,
            self.package,
            list(&self.custodians)
        )
    }
}

/// `deviation`: the ceremony goes on although a bag did not come back as it left.
#[strict_json]
pub struct WrongBags {
    /// The bags.
    pub bags: Vec<WrongBag>,
}

impl Subject for WrongBags {
    const GATE: Gate = Gate::Deviation;

    fn summary(&self) -> String {
        let one = |bag: &WrongBag| {
            let left_as = bag.left_as.as_deref().unwrap_or("nothing known here");
            let condition = bag.condition.name();
            format!(
                "the bag with {} left as {left_as} and came in as {}, {condition}",
                bag.item, bag.came_as
            )
        };
        let bags: Vec<String> = self.bags.iter().map(one).collect();
        format!(
            "The ceremony goes on although {}. Sign only if you have looked at it and know why.",
            bags.join("; ")
        )
    }
}

/// `pin-try`: one more try of a PIN.
#[strict_json]
pub struct PinTry {
    /// The token.
    pub token: TokenIdentity,
    /// How often officers have signed for one before.
    pub earlier_tries: u64,
}

impl Subject for PinTry {
    const GATE: Gate = Gate::PinTry;

    fn summary(&self) -> String {
        format!(
            "The token {} says that few tries of its PIN are left after a wrong one. Another wrong try may lock it. \
             Sign only if you are sure that the PIN about to be typed is right. This allows one try.",
            quote(&self.token.label)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_cannot_be_encoded_is_no_subject() {
        // JSON has no object whose names are lists.
        for count in [1, 2] {
            let error = subject_hash(&BTreeMap::from([([0; 2], count)])).unwrap_err().to_string();
            assert!(error.contains("report this as a defect"), "{error}");
        }
        assert_ne!(subject_hash(&1).unwrap(), subject_hash(&2).unwrap());
    }
}
