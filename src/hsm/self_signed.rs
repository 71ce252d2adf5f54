//! The self-signed certificate of a target key, signed inside the HSM in which the key was born, so
//! that nobody can alter it.

use std::time::Duration;

use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::asn1::BitString;
use x509_cert::der::flagset::FlagSet;
use x509_cert::der::oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::der::oid::db::rfc5912::{ECDSA_WITH_SHA_256, SHA_256_WITH_RSA_ENCRYPTION};
use x509_cert::der::{AnyRef, Document, Encode};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfo, SubjectPublicKeyInfoRef,
};
use x509_cert::time::Validity;

use record::encoding::random;
use record::spki::{PublicKey, TargetCertificate};
use record::{Error, Result, quote};

/// How long a certificate is valid: 20 years. The service that the keys serve ignores expiry.
pub const VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

type Fault = Box<dyn std::error::Error>;
type Built<T> = std::result::Result<T, Fault>;

/// Self-signed, with the usages that a service may ask of either role.
struct SelfSigned {
    subject: Name,
    usages: FlagSet<KeyUsages>,
}

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer: SubjectPublicKeyInfoRef<'_>,
        tbs: &x509_cert::TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let (subject, key_id) = (tbs.subject(), SubjectKeyIdentifier::try_from(key)?);
        let key_id = key_id.to_extension(subject, &[])?;
        let usage = KeyUsage(self.usages).to_extension(subject, &[])?;
        let extended = ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH]).to_extension(subject, &[])?;
        Ok(vec![key_id, usage, extended])
    }
}

/// Names algorithm and key; the signature itself comes from the HSM.
#[derive(Clone)]
struct KeyOfHsm {
    spki: Document,
    algorithm: AlgorithmIdentifierOwned,
}

impl KeyOfHsm {
    fn new(key: &PublicKey, spki: &[u8]) -> Built<Self> {
        let (oid, parameters) = match key {
            PublicKey::Rsa(_) => (SHA_256_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL.into())),
            PublicKey::P256(_) | PublicKey::P384(_) => (ECDSA_WITH_SHA_256, None),
        };
        let algorithm = AlgorithmIdentifierOwned { oid, parameters };
        Ok(KeyOfHsm { spki: Document::try_from(spki)?, algorithm })
    }
}

impl signature::Keypair for KeyOfHsm {
    type VerifyingKey = KeyOfHsm;

    fn verifying_key(&self) -> Self::VerifyingKey {
        self.clone()
    }
}

impl EncodePublicKey for KeyOfHsm {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        Ok(self.spki.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for KeyOfHsm {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(self.algorithm.clone())
    }
}

/// Makes a certificate for a key: SHA-256, random serial number, key usage digitalSignature, for
/// RSA also keyEncipherment and dataEncipherment, extended key usage server authentication. `sign`
/// signs in the HSM.
///
/// # Errors
/// What `sign` ends with, and `TARGET-CERTIFICATE` where the result does not hold.
pub fn make(
    subject: &str,
    label: &str,
    spki_der: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
) -> Result<TargetCertificate> {
    let certificate_error =
        |error: Fault| Error::defect(format!("the certificate of {label}: {error}"));
    let public = PublicKey::parse(spki_der).map_err(|error| certificate_error(error.into()))?;
    let key = KeyOfHsm::new(&public, spki_der).map_err(certificate_error)?;
    let mut builder = builder(subject, &public, spki_der).map_err(certificate_error)?;
    let tbs = builder.finalize(&key).map_err(|error| certificate_error(error.into()))?;
    let signature = public
        .in_der(&sign(&tbs)?)
        .ok_or_else(|| certificate_error("no signature of this kind of key".into()))?;
    let assemble = || Ok(builder.assemble(BitString::from_bytes(&signature)?, &key)?.to_der()?);
    let der = assemble().map_err(certificate_error)?;
    TargetCertificate::parse(&der, label)?.of_key(spki_der, label)
}

fn builder(
    subject: &str,
    public: &PublicKey,
    spki_der: &[u8],
) -> Built<CertificateBuilder<SelfSigned>> {
    let subject: Name =
        subject.parse().map_err(|error| format!("the subject {}: {error}", quote(subject)))?;
    let mut serial: [u8; 16] = random()?;
    // Positive and never zero (RFC 5280, 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let usages = match public {
        PublicKey::Rsa(_) => {
            KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment
        }
        PublicKey::P256(_) | PublicKey::P384(_) => KeyUsages::DigitalSignature.into(),
    };
    Ok(CertificateBuilder::new(
        SelfSigned { subject, usages },
        SerialNumber::new(&serial)?,
        Validity::from_now(VALIDITY)?,
        SubjectPublicKeyInfo::try_from(spki_der)?,
    )?)
}
