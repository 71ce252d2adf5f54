//! Windows Host Guardian Service: its scripts act, each node proves. Sources: Microsoft's HgsServer
//! cmdlet reference, its guarded-fabric guide, and MS-KPS.

use std::path::Path;

use super::{Act, At, Miss, Service, TargetStep, Wrong};
use crate::{
    Result,
    escape::escape,
    node::{Brief, PrimaryKey, Statement, shown},
    plan::{Deployment, Id, KeyPlan, KeyType, Role, Stage, Target},
    rule::Rule,
};

/// The least modulus that HGS takes, in bits.
const LEAST_BITS: u32 = 2048;
/// The longest name of a key storage provider, in characters.
const MAX_KSP: usize = 100;
/// The longest soak: a year.
const MAX_SOAK_HOURS: u32 = 8760;
/// The most nodes.
const MAX_NODES: usize = 64;

/// A cluster of HGS nodes.
pub struct Hgs;

const INSTALL: &str = "Install-KeyferryNode.ps1";
const TEST: &str = "Test-KeyferryNode.ps1";
const SET: &str = "Set-KeyferryPrimary.ps1";
const UNDO: &str = "Undo-KeyferryPrimary.ps1";

macro_rules! steps {
    ($($program:ident $act:ident $name:literal;)*) => {
        &[$(TargetStep { act: Act::$act, name: $name, program: $program },)*]
    };
}

/// What the scripts do, in this order; each says so as it goes.
const STEPS: &[TargetStep] = steps! {
    INSTALL Check    "check-folder";
    INSTALL Check    "check-order";
    INSTALL Install  "install-certificates";
    INSTALL Bind     "bind";
    INSTALL Grant    "grant";
    INSTALL Register "register";
    TEST    Check    "check-folder";
    TEST    Check    "check-order";
    TEST    Diagnose "diagnose";
    TEST    Prove    "prove";
    SET     Check    "check-folder";
    SET     Check    "check-order";
    SET     Record   "record-primaries";
    SET     Activate "set-signing";
    SET     Activate "set-encryption";
    SET     ReadBack "read-back";
    UNDO    Check    "check-folder";
    UNDO    Check    "check-order";
    UNDO    Record   "record-primaries";
    UNDO    RollBack "restore-signing";
    UNDO    RollBack "restore-encryption";
    UNDO    ReadBack "read-back";
};

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../templates/hgs/", $name))),)*]
    };
}

/// Reviewed once, compiled in, never filled: what differs between ceremonies is in the brief and
/// the orders beside them.
const FILES: &[(&str, &str)] = files! {
    "INSTRUCTIONS.txt"
    "KeyferryCommon.ps1"
    "Install-KeyferryNode.ps1"
    "Test-KeyferryNode.ps1"
    "Set-KeyferryPrimary.ps1"
    "Undo-KeyferryPrimary.ps1"
};

impl Service for Hgs {
    fn requirements(&self, keys: Option<&[KeyPlan]>, target: &Target) -> Vec<Miss> {
        match target {
            Target::Hgs { nodes, ksp, soak_hours, .. } => {
                requirements(keys, nodes, ksp, *soak_hours)
            }
            Target::Local { .. } | Target::Cloud(_) => Vec::new(),
        }
    }

    fn steps(&self) -> &'static [TargetStep] {
        STEPS
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        FILES
    }

    fn check(&self, said: &Statement, brief: &Brief) -> std::result::Result<(), Wrong> {
        provider(said, brief)?;
        // A new cluster has no service yet when its first node is made ready.
        let nothing_yet = brief.deployment == Some(Deployment::New) && said.stage == Stage::Ready;
        match &said.service_account {
            Some(service) => serving(said, brief, service),
            None if nothing_yet => Ok(()),
            None => Err(Wrong {
                rule: Rule::EvidenceAccount,
                found: format!(
                    "the proofs are made by {}, and no service account is named",
                    said.account
                ),
                expected: "the account of the KeyProtection application pool".into(),
            }),
        }
    }

    fn register(&self, _: &Path, _: &Brief) -> Result<()> {
        Ok(())
    }

    fn primaries(&self, _: &Path) -> Result<Option<Vec<PrimaryKey>>> {
        Ok(None)
    }

    fn activate(&self, _: &Path, _: &Brief) -> Result<()> {
        Ok(())
    }

    fn goes_back_to(&self, former: &[PrimaryKey]) -> bool {
        !former.is_empty()
    }

    fn roll_back(&self, _: &Path, _: &[PrimaryKey]) -> Result<()> {
        Ok(())
    }
}

