//! What a node publishes against what the ceremony carried.

use serde::Serialize;

use crate::service::metadata::{Metadata, Signature};
use crate::{Result, Rule, escape, spki};

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 6931, 2.3.2): the one algorithm that is tried.
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// How much of a foreign text is shown, in characters.
const SHOWN: usize = 200;

/// A certificate for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// SHA-1 of its DER, upper-case hex.
    pub thumbprint: String,
    /// Its subject, escaped.
    pub subject: String,
}

impl Certificate {
    /// Names a certificate; bytes that are none have a thumbprint all the same.
    pub fn of(der: &[u8]) -> Self {
        let subject = spki::subject_and_key(der).map(|(subject, _)| subject);
        Certificate {
            thumbprint: spki::thumbprint(der),
            subject: subject
                .map_or("not a certificate that can be read".into(), |text| shown(&text)),
        }
    }
}

/// What is left to say of metadata whose primary certificates are the ceremony's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Signing certificates that the node knows besides.
    pub others: Vec<Certificate>,
    /// What was seen of the signatures in the file, and what was not judged, one sentence each,
    /// escaped.
    pub remarks: Vec<String>,
}

impl Metadata {
    /// Compares the primary certificates with the ceremony's, byte for byte, in DER.
    ///
    /// # Errors
    /// `METADATA-CERTIFICATE`, naming each role that differs.
    pub fn compare(&self, signing: &[u8], encryption: &[u8]) -> Result<Comparison> {
        let roles = [
            ("signing", self.signing.as_slice(), signing),
            ("encryption", self.encryption.as_slice(), encryption),
        ];
        let wrong = roles.into_iter().filter(|(_, found, expected)| found != expected);
        let (found, expected): (Vec<_>, Vec<_>) = wrong
            .map(|(role, found, expected)| {
                let name = |der| format!("{role} {}", spki::thumbprint(der));
                (name(found), name(expected))
            })
            .unzip();
        Rule::MetadataCertificate.ensure(
            found.is_empty(),
            format!("{} publishes as primary: {}", self.name, found.join(", ")),
            format!("the ceremony's: {}", expected.join(", ")),
            self.hint(signing, encryption),
        )?;
        Ok(Comparison { others: self.others(), remarks: self.remarks() })
    }

    /// What probably happened, and what to do about it.
    fn hint(&self, signing: &[u8], encryption: &[u8]) -> &'static str {
        let held = |der: &[u8]| self.other_signing.iter().any(|other| other == der);
        if self.signing == encryption && self.encryption == signing {
            return "the two are swapped: the hoster must make each primary for its own role, then fetch the file again";
        }
        if self.signing == self.encryption {
            return "one certificate is published for both roles: the hoster must make each primary for its own role, then fetch the file again";
        }
        if self.signing != signing && held(signing) {
            return "the ceremony's signing certificate is there, but not as the primary one: the hoster must finish `primary`, or has gone \
                back; then fetch the file again";
        }
        "check that the file is this node's and was fetched after `primary`; if it was, the service uses other keys: accept nothing, \
         deploy nothing, and ask the hoster"
    }

    /// The signing certificates that are there and not primary.
    pub fn others(&self) -> Vec<Certificate> {
        self.other_signing.iter().map(|der| Certificate::of(der)).collect()
    }

    /// What was seen of the signatures in the file, and what was not judged.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![
            self.judged("encryption certificate", &self.encryption_signature, &self.encryption),
            self.judged("signing certificate", &self.signing_signature, &self.signing),
        ];
        let algorithm = self.file_algorithm.as_deref().map_or("none".into(), shown);
        remarks.push(format!(
            "the signature over the whole file is not verified here; it names the algorithm {algorithm}"
        ));
        let names = self.extensions.iter().map(|name| shown(name));
        remarks.extend(
            names.map(|name| format!("the file has an extension that is not judged: {name}")),
        );
        remarks
    }

    /// What the bytes are that the service signs is not documented. So a signature that fits the
    /// plain DER is worth saying, and one that does not fit says nothing.
    fn judged(&self, what: &str, signature: &Signature, der: &[u8]) -> String {
        let signature_of = format!("the signature over the {what}");
        if signature.algorithm != RSA_SHA256 {
            return format!(
                "{signature_of} is not judged: the algorithm {} is not one that is known here",
                shown(&signature.algorithm)
            );
        }
        let key = spki::subject_and_key(&self.signing).map(|(_, key)| key);
        match key.is_some_and(|key| spki::verifies(&key, der, &signature.value)) {
            true => format!("{signature_of} is by the published signing certificate's key"),
            false => format!(
                "{signature_of} is not judged: it does not fit the plain certificate, and what else the service signs is not documented"
            ),
        }
    }
}

/// Foreign text, escaped and cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", escape(&cut))
}
