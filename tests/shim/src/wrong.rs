//! A module that is broken or malicious: behind everything else that the shim does, its keys are
//! not what was asked for; in front of it, its answers are not what is so.

use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use cryptoki_sys::*;

use crate::Shim;
use crate::lie::Lie;
use crate::memory::array;

type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;

/// What one of the shim's lists would answer that do not lie.
macro_rules! of {
    ($list:ident, $name:ident($($argument:expr),* $(,)?)) => {
        match Shim::get() {
            Ok(Shim { $list, .. }) => match $list.$name {
                Some(function) => unsafe { function($($argument),*) },
                None => CKR_FUNCTION_NOT_SUPPORTED,
            },
            Err(rv) => rv,
        }
    };
}

fn lie() -> Option<Lie> {
    Shim::get().ok().and_then(|shim| shim.lie)
}

/// This list with the functions that make other keys than they are asked for.
pub fn spoiling(list: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
    CK_FUNCTION_LIST {
        C_GenerateKeyPair: Some(generate_key_pair),
        C_UnwrapKey: Some(unwrap_key),
        ..*list
    }
}

/// This list with the functions that a lie can be told by.
pub fn lying(list: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
    CK_FUNCTION_LIST {
        C_GetTokenInfo: Some(token_info),
        C_Login: Some(login),
        C_GetAttributeValue: Some(attribute_value),
        C_FindObjects: Some(find_objects),
        C_DestroyObject: Some(destroy_object),
        C_WrapKey: Some(wrap_key),
        C_Sign: Some(sign),
        C_GenerateRandom: Some(random),
        ..*list
    }
}

/// The template, but for what the lie puts in the place of the values asked for.
unsafe fn spoilt(template: *mut CK_ATTRIBUTE, count: CK_ULONG) -> Vec<CK_ATTRIBUTE> {
    static TRUE: CK_BBOOL = CK_TRUE;
    static FALSE: CK_BBOOL = CK_FALSE;
    let mut template = unsafe { array(template, count) }.unwrap_or_default().to_vec();
    let mut set = |kind, value: &'static CK_BBOOL| {
        for one in template.iter_mut().filter(|one| one.type_ == kind) {
            one.pValue = std::ptr::from_ref(value).cast_mut().cast();
        }
    };
    match lie() {
        Some(Lie::Extractable | Lie::WrapsAnyway) => set(CKA_EXTRACTABLE, &TRUE),
        Some(Lie::Readable) => {
            set(CKA_EXTRACTABLE, &TRUE);
            set(CKA_SENSITIVE, &FALSE);
        }
        _ => {}
    }
    template
}

#[allow(clippy::too_many_arguments)] // as C_GenerateKeyPair has
unsafe extern "C" fn generate_key_pair(
    session: Session,
    mechanism: *mut CK_MECHANISM,
    public: *mut CK_ATTRIBUTE,
    public_count: CK_ULONG,
    private: *mut CK_ATTRIBUTE,
    private_count: CK_ULONG,
    public_key: *mut Object,
    private_key: *mut Object,
) -> CK_RV {
    let mut spoilt = unsafe { spoilt(private, private_count) };
    let private = spoilt.as_mut_ptr();
    of!(
        real_list,
        C_GenerateKeyPair(
            session,
            mechanism,
            public,
            public_count,
            private,
            private_count,
            public_key,
            private_key,
        )
    )
}

#[allow(clippy::too_many_arguments)] // as C_UnwrapKey has
unsafe extern "C" fn unwrap_key(
    session: Session,
    mechanism: *mut CK_MECHANISM,
    unwrapping: Object,
    wrapped: *mut CK_BYTE,
    length: CK_ULONG,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut Object,
) -> CK_RV {
    let mut spoilt = unsafe { spoilt(template, count) };
    let template = spoilt.as_mut_ptr();
    of!(
        real_list,
        C_UnwrapKey(session, mechanism, unwrapping, wrapped, length, template, count, key)
    )
}

unsafe extern "C" fn attribute_value(
    session: Session,
    object: Object,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    static READ: AtomicUsize = AtomicUsize::new(0);
    let answer = of!(honest, C_GetAttributeValue(session, object, template, count));
    let Ok(asked) = (unsafe { array(template, count) }) else {
        return answer;
    };
    for one in asked.iter().filter(|one| !one.pValue.is_null() && answer == CKR_OK) {
        let Ok(length) = usize::try_from(one.ulValueLen) else {
            continue;
        };
        let value = unsafe { slice::from_raw_parts_mut(one.pValue.cast::<u8>(), length) };
        match (lie(), one.type_) {
            // It says what was asked for, whatever the key is.
            (Some(Lie::WrapsAnyway), CKA_EXTRACTABLE) => value.fill(CK_FALSE),
            (Some(Lie::WrapsAnyway), CKA_NEVER_EXTRACTABLE) => value.fill(CK_TRUE),
            (Some(Lie::WrongModulus), CKA_MODULUS) if is_kept(session, object) => {
                value[length / 2] ^= 1
            }
            (Some(Lie::Changes), CKA_EXTRACTABLE) if READ.fetch_add(1, Ordering::SeqCst) > 0 => {
                value.fill(CK_TRUE);
            }
            (Some(Lie::EscapeCodes), CKA_LABEL) => escape_codes(value),
            _ => {}
        }
    }
    answer
}

