//! Signatures of people: OpenSSH signatures (SSHSIG, openssh's PROTOCOL.sshsig), as `ssh-keygen -Y
//! sign` makes them and any auditor checks them. Keyferry verifies; it never holds a person's key.

mod envelope;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::command::CommandLine;
use crate::named;
use crate::plan::Person;
use crate::{
    Error, Hash, Id, Plan, Program, Result, Rule, Side, escape, folder, quote, strict_json,
};
use envelope::Envelope;

/// The greatest size of a signature file, in bytes; real ones have less than 700.
pub const MAX_SIGNATURE: u64 = 8192;

named! {
    /// What a signature is for, by the name that `ssh-keygen -n` is given. A signature made for one
    /// purpose is none for another.
    pub enum Namespace {
        /// The plan, signed by officers of both sides.
        Plan = "keyferry-plan",
        /// Before an act that waits for signatures.
        Approval = "keyferry-approval",
        /// Releases a document.
        Document = "keyferry-document",
        /// The head of a closed log.
        Head = "keyferry-head",
        /// What a token was seen to do.
        Probe = "keyferry-probe",
    }
}

/// A signature file as it was found: where, whose it says it is, and its bytes.
pub struct SignatureFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The `<id>` of `<file>.<id>.sig`.
    pub signer: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// A valid signature of one person, as records name it.
#[strict_json]
pub struct Signed {
    /// Who signed.
    pub id: Id,
    /// SHA-256 of the signature file.
    pub signature: Hash,
}

/// What a set of valid signatures amounts to.
pub struct VerifiedSignatures {
    /// One per officer of the side asked for.
    pub officers: Vec<Signed>,
    /// One per witness; never counted.
    pub witnesses: Vec<Signed>,
}

impl VerifiedSignatures {
    /// Everyone who signed, for the record.
    pub fn everyone(&self) -> Vec<Signed> {
        self.officers.iter().chain(&self.witnesses).cloned().collect()
    }

    /// Takes the signatures as release or approval, where there are enough.
    ///
    /// # Errors
    /// `SIGNATURE-MISSING`, or `SIGNATURE-WITNESS` where witnesses' signatures stand in for
    /// officers'.
    pub fn require(&self, plan: &Plan, side: Side, what: &str) -> Result<()> {
        let (have, needed) = (self.officers.len(), plan.party(side).approvals);
        let stood_in = have + self.witnesses.len() >= needed;
        let rule = if stood_in { Rule::SignatureWitness } else { Rule::SignatureMissing };
        let named = |none, all: &[Signed]| plan.names_of(none, all.iter().map(|one| &one.id));
        let (officers, witnesses) = (named("none", &self.officers), named("", &self.witnesses));
        let others = match witnesses.is_empty() {
            true => String::new(),
            false => format!("; of witnesses, who are not counted: {witnesses}"),
        };
        rule.ensure(
            have >= needed,
            format!("{what}: valid signatures of the {side}'s officers: {officers}{others}"),
            format!("signatures of {needed} officers of the {side}"),
            format!("the {side}'s officers sign, on their own machines, with `{}`; copy the .sig files beside what they sign", officer_line(Namespace::Document)),
        )
    }
}

/// What a signature file says of itself; nothing of it is verified.
#[derive(Serialize)]
pub struct Description {
    /// What it was made for: the name of a [`Namespace`], or a foreign one.
    pub namespace: String,
    /// The algorithm of the key that made it.
    pub algorithm: String,
    /// The public key, as an allowed-signers file has it: algorithm and base64.
    pub openssh: String,
    /// Its fingerprint, as `ssh-keygen -l` shows it.
    #[serde(rename = "key")]
    pub fingerprint: String,
    /// Of a FIDO2 key: whether it says that its holder touched it.
    pub touched: Option<bool>,
}

/// Reads a signature file without a plan that says who may sign.
///
/// # Errors
/// `SIGNATURE-FORMAT`, `SIGNATURE-TRAILING`.
pub fn describe(file: &SignatureFile) -> Result<Description> {
    Envelope::parse(file)?.describe()
}

