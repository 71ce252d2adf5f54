//! Every `unsafe` of Keyferry: the PKCS#11 calls.
//!
//! `cryptoki` gives numbers their names and makes no call: it knows neither CKA_UNWRAP_TEMPLATE nor
//! CKM_AES_KEY_WRAP_KWP, believes the lengths that a module answers, and takes a token whose clock
//! it cannot read for none. Here the module is loaded once and asked for its function list once
//! (some proxies answer another the second time); every buffer is prepared by us, every length that
//! comes back is checked against it, and no pointer that a module wrote is followed.
//!
//! The one reason that holds for each block: the function pointers come from the module's own list
//! (PKCS#11 v3.1, 5.2) and stay valid while `_library` is loaded; every pointer passed points into
//! a value that outlives the call, with the length passed beside it. A module is native code in our
//! process: that it keeps to its buffers cannot be enforced here.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs;
use std::path::Path;
use std::ptr::null_mut;
use std::slice;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use crate::answer::{check, length_error, missing_error, output};
use crate::attribute::Attribute;
use crate::layout::{KeyUse, Space, TemplateLayout, TokenMechanism, attribute_in_c};
use crate::{TokenSession, module_error};
use record::Result;

/// More objects than any token holds: a search that finds more never ends.
const MOST_OBJECTS: usize = 100_000;
/// More slots than any module has, and more mechanisms than any token.
const MOST_LISTED: usize = 1024;
/// More bytes than any wrapped key or signature that Keyferry reads (an RSA-4096 wrapped key has
/// 2.9 KiB).
const MOST_BYTES: usize = 8 * 1024;

/// One object of a token, by its handle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object(CK_OBJECT_HANDLE);

/// A key pair of a token.
#[derive(Clone, Copy)]
pub(super) struct KeyPair {
    pub public: Object,
    pub private: Object,
}

/// The module's own function list.
pub(super) struct Functions {
    list: CK_FUNCTION_LIST,
    // Keeps the code that `list` points into mapped.
    _library: cryptoki_sys::Pkcs11,
}

macro_rules! call {
    ($self:ident.$name:ident($($argument:expr),* $(,)?)) => {{
        let function = $self.list().$name.ok_or_else(|| missing_error(stringify!($name)))?;
        // Safe for the reason given at the head of this file.
        unsafe { function($($argument),*) }
    }};
}

macro_rules! checked {
    ($self:ident.$name:ident($($argument:expr),* $(,)?)) => {
        check(stringify!($name), call!($self.$name($($argument),*)))
    };
}

impl Functions {
    /// Loads the module in this file and takes its function list.
    ///
    /// # Errors
    /// [`record::Error::Hsm`] where the file is no PKCS#11 module.
    pub fn load(path: &Path) -> Result<Self> {
        // The loader would wait for ever for somebody to write into a FIFO.
        if fs::metadata(path).is_ok_and(|file| !file.is_file()) {
            return Err(module_error(path, "it is no regular file"));
        }
        // Loading a library runs its code: the module is the operator's.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }
            .map_err(|error| module_error(path, error))?;
        let mut list: *mut CK_FUNCTION_LIST = null_mut();
        let get =
            (library.C_GetFunctionList.as_ref()).map_err(|error| module_error(path, error))?;
        // `list` is a local out-parameter.
        check("C_GetFunctionList", unsafe { get(&mut list) })?;
        if list.is_null() {
            return Err(missing_error("function list"));
        }
        // Not null, and valid while the library is loaded (PKCS#11 v3.1, 5.4.4); copied, so never
        // read again. The list of a v2.40 module has the same layout.
        let list = unsafe { list.read_unaligned() };
        Ok(Functions { list, _library: library })
    }

    /// C_Initialize with CKF_OS_LOCKING_OK (PKCS#11 v3.1, 5.4.1), and with this text as
    /// `pReserved`, as NSS and modules after its example take it.
    pub fn initialize(&self, reserved: Option<&CStr>) -> Result<()> {
        // A module only reads the text, though its parameter is not const.
        let reserved = reserved.map_or(null_mut(), |text| text.as_ptr().cast_mut().cast());
        let mut args = CK_C_INITIALIZE_ARGS {
            flags: CKF_OS_LOCKING_OK,
            pReserved: reserved,
            ..CK_C_INITIALIZE_ARGS::default()
        };
        checked!(self.C_Initialize((&raw mut args).cast()))
    }

