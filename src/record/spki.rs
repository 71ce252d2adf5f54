//! Public keys and certificates: what can be said of them without an HSM.

use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{AssociatedOid, DecodePublicKey, EncodePublicKey};
use rsa::sha2::{Digest, Sha256};
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use signature::hazmat::PrehashVerifier;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::{KeyType, Result, Rule, escape};

/// The greatest size of a file with a certificate or a public key, in bytes.
pub const MAX_CERTIFICATE: u64 = 16 << 10;
/// The public exponent of every key, 65537 (NIST SP 800-56B, 6.2).
const EXPONENT: u32 = 65537;

/// A public key of a kind that a target key, or whoever attests it, may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with exponent 65537.
    Rsa(rsa::PublicKey),
    /// NIST P-256.
    P256(p256::PublicKey),
    /// NIST P-384.
    P384(p384::PublicKey),
}

/// Says what is the same of either curve once: `$ec` is its module of ECDSA.
macro_rules! of_curve {
    ($public:expr, $rsa:pat => $of_rsa:expr, $ec:ident, $key:pat => $of_ec:expr) => {
        match $public {
            $rsa => $of_rsa,
            PublicKey::P256($key) => {
                use p256::ecdsa as $ec;
                $of_ec
            }
            PublicKey::P384($key) => {
                use p384::ecdsa as $ec;
                $of_ec
            }
        }
    };
}

impl PublicKey {
    /// A public key from its DER SubjectPublicKeyInfo, which must be the one encoding of it:
    /// rsaEncryption with NULL parameters, or id-ecPublicKey with a named curve and the
    /// uncompressed point (RFC 3279, 2.3.1; RFC 5480, 2).
    ///
    /// # Errors
    /// What was found instead.
    pub fn parse(spki: &[u8]) -> std::result::Result<Self, String> {
        let ec = match p256::PublicKey::from_public_key_der(spki) {
            Ok(key) => Ok((is_encoding(spki, &key), PublicKey::P256(key))),
            Err(_) => p384::PublicKey::from_public_key_der(spki)
                .map(|key| (is_encoding(spki, &key), PublicKey::P384(key))),
        };
        match ec {
            Ok((true, key)) => Ok(key),
            Ok((false, _)) => {
                Err("an EC public key in another encoding than DER with its point uncompressed"
                    .into())
            }
            Err(_) => rsa(spki).map(PublicKey::Rsa),
        }
    }

    /// Its kind and size.
    pub fn kind(&self) -> KeyType {
        match self {
            PublicKey::Rsa(key) => KeyType::Rsa(key.n().bit_width()),
            PublicKey::P256(_) => KeyType::Ec(256),
            PublicKey::P384(_) => KeyType::Ec(384),
        }
    }

    /// Verifies what an HSM signs: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2), or ECDSA with
    /// SHA-256, raw r‖s (FIPS 186-5, 6.4.2; PKCS#11 v3.1, 6.3.1).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifies_by::<Sha256>(message, signature)
    }

    /// The same with another hash.
    pub fn verifies_by<D: Digest + AssociatedOid>(&self, message: &[u8], signature: &[u8]) -> bool {
        let digest = D::digest(message);
        of_curve!(
            self,
            PublicKey::Rsa(key) => {
                key.verify(Pkcs1v15Sign::new::<D>(), &digest, signature).is_ok()
            },
            ec, key => ec::Signature::from_slice(signature).is_ok_and(|signature| {
                ec::VerifyingKey::from(key).verify_prehash(&digest, &signature).is_ok()
            })
        )
    }

    /// A raw ECDSA signature r‖s as a certificate has it, in DER (RFC 3279, 2.2.3); an RSA
    /// signature is the same in both. None where it is no signature of this kind of key.
    pub fn in_der(&self, signature: &[u8]) -> Option<Vec<u8>> {
        of_curve!(self, PublicKey::Rsa(_) => Some(signature.to_vec()), ec, _ => {
            Some(ec::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec())
        })
    }

    /// The reverse of [`PublicKey::in_der`].
    pub fn raw(&self, signature: &[u8]) -> Option<Vec<u8>> {
        of_curve!(self, PublicKey::Rsa(_) => Some(signature.to_vec()), ec, _ => {
            Some(ec::Signature::from_der(signature).ok()?.to_bytes().to_vec())
        })
    }
}

