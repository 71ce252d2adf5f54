//! A chain of certificates, as far as attestation needs RFC 5280: names, signatures, validity, who
//! may sign certificates, and no critical extension that is not understood. There are no names to
//! match and no revocation: the ceremony is offline, and roots are pinned.

use jiff::Timestamp;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{pkcs1v15, signature::Verifier};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate,
    der::{
        Decode, Document, Encode,
        oid::{AssociatedOid, db::rfc5912 as oids},
    },
    ext::pkix::{BasicConstraints, KeyUsage},
};

use crate::{
    Result, attestation::refuse, encoding::Hash, escape::quote, rule::Rule, spki::PublicKey,
};

/// How a certificate ends in PEM (RFC 7468, 5).
const END: &str = "-----END CERTIFICATE-----";
/// More than any vendor's chain has.
const MOST_CERTIFICATES: usize = 8;

/// Certificates, each issued by the one after it. Not yet verified.
pub(super) struct Chain(Vec<Certificate>);

impl Chain {
    /// # Errors
    /// `ATTESTATION-FORMAT`.
    pub fn parse(pem: &[u8]) -> Result<Self> {
        let format = |found: String| {
            let expected =
                "certificates in PEM: the key's own, then each issuer's, the root's last";
            refuse(Rule::AttestationFormat, found, expected)
        };
        let text = std::str::from_utf8(pem).map_err(|error| format(error.to_string()))?;
        let (mut all, mut rest) = (Vec::new(), text.trim_start());
        while !rest.is_empty() {
            let end = rest.find(END).ok_or_else(|| {
                format("text that is no certificate, after the certificates".into())
            })?;
            let (one, after) = rest.split_at(end + END.len());
            all.push(certificate(one).map_err(format)?);
            rest = after.trim_start();
        }
        match all.len() {
            2..=MOST_CERTIFICATES => Ok(Chain(all)),
            other => Err(format(format!("{other} certificates"))),
        }
    }

    /// The attested key's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.0[0]
    }

    /// DER SubjectPublicKeyInfo of the attested key.
    ///
    /// # Errors
    /// `ATTESTATION-FORMAT`.
    pub fn key(&self) -> Result<Vec<u8>> {
        let key = self.leaf().tbs_certificate().subject_public_key_info();
        key.to_der().map_err(|error| {
            refuse(Rule::AttestationFormat, error.to_string(), "a public key in DER")
        })
    }

    /// SHA-256 of the root's certificate, DER.
    ///
    /// # Errors
    /// `ATTESTATION-FORMAT`.
    pub fn root(&self) -> Result<Hash> {
        let root = self.0[self.0.len() - 1].to_der();
        root.map(|der| Hash::of(&der)).map_err(|error| {
            refuse(Rule::AttestationFormat, error.to_string(), "a certificate in DER")
        })
    }

    /// Whether each certificate is issued by the next, all were valid at a time, and the last is a
    /// pinned root.
    ///
    /// # Errors
    /// `ATTESTATION-CHAIN`, `ATTESTATION-ROOT`.
    pub fn verify(&self, at: Timestamp, roots: &[Hash]) -> Result<()> {
        let root = self.root()?;
        if !roots.contains(&root) {
            let pinned: Vec<String> = roots.iter().map(Hash::to_string).collect();
            return Err(refuse(
                Rule::AttestationRoot,
                format!("a chain to the root {root}"),
                match pinned.is_empty() {
                    true => "a root that the plan pins in `roots`; it pins none".to_owned(),
                    false => format!("one that the plan pins: {}", pinned.join(", ")),
                },
            ));
        }
        for certificate in &self.0 {
            valid_at(certificate, at)?;
            known_extensions(certificate)?;
        }
        for (n, pair) in self.0.windows(2).enumerate() {
            issued(&pair[0], &pair[1], n)?;
        }
        Ok(())
    }
}

/// A certificate in PEM, in the one encoding of it: what is verified is what is there.
fn certificate(pem: &str) -> std::result::Result<Certificate, String> {
    let (label, document) = Document::from_pem(pem).map_err(|error| error.to_string())?;
    let parsed = Certificate::from_der(document.as_bytes()).map_err(|error| error.to_string())?;
    let again = parsed.to_der().map_err(|error| error.to_string())?;
    match label == "CERTIFICATE" && again == document.as_bytes() {
        true => Ok(parsed),
        false => Err(format!("{}, or a certificate in another encoding than DER", quote(label))),
    }
}

fn chain(certificate: &Certificate, found: &str, expected: impl Into<String>) -> crate::Error {
    let subject = certificate.tbs_certificate().subject();
    let found = format!("the certificate {subject}: {found}");
    refuse(Rule::AttestationChain, found, expected)
}

