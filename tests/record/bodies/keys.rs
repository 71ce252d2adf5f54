//! Keys: whose certificate, in which order, born where, and how they were wrapped; and the header
//! that every document has.

use super::*;
use record::spki::TargetCertificate;

#[test]
fn a_key_set_is_the_packages_keys_with_their_own_certificates() {
    let kept = Kept::of("single-shot-hgs");
    let package = read::<Package>(&kept.folder(Kind::Package), &kept.plan).unwrap();
    package.verify_keys().unwrap();
    let mut keys = KeySet::from(&package);
    let labels: Vec<&str> = keys.keys.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(labels, ["hgs-signing", "hgs-encryption"]);
    for label in ["hgs-signing", "hgs-encryption"] {
        assert_eq!(keys.key(&id(label)).unwrap().label, id(label));
    }
    assert!(keys.key(&id("hgs")).is_none());
    let signing: Vec<&str> = keys.signing_keys().map(|key| key.label.as_str()).collect();
    assert_eq!(signing, ["hgs-signing"]);
    let encryption = keys.key(&id("hgs-encryption")).unwrap();
    let places: Vec<&str> = encryption
        .challenges
        .iter()
        .map(|challenge| encryption.challenge(&challenge.place).unwrap().place.as_str())
        .collect();
    assert_eq!(places, kept.plan.places());
    assert!(places.len() > 2 && encryption.challenge("nowhere").is_none());
    let pair = keys.pair().unwrap();
    assert_eq!(pair.signing, keys.keys[0].certificate);
    assert_eq!(pair.encryption, keys.keys[1].certificate);
    keys.verify_certificates().unwrap();
    let other = keys.keys[0].certificate.clone();
    let own = std::mem::replace(&mut keys.keys[1].certificate, other);
    let refused = rule(keys.verify_certificates());
    assert_eq!(refused, Some(Rule::TargetCertificate));
    keys.keys[1].certificate = own;
    for role in [Role::Signing, Role::Encryption] {
        let mut two = keys.clone();
        two.keys.iter_mut().for_each(|key| key.role = role);
        assert_eq!(rule(two.pair()), Some(Rule::PlanTarget));
        two.keys.push(keys.keys[0].clone());
        two.keys.push(keys.keys[1].clone());
        assert_eq!(rule(two.pair()), Some(Rule::PlanTarget));
    }
}

#[test]
fn keys_that_are_shown_have_their_own_certificates() {
    let kept = Kept::of("born-hgs");
    let mut keys = read::<TargetKeys>(&kept.folder(Kind::Keys), &kept.plan).unwrap();
    keys.verify_certificates().unwrap();
    let other = keys.file("hgs-signing.crt").to_vec();
    keys.files.insert("hgs-encryption.crt".into(), other);
    let refused = rule(keys.verify_certificates());
    assert_eq!(refused, Some(Rule::TargetCertificate));
}

/// The outer algorithm is not signed: whoever changes it changes nothing that the key has signed.
#[test]
fn a_certificate_names_one_signature_algorithm() {
    const SHA_256_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];
    let kept = Kept::of("born-hgs");
    let keys = read::<TargetKeys>(&kept.folder(Kind::Keys), &kept.plan).unwrap();
    let mut der = keys.file("hgs-signing.crt").to_vec();
    TargetCertificate::parse(&der, "hgs-signing").map(drop).unwrap();
    let outer = der.windows(SHA_256_WITH_RSA.len()).rposition(|one| one == SHA_256_WITH_RSA);
    der[outer.unwrap() + SHA_256_WITH_RSA.len() - 1] = 13; // SHA-512
    let refused = TargetCertificate::parse(&der, "hgs-signing").map(drop);
    let found = refused.as_ref().unwrap_err().to_string();
    assert!(found.contains("one signature algorithm inside and another"), "{found}");
    assert_eq!(rule(refused), Some(Rule::TargetCertificate));
}

fn set(attributes: &mut [ReadBack], attribute: &str, value: &str) {
    let mut read = attributes.iter_mut();
    read.find(|read| read.attribute == attribute).unwrap().value = value.into();
}

#[test]
fn a_key_that_is_born_at_the_hoster_says_so_and_a_brought_one_does_not() {
    let kept = Kept::of("born-hgs");
    let mut brought = Kept::of("born-hgs").plan;
    brought.way = TransferRoute::Brought;
    for (attribute, value) in BORN {
        assert_eq!(*value, "true");
        let mut keys: Document<TargetKeys> = kept.document();
        set(&mut keys.body.keys[1].held.attributes, attribute, "false");
        let found = said(&keys, &kept.plan).unwrap();
        let expected = format!("hgs-encryption: {attribute} false (TARGET-LOCAL)");
        assert_eq!(found, expected);
        assert_eq!(said(&keys, &brought), None);
        let mut receipt: Document<Receipt> = kept.document();
        set(&mut receipt.body.keys[0].attributes, attribute, "absent");
        let found = said(&receipt, &kept.plan).unwrap();
        assert_eq!(found, format!("{attribute} absent"));
    }
}

