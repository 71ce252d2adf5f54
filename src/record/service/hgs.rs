//! What a node of a Host Guardian Service must say in its evidence. Sources: Microsoft's HgsServer
//! cmdlet reference, its guarded-fabric guide, and MS-KPS.

use crate::{
    escape::quote,
    rule::Rule,
    service::{Brief, Statement, Wrong},
    terms::{Deployment, PrimaryKey, Role, Stage, shown},
};

/// The form of its evidence.
pub(super) fn check(said: &Statement, brief: &Brief) -> Result<(), Wrong> {
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

/// Each key is used through the planned provider: repairstore binds a software key of the same
/// certificate as gladly.
fn provider(said: &Statement, brief: &Brief) -> Result<(), Wrong> {
    let planned = brief.ksp.as_deref();
    match said.keys.iter().find(|key| Some(key.provider.as_str()) != planned) {
        None => Ok(()),
        Some(key) => Err(Wrong {
            rule: Rule::EvidenceProvider,
            found: format!("{} is used through {}", key.label, quote(&key.provider)),
            expected: planned.map_or("a planned provider".into(), quote),
        }),
    }
}

/// A node with a running service.
fn serving(said: &Statement, brief: &Brief, service: &str) -> Result<(), Wrong> {
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
fn diagnosed(diagnostics: Option<&str>) -> Result<(), Wrong> {
    let wrong = |found: String| {
        Err(Wrong {
            rule: Rule::EvidenceDiagnostic,
            found,
            expected: "what Get-HgsTrace -RunDiagnostics -Detailed says, without a failure".into(),
        })
    };
    let Some(text) = diagnostics.filter(|text| !text.trim().is_empty()) else {
        return wrong("no diagnostics".into());
    };
    let failed = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.contains("overall result") && line.contains("fail")
    };
    match text.lines().find(failed) {
        Some(line) => wrong(format!("the diagnostics say {}", quote(line.trim()))),
        None => Ok(()),
    }
}
