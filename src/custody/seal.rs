//! The seal: AES-KWP (RFC 5649, NIST SP 800-38F) over a wrapped key, under a key that a quorum's
//! secret gives.

use aes_kw::{KeyInit, KwpAes256};
use zeroize::Zeroizing;

use crate::share::Secret;
use record::document::package::sealed_length;
use record::encoding::enc;
use record::{Error, Hash, PackageId, Result, Rule, with_commands};

/// The key of one sealed key, 32 bytes.
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Derives it (HKDF-SHA256, RFC 5869): `salt = package_id`,
    /// `info = enc("keyferry/1 seal", plan_hash, kek_fingerprint, label)`.
    ///
    /// # Errors
    /// As [`Secret::derive`].
    pub fn derive(
        secret: &Secret,
        package_id: &PackageId,
        plan_hash: &Hash,
        kek_fingerprint: &Hash,
        label: &str,
    ) -> Result<Self> {
        let info = enc(
            c"keyferry/1 seal",
            &[plan_hash.as_bytes(), kek_fingerprint.as_bytes(), label.as_bytes()],
        );
        secret.expand(package_id, &info).map(SealKey)
    }

    fn cipher(&self) -> KwpAes256 {
        KwpAes256::new((&*self.0).into())
    }

    /// Seals a wrapped key.
    ///
    /// # Errors
    /// `SEAL-OPEN` for a length that no wrapped key has.
    pub fn seal(&self, wrapped: &[u8]) -> Result<Vec<u8>> {
        let length = sealed_length(wrapped.len())
            .ok_or_else(|| seal_error(format!("a wrapped key of {} bytes", wrapped.len())))?;
        let mut sealed = vec![0; length];
        self.cipher()
            .wrap_key(wrapped, &mut sealed)
            .map_err(|error| seal_error(error.to_string()))?;
        Ok(sealed)
    }

    /// Opens a sealed key whose wrapped key has this length.
    ///
    /// # Errors
    /// `SEAL-OPEN`.
    pub fn open(&self, sealed: &[u8], wrapped_length: usize) -> Result<Vec<u8>> {
        if sealed_length(wrapped_length) != Some(sealed.len()) {
            return Err(seal_error(format!(
                "{} bytes for a wrapped key of {wrapped_length}",
                sealed.len()
            )));
        }
        let mut wrapped = vec![0; sealed.len() - 8];
        let opened = self.cipher().unwrap_key(sealed, &mut wrapped);
        let opened = opened.map_err(|error| seal_error(error.to_string()))?;
        match opened.len() == wrapped_length {
            true => Ok(opened.to_vec()),
            false => Err(seal_error(format!("a wrapped key of {} bytes", opened.len()))),
        }
    }
}

fn seal_error(found: String) -> Error {
    Rule::SealOpen.refuse(
        found,
        "the sealed key that the tenant made, under this quorum's secret",
        with_commands("copy the package again from the tenant's outbox; it is checked again by `{hoster package check PACKAGE}`"),
    )
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
