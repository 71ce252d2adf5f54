//! `package check`: the hoster takes the package before any custodian travels.

use std::path::Path;

use crate::{
    Result,
    ceremony::Ceremony,
    document::{
        Received,
        package::{Package, hsm_signature_file},
    },
    encoding::enc,
    log::Event,
    phase::{Phase, Step},
    report::Report,
    rule::Rule,
    spki::{self, TargetCertificate},
};

/// Takes the package.
///
/// # Errors
/// `PHASE-ORDER`, `PACKAGE-…`, `TARGET-CERTIFICATE`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn check(ceremony: &mut Ceremony, folder: &Path) -> Result<Report> {
    ceremony.state.require(Step::PackageCheck)?;
    let package = ceremony.take::<Package>(folder)?;
    let ours = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
    if Some(package.body().kek_fingerprint) != ours {
        return Err(Rule::DocumentContent.refuse(
            format!("a package for the KEK {}", package.body().kek_fingerprint),
            "a package for the KEK of this ceremony's offer",
            "stop: find out for whose KEK the tenant has wrapped its keys",
        ));
    }
    verify_keys(&package)?;
    ceremony.keep(&package)?;
    ceremony.record(Event::PackageCheck {
        document: package.hash,
        attempt: package.document.header.attempt,
        package_id: package.body().package_id,
        signatures: package.signatures.everyone(),
    })?;
    let body = package.body();
    Ok(
        Report::new("The package is taken: it is the tenant's, whole, and for this KEK.")
            .value("package", package.hash.to_string())
            .value("package id", body.package_id.to_string())
            .value(
                "keys",
                body.keys
                    .iter()
                    .map(|key| key.label.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            )
            .value(
                "quorum",
                format!("{} of {}", body.threshold, body.shares.len()),
            ),
    )
}

/// Each certificate is its key's own, and each signing key has signed the package in the tenant's HSM.
///
/// # Errors
/// `TARGET-CERTIFICATE`, `PACKAGE-SIGNATURE`.
pub fn verify_keys(package: &Received<Package>) -> Result<()> {
    let message = enc("keyferry/1 package", &[package.hash.as_bytes()]);
    for key in &package.body().keys {
        let label = key.label.as_str();
        TargetCertificate::parse(package.file(&key.certificate_file()), label)?
            .of_key(&key.spki.0, label)?;
    }
    for key in package.body().signing_keys() {
        let name = hsm_signature_file(&key.label);
        if !spki::verifies(&key.spki.0, &message, package.file(&name)) {
            return Err(Rule::PackageSignature.refuse(
                format!("{name} does not fit the package"),
                "a signature by the key itself",
                "copy the package again from the tenant's outbox",
            ));
        }
    }
    Ok(())
}

/// The package that was taken, only if the folder given holds the very same.
///
/// # Errors
/// `PACKAGE-IMPORTED` after an import, `PHASE-ORDER`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn same(ceremony: &Ceremony, folder: &Path) -> Result<crate::document::Released<Package>> {
    let imported = !matches!(
        ceremony.state.phase,
        Phase::Planned | Phase::OfferMade | Phase::OfferReleased | Phase::PackageTaken
    );
    let given = crate::document::read::<Package>(folder, &ceremony.plan)?;
    if imported {
        return Err(Rule::PackageImported.refuse(
            format!(
                "the package {} after the import of {}",
                given.hash,
                ceremony.state.document(crate::document::Kind::Package)?
            ),
            "one import",
            "run `status`: it shows the next step",
        ));
    }
    ceremony.state.require(Step::Import)?;
    given
        .not_before(ceremony.state.seen_attempt)?
        .released(&ceremony.plan)?
        .being(ceremony.state.document(crate::document::Kind::Package)?)
}
