//! What a key declares and the real token cannot hold: kept in a text file per key, so that other
//! processes find it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io, process};

use cryptoki_sys::*;

use crate::Shim;
use crate::memory::{Answer, Attribute, is_true};

#[derive(Debug, Default, PartialEq)]
pub struct Declared {
    /// CKA_ALLOWED_MECHANISMS of a single-shot KEK.
    pub allowed: Option<Vec<CK_MECHANISM_TYPE>>,
    /// CKA_UNWRAP_TEMPLATE of a single-shot KEK.
    pub unwrap_template: Option<Vec<Attribute>>,
    pub wrap_with_trusted: bool,
}

impl Declared {
    /// Whether the key can be used with this mechanism.
    pub fn allows(&self, mechanism: CK_MECHANISM_TYPE) -> bool {
        (self.allowed.as_ref()).is_none_or(|allowed| allowed.contains(&mechanism))
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some(allowed) = &self.allowed {
            text.push_str("allowed");
            for mechanism in allowed {
                let _ = write!(text, " {mechanism:x}");
            }
            text.push('\n');
        }
        if let Some(template) = &self.unwrap_template {
            text.push_str("unwrap-template\n");
            for Attribute { kind, value } in template {
                let _ = writeln!(text, "unwrap {kind:x} {}", hex(value));
            }
        }
        if self.wrap_with_trusted {
            text.push_str("wrap-with-trusted\n");
        }
        text
    }

    fn of_text(text: &str) -> Option<Declared> {
        let number = |text| CK_ULONG::from_str_radix(text, 16).ok();
        let mut declared = Declared::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            match words.next()? {
                "allowed" => declared.allowed = Some(words.map(number).collect::<Option<_>>()?),
                "unwrap-template" => declared.unwrap_template = Some(Vec::new()),
                "unwrap" => declared
                    .unwrap_template
                    .as_mut()?
                    .push(Attribute { kind: number(words.next()?)?, value: unhex(words.next()?)? }),
                "wrap-with-trusted" => declared.wrap_with_trusted = true,
                _ => return None,
            }
        }
        Some(declared)
    }

    /// Written whole or not at all: another process may read at any time.
    pub fn store(&self, state: &Path, modulus: &[u8]) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let unique = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let path = path(state, modulus);
        let draft = path.with_extension(format!("{}-{unique}", process::id()));
        fs::write(&draft, self.to_text())
            .and_then(|()| fs::rename(&draft, path))
            .inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    fn find(state: &Path, modulus: &[u8]) -> io::Result<Option<Declared>> {
        match fs::read_to_string(path(state, modulus)) {
            Ok(text) => {
                Declared::of_text(&text).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Shim {
    /// What the object declared when it was generated, if it is such a key. An object that cannot
    /// be read is left to the real module to refuse.
    pub fn declared(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
    ) -> Answer<Option<Declared>> {
        let read = |kind| self.real.attribute(session, object, kind);
        if read(CKA_CLASS).as_deref() != Some(&CKO_PRIVATE_KEY.to_ne_bytes()) {
            return Ok(None);
        }
        // The same key unwrapped elsewhere has the same modulus, but has declared nothing.
        if read(CKA_LOCAL).is_some_and(|local| !is_true(&local)) {
            return Ok(None);
        }
        let Some(name) = name(read) else {
            return Ok(None);
        };
        Declared::find(&self.state, &name).map_err(|error| {
            eprintln!("keyferry-shim: {}: {error}", self.state.display());
            CKR_DEVICE_ERROR
        })
    }
}

/// What a private key is known by: its modulus, or its id where it shows none, as EC keys do.
pub fn name(read: impl Fn(CK_ATTRIBUTE_TYPE) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let named = |name: &Vec<u8>| !name.is_empty();
    read(CKA_MODULUS).filter(named).or_else(|| read(CKA_ID).filter(named))
}

/// The whole modulus would be too long for a file name.
fn path(state: &Path, modulus: &[u8]) -> PathBuf {
    let end = modulus.len().min(24);
    let (first, last) = (&modulus[..end], &modulus[modulus.len() - end..]);
    state.join(hex(first) + &hex(last))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    pairs.iter().map(|&[high, low]| u8::try_from(digit(high)? << 4 | digit(low)?).ok()).collect()
}
