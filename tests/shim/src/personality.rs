//! Tokens that nobody here has, as their vendors' documents describe them, or as they were seen:
//! data. What each refuses or demands is done in front of the real token.

use std::ffi::OsStr;

use cryptoki_sys::*;

/// Which keys and objects a vendor refuses.
pub enum Refusal {
    /// Every one of the class that would stay on the token.
    Stored,
    /// The same, but halves of a pair that it makes.
    Created,
    /// Whatever names this attribute.
    Named(CK_ATTRIBUTE_TYPE),
    /// This value of it.
    Value(CK_ATTRIBUTE_TYPE, bool),
    /// Two attributes with two values.
    Differ(CK_ATTRIBUTE_TYPE, CK_ATTRIBUTE_TYPE),
}

/// What a token does otherwise than others.
pub struct Personality {
    pub name: &'static str,
    /// CK_TOKEN_INFO.manufacturerID, by which its family is known.
    pub manufacturer: Option<&'static str>,
    /// CK_TOKEN_INFO.serialNumber.
    pub serial: Option<&'static str>,
    /// CK_TOKEN_INFO.utcTime.
    pub clock: Option<&'static str>,
    /// CK_TOKEN_INFO.flags that it raises.
    pub flags: CK_FLAGS,
    /// Texts are padded with NUL.
    pub nul_padded: bool,
    /// Sessions at once.
    pub sessions: usize,
    /// Objects of somebody else's.
    pub objects: usize,
    /// Mechanisms that it lacks.
    pub lacks: &'static [CK_MECHANISM_TYPE],
    /// Its own number of RFC 5649.
    pub key_wrap: Option<CK_MECHANISM_TYPE>,
    /// Whether private keys can be wrapped at all.
    pub wraps_private: bool,
    /// Whether CKM_RSA_AES_KEY_WRAP opens its own AES key as any caller would: by the KEK's
    /// CKA_ALLOWED_MECHANISMS and CKA_UNWRAP_TEMPLATE, which refuses what contradicts it and fills
    /// nothing in.
    pub opens_as_callers: bool,
    /// What it refuses of objects of these classes, and by which code.
    pub refuses: &'static [(&'static [CK_OBJECT_CLASS], Refusal, CK_RV)],
    /// Attributes that it does not know, so that they cannot be read.
    pub hides: &'static [CK_ATTRIBUTE_TYPE],
}

const KEYS: &[CK_OBJECT_CLASS] = &[CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY];
const PRIVATE: &[CK_OBJECT_CLASS] = &[CKO_PRIVATE_KEY];
const NO_RFC_5649: &[CK_MECHANISM_TYPE] = &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD];

/// As every other token.
const PLAIN: Personality = Personality {
    name: "",
    manufacturer: None,
    serial: None,
    clock: None,
    flags: 0,
    nul_padded: false,
    sessions: usize::MAX,
    objects: 0,
    lacks: &[],
    key_wrap: None,
    wraps_private: true,
    opens_as_callers: false,
    refuses: &[],
    hides: &[],
};

const LUNA: Personality = Personality {
    name: "luna",
    manufacturer: Some("SafeNet"),
    lacks: &[CKM_RSA_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD],
    key_wrap: Some(0x8000_0171),
    ..PLAIN
};

