//! The KEK.

use super::*;
use record::encoding::Hash;

#[test]
fn the_kek_is_what_it_was_asked_to_be_and_stays_so() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    let kek = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 4096), &none_waived).unwrap();
    assert!(kek.made && kek.missed.is_empty());
    let values: Vec<_> =
        (kek.attributes.iter()).map(|read| format!("{} {}", read.attribute, read.value)).collect();
    for expected in [
        "CKA_TOKEN true",
        "CKA_EXTRACTABLE false",
        "CKA_ALLOWED_MECHANISMS CKM_RSA_PKCS_OAEP",
        "CKA_MODIFIABLE false",
        "CKA_LOCAL true",
    ] {
        assert!(values.iter().any(|value| value == expected), "{values:#?}");
    }
    let again = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 4096), &none_waived).unwrap();
    assert!(!again.made);
    assert_eq!(again.spki, kek.spki);
    assert_eq!(again.attributes, kek.attributes);
    let checked = hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived).unwrap();
    assert_eq!(checked, kek.attributes);

    let session = beside("hoster");
    let private = one(&session, KEK, ObjectClass::PRIVATE_KEY);
    for change in
        [Attribute::Decrypt(true), Attribute::Sign(true), Attribute::Label(b"other".to_vec())]
    {
        assert!(session.update_attributes(private, &[change]).is_err());
    }
    assert!(session.copy_object(private, &[Attribute::Label(b"copy".to_vec())]).is_err());
    drop(session);

    // Another key in its place is not destroyed.
    refused(hsm.kek_destroy(KEK, Hash::of(b"another KEK")), Rule::KekKey);
    assert!(hsm.holds(KEK).unwrap());
    let fingerprint = Hash::of(&kek.spki);
    hsm.kek_destroy(KEK, fingerprint).unwrap();
    assert!(!hsm.holds(KEK).unwrap());
    hsm.kek_destroy(KEK, fingerprint).unwrap();
    assert!(all(&beside("hoster"), KEK).is_empty());
    refused(hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived), Rule::KekKey);
}

#[test]
fn half_a_kek_is_made_again_under_the_same_id() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    for lost in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let kek = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 2048), &none_waived).unwrap();
        let session = beside("hoster");
        session.destroy_object(one(&session, KEK, lost)).unwrap();
        refused(hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived), Rule::KekKey);
        let again = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 2048), &none_waived).unwrap();
        assert!(again.made && again.spki != kek.spki);
        assert_eq!(all(&session, KEK).len(), 2);
        // The KEK of an earlier offer is not this one.
        refused(hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived), Rule::KekKey);
    }
    // Another size is another KEK.
    assert!(hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 3072), &none_waived).unwrap().made);
}

/// A KEK as another program would make it, with some attributes otherwise.
fn plant(session: &Session, otherwise: &[Attribute]) -> Vec<u8> {
    let mut private = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Unwrap(true),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::SignRecover(false),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![MechanismType::RSA_PKCS_OAEP]),
        Attribute::Id(KEK.0.to_vec()),
        Attribute::Copyable(false),
        Attribute::Modifiable(false),
    ];
    for other in otherwise {
        let kind = other.attribute_type();
        for attribute in &mut private {
            if attribute.attribute_type() == kind {
                *attribute = other.clone();
            }
        }
    }
    let token = !otherwise.contains(&Attribute::Token(false));
    let public = [
        Attribute::Token(token),
        Attribute::Wrap(true),
        Attribute::Id(KEK.0.to_vec()),
        Attribute::ModulusBits(2048.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let (public, _) = session.generate_key_pair(&Ck::RsaPkcsKeyPairGen, &public, &private).unwrap();
    spki_of(session, public)
}

#[test]
fn each_attribute_that_a_kek_lacks_has_its_rule() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    // cryptoki cannot set CKA_UNWRAP_TEMPLATE, so what it plants lacks it always.
    let template_waived = |rule| rule == Rule::KekUnwrapTemplate;
    let session = beside("hoster");
    let check = |otherwise: &[Attribute], rule: Rule| {
        let spki = plant(&session, otherwise);
        refused(hsm.kek_check(KEK, &spki, COMPOSITE, &template_waived), rule);
        if rule.waivable() {
            let waived = |other| other == rule || template_waived(other);
            hsm.kek_check(KEK, &spki, COMPOSITE, &waived).unwrap();
        } else {
            // A plan cannot waive what is not waivable.
            refused(hsm.kek_check(KEK, &spki, COMPOSITE, &|_| true), rule);
        }
        for object in all(&session, KEK) {
            session.destroy_object(object).unwrap();
        }
    };
    check(&[Attribute::Token(false)], Rule::KekToken);
    check(&[Attribute::Private(false)], Rule::KekPrivate);
    check(&[Attribute::Sensitive(false)], Rule::KekSensitive);
    check(&[Attribute::Extractable(true)], Rule::KekExtractable);
    check(&[Attribute::Unwrap(false)], Rule::KekUnwrap);
    check(&[Attribute::Decrypt(true)], Rule::KekDecrypt);
    check(&[Attribute::Sign(true)], Rule::KekSign);
    check(&[Attribute::SignRecover(true)], Rule::KekSignRecover);
    check(&[Attribute::Derive(true)], Rule::KekDerive);
    check(&[Attribute::Modifiable(true)], Rule::KekModifiable);
    check(&[Attribute::Copyable(true)], Rule::KekCopyable);
    let more = vec![MechanismType::RSA_PKCS_OAEP, MechanismType::RSA_PKCS];
    check(&[Attribute::AllowedMechanisms(more)], Rule::KekAllowedMechanisms);

    let spki = plant(&session, &[]);
    refused(hsm.kek_check(KEK, &spki, COMPOSITE, &none_waived), Rule::KekUnwrapTemplate);
    hsm.kek_check(KEK, &spki, COMPOSITE, &template_waived).unwrap();
    // With the waiver it is a KEK that may be kept, and the miss is on record.
    let kept = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 2048), &template_waived).unwrap();
    assert!(!kept.made);
    assert_eq!(kept.missed[0].0, Rule::KekUnwrapTemplate);
    // Without it, it is made again.
    assert!(hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 2048), &none_waived).unwrap().made);
}

#[test]
fn a_kek_that_was_made_elsewhere_is_no_kek() {
    use rsa::pkcs8::EncodePublicKey;
    use rsa::traits::{PrivateKeyParts, PublicKeyParts};
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    let session = beside("hoster");
    let known = rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap();
    let shared = [
        Attribute::KeyType(cryptoki::object::KeyType::RSA),
        Attribute::Token(true),
        Attribute::Id(KEK.0.to_vec()),
        Attribute::Modulus(known.n_bytes().to_vec()),
        Attribute::PublicExponent(known.e_bytes().to_vec()),
    ];
    let mut private = shared.to_vec();
    private.extend([
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::PrivateExponent(known.d().to_be_bytes().to_vec()),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Unwrap(true),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::SignRecover(false),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![MechanismType::RSA_PKCS_OAEP]),
        Attribute::Copyable(false),
        Attribute::Modifiable(false),
    ]);
    session.create_object(&private).unwrap();
    let mut public = shared.to_vec();
    public.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
    session.create_object(&public).unwrap();
    let spki = known.to_public_key().to_public_key_der().unwrap().into_vec();
    refused(hsm.kek_check(KEK, &spki, COMPOSITE, &|_| true), Rule::KekLocal);
    let made = hsm.kek_create(KEK, "kek", kek_spec(COMPOSITE, 2048), &|_| true).unwrap();
    assert!(made.made && made.spki != spki);
}
