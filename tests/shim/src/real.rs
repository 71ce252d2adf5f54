//! The real module: loaded once, its own function list, and the calls that the shim makes for
//! itself.

use std::ffi::OsStr;
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::memory::{Answer, check};

/// More than any wrapped key or attribute that the shim handles (an RSA-4096 key wraps to 2.9 KiB).
const MOST_BYTES: usize = 8 * 1024;

pub struct Real {
    pub list: CK_FUNCTION_LIST,
    // Keeps the code that `list` points into mapped.
    _library: Pkcs11,
}

/// Calls a function of the real module.
macro_rules! call {
    ($real:expr, $name:ident($($argument:expr),* $(,)?)) => {
        match $real.list.$name {
            Some(function) => crate::memory::check(unsafe { function($($argument),*) }),
            None => Err(cryptoki_sys::CKR_FUNCTION_NOT_SUPPORTED),
        }
    };
}
pub(crate) use call;

impl Real {
    pub fn load(path: &OsStr) -> Result<Real, String> {
        let name = path.display();
        let library = unsafe { Pkcs11::new(path) }
            .map_err(|error| format!("{name} does not load: {error}"))?;
        let get = (library.C_GetFunctionList.as_ref())
            .map_err(|error| format!("{name} is no PKCS#11 module: {error}"))?;
        let mut list: *mut CK_FUNCTION_LIST = null_mut();
        check(unsafe { get(&mut list) })
            .map_err(|rv| format!("{name}: C_GetFunctionList answers 0x{rv:x}"))?;
        let list = unsafe { list.as_ref() }
            .ok_or_else(|| format!("{name}: C_GetFunctionList gives no list"))?;
        Ok(Real { list: *list, _library: library })
    }

    pub fn mechanism(
        &self,
        slot: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
    ) -> Answer<CK_MECHANISM_INFO> {
        let mut info = CK_MECHANISM_INFO::default();
        call!(self, C_GetMechanismInfo(slot, kind, &mut info)).map(|()| info)
    }

    pub fn slot(&self, session: CK_SESSION_HANDLE) -> Answer<CK_SLOT_ID> {
        let mut info = CK_SESSION_INFO::default();
        call!(self, C_GetSessionInfo(session, &mut info)).map(|()| info.slotID)
    }

    /// The value of an attribute, if the object has it and shows it.
    pub fn attribute(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        kind: CK_ATTRIBUTE_TYPE,
    ) -> Option<Vec<u8>> {
        let mut value = vec![0; MOST_BYTES];
        let mut attribute = CK_ATTRIBUTE {
            type_: kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as CK_ULONG,
        };
        call!(self, C_GetAttributeValue(session, object, &mut attribute, 1)).ok()?;
        shortened(value, attribute.ulValueLen).ok()
    }

    pub fn create(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[CK_ATTRIBUTE],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (template, count) = parts(template);
        let mut object = CK_INVALID_HANDLE;
        call!(self, C_CreateObject(session, template, count, &mut object)).map(|()| object)
    }

    /// Failure is of no consequence where this is used: the objects are of the session, or are
    /// reported as failed already.
    pub fn destroy(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) {
        let _ = call!(self, C_DestroyObject(session, object));
    }

    pub fn generate(
        &self,
        session: CK_SESSION_HANDLE,
        mut mechanism: CK_MECHANISM,
        template: &[CK_ATTRIBUTE],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (template, count) = parts(template);
        let mut key = CK_INVALID_HANDLE;
        call!(self, C_GenerateKey(session, &mut mechanism, template, count, &mut key)).map(|()| key)
    }

    pub fn wrap(
        &self,
        session: CK_SESSION_HANDLE,
        mut mechanism: CK_MECHANISM,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Answer<Vec<u8>> {
        let mut wrapped = vec![0; MOST_BYTES];
        let mut length = wrapped.len() as CK_ULONG;
        let out = wrapped.as_mut_ptr();
        call!(self, C_WrapKey(session, &mut mechanism, wrapping, key, out, &mut length))?;
        shortened(wrapped, length)
    }

    pub fn unwrap(
        &self,
        session: CK_SESSION_HANDLE,
        mut mechanism: CK_MECHANISM,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[CK_ATTRIBUTE],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let (template, count) = parts(template);
        let mut key = CK_INVALID_HANDLE;
        call!(
            self,
            C_UnwrapKey(
                session,
                &mut mechanism,
                unwrapping,
                wrapped.as_ptr().cast_mut(),
                wrapped.len() as CK_ULONG,
                template,
                count,
                &mut key,
            )
        )
        .map(|()| key)
    }
}

/// A template as C takes it. The module only reads it, though the pointer is not const.
pub fn parts(template: &[CK_ATTRIBUTE]) -> (*mut CK_ATTRIBUTE, CK_ULONG) {
    (template.as_ptr().cast_mut(), template.len() as CK_ULONG)
}

/// A mechanism without parameters.
pub fn plain(kind: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 }
}

/// The buffer cut to the length that the module answered, which it may not exceed.
fn shortened(mut buffer: Vec<u8>, length: CK_ULONG) -> Answer<Vec<u8>> {
    match usize::try_from(length) {
        Ok(length) if length <= buffer.len() => {
            buffer.truncate(length);
            Ok(buffer)
        }
        _ => Err(CKR_DEVICE_ERROR),
    }
}