/// Each key is used through the planned provider: repairstore binds a software key of the same
/// certificate as gladly.
fn provider(said: &Statement, brief: &Brief) -> std::result::Result<(), Wrong> {
    let planned = brief.ksp.as_deref().unwrap_or_default();
    match said.keys.iter().find(|key| key.provider != planned) {
        None => Ok(()),
        Some(key) => Err(Wrong {
            rule: Rule::EvidenceProvider,
            found: format!("{} is used through {:?}", key.label, key.provider),
            expected: format!("{planned:?}"),
        }),
    }
}

/// A node with a running service.
fn serving(said: &Statement, brief: &Brief, service: &str) -> std::result::Result<(), Wrong> {
    if said.account.is_empty() || !said.account.eq_ignore_ascii_case(service) {
        return Err(Wrong {
            rule: Rule::EvidenceAccount,
            found: format!("the proofs are made by {}", said.account),
            expected: format!(
                "by the service's account, {service}: another's success says nothing of its rights"
            ),
        });
    }
    let known = |key: &PrimaryKey| said.registered.contains(&key.thumbprint);
    // A trial leaves the service as it is.
    if !brief.trial && !brief.primaries().iter().all(known) {
        return Err(Wrong {
            rule: Rule::EvidenceCertificate,
            found: format!("the service knows {}", said.registered.join(", ")),
            expected: format!("it knows {}", shown(&brief.primaries())),
        });
    }
    let former = said.primaries.iter().map(|key| key.role);
    if !former.eq([Role::Signing, Role::Encryption]) {
        return Err(Wrong {
            rule: Rule::EvidencePrimary,
            found: format!("primary in the service: {}", shown(&said.primaries)),
            expected: "one signing and one encryption certificate".into(),
        });
    }
    diagnosed(said.diagnostics.as_deref())
}

/// The service's own diagnostics were run, and do not say that they failed. Their text may be in
/// another language: one that cannot be read is for people.
fn diagnosed(diagnostics: Option<&str>) -> std::result::Result<(), Wrong> {
    let wrong = |found: String| {
        Err(Wrong {
            rule: Rule::EvidenceDiagnostic,
            found,
            expected: "what Get-HgsTrace -RunDiagnostics -Detailed says, without a failure".into(),
        })
    };
    let text = diagnostics.unwrap_or_default();
    if text.trim().is_empty() {
        return wrong("no diagnostics".into());
    }
    let failed = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.contains("overall result") && line.contains("fail")
    };
    match text.lines().find(failed) {
        Some(line) => wrong(format!("the diagnostics say {:?}", line.trim())),
        None => Ok(()),
    }
}

/// Everything in a plan that HGS cannot use (`PLAN-TARGET`). Keys that are faulty by themselves are
/// `None` and not looked at.
///
/// HGS has one primary certificate for signing and one for encryption, both RSA of at least 2048
/// bits (Microsoft, "Obtain certificates for HGS").
fn requirements(keys: Option<&[KeyPlan]>, nodes: &[Id], ksp: &str, soak_hours: u32) -> Vec<Miss> {
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
    for (n, key) in keys.unwrap_or_default().iter().enumerate() {
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
        miss(At::Ksp, format!("ksp {ksp:?}"), expected);
    }
    if soak_hours > MAX_SOAK_HOURS {
        let found = format!("soak_hours = {soak_hours}");
        miss(At::SoakHours, found, format!("at most {MAX_SOAK_HOURS}, a year"));
    }
    missed
}
