//! A wrapped key crosses, and nothing else does.

use super::*;

/// A key of the tenant, wrapped for the hoster's KEK.
struct Crossing {
    spki: Vec<u8>,
    certificate: Vec<u8>,
    wrapped: WrappedKey,
}

fn cross(tokens: &Tokens, tenant: &Hsm, hoster: &Hsm, kek_bits: u32, bits: u32) -> Crossing {
    let kek = hoster
        .kek_create(KEK, "kek", kek_spec(kek_bits), &none_waived)
        .unwrap();
    let spec = TargetSpec {
        bits,
        ..spec("key")
    };
    let target = tenant.target_make(SOURCE, &spec).unwrap();
    tenant.target_check(&target, bits, false).unwrap();
    Crossing {
        wrapped: wrap(tenant, &target, &kek.spki),
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
        // Only the import itself saw what the AES key held.
        let (pin, kept) = imported.attributes.split_last().unwrap();
        assert_eq!(pin.attribute, "CKA_UNWRAP_TEMPLATE of the AES key");
        assert_eq!(pin.value, "held");
        assert_eq!(again.attributes, kept);
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
