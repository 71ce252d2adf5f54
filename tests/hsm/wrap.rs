//! Wraps as others see them, and canaries.

use super::*;

#[test]
fn canaries_say_what_was_observed_and_are_gone() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    for mechanism in BOTH_WAYS {
        for bits in [2048, 3072] {
            let observed = hsm.wrap_canary(KeyType::Rsa(bits), mechanism, SHA1).unwrap();
            assert_eq!(observed, Observed { oaep_hash: SHA1, kwp: KwpFlavour::Rfc5649ZeroFilled });
        }
        let observed = hsm.unwrap_canary(mechanism, SHA1, &none_waived).unwrap().0;
        assert_eq!(observed, Observed { oaep_hash: SHA1, kwp: KwpFlavour::Rfc5649 });
        let sha256 = OaepHash::Sha256;
        refused(hsm.wrap_canary(KeyType::Rsa(2048), mechanism, sha256), Rule::WrapOaepHash);
        refused(hsm.unwrap_canary(mechanism, sha256, &none_waived), Rule::WrapOaepHash);
    }
    assert_nothing_left("tenant", &[]);
}

#[test]
fn a_token_without_the_mechanism_is_refused_by_name() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = Module::open(Path::new(MODULE), None).unwrap();
    let hsm = login(&module, "tenant");
    refused(hsm.wrap_canary(KeyType::Rsa(2048), SINGLE_SHOT, SHA1), Rule::WrapSingleShot);
    refused(hsm.unwrap_canary(SINGLE_SHOT, SHA1, &none_waived), Rule::WrapSingleShot);
}

/// Every test above opens what Keyferry made by Keyferry; this one does it without.
#[test]
fn openssl_alone_opens_a_wrapped_key() {
    let tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = make(&hsm, SOURCE, &spec("key"));
    let path = |name: &str| tokens.folder().join(name);
    let openssl = |arguments: &[&str]| {
        run(Command::new("openssl").current_dir(tokens.folder()).args(arguments))
    };
    openssl(&["genrsa", "-out", "kek.pem", "3072"]);
    let kek = openssl(&["pkey", "-in", "kek.pem", "-pubout", "-outform", "DER"]);
    let wrapped = wrap(&hsm, &target, &kek, COMPOSITE);
    let (aes, key) = wrapped.split();
    assert_eq!(aes.len(), 384);
    std::fs::write(path("aes.bin"), aes).unwrap();
    std::fs::write(path("key.bin"), key).unwrap();
    let aes = openssl(&[
        "pkeyutl",
        "-decrypt",
        "-inkey",
        "kek.pem",
        "-in",
        "aes.bin",
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha1",
    ]);
    assert_eq!(aes.len(), 32);
    let aes = HEXLOWER.encode(&aes);
    let opened = openssl(&[
        "enc",
        "-d",
        "-id-aes256-wrap-pad",
        "-iv",
        "A65959A6",
        "-K",
        &aes,
        "-in",
        "key.bin",
    ]);
    // SoftHSM fills the PKCS#8 with zeros: its own length says where it ends.
    let length = 4 + usize::from(u16::from_be_bytes([opened[2], opened[3]]));
    assert!(opened[length..].iter().all(|byte| *byte == 0) && opened.len() - length < 8);
    std::fs::write(path("key.der"), &opened[..length]).unwrap();
    let public =
        openssl(&["pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER"]);
    assert_eq!(public, target.spki);
}

#[test]
fn a_failure_of_the_token_is_told_from_a_refusal() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = make(&hsm, SOURCE, &spec("key"));
    hsm.target_destroy(SOURCE).unwrap();
    // The handle is of an object that is gone: that is no missing attribute.
    assert!(matches!(
        hsm.targets_check(&[(&target, KeyType::Rsa(2048))], false, 1),
        Err(Error::Hsm { .. })
    ));
}
