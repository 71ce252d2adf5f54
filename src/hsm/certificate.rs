//! The certificate beside a target key: a CKO_CERTIFICATE with the same CKA_ID (PKCS#11 v3.1,
//! 4.6.3).

use cryptoki_sys::*;

use crate::{
    Hsm, inventory::Inventory, raw::Object, read::MOST_CERTIFICATE, template::certificate,
};
use record::{Result, rule::Rule};

impl Hsm<'_> {
    /// Stores a certificate beside the key of this id, which has none, and reads it back in a new
    /// session.
    ///
    /// # Errors
    /// `TARGET-CERTIFICATE` where this is none, where the key has no CKA_ID, or where the token
    /// does not hold what it was given; [`record::Error::Hsm`] where the token fails.
    pub fn certificate_store(&self, id: &[u8], label: &str, der: &[u8]) -> Result<()> {
        let template = certificate(id, label, der)?;
        let certificate_error = |found: &str| {
            Rule::TargetCertificate.refuse(
                found,
                "this certificate, and no other with the key's CKA_ID",
                "look at the token with the vendor's tool; remove the other certificate if nothing needs it",
            )
        };
        if id.is_empty() {
            return Err(certificate_error("a key without CKA_ID"));
        }
        let made = self.session()?.create(&template)?;
        match self.certificate_value(made)? {
            Some(found) if found == der => Ok(()),
            _ => {
                Err(certificate_error("a certificate that the token did not keep as it was given"))
            }
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
        self.session()?.read_bytes(certificate, CKA_VALUE, MOST_CERTIFICATE)
    }
}