/// Every personality.
pub const ALL: &[Personality] = &[
    // Thales Luna, "Supported mechanisms" (CKM_AES_KWP) and partition policy 1, "Allow private key
    // wrapping": on, and off.
    LUNA,
    Personality { name: "luna-policy-1-off", wraps_private: false, ..LUNA },
    // AWS CloudHSM, "Supported attributes for PKCS#11 library" and "Supported mechanisms".
    Personality {
        name: "cloudhsm",
        manufacturer: Some("Marvell Semiconductors, Inc."),
        lacks: NO_RFC_5649,
        key_wrap: Some(0x8000_216f),
        refuses: &[
            (KEYS, Refusal::Value(CKA_MODIFIABLE, false), CKR_ATTRIBUTE_VALUE_INVALID),
            (
                &[CKO_CERTIFICATE],
                Refusal::Value(CKA_MODIFIABLE, false),
                CKR_ATTRIBUTE_VALUE_INVALID,
            ),
            (PRIVATE, Refusal::Differ(CKA_SIGN, CKA_SIGN_RECOVER), CKR_ATTRIBUTE_VALUE_INVALID),
            (
                &[CKO_PUBLIC_KEY],
                Refusal::Differ(CKA_VERIFY, CKA_VERIFY_RECOVER),
                CKR_ATTRIBUTE_VALUE_INVALID,
            ),
        ],
        ..PLAIN
    },
    // YubiHSM 2, "PKCS#11 with YubiHSM 2", attributes and mechanisms.
    Personality {
        name: "yubihsm2",
        manufacturer: Some("Yubico (www.yubico.com)"),
        lacks: NO_RFC_5649,
        refuses: &[
            (KEYS, Refusal::Value(CKA_TOKEN, false), CKR_ATTRIBUTE_VALUE_INVALID),
            (KEYS, Refusal::Value(CKA_COPYABLE, true), CKR_ATTRIBUTE_VALUE_INVALID),
            (KEYS, Refusal::Value(CKA_MODIFIABLE, true), CKR_ATTRIBUTE_VALUE_INVALID),
            (KEYS, Refusal::Named(CKA_ALLOWED_MECHANISMS), CKR_ATTRIBUTE_TYPE_INVALID),
            (KEYS, Refusal::Named(CKA_UNWRAP_TEMPLATE), CKR_ATTRIBUTE_TYPE_INVALID),
        ],
        hides: &[CKA_ALLOWED_MECHANISMS, CKA_UNWRAP_TEMPLATE],
        ..PLAIN
    },
    // Entrust nShield, "CKNFAST_OVERRIDE_SECURITY_ASSURANCES" not set.
    Personality {
        name: "nshield",
        manufacturer: Some("nCipher Corp. Ltd"),
        refuses: &[(
            &[CKO_PRIVATE_KEY, CKO_SECRET_KEY],
            Refusal::Value(CKA_EXTRACTABLE, true),
            CKR_TEMPLATE_INCONSISTENT,
        )],
        ..PLAIN
    },
    // SmartCard-HSM by OpenSC: an attribute that it knows neither to set nor to read.
    Personality {
        name: "smartcard-hsm",
        refuses: &[(KEYS, Refusal::Named(CKA_COPYABLE), CKR_ATTRIBUTE_TYPE_INVALID)],
        hides: &[CKA_COPYABLE],
        ..PLAIN
    },
    // opencryptoki 3.8, whose clock's text is no time.
    Personality { name: "opencryptoki-3.8", clock: Some("00:46:50"), ..PLAIN },
    // As opencryptoki 3.27 opens the AES key of CKM_RSA_AES_KEY_WRAP. (That one makes every key
    // that it unwraps one that can be read, whatever is asked, so that it is no hoster's.)
    Personality { name: "opens-as-callers", opens_as_callers: true, ..PLAIN },
    // Unwraps whatever it is asked for: no vendor's, but what KEK-ATTACK-… must find.
    Personality {
        name: "forces-nothing",
        refuses: &[
            (KEYS, Refusal::Named(CKA_ALLOWED_MECHANISMS), CKR_ATTRIBUTE_TYPE_INVALID),
            (KEYS, Refusal::Named(CKA_UNWRAP_TEMPLATE), CKR_ATTRIBUTE_TYPE_INVALID),
        ],
        hides: &[CKA_ALLOWED_MECHANISMS, CKA_UNWRAP_TEMPLATE],
        ..PLAIN
    },
    // Seen elsewhere, each of an unknown make.
    Personality { name: "two-sessions", sessions: 2, ..PLAIN },
    Personality { name: "5000-objects", objects: 5000, ..PLAIN },
    Personality {
        name: "write-protected",
        flags: CKF_WRITE_PROTECTED,
        refuses: &[
            (KEYS, Refusal::Stored, CKR_TOKEN_WRITE_PROTECTED),
            (&[CKO_CERTIFICATE], Refusal::Stored, CKR_TOKEN_WRITE_PROTECTED),
        ],
        ..PLAIN
    },
    Personality { name: "nul-padded", nul_padded: true, ..PLAIN },
    Personality { name: "constant-serial", serial: Some("0000000000000000"), ..PLAIN },
    Personality {
        name: "no-certificates",
        refuses: &[(&[CKO_CERTIFICATE], Refusal::Stored, CKR_FUNCTION_NOT_SUPPORTED)],
        ..PLAIN
    },
    Personality {
        name: "no-public-keys",
        refuses: &[(&[CKO_PUBLIC_KEY], Refusal::Stored, CKR_FUNCTION_NOT_SUPPORTED)],
        ..PLAIN
    },
    Personality {
        name: "no-created-public-keys",
        refuses: &[(&[CKO_PUBLIC_KEY], Refusal::Created, CKR_FUNCTION_NOT_SUPPORTED)],
        ..PLAIN
    },
];

impl Personality {
    pub fn named(name: &OsStr) -> Result<&'static Personality, String> {
        let found = ALL.iter().find(|one| name == one.name);
        found.ok_or_else(|| {
            format!("KEYFERRY_SHIM_PERSONALITY {}: not of personality.rs", name.display())
        })
    }
}
