//! What a node of a Host Guardian Service must say in its evidence. Sources: Microsoft's HgsServer
//! cmdlet reference, its guarded-fabric guide, and MS-KPS.

use crate::service::{Brief, NodeKey, Statement};
use crate::{Deployment, Hash, PrimaryKey, Result, Role, Rule, Stage, list_or, quote, shown};

/// The form of its evidence.
pub(super) fn check(said: &Statement, brief: &Brief) -> Result<()> {
    provider(said, brief)?;
    // A new cluster has no service yet when its first node is made ready.
    let nothing_yet = brief.deployment == Some(Deployment::New) && said.stage == Stage::Ready;
    match &said.service_account {
        Some(service) => serving(said, brief, service),
        None => {
            let found =
                format!("the proofs are made by {}, and no service account is named", said.account);
            let expected = "the account of the KeyProtection application pool";
            said.ensure(nothing_yet, Rule::EvidenceAccount, &found, expected)
        }
    }
}

/// Each key is used through the planned provider: repairstore binds a software key of the same
/// certificate as gladly.
fn provider(said: &Statement, brief: &Brief) -> Result<()> {
    let planned = brief.ksp.as_deref();
    let expected = planned.map_or("a planned provider".into(), quote);
    said.keys.iter().try_for_each(|NodeKey { label, provider, .. }| {
        let found = format!("{label} is used through {}", quote(provider));
        said.ensure(Some(provider.as_str()) == planned, Rule::EvidenceProvider, &found, &expected)
    })
}

/// A node with a running service.
fn serving(said: &Statement, brief: &Brief, service: &str) -> Result<()> {
    let account = &said.account;
    said.ensure(
        !account.is_empty() && account.eq_ignore_ascii_case(service),
        Rule::EvidenceAccount,
        &format!("the proofs are made by {account}"),
        format!(
            "by the service's account, {service}: another's success says nothing of its rights"
        ),
    )?;
    let known = |key: &PrimaryKey| said.registered.contains(&key.thumbprint);
    // A trial leaves the service as it is.
    said.ensure(
        brief.trial || brief.primaries().iter().all(known),
        Rule::EvidenceCertificate,
        &format!("the service knows {}", list_or("no certificate", &said.registered)),
        format!("it knows {}", shown(&brief.primaries())),
    )?;
    said.ensure(
        said.primaries.iter().map(|key| key.role).eq(Role::ALL),
        Rule::EvidencePrimary,
        &format!("primary in the service: {}", shown(&said.primaries)),
        "one signing and one encryption certificate",
    )?;
    diagnosed(said)?;
    published(said, brief)
}

/// What an active node was seen to publish is the ceremony's certificates.
fn published(said: &Statement, brief: &Brief) -> Result<()> {
    let Some(published) = said.published.as_ref().filter(|_| said.stage == Stage::Active) else {
        return Ok(());
    };
    brief.keys.iter().try_for_each(|key| {
        let certificate = match key.role {
            Role::Signing => &published.signing,
            Role::Encryption => &published.encryption,
        };
        let found = format!("it publishes another certificate as primary for {}", key.role);
        let expected = format!("{}, byte for byte", key.thumbprint);
        let same = Hash::of(&certificate.0) == key.certificate.hash;
        said.ensure(same, Rule::EvidencePrimary, &found, expected)
    })
}

/// The service's own diagnostics were run. What in them does not pass is for officers, by name
/// ([`Statement::unpassed`]); of text alone, as programs before wrote it, only a failure is seen.
fn diagnosed(said: &Statement) -> Result<()> {
    if said.diagnosis.is_some() {
        return Ok(());
    }
    let text = said.diagnostics.as_deref().unwrap_or("");
    let failed = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.contains("overall result") && line.contains("fail")
    };
    let failed = text.lines().find(failed);
    let found = failed.map_or("no diagnostics".into(), |line| {
        format!("the diagnostics say {}", quote(line.trim()))
    });
    let expected = "what Get-HgsTrace -RunDiagnostics -Detailed says, without a failure";
    let passed = failed.is_none() && !text.trim().is_empty();
    said.ensure(passed, Rule::EvidenceDiagnostic, &found, expected)
}
