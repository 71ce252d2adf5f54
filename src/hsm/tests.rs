//! What needs calls that are not public: what a key on a token signs and answers, and what the
//! templates of a composite import forbid.

use std::process::Command;

use zeroize::Zeroizing;

use crate::attribute::Attribute;
use crate::{KekSpec, Module, Pin, TargetSpec};
use modules::shim;
use record::encoding::Fixed;
use record::terms::{KeyType, OaepHash, Usage};
use tokens::{PIN, Tokens, run};

#[path = "../../tests/common/modules.rs"]
mod modules;
#[allow(unsafe_code)]
#[path = "../../tests/common/tokens.rs"]
mod tokens;
#[test]
fn a_target_signs_and_answers_as_its_public_half_says() {
    use rsa::pkcs8::DecodePublicKey;
    let tokens = Tokens::new(&["tenant"]);
    let module = Module::open(&shim(), None).unwrap();
    let pin = Pin::new(Zeroizing::new(PIN.to_owned()));
    let hsm = module.token("tenant").unwrap().login(Some(&pin)).unwrap();
    let spec = TargetSpec {
        label: "key",
        kind: KeyType::Rsa(3072),
        usage: Usage { sign: true, decrypt: true },
        trusted_only: false,
    };
    let target = hsm.target_make(&hsm.inventory().unwrap(), Fixed([1; 20]), &spec).unwrap();

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
    let challenge = public.encrypt(&mut getrandom::SysRng, padding, &[7; 32]).unwrap();
    let answer = hsm.decrypt_challenge(&target, OaepHash::Sha1, &challenge).unwrap();
    assert_eq!(*answer, [7; 32]);
    // The other hash opens nothing.
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let challenge = public.encrypt(&mut getrandom::SysRng, padding, &[7; 32]).unwrap();
    assert!(hsm.decrypt_challenge(&target, OaepHash::Sha1, &challenge).is_err());
}

/// The changed attribute comes first: after CKA_MODIFIABLE false SoftHSM refuses any, whatever a pin
/// says.
fn changed(template: Vec<Attribute>, to: Attribute) -> Vec<Attribute> {
    let kept = template.into_iter().filter(|kept| kept.kind != to.kind);
    [to.clone()].into_iter().chain(kept).collect()
}

/// The two locks of a composite import, tried as a dishonest operator would: past Keyferry's
/// templates.
#[test]
fn what_the_kek_unwraps_cannot_be_had_otherwise() {
    use cryptoki_sys::*;

    use crate::attribute::{flag, number};
    use crate::layout::TokenMechanism;
    use record::terms::Mechanism;

    let _tokens = Tokens::new(&["hoster"]);
    let module = Module::open(&shim(), None).unwrap();
    let pin = Pin::new(Zeroizing::new(PIN.to_owned()));
    let hsm = module.token("hoster").unwrap().login(Some(&pin)).unwrap();
    let id = Fixed([2; 20]);
    let spec = KekSpec { bits: 2048, mechanism: Mechanism::Composite };
    let kek = hsm.kek_create(id, "kek", spec, &|_| false).unwrap();
    let oaep = OaepHash::Sha1;
    let public = rsa::pkcs8::DecodePublicKey::from_public_key_der(&kek.spki).unwrap();
    let key = super::mechanism::software_key().unwrap();
    let key = rsa::pkcs8::EncodePrivateKey::to_pkcs8_der(&key).unwrap();
    let wrapped = crate::wrapped_key::make(&public, oaep, key.as_bytes()).unwrap();
    let (wrapped_aes, wrapped_key) = wrapped.split();
    let session = hsm.session().unwrap();
    let kek = hsm.kek_private(&hsm.inventory().unwrap(), id).unwrap();

    let unwrap_aes = |template: &[Attribute]| {
        session.unwrap(TokenMechanism::Oaep(oaep).with(kek), wrapped_aes, template)
    };
    let name = crate::table::named(&[7], "target");
    // The KEK's own UNWRAP_TEMPLATE: no readable, extractable or otherwise useful AES key.
    let usage = Usage { sign: true, decrypt: false };
    let target = crate::table::hoster_private(&name, KeyType::Rsa(2048), usage, false).in_session();
    let plain = crate::table::unwrapping_aes(&target).barest().template();
    let honest = plain.clone();
    assert!(unwrap_aes(&honest).is_ok());
    for kind in [CKA_EXTRACTABLE, CKA_WRAP, CKA_ENCRYPT, CKA_DECRYPT] {
        assert!(unwrap_aes(&changed(honest.clone(), flag(kind, true))).is_err());
    }
    assert!(unwrap_aes(&changed(honest, flag(CKA_SENSITIVE, false))).is_err());

    // The AES key's: no extractable target, no target with another usage.
    let with = TokenMechanism::Oaep(oaep).with(kek);
    let (aes, pin) = session.unwrap_aes(with, wrapped_aes, &target).unwrap();
    assert_eq!(pin, super::unwrap::TemplatePin::AesKey);
    let key_wrap = session.key_wrap().unwrap();
    let unwrap =
        |aes, template: &[Attribute]| session.unwrap(key_wrap.with(aes), wrapped_key, template);
    let honest = target.template();
    assert!(unwrap(aes, &honest).is_ok());
    for dishonest in [
        flag(CKA_EXTRACTABLE, true),
        flag(CKA_SENSITIVE, false),
        flag(CKA_DECRYPT, true),
        number(CKA_CLASS, CKO_SECRET_KEY),
    ] {
        assert!(unwrap(aes, &changed(honest.clone(), dishonest)).is_err());
    }
    // It is the pin that refuses: without it the same calls make a key that can leave, which is
    // what WRAP-COMPOSITE waives.
    let unpinned = unwrap_aes(&plain).unwrap();
    assert!(unwrap(unpinned, &changed(honest, flag(CKA_EXTRACTABLE, true))).is_ok());
}

