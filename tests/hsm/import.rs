//! A wrapped key crosses, and nothing else does.

use super::*;
use record::encoding::Hash;

/// A key of the tenant, wrapped for the hoster's KEK.
pub struct Crossing {
    /// The KEK's fingerprint.
    kek: Hash,
    kek_spki: Vec<u8>,
    spki: Vec<u8>,
    certificate: Vec<u8>,
    pub wrapped: WrappedKey,
    mechanism: Mechanism,
}

pub fn cross(
    tokens: &Tokens,
    (tenant, hoster): (&Hsm, &Hsm),
    mechanism: Mechanism,
    kek_bits: u32,
    bits: u32,
) -> Crossing {
    let kek = hoster.kek_create(KEK, "kek", kek_spec(mechanism, kek_bits), &none_waived).unwrap();
    let spec = TargetSpec { kind: KeyType::Rsa(bits), ..spec("key") };
    let target = make(tenant, SOURCE, &spec);
    tenant.targets_check(&[(&target, KeyType::Rsa(bits))], false, 1).unwrap();
    Crossing {
        kek: Hash::of(&kek.spki),
        wrapped: wrap(tenant, &target, &kek.spki, mechanism),
        mechanism,
        certificate: common::certificate(tokens.folder(), &target.spki, "/CN=key"),
        spki: target.spki,
        kek_spki: kek.spki,
    }
}

fn import(
    hoster: &Hsm,
    order: ImportOrder,
    key: ImportKey,
    wrapped: &WrappedKey,
) -> Result<HosterKey> {
    let beside = hoster.beside(&[key])?;
    let mut imported = hoster.import(&order, beside, &[(key, wrapped)], &|_| ())?;
    assert_eq!(imported.len(), 1);
    Ok(imported.remove(0))
}

impl Crossing {
    fn key(&self) -> ImportKey<'_> {
        ImportKey {
            id: COPY,
            label: "key-01234567",
            spki: &self.spki,
            certificate: &self.certificate,
            usage: BOTH,
            born: false,
        }
    }

    /// Imports it, by the mechanism it was wrapped by.
    fn import(&self, hoster: &Hsm) -> Result<HosterKey> {
        import(hoster, self.order(), self.key(), &self.wrapped)
    }

    fn find(&self, hoster: &Hsm) -> Option<HosterKey> {
        let inventory = hoster.inventory().unwrap();
        hoster.import_find(&inventory, PublicObjects::ALL, &self.key()).unwrap()
    }

    fn order(&self) -> ImportOrder<'_> {
        let kek_spki = &self.kek_spki;
        ImportOrder { kek: KEK, kek_spki, mechanism: self.mechanism, oaep: SHA1, sessions: 1 }
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
    let challenge = public.encrypt(&mut getrandom::SysRng, padding, b"challenge").unwrap();
    let oaep =
        PkcsOaepParams::new(MechanismType::SHA1, PkcsMgfType::MGF1_SHA1, PkcsOaepSource::empty());
    let answer = session.decrypt(&Ck::RsaPkcsOaep(oaep), key, &challenge).unwrap();
    assert_eq!(answer, b"challenge");
}

