//! A chain of certificates, as far as attestation needs RFC 5280: names, signatures, validity, who
//! may sign certificates, and no critical extension that is not understood. There are no names to
//! match and no revocation: the ceremony is offline, and roots are pinned.

use jiff::Timestamp;
use rsa::sha2::{Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5912 as oids;
use x509_cert::der::{Document, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::attestation::attestation_error;
use crate::spki::{self, PublicKey};
use crate::{Error, Hash, Result, Rule, list, quote};

/// How a certificate ends in PEM (RFC 7468, 5).
const END: &str = "-----END CERTIFICATE-----";
/// More than any vendor's chain has.
const MOST_CERTIFICATES: usize = 8;

/// Certificates, each issued by the one after it. Not yet verified.
pub(super) struct Chain {
    certificates: Vec<Certificate>,
    /// SHA-256 of the last one, the root's, in DER.
    pub root: Hash,
}

impl Chain {
    /// # Errors
    /// `ATTESTATION-FORMAT`.
    pub fn parse(pem: &[u8]) -> Result<Self> {
        let format = |found: String| {
            let expected =
                "certificates in PEM: the key's own, then each issuer's, the root's last";
            attestation_error(Rule::AttestationFormat, found, expected)
        };
        let text = std::str::from_utf8(pem).map_err(|error| format(error.to_string()))?;
        let (mut certificates, mut root, mut rest) = (Vec::new(), None, text.trim_start());
        while !rest.is_empty() {
            let end = rest.find(END).ok_or_else(|| {
                format("text that is no certificate, after the certificates".into())
            })?;
            let (one, after) = rest.split_at(end + END.len());
            let (certificate, hash) = certificate(one).map_err(format)?;
            certificates.push(certificate);
            (root, rest) = (Some(hash), after.trim_start());
        }
        match (certificates.len(), root) {
            (2..=MOST_CERTIFICATES, Some(root)) => Ok(Chain { certificates, root }),
            (other, _) => Err(format(format!("{other} certificates"))),
        }
    }

    /// The attested key's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// DER SubjectPublicKeyInfo of the attested key.
    ///
    /// # Errors
    /// `ATTESTATION-FORMAT`.
    pub fn key(&self) -> Result<Vec<u8>> {
        let key = self.leaf().tbs_certificate().subject_public_key_info();
        key.to_der().map_err(|error| {
            attestation_error(Rule::AttestationFormat, error.to_string(), "a public key in DER")
        })
    }

    /// Whether each certificate is issued by the next, all were valid at a time, and the last is a
    /// pinned root.
    ///
    /// # Errors
    /// `ATTESTATION-CHAIN`, `ATTESTATION-ROOT`.
    pub fn verify(&self, at: Timestamp, roots: &[Hash]) -> Result<()> {
        if !roots.contains(&self.root) {
            let expected = match roots.is_empty() {
                true => "a root that the plan pins in `roots`; it pins none".to_owned(),
                false => format!("one that the plan pins: {}", list(roots)),
            };
            let found = format!("a chain to the root {}", self.root);
            return Err(attestation_error(Rule::AttestationRoot, found, expected));
        }
        for certificate in &self.certificates {
            valid_at(certificate, at)?;
            known_extensions(certificate)?;
        }
        let mut pairs = self.certificates.windows(2).enumerate();
        pairs.try_for_each(|(n, pair)| issued(&pair[0], &pair[1], n))
    }
}

/// A certificate in PEM, and SHA-256 of its DER.
fn certificate(pem: &str) -> std::result::Result<(Certificate, Hash), String> {
    let (label, document) = Document::from_pem(pem).map_err(|error| error.to_string())?;
    let certificate = spki::certificate(document.as_bytes())?;
    let hash = Hash::of(document.as_bytes());
    (label == "CERTIFICATE").then_some((certificate, hash)).ok_or_else(|| quote(label))
}

fn chain_error(certificate: &Certificate, found: &str, expected: impl Into<String>) -> Error {
    let subject = certificate.tbs_certificate().subject();
    let found = format!("the certificate {subject}: {found}");
    attestation_error(Rule::AttestationChain, found, expected)
}

fn valid_at(certificate: &Certificate, at: Timestamp) -> Result<()> {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: &x509_cert::time::Time| i128::from(time.to_unix_duration().as_secs());
    let (from, until) = (seconds(&validity.not_before), seconds(&validity.not_after));
    if (from..=until).contains(&at.as_second().into()) {
        return Ok(());
    }
    let found = format!("valid from {} until {}", validity.not_before, validity.not_after);
    Err(chain_error(certificate, &found, format!("one that was valid at {at}")))
}

/// What is critical is understood (RFC 5280, 4.2).
fn known_extensions(certificate: &Certificate) -> Result<()> {
    let known = [BasicConstraints::OID, KeyUsage::OID];
    let mut extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let unknown = extensions.find(|one| one.critical && !known.contains(&one.extn_id));
    unknown.map_or(Ok(()), |unknown| {
        let found = format!("the critical extension {}", unknown.extn_id);
        let expected = "no critical extensions but basic constraints and key usage";
        Err(chain_error(certificate, &found, expected))
    })
}

/// Whether the second certificate is an authority that has issued the first; `below` authorities
/// lie between it and the key.
fn issued(certificate: &Certificate, by: &Certificate, below: usize) -> Result<()> {
    let (tbs, issuer) = (certificate.tbs_certificate(), by.tbs_certificate());
    if tbs.issuer() != issuer.subject() {
        let expected = format!("issued by {}", tbs.issuer());
        return Err(chain_error(by, "next in the chain", expected));
    }
    let constraints = issuer.get_extension::<BasicConstraints>().ok().flatten();
    let authority = constraints.is_some_and(|(_, constraints)| {
        let deep = constraints.path_len_constraint;
        constraints.ca && deep.is_none_or(|deep| below <= usize::from(deep))
    });
    let usage = issuer.get_extension::<KeyUsage>();
    let signs = usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.key_cert_sign()));
    if !authority || !signs {
        let expected = "basic constraints and key usage of one that may issue it";
        return Err(chain_error(by, "no authority over this certificate", expected));
    }
    if signed(certificate, by) {
        return Ok(());
    }
    let expected = "a signature by the next certificate's key, with RSA (PKCS#1 v1.5) or ECDSA and SHA-256, -384 or -512";
    Err(chain_error(certificate, "not signed by its issuer", expected))
}

