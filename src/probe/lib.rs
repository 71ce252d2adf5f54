//! What one token was seen to do: a report that either side makes before a plan is agreed, signs,
//! and sends. It has no secret and needs no ceremony. What two such tokens foretell of a plan is
//! worked out elsewhere.
//!
//! Everything in it is what a module answered on one day. A mechanism is listed as the module
//! claims it, and used as it was seen to work on throwaway objects.

pub mod checks;
pub mod needs;
pub mod profile;

use std::path::Path;

use profile::Profile;
use record::{
    FORMAT, Finding, Hash, KwpFlavour, Mechanism, OaepHash, Result, Rule, Side, TokenIdentity,
    as_text, escape, folder, named,
};
use strict_json::strict_json;

/// The greatest size of a report, in bytes; a token with 300 mechanisms makes 60 KiB.
pub const MAX_PROBE: u64 = 1 << 20;

/// The report of one token.
#[strict_json]
pub struct Probe {
    /// `keyferry/1`.
    pub format: String,
    /// `probe`.
    pub kind: String,
    /// Whose token it is.
    pub side: Side,
    /// When it was made, RFC 3339.
    pub time: String,
    /// The version of Keyferry that made it.
    pub version: String,
    /// The PKCS#11 module.
    pub module: ModuleFacts,
    /// Which token, as its module says.
    pub token: TokenIdentity,
    /// Sessions, PIN and the like, as the module says.
    pub facts: TokenFacts,
    /// What is known of tokens of this kind beforehand; only names and advice.
    pub profile: Profile,
    /// Every mechanism that the module lists.
    pub mechanisms: Vec<MechanismFacts>,
    /// The AES key wraps with padding that it lists, and what each made of an AES-256 key.
    pub key_wraps: Vec<KeyWrapFacts>,
    /// RSA keys that it made, by their size.
    pub rsa: Vec<SizeFacts>,
    /// NIST curves, by their bits; reports of older versions do not say.
    #[serde(default)]
    pub ec: Vec<SizeFacts>,
    /// Wraps and unwraps of throwaway keys, with the other end in software.
    pub transfers: Vec<TransferFacts>,
    /// The throwaway KEKs.
    pub keks: Vec<KekFacts>,
    /// What its attributes forbade when it was tried.
    pub enforced: Vec<EnforcedFacts>,
    /// The kinds of objects that a ceremony makes, as the token made them; reports of older versions
    /// do not say.
    #[serde(default)]
    pub objects: Vec<ObjectFacts>,
    /// Throwaway objects that killed probes had left, and this one erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftFacts>,
    /// Trials that did not end, so that nothing is known by them.
    #[serde(default)]
    pub unfinished: Vec<UnfinishedTrial>,
    /// Whether no token object was made.
    #[serde(default)]
    pub session_only: bool,
    /// What of the machine that it was made on stands against production: each a waiver to be
    /// proposed. None in a rehearsal, which does not look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine: Vec<Finding>,
    /// Whether it holds CKA_WRAP_WITH_TRUSTED, so that `kek trust` is of use; none where that was not
    /// seen.
    pub wrap_with_trusted: Option<bool>,
    /// The form of attestation that is known of tokens of this kind; Keyferry did not ask for any.
    pub attestation: String,
}

/// The PKCS#11 module, as a file and as it says.
#[strict_json]
pub struct ModuleFacts {
    /// Its file name.
    pub file: String,
    /// SHA-256 of it: for `[software]` of the plan.
    pub sha256: Hash,
    /// CK_INFO.manufacturerID, trimmed.
    pub manufacturer: String,
    /// CK_INFO.libraryDescription, trimmed.
    pub description: String,
    /// CK_INFO.libraryVersion, as `major.minor`.
    pub library: String,
    /// CK_INFO.cryptokiVersion, as `major.minor`.
    pub cryptoki: String,
}

