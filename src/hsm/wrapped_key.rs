//! The wrapped key: `RSA-OAEP(AES-256) ‖ AES-KWP(AES-256, PKCS#8)`, the format of
//! CKM_RSA_AES_KEY_WRAP (PKCS#11 v3.1, 6.1.27; RFC 8017, 7.1; RFC 5649). Checked by its length;
//! opened and made in software for canaries and tests only.

use aes_kw::{KeyInit, KwpAes256};
use getrandom::SysRng;
use rsa::Oaep;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::Sha256;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Encode, Header, Length, Reader, SliceReader, Tag, Tagged};
use zeroize::Zeroizing;

use record::document::package::kwp_length;
use record::spki::PublicKey;
use record::{Error, KeyType, KwpFlavour, OaepHash, Result, Rule, encoding};

/// A wrapped key of a plausible size. Ciphertext: nothing about it is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    bytes: Vec<u8>,
    // Where the RSA-OAEP part ends.
    split: usize,
}

impl WrappedKey {
    /// Takes these bytes as a key of this kind, wrapped under an RSA KEK of `kek_bits`.
    ///
    /// The first part is as long as the KEK's modulus (RFC 8017, 7.1.1), the second as RFC 5649
    /// makes a PKCS#8 of that size: a multiple of 8, at least 16.
    ///
    /// # Errors
    /// `WRAP-FORMAT` for every other length.
    pub fn parse(bytes: Vec<u8>, kek_bits: u32, target: KeyType) -> Result<Self> {
        let split = kek_bits as usize / 8;
        let (least, most) = match target {
            KeyType::Rsa(bits) => pkcs8_lengths(bits),
            KeyType::Ec(bits) => ec_pkcs8_lengths(bits),
        };
        let most = most + behind(target);
        let (least, most) = (split + kwp_length(least), split + kwp_length(most));
        let length = bytes.len();
        let whole_blocks =
            length.checked_sub(split).is_some_and(|rest| rest % 8 == 0 && rest >= 16);
        if !whole_blocks || !(least..=most).contains(&length) {
            return Err(Rule::WrapFormat.refuse(
                format!("{length} bytes"),
                format!(
                    "a {target} key under an RSA-{kek_bits} KEK: {least} to {most} bytes, {split} and then a multiple of 8"
                ),
                "wrap the key again; do not use these bytes",
            ));
        }
        Ok(WrappedKey { bytes, split })
    }

    /// The whole.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The wrapped AES key and the wrapped PKCS#8.
    pub fn split(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.split)
    }
}

/// The most that attributes take which Windows and some HSMs put behind the key, in bytes.
const MOST_ATTRIBUTES: usize = 128;

/// The most that may follow the key in a PKCS#8: attributes, and the public half of an
/// OneAsymmetricKey (RFC 5958, 2). Keys of the next size are still longer than that.
fn behind(target: KeyType) -> usize {
    let public = match target {
        KeyType::Rsa(bits) => der(der(bits as usize / 8 + 1) + der(3)),
        KeyType::Ec(bits) => 1 + 2 * (bits as usize / 8),
    };
    MOST_ATTRIBUTES + der(1 + public)
}

/// The least and the greatest length of the PKCS#8 (RFC 5958) of a two-prime RSA key (RFC 8017,
/// A.1.2) with exponent 65537: d and the three CRT numbers may begin with zero bytes, which DER
/// leaves out; eight never happen.
fn pkcs8_lengths(bits: u32) -> (usize, usize) {
    let modulus = bits as usize / 8;
    let prime = modulus / 2;
    let crt = [prime + 1; 3];
    let fixed = der(1) + der(modulus + 1) + der(3) + 2 * der(prime + 1);
    let most = fixed + der(modulus + 1) + crt.map(der).iter().sum::<usize>();
    let least = fixed
        + der(modulus.saturating_sub(8))
        + crt.map(|length| der(length.saturating_sub(9))).iter().sum::<usize>();
    // Version, rsaEncryption with NULL (15 bytes), and the OCTET STRING, in a SEQUENCE each.
    let wrapped = |key: usize| der(der(1) + 15 + der(der(key)));
    (wrapped(least), wrapped(most))
}

