//! Tokens driven for real: what they hold, what they refuse, what remains after something went wrong.
#![cfg(feature = "hsm")]

use std::path::Path;
use std::process::Command;

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism as Ck, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use data_encoding::HEXLOWER;
use keyferry::document::parts::{KwpFlavour, Mechanism, OaepHash, Observed};
use keyferry::encoding::{CkaId, Fixed};
use keyferry::hsm::{Hsm, ImportOrder, Module, Pin, PinState, TargetSpec, Usage};
use keyferry::rule::Rule;
use keyferry::wrapped_key::WrappedKey;
use keyferry::{Error, Result};
use rsa::pkcs8::DecodePublicKey;
use zeroize::Zeroizing;

mod common;
use common::{MODULE, PIN, Tokens, run};

const COMPOSITE: Mechanism = Mechanism::Composite;
const SHA1: OaepHash = OaepHash::Sha1;
const KEK: CkaId = Fixed([0xCE; 20]);
const SOURCE: CkaId = Fixed([0x50; 20]);
const COPY: CkaId = Fixed([0xC0; 20]);
const BOTH: Usage = Usage {
    sign: true,
    decrypt: true,
};

fn open() -> Module {
    Module::open(Path::new(MODULE)).unwrap()
}

fn pin(pin: &str) -> Pin {
    Pin::new(Zeroizing::new(pin.to_owned()))
}

fn login<'m>(module: &'m Module, label: &str) -> Hsm<'m> {
    module.token(label).unwrap().login(Some(&pin(PIN))).unwrap()
}

/// A session past Keyferry, as another program of the operator would have; this process is logged in already.
fn beside(label: &str) -> Session {
    let module = Pkcs11::new(MODULE).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = (slots.into_iter())
        .find(|slot| module.get_token_info(*slot).unwrap().label() == label)
        .unwrap();
    module.open_rw_session(slot).unwrap()
}

fn all(session: &Session, id: CkaId) -> Vec<ObjectHandle> {
    session
        .find_objects(&[Attribute::Id(id.0.to_vec())])
        .unwrap()
}

fn one(session: &Session, id: CkaId, class: ObjectClass) -> ObjectHandle {
    let wanted = [Attribute::Id(id.0.to_vec()), Attribute::Class(class)];
    match session.find_objects(&wanted).unwrap()[..] {
        [object] => object,
        ref other => panic!("{} objects", other.len()),
    }
}

fn none_waived(_: Rule) -> bool {
    false
}

#[track_caller]
fn refused<T>(result: Result<T>, rule: Rule) {
    match result {
        Ok(_) => panic!("not refused by {}", rule.name()),
        Err(error) => assert_eq!(error.rule(), Some(rule), "{error}"),
    }
}

// Tokens and PINs.

#[test]
fn tokens_are_found_by_their_label_alone() {
    let _tokens = Tokens::new(&["tenant", "twin", "twin"]);
    let module = open();
    let tenant = module.token("tenant").unwrap();
    assert_eq!(tenant.identity().label, "tenant");
    assert!(tenant.identity().manufacturer.contains("SoftHSM"));
    refused(module.token("twin").map(drop), Rule::TokenNotFound);
    let missing = module.token("hoster\u{1b}[2J").err().unwrap();
    assert_eq!(missing.rule(), Some(Rule::TokenNotFound));
    assert!(
        missing
            .to_string()
            .contains("\"tenant\", \"twin\", \"twin\"")
            || missing.to_string().contains("\"twin\"")
    );
    assert!(!missing.to_string().contains('\u{1b}'));
}

#[test]
fn a_file_that_is_no_module_ends_with_exit_code_5() {
    let _tokens = Tokens::new(&[]);
    for path in [
        "/no/such/module.so",
        "/etc/hostname",
        "/lib/x86_64-linux-gnu/libm.so.6",
    ] {
        let error = Module::open(Path::new(path)).err().unwrap();
        assert_eq!(error.exit_code(), 5, "{error}");
        assert!(error.to_string().contains("--module"));
    }
}

