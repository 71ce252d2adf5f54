//! Lies that a token could tell, and that Keyferry's canaries must find.

use std::ffi::OsStr;

use aes_kw::{KeyInit, KwAes256, KwpAes256};
use cryptoki_sys::*;

use crate::Shim;
use crate::memory::{Answer, Attribute, array, number, raw, value_of};
use crate::real::plain;

/// The only AES keys that are lied about; Keyferry makes no others.
pub const AES_LEN: usize = 32;

#[derive(Clone, Copy, PartialEq)]
pub enum Lie {
    /// OAEP with SHA-1 where SHA-256 was asked for.
    Sha1ForSha256,
    /// The AES key wrap pads by PKCS#7 under RFC 3394, as CKM_AES_KEY_WRAP_PAD of some vendors, and
    /// not by RFC 5649. Done in software, with AES keys whose values the shim knows.
    Pkcs7,
    /// Every generated AES key has the same value.
    ConstantAes,
    /// The token's randomness has one value.
    ConstantRandom,
    /// Private keys can be extracted, whatever was asked for, and say so.
    Extractable,
    /// Private keys can be extracted and read, and say so.
    Readable,
    /// Private keys can be extracted, and say that they can't.
    WrapsAnyway,
    /// A modulus is read with one bit wrong.
    WrongModulus,
    /// Whether a key can be extracted is read rightly once, and then wrongly.
    Changes,
    /// What is wrapped or signed is 8 bytes longer than it is.
    TrailingBytes,
    /// What is wrapped or signed is longer than any memory.
    WrongLength,
    /// The token's names and its objects' labels are for the terminal.
    EscapeCodes,
    /// An object that is kept is destroyed, it says, and stays.
    Keeps,
    /// One try of each PIN is left.
    FinalTry,
    /// Its PIN is locked.
    PinLocked,
    /// No lie of the token's, but what SoftHSM does not have: a keypad. Its PIN is what
    /// `KEYFERRY_SHIM_KEYPAD` has, as if somebody had typed it there.
    Keypad,
    /// Every search finds a million objects.
    MillionObjects,
    /// The module has no function list.
    NoList,
    /// The module answers another function list the second time, as p11-kit-proxy does.
    TwoLists,
}

impl Lie {
    pub fn named(name: &OsStr) -> Result<Lie, String> {
        match name.to_str() {
            Some("sha1-for-sha256") => Ok(Lie::Sha1ForSha256),
            Some("pkcs7") => Ok(Lie::Pkcs7),
            Some("constant-aes") => Ok(Lie::ConstantAes),
            Some("constant-random") => Ok(Lie::ConstantRandom),
            Some("extractable") => Ok(Lie::Extractable),
            Some("readable") => Ok(Lie::Readable),
            Some("wraps-anyway") => Ok(Lie::WrapsAnyway),
            Some("wrong-modulus") => Ok(Lie::WrongModulus),
            Some("changes") => Ok(Lie::Changes),
            Some("trailing-bytes") => Ok(Lie::TrailingBytes),
            Some("wrong-length") => Ok(Lie::WrongLength),
            Some("escape-codes") => Ok(Lie::EscapeCodes),
            Some("keeps") => Ok(Lie::Keeps),
            Some("final-try") => Ok(Lie::FinalTry),
            Some("pin-locked") => Ok(Lie::PinLocked),
            Some("keypad") => Ok(Lie::Keypad),
            Some("million-objects") => Ok(Lie::MillionObjects),
            Some("no-list") => Ok(Lie::NoList),
            Some("two-lists") => Ok(Lie::TwoLists),
            _ => Err(format!("KEYFERRY_SHIM_LIE {}: not a lie of lie.rs", name.display())),
        }
    }
}

