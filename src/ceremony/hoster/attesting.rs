//! Attestations as an operator gives them: read, named as the document lists them.

use std::path::PathBuf;

use clap::Args;

use crate::step::file_of;
use record::attestation::MAX_ATTESTATION;
use record::document::attestation::{ATTESTATION_END, Attestation, KEK, REPORT_END};
use record::terms::{Id, Listed};
use record::{Error, Result, brought, folder};

/// What was named on the command line.
#[derive(Args)]
pub struct AttestationArgs {
    /// Only make them, and stop, so that the vendor's tool can attest them
    #[arg(long, conflicts_with_all = ["attestations", "reports"])]
    pub prepare: bool,
    /// What the vendor says of a key: certificates in PEM, its own first, the root's last; or
    /// another form, with a report
    #[arg(long = "attestation", value_name = "LABEL=FILE", value_parser = file_of)]
    pub attestations: Vec<(Id, PathBuf)>,
    /// What the vendor's own tool said of an attestation of another form
    #[arg(long = "attestation-report", value_name = "LABEL=FILE", value_parser = file_of)]
    pub reports: Vec<(Id, PathBuf)>,
}

/// The files of attestations, as a document lists them.
#[derive(Default)]
pub struct Files {
    /// How it lists them.
    pub attestations: Vec<Attestation>,
    /// Their bytes, by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl AttestationArgs {
    /// The attestation of a KEK.
    ///
    /// # Errors
    /// [`Error::Failed`] never, as `kek` is an id.
    pub fn of_kek(file: Option<&PathBuf>, report: Option<&PathBuf>) -> Result<Self> {
        let kek = |file: &PathBuf| {
            let id = KEK.parse::<Id>().map_err(Error::defect);
            id.map(|id| (id, file.clone()))
        };
        Ok(AttestationArgs {
            prepare: false,
            attestations: file.into_iter().map(kek).collect::<Result<_>>()?,
            reports: report.into_iter().map(kek).collect::<Result<_>>()?,
        })
    }

    /// Reads every file; each is about one of `of`, in whose order they are listed.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that is about nothing, twice about one, or a report of no
    /// attestation; `DOCUMENT-SIZE`.
    pub fn read(&self, of: &[&str]) -> Result<Files> {
        let usage = |what: String| Error::Usage {
            what,
            remedy: "give one --attestation for a key at most, and a report only beside one".into(),
        };
        let once = |all: &[(Id, PathBuf)], known: &dyn Fn(&Id) -> bool| {
            let mut seen: Vec<&Id> = Vec::new();
            for (id, file) in all {
                if !known(id) || seen.contains(&id) {
                    return Err(usage(format!("{id}={}", file.display())));
                }
                seen.push(id);
            }
            Ok(())
        };
        once(&self.attestations, &|id| of.contains(&id.as_str()))?;
        let attested = |id: &Id| self.attestations.iter().any(|(of, _)| of == id);
        once(&self.reports, &attested)?;
        let mut read = Files::default();
        for of in of {
            let about = |(id, _): &&(Id, PathBuf)| id.as_str() == *of;
            let Some((id, file)) = self.attestations.iter().find(about) else {
                continue;
            };
            let bytes = folder::read_file(file, MAX_ATTESTATION)?;
            let report = self.reports.iter().find(about);
            let report = report.map(|(_, file)| folder::read_file(file, MAX_ATTESTATION));
            let report = report.transpose()?;
            // A report may be about these very bytes; what stands alone is read here.
            let chain =
                brought::chain(&bytes).filter(|chain| report.is_none() && !chain.is_empty());
            let bytes = chain.map_or(bytes, |chain| brought::canonical_chain(chain).into_bytes());
            read.attestations.push(Attestation {
                of: id.clone(),
                file: Listed::of(&bytes),
                report: report.as_deref().map(Listed::of),
            });
            read.files.push((format!("{of}{ATTESTATION_END}"), bytes));
            let report = report.map(|bytes| (format!("{of}{REPORT_END}"), bytes));
            read.files.extend(report);
        }
        Ok(read)
    }
}

impl Files {
    /// The file of this name; empty where there is none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(file, _)| file == name);
        found.map_or(&[], |(_, bytes)| bytes)
    }
}
