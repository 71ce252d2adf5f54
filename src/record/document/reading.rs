//! Taking a document: its folder is read once, every byte is accounted for, and its sender's
//! officers have released it, or nothing is taken.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Error, Result,
    document::{
        Body, Document, Header,
        acceptance::Acceptance,
        challenge::Challenge,
        closing::Closing,
        files::{check_files, limit, missing},
        keys::TargetKeys,
        offer::Offer,
        package::Package,
        receipt::Receipt,
        registration::Registration,
    },
    encoding::Hash,
    escape::quote,
    folder,
    plan::Plan,
    rule::Rule,
    signature::{self, Namespace, SignatureFile, VerifiedSignatures, signer_of},
    terms::{FORMAT, Kind},
};

/// A document whose bytes, files and header hold, with the signatures beside it.
pub struct Received<B> {
    /// The document.
    pub document: Document<B>,
    /// SHA-256 of its bytes: its identity.
    pub hash: Hash,
    /// Every file of its folder, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The valid signatures of people over its bytes.
    pub signatures: VerifiedSignatures,
}

impl<B: Body> Received<B> {
    /// What this kind says.
    pub fn body(&self) -> &B {
        &self.document.body
    }

    /// The document's bytes, as signed.
    pub fn bytes(&self) -> &[u8] {
        self.file(&B::KIND.file())
    }

    /// A file of the document; every listed file is there.
    pub fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes the document only if its sender's officers have released it.
    ///
    /// # Errors
    /// `SIGNATURE-MISSING` or `SIGNATURE-WITNESS`.
    pub fn released(self, plan: &Plan) -> Result<Released<B>> {
        self.signatures.require(plan, B::KIND.side(), &format!("the {}", B::KIND))?;
        Ok(Released(self))
    }

    /// Whether the document answers the one that this side sent.
    ///
    /// # Errors
    /// `DOCUMENT-ANSWERS`.
    pub fn answering(&self, sent: Hash) -> Result<()> {
        if self.document.header.answers == Some(sent) {
            return Ok(());
        }
        let found = self.document.header.answers.map_or("nothing".into(), |hash| hash.to_string());
        Err(Rule::DocumentAnswers.refuse(
            format!("a {} that answers {found}", B::KIND),
            format!("one that answers {sent}"),
            "ask the sender for the document of this ceremony and attempt",
        ))
    }

