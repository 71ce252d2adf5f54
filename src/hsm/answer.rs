//! What a module answered, as an error for a person.

use cryptoki::error::{Rv, RvError};
use cryptoki_sys::{CK_RV, CK_ULONG, CKR_OK};
use zeroize::{Zeroize, Zeroizing};

use record::{Error, Result};

/// A successful return code, or what the module answered to which function.
pub(super) fn check(function: &str, rv: CK_RV) -> Result<()> {
    if rv == CKR_OK {
        return Ok(());
    }
    Err(code_error(function, rv))
}

/// The error for a return code other than CKR_OK. Codes are shown, never branched on: they differ
/// among modules.
pub(super) fn code_error(function: &str, rv: CK_RV) -> Error {
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
pub(super) fn missing_error(function: &str) -> Error {
    Error::hsm(format!("the module has no {function}"), "use the vendor's current PKCS#11 module")
}

/// The error for a length that no honest module answers.
pub(super) fn length_error(function: &str, count: CK_ULONG) -> Error {
    Error::hsm(
        format!("{function} answered the impossible length {count}"),
        "do not go on with this module; ask its vendor",
    )
}

/// What a call writes into a buffer of ours with room for `most`, cut to the length that came back;
/// erased when dropped, as a plaintext must be.
pub(super) fn output<T: Zeroize + Copy + Default>(
    function: &str,
    most: usize,
    call: impl FnOnce(*mut T, *mut CK_ULONG) -> Result<()>,
) -> Result<Zeroizing<Vec<T>>> {
    let mut buffer = Zeroizing::new(vec![T::default(); most]);
    let mut length = most as CK_ULONG;
    call(buffer.as_mut_ptr(), &mut length)?;
    match usize::try_from(length) {
        Ok(length) if length <= most => buffer.truncate(length),
        _ => return Err(length_error(function, length)),
    }
    Ok(buffer)
}