/// Whether an object is more than a session's: no throwaway.
fn is_kept(session: Session, object: Object) -> bool {
    let token = Shim::get().map(|shim| shim.real.attribute(session, object, CKA_TOKEN));
    token.is_ok_and(|value| value.is_some_and(|value| value != [CK_FALSE]))
}

/// Clears the screen, and says something in its place.
fn escape_codes(text: &mut [u8]) {
    for (to, from) in text.iter_mut().zip(b"\x1b[2J\x1b]0;owned\x07\x9b31mOK") {
        *to = *from;
    }
}

unsafe extern "C" fn token_info(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    let answer = of!(honest, C_GetTokenInfo(slot, info));
    match (lie(), unsafe { info.as_mut() }) {
        (Some(Lie::EscapeCodes), Some(info)) => {
            escape_codes(&mut info.manufacturerID);
            escape_codes(&mut info.model);
        }
        (Some(Lie::FinalTry), Some(info)) => {
            info.flags |= CKF_USER_PIN_FINAL_TRY | CKF_SO_PIN_FINAL_TRY;
        }
        (Some(Lie::PinLocked), Some(info)) => info.flags |= CKF_USER_PIN_LOCKED,
        (Some(Lie::Keypad), Some(info)) => info.flags |= CKF_PROTECTED_AUTHENTICATION_PATH,
        _ => {}
    }
    answer
}

unsafe extern "C" fn login(
    session: Session,
    user: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    length: CK_ULONG,
) -> CK_RV {
    if lie() != Some(Lie::Keypad) {
        return of!(honest, C_Login(session, user, pin, length));
    }
    // Whoever passes a PIN to a token with a keypad has asked somebody for it.
    let Some(typed) = std::env::var_os("KEYFERRY_SHIM_KEYPAD").filter(|_| pin.is_null()) else {
        return CKR_ARGUMENTS_BAD;
    };
    let mut typed = typed.into_encoded_bytes();
    of!(honest, C_Login(session, user, typed.as_mut_ptr(), typed.len() as CK_ULONG))
}

unsafe extern "C" fn destroy_object(session: Session, object: Object) -> CK_RV {
    if lie() == Some(Lie::Keeps) && is_kept(session, object) {
        return CKR_OK;
    }
    of!(honest, C_DestroyObject(session, object))
}

unsafe extern "C" fn find_objects(
    session: Session,
    objects: *mut Object,
    most: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    if lie() != Some(Lie::MillionObjects) {
        return of!(honest, C_FindObjects(session, objects, most, count));
    }
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let Ok(room) = usize::try_from(most) else {
        return CKR_ARGUMENTS_BAD;
    };
    let given = GIVEN.fetch_add(room, Ordering::SeqCst);
    let left = 1_000_000_usize.saturating_sub(given).min(room);
    for at in 0..left {
        unsafe { objects.add(at).write((given + at + 1) as Object) };
    }
    unsafe { count.write(left as CK_ULONG) };
    CKR_OK
}

unsafe extern "C" fn wrap_key(
    session: Session,
    mechanism: *mut CK_MECHANISM,
    wrapping: Object,
    key: Object,
    wrapped: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    let answer = of!(honest, C_WrapKey(session, mechanism, wrapping, key, wrapped, length));
    if answer == CKR_OK && !wrapped.is_null() {
        unsafe { stretch(length) };
    }
    answer
}

unsafe extern "C" fn sign(
    session: Session,
    data: *mut CK_BYTE,
    data_length: CK_ULONG,
    signature: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    let answer = of!(honest, C_Sign(session, data, data_length, signature, length));
    if answer == CKR_OK && !signature.is_null() {
        unsafe { stretch(length) };
    }
    answer
}

/// More than there is: bytes that nobody wrote, or a length beyond the caller's buffer.
unsafe fn stretch(length: *mut CK_ULONG) {
    match lie() {
        Some(Lie::TrailingBytes) => unsafe { *length += 8 },
        Some(Lie::WrongLength) => unsafe { *length = CK_ULONG::MAX / 2 },
        _ => {}
    }
}

unsafe extern "C" fn random(session: Session, random: *mut CK_BYTE, length: CK_ULONG) -> CK_RV {
    if lie() == Some(Lie::ConstantRandom) && !random.is_null() {
        let Ok(length) = usize::try_from(length) else {
            return CKR_ARGUMENTS_BAD;
        };
        unsafe { slice::from_raw_parts_mut(random, length) }.fill(0x42);
        return CKR_OK;
    }
    of!(honest, C_GenerateRandom(session, random, length))
}