/// Whether this is the one encoding of a key.
fn is_encoding(spki: &[u8], key: &impl EncodePublicKey) -> bool {
    key.to_public_key_der().is_ok_and(|again| again.as_bytes() == spki)
}

/// An RSA public key from its DER SubjectPublicKeyInfo, which must be the one encoding of it:
/// rsaEncryption with NULL parameters (RFC 3279, 2.3.1).
///
/// # Errors
/// What was found instead.
pub fn rsa(spki: &[u8]) -> std::result::Result<rsa::PublicKey, String> {
    let key = rsa::PublicKey::from_public_key_der(spki)
        .map_err(|error| format!("not an RSA public key: {error}"))?;
    if !is_encoding(spki, &key) {
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
    match PublicKey::parse(spki)?.kind() {
        found if found == planned => Ok(()),
        found => Err(format!("a key of the kind {found}")),
    }
}

/// As [`PublicKey::verifies`], of a key that may be none.
pub fn verifies(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    PublicKey::parse(spki).is_ok_and(|key| key.verifies(message, signature))
}

/// SHA-1 of a certificate's DER as 40 upper-case hex characters: how Windows names it. A name, not
/// a proof.
pub fn thumbprint(der: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(&Sha1::digest(der))
}

/// The subject of a certificate (RFC 4514) and its key's DER SubjectPublicKeyInfo, of whatever kind
/// it is; foreign text, not escaped. None where the bytes are no DER certificate.
pub fn subject_and_key(der: &[u8]) -> Option<(String, Vec<u8>)> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    let spki = tbs.subject_public_key_info().to_der().ok()?;
    Some((tbs.subject().to_string(), spki))
}

/// A certificate in DER, the one encoding of it: what is verified is what is there.
///
/// # Errors
/// What was found instead.
pub fn certificate(der: &[u8]) -> std::result::Result<Certificate, String> {
    let certificate = Certificate::from_der(der).map_err(|error| error.to_string())?;
    let same = certificate.to_der().is_ok_and(|again| again == der);
    same.then_some(certificate).ok_or("a certificate in another encoding than DER".into())
}

/// The public key, DER SubjectPublicKeyInfo, of a certificate that is signed by it with SHA-256.
///
/// # Errors
/// What was found instead; foreign text, not escaped.
pub fn own_key(der: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let certificate = certificate(der)?;
    let tbs = certificate.tbs_certificate();
    // RFC 5280, 4.1.1.2: only the inner one is signed.
    if certificate.signature_algorithm() != tbs.signature() {
        return Err("names one signature algorithm inside and another one outside".into());
    }
    let spki = tbs.subject_public_key_info().to_der().map_err(|error| error.to_string())?;
    let key = PublicKey::parse(&spki)?;
    let signed = tbs.to_der().map_err(|error| error.to_string())?;
    let signature = certificate.signature().as_bytes().and_then(|signature| key.raw(signature));
    let holds = signature.is_some_and(|signature| key.verifies(&signed, &signature));
    holds.then_some(spki).ok_or_else(|| match tbs.issuer() == tbs.subject() {
        true => "not signed by its own key".into(),
        false => format!("not signed by its own key, but issued by {}", tbs.issuer()),
    })
}

/// A certificate that holds a target key's public half and is signed by the key itself.
pub struct TargetCertificate {
    der: Vec<u8>,
    spki: Vec<u8>,
}

impl TargetCertificate {
    /// Parses one DER certificate, checks that it is signed by its own key, and takes its public
    /// key.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn parse(der: &[u8], label: &str) -> Result<Self> {
        let spki = own_key(der).map_err(|found| {
            Rule::TargetCertificate.refuse(
                format!("the certificate of {label}: {}", escape(&found)),
                "one DER certificate, signed with SHA-256 by its own key",
                "make the certificate again with `keys create`",
            )
        })?;
        Ok(TargetCertificate { der: der.to_vec(), spki })
    }

    /// The certificate only if its public key is this one.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE`.
    pub fn of_key(self, spki: &[u8], label: &str) -> Result<Self> {
        let holds = Rule::TargetCertificate.ensure(
            self.spki == spki,
            format!("the certificate of {label} holds another public key"),
            "the public half of the key itself",
            "find the certificate that belongs to the key",
        );
        holds.map(|()| self)
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