/// Facts of CK_TOKEN_INFO (PKCS#11 v3.1, 3.2).
#[strict_json]
pub struct TokenFacts {
    /// CK_TOKEN_INFO.hardwareVersion, as `major.minor`.
    pub hardware: String,
    /// CKF_RNG.
    pub generates_random: bool,
    /// CKF_LOGIN_REQUIRED.
    pub login_required: bool,
    /// CKF_PROTECTED_AUTHENTICATION_PATH.
    pub protected_path: bool,
    /// Sessions at most, where the token says.
    pub most_sessions: Option<u64>,
    /// Read/write sessions at most, where the token says.
    #[serde(default)]
    pub most_rw_sessions: Option<u64>,
    /// CKF_WRITE_PROTECTED.
    #[serde(default)]
    pub write_protected: bool,
    /// The flags of the user PIN that it raises, before the login.
    #[serde(default)]
    pub pin_flags: Vec<String>,
    /// The text of its clock, as it is; empty where it has none.
    #[serde(default)]
    pub clock: String,
    /// How many objects it holds.
    #[serde(default)]
    pub objects: Option<u64>,
    /// Characters of a PIN, at least.
    pub pin_shortest: u64,
    /// Characters of a PIN, at most.
    pub pin_longest: u64,
}

/// A mechanism as the module lists it (PKCS#11 v3.1, 5.5.5 and 5.5.6): a claim.
#[strict_json]
pub struct MechanismFacts {
    /// Its number.
    pub id: MechanismId,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// CK_MECHANISM_INFO.flags, in hex.
    pub flags: String,
    /// CK_MECHANISM_INFO.ulMinKeySize, in whatever unit the module thinks of.
    pub least: u64,
    /// CK_MECHANISM_INFO.ulMaxKeySize.
    pub most: u64,
}

/// A mechanism's number, written `0x00001054`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MechanismId(pub u64);

as_text!(MechanismId, |id| format!("0x{:08x}", id.0), |text| {
    let digits = text.strip_prefix("0x");
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let id = number.map(MechanismId);
    id.filter(|id| id.to_string() == text)
        .ok_or_else(|| "expected a mechanism's number such as 0x00001054".into())
});

/// What an AES key wrap with padding made of an AES-256 key: 40 bytes are RFC 5649, 48 are PKCS#7.
#[strict_json]
pub struct KeyWrapFacts {
    /// The mechanism.
    pub id: MechanismId,
    /// Bytes, where it made any.
    pub made: Option<u64>,
}

/// Whether a key of this size could be made.
#[strict_json]
pub struct SizeFacts {
    /// The modulus, or the field of the curve, in bits.
    pub bits: u32,
    /// Whether it was made.
    pub made: bool,
}

/// An object of a kind that a ceremony makes.
#[strict_json]
pub struct ObjectFacts {
    /// Of which kind.
    pub object: String,
    /// Attributes that it was made without, because the token does not take them.
    pub left_out: Vec<String>,
    /// The rule that refuses it, where it was not made as it must be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<Rule>,
    /// What was found, where it was not made as it must be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<String>,
}

/// Throwaway objects that a killed probe had left.
#[strict_json]
pub struct LeftFacts {
    /// Their CKA_LABEL.
    pub label: String,
    /// How many there were.
    pub objects: u64,
}

/// A trial that did not end.
#[strict_json]
pub struct UnfinishedTrial {
    /// What was tried.
    pub trial: String,
    /// What became of it.
    pub found: String,
}

named! {
    /// Which end of a transfer a token was tried as.
    pub enum Direction {
        /// The tenant's: a key is wrapped out.
        Wrap = "wrap",
        /// The hoster's: a key is unwrapped.
        Unwrap = "unwrap",
    }
}

/// One way to wrap or unwrap, tried.
#[strict_json]
pub struct TransferFacts {
    /// Which end.
    pub direction: Direction,
    /// By which mechanism.
    pub mechanism: Mechanism,
    /// With which hash.
    pub oaep_hash: OaepHash,
    /// What became of it.
    pub outcome: TrialOutcome,
}

/// What became of a trial.
#[strict_json]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum TrialOutcome {
    /// It works: what it makes, or what it takes.
    Works {
        /// The flavours of AES key wrap.
        kwp: Vec<KwpFlavour>,
    },
    /// Keyferry refuses the token for it.
    Refused {
        /// By this rule.
        rule: Rule,
        /// What was found.
        found: String,
    },
    /// The token failed.
    Failed {
        /// What it said.
        found: String,
    },
}

