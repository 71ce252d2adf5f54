//! Attributes of PKCS#11 objects as values: what a template asks for, and what a token says back.

use std::fmt;

use cryptoki::object::AttributeType;
use cryptoki_sys::*;
use data_encoding::HEXLOWER;

use record::terms::ReadBack;

/// More bytes than a person compares.
const LONG: usize = 32;

/// What one attribute holds (PKCS#11 v3.1, 4.1.2).
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// CK_BBOOL.
    Flag(bool),
    /// CK_ULONG.
    Number(CK_ULONG),
    /// A byte string, a big integer or text.
    Bytes(Vec<u8>),
    /// CKA_ALLOWED_MECHANISMS.
    Mechanisms(Vec<CK_MECHANISM_TYPE>),
    /// An array of attributes, such as CKA_UNWRAP_TEMPLATE; never nested again, which tokens
    /// refuse.
    Template(Vec<Attribute>),
}

/// One attribute: its type and its value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub kind: CK_ATTRIBUTE_TYPE,
    pub value: Value,
}

/// A CK_BBOOL attribute.
pub(super) fn flag(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Attribute {
    Attribute { kind, value: Value::Flag(value) }
}

/// CK_BBOOL attributes of one value.
pub(super) fn flags(kinds: &[CK_ATTRIBUTE_TYPE], value: bool) -> Vec<Attribute> {
    kinds.iter().map(|kind| flag(*kind, value)).collect()
}

/// A CK_ULONG attribute.
pub(super) fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Attribute {
    Attribute { kind, value: Value::Number(value) }
}

/// An attribute of bytes.
pub(super) fn bytes(kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> Attribute {
    Attribute { kind, value: Value::Bytes(value.to_vec()) }
}

/// CKA_ALLOWED_MECHANISMS.
pub(super) fn allowed(kinds: &[CK_MECHANISM_TYPE]) -> Attribute {
    Attribute { kind: CKA_ALLOWED_MECHANISMS, value: Value::Mechanisms(kinds.to_vec()) }
}

/// An attribute that is a template.
pub(super) fn template(kind: CK_ATTRIBUTE_TYPE, value: Vec<Attribute>) -> Attribute {
    Attribute { kind, value: Value::Template(value) }
}

impl Value {
    /// Whether both say the same; the members of lists may come in any order.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Mechanisms(a), Value::Mechanisms(b)) => {
                let (mut a, mut b) = (a.clone(), b.clone());
                a.sort_unstable();
                b.sort_unstable();
                a == b
            }
            (Value::Template(a), Value::Template(b)) => {
                let (mut a, mut b) = (a.clone(), b.clone());
                a.sort_by_key(|attribute| attribute.kind);
                b.sort_by_key(|attribute| attribute.kind);
                a == b
            }
            _ => self == other,
        }
    }

    /// The value of this kind that a token's bytes are, if they are one; templates are read member
    /// by member.
    pub fn like(&self, bytes: &[u8]) -> Option<Value> {
        let number = |bytes: &[u8]| bytes.try_into().ok().map(CK_ULONG::from_ne_bytes);
        match (self, bytes) {
            (Value::Flag(_), [byte]) => Some(Value::Flag(*byte != CK_FALSE)),
            (Value::Number(_), bytes) => number(bytes).map(Value::Number),
            (Value::Bytes(_), bytes) => Some(Value::Bytes(bytes.to_vec())),
            (Value::Mechanisms(_), bytes) => {
                let members = bytes.chunks(size_of::<CK_MECHANISM_TYPE>()).map(number);
                members.collect::<Option<_>>().map(Value::Mechanisms)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Bytes(value) if value.len() > LONG => {
                let begin = HEXLOWER.encode(&value[..LONG]);
                write!(f, "{} bytes that begin with {begin}", value.len())
            }
            Value::Bytes(value) => f.write_str(&HEXLOWER.encode(value)),
            Value::Mechanisms(list) => {
                let names: Vec<_> = list.iter().map(|kind| mechanism_name(*kind)).collect();
                f.write_str(&names.join(" "))
            }
            Value::Template(list) => {
                let members: Vec<_> = list.iter().map(Attribute::to_string).collect();
                f.write_str(&members.join(", "))
            }
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.value) {
            (CKA_CLASS, Value::Number(CKO_PRIVATE_KEY)) => f.write_str("CKA_CLASS CKO_PRIVATE_KEY"),
            (CKA_CLASS, Value::Number(CKO_SECRET_KEY)) => f.write_str("CKA_CLASS CKO_SECRET_KEY"),
            (CKA_KEY_TYPE, Value::Number(CKK_AES)) => f.write_str("CKA_KEY_TYPE CKK_AES"),
            (CKA_KEY_TYPE, Value::Number(CKK_RSA)) => f.write_str("CKA_KEY_TYPE CKK_RSA"),
            (kind, value) => write!(f, "{} {value}", name(kind)),
        }
    }
}