#[test]
fn keys_of_every_size_cross_and_cannot_leave_again() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    for (mechanism, kek_bits, bits) in [
        (SINGLE_SHOT, 4096, 2048),
        (SINGLE_SHOT, 3072, 3072),
        (SINGLE_SHOT, 4096, 4096),
        (COMPOSITE, 4096, 2048),
        (COMPOSITE, 3072, 3072),
        (COMPOSITE, 4096, 4096),
    ] {
        let crossing = cross(&tokens, (&tenant, &hoster), mechanism, kek_bits, bits);
        let imported = crossing.import(&hoster).unwrap();
        assert!(imported.target.made);
        assert_eq!(imported.target.spki, crossing.spki);
        for expected in [
            "CKA_EXTRACTABLE false",
            "CKA_SENSITIVE true",
            "CKA_LOCAL false",
            "CKA_MODIFIABLE false",
        ] {
            let read = |read: &record::terms::ReadBack| {
                format!("{} {}", read.attribute, read.value) == expected
            };
            assert!(imported.attributes.iter().any(read), "{expected}: {:#?}", imported.attributes);
        }
        prove(&tokens, "hoster", COPY, &crossing.spki);
        let session = beside("hoster");
        let key = one(&session, COPY, ObjectClass::PRIVATE_KEY);
        assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());

        // A second import keeps the first. Only the import itself saw what the AES key of a
        // composite wrap held.
        let again = crossing.import(&hoster).unwrap();
        assert!(!again.target.made);
        let kept = imported.attributes.strip_prefix(&again.attributes[..]);
        let seen: Vec<_> = (kept.unwrap().iter())
            .map(|read| format!("{}: {}", read.attribute, read.value))
            .collect();
        match mechanism {
            Mechanism::SingleShot => assert!(seen.is_empty(), "{seen:?}"),
            Mechanism::Composite => {
                assert_eq!(seen, ["CKA_UNWRAP_TEMPLATE of the AES key: held"]);
            }
        }
        assert_eq!(all(&session, COPY).len(), 3);
        assert!(crossing.find(&hoster).is_some());

        tenant.target_destroy(SOURCE).unwrap();
        hoster.target_destroy(COPY).unwrap();
        hoster.kek_destroy(KEK, crossing.kek).unwrap();
    }
    assert_nothing_left("tenant", &[]);
    assert_nothing_left("hoster", &[]);
}

#[test]
fn an_import_that_was_cut_short_is_done_again() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    for mechanism in BOTH_WAYS {
        let crossing = cross(&tokens, (&tenant, &hoster), mechanism, 2048, 2048);
        let session = beside("hoster");
        let kinds = [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY, ObjectClass::CERTIFICATE];
        for kept in kinds {
            crossing.import(&hoster).unwrap();
            for lost in kinds.into_iter().filter(|kind| *kind != kept) {
                session.destroy_object(one(&session, COPY, lost)).unwrap();
            }
            assert!(crossing.find(&hoster).is_none());
            assert!(crossing.import(&hoster).unwrap().target.made);
            assert_eq!(all(&session, COPY).len(), 3);
        }
        // Other usages are another key.
        let usage = Usage { decrypt: false, ..BOTH };
        let key = ImportKey { usage, ..crossing.key() };
        let again = import(&hoster, crossing.order(), key, &crossing.wrapped);
        assert!(again.unwrap().target.made);
        // The label of an object of another id is taken.
        let key = ImportKey { id: SOURCE, ..crossing.key() };
        let taken = import(&hoster, crossing.order(), key, &crossing.wrapped);
        refused(taken.map(drop), Rule::TargetExists);
        assert!(all(&session, SOURCE).is_empty());
        hoster.target_destroy(COPY).unwrap();
        hoster.kek_destroy(KEK, crossing.kek).unwrap();
    }
}

#[test]
fn what_is_not_the_tenants_key_leaves_nothing_behind() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    for mechanism in BOTH_WAYS {
        let crossing = cross(&tokens, (&tenant, &hoster), mechanism, 2048, 2048);
        let other = make(&tenant, COPY, &spec("other"));
        let key = ImportKey { spki: &other.spki, ..crossing.key() };
        let order = crossing.order();
        let imported = import(&hoster, order, key, &crossing.wrapped);
        refused(imported.map(drop), Rule::TargetModulus);
        assert_nothing_left("hoster", &[KEK]);

        let bytes = crossing.wrapped.as_bytes();
        for position in [0, 255, 256, 300, bytes.len() - 1] {
            let mut tampered = bytes.to_vec();
            tampered[position] ^= 1;
            let tampered = WrappedKey::parse(tampered, 2048, KeyType::Rsa(2048)).unwrap();
            let imported = import(&hoster, order, crossing.key(), &tampered);
            assert_eq!(imported.err().unwrap().exit_code(), 5);
            assert_nothing_left("hoster", &[KEK]);
        }
        let key = ImportKey { certificate: b"nonsense", ..crossing.key() };
        let imported = import(&hoster, order, key, &crossing.wrapped);
        refused(imported.map(drop), Rule::TargetCertificate);
        let order = ImportOrder { kek: SOURCE, ..order };
        let imported = import(&hoster, order, crossing.key(), &crossing.wrapped);
        refused(imported.map(drop), Rule::KekKey);
        assert_nothing_left("hoster", &[KEK]);
        assert!(crossing.import(&hoster).unwrap().target.made);
        tenant.target_destroy(COPY).unwrap();
        hoster.target_destroy(COPY).unwrap();
        hoster.kek_destroy(KEK, crossing.kek).unwrap();
    }
}

