//! Signatures of a FIDO2 key, made without a token: sk-ssh-ed25519, with the flags that a test asks
//! for.

use std::{fs, path::Path};

use data_encoding::BASE64;
use sha2::{Digest, Sha256, Sha512};
use signature::Signer;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};

/// Flags of a signature whose holder touched the key (WebAuthn, 6.1).
pub const TOUCHED: u8 = 0x01;
/// Flags of one whose holder did not.
pub const UNTOUCHED: u8 = 0x04;
const ALGORITHM: &[u8] = b"sk-ssh-ed25519@openssh.com";
const APPLICATION: &[u8] = b"ssh:";

fn pair() -> Ed25519Keypair {
    Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[7; 32]))
}

/// A string in SSH's wire form.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// The public key in SSH's wire form.
pub fn wire() -> Vec<u8> {
    [string(ALGORITHM), string(&pair().public.0), string(APPLICATION)].concat()
}

/// The public key as a plan has it.
pub fn public() -> String {
    format!("sk-ssh-ed25519@openssh.com {}", BASE64.encode(&wire()))
}

/// What the key answers when it is asked to sign this, in SSH's wire form.
pub fn answer(asked: &[u8], flags: u8) -> Vec<u8> {
    let trailer = [flags, 0, 0, 0, 9];
    let asked =
        [Sha256::digest(APPLICATION).as_slice(), &trailer, Sha256::digest(asked).as_slice()]
            .concat();
    let raw: ssh_key::Signature = pair().try_sign(&asked).unwrap();
    [string(ALGORITHM), string(raw.as_bytes()), trailer.to_vec()].concat()
}

/// Signs a file beside it.
pub fn sign(file: &Path, namespace: &str, id: &str, flags: u8) {
    let namespace = string(namespace.as_bytes());
    let hash = Sha512::digest(fs::read(file).unwrap());
    let signed =
        [b"SSHSIG".as_slice(), &namespace, &string(b""), &string(b"sha512"), &string(&hash)]
            .concat();
    let inner = answer(&signed, flags);
    let blob = [
        b"SSHSIG\0\0\0\x01".as_slice(),
        &string(&wire()),
        &namespace,
        &string(b""),
        &string(b"sha512"),
        &string(&inner),
    ]
    .concat();
    let base64 = BASE64.encode(&blob);
    let lines: Vec<&str> =
        (0..base64.len()).step_by(70).map(|at| &base64[at..base64.len().min(at + 70)]).collect();
    let text = format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    );
    fs::write(format!("{}.{id}.sig", file.display()), text).unwrap();
}
