//! What a stage is made of: token families, the way that keys cross, the plan's target.
#![allow(dead_code)] // Each test program uses its part.

use std::path::PathBuf;

use super::{MODULE, kryoptic, nss, opencryptoki::OPENCRYPTOKI};

/// A family of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    SoftHsm,
    Kryoptic,
    /// NSS softokn, as Debian's libnss3 has it.
    Nss,
    /// opencryptoki's soft token, in a chroot: the only one with CKM_RSA_AES_KEY_WRAP of its own.
    Opencryptoki,
}

impl Family {
    /// Those that can stand on either side.
    pub const ALL: [Family; 2] = [Family::SoftHsm, Family::Kryoptic];

    pub fn module(self) -> PathBuf {
        match self {
            Family::SoftHsm => MODULE.into(),
            Family::Kryoptic => kryoptic(),
            Family::Nss => nss(),
            Family::Opencryptoki => OPENCRYPTOKI.into(),
        }
    }
}

/// What a stage is made of.
#[derive(Debug, Clone)]
pub struct Setting {
    pub tenant: Family,
    pub hoster: Family,
    /// Whether both modules stand behind the shim.
    pub shim: bool,
    pub mechanism: &'static str,
    pub oaep: &'static str,
    /// The size of every key that travels.
    pub bits: u32,
    pub keys: usize,
    /// Rules that the plan waives.
    pub waivers: Vec<String>,
    /// Whether the service is a Host Guardian Service.
    pub hgs: bool,
    /// Whether the keys are born at the hoster.
    pub born: bool,
    /// The cloud service that the keys are for.
    pub cloud: Option<&'static str>,
    /// The public keys that another tool brings, SHA-256 each, in the order of the keys.
    pub brought: Vec<String>,
    /// The NIST curve of the signing keys, by its bits; else they are RSA.
    pub curve: Option<u32>,
    /// A mechanism that Kryoptic goes without, on this side.
    pub denied: Option<(&'static str, String)>,
    /// A side's token as one that nobody here has, behind the shim.
    pub personality: Option<(&'static str, &'static str)>,
}

impl Default for Setting {
    /// Single-shot, as a plan has it where it says nothing; SHA-1, because SoftHSM knows no other.
    fn default() -> Self {
        Setting {
            tenant: Family::SoftHsm,
            hoster: Family::SoftHsm,
            shim: true,
            mechanism: "single-shot",
            oaep: "sha1",
            bits: 2048,
            keys: 2,
            waivers: vec!["WRAP-OAEP-SHA1".into()],
            hgs: false,
            born: false,
            cloud: None,
            brought: Vec::new(),
            curve: None,
            denied: None,
            personality: None,
        }
    }
}

impl Setting {
    /// The other mechanism, on bare tokens.
    pub fn composite() -> Self {
        Setting {
            shim: false,
            mechanism: "composite",
            waivers: vec!["WRAP-COMPOSITE".into(), "WRAP-OAEP-SHA1".into()],
            ..Setting::default()
        }
    }

    /// Keys that are born at the hoster, on bare tokens.
    pub fn born() -> Self {
        Setting { shim: false, born: true, ..Setting::default() }
    }

    pub fn family(&self, side: &str) -> Family {
        match side {
            "tenant" => self.tenant,
            _ => self.hoster,
        }
    }

    pub fn target_text(&self) -> String {
        if let Some(cloud) = self.cloud {
            return format!("kind = \"{cloud}\"\n");
        }
        match self.hgs {
            false => "kind = \"local\"\nnodes = [\"node1\", \"node2\"]\n".into(),
            true => "kind = \"hgs\"\nnodes = [\"node1\", \"node2\", \"node3\"]\nksp = \"YubiHSM Key Storage Provider\"\ndeployment = \"rotation\"\n".into(),
        }
    }

    /// Whether a ceremony of this setting has the step `kek trust`.
    pub fn trusts(&self) -> bool {
        let waived = |waiver: &String| waiver == "TARGET-WRAP-WITH-TRUSTED";
        !self.born && self.mechanism == "single-shot" && !self.waivers.iter().any(waived)
    }
}
