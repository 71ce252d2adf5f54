//! Certificates and public keys in files that people bring: other programs wrap the same DER in
//! PEM of any width, in bare base64, in a text of Windows', as PKCS#1, with the chain behind it. It
//! is taken wherever there is one meaning, and is DER from then on; the rest is refused as what it
//! is, with the line that converts it.

pub mod service;

use std::path::Path;

use data_encoding::BASE64;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::EncodePublicKey;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader, Tag};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use record::command::with_file;
use record::{Error, Result, Rule, escape, folder, quote, text};

/// The greatest size of a file that is brought, in bytes: a chain, in UTF-16.
pub const MAX_BROUGHT: u64 = 64 << 10;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// A certificate, DER.
    Certificate(Vec<u8>),
    /// A public key, DER SubjectPublicKeyInfo.
    PublicKey(Vec<u8>),
}

/// Why a file holds neither, or not one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What it is instead.
    pub found: String,
    /// What to do; `FILE` stands for the file, and commands are in braces.
    pub remedy: &'static str,
}

fn misfit(found: impl Into<String>, remedy: &'static str) -> Misfit {
    Misfit { found: found.into(), remedy }
}

type Fits<T> = std::result::Result<T, Misfit>;

const EITHER: &str = "one certificate or public key, in DER or PEM";
const LOOK: &str = "look at it: {openssl x509 -in FILE -text}, or {openssl pkey -pubin -in FILE -text}; take it once more from whoever made it";

/// Reads a file with a certificate or a public key.
///
/// # Errors
/// Refuses by `rule`; what reading a file can end with.
pub fn read(path: &Path, rule: Rule) -> Result<Brought> {
    parse(&folder::read_file(path, MAX_BROUGHT)?)
        .map_err(|misfit| misfit.refuse(path, rule, EITHER))
}

/// Reads a file with a certificate; DER.
///
/// # Errors
/// As [`read`].
pub fn certificate(path: &Path, rule: Rule) -> Result<Vec<u8>> {
    let (expected, remedy) = ("one certificate, in DER or PEM", "give the certificate of this key");
    match read(path, rule)? {
        Brought::Certificate(der) => Ok(der),
        Brought::PublicKey(_) => Err(misfit("a public key", remedy).refuse(path, rule, expected)),
    }
}

/// Reads a file with a public key; DER SubjectPublicKeyInfo.
///
/// # Errors
/// As [`read`].
pub fn public_key(path: &Path, rule: Rule) -> Result<Vec<u8>> {
    let remedy =
        "is it the right file? The public key in it: {openssl x509 -in FILE -pubkey -noout > NEW}";
    match read(path, rule)? {
        Brought::PublicKey(spki) => Ok(spki),
        Brought::Certificate(_) => {
            Err(misfit("a certificate", remedy).refuse(path, rule, "one public key, in DER or PEM"))
        }
    }
}

impl Misfit {
    /// The refusal of a file.
    pub fn refuse(self, given: &Path, rule: Rule, expected: &str) -> Error {
        let path = folder::shown(given);
        let remedy = with_file(self.remedy, given);
        rule.refuse(format!("{path}: {}", escape(&self.found)), expected, remedy)
    }
}

/// What the bytes of a file hold.
///
/// # Errors
/// What they are instead.
pub fn parse(file: &[u8]) -> Fits<Brought> {
    // How DER of either begins (X.690, 8.14); base64 of it does not.
    if file.first() == Some(&0x30) {
        return of_der(file.to_vec());
    }
    let text = text::decoded(file).ok_or_else(|| misfit("neither a text nor DER", LOOK))?;
    if text.contains("-----BEGIN") {
        return of_blocks(blocks(&text)?);
    }
    match BASE64.decode(text.split_whitespace().collect::<String>().as_bytes()) {
        Ok(der) if !der.is_empty() => of_der(der),
        _ => Err(other_text(&text)),
    }
}

/// The certificates of a file in PEM, in their order, DER; none where there is anything else.
pub fn chain(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blocks = blocks(&text::decoded(file)?).ok()?;
    let of = |(label, der): (String, Vec<u8>)| (label == "CERTIFICATE").then_some(der);
    blocks.into_iter().map(of).collect()
}

/// The same in the one form that documents hold: PEM, lines of 64 that end with LF (RFC 7468, 5).
pub fn canonical_chain(certificates: Vec<Vec<u8>>) -> String {
    let ending = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let all: Vec<_> =
        certificates.into_iter().map(|der| pem::Pem::new("CERTIFICATE", der)).collect();
    all.iter().map(|one| pem::encode_config(one, ending)).collect()
}

/// The blocks of PEM in a text, by label. White space and what stands between blocks is nothing
/// (RFC 7468, 2); half a block refuses the whole.
fn blocks(text: &str) -> Fits<Vec<(String, Vec<u8>)>> {
    let broken = |why: &str| misfit(format!("PEM that is damaged or cut off: {why}"), LOOK);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join("\n");
    let blocks = pem::parse_many(&text).map_err(|error| broken(&error.to_string()))?;
    let count = |mark: &str| text.matches(mark).count();
    if [count("-----BEGIN"), count("-----END")] != [blocks.len(); 2] {
        return Err(broken("a BEGIN without its END, or the reverse"));
    }
    let block = |block: pem::Pem| (block.tag().to_owned(), block.into_contents());
    Ok(blocks.into_iter().map(block).collect())
}