    /// C_Finalize. Nothing can be done about its failure.
    pub fn finalize(&self) {
        if let Some(finalize) = self.list.C_Finalize {
            // The argument is reserved and must be null; no session of ours is left.
            unsafe { finalize(null_mut()) };
        }
    }

    /// C_Login as this user, with a PIN or (`None`) by the protected path. The only call whose code
    /// is handed back, because a wrong PIN must be told from a broken HSM.
    pub fn login(
        &self,
        session: &Session,
        user: CK_USER_TYPE,
        pin: Option<&[u8]>,
    ) -> Result<CK_RV> {
        let (pointer, length) =
            pin.map_or((null_mut(), 0), |pin| (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG));
        // C_Login only reads the PIN, though its parameter is not const.
        Ok(call!(self.C_Login(session.handle, user, pointer, length)))
    }

    /// C_GetInfo: what the module says of itself.
    pub fn info(&self) -> Result<CK_INFO> {
        let mut info = CK_INFO::default();
        checked!(self.C_GetInfo(&mut info)).map(|()| info)
    }

    /// C_GetTokenInfo. Texts are as the token has them.
    pub fn token(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        checked!(self.C_GetTokenInfo(slot, &mut info)).map(|()| info)
    }

    /// C_OpenSession: a read/write session of the token in this slot.
    pub fn open_session(&self, slot: CK_SLOT_ID) -> Result<Session<'_>> {
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
        let mut handle = CK_INVALID_HANDLE;
        checked!(self.C_OpenSession(slot, flags, null_mut(), None, &mut handle))?;
        Ok(Session { functions: self, handle, closes: true })
    }

    /// C_GetSlotList: the slots with a token.
    pub fn slots(&self) -> Result<Vec<CK_SLOT_ID>> {
        let slots = output("C_GetSlotList", MOST_LISTED, |list, count| {
            checked!(self.C_GetSlotList(CK_TRUE, list, count))
        });
        Ok(slots?.to_vec())
    }

    /// C_GetMechanismInfo: what the token can do with a mechanism, if it has it.
    pub fn mechanism(
        &self,
        slot: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
    ) -> Result<Option<CK_MECHANISM_INFO>> {
        let mut info = CK_MECHANISM_INFO::default();
        let rv = call!(self.C_GetMechanismInfo(slot, kind, &mut info));
        Ok((rv == CKR_OK).then_some(info))
    }

    /// C_GetMechanismList: what the token says it has, by number, also those that nobody has a name
    /// for.
    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        let mechanisms = output("C_GetMechanismList", MOST_LISTED, |list, count| {
            checked!(self.C_GetMechanismList(slot, list, count))
        });
        Ok(mechanisms?.to_vec())
    }

    fn list(&self) -> &CK_FUNCTION_LIST {
        &self.list
    }
}

/// A session of a token; closed when dropped. It serves one thread at a time.
pub(super) struct Session<'m> {
    functions: &'m Functions,
    handle: CK_SESSION_HANDLE,
    closes: bool,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

impl Session<'_> {
    fn list(&self) -> &CK_FUNCTION_LIST {
        self.functions.list()
    }

    fn close(&mut self) {
        if let Some(close) = self.list().C_CloseSession.filter(|_| self.closes) {
            // Nothing can be done about its failure.
            unsafe { close(self.handle) };
        }
        self.closes = false;
    }

    /// The same session, which its owner alone closes.
    pub fn lent(&self) -> Session<'_> {
        Session { functions: self.functions, handle: self.handle, closes: false }
    }

    /// Closes it, and opens another in its place: some tokens have two, of which the login is one.
    pub fn renew(&mut self, slot: CK_SLOT_ID) -> Result<()> {
        self.close();
        *self = self.functions.open_session(slot)?;
        Ok(())
    }

    /// C_Logout.
    pub fn logout(&self) -> Result<()> {
        checked!(self.C_Logout(self.handle))
    }

    /// C_GetSessionInfo: whose session it is.
    pub fn state(&self) -> Result<CK_STATE> {
        let mut info = CK_SESSION_INFO::default();
        checked!(self.C_GetSessionInfo(self.handle, &mut info)).map(|()| info.state)
    }

    /// C_GenerateRandom.
    pub fn random(&self, out: &mut [u8]) -> Result<()> {
        let length = out.len() as CK_ULONG;
        checked!(self.C_GenerateRandom(self.handle, out.as_mut_ptr(), length))
    }
}

