//! `package check`: the hoster takes the package before any custodian travels.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Run};
use record::{
    Result,
    document::{Released, package::Package, read},
    log::Event,
    rule::Rule,
    terms::{Kind, Step, TransferRoute, list},
};
use terminal::report::Report;

/// Take the tenant's package, before any custodian travels
#[derive(Args)]
pub struct PackageCheck {
    /// The package/ folder
    package: PathBuf,
}

impl Run for PackageCheck {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::PackageCheck)?;
        let package = ceremony.take::<Package>(&self.package)?;
        let ours = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
        if Some(package.body().kek_fingerprint) != ours {
            return Err(Rule::DocumentContent.refuse(
                format!("a package for the KEK {}", package.body().kek_fingerprint),
                "a package for the KEK of this ceremony's offer",
                "stop: find out for whose KEK the tenant has wrapped its keys",
            ));
        }
        package.verify_keys()?;
        ceremony.keep(&package)?;
        ceremony.took(Event::PackageCheck {
            document: package.hash,
            attempt: package.document.header.attempt,
            package_id: package.body().package_id,
            signatures: package.signatures.everyone(),
        })?;
        let body = package.body();
        Ok(Report::new("The package is taken: it is the tenant's, whole, and for this KEK.")
            .value("package", package.hash.to_string())
            .value("package id", body.package_id.to_string())
            .value("keys", list(body.keys.iter().map(|key| &key.label)))
            .value("quorum", format!("{} of {}", body.threshold, body.shares.len())))
    }
}

/// The package that was taken, only if the folder given holds the very same.
///
/// # Errors
/// `PACKAGE-IMPORTED` after an import, `PHASE-ORDER`, `DOCUMENT-…` and `SIGNATURE-…` rules.
pub fn same(ceremony: &Ceremony, folder: &Path) -> Result<Released<Package>> {
    let state = &ceremony.state;
    let imported =
        state.way == TransferRoute::Carried && !state.keys.is_empty() && state.aborted.is_none();
    if !imported {
        ceremony.state.require(Step::Import)?;
    }
    let given = read::<Package>(folder, &ceremony.plan)?;
    if imported {
        return Err(Rule::PackageImported.refuse(
            format!(
                "the package {} after the import of {}",
                given.hash,
                ceremony.state.document(Kind::Package)?
            ),
            "one import",
            "run `status`: it shows the next step",
        ));
    }
    given
        .not_before(ceremony.state.seen_attempt)?
        .released(&ceremony.plan)?
        .being(ceremony.state.document(Kind::Package)?)
}