/// Verifies every signature file over a message. One that is wrong in any way refuses the whole
/// set.
///
/// # Errors
/// The `SIGNATURE-…` rule that the first wrong file breaks.
pub fn verify(
    plan: &Plan,
    side: Side,
    namespace: Namespace,
    message: &[u8],
    files: &[SignatureFile],
) -> Result<VerifiedSignatures> {
    let mut verified = VerifiedSignatures { officers: Vec::new(), witnesses: Vec::new() };
    for (signed, role) in verify_each(plan, namespace, message, files)? {
        match role {
            Role::Officer(of) if of == side => verified.officers.push(signed),
            Role::Witness => verified.witnesses.push(signed),
            Role::Officer(of) => {
                let remedy = "remove this signature; the officers of the side that made the document sign it";
                return Err(side_error(&plan.name_of(&signed.id), of, side, remedy));
            }
        }
    }
    Ok(verified)
}

fn side_error(name: &str, of: Side, side: Side, remedy: &str) -> Error {
    let found = format!("{name} is an officer of the {of}");
    Rule::SignatureSide.refuse(found, format!("officers of the {side}"), remedy)
}

/// Whether a person of the plan has a key to sign with, for this side where one is named.
///
/// # Errors
/// `SIGNATURE-UNKNOWN`, `SIGNATURE-SIDE`.
pub fn ensure_signer(plan: &Plan, id: &Id, side: Option<Side>) -> Result<()> {
    match (named(plan, id.as_str(), "a signature file")?.1, side) {
        (Role::Officer(of), Some(side)) if of != side => {
            Err(side_error(&plan.name_of(id), of, side, "the officers of that side sign it"))
        }
        _ => Ok(()),
    }
}

/// Verifies the signatures over a plan: enough officers of both sides, and perhaps witnesses.
///
/// # Errors
/// As [`verify`], and `SIGNATURE-MISSING`.
pub fn verify_plan(plan: &Plan, files: &[SignatureFile]) -> Result<Vec<Signed>> {
    let all = verify_each(plan, Namespace::Plan, plan.bytes(), files)?;
    for side in Side::ALL {
        let of = |role: Role| {
            let signed = all.iter().filter(|(_, of)| *of == role);
            signed.map(|(signed, _)| signed.clone()).collect()
        };
        let (officers, witnesses) = (of(Role::Officer(side)), of(Role::Witness));
        VerifiedSignatures { officers, witnesses }.require(plan, side, "the plan")?;
    }
    Ok(all.into_iter().map(|(signed, _)| signed).collect())
}

/// Verifies the signatures of anybody of the plan, however few, of either side.
///
/// # Errors
/// As [`verify`].
pub fn verify_any(
    plan: &Plan,
    namespace: Namespace,
    message: &[u8],
    files: &[SignatureFile],
) -> Result<Vec<Signed>> {
    let all = verify_each(plan, namespace, message, files)?;
    Ok(all.into_iter().map(|(signed, _)| signed).collect())
}

fn verify_each(
    plan: &Plan,
    namespace: Namespace,
    message: &[u8],
    files: &[SignatureFile],
) -> Result<Vec<(Signed, Role)>> {
    let mut all = Vec::new();
    for file in files {
        let (person, role) = named(plan, &file.signer, &folder::shown(&file.path))?;
        Envelope::parse(file)?.check(plan, person, (namespace, message), files)?;
        all.push((Signed { id: person.id.clone(), signature: Hash::of(&file.bytes) }, role));
    }
    Ok(all)
}

/// The signature files that lie beside a file: `<file>.<id>.sig`, in the order of their names.
///
/// # Errors
/// As [`folder::read_file`].
pub fn beside(file: &Path) -> Result<Vec<SignatureFile>> {
    let (name, parent) = (folder::file_name(file), folder::parent(file));
    let mut found = Vec::new();
    for other in folder::names(parent)? {
        if let Some(signer) = signer_of(&other, &name) {
            let path = parent.join(&other);
            let bytes = folder::read_file(&path, MAX_SIGNATURE)?;
            found.push(SignatureFile { path, signer: signer.to_owned(), bytes });
        }
    }
    found.sort_by(|a, b| a.signer.cmp(&b.signer));
    Ok(found)
}

