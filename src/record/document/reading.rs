//! Taking a document: its folder is read once, every byte is accounted for, and its sender's
//! officers have released it, or nothing is taken.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use crate::document::files::{check_files, limit, missing_error};
use crate::document::{Body, Document, Header};
use crate::signature::{self, Namespace, VerifiedSignatures};
use crate::{Error, FORMAT, Hash, Kind, Plan, Result, Rule, folder, quote};

/// A document whose bytes, files and header hold, with the signatures beside it; of any kind, where
/// what it says is `dyn Any`.
pub struct Received<B: ?Sized> {
    /// SHA-256 of its bytes: its identity.
    pub hash: Hash,
    /// Every file of its folder, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The valid signatures of people over its bytes.
    pub signatures: VerifiedSignatures,
    /// The document.
    pub document: Document<B>,
}

impl<B: ?Sized> Received<B> {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.document.header.document
    }

    /// What this kind says.
    pub fn body(&self) -> &B {
        &self.document.body
    }

    /// The document's bytes, as signed.
    pub fn bytes(&self) -> &[u8] {
        self.file(&self.kind().file())
    }

    /// A file of the document; every listed file is there.
    pub fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether the document answers the one that this side sent.
    ///
    /// # Errors
    /// `DOCUMENT-ANSWERS`.
    pub fn answering(&self, sent: Hash) -> Result<()> {
        let answers = self.document.header.answers;
        let found = answers.map_or("nothing".into(), |hash| hash.to_string());
        Rule::DocumentAnswers.ensure(
            answers == Some(sent),
            format!("a {} that answers {found}", self.kind()),
            format!("one that answers {sent}"),
            "ask the sender for the document of this ceremony and attempt",
        )
    }
}

impl<B> Received<B> {
    /// Takes the document only if its sender's officers have released it.
    ///
    /// # Errors
    /// `SIGNATURE-MISSING` or `SIGNATURE-WITNESS`.
    pub fn released(self, plan: &Plan) -> Result<Released<B>> {
        let kind = self.kind();
        self.signatures.require(plan, kind.side(), &format!("the {kind}"))?;
        Ok(Released(self))
    }

    /// Takes the document only if its attempt is not below one that was seen.
    ///
    /// # Errors
    /// `DOCUMENT-ATTEMPT`.
    pub fn not_before(self, seen: u32) -> Result<Self> {
        let attempt = self.document.header.attempt;
        Rule::DocumentAttempt.ensure(
            attempt >= seen,
            format!("a {} of attempt {attempt}", self.kind()),
            format!("attempt {seen} or later"),
            "ask the sender for the document of the current attempt; destroy this copy",
        )?;
        Ok(self)
    }
}

/// A document that its sender's officers have released: the only kind that a step acts on.
pub struct Released<B>(Received<B>);

impl<B> std::ops::Deref for Released<B> {
    type Target = Received<B>;

    fn deref(&self) -> &Received<B> {
        &self.0
    }
}

impl<B> Released<B> {
    /// Takes the document only if it is the one that the log names.
    ///
    /// # Errors
    /// `DOCUMENT-HASH`.
    pub fn being(self, hash: Hash) -> Result<Self> {
        Rule::DocumentHash.ensure(
            self.hash == hash,
            format!("a {} with SHA-256 {}", self.kind(), self.hash),
            format!("the one that was checked, {hash}"),
            "copy the folder again from its sender's outbox, and find out what changed it",
        )?;
        Ok(self)
    }
}

/// A document and the files of its folder, by their names.
type Unsigned<B> = (Document<B>, BTreeMap<String, Vec<u8>>);

/// Reads a document from its folder and checks everything that does not depend on this side's log.
///
/// # Errors
/// `DOCUMENT-…` and `SIGNATURE-…` rules, each saying what was found.
pub fn read<B: Body>(folder: &Path, plan: &Plan) -> Result<Received<B>> {
    let (kind, main) = (B::KIND, B::KIND.file());
    let (document, files) = read_unsigned::<B>(folder, plan)?;
    let bytes = files.get(&main).ok_or_else(|| missing_error(folder, &main))?;
    let people = signature::among(folder, &files, &main);
    let signatures = signature::verify(plan, kind.side(), Namespace::Document, bytes, &people)?;
    Ok(Received { hash: Hash::of(bytes), document, signatures, files })
}

