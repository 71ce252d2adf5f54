//! The C functions that stand in for the real module's: each finds the shim and answers with its
//! method's result.

use cryptoki_sys::*;

use crate::Shim;
use crate::memory::code;

macro_rules! entries {
    ($($name:ident($($argument:ident: $kind:ty),* $(,)?);)*) => {
        $(
            unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
                code(Shim::get().and_then(|shim| unsafe { shim.$name($($argument),*) }))
            }
        )*
    };
}

entries! {
    get_mechanism_list(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG);
    get_mechanism_info(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO);
    get_attribute_value(
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    );
    set_attribute_value(
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    );
    copy_object(
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        copy: *mut CK_OBJECT_HANDLE,
    );
    generate_key(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    );
    generate_key_pair(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        public: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut CK_OBJECT_HANDLE,
        private_key: *mut CK_OBJECT_HANDLE,
    );
    wrap_key(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        length: *mut CK_ULONG,
    );
    unwrap_key(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        length: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    );
    decrypt_init(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE);
    sign_init(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE);
}

/// The real module's list with the shim's functions in it.
pub fn replaced(real: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
    CK_FUNCTION_LIST {
        C_GetFunctionList: Some(crate::C_GetFunctionList),
        C_GetMechanismList: Some(get_mechanism_list),
        C_GetMechanismInfo: Some(get_mechanism_info),
        C_GetAttributeValue: Some(get_attribute_value),
        C_SetAttributeValue: Some(set_attribute_value),
        C_CopyObject: Some(copy_object),
        C_GenerateKey: Some(generate_key),
        C_GenerateKeyPair: Some(generate_key_pair),
        C_WrapKey: Some(wrap_key),
        C_UnwrapKey: Some(unwrap_key),
        C_DecryptInit: Some(decrypt_init),
        C_SignInit: Some(sign_init),
        ..*real
    }
}
