//! The certificate beside a target key: a CKO_CERTIFICATE with the same CKA_ID (PKCS#11 v3.1,
//! 4.6.3).

use cryptoki_sys::*;
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

use crate::{
    Hsm,
    attribute::{Attribute, bytes, flag, number},
    inventory::Inventory,
    raw::Object,
    read::MOST_CERTIFICATE,
};
use record::{Result, rule::Rule};

/// The certificate object: public, never changed.
pub(super) fn certificate_object(id: &[u8], label: &str, der: &[u8]) -> Result<Vec<Attribute>> {
    let unreadable = |error: x509_cert::der::Error| {
        Rule::TargetCertificate.refuse(
            format!("a certificate that cannot be read: {error}"),
            "a DER certificate (RFC 5280)",
            "ask its sender for the document again",
        )
    };
    let certificate = Certificate::from_der(der).map_err(unreadable)?;
    let certificate = certificate.tbs_certificate();
    Ok(vec![
        number(CKA_CLASS, CKO_CERTIFICATE),
        number(CKA_CERTIFICATE_TYPE, CKC_X_509),
        flag(CKA_TOKEN, true),
        flag(CKA_PRIVATE, false),
        bytes(CKA_ID, id),
        bytes(CKA_LABEL, label.as_bytes()),
        bytes(CKA_SUBJECT, &certificate.subject().to_der().map_err(unreadable)?),
        bytes(CKA_ISSUER, &certificate.issuer().to_der().map_err(unreadable)?),
        bytes(CKA_SERIAL_NUMBER, &certificate.serial_number().to_der().map_err(unreadable)?),
        bytes(CKA_VALUE, der),
        flag(CKA_COPYABLE, false),
        flag(CKA_MODIFIABLE, false),
    ])
}

impl Hsm<'_> {
    /// Stores a certificate beside the key of this id, which has none, and reads it back in a new
    /// session.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE` where this is none, where the key has no CKA_ID, or where the token
    /// does not hold what it was given; [`record::Error::Hsm`] where the token fails.
    pub fn certificate_store(&self, id: &[u8], label: &str, der: &[u8]) -> Result<()> {
        let template = certificate_object(id, label, der)?;
        let other = |found: &str| {
            Rule::TargetCertificate.refuse(
                found,
                "this certificate, and no other with the key's CKA_ID",
                "look at the token with the vendor's tool; remove the other certificate if nothing needs it",
            )
        };
        if id.is_empty() {
            return Err(other("a key without CKA_ID"));
        }
        let made = self.raw().create(&self.session()?, &template)?;
        match self.certificate_value(made)? {
            Some(found) if found == der => Ok(()),
            _ => Err(other("a certificate that the token did not keep as it was given")),
        }
    }

    /// The certificate beside the key of this id, if there is one.
    ///
    /// # Errors
    /// `TARGET-AMBIGUOUS` where there are several; [`record::Error::Hsm`] where the token fails.
    pub fn certificate_find(&self, inventory: &Inventory, id: &[u8]) -> Result<Option<Vec<u8>>> {
        if id.is_empty() {
            // Every certificate without CKA_ID would fit.
            return Ok(None);
        }
        let found = inventory.of_class(CKO_CERTIFICATE, id);
        match found[..] {
            [] => Ok(None),
            [certificate] => self.certificate_value(certificate),
            _ => Err(Rule::TargetAmbiguous.refuse(
                format!("{} certificates beside one key", found.len()),
                "at most one",
                "look at the token with the vendor's tool; remove those that nothing needs",
            )),
        }
    }

    fn certificate_value(&self, certificate: Object) -> Result<Option<Vec<u8>>> {
        let session = self.session()?;
        self.raw().read_bytes(&session, certificate, CKA_VALUE, MOST_CERTIFICATE)
    }
}
