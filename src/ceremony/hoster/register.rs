//! `register`: the folder that is copied to every node of the service, with all that a node must be
//! told.

use std::path::Path;

use crate::{Ceremony, services};
use record::{
    Result,
    encoding::{Hash, json_file},
    log::Event,
    proof::key_set::certificate_file,
    service::{BRIEF_FILE, Brief},
    terms::Step,
};
use terminal::report::Report;

/// The list of hashes in the register folder.
pub const SUMS: &str = "SHA256SUMS";

/// Makes the register folder; where Keyferry itself is the way to the service, it knows the keys
/// afterwards. They are not primary.
///
/// # Errors
/// `PHASE-ORDER`, `REGISTRY-FORMAT`, `TARGET-CERTIFICATE`.
pub fn register(ceremony: &mut Ceremony, service: &Path) -> Result<Report> {
    ceremony.state.require(Step::Register)?;
    let set = ceremony.key_set()?;
    let brief = Brief::of(&ceremony.plan, &set, ceremony.state.attempt)?;
    let bytes = json_file(&brief)?;
    let hash = Hash::of(&bytes);
    let target = services::of(&ceremony.plan.target);
    let mut files = vec![(BRIEF_FILE.to_owned(), bytes)];
    let certificates = set.keys.into_iter();
    files.extend(certificates.map(|key| (certificate_file(&key.label), key.certificate)));
    let given = target.files().iter();
    files.extend(given.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
    files.sort();
    let sums: String =
        files.iter().map(|(name, bytes)| format!("{}  {name}\n", Hash::of(bytes))).collect();
    let sums_hash = Hash::of(sums.as_bytes());
    files.push((SUMS.to_owned(), sums.into_bytes()));
    ceremony.begin(Step::Register)?;
    ceremony.build_register(&files)?;
    target.register(service, &brief)?;
    ceremony.ordered(Event::Register {
        brief: hash,
        target: brief.target.clone(),
        nodes: brief.nodes.clone(),
    })?;
    let mut report = Report::new(
        "The nodes can be made ready, one after the other; nothing is primary yet.",
    )
    .value("folder", ceremony.register_folder().display().to_string())
    .value("registration", hash.to_string())
    .value("sums", sums_hash.to_string())
    .line(
        "Write the last value down: each node's script is given it, and runs with no other folder.",
    );
    report = (target.steps().iter())
        .fold(report, |report, step| report.line(format!("  {:<28} {}", step.program, step.name)));
    Ok(report.line("INSTRUCTIONS.txt in the folder says what to type."))
}