/// One wrong key among many: it is named, what was imported stays, and nothing of the wrong one is
/// left.
#[test]
fn many_keys_cross_in_several_sessions_in_their_order() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    let kek = (hoster.kek_create(KEK, "kek", kek_spec(SINGLE_SHOT, 3072), &none_waived)).unwrap();
    let count: u8 = 12;
    let id = |of: u8, n: u8| {
        let mut id = [of; 20];
        id[0] = n;
        Fixed(id)
    };
    let labels: Vec<String> = (0..count).map(|n| format!("key-{n}")).collect();
    let targets: Vec<TargetKey> =
        (0..count).map(|n| make(&tenant, id(1, n), &spec(&labels[usize::from(n)]))).collect();
    let order = WrapOrder {
        kek_spki: &kek.spki,
        trusted: None,
        mechanism: SINGLE_SHOT,
        oaep: SHA1,
        sessions: 5,
    };
    let all: Vec<&TargetKey> = targets.iter().collect();
    let mut wrapped = tenant.wrap(&order, &all, &|_| ()).unwrap();
    let certificates: Vec<_> = (targets.iter())
        .map(|target| common::certificate(tokens.folder(), &target.spki, "/CN=key"))
        .collect();
    let order = ImportOrder {
        kek: KEK,
        kek_spki: &kek.spki,
        mechanism: SINGLE_SHOT,
        oaep: SHA1,
        sessions: 5,
    };
    let import = |wrapped: &[WrappedKey]| {
        let key = |n: usize| ImportKey {
            id: id(2, n as u8),
            label: &labels[n],
            spki: &targets[n].spki,
            certificate: &certificates[n],
            usage: BOTH,
            born: false,
        };
        let keys: Vec<_> =
            (wrapped.iter().enumerate()).map(|(n, wrapped)| (key(n), wrapped)).collect();
        hoster.import(&order, PublicObjects::ALL, &keys, &|_| ())
    };
    wrapped.swap(7, 8);
    refused(import(&wrapped).map(drop), Rule::TargetModulus);
    let session = beside("hoster");
    assert!(super::all(&session, id(2, 7)).is_empty());
    wrapped.swap(7, 8);
    let imported = import(&wrapped).unwrap();
    for (target, imported) in targets.iter().zip(&imported) {
        assert_eq!(target.spki, imported.target.spki);
    }
    assert!(!imported[0].target.made && imported[7].target.made);
}

/// What a custodian must not travel for: found before anybody opens a share.
#[test]
fn what_is_in_the_way_of_an_import_is_refused_before_it() {
    let tokens = Tokens::new(&["tenant", "hoster"]);
    let module = open();
    let (tenant, hoster) = (login(&module, "tenant"), login(&module, "hoster"));
    for mechanism in BOTH_WAYS {
        let crossing = cross(&tokens, (&tenant, &hoster), mechanism, 2048, 2048);
        let ready =
            |key: ImportKey| hoster.import_ready(&crossing.order(), &KwpFlavour::ALL, &[key]);
        ready(crossing.key()).unwrap();
        crossing.import(&hoster).unwrap();
        // What an interrupted import has left is in nobody's way.
        ready(crossing.key()).unwrap();
        let other = ImportKey { id: Fixed([0xD0; 20]), label: "another", ..crossing.key() };
        refused(ready(other), Rule::TargetAmbiguous);
        let other = ImportKey { id: Fixed([0xD0; 20]), ..crossing.key() };
        refused(ready(other), Rule::TargetExists);
        // The throwaway keys are gone.
        assert_nothing_left("hoster", &[KEK, COPY]);
        hoster.target_destroy(COPY).unwrap();
        hoster.kek_destroy(KEK, crossing.kek).unwrap();
        tenant.target_destroy(SOURCE).unwrap();
    }
}