/// The PKCS#11 name of an attribute type; a type without one is shown as a number.
pub(super) fn name(kind: CK_ATTRIBUTE_TYPE) -> String {
    match (kind, AttributeType::try_from(kind)) {
        (CKA_UNWRAP_TEMPLATE, _) => "CKA_UNWRAP_TEMPLATE".to_owned(),
        (_, Ok(AttributeType::VendorDefined(_)) | Err(_)) => format!("attribute 0x{kind:08x}"),
        (_, Ok(known)) => known.to_string(),
    }
}

/// The PKCS#11 name of a mechanism that Keyferry uses; another is shown as a number.
pub(super) fn mechanism_name(kind: CK_MECHANISM_TYPE) -> String {
    match kind {
        CKM_RSA_PKCS_OAEP => "CKM_RSA_PKCS_OAEP".to_owned(),
        CKM_RSA_AES_KEY_WRAP => "CKM_RSA_AES_KEY_WRAP".to_owned(),
        CKM_AES_KEY_WRAP_KWP => "CKM_AES_KEY_WRAP_KWP".to_owned(),
        CKM_AES_KEY_WRAP_PAD => "CKM_AES_KEY_WRAP_PAD".to_owned(),
        other => format!("mechanism 0x{other:08x}"),
    }
}

/// An attribute's value as found, for a person: `CKA_SIGN false`, `CKA_SIGN absent`.
pub(super) fn found(kind: CK_ATTRIBUTE_TYPE, value: Option<&Value>) -> String {
    match value {
        Some(value) => Attribute { kind, value: value.clone() }.to_string(),
        None => format!("{} absent", name(kind)),
    }
}

/// An attribute's value as found, for the record.
pub(super) fn read_back(kind: CK_ATTRIBUTE_TYPE, value: Option<&Value>) -> ReadBack {
    ReadBack {
        attribute: name(kind),
        value: value.map_or_else(|| "absent".to_owned(), Value::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_the_same_in_any_order_and_with_the_same_members_only() {
        let one = Value::Template(vec![flag(CKA_WRAP, false), flag(CKA_SENSITIVE, true)]);
        let other = Value::Template(vec![flag(CKA_SENSITIVE, true), flag(CKA_WRAP, false)]);
        let less = Value::Template(vec![flag(CKA_SENSITIVE, true)]);
        assert!(one.same(&other));
        assert!(!one.same(&less));
        assert!(!Value::Mechanisms(vec![1, 2]).same(&Value::Mechanisms(vec![1])));
    }

    #[test]
    fn values_read_as_a_person_would_say_them() {
        assert_eq!(found(CKA_SIGN, None), "CKA_SIGN absent");
        assert_eq!(
            template(
                CKA_UNWRAP_TEMPLATE,
                vec![number(CKA_CLASS, CKO_SECRET_KEY), flag(CKA_WRAP, false)]
            )
            .to_string(),
            "CKA_UNWRAP_TEMPLATE CKA_CLASS CKO_SECRET_KEY, CKA_WRAP false"
        );
        assert_eq!(name(0x8000_0001), "attribute 0x80000001");
    }

    #[test]
    fn every_attribute_of_a_template_has_its_name() {
        for (kind, expected) in [
            (CKA_COPYABLE, "CKA_COPYABLE"),
            (CKA_TRUSTED, "CKA_TRUSTED"),
            (CKA_WRAP_WITH_TRUSTED, "CKA_WRAP_WITH_TRUSTED"),
            (CKA_ALLOWED_MECHANISMS, "CKA_ALLOWED_MECHANISMS"),
            (CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER"),
            (CKA_VERIFY_RECOVER, "CKA_VERIFY_RECOVER"),
            (CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE"),
            (CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE"),
            (CKA_VALUE_LEN, "CKA_VALUE_LEN"),
            (CKA_LOCAL, "CKA_LOCAL"),
        ] {
            assert_eq!(name(kind), expected);
        }
    }
}