#[test]
fn a_wrong_pin_is_one_try_and_is_seen_afterwards() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let token = module.token("tenant").unwrap();
    assert_eq!(token.pin_state().unwrap(), PinState::Normal);
    let error = token.login(Some(&pin("4321"))).err().unwrap();
    assert_eq!(error.exit_code(), 5);
    assert!(error.to_string().contains("PIN is wrong"), "{error}");
    assert_eq!(token.pin_state().unwrap(), PinState::CountLow);

    let hsm = token.login(Some(&pin(PIN))).unwrap();
    assert_eq!(token.pin_state().unwrap(), PinState::Normal);
    // While this process is logged in, no PIN passes unseen, right or wrong.
    assert_eq!(
        token.login(Some(&pin("4321"))).err().unwrap().exit_code(),
        5
    );
    drop(hsm);
    assert!(token.login(Some(&pin("4321"))).is_err());
    assert!(token.login(None).is_err());
}

#[test]
fn a_login_that_another_part_of_the_process_left_is_no_pin_check() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let token = module.token("tenant").unwrap();
    let other = beside("tenant");
    let right = cryptoki::types::AuthPin::new(PIN.to_owned().into_boxed_str());
    other
        .login(cryptoki::session::UserType::User, Some(&right))
        .unwrap();
    assert_eq!(
        token.login(Some(&pin("4321"))).err().unwrap().exit_code(),
        5
    );
    assert!(token.login(Some(&pin(PIN))).is_ok());
}

#[test]
fn what_a_token_cannot_do_is_refused_by_name() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    hsm.require(COMPOSITE, SHA1).unwrap();
    refused(hsm.require(COMPOSITE, OaepHash::Sha256), Rule::WrapOaepHash);
    refused(
        hsm.require(Mechanism::SingleShot, SHA1),
        Rule::WrapSingleShot,
    );
    let mut random = [0; 32];
    hsm.random(&mut random).unwrap();
    assert_ne!(random, [0; 32]);
}

// The KEK.

#[test]
fn the_kek_is_what_it_was_asked_to_be_and_stays_so() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    let kek = hsm
        .kek_create(KEK, "kek", 4096, COMPOSITE, &none_waived)
        .unwrap();
    assert!(kek.made && kek.missed.is_empty());
    let values: Vec<_> = (kek.attributes.iter())
        .map(|read| format!("{} {}", read.attribute, read.value))
        .collect();
    for expected in [
        "CKA_TOKEN true",
        "CKA_EXTRACTABLE false",
        "CKA_ALLOWED_MECHANISMS CKM_RSA_PKCS_OAEP",
        "CKA_MODIFIABLE false",
        "CKA_LOCAL true",
    ] {
        assert!(values.iter().any(|value| value == expected), "{values:#?}");
    }
    let again = hsm
        .kek_create(KEK, "kek", 4096, COMPOSITE, &none_waived)
        .unwrap();
    assert!(!again.made);
    assert_eq!(again.spki, kek.spki);
    assert_eq!(again.attributes, kek.attributes);
    let checked = hsm
        .kek_check(KEK, &kek.spki, COMPOSITE, &none_waived)
        .unwrap();
    assert_eq!(checked, kek.attributes);

    let session = beside("hoster");
    let private = one(&session, KEK, ObjectClass::PRIVATE_KEY);
    for change in [
        Attribute::Decrypt(true),
        Attribute::Sign(true),
        Attribute::Label(b"other".to_vec()),
    ] {
        assert!(session.update_attributes(private, &[change]).is_err());
    }
    assert!(
        session
            .copy_object(private, &[Attribute::Label(b"copy".to_vec())])
            .is_err()
    );
    drop(session);

    hsm.kek_destroy(KEK).unwrap();
    hsm.kek_destroy(KEK).unwrap();
    assert!(all(&beside("hoster"), KEK).is_empty());
    refused(
        hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived),
        Rule::KekKey,
    );
}

#[test]
fn half_a_kek_is_made_again_under_the_same_id() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    for lost in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let kek = hsm
            .kek_create(KEK, "kek", 2048, COMPOSITE, &none_waived)
            .unwrap();
        let session = beside("hoster");
        session.destroy_object(one(&session, KEK, lost)).unwrap();
        refused(
            hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived),
            Rule::KekKey,
        );
        let again = hsm
            .kek_create(KEK, "kek", 2048, COMPOSITE, &none_waived)
            .unwrap();
        assert!(again.made && again.spki != kek.spki);
        assert_eq!(all(&session, KEK).len(), 2);
        // The KEK of an earlier offer is not this one.
        refused(
            hsm.kek_check(KEK, &kek.spki, COMPOSITE, &none_waived),
            Rule::KekKey,
        );
    }
    // Another size is another KEK.
    assert!(
        hsm.kek_create(KEK, "kek", 3072, COMPOSITE, &none_waived)
            .unwrap()
            .made
    );
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
    let (public, _) = session
        .generate_key_pair(&Ck::RsaPkcsKeyPairGen, &public, &private)
        .unwrap();
    spki_of(session, public)
}