/// The one lock of a single-shot import, tried in the same way: the token refuses, not Keyferry.
#[test]
fn a_single_shot_kek_gives_nothing_that_can_leave_and_no_aes_key() {
    use cryptoki_sys::*;

    use crate::attribute::{flag, number};
    use crate::layout::TokenMechanism;
    use record::terms::Mechanism;

    let _tokens = Tokens::new(&["hoster"]);
    let module = Module::open(&shim(), None).unwrap();
    let pin = Pin::new(Zeroizing::new(PIN.to_owned()));
    let hsm = module.token("hoster").unwrap().login(Some(&pin)).unwrap();
    let id = Fixed([3; 20]);
    let spec = KekSpec { bits: 2048, mechanism: Mechanism::SingleShot };
    let kek = hsm.kek_create(id, "kek", spec, &|_| false).unwrap();
    assert!(kek.missed.is_empty());
    let public = rsa::pkcs8::DecodePublicKey::from_public_key_der(&kek.spki).unwrap();
    let key = super::mechanism::software_key().unwrap();
    let key = rsa::pkcs8::EncodePrivateKey::to_pkcs8_der(&key).unwrap();
    let oaep = OaepHash::Sha1;
    let wrapped = crate::wrapped_key::make(&public, oaep, key.as_bytes()).unwrap();
    let session = hsm.session().unwrap();
    let kek = hsm.kek_private(&hsm.inventory().unwrap(), id).unwrap();

    let unwrap = |mechanism: TokenMechanism, wrapped: &[u8], template: &[Attribute]| {
        session.unwrap(mechanism.with(kek), wrapped, template)
    };
    let usage = Usage { sign: true, decrypt: false };
    let name = crate::table::named(&[7], "target");
    let target = crate::table::hoster_private(&name, KeyType::Rsa(2048), usage, false).in_session();
    let honest = target.template();
    assert!(unwrap(TokenMechanism::RsaAes(oaep), wrapped.as_bytes(), &honest).is_ok());
    for dishonest in [
        flag(CKA_EXTRACTABLE, true),
        flag(CKA_SENSITIVE, false),
        flag(CKA_PRIVATE, false),
        number(CKA_CLASS, CKO_SECRET_KEY),
    ] {
        let template = changed(honest.clone(), dishonest);
        assert!(unwrap(TokenMechanism::RsaAes(oaep), wrapped.as_bytes(), &template).is_err());
    }
    // The AES half alone, as whatever key: not even as one that stays in the token.
    let aes_half = wrapped.split().0;
    let aes = crate::table::unwrapping_aes(&target).barest().template();
    assert!(unwrap(TokenMechanism::Oaep(oaep), aes_half, &aes).is_err());
    let readable: Vec<_> = (aes.into_iter())
        .map(|attribute| match attribute.kind {
            CKA_EXTRACTABLE => flag(CKA_EXTRACTABLE, true),
            CKA_SENSITIVE => flag(CKA_SENSITIVE, false),
            _ => attribute,
        })
        .collect();
    assert!(unwrap(TokenMechanism::Oaep(oaep), aes_half, &readable).is_err());
    assert!(session.decrypt(TokenMechanism::Oaep(oaep).with(kek), aes_half).is_err());
}