/// All that [`read`] checks but the signatures of people.
fn read_unsigned<B: Body>(folder: &Path, plan: &Plan) -> Result<Unsigned<B>> {
    let (kind, main) = (B::KIND, B::KIND.file());
    let files = folder::read_folder(folder, |name| limit::<B>(name, plan))?;
    let bytes = files.get(&main).ok_or_else(|| missing_error(folder, &main))?;
    // The kind first: another document's fields would only confuse.
    check_header(kind, &header_of(bytes, &main)?, plan)?;
    let document: Document<B> =
        serde_json::from_slice(bytes).map_err(|error| format_error(&main, &error))?;
    document.body.check(&document.header, plan).map_err(|(found, expected)| {
        Rule::DocumentContent.refuse(
            format!("the {kind}: {found}"),
            expected,
            "ask the sender how this came about; do not go on with this document",
        )
    })?;
    check_files(folder, &document, &files)?;
    Ok((document, files))
}

/// Reads a document of any kind that people are about to sign, as [`read`] does but for who has
/// signed it: its header, and the files of its folder.
///
/// # Errors
/// `DOCUMENT-…` rules.
pub fn read_to_sign(
    kind: Kind,
    folder: &Path,
    plan: &Plan,
) -> Result<(Header, BTreeMap<String, Vec<u8>>)> {
    of_kind!(kind, B => {
        let (document, files) = read_unsigned::<B>(folder, plan)?;
        Ok((document.header, files))
    })
}

/// The header of a document that has exactly the fields of this kind.
///
/// # Errors
/// As its parser says.
pub fn header_by_kind(kind: Kind, bytes: &[u8]) -> serde_json::Result<Header> {
    of_kind!(kind, B => Ok(serde_json::from_slice::<Document<B>>(bytes)?.header))
}

/// Reads a document of any kind, as [`read`] does.
///
/// # Errors
/// As [`read`].
pub fn read_files(kind: Kind, folder: &Path, plan: &Plan) -> Result<Box<Received<dyn Any>>> {
    of_kind!(kind, B => Ok(Box::new(read::<B>(folder, plan)?)))
}

/// The header of a document of any kind.
///
/// # Errors
/// `DOCUMENT-FORMAT`.
pub fn header_of(bytes: &[u8], name: &str) -> Result<Header> {
    #[derive(serde::Deserialize)]
    struct Any {
        header: Header,
    }
    let any: Any = serde_json::from_slice(bytes).map_err(|error| format_error(name, &error))?;
    Ok(any.header)
}

fn check_header(kind: Kind, header: &Header, plan: &Plan) -> Result<()> {
    let check = |holds: bool, rule: Rule, found: String, expected: &dyn Display| {
        let remedy = "ask the sender for the document of this ceremony";
        rule.ensure(holds, format!("the {kind}: {found}"), expected.to_string(), remedy)
    };
    let Header { format, document, side, ceremony, mode, plan_hash, attempt, answers, .. } = header;
    check(format == FORMAT, Rule::DocumentFormat, format!("format {}", quote(format)), &FORMAT)?;
    let found = format!("a document of the kind {document}");
    check(*document == kind, Rule::DocumentKind, found, &kind)?;
    let found = format!("made by the {side}");
    check(*side == kind.side(), Rule::DocumentSide, found, &kind.side())?;
    check(*mode == plan.mode, Rule::DocumentMode, format!("mode {mode}"), &plan.mode)?;
    let found = format!("ceremony {ceremony}");
    check(*ceremony == plan.ceremony, Rule::DocumentCeremony, found, &plan.ceremony)?;
    let planned = plan.hash();
    check(*plan_hash == planned, Rule::DocumentPlan, format!("plan {plan_hash}"), &planned)?;
    check(*attempt != 0, Rule::DocumentAttempt, "attempt 0".into(), &"attempt 1 or later")?;
    let expected = format!("a document of keys that are {}", plan.way.name());
    let found = "a document that this plan does not have".into();
    check(kind.crosses(plan.way), Rule::DocumentKind, found, &expected)?;
    let before = kind.answers(plan.way);
    let expected = before.map_or("an answer to nothing".into(), |kind| format!("the {kind}"));
    let found = answers.map_or("answers nothing".into(), |hash| format!("answers {hash}"));
    check(answers.is_some() == before.is_some(), Rule::DocumentAnswers, found, &expected)
}

fn format_error(name: &str, error: &serde_json::Error) -> Error {
    Rule::DocumentFormat.refuse(
        format!("{name}: {}", crate::escape::escape(&error.to_string())),
        "JSON with exactly the fields of the format",
        "copy the folder again from its sender's outbox",
    )
}
