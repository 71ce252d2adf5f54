//! What a module answered, as an error for a person.

use cryptoki::error::{Rv, RvError};
use cryptoki_sys::{CK_RV, CK_ULONG, CKR_OK};
use zeroize::Zeroizing;

use record::{Error, Result};

/// A successful return code, or what the module answered to which function.
pub(super) fn check(function: &str, rv: CK_RV) -> Result<()> {
    if rv == CKR_OK {
        return Ok(());
    }
    Err(refused(function, rv))
}

/// The error for a return code other than CKR_OK. Codes are shown, never branched on: they differ
/// among modules.
pub(super) fn refused(function: &str, rv: CK_RV) -> Error {
    let code = match Rv::from(rv) {
        Rv::Ok => "Ok".to_owned(),
        Rv::Error(RvError::VendorDefined(_) | RvError::UnknownErrorCode(_)) => "vendor".to_owned(),
        Rv::Error(error) => format!("{error:?}"),
    };
    Error::hsm(
        format!("{function} answered {code} (0x{rv:08x})"),
        "check the HSM and its own log; run the same command again once it works",
    )
}

/// The error for a function that the module does not have.
pub(super) fn missing(function: &str) -> Error {
    Error::hsm(format!("the module has no {function}"), "use the vendor's current PKCS#11 module")
}

/// The error for a length that no honest module answers.
pub(super) fn nonsense(function: &str, count: CK_ULONG) -> Error {
    Error::hsm(
        format!("{function} answered the impossible length {count}"),
        "do not go on with this module; ask its vendor",
    )
}

/// A list of ours that a call has filled, cut to the count that came back.
pub(super) fn listed(
    function: &str,
    mut list: Vec<CK_ULONG>,
    count: CK_ULONG,
) -> Result<Vec<CK_ULONG>> {
    match usize::try_from(count) {
        Ok(count) if count <= list.len() => list.truncate(count),
        _ => return Err(nonsense(function, count)),
    }
    Ok(list)
}

/// More than any wrapped key or signature that Keyferry reads (an RSA-4096 wrapped key is 2.9 KiB).
const MOST_BYTES: usize = 8 * 1024;

/// What a call writes into a buffer of ours, cut to the length that came back; erased when dropped,
/// as a plaintext must be.
pub(super) fn output(
    function: &str,
    call: impl FnOnce(*mut u8, *mut CK_ULONG) -> Result<()>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; MOST_BYTES]);
    let mut length = buffer.len() as CK_ULONG;
    call(buffer.as_mut_ptr(), &mut length)?;
    match usize::try_from(length) {
        Ok(length) if length <= buffer.len() => buffer.truncate(length),
        _ => return Err(nonsense(function, length)),
    }
    Ok(buffer)
}
