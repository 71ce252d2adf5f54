//! The self-signed certificate of a target key, signed inside the HSM in which the key was born, so
//! that nobody can alter it.

use std::time::Duration;

use x509_cert::{
    builder::{Builder, CertificateBuilder, profile::BuilderProfile},
    der::{
        AnyRef, Document, Encode,
        asn1::BitString,
        flagset::FlagSet,
        oid::db::{
            rfc5280::ID_KP_SERVER_AUTH,
            rfc5912::{ECDSA_WITH_SHA_256, SHA_256_WITH_RSA_ENCRYPTION},
        },
    },
    ext::{
        Extension, ToExtension,
        pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{
        AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
        SubjectPublicKeyInfo, SubjectPublicKeyInfoRef,
    },
    time::Validity,
};

use record::{
    Error, Result,
    encoding::random,
    escape::quote,
    spki::{PublicKey, TargetCertificate},
};

/// How long a certificate is valid: 20 years. The service that the keys serve ignores expiry.
const VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

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
        let mut extensions: Vec<Extension> = Vec::new();
        let key_id =
            SubjectKeyIdentifier::try_from(key)?.to_extension(tbs.subject(), &extensions)?;
        extensions.push(key_id);
        let usage = KeyUsage(self.usages).to_extension(tbs.subject(), &extensions)?;
        extensions.push(usage);
        let extended =
            ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH]).to_extension(tbs.subject(), &extensions)?;
        extensions.push(extended);
        Ok(extensions)
    }
}

/// Names algorithm and key; the signature itself comes from the HSM.
#[derive(Clone)]
struct KeyOfHsm {
    spki: Document,
    algorithm: AlgorithmIdentifierOwned,
}

impl KeyOfHsm {
    fn new(key: &PublicKey, spki: &[u8]) -> std::result::Result<Self, String> {
        let null = AnyRef::NULL.into();
        let (oid, parameters) = match key {
            PublicKey::Rsa(_) => (SHA_256_WITH_RSA_ENCRYPTION, Some(null)),
            PublicKey::P256(_) | PublicKey::P384(_) => (ECDSA_WITH_SHA_256, None),
        };
        Ok(KeyOfHsm {
            spki: Document::try_from(spki).map_err(|error| error.to_string())?,
            algorithm: AlgorithmIdentifierOwned { oid, parameters },
        })
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
    let failed = |error: String| Error::defect(format!("the certificate of {label}: {error}"));
    let public = PublicKey::parse(spki_der).map_err(failed)?;
    let key = KeyOfHsm::new(&public, spki_der).map_err(failed)?;
    let mut builder = builder(subject, &public, spki_der).map_err(failed)?;
    let tbs = builder.finalize(&key).map_err(|error| failed(error.to_string()))?;
    let signature = public
        .in_der(&sign(&tbs)?)
        .ok_or_else(|| failed("no signature of this kind of key".into()))?;
    let signature = BitString::from_bytes(&signature).map_err(|error| failed(error.to_string()))?;
    let certificate =
        builder.assemble(signature, &key).map_err(|error| failed(error.to_string()))?;
    let der = certificate.to_der().map_err(|error| failed(error.to_string()))?;
    TargetCertificate::parse(&der, label)?.of_key(spki_der, label)
}

fn builder(
    subject: &str,
    public: &PublicKey,
    spki_der: &[u8],
) -> std::result::Result<CertificateBuilder<SelfSigned>, String> {
    let subject: Name =
        subject.parse().map_err(|error| format!("the subject {}: {error}", quote(subject)))?;
    let key = SubjectPublicKeyInfo::try_from(spki_der).map_err(|error| error.to_string())?;
    let mut serial: [u8; 16] = random().map_err(|error| error.to_string())?;
    // Positive and never zero (RFC 5280, 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let serial = SerialNumber::new(&serial).map_err(|error| error.to_string())?;
    let validity = Validity::from_now(VALIDITY).map_err(|error| error.to_string())?;
    let usages = match public {
        PublicKey::Rsa(_) => {
            KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment
        }
        PublicKey::P256(_) | PublicKey::P384(_) => KeyUsages::DigitalSignature.into(),
    };
    CertificateBuilder::new(SelfSigned { subject, usages }, serial, validity, key)
        .map_err(|error| error.to_string())
}
