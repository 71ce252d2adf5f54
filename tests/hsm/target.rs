//! Target keys at the tenant.

use super::*;

#[test]
fn a_target_is_made_once_and_found_by_its_public_half() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let made = make(&hsm, SOURCE, &spec("signing"));
    assert!(made.made);
    let again = make(&hsm, SOURCE, &spec("signing"));
    assert!(!again.made && again.spki == made.spki);
    let found = hsm.target_by_spki(&hsm.inventory().unwrap(), &made.spki).unwrap();
    assert_eq!(found.id, SOURCE.0);
    hsm.targets_check(&[(&found, KeyType::Rsa(2048))], false, 1).unwrap();
    refused(hsm.targets_check(&[(&found, KeyType::Rsa(3072))], false, 1), Rule::TargetKey);
    refused(
        hsm.target_make(&hsm.inventory().unwrap(), COPY, &spec("signing")).map(drop),
        Rule::TargetExists,
    );
    refused(hsm.target_by_spki(&hsm.inventory().unwrap(), b"nonsense").map(drop), Rule::TargetKey);

    // Half a pair is made again.
    let session = beside("tenant");
    session.destroy_object(one(&session, SOURCE, ObjectClass::PUBLIC_KEY)).unwrap();
    let again = make(&hsm, SOURCE, &spec("signing"));
    assert!(again.made && again.spki != made.spki);
    refused(
        hsm.target_by_spki(&hsm.inventory().unwrap(), &made.spki).map(drop),
        Rule::TargetMissing,
    );

    hsm.target_destroy(SOURCE).unwrap();
    assert!(all(&session, SOURCE).is_empty());
}

#[test]
fn two_keys_that_fit_are_ambiguous() {
    use rsa::pkcs8::EncodePublicKey;
    use rsa::traits::{PrivateKeyParts, PublicKeyParts};
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let session = beside("tenant");
    let key = rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap();
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(cryptoki::object::KeyType::RSA),
        Attribute::Token(true),
        Attribute::Modulus(key.n_bytes().to_vec()),
        Attribute::PublicExponent(key.e_bytes().to_vec()),
        Attribute::PrivateExponent(key.d().to_be_bytes().to_vec()),
    ];
    let spki = key.to_public_key().to_public_key_der().unwrap().into_vec();
    session.create_object(&template).unwrap();
    hsm.target_by_spki(&hsm.inventory().unwrap(), &spki).unwrap();
    session.create_object(&template).unwrap();
    refused(hsm.target_by_spki(&hsm.inventory().unwrap(), &spki).map(drop), Rule::TargetAmbiguous);
}

#[test]
fn a_target_that_must_not_be_wrapped_is_refused_by_name() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let session = beside("tenant");
    let check = |private: &[Attribute], exponent: &[u8], rule: Rule| {
        let public =
            [Attribute::ModulusBits(2048.into()), Attribute::PublicExponent(exponent.to_vec())];
        let (public, private) =
            session.generate_key_pair(&Ck::RsaPkcsKeyPairGen, &public, private).unwrap();
        let target = hsm.target_by_spki(&hsm.inventory().unwrap(), &spki_of(&session, public));
        refused(
            target.and_then(|target| hsm.targets_check(&[(&target, KeyType::Rsa(2048))], false, 1)),
            rule,
        );
        session.destroy_object(private).unwrap();
    };
    let (sensitive, extractable) = (Attribute::Sensitive(true), Attribute::Extractable(true));
    let plain = [Attribute::Sensitive(false), extractable.clone()];
    check(&plain, &[1, 0, 1], Rule::TargetSensitive);
    let stays = [sensitive.clone(), Attribute::Extractable(false)];
    check(&stays, &[1, 0, 1], Rule::TargetExtractable);
    let trusted = [sensitive.clone(), extractable.clone(), Attribute::WrapWithTrusted(true)];
    check(&trusted, &[1, 0, 1], Rule::TargetExtractable);
    check(&[sensitive, extractable], &[3], Rule::TargetKey);
}

#[test]
fn a_certificate_is_stored_beside_its_key_and_found() {
    let tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = make(&hsm, SOURCE, &spec("signing"));
    let certificate = common::certificate(tokens.folder(), &target.spki, "/CN=one");
    let find = || hsm.certificates(&hsm.inventory().unwrap(), &target.id).unwrap();
    assert!(find().is_empty());
    let store = |der: &[u8]| hsm.certificate_store(&target.id, "signing", der);
    store(&certificate).unwrap();
    assert_eq!(find(), std::slice::from_ref(&certificate));
    assert_eq!(all(&beside("tenant"), SOURCE).len(), 3);
    refused(store(b"nonsense"), Rule::TargetCertificate);
    // An authority's may lie beside it.
    let other = common::certificate(tokens.folder(), &target.spki, "/CN=two");
    store(&other).unwrap();
    let found = find();
    assert!(found.len() == 2 && found.contains(&certificate) && found.contains(&other));
    // The certificate does not make the pair another one.
    assert!(!make(&hsm, SOURCE, &spec("signing")).made);
}