fn spki_of(session: &Session, object: ObjectHandle) -> Vec<u8> {
    use rsa::pkcs8::EncodePublicKey;
    let kinds = [AttributeType::Modulus, AttributeType::PublicExponent];
    let values = session.get_attributes(object, &kinds).unwrap();
    let [
        Attribute::Modulus(modulus),
        Attribute::PublicExponent(exponent),
    ] = &values[..]
    else {
        panic!("no RSA key")
    };
    let number = rsa::BoxedUint::from_be_slice_vartime;
    let key = rsa::PublicKey::new(number(modulus), number(exponent)).unwrap();
    key.to_public_key_der().unwrap().into_vec()
}

#[test]
fn each_attribute_that_a_kek_lacks_has_its_rule() {
    let _tokens = Tokens::new(&["hoster"]);
    let module = open();
    let hsm = login(&module, "hoster");
    // cryptoki cannot set CKA_UNWRAP_TEMPLATE, so what it plants lacks it always.
    let template_waived = |rule| rule == Rule::KekUnwrapTemplate;
    let session = beside("hoster");
    let mut check = |otherwise: &[Attribute], rule: Rule| {
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
    check(
        &[Attribute::AllowedMechanisms(more)],
        Rule::KekAllowedMechanisms,
    );

    let spki = plant(&session, &[]);
    refused(
        hsm.kek_check(KEK, &spki, COMPOSITE, &none_waived),
        Rule::KekUnwrapTemplate,
    );
    hsm.kek_check(KEK, &spki, COMPOSITE, &template_waived)
        .unwrap();
    // With the waiver it is a KEK that may be kept, and the miss is on record.
    let kept = hsm
        .kek_create(KEK, "kek", 2048, COMPOSITE, &template_waived)
        .unwrap();
    assert!(!kept.made);
    assert_eq!(kept.missed[0].0, Rule::KekUnwrapTemplate);
    // Without it, it is made again.
    assert!(
        hsm.kek_create(KEK, "kek", 2048, COMPOSITE, &none_waived)
            .unwrap()
            .made
    );
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
    let spki = known
        .to_public_key()
        .to_public_key_der()
        .unwrap()
        .into_vec();
    refused(
        hsm.kek_check(KEK, &spki, COMPOSITE, &|_| true),
        Rule::KekLocal,
    );
    let made = hsm
        .kek_create(KEK, "kek", 2048, COMPOSITE, &|_| true)
        .unwrap();
    assert!(made.made && made.spki != spki);
}

// Target keys.

fn spec(label: &str) -> TargetSpec<'_> {
    TargetSpec {
        label,
        bits: 2048,
        usage: BOTH,
    }
}

#[test]
fn a_target_is_made_once_and_found_by_its_public_half() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let made = hsm.target_make(SOURCE, &spec("signing")).unwrap();
    assert!(made.made);
    let again = hsm.target_make(SOURCE, &spec("signing")).unwrap();
    assert!(!again.made && again.spki == made.spki);
    let found = hsm.target_by_spki(&made.spki).unwrap();
    assert_eq!(found.id, SOURCE.0);
    hsm.target_check(&found, 2048).unwrap();
    refused(hsm.target_check(&found, 3072), Rule::TargetKey);
    refused(
        hsm.target_make(COPY, &spec("signing")).map(drop),
        Rule::TargetExists,
    );
    refused(hsm.target_by_spki(b"nonsense").map(drop), Rule::TargetKey);

    // Half a pair is made again.
    let session = beside("tenant");
    session
        .destroy_object(one(&session, SOURCE, ObjectClass::PUBLIC_KEY))
        .unwrap();
    let again = hsm.target_make(SOURCE, &spec("signing")).unwrap();
    assert!(again.made && again.spki != made.spki);
    refused(
        hsm.target_by_spki(&made.spki).map(drop),
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
    hsm.target_by_spki(&spki).unwrap();
    session.create_object(&template).unwrap();
    refused(hsm.target_by_spki(&spki).map(drop), Rule::TargetAmbiguous);
}

