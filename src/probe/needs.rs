//! Which mechanisms each side of a ceremony uses, by PKCS#11's numbers (PKCS#11 v3.1, 6). AES key
//! wrap with padding is not among them: which mechanism is RFC 5649 is found out by trying
//! (`WRAP-KWP`).

use crate::MechanismId;
use record::{KeyType, Mechanism, Plan, Role, Side, TransferRoute};

/// A mechanism that a side cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its number.
    pub id: MechanismId,
    /// Its name.
    pub name: &'static str,
    /// What for.
    pub purpose: &'static str,
}

const fn need(id: u64, name: &'static str, purpose: &'static str) -> Need {
    Need { id: MechanismId(id), name, purpose }
}

const MAKE_RSA: Need = need(0x0000, "CKM_RSA_PKCS_KEY_PAIR_GEN", "makes RSA keys");
const OAEP: Need = need(0x0009, "CKM_RSA_PKCS_OAEP", "carries the AES key under the KEK");
const ANSWER: Need = need(0x0009, "CKM_RSA_PKCS_OAEP", "answers the challenges of encryption keys");
const SIGN: Need = need(0x0040, "CKM_SHA256_RSA_PKCS", "signs as the target keys");
const MAKE_EC: Need = need(0x1040, "CKM_EC_KEY_PAIR_GEN", "makes EC keys");
const SIGN_EC: Need = need(0x1041, "CKM_ECDSA", "signs as the EC target keys");
const MAKE_AES: Need =
    need(0x1080, "CKM_AES_KEY_GEN", "makes the AES key between KEK and target key");

/// What this side's token must list for this plan.
pub fn needs(side: Side, plan: &Plan) -> Vec<Need> {
    let rsa = plan.keys.iter().any(|key| matches!(key.key_type, KeyType::Rsa(_)));
    let ec = plan.keys.iter().any(|key| matches!(key.key_type, KeyType::Ec(_)));
    let encrypts = plan.keys.iter().any(|key| key.role == Role::Encryption);
    let born = plan.way == TransferRoute::Born;
    if plan.way.is_challenged() && side == Side::Tenant {
        return Vec::new();
    }
    let mut needs = Vec::new();
    // The hoster's KEK is RSA whatever travels under it.
    needs.extend((rsa || (side == Side::Hoster && !born)).then_some(MAKE_RSA));
    needs.extend(rsa.then_some(SIGN));
    if ec {
        needs.extend([MAKE_EC, SIGN_EC]);
    }
    if !born && plan.transfer.mechanism == Mechanism::Composite {
        needs.extend([OAEP, MAKE_AES]);
    } else if side == Side::Hoster && encrypts {
        needs.push(ANSWER);
    }
    needs
}
