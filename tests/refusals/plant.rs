//! What another program of an operator could do on a token. SoftHSM reads its configuration once
//! per process, so each act is this test program again, as a process of its own.

use std::process::Command;

use common::{MODULE, PIN};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use record::spki::TargetCertificate;
use rsa::{
    pkcs8::{DecodePublicKey, EncodePublicKey},
    traits::PublicKeyParts,
};

use super::*;

/// Does something on a token; gives what it says.
pub fn plant(stage: &Stage, token: &str, act: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plant::as_a_process", "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", stage.path("softhsm2.conf"))
        .env("PLANT_TOKEN", token)
        .env("PLANT_ACT", act)
        .current_dir(stage.dir.path())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{act}: {out}{}", String::from_utf8_lossy(&output.stderr));
    let said = out.split("said:").nth(1);
    said.and_then(|said| said.lines().next()).unwrap_or_default().to_owned()
}

#[test]
#[ignore = "a part of other tests, as a process of its own"]
fn as_a_process() {
    let (Ok(token), Ok(act)) = (std::env::var("PLANT_TOKEN"), std::env::var("PLANT_ACT")) else {
        return;
    };
    let module = Pkcs11::new(MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots
        .into_iter()
        .find(|slot| module.get_token_info(*slot).unwrap().label() == token)
        .unwrap();
    if act == "pin-flag" {
        let low = module.get_token_info(slot).unwrap().user_pin_count_low();
        return println!("said:{}", if low { "low" } else { "normal" });
    }
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    match act.split_once(' ').unwrap_or((&act, "")) {
        ("key", kind) => make(&session, kind),
        ("kek", kind) => replace_kek(&session, kind),
        ("gone", label) => {
            let all = session.find_objects(&[Attribute::Label(label.into())]);
            let mut all = all.unwrap().into_iter();
            all.try_for_each(|object| session.destroy_object(object)).unwrap();
        }
        ("nameless", certificate) => nameless(&session, certificate),
        ("certificate", file) => certificate(&session, &fs::read(file).unwrap()),
        ("trusted", kind) => {
            let trusted = session.find_objects(&[Attribute::Trusted(true)]).unwrap();
            println!("said:{}", trusted.len());
            if kind == "gone" {
                session.destroy_object(trusted[0]).unwrap();
            }
        }
        other => panic!("{other:?}"),
    }
}

/// What an unwrap that was cut off leaves of the key of this certificate: a private key with neither
/// id nor label.
fn nameless(session: &Session, certificate: &str) {
    let der = fs::read(certificate).unwrap();
    let certificate = TargetCertificate::parse(&der, certificate).unwrap();
    let key = rsa::PublicKey::from_public_key_der(certificate.spki()).unwrap();
    let half = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Modulus(key.n_bytes().to_vec()),
        Attribute::PublicExponent(vec![1, 0, 1]),
        Attribute::PrivateExponent(vec![1]),
    ];
    session.create_object(&half).unwrap();
}

/// A certificate that lay beside that key before.
fn certificate(session: &Session, der: &[u8]) {
    let template = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Id(vec![9]),
        Attribute::Subject(b"0\0".to_vec()),
        Attribute::Value(der.to_vec()),
    ];
    session.create_object(&template).unwrap();
}

/// A key pair that lay on the token before; its public half goes into `key.der`.
fn make(session: &Session, kind: &str) {
    let bits = if kind == "larger" { 3072 } else { 2048 };
    let label = kind.strip_prefix("labelled ").unwrap_or("old");
    let named = [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(vec![9])];
    let public = [
        &named[..],
        &[Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(vec![1, 0, 1])],
    ]
    .concat();
    let private = [
        &named[..],
        &[
            Attribute::Private(true),
            Attribute::Sensitive(kind != "readable"),
            Attribute::Extractable(kind != "fixed"),
            Attribute::Sign(true),
            Attribute::Decrypt(true),
        ],
    ]
    .concat();
    let (public, private) =
        session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
    if kind == "twice" {
        session.copy_object(private, &[Attribute::Id(vec![8])]).unwrap();
    }
    fs::write("key.der", spki(session, public)).unwrap();
}

fn spki(session: &Session, object: ObjectHandle) -> Vec<u8> {
    let values = session
        .get_attributes(object, &[AttributeType::Modulus, AttributeType::PublicExponent])
        .unwrap();
    let [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] = &values[..] else {
        panic!("no RSA key")
    };
    let number = rsa::BoxedUint::from_be_slice_vartime;
    let key = rsa::PublicKey::new(number(modulus), number(exponent)).unwrap();
    key.to_public_key_der().unwrap().into_vec()
}

/// Destroys the one KEK and makes another under its id.
fn replace_kek(session: &Session, kind: &str) {
    let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Unwrap(true)];
    let old = session.find_objects(&wanted).unwrap();
    let [old] = old[..] else { panic!("{old:?}") };
    let values = session.get_attributes(old, &[AttributeType::Id, AttributeType::Label]).unwrap();
    let id = values[0].clone();
    for object in session.find_objects(&[id]).unwrap() {
        session.destroy_object(object).unwrap();
    }
    if kind == "gone" {
        return;
    }
    let named = [&[Attribute::Token(true)], &values[..]].concat();
    let public = [
        &named[..],
        &[
            Attribute::ModulusBits(3072.into()),
            Attribute::PublicExponent(vec![1, 0, 1]),
            Attribute::Wrap(true),
        ],
    ]
    .concat();
    let allowed = [Attribute::AllowedMechanisms(vec![MechanismType::RSA_PKCS_OAEP])];
    let private: Vec<Attribute> = [
        &named[..],
        &[
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(kind == "extractable"),
            Attribute::Unwrap(true),
            Attribute::Decrypt(kind == "decrypt"),
            Attribute::Sign(kind == "sign"),
            Attribute::SignRecover(false),
            Attribute::Derive(false),
        ],
        if kind == "mechanisms" { &[][..] } else { &allowed },
    ]
    .concat();
    session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
}