/// The one thing in these blocks: a certificate's chain may follow it.
fn of_blocks(blocks: Vec<(String, Vec<u8>)>) -> Fits<Brought> {
    if let Some((label, _)) = blocks.iter().find(|(label, _)| label.contains("PRIVATE KEY")) {
        return Err(private_key(label));
    }
    let found = blocks.into_iter().map(|(label, der)| of_block(&label, der));
    let found = found.collect::<Fits<Vec<_>>>()?;
    if !found.windows(2).all(|pair| issues(&pair[1], &pair[0])) {
        let what = format!("{} certificates or public keys that are no chain", found.len());
        let remedy = "leave the one that is meant in the file, alone or with its issuers behind it";
        return Err(misfit(what, remedy));
    }
    found.into_iter().next().ok_or_else(|| misfit("PEM without a block", LOOK))
}

/// Whether a certificate is one of those that may stand behind another.
fn issues(next: &Brought, below: &Brought) -> bool {
    let (Brought::Certificate(next), Brought::Certificate(below)) = (next, below) else {
        return false;
    };
    let (Ok(next), Ok(below)) = (Certificate::from_der(next), Certificate::from_der(below)) else {
        return false;
    };
    let (next, below) = (next.tbs_certificate(), below.tbs_certificate());
    let constraints = next.get_extension::<BasicConstraints>().ok().flatten();
    below.issuer() == next.subject() || constraints.is_some_and(|(_, one)| one.ca)
}

fn of_block(label: &str, der: Vec<u8>) -> Fits<Brought> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "PUBLIC KEY" | "RSA PUBLIC KEY" => of_der(der),
        "TRUSTED CERTIFICATE" => Err(misfit(
            "a certificate with OpenSSL's own trust behind it (BEGIN TRUSTED CERTIFICATE)",
            "{openssl x509 -in FILE -out NEW}",
        )),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Err(misfit(
            "a request for a certificate, not the certificate",
            "the public key in it: {openssl req -in FILE -pubkey -noout > NEW}",
        )),
        "PKCS7" | "CMS" => Err(misfit(
            "PKCS#7, a bag of certificates",
            "{openssl pkcs7 -in FILE -print_certs -out NEW}; leave the one that is meant in it",
        )),
        other if other.contains("SSH") => Err(ssh()),
        other => Err(misfit(format!("PEM of another kind: {}", quote(other)), LOOK)),
    }
}

fn private_key(label: &str) -> Misfit {
    misfit(
        format!("a private key ({label}): it must not be on this machine as a file"),
        "if it is a real key, stop: it was outside of its HSM. The public half alone: {openssl pkey -in FILE -pubout > NEW}",
    )
}

fn ssh() -> Misfit {
    misfit("an SSH key", "{ssh-keygen -e -m PKCS8 -f FILE > NEW}")
}

/// What DER holds.
fn of_der(der: Vec<u8>) -> Fits<Brought> {
    if let Ok(certificate) = Certificate::from_der(&der) {
        // Whatever is verified is what is there.
        return match certificate.to_der().is_ok_and(|again| again == der) {
            true => Ok(Brought::Certificate(der)),
            false => Err(misfit("a certificate in another encoding than DER", LOOK)),
        };
    }
    if SubjectPublicKeyInfoRef::from_der(&der).is_ok() {
        return Ok(Brought::PublicKey(der));
    }
    let key = rsa::PublicKey::from_pkcs1_der(&der).ok();
    match key.and_then(|key| key.to_public_key_der().ok()) {
        Some(spki) => Ok(Brought::PublicKey(spki.into_vec())),
        None => Err(other_der(&der)),
    }
}

/// DER that is neither: by what it begins with.
fn other_der(der: &[u8]) -> Misfit {
    let first = || {
        let mut reader = SliceReader::new(der).ok()?;
        let whole = Header::decode(&mut reader).ok().filter(|all| all.tag() == Tag::Sequence)?;
        let rest = usize::try_from(reader.remaining_len()).ok()?;
        let fits = usize::try_from(whole.length()).ok()? <= rest;
        let inner = der.get(der.len() - rest..)?;
        fits.then(|| inner.first_chunk::<3>().copied())
    };
    match first() {
        None => misfit("neither a text nor DER, or cut off", LOOK),
        Some(Some([2, 1, 0 | 1])) => private_key("DER"),
        Some(Some([2, 1, 3])) => misfit(
            "PKCS#12 (.pfx, .p12), which holds a private key",
            "{openssl pkcs12 -in FILE -nokeys -clcerts -out NEW}; and ask why a private key lies in a file",
        ),
        Some(Some([6, ..])) => misfit(
            "PKCS#7 (.p7b), a bag of certificates",
            "{openssl pkcs7 -inform DER -in FILE -print_certs -out NEW}; leave the one that is meant in it",
        ),
        Some(_) => misfit("DER of another kind, or damaged", LOOK),
    }
}

/// A text that is neither PEM nor base64.
fn other_text(text: &str) -> Misfit {
    let text = text.trim();
    if ["ssh-", "ecdsa-", "sk-", "---- BEGIN SSH2"].iter().any(|begin| text.starts_with(begin)) {
        return ssh();
    }
    if text.starts_with("age1") || text.starts_with("AGE-") {
        return misfit(
            "an age recipient or identity",
            "give the file of the certificate or public key",
        );
    }
    if text.starts_with('{') {
        let line = "take the field out: {jq -r .PublicKey FILE > NEW} (or .publicKey.pem, as the service calls it)";
        return misfit("JSON", line);
    }
    if text::typographic(text).is_some() {
        return misfit("a text with curly quotes or long dashes, made by an editor", LOOK);
    }
    misfit("a text that is neither PEM nor base64", LOOK)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
