//! The hoster's operator, who has the HSM's PIN, a wrapped key whose seal a quorum has opened, and
//! a program of their own.

use cryptoki_sys::*;

use super::{
    import::{Crossing, cross},
    *,
};

/// A template that makes a key readable.
fn readable(class: CK_ULONG, kind: CK_ULONG) -> Vec<(CK_ATTRIBUTE_TYPE, CK_ULONG)> {
    let [yes, no] = [CK_TRUE, CK_FALSE].map(CK_ULONG::from);
    vec![
        (CKA_CLASS, class),
        (CKA_KEY_TYPE, kind),
        (CKA_TOKEN, no),
        (CKA_SENSITIVE, no),
        (CKA_EXTRACTABLE, yes),
    ]
}

/// C_UnwrapKey by CKM_RSA_AES_KEY_WRAP with this template, as any program may call it.
fn unwrap_single_shot(
    session: &Session,
    kek: ObjectHandle,
    wrapped: &[u8],
    template: &[(CK_ATTRIBUTE_TYPE, CK_ULONG)],
) -> std::result::Result<CK_OBJECT_HANDLE, CK_RV> {
    let number = |kind| [CKA_CLASS, CKA_KEY_TYPE].contains(&kind);
    let mut attributes: Vec<CK_ATTRIBUTE> = template
        .iter()
        .map(|(kind, value)| CK_ATTRIBUTE {
            type_: *kind,
            pValue: std::ptr::from_ref(value).cast_mut().cast(),
            ulValueLen: if number(*kind) { size_of::<CK_ULONG>() as CK_ULONG } else { 1 },
        })
        .collect();
    let mut oaep = CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: CKM_SHA_1,
        mgf: CKG_MGF1_SHA1,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: std::ptr::null_mut(),
        ulSourceDataLen: 0,
    };
    let mut params = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: &mut oaep };
    let mut mechanism = CK_MECHANISM {
        mechanism: CKM_RSA_AES_KEY_WRAP,
        pParameter: (&raw mut params).cast(),
        ulParameterLen: size_of_val(&params) as CK_ULONG,
    };
    let mut key = 0;
    // Every pointer is to what lives until the call has ended.
    let answer = unsafe {
        let library = cryptoki_sys::Pkcs11::new(shim()).unwrap();
        let mut list = std::ptr::null_mut();
        assert_eq!(library.C_GetFunctionList(&mut list), CKR_OK);
        (*list).C_UnwrapKey.unwrap()(
            session.handle(),
            &mut mechanism,
            kek.handle(),
            wrapped.as_ptr().cast_mut(),
            wrapped.len() as CK_ULONG,
            attributes.as_mut_ptr(),
            attributes.len() as CK_ULONG,
            &mut key,
        )
    };
    if answer == CKR_OK { Ok(key) } else { Err(answer) }
}

fn crossing(mechanism: Mechanism, act: impl FnOnce(&Crossing, &Session, ObjectHandle)) {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    let crossing = cross(&tokens, (&tenant, &hoster), mechanism, 2048, 2048);
    let session = beside("hoster");
    let kek = one(&session, KEK, ObjectClass::PRIVATE_KEY);
    act(&crossing, &session, kek);
}

/// Single-shot: the KEK's CKA_UNWRAP_TEMPLATE binds whatever it unwraps.
#[test]
fn a_single_shot_kek_gives_no_readable_key_to_anybody() {
    crossing(SINGLE_SHOT, |crossing, session, kek| {
        let wrapped = crossing.wrapped.as_bytes();
        let asked = readable(CKO_PRIVATE_KEY, CKK_RSA);
        let answer = unwrap_single_shot(session, kek, wrapped, &asked);
        assert_eq!(answer, Err(CKR_TEMPLATE_INCONSISTENT));
        // Asking for nothing gives what the template pins.
        let key = unwrap_single_shot(session, kek, wrapped, &asked[..3]).unwrap();
        let key = all_keys(session).into_iter().find(|one| one.handle() == key).unwrap();
        let kinds = [AttributeType::Sensitive, AttributeType::Extractable];
        let found = session.get_attributes(key, &kinds).unwrap();
        assert_eq!(found, [Attribute::Sensitive(true), Attribute::Extractable(false)]);
        let secret = session.get_attributes(key, &[AttributeType::PrivateExponent]).unwrap();
        assert!(secret.is_empty(), "it can be read");
    });
}

fn all_keys(session: &Session) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()
}

/// Composite: the KEK binds the AES key, but nothing binds what the AES key unwraps. This is what a
/// plan with the waiver WRAP-COMPOSITE accepts, and what its record says (docs/reliability.md).
/// Where this test fails, a token does better.
#[test]
fn a_composite_kek_binds_the_aes_key_and_no_further() {
    crossing(COMPOSITE, |crossing, session, kek| {
        let (first, second) = crossing.wrapped.as_bytes().split_at(256);
        let oaep = PkcsOaepParams::new(
            MechanismType::SHA1,
            PkcsMgfType::MGF1_SHA1,
            PkcsOaepSource::empty(),
        );
        let aes = |sensitive, extractable| {
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(cryptoki::object::KeyType::AES),
                Attribute::Token(false),
                Attribute::Sensitive(sensitive),
                Attribute::Extractable(extractable),
                Attribute::Encrypt(false),
                Attribute::Decrypt(false),
                Attribute::Wrap(false),
                Attribute::Unwrap(true),
            ];
            session.unwrap_key(&Ck::RsaPkcsOaep(oaep), kek, first, &template)
        };
        assert!(aes(false, true).is_err(), "a readable AES key");
        let aes = aes(true, false).unwrap();
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(cryptoki::object::KeyType::RSA),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let key = session.unwrap_key(&Ck::AesKeyWrapPad, aes, second, &template).unwrap();
        let secret = session.get_attributes(key, &[AttributeType::PrivateExponent]).unwrap();
        assert!(
            matches!(&secret[..], [Attribute::PrivateExponent(exponent)] if exponent.len() > 200),
            "the residue is gone: say so"
        );
    });
}

/// An officer of the tenant, who has the HSM's PIN, wraps for a KEK of their own. Where the plan
/// waives TARGET-WRAP-WITH-TRUSTED nothing stops them.
#[test]
fn a_key_that_only_a_trusted_kek_may_wrap_is_wrapped_under_no_other() {
    let _tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    let own = hoster.kek_create(KEK, "own", kek_spec(SINGLE_SHOT, 2048), &none_waived).unwrap();
    let order = WrapOrder {
        kek_spki: &own.spki,
        trusted: None,
        mechanism: SINGLE_SHOT,
        oaep: SHA1,
        sessions: 1,
    };
    for trusted_only in [true, false] {
        let spec = TargetSpec { trusted_only, ..spec("key") };
        let target = make(&tenant, SOURCE, &spec);
        let wrapped = tenant.wrap(&order, &[&target], &|_| ());
        match trusted_only {
            true => {
                let said = wrapped.err().unwrap().to_string();
                assert!(said.contains("KeyNotWrappable"), "{said}");
                let session = beside("tenant");
                all(&session, SOURCE)
                    .into_iter()
                    .for_each(|key| session.destroy_object(key).unwrap());
            }
            false => assert_eq!(wrapped.unwrap().len(), 1),
        }
    }
}