/// The least and the greatest length of the PKCS#8 (RFC 5958) of an EC key (RFC 5915): with or
/// without parameters and public key inside; the private number may begin with zero bytes, which
/// some tokens leave out; eight never happen.
fn ec_pkcs8_lengths(bits: u32) -> (usize, usize) {
    let field = bits as usize / 8;
    // prime256v1 and secp384r1.
    let curve = if bits == 256 { der(8) } else { der(5) };
    let algorithm = der(der(7) + curve);
    let public = der(der(2 + 2 * field));
    let whole = |key: usize| der(der(1) + algorithm + der(der(key)));
    let (least, most) =
        (der(1) + der(field.saturating_sub(8)), der(1) + der(field) + der(curve) + public);
    (whole(least), whole(most))
}

/// The length of a DER value of this many bytes with its tag and length (X.690, 8.1.3).
fn der(length: usize) -> usize {
    let header = match length {
        0..0x80 => 2,
        0x80..0x100 => 3,
        _ => 4,
    };
    header + length
}

/// A wrapped key, opened in software.
pub struct OpenedKey {
    /// The PKCS#8 of the target key, without what was filled up.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The AES-256 key between KEK and target key.
    pub aes: Zeroizing<Vec<u8>>,
    /// Which key wrap made it.
    pub kwp: KwpFlavour,
}

/// Opens a wrapped key in software and says what made it. The hash is tried, and so is the
/// other, to say which was observed.
///
/// # Errors
/// `WRAP-OAEP-HASH` where the other hash was used, `WRAP-KWP` where the second part is no RFC
/// 5649, `WRAP-CANARY` where it opens to no key, or not at all.
pub fn open(kek: &rsa::PrivateKey, oaep: OaepHash, wrapped: &WrappedKey) -> Result<OpenedKey> {
    let (wrapped_aes, wrapped_key) = wrapped.split();
    let aes = open_oaep(kek, oaep, wrapped_aes)?;
    let key_wrap = KwpAes256::new_from_slice(&aes).map_err(|_| {
        canary_error(&format!("an AES key of {} bytes", aes.len()), "an AES-256 key")
    })?;
    let mut buffer = Zeroizing::new(vec![0; wrapped_key.len()]);
    let opened = (key_wrap.unwrap_key(wrapped_key, &mut buffer)).map_err(|error| {
        Rule::WrapKwp.refuse(
            format!("the wrapped key does not open: {error}"),
            "AES key wrap with padding as in RFC 5649",
            "use a token with CKM_AES_KEY_WRAP_KWP; Keyferry never falls back to another padding",
        )
    })?;
    let (der, kwp) = match split_der(opened) {
        Some((der, [])) => (der, KwpFlavour::Rfc5649),
        Some((der, fill)) if fill.len() < 8 && fill.iter().all(|byte| *byte == 0) => {
            (der, KwpFlavour::Rfc5649ZeroFilled)
        }
        _ => return Err(canary_error("other bytes than one DER value", "one PKCS#8")),
    };
    if public_of(der).is_none() {
        return Err(canary_error("no valid key in PKCS#8", "the key that was wrapped"));
    }
    Ok(OpenedKey { pkcs8: Zeroizing::new(der.to_vec()), aes, kwp })
}

/// Makes a wrapped key in software, of exactly these bytes: fill them with zeros beforehand for
/// the other flavour.
///
/// # Errors
/// `WRAP-FORMAT` where they are no PKCS#8 of an RSA key; [`Error::Failed`] where the operating
/// system has no randomness.
pub fn make(kek: &rsa::PublicKey, oaep: OaepHash, pkcs8: &[u8]) -> Result<WrappedKey> {
    let make_error = |error: &dyn std::fmt::Display| {
        Error::defect(format!("no wrapped key could be made: {error}"))
    };
    let key = Zeroizing::new(encoding::random::<32>()?);
    let wrapped_aes = match oaep {
        OaepHash::Sha256 => kek.encrypt(&mut SysRng, Oaep::<Sha256>::new(), key.as_slice()),
        OaepHash::Sha1 => kek.encrypt(&mut SysRng, Oaep::<Sha1>::new(), key.as_slice()),
    };
    let mut bytes = wrapped_aes.map_err(|error| make_error(&error))?;
    let mut buffer = vec![0; kwp_length(pkcs8.len())];
    let wrapped = KwpAes256::new((&*key).into()).wrap_key(pkcs8, &mut buffer);
    bytes.extend_from_slice(wrapped.map_err(|error| make_error(&error))?);
    let target = split_der(pkcs8).and_then(|(der, _)| public_of(der));
    let target = target.map_or(KeyType::Rsa(0), |key| key.kind());
    WrappedKey::parse(bytes, kek.n_bits_precision(), target)
}

