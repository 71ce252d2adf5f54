//! What crosses the C boundary: arrays of the caller's, answers of variable length, attributes of
//! ours.

use std::slice;

use cryptoki_sys::*;

/// A result whose error is what the C function answers.
pub type Answer<T = ()> = Result<T, CK_RV>;

pub fn check(rv: CK_RV) -> Answer {
    if rv == CKR_OK { Ok(()) } else { Err(rv) }
}

pub fn code(answer: Answer) -> CK_RV {
    answer.err().unwrap_or(CKR_OK)
}

/// The caller's array.
pub unsafe fn array<'a, T>(pointer: *const T, length: CK_ULONG) -> Answer<&'a [T]> {
    let most = isize::MAX as usize / size_of::<T>().max(1);
    match usize::try_from(length) {
        Ok(0) => Ok(&[]),
        Ok(length) if length <= most && !pointer.is_null() => {
            Ok(unsafe { slice::from_raw_parts(pointer, length) })
        }
        _ => Err(CKR_ARGUMENTS_BAD),
    }
}

/// The value of one of the caller's attributes.
pub unsafe fn value(attribute: &CK_ATTRIBUTE) -> Answer<&[u8]> {
    unsafe { array(attribute.pValue.cast(), attribute.ulValueLen) }
        .map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)
}

/// The value of the first of the caller's attributes of this type.
pub unsafe fn value_of(
    template: &[CK_ATTRIBUTE],
    kind: CK_ATTRIBUTE_TYPE,
) -> Answer<Option<&[u8]>> {
    let found = template.iter().find(|attribute| attribute.type_ == kind);
    found.map(|found| unsafe { value(found) }).transpose()
}

/// A C array of numbers, wherever it is aligned.
pub fn numbers(bytes: &[u8]) -> Answer<Vec<CK_ULONG>> {
    let (numbers, []) = bytes.as_chunks() else {
        return Err(CKR_ATTRIBUTE_VALUE_INVALID);
    };
    Ok(numbers.iter().map(|number| CK_ULONG::from_ne_bytes(*number)).collect())
}

/// Hands out an answer of variable length (PKCS#11 v3.1, 5.2): a null pointer asks for the length.
pub unsafe fn hand_out<T>(items: &[T], out: *mut T, length: *mut CK_ULONG) -> Answer {
    if length.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    let needed = items.len() as CK_ULONG;
    let room = unsafe { length.read() };
    unsafe { length.write(needed) };
    if out.is_null() {
        return Ok(());
    }
    if room < needed {
        return Err(CKR_BUFFER_TOO_SMALL);
    }
    unsafe { out.copy_from_nonoverlapping(items.as_ptr(), items.len()) };
    Ok(())
}

/// An attribute that owns its value.
#[derive(Debug, PartialEq)]
pub struct Attribute {
    pub kind: CK_ATTRIBUTE_TYPE,
    pub value: Vec<u8>,
}

impl Attribute {
    /// Its C form, valid while `self` lives. A module only reads it, though the pointer is not
    /// const.
    pub fn raw(&self) -> CK_ATTRIBUTE {
        CK_ATTRIBUTE {
            type_: self.kind,
            pValue: self.value.as_ptr().cast_mut().cast(),
            ulValueLen: self.value.len() as CK_ULONG,
        }
    }
}

pub fn raw(template: &[Attribute]) -> Vec<CK_ATTRIBUTE> {
    template.iter().map(Attribute::raw).collect()
}

pub fn number(kind: CK_ATTRIBUTE_TYPE, number: CK_ULONG) -> Attribute {
    let value = number.to_ne_bytes().to_vec();
    Attribute { kind, value }
}

pub fn flag(kind: CK_ATTRIBUTE_TYPE, set: bool) -> Attribute {
    let value = vec![if set { CK_TRUE } else { CK_FALSE }];
    Attribute { kind, value }
}

/// Whether a value that was read is CK_TRUE; any byte but 0 is (PKCS#11 v3.1, 2.1 leaves it to C).
pub fn is_true(value: &[u8]) -> bool {
    matches!(value, [set] if *set != CK_FALSE)
}