#[test]
fn a_target_that_must_not_be_wrapped_is_refused_by_name() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let session = beside("tenant");
    let mut check = |private: &[Attribute], exponent: &[u8], rule: Rule| {
        let public = [
            Attribute::ModulusBits(2048.into()),
            Attribute::PublicExponent(exponent.to_vec()),
        ];
        let (public, private) = session
            .generate_key_pair(&Ck::RsaPkcsKeyPairGen, &public, private)
            .unwrap();
        let target = hsm.target_by_spki(&spki_of(&session, public));
        refused(
            target.and_then(|target| hsm.target_check(&target, 2048)),
            rule,
        );
        session.destroy_object(private).unwrap();
    };
    let (sensitive, extractable) = (Attribute::Sensitive(true), Attribute::Extractable(true));
    let plain = [Attribute::Sensitive(false), extractable.clone()];
    check(&plain, &[1, 0, 1], Rule::TargetSensitive);
    let stays = [sensitive.clone(), Attribute::Extractable(false)];
    check(&stays, &[1, 0, 1], Rule::TargetExtractable);
    let trusted = [
        sensitive.clone(),
        extractable.clone(),
        Attribute::WrapWithTrusted(true),
    ];
    check(&trusted, &[1, 0, 1], Rule::TargetExtractable);
    check(&[sensitive, extractable], &[3], Rule::TargetKey);
}

#[test]
fn a_certificate_is_stored_beside_its_key_once() {
    let tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = hsm.target_make(SOURCE, &spec("signing")).unwrap();
    let certificate = common::certificate(tokens.folder(), &target.spki, "/CN=one");
    assert_eq!(hsm.certificate_find(&target.id).unwrap(), None);
    for _ in 0..2 {
        hsm.certificate_store(&target.id, "signing", &certificate)
            .unwrap();
        assert_eq!(
            hsm.certificate_find(&target.id).unwrap().as_ref(),
            Some(&certificate)
        );
    }
    assert_eq!(all(&beside("tenant"), SOURCE).len(), 3);
    let other = common::certificate(tokens.folder(), &target.spki, "/CN=two");
    for wrong in [&other[..], b"nonsense"] {
        let stored = hsm.certificate_store(&target.id, "signing", wrong);
        refused(stored, Rule::TargetCertificate);
    }
    // The certificate does not make the pair another one.
    assert!(!hsm.target_make(SOURCE, &spec("signing")).unwrap().made);
}

// Wrap and import.

/// A key of the tenant, wrapped for the hoster's KEK.
struct Crossing {
    spki: Vec<u8>,
    certificate: Vec<u8>,
    wrapped: WrappedKey,
}

fn cross(tokens: &Tokens, tenant: &Hsm, hoster: &Hsm, kek_bits: u32, bits: u32) -> Crossing {
    let kek = hoster
        .kek_create(KEK, "kek", kek_bits, COMPOSITE, &none_waived)
        .unwrap();
    let spec = TargetSpec {
        bits,
        ..spec("key")
    };
    let target = tenant.target_make(SOURCE, &spec).unwrap();
    tenant.target_check(&target, bits).unwrap();
    Crossing {
        wrapped: tenant.wrap(&target, &kek.spki, COMPOSITE, SHA1).unwrap(),
        certificate: common::certificate(tokens.folder(), &target.spki, "/CN=key"),
        spki: target.spki,
    }
}

impl Crossing {
    fn order(&self) -> ImportOrder<'_> {
        ImportOrder {
            kek: KEK,
            mechanism: COMPOSITE,
            oaep: SHA1,
            id: COPY,
            label: "key-01234567",
            spki: &self.spki,
            certificate: &self.certificate,
            usage: BOTH,
            wrapped: &self.wrapped,
        }
    }
}

