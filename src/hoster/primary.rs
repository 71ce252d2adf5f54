//! `register` and `primary`: the key set enters the target's registry with a proof of every node, and
//! then, in one step, becomes the primary one.

use std::path::Path;

use super::proving;
use crate::{
    Result,
    ceremony::Ceremony,
    document::{package::Package, registration::Registration},
    encoding::Hash,
    hsm::Hsm,
    log::Event,
    phase::Step,
    plan::Stage,
    report::Report,
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

/// Makes the key set primary, proves it at every node, and makes the registration.
///
/// # Errors
/// `PHASE-ORDER`, `REGISTRY-FORMAT`, `PROOF-…`, or the HSM's.
pub fn primary(ceremony: &mut Ceremony, hsm: &Hsm, registry: &Path) -> Result<Report> {
    ceremony.state.require(Step::Primary)?;
    let package = ceremony.kept::<Package>()?;
    let targets = proving::imported(hsm, package.body())?;
    let begun = ceremony.begin(Step::Primary)?;
    let mut registry = Registry::open(registry)?;
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
