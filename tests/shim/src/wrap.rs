//! CKM_RSA_AES_KEY_WRAP in both directions, and what declared attributes forbid in any wrap or
//! unwrap.

use cryptoki_sys::*;

use crate::Shim;
use crate::declared::Declared;
use crate::memory::{Answer, Attribute, array, flag, hand_out, is_true, number, raw, value};
use crate::real::{call, plain};

/// The least that RFC 5649 makes of a key longer than 8 bytes.
const SHORTEST_KWP: usize = 24;

impl Shim {
    pub unsafe fn wrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        length: *mut CK_ULONG,
    ) -> Answer {
        let asked = *unsafe { mechanism.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
        self.refuse_untrusted(session, wrapping, key)?;
        let blob = match asked.mechanism {
            CKM_RSA_AES_KEY_WRAP => {
                let oaep = unsafe { oaep_of(&asked) }?;
                self.wrap_single_shot(session, oaep, wrapping, key)?
            }
            CKM_AES_KEY_WRAP_KWP | CKM_AES_KEY_WRAP_PAD => {
                self.wrap_under_aes(session, asked, wrapping, key)?
            }
            _ => {
                let wrap = |mut asked: CK_MECHANISM| {
                    call!(self.real, C_WrapKey(session, &mut asked, wrapping, key, wrapped, length))
                };
                return unsafe { self.with_oaep(asked, wrap) };
            }
        };
        unsafe { hand_out(&blob, wrapped, length) }
    }

    /// CKA_WRAP_WITH_TRUSTED, which the real token was not told of.
    fn refuse_untrusted(
        &self,
        session: CK_SESSION_HANDLE,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Answer {
        let declared = self.declared(session, key)?.unwrap_or_default();
        let trusted = || self.real.attribute(session, wrapping, CKA_TRUSTED);
        if declared.wrap_with_trusted && !trusted().is_some_and(|value| is_true(&value)) {
            return Err(CKR_KEY_NOT_WRAPPABLE);
        }
        Ok(())
    }

    fn wrap_single_shot(
        &self,
        session: CK_SESSION_HANDLE,
        oaep: CK_MECHANISM,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Answer<Vec<u8>> {
        let key_wrap = plain(self.key_wrap(self.real.slot(session)?)?);
        let mut template = aes_key(true);
        template.push(number(CKA_VALUE_LEN, 32));
        let aes = self.generate_aes(session, &raw(&template))?;
        let wrap = |oaep| self.real.wrap(session, oaep, wrapping, aes);
        let blob = unsafe { self.with_oaep(oaep, wrap) }.and_then(|mut blob| {
            blob.extend(self.wrap_under_aes(session, key_wrap, aes, key)?);
            Ok(blob)
        });
        self.real.destroy(session, aes);
        blob
    }

    #[allow(clippy::too_many_arguments)] // as C_UnwrapKey has
    pub unsafe fn unwrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        length: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) -> Answer {
        let asked = *unsafe { mechanism.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
        let declared = self.declared(session, unwrapping)?.unwrap_or_default();
        if !declared.allows(asked.mechanism) {
            return Err(CKR_MECHANISM_INVALID);
        }
        if self.personality.is_some_and(|own| own.opens_as_callers) {
            return unsafe {
                self.unwrap_as_callers(
                    (session, asked, unwrapping),
                    array(wrapped, length)?,
                    (&declared, array(template, count)?),
                    key,
                )
            };
        }
        if asked.mechanism != CKM_RSA_AES_KEY_WRAP {
            let unwrap = |mut asked: CK_MECHANISM| {
                call!(
                    self.real,
                    C_UnwrapKey(
                        session, &mut asked, unwrapping, wrapped, length, template, count, key,
                    )
                )
            };
            return unsafe { self.with_oaep(asked, unwrap) };
        }
        if key.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let oaep = unsafe { oaep_of(&asked) }?;
        let template = unsafe { merged(&declared, array(template, count)?) }?;
        let wrapped = unsafe { array(wrapped, length) }?;
        let target = self.unwrap_single_shot(session, oaep, unwrapping, wrapped, &template)?;
        unsafe { key.write(target) };
        Ok(())
    }

    /// Unwraps as a token that opens its own AES key by what the KEK allows callers.
    unsafe fn unwrap_as_callers(
        &self,
        (session, asked, unwrapping): (CK_SESSION_HANDLE, CK_MECHANISM, CK_OBJECT_HANDLE),
        wrapped: &[u8],
        (declared, template): (&Declared, &[CK_ATTRIBUTE]),
        key: *mut CK_OBJECT_HANDLE,
    ) -> Answer {
        let single_shot = asked.mechanism == CKM_RSA_AES_KEY_WRAP;
        let pinned = declared.unwrap_template.as_deref().unwrap_or_default();
        if single_shot && !declared.allows(CKM_RSA_PKCS_OAEP) {
            return Err(CKR_MECHANISM_INVALID);
        }
        if single_shot && pinned.iter().any(|one| one.kind == CKA_CLASS) {
            return Err(CKR_TEMPLATE_INCONSISTENT);
        }
        // Contradictions only: what is filled in is forgotten again.
        unsafe { merged(declared, template) }?;
        let mut asked_for = Vec::new();
        let defaults = [flag(CKA_SENSITIVE, false), flag(CKA_EXTRACTABLE, true)];
        for default in defaults.iter().filter(|_| !pinned.is_empty()) {
            if template.iter().all(|one| one.type_ != default.kind) {
                asked_for.push(default.raw());
            }
        }
        asked_for.extend(template);
        let made = match single_shot {
            true => {
                let oaep = unsafe { oaep_of(&asked) }?;
                self.unwrap_single_shot(session, oaep, unwrapping, wrapped, &asked_for)?
            }
            false => self.real.unwrap(session, asked, unwrapping, wrapped, &asked_for)?,
        };
        if key.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        unsafe { key.write(made) };
        Ok(())
    }

    fn unwrap_single_shot(
        &self,
        session: CK_SESSION_HANDLE,
        oaep: CK_MECHANISM,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[CK_ATTRIBUTE],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let key_wrap = plain(self.key_wrap(self.real.slot(session)?)?);
        let modulus = self.real.attribute(session, unwrapping, CKA_MODULUS);
        let modulus = modulus.ok_or(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT)?;
        let (first, second) = (wrapped.split_at_checked(modulus.len()))
            .filter(|(_, second)| second.len() >= SHORTEST_KWP && second.len() % 8 == 0)
            .ok_or(CKR_WRAPPED_KEY_LEN_RANGE)?;
        let aes = aes_key(false);
        let unwrap = |oaep| (self.real).unwrap(session, oaep, unwrapping, first, &raw(&aes));
        let aes = unsafe { self.with_oaep(oaep, unwrap) }?;
        let target = (self.real).unwrap(session, key_wrap, aes, second, template);
        self.real.destroy(session, aes);
        target
    }
}

/// The AES key between the two wraps: of the session, for one use. To be wrapped it must be
/// extractable.
fn aes_key(wraps: bool) -> Vec<Attribute> {
    vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        flag(CKA_TOKEN, false),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, wraps),
        flag(CKA_WRAP, wraps),
        flag(CKA_UNWRAP, !wraps),
        flag(CKA_ENCRYPT, false),
        flag(CKA_DECRYPT, false),
        flag(CKA_SIGN, false),
        flag(CKA_VERIFY, false),
        flag(CKA_DERIVE, false),
    ]
}