/// The key on this token is the private half of this public key, as other programs see it.
fn prove(tokens: &Tokens, label: &str, id: CkaId, spki: &[u8]) {
    let session = beside(label);
    let key = one(&session, id, ObjectClass::PRIVATE_KEY);
    let signature = session.sign(&Ck::Sha256RsaPkcs, key, b"message").unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = tokens.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    run(Command::new("openssl")
        .args(["dgst", "-sha256", "-keyform", "DER", "-verify"])
        .arg(file("proof.spki", spki))
        .arg("-signature")
        .arg(file("proof.sig", &signature))
        .arg(file("proof.message", b"message")));

    let public = rsa::PublicKey::from_public_key_der(spki).unwrap();
    let padding = rsa::Oaep::<sha1::Sha1>::new();
    let challenge = public
        .encrypt(&mut getrandom::SysRng, padding, b"challenge")
        .unwrap();
    let oaep = PkcsOaepParams::new(
        MechanismType::SHA1,
        PkcsMgfType::MGF1_SHA1,
        PkcsOaepSource::empty(),
    );
    let answer = session
        .decrypt(&Ck::RsaPkcsOaep(oaep), key, &challenge)
        .unwrap();
    assert_eq!(answer, b"challenge");
}

#[test]
fn keys_of_every_size_cross_and_cannot_leave_again() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    for (kek_bits, bits) in [(4096, 2048), (3072, 3072), (4096, 4096)] {
        let crossing = cross(&tokens, &tenant, &hoster, kek_bits, bits);
        let imported = hoster.import(&crossing.order()).unwrap();
        assert!(imported.imported);
        assert_eq!(imported.target.spki, crossing.spki);
        for expected in [
            "CKA_EXTRACTABLE false",
            "CKA_SENSITIVE true",
            "CKA_LOCAL false",
            "CKA_MODIFIABLE false",
        ] {
            let read = |read: &keyferry::document::parts::ReadBack| {
                format!("{} {}", read.attribute, read.value) == expected
            };
            assert!(
                imported.attributes.iter().any(read),
                "{expected}: {:#?}",
                imported.attributes
            );
        }
        prove(&tokens, "hoster", COPY, &crossing.spki);
        let session = beside("hoster");
        let key = one(&session, COPY, ObjectClass::PRIVATE_KEY);
        assert!(
            session
                .update_attributes(key, &[Attribute::Extractable(true)])
                .is_err()
        );

        // A second import keeps the first.
        let again = hoster.import(&crossing.order()).unwrap();
        assert!(!again.imported);
        assert_eq!(again.attributes, imported.attributes);
        assert_eq!(all(&session, COPY).len(), 3);
        let found = (hoster.import_find(
            COPY,
            "key-01234567",
            &crossing.spki,
            &crossing.certificate,
            BOTH,
        ))
        .unwrap();
        assert!(found.is_some());

        tenant.target_destroy(SOURCE).unwrap();
        hoster.target_destroy(COPY).unwrap();
        hoster.kek_destroy(KEK).unwrap();
    }
    assert_nothing_left("tenant", &[]);
    assert_nothing_left("hoster", &[]);
}

/// No object is on the token but those of these ids.
fn assert_nothing_left(label: &str, but: &[CkaId]) {
    let session = beside(label);
    let expected: usize = but.iter().map(|id| all(&session, *id).len()).sum();
    assert_eq!(session.find_objects(&[]).unwrap().len(), expected);
}

#[test]
fn an_import_that_was_cut_short_is_done_again() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    let crossing = cross(&tokens, &tenant, &hoster, 2048, 2048);
    let session = beside("hoster");
    let kinds = [
        ObjectClass::PRIVATE_KEY,
        ObjectClass::PUBLIC_KEY,
        ObjectClass::CERTIFICATE,
    ];
    for kept in kinds {
        hoster.import(&crossing.order()).unwrap();
        for lost in kinds.into_iter().filter(|kind| *kind != kept) {
            session.destroy_object(one(&session, COPY, lost)).unwrap();
        }
        let label = crossing.order().label;
        let found = hoster.import_find(COPY, label, &crossing.spki, &crossing.certificate, BOTH);
        assert!(found.unwrap().is_none());
        assert!(hoster.import(&crossing.order()).unwrap().imported);
        assert_eq!(all(&session, COPY).len(), 3);
    }
    // Other usages are another key.
    let usage = Usage {
        decrypt: false,
        ..BOTH
    };
    let order = ImportOrder {
        usage,
        ..crossing.order()
    };
    assert!(hoster.import(&order).unwrap().imported);
    // The label of an object of another id is taken.
    let order = ImportOrder {
        id: SOURCE,
        ..crossing.order()
    };
    refused(hoster.import(&order).map(drop), Rule::TargetExists);
    assert!(all(&session, SOURCE).is_empty());
}

