//! The functions by which a token has a personality: in front of an honest token, behind the lies.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cryptoki_sys::*;

use crate::Shim;
use crate::memory::{Answer, array, check, code, hand_out, is_true, number, value_of};
use crate::personality::{Personality, Refusal};

type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;

/// Objects of somebody else's have handles from here on.
const OTHERS: Object = 1 << 40;

static OPEN: AtomicUsize = AtomicUsize::new(0);
/// Sessions that search for everything, and how many of somebody else's objects each was given.
static SEARCHES: Mutex<BTreeSet<(Session, usize)>> = Mutex::new(BTreeSet::new());

/// Calls a function of the token behind.
macro_rules! behind {
    ($name:ident($($argument:expr),* $(,)?)) => {
        match Shim::get()?.emulated.$name {
            Some(function) => check(unsafe { function($($argument),*) }),
            None => Err(CKR_FUNCTION_NOT_SUPPORTED),
        }
    };
}

/// C functions, each with an answer of ours.
macro_rules! functions {
    ($($(#[$meta:meta])* fn $name:ident($personality:ident $(, $argument:ident: $kind:ty)* $(,)?)
        $body:block)*) => {
        $(
            $(#[$meta])*
            unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
                let answer = || -> Answer {
                    let $personality = Shim::get()?.personality.ok_or(CKR_GENERAL_ERROR)?;
                    $body
                };
                code(answer())
            }
        )*
    };
}

/// This list with the functions that a personality changes.
pub fn shaped(list: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
    CK_FUNCTION_LIST {
        C_GetTokenInfo: Some(token_info),
        C_GetMechanismList: Some(mechanism_list),
        C_GetMechanismInfo: Some(mechanism_info),
        C_OpenSession: Some(open_session),
        C_CloseSession: Some(close_session),
        C_FindObjectsInit: Some(find_objects_init),
        C_FindObjects: Some(find_objects),
        C_GetAttributeValue: Some(attribute_value),
        C_CreateObject: Some(create_object),
        C_GenerateKey: Some(generate_key),
        C_GenerateKeyPair: Some(generate_key_pair),
        C_WrapKey: Some(wrap_key),
        C_UnwrapKey: Some(unwrap_key),
        ..*list
    }
}

impl Personality {
    /// What it refuses of an object that this template asks for.
    unsafe fn judge(
        &self,
        class: Option<CK_OBJECT_CLASS>,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) -> Answer {
        let template = unsafe { array(template, count) }?;
        let asked = unsafe { value_of(template, CKA_CLASS) }?;
        let is_of = |wanted: &CK_OBJECT_CLASS| match class {
            Some(class) => class == *wanted,
            None => asked == Some(&number(CKA_CLASS, *wanted).value),
        };
        let set = |kind| unsafe { value_of(template, kind) };
        let has = |kind, wanted| -> Answer<bool> {
            Ok(set(kind)?.is_some_and(|value| is_true(value) == wanted))
        };
        for (classes, refused, rv) in self.refuses {
            let breaks = match refused {
                Refusal::Stored => has(CKA_TOKEN, true)?,
                Refusal::Created => class.is_none() && has(CKA_TOKEN, true)?,
                Refusal::Named(kind) => set(*kind)?.is_some(),
                Refusal::Value(kind, value) => has(*kind, *value)?,
                Refusal::Differ(one, other) => {
                    set(*other)?.is_some() && has(*one, true)? != has(*other, true)?
                }
            };
            if breaks && classes.iter().any(is_of) {
                return Err(*rv);
            }
        }
        Ok(())
    }

    /// The mechanism that is meant by one of its own numbers.
    fn real_mechanism(
        &self,
        slot: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
    ) -> Answer<CK_MECHANISM_TYPE> {
        match kind {
            own if self.key_wrap == Some(own) => Shim::get()?.key_wrap(slot),
            lacked if self.lacks.contains(&lacked) => Err(CKR_MECHANISM_INVALID),
            other => Ok(other),
        }
    }

    unsafe fn translated(
        &self,
        session: Session,
        asked: *mut CK_MECHANISM,
    ) -> Answer<CK_MECHANISM> {
        let asked = *unsafe { asked.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
        let slot = Shim::get()?.real.slot(session)?;
        Ok(CK_MECHANISM { mechanism: self.real_mechanism(slot, asked.mechanism)?, ..asked })
    }
}

/// A text of CK_TOKEN_INFO.
fn write_text(field: &mut [u8], text: Option<&str>) {
    if let Some(text) = text {
        field.fill(b' ');
        for (to, from) in field.iter_mut().zip(text.bytes()) {
            *to = from;
        }
    }
}

fn nul_pad(field: &mut [u8]) {
    for byte in field.iter_mut().rev().take_while(|byte| **byte == b' ') {
        *byte = 0;
    }
}

fn searches() -> Answer<std::sync::MutexGuard<'static, BTreeSet<(Session, usize)>>> {
    SEARCHES.lock().map_err(|_| CKR_GENERAL_ERROR)
}

functions! {
    fn token_info(own, slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) {
        behind!(C_GetTokenInfo(slot, info))?;
        let info = unsafe { info.as_mut() }.ok_or(CKR_ARGUMENTS_BAD)?;
        write_text(&mut info.manufacturerID, own.manufacturer);
        write_text(&mut info.serialNumber, own.serial);
        write_text(&mut info.utcTime, own.clock);
        info.flags |= own.flags;
        if own.sessions != usize::MAX {
            info.ulMaxSessionCount = own.sessions as CK_ULONG;
            info.ulMaxRwSessionCount = own.sessions as CK_ULONG;
        }
        if own.nul_padded {
            nul_pad(&mut info.label);
            nul_pad(&mut info.manufacturerID);
            nul_pad(&mut info.model);
        }
        Ok(())
    }

    fn mechanism_list(own, slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) {
        let mut all = vec![0; 1024];
        let mut length = all.len() as CK_ULONG;
        behind!(C_GetMechanismList(slot, all.as_mut_ptr(), &mut length))?;
        all.truncate(usize::try_from(length).map_err(|_| CKR_DEVICE_ERROR)?);
        all.retain(|kind| !own.lacks.contains(kind));
        all.extend(own.key_wrap);
        unsafe { hand_out(&all, list, count) }
    }

    fn mechanism_info(
        own,
        slot: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
        info: *mut CK_MECHANISM_INFO,
    ) {
        let kind = own.real_mechanism(slot, kind)?;
        behind!(C_GetMechanismInfo(slot, kind, info))
    }

    fn open_session(
        own,
        slot: CK_SLOT_ID,
        flags: CK_FLAGS,
        application: *mut std::ffi::c_void,
        notify: CK_NOTIFY,
        session: *mut Session,
    ) {
        if OPEN.fetch_add(1, Ordering::SeqCst) >= own.sessions {
            OPEN.fetch_sub(1, Ordering::SeqCst);
            return Err(CKR_SESSION_COUNT);
        }
        behind!(C_OpenSession(slot, flags, application, notify, session))
    }

    fn close_session(_own, session: Session) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
        behind!(C_CloseSession(session))
    }

    fn find_objects_init(
        own,
        session: Session,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) {
        let mut searches = searches()?;
        searches.retain(|(other, _)| *other != session);
        if count == 0 && own.objects > 0 {
            searches.insert((session, 0));
        }
        behind!(C_FindObjectsInit(session, template, count))
    }

    fn find_objects(
        own,
        session: Session,
        objects: *mut Object,
        most: CK_ULONG,
        count: *mut CK_ULONG,
    ) {
        behind!(C_FindObjects(session, objects, most, count))?;
        let mut searches = searches()?;
        let given = searches.iter().find(|(other, _)| *other == session).copied();
        let Some((_, given)) = given.filter(|_| unsafe { *count } == 0) else {
            return Ok(());
        };
        let room = usize::try_from(most).map_err(|_| CKR_ARGUMENTS_BAD)?;
        let more = (own.objects - given).min(room);
        for at in 0..more {
            unsafe { objects.add(at).write(OTHERS + (given + at) as Object) };
        }
        unsafe { count.write(more as CK_ULONG) };
        searches.retain(|(other, _)| *other != session);
        searches.insert((session, given + more));
        Ok(())
    }

    fn attribute_value(
        own,
        session: Session,
        object: Object,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) {
        let asked = unsafe { array(template, count) }?;
        if object < OTHERS && !asked.iter().any(|one| own.hides.contains(&one.type_)) {
            return behind!(C_GetAttributeValue(session, object, template, count));
        }
        let mut answer = Ok(());
        for (at, one) in asked.iter().enumerate() {
            let at = unsafe { template.add(at) };
            let said = match object {
                _ if own.hides.contains(&one.type_) => Err(CKR_ATTRIBUTE_TYPE_INVALID),
                OTHERS.. => unsafe { of_somebody_else(at) },
                _ => behind!(C_GetAttributeValue(session, object, at, 1)),
            };
            if said.is_err() {
                unsafe { (*at).ulValueLen = CK_UNAVAILABLE_INFORMATION };
            }
            answer = answer.and(said);
        }
        answer
    }

    fn create_object(
        own,
        session: Session,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        object: *mut Object,
    ) {
        unsafe { own.judge(None, template, count) }?;
        behind!(C_CreateObject(session, template, count, object))
    }

    fn generate_key(
        own,
        session: Session,
        mechanism: *mut CK_MECHANISM,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Object,
    ) {
        unsafe { own.judge(Some(CKO_SECRET_KEY), template, count) }?;
        behind!(C_GenerateKey(session, mechanism, template, count, key))
    }

    #[allow(clippy::too_many_arguments)] // as C_GenerateKeyPair has
    fn generate_key_pair(
        own,
        session: Session,
        mechanism: *mut CK_MECHANISM,
        public: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut Object,
        private_key: *mut Object,
    ) {
        unsafe { own.judge(Some(CKO_PUBLIC_KEY), public, public_count) }?;
        unsafe { own.judge(Some(CKO_PRIVATE_KEY), private, private_count) }?;
        behind!(C_GenerateKeyPair(
            session,
            mechanism,
            public,
            public_count,
            private,
            private_count,
            public_key,
            private_key,
        ))
    }

    fn wrap_key(
        own,
        session: Session,
        mechanism: *mut CK_MECHANISM,
        wrapping: Object,
        key: Object,
        wrapped: *mut CK_BYTE,
        length: *mut CK_ULONG,
    ) {
        let mut mechanism = unsafe { own.translated(session, mechanism) }?;
        let class = Shim::get()?.real.attribute(session, key, CKA_CLASS);
        if !own.wraps_private && class == Some(number(CKA_CLASS, CKO_PRIVATE_KEY).value) {
            return Err(CKR_KEY_NOT_WRAPPABLE);
        }
        behind!(C_WrapKey(session, &mut mechanism, wrapping, key, wrapped, length))
    }

    #[allow(clippy::too_many_arguments)] // as C_UnwrapKey has
    fn unwrap_key(
        own,
        session: Session,
        mechanism: *mut CK_MECHANISM,
        unwrapping: Object,
        wrapped: *mut CK_BYTE,
        length: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Object,
    ) {
        unsafe { own.judge(None, template, count) }?;
        let mut mechanism = unsafe { own.translated(session, mechanism) }?;
        behind!(C_UnwrapKey(
            session,
            &mut mechanism,
            unwrapping,
            wrapped,
            length,
            template,
            count,
            key,
        ))
    }
}

/// An attribute of an object that is nobody's here: data, without a name.
unsafe fn of_somebody_else(asked: *mut CK_ATTRIBUTE) -> Answer {
    let value = match unsafe { (*asked).type_ } {
        CKA_CLASS => number(CKA_CLASS, CKO_DATA).value,
        CKA_ID | CKA_LABEL => Vec::new(),
        _ => return Err(CKR_ATTRIBUTE_TYPE_INVALID),
    };
    let (at, mut length) = unsafe { ((*asked).pValue.cast(), (*asked).ulValueLen) };
    let answer = unsafe { hand_out(&value, at, &mut length) };
    unsafe { (*asked).ulValueLen = length };
    answer
}
