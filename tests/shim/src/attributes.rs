//! Reading, changing and copying keys that have declared attributes.

use cryptoki_sys::*;

use crate::Shim;
use crate::declared::Declared;
use crate::memory::{Answer, Attribute, array, code};
use crate::real::{call, parts};

const DECLARABLE: [CK_ATTRIBUTE_TYPE; 3] =
    [CKA_ALLOWED_MECHANISMS, CKA_UNWRAP_TEMPLATE, CKA_WRAP_WITH_TRUSTED];

impl Shim {
    pub unsafe fn get_attribute_value(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) -> Answer {
        let asked = unsafe { array(template, count) }.unwrap_or_default();
        let Some(declared) = self.declared_if_mentioned(session, object, asked)? else {
            return call!(self.real, C_GetAttributeValue(session, object, template, count));
        };
        // A copy, because the lengths in the caller's array are written below.
        let asked = asked.to_vec();
        let ours = |attribute: &CK_ATTRIBUTE| declared.answers(attribute.type_);
        let theirs: Vec<_> = asked.iter().copied().filter(|one| !ours(one)).collect();
        let mut first = Ok(());
        if !theirs.is_empty() {
            let (template, count) = parts(&theirs);
            first = call!(self.real, C_GetAttributeValue(session, object, template, count));
            if !is_answered(code(first)) {
                return first;
            }
        }
        // The real module has filled the caller's buffers, but the lengths in the copies.
        let mut theirs = theirs.into_iter();
        for (index, one) in asked.iter().enumerate() {
            let (length, answer) = if ours(one) {
                unsafe { declared.fill(one) }
            } else {
                (theirs.next().map_or(0, |one| one.ulValueLen), Ok(()))
            };
            unsafe { (*template.add(index)).ulValueLen = length };
            first = first.and(answer);
        }
        first
    }

    pub unsafe fn set_attribute_value(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) -> Answer {
        let changes = unsafe { array(template, count) }.unwrap_or_default();
        match self.declared_if_mentioned(session, object, changes)? {
            Some(_) => Err(CKR_ATTRIBUTE_READ_ONLY),
            None => call!(self.real, C_SetAttributeValue(session, object, template, count)),
        }
    }

    /// A copy would be a key of the real token that declares nothing, so there is none.
    pub unsafe fn copy_object(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        copy: *mut CK_OBJECT_HANDLE,
    ) -> Answer {
        match self.declared(session, object)? {
            Some(_) => Err(CKR_ACTION_PROHIBITED),
            None => call!(self.real, C_CopyObject(session, object, template, count, copy)),
        }
    }

    fn declared_if_mentioned(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: &[CK_ATTRIBUTE],
    ) -> Answer<Option<Declared>> {
        if template.iter().any(|one| DECLARABLE.contains(&one.type_)) {
            self.declared(session, object)
        } else {
            Ok(None)
        }
    }
}

impl Declared {
    /// Whether this attribute is read from here. The real KEK has none of its unwrap template and
    /// other mechanisms.
    fn answers(&self, kind: CK_ATTRIBUTE_TYPE) -> bool {
        match kind {
            CKA_ALLOWED_MECHANISMS | CKA_UNWRAP_TEMPLATE => self.allowed.is_some(),
            CKA_WRAP_WITH_TRUSTED => self.wrap_with_trusted,
            _ => false,
        }
    }

    /// Fills the buffers of an attribute that is read from here, and gives its length.
    unsafe fn fill(&self, asked: &CK_ATTRIBUTE) -> (CK_ULONG, Answer) {
        let absent = (CK_UNAVAILABLE_INFORMATION, Err(CKR_ATTRIBUTE_TYPE_INVALID));
        match (asked.type_, &self.allowed, &self.unwrap_template) {
            (CKA_ALLOWED_MECHANISMS, Some(allowed), _) => {
                let numbers = allowed.iter().flat_map(|kind| kind.to_ne_bytes());
                unsafe { fill_bytes(asked, &numbers.collect::<Vec<u8>>()) }
            }
            (CKA_UNWRAP_TEMPLATE, _, Some(members)) => unsafe { fill_template(asked, members) },
            (CKA_WRAP_WITH_TRUSTED, _, _) => unsafe {
                fill_bytes(asked, &[self.wrap_with_trusted.into()])
            },
            _ => absent,
        }
    }
}

/// Whether C_GetAttributeValue has answered about each attribute (PKCS#11 v3.1, 5.7.5).
fn is_answered(rv: CK_RV) -> bool {
    [CKR_OK, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL]
        .contains(&rv)
}

/// The length to answer, and whether there is a buffer to fill.
fn room_for(asked: &CK_ATTRIBUTE, length: usize) -> (CK_ULONG, Answer<bool>) {
    let length = length as CK_ULONG;
    if asked.pValue.is_null() {
        (length, Ok(false))
    } else if asked.ulValueLen < length {
        (CK_UNAVAILABLE_INFORMATION, Err(CKR_BUFFER_TOO_SMALL))
    } else {
        (length, Ok(true))
    }
}

unsafe fn fill_bytes(asked: &CK_ATTRIBUTE, value: &[u8]) -> (CK_ULONG, Answer) {
    let (length, room) = room_for(asked, value.len());
    if room == Ok(true) {
        let buffer = asked.pValue.cast::<u8>();
        unsafe { buffer.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    }
    (length, room.map(drop))
}

/// The caller's array of attributes: its types are ours to fill in, its buffers the caller's.
unsafe fn fill_template(asked: &CK_ATTRIBUTE, members: &[Attribute]) -> (CK_ULONG, Answer) {
    let (length, room) = room_for(asked, members.len() * size_of::<CK_ATTRIBUTE>());
    let mut answer = room.map(drop);
    if room == Ok(true) {
        for (index, member) in members.iter().enumerate() {
            // Inside the array, whose length was looked at; it need not be aligned.
            let place = unsafe { asked.pValue.cast::<CK_ATTRIBUTE>().add(index) };
            let mut buffer = unsafe { place.read_unaligned() };
            let (length, filled) = unsafe { fill_bytes(&buffer, &member.value) };
            buffer.type_ = member.kind;
            buffer.ulValueLen = length;
            unsafe { place.write_unaligned(buffer) };
            answer = answer.and(filled);
        }
    }
    (length, answer)
}