#[test]
fn what_is_not_the_tenants_key_leaves_nothing_behind() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    let crossing = cross(&tokens, &tenant, &hoster, 2048, 2048);
    let other = tenant.target_make(COPY, &spec("other")).unwrap();
    let order = ImportOrder {
        spki: &other.spki,
        ..crossing.order()
    };
    refused(hoster.import(&order).map(drop), Rule::TargetModulus);
    assert_nothing_left("hoster", &[KEK]);

    let bytes = crossing.wrapped.as_bytes();
    for position in [0, 255, 256, 300, bytes.len() - 1] {
        let mut tampered = bytes.to_vec();
        tampered[position] ^= 1;
        let tampered = WrappedKey::parse(tampered, 2048, 2048).unwrap();
        let order = ImportOrder {
            wrapped: &tampered,
            ..crossing.order()
        };
        assert_eq!(hoster.import(&order).err().unwrap().exit_code(), 5);
        assert_nothing_left("hoster", &[KEK]);
    }
    let order = ImportOrder {
        certificate: b"nonsense",
        ..crossing.order()
    };
    refused(hoster.import(&order).map(drop), Rule::TargetCertificate);
    let order = ImportOrder {
        kek: SOURCE,
        ..crossing.order()
    };
    refused(hoster.import(&order).map(drop), Rule::KekKey);
    let order = ImportOrder {
        mechanism: Mechanism::SingleShot,
        ..crossing.order()
    };
    refused(hoster.import(&order).map(drop), Rule::WrapSingleShot);
    assert_nothing_left("hoster", &[KEK]);
    assert!(hoster.import(&crossing.order()).unwrap().imported);
}

#[test]
fn canaries_say_what_was_observed_and_are_gone() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    for bits in [2048, 3072] {
        let observed = hsm.wrap_canary(bits, COMPOSITE, SHA1).unwrap();
        assert_eq!(observed.oaep_hash, SHA1);
    }
    let observed = hsm.unwrap_canary(COMPOSITE, SHA1).unwrap();
    assert_eq!(
        observed,
        Observed {
            oaep_hash: SHA1,
            kwp: KwpFlavour::Rfc5649,
        }
    );
    let sha256 = OaepHash::Sha256;
    refused(hsm.wrap_canary(2048, COMPOSITE, sha256), Rule::WrapOaepHash);
    refused(hsm.unwrap_canary(COMPOSITE, sha256), Rule::WrapOaepHash);
    let single = Mechanism::SingleShot;
    refused(hsm.wrap_canary(2048, single, SHA1), Rule::WrapSingleShot);
    refused(hsm.unwrap_canary(single, SHA1), Rule::WrapSingleShot);
    assert_nothing_left("tenant", &[]);
}

/// Every test above opens what Keyferry made by Keyferry; this one does it without.
#[test]
fn openssl_alone_opens_a_wrapped_key() {
    let tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = hsm.target_make(SOURCE, &spec("key")).unwrap();
    let path = |name: &str| tokens.folder().join(name);
    let openssl = |arguments: &[&str]| {
        run(Command::new("openssl")
            .current_dir(tokens.folder())
            .args(arguments))
    };
    openssl(&["genrsa", "-out", "kek.pem", "3072"]);
    let kek = openssl(&["pkey", "-in", "kek.pem", "-pubout", "-outform", "DER"]);
    let wrapped = hsm.wrap(&target, &kek, COMPOSITE, SHA1).unwrap();
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
    let public = openssl(&[
        "pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER",
    ]);
    assert_eq!(public, target.spki);
}

#[test]
fn a_failure_of_the_token_is_told_from_a_refusal() {
    let _tokens = Tokens::new(&["tenant"]);
    let module = open();
    let hsm = login(&module, "tenant");
    let target = hsm.target_make(SOURCE, &spec("key")).unwrap();
    hsm.target_destroy(SOURCE).unwrap();
    // The handle is of an object that is gone: that is no missing attribute.
    assert!(matches!(
        hsm.target_check(&target, 2048),
        Err(Error::Hsm { .. })
    ));
}
