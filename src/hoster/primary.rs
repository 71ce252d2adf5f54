//! `register` and `primary`: the key set enters the target's registry with a proof of every node, and
//! then, in one step, becomes the primary one.

use std::path::Path;

use super::proving;
use crate::{
    Result,
    approval::{self, Approved, subject_hash},
    ceremony::Ceremony,
    document::{package::Package, registration::Registration},
    encoding::Hash,
    hsm::Hsm,
    log::Event,
    phase::Step,
    plan::Stage,
    report::Report,
    side::trial,
    spki::TargetCertificate,
    target::local::{KeySet, RegisteredKey, Registry},
};

/// Puts the key set into the registry, not yet primary, with the proofs of stage `ready`.
///
/// # Errors
/// `PHASE-ORDER`, `REGISTRY-FORMAT`, `PROOF-…`, or the HSM's.
pub fn register(ceremony: &mut Ceremony, hsm: &Hsm, registry: &Path) -> Result<Report> {
    ceremony.state.require(Step::Register)?;
    let package = ceremony.kept::<Package>()?;
    ceremony.begin(Step::Register)?;
    let targets = proving::imported(hsm, package.body())?;
    let mut ready = Vec::new();
    for place in ceremony.plan.node_places(Stage::Ready) {
        ready.extend(proving::prove(
            ceremony,
            hsm,
            package.body(),
            &targets,
            &place,
        )?);
    }
    let keys = package
        .body()
        .keys
        .iter()
        .zip(&targets)
        .map(|(key, target)| {
            Ok(RegisteredKey {
                label: key.label.clone(),
                role: key.role,
                hoster_label: ceremony.plan.hoster_label(key.label.as_str()),
                id: data_encoding::HEXLOWER.encode(&target.id),
                spki: Hash::of(&key.spki.0),
                thumbprint: TargetCertificate::parse(
                    package.file(&key.certificate_file()),
                    key.label.as_str(),
                )?
                .thumbprint(),
            })
        });
    let key_set = KeySet {
        plan_hash: ceremony.plan.hash(),
        ceremony: ceremony.plan.ceremony.clone(),
        keys: keys.collect::<Result<_>>()?,
        ready,
        former: None,
    };
    let mut registry = Registry::open(registry)?;
    registry.register(key_set)?;
    ceremony.record(Event::Register {
        registry: registry.hash(),
    })?;
    Ok(
        Report::new("The key set is registered; it is not yet primary.")
            .value("registry", registry.path().display().to_string())
            .value("primary", shown(registry.primary())),
    )
}

fn shown(primary: Option<Hash>) -> String {
    primary.map_or("none".into(), |hash| format!("the key set of plan {hash}"))
}

/// What officers sign for: the registered key set as the registry has it, and the one that is primary now.
fn subject(ceremony: &Ceremony, registry: &Registry) -> Result<approval::Primary> {
    let key_set = registry.registered(ceremony.plan.hash())?;
    let package = ceremony.kept::<Package>()?;
    let evidence = &key_set.ready;
    evidence
        .iter()
        .try_for_each(|proof| proof.verify(&ceremony.plan, package.body()))?;
    Ok(approval::Primary {
        evidence: subject_hash(evidence),
        keys: (key_set.keys.iter())
            .map(|key| (key.label.clone(), key.spki))
            .collect(),
        former: key_set.former,
    })
}

/// Asks the officers, before any PIN is asked for.
///
/// # Errors
/// `PHASE-ORDER`, `TRIAL-ENDS`, `REGISTRY-FORMAT`, `PROOF-…`, [`crate::Error::Waiting`], `SIGNATURE-…`.
pub fn ask(ceremony: &mut Ceremony, registry: &Path) -> Result<Approved<approval::Primary>> {
    ceremony.state.require(Step::Primary)?;
    trial::stops(&ceremony.plan)?;
    let subject = subject(ceremony, &Registry::open(registry)?)?;
    approval::require(ceremony, &subject)
}

/// Makes the key set primary, proves it at every node, and makes the registration.
///
/// # Errors
/// `PHASE-ORDER`, `APPROVAL-SUBJECT`, `REGISTRY-FORMAT`, `PROOF-…`, or the HSM's.
pub fn primary(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<approval::Primary>,
    registry: &Path,
) -> Result<Report> {
    ceremony.state.require(Step::Primary)?;
    let package = ceremony.kept::<Package>()?;
    let targets = proving::imported(hsm, package.body())?;
    let begun = ceremony.begin(Step::Primary)?;
    let mut registry = Registry::open(registry)?;
    // From the registry that is then written.
    approved.covers(&subject(ceremony, &registry)?)?;
    let key_set = registry.make_primary(ceremony.plan.hash())?;
    let mut proofs = key_set.ready;
    for place in ceremony.plan.node_places(Stage::Active) {
        proofs.extend(proving::prove(
            ceremony,
            hsm,
            package.body(),
            &targets,
            &place,
        )?);
    }
    let body = Registration {
        package_id: package.body().package_id,
        target: ceremony.plan.target.kind().to_owned(),
        former: key_set.former,
        registry: registry.hash(),
        proofs,
    };
    let document = ceremony.build(&begun, body, Vec::new())?;
    ceremony.finish(
        begun,
        Event::Primary {
            document,
            registry: registry.hash(),
            former: key_set.former,
        },
    )?;
    Ok(Report::new("The tenant's keys are primary.")
        .line("They serve everyone who uses this service, not this tenant alone.")
        .value("former", shown(key_set.former))
        .value("registration", document.to_string()))
}