/// A throwaway KEK of the plan's template.
#[strict_json]
pub struct KekFacts {
    /// By which mechanism it unwraps.
    pub mechanism: Mechanism,
    /// Rules that it misses, with what was found; where it could not be made, or attacked, none is
    /// known.
    pub missed: Option<Vec<MissedFacts>>,
}

/// A rule that a KEK misses.
#[strict_json]
pub struct MissedFacts {
    /// The rule.
    pub rule: Rule,
    /// What was found.
    pub found: String,
}

/// Something that an attribute forbids, tried on a throwaway object.
#[strict_json]
pub struct EnforcedFacts {
    /// On what it was tried.
    pub object: String,
    /// The attribute with its value.
    pub attribute: String,
    /// What was tried.
    pub tried: String,
    /// Whether the token refused it. None where the attribute is not held, or the token lacks what
    /// would do it to a key that allows it.
    pub refused: Option<bool>,
}

impl Probe {
    /// Whether the token can have a trusted KEK, in words.
    pub fn trusted_kek(&self) -> &'static str {
        match self.wrap_with_trusted {
            Some(true) => "possible",
            Some(false) => "not possible",
            None => "not known",
        }
    }

    /// Reads a report. Its signatures are verified where there is a plan that names who may sign.
    ///
    /// # Errors
    /// `DOCUMENT-FORMAT`, `DOCUMENT-KIND`; [`record::Error::Failed`] where it can't be read.
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>)> {
        let bytes = folder::read_file(path, MAX_PROBE)?;
        let probe: Probe = serde_json::from_slice(&bytes).map_err(|error| {
            Rule::DocumentFormat.refuse(
                format!("{}: {}", path.display(), escape(&error.to_string())),
                "a report that `probe` of either side wrote",
                "make the report again with this version of Keyferry",
            )
        })?;
        if probe.format != FORMAT || probe.kind != "probe" {
            return Err(Rule::DocumentKind.refuse(
                escape(&format!("{} {}", probe.format, probe.kind)),
                format!("{FORMAT} probe"),
                "give the file that `probe` wrote",
            ));
        }
        Ok((probe, bytes))
    }

    /// What was seen of one way in one direction.
    pub fn transfer(
        &self,
        direction: Direction,
        mechanism: Mechanism,
        oaep_hash: OaepHash,
    ) -> Option<&TrialOutcome> {
        let seen = |facts: &&TransferFacts| {
            (facts.direction, facts.mechanism, facts.oaep_hash) == (direction, mechanism, oaep_hash)
        };
        self.transfers.iter().find(seen).map(|facts| &facts.outcome)
    }

    /// An object of this kind, where one was tried.
    pub fn object(&self, object: &str) -> Option<&ObjectFacts> {
        self.objects.iter().find(|facts| facts.object == object)
    }

    /// Whether the token can stand at this end of a transfer, by one way at least.
    pub fn can(&self, direction: Direction) -> bool {
        let works = |facts: &TransferFacts| matches!(facts.outcome, TrialOutcome::Works { .. });
        self.transfers.iter().any(|facts| facts.direction == direction && works(facts))
    }

    /// Whether its serial tells it apart from others of its make.
    pub fn serial_tells(&self) -> bool {
        self.token.serial.chars().any(|digit| digit != '0' && digit != ' ')
    }

    /// Whether the module lists this mechanism; none where it never came to list any.
    pub fn lists(&self, id: MechanismId) -> Option<bool> {
        let listed = self.mechanisms.iter().any(|facts| facts.id == id);
        (!self.mechanisms.is_empty()).then_some(listed)
    }
}

/// Every way to carry a key, the strongest first (design, section 4.3).
pub const WAYS: [(Mechanism, OaepHash); 4] = [
    (Mechanism::SingleShot, OaepHash::Sha256),
    (Mechanism::SingleShot, OaepHash::Sha1),
    (Mechanism::Composite, OaepHash::Sha256),
    (Mechanism::Composite, OaepHash::Sha1),
];
