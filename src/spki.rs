//! Public keys and certificates: what can be said of them without an HSM.

use rsa::{
    PublicKey,
    pkcs1v15::{Signature, VerifyingKey},
    pkcs8::{DecodePublicKey, EncodePublicKey},
    sha2::Sha256,
    signature::Verifier,
    traits::PublicKeyParts,
};
use sha1::{Digest, Sha1};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

use crate::{Result, plan::KeyType, rule::Rule};

/// The public exponent of every key, 65537 (NIST SP 800-56B, 6.2).
const EXPONENT: u32 = 65537;

/// An RSA public key from its DER SubjectPublicKeyInfo, which must be the one encoding of it:
/// rsaEncryption with NULL parameters (RFC 3279, 2.3.1).
///
/// # Errors
/// What was found instead.
pub fn rsa(spki: &[u8]) -> std::result::Result<PublicKey, String> {
    let key = PublicKey::from_public_key_der(spki)
        .map_err(|error| format!("not an RSA public key: {error}"))?;
    let again = key.to_public_key_der().map_err(|error| error.to_string())?;
    if again.as_bytes() != spki {
        return Err("an RSA public key in another encoding than DER with NULL parameters".into());
    }
    if *key.e() != rsa::BoxedUint::from(EXPONENT) {
        return Err("an RSA public key with an exponent other than 65537".into());
    }
    Ok(key)
}

/// The size of an RSA key's modulus, in bits.
///
/// # Errors
/// As [`rsa()`].
pub fn rsa_bits(spki: &[u8]) -> std::result::Result<u32, String> {
    Ok(rsa(spki)?.n().bit_width())
}

/// Whether a public key is of the planned kind and size.
///
/// # Errors
/// What was found instead.
pub fn check(spki: &[u8], planned: KeyType) -> std::result::Result<(), String> {
    match planned {
        KeyType::Rsa(bits) => match rsa_bits(spki)? {
            found if found == bits => Ok(()),
            found => Err(format!("an RSA key of {found} bits")),
        },
        KeyType::Ec(_) => Err("an EC key, which this version does not carry".into()),
    }
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2).
pub fn verifies(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (rsa(spki), Signature::try_from(signature)) else {
        return false;
    };
    VerifyingKey::<Sha256>::new(key)
        .verify(message, &signature)
        .is_ok()
}

/// SHA-1 of a certificate's DER as 40 upper-case hex characters: how Windows names it. A name, not a proof.
pub fn thumbprint(der: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(&Sha1::digest(der))
}

/// The subject of a certificate (RFC 4514) and its key's DER SubjectPublicKeyInfo, of whatever kind it is; foreign
/// text, not escaped. None where the bytes are no DER certificate.
pub fn subject_and_key(der: &[u8]) -> Option<(String, Vec<u8>)> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    let spki = tbs.subject_public_key_info().to_der().ok()?;
    Some((tbs.subject().to_string(), spki))
}

/// A certificate that holds a target key's public half and is signed by the key itself.
pub struct TargetCertificate {
    der: Vec<u8>,
    spki: Vec<u8>,
}

impl TargetCertificate {
    /// Parses one DER certificate, checks that it is signed by its own key, and takes its public key.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn parse(der: &[u8], label: &str) -> Result<Self> {
        let refuse = |found: String| {
            Rule::TargetCertificate.refuse(
                format!("the certificate of {label}: {found}"),
                "one DER certificate, signed with SHA-256 by its own key",
                "make the certificate again with `keys create`",
            )
        };
        let certificate = Certificate::from_der(der).map_err(|error| refuse(error.to_string()))?;
        let tbs = certificate.tbs_certificate();
        let spki = tbs
            .subject_public_key_info()
            .to_der()
            .map_err(|error| refuse(error.to_string()))?;
        rsa(&spki).map_err(refuse)?;
        let signed = tbs.to_der().map_err(|error| refuse(error.to_string()))?;
        let signature = certificate.signature().as_bytes().unwrap_or_default();
        let one_encoding = certificate.to_der().is_ok_and(|again| again == der);
        if !one_encoding || !verifies(&spki, &signed, signature) {
            return Err(refuse("not signed by its own key, or not in DER".into()));
        }
        Ok(TargetCertificate {
            der: der.to_vec(),
            spki,
        })
    }

    /// The certificate only if its public key is this one.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn of_key(self, spki: &[u8], label: &str) -> Result<Self> {
        if self.spki == spki {
            return Ok(self);
        }
        Err(Rule::TargetCertificate.refuse(
            format!("the certificate of {label} holds another public key"),
            "the public half of the key itself",
            "find the certificate that belongs to the key",
        ))
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As [`thumbprint`].
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.der)
    }

    /// Its key's DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}