/// A PKCS#8 without what may follow the key in it: attributes \[0\], the public half \[1\], which the
/// parsers behind this do not all take.
fn without_attributes(pkcs8: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let whole = AnyRef::from_der(pkcs8).ok().filter(|whole| whole.tag() == Tag::Sequence)?;
    let mut reader = SliceReader::new(whole.value()).ok()?;
    let _version = u8::decode(&mut reader).ok().filter(|version| *version <= 1)?;
    let algorithm = AnyRef::decode(&mut reader).ok()?;
    let key = AnyRef::decode(&mut reader).ok().filter(|key| key.tag() == Tag::OctetString)?;
    while !reader.is_finished() {
        let behind = AnyRef::decode(&mut reader).ok()?.tag();
        matches!(behind, Tag::ContextSpecific { number, .. } if number.value() <= 1)
            .then_some(())?;
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(pkcs8.len()));
    let inside = [Length::new(3), algorithm.encoded_len().ok()?, key.encoded_len().ok()?];
    let inside = inside.into_iter().try_fold(Length::ZERO, |sum, one| sum + one).ok()?;
    Header::new(Tag::Sequence, inside).encode(&mut *plain).ok()?;
    plain.extend([0x02, 0x01, 0x00]);
    algorithm.encode(&mut *plain).ok()?;
    key.encode(&mut *plain).ok()?;
    Some(plain)
}

/// The public half of the private key in this PKCS#8, whatever attributes it has.
pub fn public_of(pkcs8: &[u8]) -> Option<PublicKey> {
    let pkcs8 = &without_attributes(pkcs8)?;
    if let Ok(key) = p256::SecretKey::from_pkcs8_der(pkcs8) {
        return Some(PublicKey::P256(key.public_key()));
    }
    if let Ok(key) = p384::SecretKey::from_pkcs8_der(pkcs8) {
        return Some(PublicKey::P384(key.public_key()));
    }
    let key = rsa::PrivateKey::from_pkcs8_der(pkcs8).ok()?;
    Some(PublicKey::Rsa(key.to_public_key()))
}

fn open_oaep(kek: &rsa::PrivateKey, oaep: OaepHash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let decrypt = |oaep| match oaep {
        OaepHash::Sha256 => kek.decrypt_blinded(&mut SysRng, Oaep::<Sha256>::new(), wrapped),
        OaepHash::Sha1 => kek.decrypt_blinded(&mut SysRng, Oaep::<Sha1>::new(), wrapped),
    };
    if let Ok(key) = decrypt(oaep) {
        return Ok(Zeroizing::new(key));
    }
    for observed in [OaepHash::Sha256, OaepHash::Sha1] {
        if decrypt(observed).map(Zeroizing::new).is_ok() {
            return Err(Rule::WrapOaepHash.refuse(
                format!("RSA-OAEP with {observed}"),
                format!("RSA-OAEP with {oaep}, as the plan says"),
                "use a token that does what it is asked, or agree on a new plan with the hash observed",
            ));
        }
    }
    Err(canary_error(
        "an AES key that opens with neither SHA-256 nor SHA-1",
        "RSA-OAEP without a label",
    ))
}

/// The DER value that these bytes begin with, and what follows it.
fn split_der(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = AnyRef::from_der_partial(bytes).ok()?;
    bytes.split_at_checked(bytes.len() - rest.len())
}

fn canary_error(found: &str, expected: &str) -> Error {
    Rule::WrapCanary.refuse(
        found,
        expected,
        "do not export with this token: what it wraps cannot be opened as the format says",
    )
}

#[cfg(test)]
#[path = "wrapped_key_tests.rs"]
mod tests;
