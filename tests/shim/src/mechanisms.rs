//! CKM_RSA_AES_KEY_WRAP in the token's list of mechanisms, and which uses of a key its declared
//! mechanisms allow.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::Shim;
use crate::memory::{Answer, hand_out};
use crate::real::call;

impl Shim {
    pub unsafe fn get_mechanism_list(
        &self,
        slot: CK_SLOT_ID,
        list: *mut CK_MECHANISM_TYPE,
        count: *mut CK_ULONG,
    ) -> Answer {
        let mut length = 0;
        call!(self.real, C_GetMechanismList(slot, null_mut(), &mut length))?;
        let room = usize::try_from(length).map_err(|_| CKR_DEVICE_ERROR)?;
        let mut mechanisms = vec![0; room];
        call!(self.real, C_GetMechanismList(slot, mechanisms.as_mut_ptr(), &mut length))?;
        mechanisms.truncate(usize::try_from(length).map_err(|_| CKR_DEVICE_ERROR)?);
        if self.single_shot(slot).is_ok() {
            mechanisms.push(CKM_RSA_AES_KEY_WRAP);
        }
        unsafe { hand_out(&mechanisms, list, count) }
    }

    pub unsafe fn get_mechanism_info(
        &self,
        slot: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
        info: *mut CK_MECHANISM_INFO,
    ) -> Answer {
        if kind != CKM_RSA_AES_KEY_WRAP {
            return call!(self.real, C_GetMechanismInfo(slot, kind, info));
        }
        if info.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        unsafe { info.write(self.single_shot(slot)?) };
        Ok(())
    }

    /// CKM_RSA_AES_KEY_WRAP as this slot's token has it through the shim: by its RSA-OAEP and its
    /// AES-KWP.
    fn single_shot(&self, slot: CK_SLOT_ID) -> Answer<CK_MECHANISM_INFO> {
        let oaep = self.real.mechanism(slot, CKM_RSA_PKCS_OAEP)?;
        // The AES key between the two is made in the token as well.
        self.real.mechanism(slot, CKM_AES_KEY_GEN)?;
        self.key_wrap(slot)?;
        Ok(CK_MECHANISM_INFO { flags: CKF_WRAP | CKF_UNWRAP, ..oaep })
    }

    /// The token's mechanism for RFC 5649; SoftHSM knows it only by the older id.
    pub fn key_wrap(&self, slot: CK_SLOT_ID) -> Answer<CK_MECHANISM_TYPE> {
        let has = |kind: &CK_MECHANISM_TYPE| self.real.mechanism(slot, *kind).is_ok();
        [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD]
            .into_iter()
            .find(has)
            .ok_or(CKR_MECHANISM_INVALID)
    }

    pub unsafe fn decrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
    ) -> Answer {
        unsafe { self.allowed(session, mechanism, key) }?;
        call!(self.real, C_DecryptInit(session, mechanism, key))
    }

    pub unsafe fn sign_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
    ) -> Answer {
        unsafe { self.allowed(session, mechanism, key) }?;
        call!(self.real, C_SignInit(session, mechanism, key))
    }

    /// Refuses what the real token would do with a single-shot KEK, because it must allow OAEP
    /// there: the AES half alone.
    unsafe fn allowed(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *const CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
    ) -> Answer {
        // No mechanism ends what was begun; the real module knows.
        let Some(mechanism) = (unsafe { mechanism.as_ref() }) else {
            return Ok(());
        };
        match self.declared(session, key)? {
            Some(declared) if !declared.allows(mechanism.mechanism) => Err(CKR_MECHANISM_INVALID),
            _ => Ok(()),
        }
    }
}
