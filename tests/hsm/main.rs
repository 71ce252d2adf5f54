//! Tokens driven for real: what they hold, what they refuse, what remains after something went
//! wrong. One process, because SoftHSM reads its configuration once; the tests take turns.
use std::{path::Path, process::Command};

use cryptoki::{
    context::Pkcs11,
    mechanism::{
        Mechanism as Ck, MechanismType,
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource},
    },
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use data_encoding::HEXLOWER;
use rsa::pkcs8::DecodePublicKey;
use zeroize::Zeroizing;

use common::{MODULE, PIN, Tokens, run, shim};
use hsm::{
    HosterKey, Hsm, ImportKey, ImportOrder, KekSpec, Module, Pin, PinState, PublicObjects,
    TargetKey, TargetSpec, WrapOrder, wrapped_key::WrappedKey,
};
use record::{
    Error, Result,
    encoding::{CkaId, Fixed},
    rule::Rule,
    terms::{KeyType, KwpFlavour, Mechanism, OaepHash, Observed, Usage},
};

mod attack;
#[path = "../common/mod.rs"]
mod common;
mod import;
mod kek;
mod openssl;
mod target;
mod token;
mod wrap;

const COMPOSITE: Mechanism = Mechanism::Composite;
const SINGLE_SHOT: Mechanism = Mechanism::SingleShot;
/// Every test that carries a key carries it both ways.
const BOTH_WAYS: [Mechanism; 2] = [SINGLE_SHOT, COMPOSITE];
const SHA1: OaepHash = OaepHash::Sha1;
const KEK: CkaId = Fixed([0xCE; 20]);
const SOURCE: CkaId = Fixed([0x50; 20]);
const COPY: CkaId = Fixed([0xC0; 20]);
const BOTH: Usage = Usage { sign: true, decrypt: true };

/// SoftHSM behind the shim, which knows both ways.
fn open() -> Module {
    Module::open(&shim(), None).unwrap()
}

fn pin(pin: &str) -> Pin {
    Pin::new(Zeroizing::new(pin.to_owned()))
}

fn login<'m>(module: &'m Module, label: &str) -> Hsm<'m> {
    module.token(label).unwrap().login(Some(&pin(PIN))).unwrap()
}

/// A session past Keyferry, as another program of the operator would have; this process is logged
/// in already.
fn beside(label: &str) -> Session {
    let module = Pkcs11::new(MODULE).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = (slots.into_iter())
        .find(|slot| module.get_token_info(*slot).unwrap().label() == label)
        .unwrap();
    module.open_rw_session(slot).unwrap()
}

fn all(session: &Session, id: CkaId) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Id(id.0.to_vec())]).unwrap()
}

fn one(session: &Session, id: CkaId, class: ObjectClass) -> ObjectHandle {
    let wanted = [Attribute::Id(id.0.to_vec()), Attribute::Class(class)];
    match session.find_objects(&wanted).unwrap()[..] {
        [object] => object,
        ref other => panic!("{} objects", other.len()),
    }
}

fn kek_spec(mechanism: Mechanism, bits: u32) -> KekSpec {
    KekSpec { bits, mechanism }
}

fn make(hsm: &Hsm, id: CkaId, spec: &TargetSpec) -> TargetKey {
    hsm.target_make(&hsm.inventory().unwrap(), id, spec).unwrap()
}

fn wrap(hsm: &Hsm, target: &TargetKey, kek_spki: &[u8], mechanism: Mechanism) -> WrappedKey {
    let order = WrapOrder { kek_spki, trusted: None, mechanism, oaep: SHA1, sessions: 1 };
    let mut wrapped = hsm.wrap(&order, &[target], &|_| ()).unwrap();
    wrapped.remove(0)
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

fn spki_of(session: &Session, object: ObjectHandle) -> Vec<u8> {
    use rsa::pkcs8::EncodePublicKey;
    let kinds = [AttributeType::Modulus, AttributeType::PublicExponent];
    let values = session.get_attributes(object, &kinds).unwrap();
    let [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] = &values[..] else {
        panic!("no RSA key")
    };
    let number = rsa::BoxedUint::from_be_slice_vartime;
    let key = rsa::PublicKey::new(number(modulus), number(exponent)).unwrap();
    key.to_public_key_der().unwrap().into_vec()
}

fn spec(label: &str) -> TargetSpec<'_> {
    TargetSpec { label, kind: KeyType::Rsa(2048), usage: BOTH, trusted_only: false }
}

/// No object is on the token but those of these ids.
fn assert_nothing_left(label: &str, but: &[CkaId]) {
    let session = beside(label);
    let expected: usize = but.iter().map(|id| all(&session, *id).len()).sum();
    assert_eq!(session.find_objects(&[]).unwrap().len(), expected);
}
