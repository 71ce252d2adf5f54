//! Attestations as an operator gives them: read, named as the document lists them.

use std::path::PathBuf;

use clap::Args;

use crate::brought;
use crate::step::file_of;
use record::attestation::MAX_ATTESTATION;
use record::document::attestation::{ATTESTATION_END, Attestation, REPORT_END};
use record::{Error, Id, Listed, Result, folder};

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
pub struct AttestationFiles {
    /// How it lists them.
    pub attestations: Vec<Attestation>,
    /// Their bytes, by name.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Files that are each about one key.
type FilesOf<'a> = &'a [(Id, PathBuf)];

impl AttestationFiles {
    /// Reads every attestation and what vendors' tools said of them; each is about one of `of`, in
    /// whose order they are listed.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that is about nothing, twice about one, or a report of no
    /// attestation; `DOCUMENT-SIZE`.
    pub fn read(of: &[&str], attestations: FilesOf, reports: FilesOf) -> Result<Self> {
        let remedy = "give one --attestation for a key at most, and a report only beside one";
        let once = |all: FilesOf, known: &dyn Fn(&Id) -> bool| {
            let mut seen: Vec<&Id> = Vec::new();
            for (id, file) in all {
                if !known(id) || seen.contains(&id) {
                    return Err(Error::usage(format!("{id}={}", file.display()), remedy));
                }
                seen.push(id);
            }
            Ok(())
        };
        once(attestations, &|id| of.contains(&id.as_str()))?;
        let attested = |id: &Id| attestations.iter().any(|(of, _)| of == id);
        once(reports, &attested)?;
        let mut read = AttestationFiles::default();
        for of in of {
            let about = |(id, _): &&(Id, PathBuf)| id.as_str() == *of;
            let Some((id, file)) = attestations.iter().find(about) else { continue };
            let bytes = folder::read_file(file, MAX_ATTESTATION)?;
            let report = reports.iter().find(about);
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

    /// The file of this name; empty where there is none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(file, _)| file == name);
        found.map_or(&[], |(_, bytes)| bytes)
    }
}
