//! The part of `accept` that looks at what HGS nodes publish: which files were asked for, whether
//! each has the ceremony's certificates, and what the tenant may do next.

use std::path::PathBuf;

use clap::Args;

use crate::step::file_of;
use record::document::acceptance;
use record::document::acceptance::{MAX_FETCHED_FROM, Published};
use record::proof::key_set::Pair;
use record::service::metadata::{Comparison, MAX_METADATA, Metadata};
use record::{
    Error, Id, KeySet, Listed, Plan, Result, ServicePlan, escape, folder, list, quote, spki,
    with_commands,
};
use terminal::report::Report;

/// What the command line says.
#[derive(Debug, Clone, Default, Args)]
pub struct MetadataArgs {
    /// What a node of Windows Host Guardian Service publishes: its metadata.xml
    #[arg(long = "metadata", value_name = "NODE=FILE", value_parser = file_of)]
    pub files: Vec<(Id, PathBuf)>,
    /// With --metadata: who fetched the files, by their id in the plan
    #[arg(long = "fetched-by", value_name = "ID")]
    pub by: Option<Id>,
    /// With --metadata: where in the network they were fetched
    #[arg(long = "fetched-from", value_name = "TEXT")]
    pub from: Option<String>,
}

/// One file that the plan allows.
#[derive(Debug)]
pub struct MetadataRequest {
    node: Id,
    path: PathBuf,
    by: Id,
    from: String,
}

impl MetadataArgs {
    /// The files, in the order of the plan's nodes.
    ///
    /// # Errors
    /// [`Error::Usage`] for files without a service that publishes any, a node that is not in the
    /// plan or twice, and anybody or any place that can't be recorded.
    pub fn wanted(&self, plan: &Plan) -> Result<Vec<MetadataRequest>> {
        if self.files.is_empty() {
            return match (&self.by, &self.from) {
                (None, None) => Ok(Vec::new()),
                _ => Err(usage_error("--fetched-by or --fetched-from without --metadata")),
            };
        }
        let ServicePlan::Hgs { nodes, .. } = &plan.target else {
            return Err(usage_error(&format!(
                "--metadata, and the plan's target is {}, which publishes none",
                quote(plan.target.kind())
            )));
        };
        let by = self.by.as_ref().filter(|by| plan.has_person(by));
        let by = by.ok_or_else(|| {
            usage_error("--metadata needs --fetched-by with the id of an officer, witness or custodian of the plan")
        })?;
        let from = self.from.as_ref().filter(|from| acceptance::is_place(from));
        let from = from.ok_or_else(|| {
            usage_error(&format!(
                "--metadata needs --fetched-from: 1 to {MAX_FETCHED_FROM} characters, none of them a control character"
            ))
        })?;
        for (n, (node, _)) in self.files.iter().enumerate() {
            if !nodes.contains(node) {
                return Err(usage_error(&format!("--metadata {node}=…: no node of the plan")));
            }
            if self.files[..n].iter().any(|(before, _)| before == node) {
                return Err(usage_error(&format!("--metadata {node}=… twice")));
            }
        }
        let given = |node: &Id| self.files.iter().find(|(given, _)| given == node);
        let wanted = nodes.iter().filter_map(given).map(|(node, path)| MetadataRequest {
            node: node.clone(),
            path: path.clone(),
            by: by.clone(),
            from: from.clone(),
        });
        Ok(wanted.collect())
    }
}

fn usage_error(what: &str) -> Error {
    let remedy = "`{tenant accept REGISTRATION --metadata NODE=FILE --fetched-by ID --fetched-from TEXT}`, with --metadata for each node; or none of the three";
    Error::usage(what, with_commands(remedy))
}

/// A file whose primary certificates are the ceremony's.
pub struct MetadataFile {
    /// What the acceptance says of it.
    pub entry: Published,
    bytes: Vec<u8>,
    compared: Comparison,
}

impl MetadataFile {
    /// The file as it lies beside the acceptance.
    pub fn listed(&self) -> (String, Vec<u8>) {
        (self.entry.file_name(), self.bytes.clone())
    }
}

/// Reads every file and compares it with the keys' certificates.
///
/// # Errors
/// `METADATA-…`, `DOCUMENT-SIZE`, `DOCUMENT-LINK`, `PLAN-TARGET`; [`Error::Failed`] where a file
/// can't be read.
pub fn take(wanted: &[MetadataRequest], keys: &KeySet) -> Result<Vec<MetadataFile>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let pair = keys.pair()?;
    wanted.iter().map(|one| one.compared_with(pair)).collect()
}

