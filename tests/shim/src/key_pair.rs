//! Key pairs: what the real token cannot hold is taken out of the template and kept by the shim.

use cryptoki_sys::*;

use crate::Shim;
use crate::declared::{Declared, name};
use crate::memory::{Answer, Attribute, array, is_true, number, numbers, value, value_of};
use crate::real::{call, parts};

impl Shim {
    #[allow(clippy::too_many_arguments)] // as C_GenerateKeyPair has
    pub unsafe fn generate_key_pair(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        public: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut CK_OBJECT_HANDLE,
        private_key: *mut CK_OBJECT_HANDLE,
    ) -> Answer {
        let kind = unsafe { mechanism.as_ref() }.map(|mechanism| mechanism.mechanism);
        let mut declared = Declared::default();
        if let Some(CKM_RSA_PKCS_KEY_PAIR_GEN | CKM_RSA_X9_31_KEY_PAIR_GEN | CKM_EC_KEY_PAIR_GEN) =
            kind
        {
            declared = unsafe { declared_in(array(private, private_count)?) }?;
        }
        if declared == Declared::default() {
            return call!(
                self.real,
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
            );
        }
        if public_key.is_null() || private_key.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let oaep = number(CKA_ALLOWED_MECHANISMS, CKM_RSA_PKCS_OAEP);
        let asked = unsafe { array(private, private_count) }?;
        let held = held_by_token(asked, &declared, &oaep);
        let (private, private_count) = parts(&held);
        let (mut public_half, mut private_half) = (CK_INVALID_HANDLE, CK_INVALID_HANDLE);
        call!(
            self.real,
            C_GenerateKeyPair(
                session,
                mechanism,
                public,
                public_count,
                private,
                private_count,
                &mut public_half,
                &mut private_half,
            )
        )?;
        if let Err(error) = self.store(session, private_half, &declared) {
            eprintln!("keyferry-shim: the declared attributes of a new key are lost: {error}");
            self.real.destroy(session, private_half);
            self.real.destroy(session, public_half);
            return Err(CKR_DEVICE_ERROR);
        }
        unsafe { public_key.write(public_half) };
        unsafe { private_key.write(private_half) };
        Ok(())
    }

    fn store(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        declared: &Declared,
    ) -> Result<(), String> {
        let name = name(|kind| self.real.attribute(session, key, kind));
        let name = name.ok_or("the token shows neither its modulus nor an id")?;
        declared.store(&self.state, &name).map_err(|error| error.to_string())
    }
}

/// What the shim keeps of a private half's template; the default where the real token can hold all
/// of it.
unsafe fn declared_in(template: &[CK_ATTRIBUTE]) -> Answer<Declared> {
    let trusted = unsafe { value_of(template, CKA_WRAP_WITH_TRUSTED) }?;
    let mut declared =
        Declared { wrap_with_trusted: trusted.is_some_and(is_true), ..Declared::default() };
    let allowed = unsafe { value_of(template, CKA_ALLOWED_MECHANISMS) }?.map(numbers);
    let allowed = allowed.transpose()?;
    if let Some(allowed) = allowed.filter(|allowed| allowed.contains(&CKM_RSA_AES_KEY_WRAP)) {
        declared.allowed = Some(allowed);
        let members = unsafe { value_of(template, CKA_UNWRAP_TEMPLATE) }?;
        let members = members.map(|members| unsafe { owned(members) });
        declared.unwrap_template = members.transpose()?;
    }
    Ok(declared)
}

/// The caller's array of attributes, copied. It need not be aligned.
unsafe fn owned(members: &[u8]) -> Answer<Vec<Attribute>> {
    let members = members.chunks(size_of::<CK_ATTRIBUTE>()).map(|member| {
        if member.len() != size_of::<CK_ATTRIBUTE>() {
            return Err(CKR_ATTRIBUTE_VALUE_INVALID);
        }
        let member = unsafe { member.as_ptr().cast::<CK_ATTRIBUTE>().read_unaligned() };
        Ok(Attribute { kind: member.type_, value: unsafe { value(&member) }?.to_vec() })
    });
    members.collect()
}

/// The template with what the real token can hold, in its order: SoftHSM takes CKA_MODIFIABLE only
/// as the last.
fn held_by_token(
    template: &[CK_ATTRIBUTE],
    declared: &Declared,
    oaep: &Attribute,
) -> Vec<CK_ATTRIBUTE> {
    let single_shot = declared.allowed.is_some();
    let held = template.iter().filter_map(|attribute| match attribute.type_ {
        // Of 0x1054 the real token only sees the OAEP that the shim does with the KEK.
        CKA_ALLOWED_MECHANISMS if single_shot => Some(oaep.raw()),
        // The template is of the target; what the KEK unwraps in the real token is the AES key.
        CKA_UNWRAP_TEMPLATE if single_shot => None,
        // The AES key that wraps in the real token cannot be trusted.
        CKA_WRAP_WITH_TRUSTED if declared.wrap_with_trusted => None,
        _ => Some(*attribute),
    });
    held.collect()
}