#[test]
fn a_key_in_the_hosters_hsm_can_be_neither_changed_nor_copied() {
    let kept = Kept::of("single-shot-hgs");
    for (attribute, value) in [
        ("CKA_TOKEN", "false"),
        ("CKA_PRIVATE", "false"),
        ("CKA_SENSITIVE", "false"),
        ("CKA_EXTRACTABLE", "true"),
        ("CKA_UNWRAP", "true"),
        ("CKA_DERIVE", "true"),
        ("CKA_SIGN_RECOVER", "true"),
        ("CKA_MODIFIABLE", "true"),
        ("CKA_COPYABLE", "true"),
    ] {
        let mut receipt: Document<Receipt> = kept.document();
        assert_eq!(said(&receipt, &kept.plan), None);
        set(&mut receipt.body.keys[1].attributes, attribute, value);
        let found = said(&receipt, &kept.plan).unwrap_or_else(|| panic!("{attribute} is taken"));
        assert!(found.ends_with(&format!("{attribute} {value}")), "{found}");
    }
}

/// A brought key is the one of the plan.
#[test]
fn a_key_that_the_plan_names_is_no_other() {
    let mut kept = Kept::of("born-hgs");
    let keys: Document<TargetKeys> = kept.document();
    let spki = Hash::of(&keys.body.keys[1].spki.0);
    kept.plan.keys[1].spki = Some(spki);
    assert_eq!(said(&keys, &kept.plan), None);
    kept.plan.keys[1].spki = Some(Hash::of(b"another"));
    let found = said(&keys, &kept.plan).unwrap();
    assert_eq!(found, format!("the public key {spki}"));
}

#[test]
fn an_offer_says_what_every_kek_must_and_of_the_rest_what_is_not_waived() {
    let kept = Kept::of("single-shot-hgs");
    let good: Document<Offer> = kept.document();
    let always = [
        "CKA_TOKEN",
        "CKA_PRIVATE",
        "CKA_SENSITIVE",
        "CKA_EXTRACTABLE",
        "CKA_UNWRAP",
        "CKA_DECRYPT",
        "CKA_SIGN",
    ];
    let waivable = [
        (Rule::KekSignRecover, "CKA_SIGN_RECOVER"),
        (Rule::KekDerive, "CKA_DERIVE"),
        (Rule::KekModifiable, "CKA_MODIFIABLE"),
        (Rule::KekCopyable, "CKA_COPYABLE"),
        (Rule::KekAllowedMechanisms, "CKA_ALLOWED_MECHANISMS"),
        (Rule::KekUnwrapTemplate, "CKA_UNWRAP_TEMPLATE"),
    ];
    let but = |attribute: &str| {
        let mut offer = good.clone();
        set(&mut offer.body.attributes, attribute, "surprise");
        offer
    };
    let mut waiving = Kept::of("single-shot-hgs").plan;
    for (rule, _) in waivable {
        let reason = "a test".into();
        waiving.waivers.push(Waiver { rule, reason });
    }
    for attribute in always {
        for plan in [&kept.plan, &waiving] {
            let found = said(&but(attribute), plan).unwrap();
            assert_eq!(found, format!("{attribute} surprise"));
        }
    }
    for (rule, attribute) in waivable {
        let mut offer = but(attribute);
        let found = said(&offer, &kept.plan).unwrap();
        assert_eq!(found, format!("{attribute} surprise ({})", rule.name()));
        offer.body.waived = vec![rule];
        let found = said(&offer, &kept.plan).unwrap();
        assert_eq!(found, format!("{} is waived", rule.name()));
        assert_eq!(said(&offer, &waiving), None);
    }
}