impl MetadataRequest {
    /// Reads the file and compares it with the ceremony's certificates.
    ///
    /// # Errors
    /// As [`take`].
    pub fn compared_with(&self, pair: Pair) -> Result<MetadataFile> {
        let bytes = folder::read_file(&self.path, MAX_METADATA)?;
        let name = format!("{} ({})", self.node, self.path.display());
        let compared = Metadata::parse(&bytes, &name)?.compare(pair.signing, pair.encryption)?;
        Ok(MetadataFile {
            entry: Published {
                node: self.node.clone(),
                file: Listed::of(&bytes),
                fetched_by: self.by.clone(),
                fetched_from: self.from.clone(),
            },
            bytes,
            compared,
        })
    }
}

/// What was compared, what that proves and what not, and the next lines to type on Windows.
pub fn report(report: Report, plan: &Plan, taken: &[MetadataFile], pair: Pair) -> Report {
    let [signing, encryption] = [pair.signing, pair.encryption].map(spki::thumbprint);
    let mut report = report.value("signing", signing).value("encryption", encryption);
    report = report.part("WHAT THE NODES PUBLISH");
    for one in taken {
        report = said(report, one, plan);
    }
    let has = |node: &Id| taken.iter().any(|one| one.entry.node == *node);
    let nodes = plan.target.nodes().iter();
    let without: Vec<&Id> = nodes.filter(|node| !has(node)).collect();
    if !without.is_empty() {
        report = report.value("no metadata", list(without));
    }
    if !taken.is_empty() {
        report = report.line(PROVES);
    }
    let compared: Vec<&str> = taken.iter().map(|one| one.entry.node.as_str()).collect();
    next(report.data("compared", compared), plan, taken)
}

/// What metadata is worth.
const PROVES: &str = "This proves that each file names the ceremony's certificates as the primary ones. It proves neither that a file is \
    fresh, nor that it came from its node, nor that the service can decrypt with the encryption key; the proofs that the registration \
    carries of every node prove the use of the keys.";

/// What was compared of a file; a claim where an officer of the hoster has fetched it.
fn said(report: Report, one: &MetadataFile, plan: &Plan) -> Report {
    let entry = &one.entry;
    let claim = plan.hoster.has_officer(&entry.fetched_by);
    let claim = if claim { ": A CLAIM, for an officer of the hoster fetched it" } else { "" };
    let more = !one.compared.others.is_empty() || !one.compared.remarks.is_empty();
    let end = if more { ":" } else { "" };
    let mut report = report.line(format!(
        "{} publishes the ceremony's certificates as the primary ones; fetched by {} from {}{claim}{end}",
        entry.node,
        plan.name_of(&entry.fetched_by),
        escape(&entry.fetched_from)
    ));
    for other in &one.compared.others {
        report = report.line(format!(
            "  another signing certificate, not primary: {} {}",
            other.thumbprint, other.subject
        ));
    }
    let remarks = one.compared.remarks.iter();
    remarks.fold(report, |report, remark| report.line(format!("  {remark}")))
}

/// The lines for the tenant's Windows machine. Certificates are self-signed, so
/// -AllowUntrustedRoot. Ids are the only foreign text in them, and PowerShell takes those for
/// nothing else.
fn next(report: Report, plan: &Plan, taken: &[MetadataFile]) -> Report {
    let name = &plan.ceremony;
    let (when, file) = match taken.first() {
        Some(one) => (
            "You may now deploy new shielded VMs. On the machine that makes shielding data, with a copy from outbox/acceptance/:".to_owned(),
            one.entry.file_name(),
        ),
        None => (
            with_commands("You may now deploy new shielded VMs, once you have a metadata.xml with exactly the two thumbprints above (`{audit show \
             FILE}` shows them), from http://<node>/KeyProtection/service/metadata/2014-07/metadata.xml. On the machine that makes shielding \
             data:"),
            "metadata.xml".to_owned(),
        ),
    };
    report
        .part("FOR NEW SHIELDED VMS")
        .line(when)
        .line(format!("  Import-HgsGuardian -Path .\\{file} -Name {name} -AllowUntrustedRoot"))
        .line(format!(
            "  New-ShieldingDataFile -ShieldingDataFilePath .\\{name}.pdk -Owner (Get-HgsGuardian -Name <owner>) -Guardian (Get-HgsGuardian \
             -Name {name}) -VolumeIDQualifier (New-VolumeIDQualifier -VolumeSignatureCatalogFilePath <template.vsc> -VersionRule Equals) \
             -AnswerFile <unattend.xml> -Policy Shielded"
        ))
        .line("Old VMs keep their old certificates: the hoster must not remove those.")
}
