//! What a YubiHSM 2 writes into the certificate of a key that it attests: extensions below
//! 1.3.6.1.4.1.41482.4. Other devices may use the same form; a certificate without them says
//! nothing of the key.

use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::BitString;
use x509_cert::der::oid::ObjectIdentifier;

use crate::attestation::{Purpose, attestation_error};
use crate::{AttestationLevel, Result, Rule};

/// Where the key comes from: one byte.
const ORIGIN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.4.3");
/// What it may do: eight bytes, the most significant first.
const CAPABILITIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.4.5");

/// The key was generated on this device, and neither imported nor carried here under a wrap, which
/// sets a bit besides (0x10).
const GENERATED: u8 = 0x01;
/// sign-pkcs, sign-pss and sign-ecdsa.
const SIGN: u64 = 0x20 | 0x40 | 0x80;
/// decrypt-pkcs and decrypt-oaep.
const DECRYPT: u64 = 0x200 | 0x400;
/// exportable-under-wrap: the key can leave.
const EXPORTABLE: u64 = 0x1_0000;
/// sign-eddsa, derive-ecdh, sign-ssh-certificate, sign-attestation-certificate: uses that no key of
/// a ceremony has.
const OTHERS: u64 = 0x100 | 0x800 | 0x200_0000 | 0x4_0000_0000;

/// The level that a key's certificate proves, and in words what it says of the key.
///
/// # Errors
/// `ATTESTATION-FORMAT` for extensions of another form, `ATTESTATION-ORIGIN` for a key that was not
/// born in the device, `ATTESTATION-USAGE` for one that may do more than it should.
pub(super) fn judge(leaf: &Certificate, purpose: Purpose) -> Result<(AttestationLevel, String)> {
    let origin = extension(leaf, ORIGIN)?;
    let capabilities = extension(leaf, CAPABILITIES)?.map(u64::from_be_bytes);
    let Some([origin]) = origin else {
        let what = "witnessed only: the certificate does not say where the key was made";
        return Ok((AttestationLevel::Witnessed, what.into()));
    };
    if origin != GENERATED {
        let found = format!("origin {origin:#04x}: imported, or carried here under a wrap");
        let expected = "origin 0x01: generated on this device";
        return Err(attestation_error(Rule::AttestationOrigin, found, expected));
    }
    let Some(capabilities) = capabilities else {
        let what = "origin attested: made inside the device; the certificate does not say what the key may do";
        return Ok((AttestationLevel::Origin, what.into()));
    };
    let allowed = match purpose {
        Purpose::Kek => 0,
        Purpose::Target(usage) => {
            (if usage.sign { SIGN } else { 0 }) | (if usage.decrypt { DECRYPT } else { 0 })
        }
    };
    // What else a key may do is no way out for it, but no part of its plan either.
    let surplus = capabilities & !allowed & (SIGN | DECRYPT | EXPORTABLE | OTHERS);
    if surplus != 0 {
        let found = format!("capabilities {capabilities:#x}, of which {surplus:#x} should not be");
        let expected = "a key that cannot leave its device, and does what the plan says";
        return Err(attestation_error(Rule::AttestationUsage, found, expected));
    }
    let what = format!(
        "origin and usage attested: made inside the device, cannot leave it, capabilities {capabilities:#x}"
    );
    Ok((AttestationLevel::OriginAndUsage, what))
}

/// The bytes of an extension that is a BIT STRING of whole bytes.
fn extension<const N: usize>(leaf: &Certificate, oid: ObjectIdentifier) -> Result<Option<[u8; N]>> {
    let format = |found: String| {
        let expected = format!("it once, a BIT STRING of {} bits", 8 * N);
        attestation_error(
            Rule::AttestationFormat,
            format!("the extension {oid}: {found}"),
            expected,
        )
    };
    let extensions = leaf.tbs_certificate().extensions();
    let mut found = extensions.into_iter().flatten().filter(|extension| extension.extn_id == oid);
    let (extension, None) = (found.next(), found.next()) else {
        return Err(format("twice".into()));
    };
    let Some(extension) = extension else { return Ok(None) };
    let bits = BitString::from_der(extension.extn_value.as_bytes())
        .map_err(|error| format(error.to_string()))?;
    let bytes = bits.as_bytes().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or_else(|| format(format!("{} bits", bits.bit_len())))
}