fn valid_at(certificate: &Certificate, at: Timestamp) -> Result<()> {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: &x509_cert::time::Time| i128::from(time.to_unix_duration().as_secs());
    let (from, until) = (seconds(&validity.not_before), seconds(&validity.not_after));
    match (from..=until).contains(&at.as_second().into()) {
        true => Ok(()),
        false => Err(chain(
            certificate,
            &format!("valid from {} until {}", validity.not_before, validity.not_after),
            format!("one that was valid at {at}"),
        )),
    }
}

/// What is critical is understood (RFC 5280, 4.2).
fn known_extensions(certificate: &Certificate) -> Result<()> {
    let known = [BasicConstraints::OID, KeyUsage::OID];
    let extensions = certificate.tbs_certificate().extensions();
    let unknown = extensions
        .into_iter()
        .flatten()
        .find(|extension| extension.critical && !known.contains(&extension.extn_id));
    match unknown {
        None => Ok(()),
        Some(unknown) => Err(chain(
            certificate,
            &format!("the critical extension {}", unknown.extn_id),
            "no critical extensions but basic constraints and key usage",
        )),
    }
}

/// Whether the second certificate is an authority that has issued the first; `below` authorities
/// lie between it and the key.
fn issued(certificate: &Certificate, by: &Certificate, below: usize) -> Result<()> {
    let (tbs, issuer) = (certificate.tbs_certificate(), by.tbs_certificate());
    if tbs.issuer() != issuer.subject() {
        let expected = format!("issued by {}", tbs.issuer());
        return Err(chain(by, "next in the chain", expected));
    }
    let constraints = issuer.get_extension::<BasicConstraints>().ok().flatten();
    let authority = constraints.is_some_and(|(_, constraints)| {
        let deep = constraints.path_len_constraint;
        constraints.ca && deep.is_none_or(|deep| below <= usize::from(deep))
    });
    let usage = issuer.get_extension::<KeyUsage>();
    let signs = usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.key_cert_sign()));
    if !authority || !signs {
        return Err(chain(
            by,
            "no authority over this certificate",
            "basic constraints and key usage of one that may issue it",
        ));
    }
    match signed(certificate, by) {
        true => Ok(()),
        false => Err(chain(
            certificate,
            "not signed by its issuer",
            "a signature by the next certificate's key, with RSA (PKCS#1 v1.5) or ECDSA and SHA-256, -384 or -512",
        )),
    }
}

fn signed(certificate: &Certificate, by: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    let algorithm = certificate.signature_algorithm();
    let key = by.tbs_certificate().subject_public_key_info().to_der().ok();
    let key = key.and_then(|spki| PublicKey::parse(&spki).ok());
    let (Some(key), Ok(message), Some(signature)) =
        (key, tbs.to_der(), certificate.signature().as_bytes().map(<[u8]>::to_vec))
    else {
        return false;
    };
    if tbs.signature() != algorithm {
        return false;
    }
    match algorithm.oid {
        oids::SHA_256_WITH_RSA_ENCRYPTION => rsa::<rsa::sha2::Sha256>(&key, &message, &signature),
        oids::SHA_384_WITH_RSA_ENCRYPTION => rsa::<rsa::sha2::Sha384>(&key, &message, &signature),
        oids::SHA_512_WITH_RSA_ENCRYPTION => rsa::<rsa::sha2::Sha512>(&key, &message, &signature),
        oids::ECDSA_WITH_SHA_256 => ecdsa(&key, &Sha256::digest(&message), &signature),
        oids::ECDSA_WITH_SHA_384 => ecdsa(&key, &Sha384::digest(&message), &signature),
        oids::ECDSA_WITH_SHA_512 => ecdsa(&key, &Sha512::digest(&message), &signature),
        _ => false,
    }
}

fn rsa<D>(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool
where
    D: rsa::sha2::digest::Digest + rsa::pkcs8::AssociatedOid,
    pkcs1v15::VerifyingKey<D>: Verifier<pkcs1v15::Signature>,
{
    let (PublicKey::Rsa(key), Ok(signature)) = (key, pkcs1v15::Signature::try_from(signature))
    else {
        return false;
    };
    pkcs1v15::VerifyingKey::<D>::new(key.clone()).verify(message, &signature).is_ok()
}

fn ecdsa(key: &PublicKey, digest: &[u8], signature: &[u8]) -> bool {
    match key {
        PublicKey::Rsa(_) => false,
        PublicKey::P256(key) => p256::ecdsa::Signature::from_der(signature).is_ok_and(|one| {
            let key = p256::ecdsa::VerifyingKey::from(key);
            key.verify_prehash(digest, &one).is_ok()
        }),
        PublicKey::P384(key) => p384::ecdsa::Signature::from_der(signature).is_ok_and(|one| {
            let key = p384::ecdsa::VerifyingKey::from(key);
            key.verify_prehash(digest, &one).is_ok()
        }),
    }
}