impl Shim {
    pub unsafe fn generate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) -> Answer {
        let asked = unsafe { mechanism.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
        let template = unsafe { array(template, count) }?;
        if key.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        let made = if asked.mechanism == CKM_AES_KEY_GEN {
            self.generate_aes(session, template)?
        } else {
            self.real.generate(session, *asked, template)?
        };
        unsafe { key.write(made) };
        Ok(())
    }

    /// An AES key that the token generates, or seems to.
    pub fn generate_aes(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[CK_ATTRIBUTE],
    ) -> Answer<CK_OBJECT_HANDLE> {
        let length = number(CKA_VALUE_LEN, AES_LEN as CK_ULONG).value;
        let is_256 = unsafe { value_of(template, CKA_VALUE_LEN) }? == Some(&length);
        let value = match self.lie {
            Some(Lie::Pkcs7) if is_256 => {
                let mut value = [0; AES_LEN];
                getrandom::fill(&mut value).map_err(|_| CKR_DEVICE_ERROR)?;
                value
            }
            Some(Lie::ConstantAes) if is_256 => [0x42; AES_LEN],
            _ => {
                return self.real.generate(session, plain(CKM_AES_KEY_GEN), template);
            }
        };
        let key = self.create_aes(session, template, &value)?;
        if self.lie == Some(Lie::Pkcs7) {
            let mut known = self.known_aes.lock().map_err(|_| CKR_GENERAL_ERROR)?;
            known.insert(key, value);
        }
        Ok(key)
    }

    /// What C_GenerateKey would make of the template, with a value that the token does not choose.
    fn create_aes(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[CK_ATTRIBUTE],
        value: &[u8],
    ) -> Answer<CK_OBJECT_HANDLE> {
        // Which C_GenerateKey knows from its mechanism.
        let mut added = vec![number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES)];
        added.retain(|added| template.iter().all(|one| one.type_ != added.kind));
        added.push(Attribute { kind: CKA_VALUE, value: value.to_vec() });
        // In front: SoftHSM takes CKA_MODIFIABLE only as the last.
        let mut whole = raw(&added);
        whole.extend(template.iter().filter(|one| one.type_ != CKA_VALUE_LEN));
        self.real.create(session, &whole)
    }

    /// Calls with the mechanism that was asked for, or with the one that the lie puts in its place.
    pub unsafe fn with_oaep<T>(
        &self,
        asked: CK_MECHANISM,
        call: impl FnOnce(CK_MECHANISM) -> Answer<T>,
    ) -> Answer<T> {
        let length = size_of::<CK_RSA_PKCS_OAEP_PARAMS>() as CK_ULONG;
        let is_oaep = asked.mechanism == CKM_RSA_PKCS_OAEP && asked.ulParameterLen == length;
        let params = asked.pParameter.cast::<CK_RSA_PKCS_OAEP_PARAMS>();
        if self.lie == Some(Lie::Sha1ForSha256) && is_oaep && !params.is_null() {
            let mut params = unsafe { params.read_unaligned() };
            if params.hashAlg == CKM_SHA256 {
                params.hashAlg = CKM_SHA_1;
                params.mgf = CKG_MGF1_SHA1;
                let pointer = (&raw mut params).cast();
                return call(CK_MECHANISM { pParameter: pointer, ..asked });
            }
        }
        call(asked)
    }

    /// C_WrapKey by RFC 5649 as the real token does it, or as the lie does.
    pub fn wrap_under_aes(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM,
        aes: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Answer<Vec<u8>> {
        let wrapped = self.real.wrap(session, mechanism, aes, key)?;
        let known = self.known_aes.lock().map_err(|_| CKR_GENERAL_ERROR)?;
        // Where it does not open, the handle has passed on to a key that was not made here.
        let lied = known.get(&aes).and_then(|aes| pkcs7(aes, &wrapped));
        Ok(lied.unwrap_or(wrapped))
    }
}

/// Takes a key out of RFC 5649, pads it by PKCS#7 to whole blocks of 8 bytes and wraps it by RFC
/// 3394.
fn pkcs7(aes: &[u8; AES_LEN], wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; wrapped.len()];
    let opener = KwpAes256::new(aes.into());
    let mut padded = opener.unwrap_key(wrapped, &mut buffer).ok()?.to_vec();
    let padding = 8 - padded.len() % 8;
    padded.resize(padded.len() + padding, u8::try_from(padding).ok()?);
    let mut again = vec![0; padded.len() + 8];
    KwAes256::new(aes.into()).wrap_key(&padded, &mut again).ok()?;
    Some(again)
}
