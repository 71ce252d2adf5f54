//! What is known of families of tokens beforehand: a vendor's own numbers for RFC 5649, and advice.
//! Behaviour is probed; a profile names and advises, and decides nothing. A token without one works
//! if it passes the probe.

use serde::{Deserialize, Serialize};

use crate::MechanismId;
use record::TokenIdentity;

/// Makes the families and the table of what is known of each, in one order.
macro_rules! families {
    ($(
        $family:ident $name:literal, begins [$($begin:literal)*], key wraps [$($id:literal)*],
        attestation $attestation:literal, settings [$($setting:literal)*], advice [$($advice:literal)*];
    )+) => {
        /// A family of tokens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Profile { $(#[doc = $name] $family,)+ }

        /// Every family.
        pub const TABLE: &[Known] = &[$(Known {
            profile: Profile::$family,
            name: $name,
            begins: &[$($begin),*],
            key_wraps: &[$(MechanismId($id)),*],
            attestation: $attestation,
            settings: &[$($setting),*],
            advice: &[$($advice),*],
        },)+];
    };
}

/// What is known of one family.
pub struct Known {
    /// The family.
    pub profile: Profile,
    /// As people call it.
    pub name: &'static str,
    /// What its manufacturer or model begins with, in lower case; none fits nothing.
    pub begins: &'static [&'static str],
    /// The vendor's own numbers of RFC 5649; tried like the standard ones, never believed.
    pub key_wraps: &'static [MechanismId],
    /// The form of attestation; Keyferry itself reads only the X.509 one.
    pub attestation: &'static str,
    /// What of its set-up may be behind a refusal.
    pub settings: &'static [&'static str],
    /// What an operator should know besides.
    pub advice: &'static [&'static str],
}

// What is said of the first two was measured, the rest is from their vendors' documents.
families! {
    Softhsm "SoftHSM", begins ["softhsm"], key wraps [], attestation "none: software", settings [], advice [
        "for rehearsals only: its keys are files of this machine"
        "2.6 knows OAEP with SHA-1 only; 2.7 has CKM_RSA_AES_KEY_WRAP but does SHA-1 whatever is asked, which the canary refuses"
        "it does not show CKF_USER_PIN_FINAL_TRY"
    ];
    Kryoptic "Kryoptic", begins ["kryoptic"], key wraps [], attestation "none: software", settings [], advice [
        "for rehearsals only: its keys are in a database of this machine"
    ];
    Nshield "Entrust nShield", begins ["ncipher" "entrust" "nshield"], key wraps [],
    attestation "nfkmattest bundle: origin and usage", settings [
        "its module refuses extractable keys, and disables imported ones after 48 hours, unless \
         CKNFAST_OVERRIDE_SECURITY_ASSURANCES says otherwise: agree on that with its security officer"
    ], advice [];
    Luna "Thales Luna", begins ["safenet" "thales" "luna"], key wraps [0x8000_0171],
    attestation "PKCS#7 \"PKC\": origin only", settings [
        "the tenant's partition must allow to wrap private keys (partition policy 1)"
    ], advice [
        "0x80000170 is key wrap without padding and is not used"
    ];
    Cloudhsm "AWS CloudHSM", begins ["cloudhsm" "cavium" "marvell" "aws"], key wraps [0x8000_216f],
    attestation "Marvell certificate chain", settings [], advice [
        "0x8000210a pads by PKCS#5 there and is not used"
    ];
    Yubihsm2 "YubiHSM 2", begins ["yubico" "yubihsm"], key wraps [],
    attestation "X.509 with the OIDs 1.3.6.1.4.1.41482.4; not of RSA wrap keys", settings [
        "firmware 2.4 or newer is needed for CKM_RSA_AES_KEY_WRAP"
    ], advice [
        "its key wrap with padding is out of reach of C_WrapKey: composite does not work"
    ];
    Utimaco "Utimaco", begins ["utimaco" "cryptoserver"], key wraps [],
    attestation "none that can be verified is known", settings [], advice [
        "ask the vendor for an attestation before a plan asks for evidence above \"witnessed\""
    ];
    Unknown "unknown", begins [], key wraps [], attestation "not known", settings [], advice [
        "nothing is known of this family: what counts is what the probe has seen"
    ];
}

impl Profile {
    /// The family of a token, by what it says of itself.
    pub fn of(token: &TokenIdentity) -> Self {
        let says = [token.manufacturer.to_lowercase(), token.model.to_lowercase()];
        let fits = |known: &&Known| {
            let begins = |begin: &&str| says.iter().any(|said| said.starts_with(*begin));
            known.begins.iter().any(begins)
        };
        TABLE.iter().find(fits).map_or(Profile::Unknown, |known| known.profile)
    }

    /// What is known of it.
    pub fn known(self) -> &'static Known {
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(manufacturer: &str, model: &str) -> TokenIdentity {
        TokenIdentity {
            manufacturer: manufacturer.into(),
            model: model.into(),
            serial: String::new(),
            firmware: String::new(),
            label: String::new(),
        }
    }

    #[test]
    fn a_family_is_found_by_manufacturer_or_model() {
        assert_eq!(Profile::of(&token("SoftHSM project", "SoftHSM v2")), Profile::Softhsm);
        assert_eq!(Profile::of(&token("SafeNet", "LunaSA 7.4.0")), Profile::Luna);
        assert_eq!(Profile::of(&token("", "YubiHSM")), Profile::Yubihsm2);
        assert_eq!(
            Profile::of(&token("Nobody", "SoftHSM-like: no, as it begins so: X")),
            Profile::Softhsm
        );
        assert_eq!(Profile::of(&token("Nobody", "a Luna")), Profile::Unknown);
        assert_eq!(Profile::of(&token("", "")), Profile::Unknown);
    }

    #[test]
    fn every_family_stands_in_the_table_once() {
        for known in TABLE {
            assert_eq!(known.profile.known().name, known.name);
            assert!(known.settings.len() + known.advice.len() > 0);
        }
    }
}