    /// Takes the document only if its attempt is not below one that was seen.
    ///
    /// # Errors
    /// `DOCUMENT-ATTEMPT`.
    pub fn not_before(self, seen: u32) -> Result<Self> {
        let attempt = self.document.header.attempt;
        if attempt >= seen {
            return Ok(self);
        }
        Err(Rule::DocumentAttempt.refuse(
            format!("a {} of attempt {attempt}", B::KIND),
            format!("attempt {seen} or later"),
            "ask the sender for the document of the current attempt; destroy this copy",
        ))
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

impl<B: Body> Released<B> {
    /// Takes the document only if it is the one that the log names.
    ///
    /// # Errors
    /// `DOCUMENT-HASH`.
    pub fn being(self, hash: Hash) -> Result<Self> {
        if self.hash == hash {
            return Ok(self);
        }
        Err(Rule::DocumentHash.refuse(
            format!("a {} with SHA-256 {}", B::KIND, self.hash),
            format!("the one that was checked, {hash}"),
            "copy the folder again from its sender's outbox, and find out what changed it",
        ))
    }
}

/// Reads a document from its folder and checks everything that does not depend on this side's log.
///
/// # Errors
/// `DOCUMENT-…` and `SIGNATURE-…` rules, each saying what was found.
pub fn read<B: Body>(folder: &Path, plan: &Plan) -> Result<Received<B>> {
    let main = B::KIND.file();
    let files = folder::read_folder(folder, |name| limit(name, &main, plan))?;
    let bytes = files.get(&main).ok_or_else(|| missing(folder, &main))?;
    // The kind first: another document's fields would only confuse.
    check_header(B::KIND, &header_of(bytes, &main)?, plan)?;
    let document: Document<B> =
        serde_json::from_slice(bytes).map_err(|error| not_format(&main, &error))?;
    document.body.check(&document.header, plan).map_err(|(found, expected)| {
        Rule::DocumentContent.refuse(
            format!("the {}: {found}", B::KIND),
            expected,
            "ask the sender how this came about; do not go on with this document",
        )
    })?;
    check_files(folder, &document, &files)?;
    let signatures = signature::verify(
        plan,
        B::KIND.side(),
        Namespace::Document,
        bytes,
        &people(&files, &main),
    )?;
    Ok(Received { hash: Hash::of(bytes), document, signatures, files })
}

/// The files of a document of any kind, checked as [`read`] does, and its hash.
///
/// # Errors
/// As [`read`].
pub fn read_files(
    kind: Kind,
    folder: &Path,
    plan: &Plan,
) -> Result<(Hash, BTreeMap<String, Vec<u8>>)> {
    fn of<B: Body>(folder: &Path, plan: &Plan) -> Result<(Hash, BTreeMap<String, Vec<u8>>)> {
        let received = read::<B>(folder, plan)?;
        Ok((received.hash, received.files))
    }
    match kind {
        Kind::Offer => of::<Offer>(folder, plan),
        Kind::Package => of::<Package>(folder, plan),
        Kind::Keys => of::<TargetKeys>(folder, plan),
        Kind::Challenge => of::<Challenge>(folder, plan),
        Kind::Receipt => of::<Receipt>(folder, plan),
        Kind::Registration => of::<Registration>(folder, plan),
        Kind::Acceptance => of::<Acceptance>(folder, plan),
        Kind::Closing => of::<Closing>(folder, plan),
    }
}

fn people(files: &BTreeMap<String, Vec<u8>>, main: &str) -> Vec<SignatureFile> {
    let signature = |(name, bytes): (&String, &Vec<u8>)| {
        Some(SignatureFile { signer: signer_of(name, main)?.to_owned(), bytes: bytes.clone() })
    };
    files.iter().filter_map(signature).collect()
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
    let any: Any = serde_json::from_slice(bytes).map_err(|error| not_format(name, &error))?;
    Ok(any.header)
}

fn check_header(kind: Kind, header: &Header, plan: &Plan) -> Result<()> {
    let again = "ask the sender for the document of this ceremony";
    let differs = |rule: Rule, found: String, expected: String| {
        Err(rule.refuse(format!("the {kind}: {found}"), expected, again))
    };
    if header.format != FORMAT {
        return differs(
            Rule::DocumentFormat,
            format!("format {}", quote(&header.format)),
            FORMAT.into(),
        );
    }
    if header.document != kind {
        return differs(
            Rule::DocumentKind,
            format!("a document of the kind {}", header.document),
            kind.to_string(),
        );
    }
    if header.side != kind.side() {
        return differs(
            Rule::DocumentSide,
            format!("made by the {}", header.side),
            kind.side().to_string(),
        );
    }
    if header.mode != plan.mode {
        return differs(Rule::DocumentMode, format!("mode {}", header.mode), plan.mode.to_string());
    }
    if header.ceremony != plan.ceremony {
        return differs(
            Rule::DocumentCeremony,
            format!("ceremony {}", header.ceremony),
            plan.ceremony.to_string(),
        );
    }
    if header.plan_hash != plan.hash() {
        return differs(
            Rule::DocumentPlan,
            format!("plan {}", header.plan_hash),
            plan.hash().to_string(),
        );
    }
    if header.attempt == 0 {
        return differs(Rule::DocumentAttempt, "attempt 0".into(), "attempt 1 or later".into());
    }
    let way = plan.way;
    if !kind.crosses(way) {
        return differs(
            Rule::DocumentKind,
            "a document that this plan does not have".into(),
            format!("a document of keys that are {}", way.name()),
        );
    }
    if header.answers.is_none() != kind.answers(way).is_none() {
        return differs(
            Rule::DocumentAnswers,
            header.answers.map_or("answers nothing".into(), |hash| format!("answers {hash}")),
            kind.answers(way).map_or("an answer to nothing".into(), |kind| format!("the {kind}")),
        );
    }
    Ok(())
}

fn not_format(name: &str, error: &serde_json::Error) -> Error {
    Rule::DocumentFormat.refuse(
        format!("{name}: {}", crate::escape::escape(&error.to_string())),
        "JSON with exactly the fields of the format",
        "copy the folder again from its sender's outbox",
    )
}