fn signed(certificate: &Certificate, by: &Certificate) -> bool {
    let (tbs, algorithm) = (certificate.tbs_certificate(), certificate.signature_algorithm());
    let key = by.tbs_certificate().subject_public_key_info().to_der().ok();
    let key = key.and_then(|spki| PublicKey::parse(&spki).ok());
    let (Some(key), Ok(message)) = (key, tbs.to_der()) else { return false };
    let signature = certificate.signature().as_bytes().and_then(|signature| key.raw(signature));
    let Some(signature) = signature.filter(|_| tbs.signature() == algorithm) else { return false };
    let known = match key {
        PublicKey::Rsa(_) => [
            oids::SHA_256_WITH_RSA_ENCRYPTION,
            oids::SHA_384_WITH_RSA_ENCRYPTION,
            oids::SHA_512_WITH_RSA_ENCRYPTION,
        ],
        PublicKey::P256(_) | PublicKey::P384(_) => {
            [oids::ECDSA_WITH_SHA_256, oids::ECDSA_WITH_SHA_384, oids::ECDSA_WITH_SHA_512]
        }
    };
    match known.iter().position(|oid| *oid == algorithm.oid) {
        Some(0) => key.verifies_by::<Sha256>(&message, &signature),
        Some(1) => key.verifies_by::<Sha384>(&message, &signature),
        Some(2) => key.verifies_by::<Sha512>(&message, &signature),
        _ => false,
    }
}
