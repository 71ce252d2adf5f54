//! What a certificate that exists must be for the service that its key will serve.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};

use record::Role;

/// How far the clock of the machine that made a certificate may be ahead, in seconds: nothing sets
/// the clocks of offline machines.
const SKEW: i128 = 24 * 60 * 60;

/// How long a certificate is valid, in seconds; none where the bytes are no certificate.
pub fn lifetime(der: &[u8]) -> Option<u64> {
    let certificate = Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
    seconds(&validity.not_after).checked_sub(seconds(&validity.not_before))
}

/// When a certificate ends, as it says itself; none where the bytes are no certificate.
pub fn end(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_string())
}

/// Whether a certificate is valid all of this time and may be used as its key is to be: an extension that
/// is missing restricts nothing (RFC 5280, 4.2.1.3 and 4.2.1.12). Windows' Host Guardian Service
/// wants digital signature, data encipherment and server authentication of either role ("Obtain
/// certificates for HGS", Microsoft Learn).
///
/// # Errors
/// What it is instead.
pub fn fits(
    der: &[u8],
    role: Role,
    hgs: bool,
    time: RangeInclusive<Timestamp>,
) -> Result<(), String> {
    let certificate = Certificate::from_der(der).map_err(|error| error.to_string())?;
    let tbs = certificate.tbs_certificate();
    let validity = tbs.validity();
    let seconds = |time: &x509_cert::time::Time| i128::from(time.to_unix_duration().as_secs());
    let (from, until) = (&validity.not_before, &validity.not_after);
    let valid = seconds(from) - SKEW..=seconds(until);
    let (now, last) = (time.start(), time.end());
    if !valid.contains(&now.as_second().into()) || !valid.contains(&last.as_second().into()) {
        return Err(format!(
            "valid from {from} until {until}; the ceremony is from now, {now}, until {last} at least"
        ));
    }
    let usage = tbs.get_extension::<KeyUsage>().map_err(|error| format!("key usage: {error}"))?;
    if let Some((_, usage)) = usage {
        let (signs, data) = (usage.digital_signature(), usage.data_encipherment());
        let (fits, wanted) = match (hgs, role) {
            (true, _) => (signs && data, "digitalSignature and dataEncipherment, which HGS wants"),
            (false, Role::Signing) => (signs, "digitalSignature"),
            (false, Role::Encryption) => {
                (data || usage.key_encipherment(), "keyEncipherment or dataEncipherment")
            }
        };
        if !fits {
            return Err(format!("a key usage without {wanted}"));
        }
    }
    let extended = tbs.get_extension::<ExtendedKeyUsage>();
    match extended.map_err(|error| format!("extended key usage: {error}"))? {
        Some((_, ExtendedKeyUsage(uses)))
            if hgs
                && !uses
                    .iter()
                    .any(|one| [ID_KP_SERVER_AUTH, ANY_EXTENDED_KEY_USAGE].contains(one)) =>
        {
            Err("an extended key usage without serverAuth, which HGS wants".into())
        }
        _ => Ok(()),
    }
}