/// A weaker KEK is one by its name: with that waiver it is what that says, and nothing else.
#[test]
fn an_offer_of_a_weaker_kek_says_which_it_is() {
    let kept = Kept::of("single-shot-hgs");
    let good: Document<Offer> = kept.document();
    for (exact, weaker, attribute, value) in [
        (
            Rule::KekUnwrapTemplate,
            Rule::KekUnwrapPrivate,
            "CKA_UNWRAP_TEMPLATE",
            "CKA_SENSITIVE true, CKA_EXTRACTABLE false",
        ),
        (
            Rule::KekAllowedMechanisms,
            Rule::KekUnwrapTwoSteps,
            "CKA_ALLOWED_MECHANISMS",
            "CKM_RSA_AES_KEY_WRAP CKM_RSA_PKCS_OAEP",
        ),
    ] {
        let mut plan = Kept::of("single-shot-hgs").plan;
        plan.waivers.push(Waiver { rule: weaker, reason: "a test".into() });
        let mut offer = good.clone();
        offer.body.waived = vec![weaker];
        // An exact one is no weaker one.
        assert!(said(&offer, &plan).is_some());
        set(&mut offer.body.attributes, attribute, value);
        assert_eq!(said(&offer, &plan), None);
        let found = said(&offer, &kept.plan).unwrap();
        assert_eq!(found, format!("{} is waived", weaker.name()));
        for other in ["surprise", "CKA_SENSITIVE true", "CKM_RSA_PKCS_OAEP"] {
            set(&mut offer.body.attributes, attribute, other);
            let found = said(&offer, &plan).unwrap();
            assert_eq!(found, format!("{attribute} {other} ({})", exact.name()));
        }
    }
}

/// [`Header::new`] is what every side writes, and nothing of it is its caller's but attempt, answer
/// and head.
#[test]
fn a_header_is_of_its_plan_and_kind() {
    let kept = Kept::of("born-hgs");
    for kind in [Kind::Keys, Kind::Challenge, Kind::Closing] {
        let main = kept.folder(kind).join(kind.file());
        let header = record::document::header_of(&fs::read(main).unwrap(), "").unwrap();
        let new = Header::new(&kept.plan, kind, header.attempt, header.answers, header.head);
        assert_eq!(new, header);
        assert_eq!(kind.answers(TransferRoute::Born).is_none(), new.answers.is_none());
    }
}

/// What is read is written again, byte for byte: the hash of a document is of its file.
#[test]
fn a_document_is_written_as_it_is_read() {
    fn same<B: Body>(kept: &Kept) {
        let main = kept.folder(B::KIND).join(B::KIND.file());
        let document: Document<B> = kept.document();
        assert_eq!(record::encoding::json_file(&document).unwrap(), fs::read(main).unwrap());
    }
    let kept = Kept::of("single-shot-hgs");
    same::<Offer>(&kept);
    same::<Package>(&kept);
    same::<Receipt>(&kept);
    same::<Acceptance>(&kept);
    same::<Closing>(&kept);
    same::<TargetKeys>(&Kept::of("born-hgs"));
}

/// The plan of this ceremony asks for SHA-1.
#[test]
fn a_package_is_wrapped_as_the_plan_says() {
    let kept = Kept::of("single-shot-hgs");
    let mut package: Document<Package> = kept.document();
    assert_eq!(said(&package, &kept.plan), None);
    package.body.mechanism = Mechanism::Composite;
    let found = said(&package, &kept.plan);
    assert_eq!(found.unwrap(), "composite, OAEP sha1");
    package.body.mechanism = Mechanism::SingleShot;
    package.body.observed.oaep_hash = OaepHash::Sha256;
    assert_eq!(said(&package, &kept.plan).unwrap(), "OAEP sha256 observed");
    package.body.oaep_hash = OaepHash::Sha256;
    let found = said(&package, &kept.plan);
    assert_eq!(found.unwrap(), "single-shot, OAEP sha256");
}

#[test]
fn a_package_that_its_own_key_has_not_signed_is_not_taken() {
    let kept = Kept::of("single-shot-hgs");
    let mut package = read::<Package>(&kept.folder(Kind::Package), &kept.plan).unwrap();
    let signature = package.files.get_mut("package.json.hgs-signing.hsm-sig");
    signature.unwrap()[100] ^= 1;
    let refused = rule(package.verify_keys());
    assert_eq!(refused, Some(Rule::PackageSignature));
}

/// A slip of copy and paste: the other key would never be carried.
#[test]
fn no_two_labels_of_a_document_have_one_key() {
    let twice = |found: Option<String>| {
        let found = found.unwrap();
        assert!(found.contains("for hgs-signing and for hgs-encryption"), "{found}");
    };
    let carried = Kept::of("single-shot-hgs");
    let mut package: Document<Package> = carried.document();
    assert_eq!(said(&package, &carried.plan), None);
    package.body.keys[1].spki = package.body.keys[0].spki.clone();
    twice(said(&package, &carried.plan));
    let born = Kept::of("born-hgs");
    let mut keys: Document<TargetKeys> = born.document();
    keys.body.keys[1].spki = keys.body.keys[0].spki.clone();
    twice(said(&keys, &born.plan));
    let mut challenge: Document<Challenge> = born.document();
    challenge.body.keys[1].spki = challenge.body.keys[0].spki.clone();
    twice(said(&challenge, &born.plan));
}