/// The OAEP half of CKM_RSA_AES_KEY_WRAP, for the one key size that the shim makes.
unsafe fn oaep_of(asked: &CK_MECHANISM) -> Answer<CK_MECHANISM> {
    let params = asked.pParameter.cast::<CK_RSA_AES_KEY_WRAP_PARAMS>();
    if params.is_null() || asked.ulParameterLen != length_of::<CK_RSA_AES_KEY_WRAP_PARAMS>() {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    let params = unsafe { params.read_unaligned() };
    if params.ulAESKeyBits != 256 || params.pOAEPParams.is_null() {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(CK_MECHANISM {
        mechanism: CKM_RSA_PKCS_OAEP,
        pParameter: params.pOAEPParams.cast(),
        ulParameterLen: length_of::<CK_RSA_PKCS_OAEP_PARAMS>(),
    })
}

fn length_of<T>() -> CK_ULONG {
    size_of::<T>() as CK_ULONG
}

/// The caller's template with what the KEK's CKA_UNWRAP_TEMPLATE adds to it (PKCS#11 v3.1, 4.9). In
/// front: SoftHSM takes CKA_MODIFIABLE only as the last.
unsafe fn merged(declared: &Declared, template: &[CK_ATTRIBUTE]) -> Answer<Vec<CK_ATTRIBUTE>> {
    let mut merged = Vec::new();
    for pinned in declared.unwrap_template.iter().flatten() {
        let mut missing = true;
        for asked in template.iter().filter(|one| one.type_ == pinned.kind) {
            if unsafe { value(asked) }? != pinned.value {
                return Err(CKR_TEMPLATE_INCONSISTENT);
            }
            missing = false;
        }
        if missing {
            merged.push(pinned.raw());
        }
    }
    merged.extend(template);
    Ok(merged)
}
