//! What a key on a token signs and answers; these calls are not public, so that nothing but Keyferry's own steps reaches them.

use std::path::Path;
use std::process::Command;

use zeroize::Zeroizing;

use super::{Module, Pin, TargetSpec, Usage};
use crate::document::parts::OaepHash;
use crate::encoding::Fixed;

#[path = "../../tests/common/mod.rs"]
mod common;
use common::{MODULE, PIN, Tokens, run};

#[test]
fn a_target_signs_and_answers_as_its_public_half_says() {
    use rsa::pkcs8::DecodePublicKey;
    let tokens = Tokens::new(&["tenant"]);
    let module = Module::open(Path::new(MODULE)).unwrap();
    let pin = Pin::new(Zeroizing::new(PIN.to_owned()));
    let hsm = module.token("tenant").unwrap().login(Some(&pin)).unwrap();
    let spec = TargetSpec {
        label: "key",
        bits: 3072,
        usage: Usage {
            sign: true,
            decrypt: true,
        },
    };
    let target = hsm.target_make(Fixed([1; 20]), &spec).unwrap();

    let file = |name: &str, bytes: &[u8]| {
        let path = tokens.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let signature = hsm.sign(&target, b"message").unwrap();
    run(Command::new("openssl")
        .args(["dgst", "-sha256", "-keyform", "DER", "-verify"])
        .arg(file("spki", &target.spki))
        .arg("-signature")
        .arg(file("sig", &signature))
        .arg(file("message", b"message")));

    let public = rsa::PublicKey::from_public_key_der(&target.spki).unwrap();
    let padding = rsa::Oaep::<sha1::Sha1>::new();
    let challenge = public
        .encrypt(&mut getrandom::SysRng, padding, &[7; 32])
        .unwrap();
    let answer = hsm
        .decrypt_challenge(&target, OaepHash::Sha1, &challenge)
        .unwrap();
    assert_eq!(*answer, [7; 32]);
    // The other hash opens nothing.
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let challenge = public
        .encrypt(&mut getrandom::SysRng, padding, &[7; 32])
        .unwrap();
    assert!(
        hsm.decrypt_challenge(&target, OaepHash::Sha1, &challenge)
            .is_err()
    );
}