/// The signatures among the files of a folder that lie beside the one of this name.
pub fn among<'f>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'f String, &'f Vec<u8>)>,
    file: &str,
) -> Vec<SignatureFile> {
    let signature = |(name, bytes): (&String, &Vec<u8>)| {
        let signer = signer_of(name, file)?.to_owned();
        Some(SignatureFile { path: folder.join(name), signer, bytes: bytes.clone() })
    };
    files.into_iter().filter_map(signature).collect()
}

/// The `<id>` where a name is `<file>.<id>.sig`.
pub fn signer_of<'a>(name: &'a str, file: &str) -> Option<&'a str> {
    let signer = name.strip_prefix(file)?.strip_prefix('.')?.strip_suffix(".sig")?;
    (!signer.is_empty() && !signer.contains('.')).then_some(signer)
}

/// The allowed-signers file of a plan (ssh-keygen(1), ALLOWED SIGNERS): officers and witnesses, for
/// Keyferry's namespaces only.
pub fn allowed_signers(plan: &Plan) -> String {
    let line =
        |person: &Person| format!("{} namespaces=\"keyferry-*\" {}\n", person.id, person.openssh);
    people(plan).map(|(person, _)| line(person)).collect()
}

/// Whether enough officers of this side have signed a file of its own; else who can, and how.
///
/// # Errors
/// [`Error::Waiting`] with the exact lines.
pub fn enough(
    plan: &Plan,
    side: Side,
    namespace: Namespace,
    file: &Path,
    verified: &VerifiedSignatures,
) -> Result<()> {
    let party = plan.party(side);
    let missing = party.approvals.saturating_sub(verified.officers.len());
    if missing == 0 {
        return Ok(());
    }
    let signed = |id: &Id| verified.officers.iter().any(|officer| officer.id == *id);
    let line = |Person { id, .. }: &Person| {
        let line = officer_line(namespace).with("YOUR-ID", id.as_str());
        format!("  {}\n    {line}", plan.name_of(id))
    };
    let lines = party.officers.iter().filter(|officer| !signed(&officer.id)).map(line);
    let copy = match namespace {
        Namespace::Document => format!("the folder {}", folder::parent(file).display()),
        _ => file.display().to_string(),
    };
    Err(Error::Waiting {
        what: format!(
            "waiting for {missing} more of {} signatures over {}.\nCopy {copy} to the officers' own machines. FOLDER is where it lies there, PLAN their own copy of the plan; one of them types:\n{}\n  or, without keyferry-officer, beside the file:\n    {}\nBring the .sig files back beside {}, then run this command again",
            party.approvals,
            file.display(),
            lines.collect::<Vec<_>>().join("\n"),
            bare_line(namespace, folder::file_name(file)),
            file.display(),
        ),
    })
}

/// The line by which a person signs what lies in a folder, or a file, on their own machine.
pub fn officer_line(namespace: Namespace) -> CommandLine {
    let line = Program::Officer.line("sign FOLDER --as YOUR-ID --key KEY");
    if namespace == Namespace::Plan { line } else { line.and("--plan PLAN") }
}

/// The line that makes the same signature of a file without Keyferry.
pub fn bare_line(namespace: Namespace, file: impl AsRef<OsStr>) -> CommandLine {
    let line = Program::SshKeygen.line("-Y sign -n PURPOSE -f KEY < FILE > FILE.YOUR-ID.sig");
    line.with("PURPOSE", namespace.name()).with("FILE", file)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Officer(Side),
    Witness,
}

fn people(plan: &Plan) -> impl Iterator<Item = (&Person, Role)> {
    let officers = Side::ALL.into_iter().flat_map(|side| {
        plan.party(side).officers.iter().map(move |person| (person, Role::Officer(side)))
    });
    officers.chain(
        plan.witnesses.iter().filter_map(|witness| Some((witness.person.as_ref()?, Role::Witness))),
    )
}

fn named<'a>(plan: &'a Plan, signer: &str, what: &str) -> Result<(&'a Person, Role)> {
    people(plan).find(|(person, _)| person.id.as_str() == signer).ok_or_else(|| {
        Rule::SignatureUnknown.refuse(
            format!("{what}, named after {}", quote(&escape(signer))),
            "the id of an officer, or of a witness with a key, of the plan",
            "remove the file, or give it the name <file>.<id>.sig of the person who made it",
        )
    })
}
