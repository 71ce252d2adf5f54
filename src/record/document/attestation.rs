//! Attestations of keys, as files beside `offer` and `keys`: kept verbatim, and judged by whoever
//! takes or audits the document.

use jiff::Timestamp;

use crate::attestation::{self, MAX_ATTESTATION, Purpose};
use crate::{
    AttestationLevel, Fits, Id, Listed, Plan, Received, Result, Rule, ensure, strict_json,
    with_commands,
};

/// How the file of an attestation ends; it begins with what it is about.
pub const ATTESTATION_END: &str = ".attestation";
/// How the file ends that holds what a vendor's own tool said of one.
pub const REPORT_END: &str = ".attestation-report";
/// The files of attestations, as [`Body::BESIDE`](super::Body::BESIDE) has them.
pub(super) const FILE: (&str, u64) = (ATTESTATION_END, MAX_ATTESTATION);
pub(super) const REPORT: (&str, u64) = (REPORT_END, MAX_ATTESTATION);
/// What the attestation of an offer is about.
pub const KEK: &str = "kek";

/// What a vendor says of a key.
#[strict_json]
pub struct Attestation {
    /// `kek`, or the key's label.
    pub of: Id,
    /// `<of>.attestation`: certificates in PEM, or whatever the vendor makes.
    pub file: Listed,
    /// `<of>.attestation-report`: what the vendor's own tool said of the file, where Keyferry
    /// cannot read it. Then it counts as what people watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Listed>,
}

impl Attestation {
    /// The names and listings of its files.
    pub fn files(&self) -> Vec<(String, Listed)> {
        let file = (format!("{}{ATTESTATION_END}", self.of), self.file.clone());
        let report = self.report.iter();
        let report = report.map(|report| (format!("{}{REPORT_END}", self.of), report.clone()));
        std::iter::once(file).chain(report).collect()
    }
}

/// Each is about one of these, in their order, once at most.
///
/// # Errors
/// What was found and what was expected.
pub(super) fn check<'a>(
    attestations: &[Attestation],
    mut of: impl Iterator<Item = &'a str>,
) -> Fits {
    let other = attestations.iter().find(|one| !of.any(|id| id == one.of.as_str()));
    let found = other.map_or(String::new(), |one| format!("an attestation of {}", one.of));
    ensure(other.is_none(), found, "one for each key at most, in the order of the keys")
}

/// A document whose keys their HSM's vendor may attest.
pub trait Attested {
    /// What the vendor says, and the keys of which it may say something.
    fn attested_keys(&self, plan: &Plan) -> (&[Attestation], Vec<AttestedKey<'_>>);

    /// What the attestations prove of the keys, as it was at a time. `file` gives a file of the
    /// document.
    ///
    /// # Errors
    /// `ATTESTATION-…`.
    fn attested<'f>(
        &self,
        file: impl Fn(&str) -> &'f [u8],
        plan: &Plan,
        at: Timestamp,
    ) -> Result<Judgement> {
        let (attestations, keys) = self.attested_keys(plan);
        let mut judged = Judgement { level: AttestationLevel::OriginAndUsage, lines: Vec::new() };
        for key in &keys {
            let found = attestations.iter().find(|one| one.of.as_str() == key.of);
            let (level, what) = match found {
                None => (AttestationLevel::Witnessed, "witnessed only".to_owned()),
                Some(one) if one.report.is_some() => (
                    AttestationLevel::Witnessed,
                    "witnessed only: an attestation that its vendor's own tool reads, with what that said"
                        .into(),
                ),
                Some(one) => {
                    let file = file(&format!("{}{ATTESTATION_END}", one.of));
                    let roots = &plan.transfer.roots;
                    let attested = attestation::judge(file, key.spki, key.purpose, at, roots)?;
                    (attested.level, attested.what)
                }
            };
            Rule::AttestationLevel.ensure(
                level >= plan.transfer.evidence,
                format!("{}: {what}", key.of),
                format!("at least {}, as the plan says", plan.transfer.evidence.said()),
                with_commands("on the hoster's machine, let the HSM attest the key (`{hoster kek create --prepare}` or `{hoster keys create --prepare}`, then the same with --attestation), or agree on a new plan with a lower `evidence`"),
            )?;
            judged.level = judged.level.min(level);
            judged.lines.push(format!("{}: {what}", key.of));
        }
        Ok(judged)
    }
}

impl<B: Attested> Received<B> {
    /// The same of a document that was received.
    ///
    /// # Errors
    /// `ATTESTATION-…`.
    pub fn attested(&self, plan: &Plan, at: Timestamp) -> Result<Judgement> {
        self.body().attested(|name| self.file(name), plan, at)
    }
}

/// What was found of a document's attestations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The least level of its keys.
    pub level: AttestationLevel,
    /// A line for each key.
    pub lines: Vec<String>,
}

/// A key that may be attested.
pub struct AttestedKey<'a> {
    /// `kek`, or the key's label.
    pub of: &'a str,
    /// Its public half, a DER SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// What it is for.
    pub purpose: Purpose,
}
