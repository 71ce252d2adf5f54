//! Templates and mechanisms in the form of C, for raw.rs to pass: pointers are made here, but never
//! followed.

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::attribute::{Attribute, Value};
use crate::raw::Object;
use record::OaepHash;

/// A mechanism of the token with its parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenMechanism {
    /// A mechanism without parameter.
    Plain(CK_MECHANISM_TYPE),
    /// CKM_RSA_PKCS_OAEP with this hash, MGF1 with the same, no label (PKCS#11 v3.1, 6.1.8; RFC
    /// 8017, 7.1).
    Oaep(OaepHash),
    /// CKM_RSA_AES_KEY_WRAP with an AES-256 key and this OAEP (PKCS#11 v3.1, 6.1.27).
    RsaAes(OaepHash),
}

/// A key of the token, and the mechanism by which it wraps, unwraps, signs or decrypts.
#[derive(Clone, Copy)]
pub(super) struct KeyUse {
    pub mechanism: TokenMechanism,
    pub key: Object,
}

impl TokenMechanism {
    /// The use of this key by it.
    pub fn with(self, key: Object) -> KeyUse {
        KeyUse { mechanism: self, key }
    }

    /// Runs `act` with the mechanism in the form of C; the pointer is valid until `act` returns.
    pub fn in_c<R>(self, act: impl FnOnce(*mut CK_MECHANISM) -> R) -> R {
        let in_c = |kind, parameter: *mut c_void, length: usize| CK_MECHANISM {
            mechanism: kind,
            pParameter: parameter,
            ulParameterLen: length as CK_ULONG,
        };
        let (hash, mgf) = match self {
            TokenMechanism::Plain(kind) => return act(&mut in_c(kind, null_mut(), 0)),
            TokenMechanism::Oaep(OaepHash::Sha256) | TokenMechanism::RsaAes(OaepHash::Sha256) => {
                (CKM_SHA256, CKG_MGF1_SHA256)
            }
            TokenMechanism::Oaep(OaepHash::Sha1) | TokenMechanism::RsaAes(OaepHash::Sha1) => {
                (CKM_SHA_1, CKG_MGF1_SHA1)
            }
        };
        let mut oaep = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: hash,
            mgf,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: null_mut(),
            ulSourceDataLen: 0,
        };
        let oaep_pointer = &raw mut oaep;
        if let TokenMechanism::Oaep(_) = self {
            let length = size_of::<CK_RSA_PKCS_OAEP_PARAMS>();
            return act(&mut in_c(CKM_RSA_PKCS_OAEP, oaep_pointer.cast(), length));
        }
        let mut rsa_aes =
            CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: oaep_pointer };
        let length = size_of_val(&rsa_aes);
        act(&mut in_c(CKM_RSA_AES_KEY_WRAP, (&raw mut rsa_aes).cast(), length))
    }
}

/// A template in the form of C: the attributes, and the values that they point to.
pub(super) struct TemplateLayout {
    attributes: Vec<CK_ATTRIBUTE>,
    // Pointed to by `attributes`; heap blocks, which stay where they are when this moves. Words, so
    // that a CK_ULONG among them is aligned.
    _values: Vec<Vec<CK_ULONG>>,
    _nested: Vec<TemplateLayout>,
}

impl TemplateLayout {
    /// Lays the template out.
    pub fn new(template: &[Attribute]) -> Self {
        let (mut attributes, mut values, mut nested) = (Vec::new(), Vec::new(), Vec::new());
        for Attribute { kind, value } in template {
            let (pointer, length) = if let Value::Template(members) = value {
                let mut members = TemplateLayout::new(members);
                let pointer = members.attributes.as_mut_ptr().cast();
                let length = size_of_val(members.attributes.as_slice());
                nested.push(members);
                (pointer, length)
            } else {
                let (mut words, length) = words_of(value);
                let pointer = words.as_mut_ptr().cast();
                values.push(words);
                (pointer, length)
            };
            attributes.push(attribute_in_c(*kind, pointer, length));
        }
        TemplateLayout { attributes, _values: values, _nested: nested }
    }

    /// The pointer and the number of attributes, valid while `self` lives.
    pub fn parts(&mut self) -> (*mut CK_ATTRIBUTE, CK_ULONG) {
        let length = self.attributes.len() as CK_ULONG;
        (self.attributes.as_mut_ptr(), length)
    }
}