impl TokenSession<'_> {
    fn list(&self) -> &CK_FUNCTION_LIST {
        self.session.list()
    }

    fn handle(&self) -> CK_SESSION_HANDLE {
        self.session.handle
    }

    /// Every object that has all of these attributes.
    pub fn find_objects(&self, wanted: &[Attribute]) -> Result<Vec<Object>> {
        let mut wanted = TemplateLayout::new(wanted);
        let (pointer, length) = wanted.parts();
        checked!(self.C_FindObjectsInit(self.handle(), pointer, length))?;
        let found = self.find_all();
        let end = checked!(self.C_FindObjectsFinal(self.handle()));
        let found = found?;
        end.map(|()| found)
    }

    fn find_all(&self) -> Result<Vec<Object>> {
        let mut found = Vec::new();
        loop {
            let mut batch = [CK_INVALID_HANDLE; 512];
            let mut count = CK_ULONG::MAX; // Where it stays so, nothing was searched.
            let room = batch.len() as CK_ULONG;
            checked!(self.C_FindObjects(self.handle(), batch.as_mut_ptr(), room, &mut count))?;
            let handles = usize::try_from(count).ok().and_then(|count| batch.get(..count));
            let handles = handles.ok_or_else(|| length_error("C_FindObjects", count))?;
            if handles.is_empty() {
                return Ok(found);
            }
            found.extend(handles.iter().map(|handle| Object(*handle)));
            if found.len() > MOST_OBJECTS {
                return Err(length_error("C_FindObjects", found.len() as CK_ULONG));
            }
        }
    }

    /// C_CreateObject.
    pub fn create(&self, template: &[Attribute]) -> Result<Object> {
        new_object("C_CreateObject", template, |at, length, object| {
            checked!(self.C_CreateObject(self.handle(), at, length, object))
        })
    }

    /// C_SetAttributeValue.
    pub fn set(&self, object: Object, template: &[Attribute]) -> Result<()> {
        let mut template = TemplateLayout::new(template);
        let (pointer, length) = template.parts();
        checked!(self.C_SetAttributeValue(self.handle(), object.0, pointer, length))
    }

    /// C_CopyObject.
    pub fn copy(&self, of: Object, template: &[Attribute]) -> Result<Object> {
        new_object("C_CopyObject", template, |at, length, object| {
            checked!(self.C_CopyObject(self.handle(), of.0, at, length, object))
        })
    }

    /// C_DestroyObject.
    pub fn destroy(&self, object: Object) -> Result<()> {
        checked!(self.C_DestroyObject(self.handle(), object.0))
    }

    /// C_GenerateKeyPair.
    pub fn generate_pair(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<KeyPair> {
        let mut public = TemplateLayout::new(public);
        let (public_at, public_length) = public.parts();
        let mut public = CK_INVALID_HANDLE;
        let private = new_object("C_GenerateKeyPair", private, |at, length, private| {
            TokenMechanism::Plain(mechanism).in_c(|mechanism| {
                checked!(self.C_GenerateKeyPair(
                    self.handle(),
                    mechanism,
                    public_at,
                    public_length,
                    at,
                    length,
                    &mut public,
                    private,
                ))
            })
        })?;
        Ok(KeyPair { public: object("C_GenerateKeyPair", public)?, private })
    }

    /// C_GenerateKey with CKM_AES_KEY_GEN.
    pub fn generate_aes(&self, template: &[Attribute]) -> Result<Object> {
        new_object("C_GenerateKey", template, |at, length, key| {
            TokenMechanism::Plain(CKM_AES_KEY_GEN).in_c(|mechanism| {
                checked!(self.C_GenerateKey(self.handle(), mechanism, at, length, key))
            })
        })
    }

    /// C_WrapKey into a buffer of ours, cut to what came back: the length query is only a hint on
    /// some modules.
    pub fn wrap(&self, with: KeyUse, key: Object) -> Result<Vec<u8>> {
        let wrapped = output("C_WrapKey", MOST_BYTES, |buffer, length| {
            with.mechanism.in_c(|by| {
                checked!(self.C_WrapKey(self.handle(), by, with.key.0, key.0, buffer, length))
            })
        });
        Ok(wrapped?.to_vec())
    }

    /// C_UnwrapKey. What the token made of the template must be read back.
    pub fn unwrap(&self, with: KeyUse, wrapped: &[u8], template: &[Attribute]) -> Result<Object> {
        // The module only reads the wrapped key, though its parameter is not const.
        let (blob, size) = (wrapped.as_ptr().cast_mut(), wrapped.len() as CK_ULONG);
        let (session, kek) = (self.handle(), with.key.0);
        new_object("C_UnwrapKey", template, |at, length, key| {
            with.mechanism.in_c(|by| {
                checked!(self.C_UnwrapKey(session, by, kek, blob, size, at, length, key))
            })
        })
    }

    /// C_SignInit and C_Sign, in one part.
    pub fn sign(&self, with: KeyUse, data: &[u8]) -> Result<Vec<u8>> {
        let by = with.mechanism;
        by.in_c(|by| checked!(self.C_SignInit(self.handle(), by, with.key.0)))?;
        let (data, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        let signature = output("C_Sign", MOST_BYTES, |buffer, length| {
            checked!(self.C_Sign(self.handle(), data, count, buffer, length))
        });
        Ok(signature?.to_vec())
    }

    /// C_DecryptInit and C_Decrypt, in one part.
    pub fn decrypt(&self, with: KeyUse, data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let by = with.mechanism;
        by.in_c(|by| checked!(self.C_DecryptInit(self.handle(), by, with.key.0)))?;
        let (data, count) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
        output("C_Decrypt", MOST_BYTES, |buffer, length| {
            checked!(self.C_Decrypt(self.handle(), data, count, buffer, length))
        })
    }

    /// Reads attributes of an object by one call, each into its own space; `false` where it gave
    /// not all of them.
    pub fn get_values(&self, object: Object, spaces: &mut [Space]) -> Result<bool> {
        let mut list: Vec<_> = spaces.iter_mut().map(Space::in_c).collect();
        let got = self.get(object, &mut list)?;
        spaces.iter_mut().zip(&list).for_each(|(space, read)| space.take(read, got));
        Ok(got)
    }

    /// Asks how many bytes an array attribute has: a hint, to be checked by the caller.
    pub fn get_length(&self, object: Object, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<usize>> {
        let mut query = attribute_in_c(kind, null_mut(), 0);
        let got = self.get(object, slice::from_mut(&mut query))?;
        Ok(usize::try_from(query.ulValueLen).ok().filter(|_| got))
    }

    /// Reads an array of as many attributes as there are `members`: their types are passed in,
    /// types and lengths come back, the values are in the members' own words.
    pub fn get_members(
        &self,
        object: Object,
        kind: CK_ATTRIBUTE_TYPE,
        members: &mut [Space],
    ) -> Result<bool> {
        let mut list: Vec<_> = members.iter_mut().map(Space::in_c).collect();
        let length = size_of_val(list.as_slice());
        let mut attribute = attribute_in_c(kind, list.as_mut_ptr().cast(), length);
        let got = self.get(object, slice::from_mut(&mut attribute))?;
        let got = got && attribute.ulValueLen == length as CK_ULONG;
        members.iter_mut().zip(&list).for_each(|(member, read)| member.take(read, got));
        Ok(got)
    }

    /// One C_GetAttributeValue; `false` where it gave not every value.
    fn get(&self, object: Object, list: &mut [CK_ATTRIBUTE]) -> Result<bool> {
        let (at, count) = (list.as_mut_ptr(), list.len() as CK_ULONG);
        let rv = call!(self.C_GetAttributeValue(self.handle(), object.0, at, count));
        if rv == CKR_OK {
            return Ok(true);
        }
        // The codes for "no such attribute" differ among modules: ask for what every object has
        // instead.
        let mut class: CK_ULONG = 0;
        let length = size_of::<CK_ULONG>();
        let mut alive = attribute_in_c(CKA_CLASS, (&raw mut class).cast(), length);
        checked!(self.C_GetAttributeValue(self.handle(), object.0, &mut alive, 1)).map(|()| false)
    }
}

/// The object that a call makes of a template.
fn new_object(
    function: &str,
    template: &[Attribute],
    call: impl FnOnce(*mut CK_ATTRIBUTE, CK_ULONG, *mut CK_OBJECT_HANDLE) -> Result<()>,
) -> Result<Object> {
    let mut template = TemplateLayout::new(template);
    let (pointer, length) = template.parts();
    let mut handle = CK_INVALID_HANDLE;
    call(pointer, length, &mut handle)?;
    object(function, handle)
}

fn object(function: &str, handle: CK_OBJECT_HANDLE) -> Result<Object> {
    match handle {
        CK_INVALID_HANDLE => Err(length_error(function, handle)),
        handle => Ok(Object(handle)),
    }
}
