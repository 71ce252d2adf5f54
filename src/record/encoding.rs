//! `enc` and `H`: the one way bytes are joined and hashed, and the text forms of bytes.

use std::ffi::CStr;

use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Gives a type one form as text, on screens, in `Debug` and in every file: how it is written, and
/// how it is read.
#[macro_export]
macro_rules! as_text {
    ($type:ty $([$($generic:tt)+])?, $write:expr, $read:expr) => {
        impl$(<$($generic)+>)? ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let write: fn(&Self) -> String = $write;
                f.write_str(&write(self))
            }
        }

        impl$(<$($generic)+>)? ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl$(<$($generic)+>)? ::std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> ::std::result::Result<Self, String> {
                let read: fn(&str) -> ::std::result::Result<Self, String> = $read;
                read(text)
            }
        }

        impl$(<$($generic)+>)? ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de $(, $($generic)+)?> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <String as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(<D::Error as ::serde::de::Error>::custom)
            }
        }
    };
}

/// Joins parts unambiguously: ASCII `label`, 0x00, then for each part its length as 4 bytes
/// big-endian and its bytes (design, section 4). A label is a C string, which holds no other 0x00.
///
/// Integers are passed as their 4 bytes big-endian, text as UTF-8, hashes as their 32 bytes.
pub fn enc(label: &CStr, parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    feed(label, parts, |bytes| joined.extend_from_slice(bytes));
    joined
}

/// `H(label, parts…) = SHA-256(enc(label, parts…))`, without a buffer of the joined parts, so that
/// secret parts are not copied.
pub fn hash(label: &CStr, parts: &[&[u8]]) -> Hash {
    let mut sha = Sha256::new();
    feed(label, parts, |bytes| sha.update(bytes));
    Hash(sha.finalize().into())
}

fn feed(label: &CStr, parts: &[&[u8]], mut sink: impl FnMut(&[u8])) {
    sink(label.to_bytes_with_nul());
    for part in parts {
        // Every part is a field of a document of at most 4 MiB, so the length fits.
        sink(&(part.len() as u32).to_be_bytes());
        sink(part);
    }
}

/// A value of ours as the JSON that its file holds: indented, with a line feed at its end.
///
/// # Errors
/// [`crate::Error::Failed`] where it can't be encoded.
pub fn json_file(value: &impl Serialize) -> crate::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(crate::Error::encoding)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A SHA-256 value, 32 bytes; 64 lower-case hex characters in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// SHA-256 of these bytes as they are.
    pub fn of(bytes: &[u8]) -> Self {
        Hash(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

as_text!(Hash, |hash| HEXLOWER.encode(&hash.0), |text| hex_array(text).map(Hash));

/// Bytes that a document carries as standard base64, with padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

as_text!(Blob, |bytes| BASE64.encode(&bytes.0), |text| BASE64
    .decode(text.as_bytes())
    .map(Blob)
    .map_err(|error| error.to_string()));

/// A fixed number of bytes that a document carries as lower-case hex: a nonce, a package id, a
/// CKA_ID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const N: usize>(pub [u8; N]);

as_text!(
    Fixed<N> [const N: usize],
    |bytes| HEXLOWER.encode(&bytes.0),
    |text| hex_array(text).map(Fixed)
);

/// 20 bytes: the CKA_ID of an object that Keyferry makes.
pub type CkaId = Fixed<20>;
/// 16 bytes: the identity of one export.
pub type PackageId = Fixed<16>;

/// The CKA_ID of an object (design, section 4.1): the same in every run of the same attempt, so
/// that an interrupted step finds what it made. `kind` is `kek` (label empty) or `target`.
pub fn cka_id(plan: &Hash, side: &str, kind: &str, label: &str, attempt: u32) -> CkaId {
    let (plan, attempt) = (plan.as_bytes(), attempt.to_be_bytes());
    let parts = [plan, side.as_bytes(), kind.as_bytes(), label.as_bytes(), &attempt];
    let whole = hash(c"keyferry/1 id", &parts);
    let mut id = [0; 20];
    id.copy_from_slice(&whole.0[..20]);
    Fixed(id)
}

fn hex_array<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    // The library demands a buffer of exactly the decoded length.
    let decoded = text.len() == 2 * N && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok();
    decoded.then_some(bytes).ok_or_else(|| format!("expected {} lower-case hex characters", 2 * N))
}

/// Fresh random bytes from the operating system's generator.
///
/// # Errors
/// [`crate::Error::Failed`] where the operating system has no randomness to give.
pub fn random<const N: usize>() -> crate::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        crate::Error::failed(
            format!("the operating system gave no randomness: {error}"),
            "restart the machine and try again",
        )
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enc_is_injective_over_part_boundaries() {
        assert_eq!(enc(c"l", &[b"ab", b""]), b"l\0\0\0\0\x02ab\0\0\0\0");
        assert_ne!(enc(c"l", &[b"a", b"b"]), enc(c"l", &[b"ab", b""]));
        assert_eq!(hash(c"l", &[b"ab"]), Hash::of(&enc(c"l", &[b"ab"])));
    }

    #[test]
    fn a_file_that_cannot_be_encoded_is_a_defect_and_no_full_disk() {
        assert_eq!(json_file(&[1]).unwrap(), b"[\n  1\n]\n");
        let nameless = std::collections::BTreeMap::from([([0; 2], 1)]);
        let error = json_file(&nameless).unwrap_err().to_string();
        assert!(error.contains("report this as a defect") && !error.contains("disk"), "{error}");
    }

    #[test]
    fn hashes_are_lower_case_hex_only() {
        let hash = Hash::of(b"");
        assert_eq!(
            hash.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().to_uppercase().parse::<Hash>().is_err());
        assert!("e3".parse::<Hash>().is_err());
    }
}