/// An attribute whose value is at this pointer, of this many bytes.
pub(super) fn attribute_in_c(
    kind: CK_ATTRIBUTE_TYPE,
    pointer: *mut c_void,
    length: usize,
) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_: kind, pValue: pointer, ulValueLen: length as CK_ULONG }
}

/// A value's bytes in words, and their number; a template has none here.
fn words_of(value: &Value) -> (Vec<CK_ULONG>, usize) {
    let bytes = match value {
        Value::Flag(value) => vec![if *value { CK_TRUE } else { CK_FALSE }],
        Value::Number(value) => value.to_ne_bytes().to_vec(),
        Value::Bytes(value) => value.clone(),
        Value::Mechanisms(list) => list.iter().flat_map(|kind| kind.to_ne_bytes()).collect(),
        Value::Template(_) => Vec::new(),
    };
    let words = bytes.chunks(size_of::<CK_ULONG>()).map(|chunk| {
        let mut word = [0; size_of::<CK_ULONG>()];
        word[..chunk.len()].copy_from_slice(chunk);
        CK_ULONG::from_ne_bytes(word)
    });
    (words.collect(), bytes.len())
}

/// The bytes of words.
pub(super) fn bytes_of(words: &[CK_ULONG]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The space for one member of a template that is read, in bytes: a flag, a number, a short name.
pub(super) const MEMBER: usize = 256;

/// An attribute that is read, or a member of one that is a template, with space for its value.
/// Words, not bytes: some modules write a CK_ULONG through a pointer that they take as aligned.
pub(super) struct Space {
    kind: CK_ATTRIBUTE_TYPE,
    words: Vec<CK_ULONG>,
    /// How many bytes of the words may be used.
    room: usize,
    /// How many came back; none where there is no value, or it is beyond the space (so
    /// CK_UNAVAILABLE_INFORMATION).
    length: Option<usize>,
}

impl Space {
    /// Space for at most so many bytes.
    pub fn of(kind: CK_ATTRIBUTE_TYPE, room: usize) -> Self {
        Space { kind, words: vec![0; room.div_ceil(size_of::<CK_ULONG>())], room, length: None }
    }

    /// The form of C, whose pointer is valid while `self` lives.
    pub fn in_c(&mut self) -> CK_ATTRIBUTE {
        attribute_in_c(self.kind, self.words.as_mut_ptr().cast(), self.room)
    }

    /// Takes what a call has made of that form; pointers that the module may have changed are not
    /// looked at.
    pub fn take(&mut self, read: &CK_ATTRIBUTE, got: bool) {
        let length = usize::try_from(read.ulValueLen).ok();
        self.length = length.filter(|length| got && *length <= self.room);
        self.kind = read.type_;
    }

    /// What was read.
    pub fn value(&self) -> Option<Vec<u8>> {
        let mut value = bytes_of(&self.words);
        self.length.map(|length| {
            value.truncate(length);
            value
        })
    }

    /// The same in the shape of the member of `like` with that type.
    pub fn member(&self, like: &[Attribute]) -> Option<Attribute> {
        let read = self.value()?;
        let like = like.iter().find(|attribute| attribute.kind == self.kind);
        let value = like.and_then(|like| like.value.like(&read));
        Some(Attribute { kind: self.kind, value: value.unwrap_or(Value::Bytes(read)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{flag, number};

    #[test]
    fn values_survive_the_form_of_c() {
        let (words, length) = words_of(&Value::Bytes(b"nine bytes".to_vec()));
        assert_eq!(length, 10);
        assert_eq!(&bytes_of(&words)[..10], b"nine bytes");
        let list = Value::Mechanisms(Vec::new());
        assert!(list.like(&bytes_of(&[9, 10])) == Some(Value::Mechanisms(vec![9, 10])));
        assert!(list.like(&[0; 9]).is_none());
        assert!(number(CKA_CLASS, 0).value.like(&[0; 9]).is_none());
        assert!(flag(CKA_WRAP, false).value.like(&[]).is_none());
    }

    #[test]
    fn a_member_longer_than_its_buffer_is_no_member() {
        let mut member = Space::of(CKA_WRAP, MEMBER);
        let like = [flag(CKA_WRAP, false)];
        member.take(&attribute_in_c(CKA_WRAP, null_mut(), 1), true);
        assert!(member.member(&like) == Some(flag(CKA_WRAP, false)));
        member.take(&attribute_in_c(CKA_WRAP, null_mut(), usize::MAX), true);
        assert!(member.member(&like).is_none());
        member.take(&attribute_in_c(CKA_WRAP, null_mut(), 1), false);
        assert!(member.member(&like).is_none());
    }
}
