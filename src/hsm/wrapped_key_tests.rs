use super::*;

#[test]
fn only_the_length_of_such_a_key_is_taken() {
    for (kek, target, usual) in [(4096, 2048, 1232), (3072, 3072, 1808), (4096, 4096, 2384)] {
        let whole = kek as usize / 8 + usual;
        let parsed = WrappedKey::parse(vec![1; whole], kek, KeyType::Rsa(target)).unwrap();
        let (aes, key) = parsed.split();
        assert_eq!((aes.len(), key.len()), (kek as usize / 8, usual));
        for wrong in [0, 15, kek as usize / 8, whole - 1, whole + 1, whole - 64, whole + 720] {
            let refused =
                WrappedKey::parse(vec![1; wrong], kek, KeyType::Rsa(target)).err().unwrap();
            assert_eq!(refused.rule(), Some(Rule::WrapFormat));
        }
        let other = if target == 2048 { 3072 } else { 2048 };
        assert!(WrappedKey::parse(vec![1; whole], kek, KeyType::Rsa(other)).is_err());
    }
    assert!(WrappedKey::parse(vec![1; 16], 0, KeyType::Rsa(0)).is_err());
}

mod software {
    use rsa::pkcs8::EncodePrivateKey;

    use super::*;

    fn key() -> rsa::PrivateKey {
        rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap()
    }

    #[test]
    fn what_was_used_is_observed_and_what_was_not_is_refused() {
        let (kek, target) = (key(), key());
        let der = target.to_pkcs8_der().unwrap();
        for oaep in [OaepHash::Sha256, OaepHash::Sha1] {
            let wrapped = make(&kek.to_public_key(), oaep, der.as_bytes()).unwrap();
            let opened = open(&kek, oaep, &wrapped).unwrap();
            assert_eq!(*opened.pkcs8, der.as_bytes());
            assert_eq!(opened.kwp, KwpFlavour::Rfc5649);
        }
        let wrapped = make(&kek.to_public_key(), OaepHash::Sha1, der.as_bytes()).unwrap();
        let refused = |result: Result<_>| result.err().and_then(|error| error.rule());
        let other = open(&kek, OaepHash::Sha256, &wrapped);
        assert_eq!(refused(other.map(drop)), Some(Rule::WrapOaepHash));
        let other = open(&target, OaepHash::Sha1, &wrapped);
        assert_eq!(refused(other.map(drop)), Some(Rule::WrapCanary));

        let mut tampered = wrapped.as_bytes().to_vec();
        *tampered.last_mut().unwrap() ^= 1;
        let tampered = WrappedKey::parse(tampered, 2048, KeyType::Rsa(2048)).unwrap();
        let opened = open(&kek, OaepHash::Sha1, &tampered);
        assert_eq!(refused(opened.map(drop)), Some(Rule::WrapKwp));

        let mut filled = der.as_bytes().to_vec();
        while filled.len() % 8 != 0 {
            filled.push(0);
        }
        let wrapped = make(&kek.to_public_key(), OaepHash::Sha1, &filled).unwrap();
        let opened = open(&kek, OaepHash::Sha1, &wrapped).unwrap();
        assert_eq!(*opened.pkcs8, der.as_bytes());
        if filled.len() != der.as_bytes().len() {
            assert_eq!(opened.kwp, KwpFlavour::Rfc5649ZeroFilled);
        }
    }

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let length = match body.len() {
            length @ 0..0x80 => vec![length as u8],
            length => [&[0x82], &(length as u16).to_be_bytes()[..]].concat(),
        };
        [&[tag], &length[..], &body].concat()
    }

    #[test]
    fn a_key_with_attributes_or_its_public_half_is_the_same_key() {
        use rsa::pkcs1::EncodeRsaPublicKey;
        let (kek, target) = (key(), key());
        let der = target.to_pkcs8_der().unwrap();
        let whole = AnyRef::from_der(der.as_bytes()).unwrap();
        // Version 0 is 02 01 00.
        let rest = &whole.value()[3..];
        let usage = tlv(0x30, &[&[6, 3, 0x55, 0x1d, 15], &[0x31, 4, 3, 2, 0, 0x10]]);
        let label = tlv(0x30, &[&[6, 3, 0x2a, 3, 4], &tlv(0x31, &[&tlv(0x0c, &[b"its label"])])]);
        let public = target.to_public_key().to_pkcs1_der().unwrap();
        let public = tlv(0x81, &[&[0], public.as_bytes()]);
        let (none, one) = (tlv(0xa0, &[]), tlv(0xa0, &[&usage]));
        let two = tlv(0xa0, &[&usage, &label]);
        for (version, behind) in [
            (0, vec![]),
            (0, none),
            (0, one.clone()),
            (0, two),
            (1, public.clone()),
            (1, [one, public].concat()),
        ] {
            let pkcs8 = tlv(0x30, &[&[2, 1, version], rest, &behind]);
            let wrapped = make(&kek.to_public_key(), OaepHash::Sha1, &pkcs8).unwrap();
            let opened = open(&kek, OaepHash::Sha1, &wrapped).unwrap();
            assert_eq!(*opened.pkcs8, pkcs8);
            assert_eq!(public_of(&pkcs8), Some(PublicKey::Rsa(target.to_public_key())));
        }
        // Anything else behind it, or another version, is none.
        for (version, behind) in [(0, &[5, 0][..]), (0, &[0xa2, 0]), (2, &[]), (0, &[0])] {
            let pkcs8 = tlv(0x30, &[&[2, 1, version], rest, behind]);
            assert_eq!(public_of(&pkcs8), None, "{version} {behind:?}");
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let kek = key();
        for wrong in [&b""[..], b"short", &[0x30; 1216]] {
            let made = make(&kek.to_public_key(), OaepHash::Sha1, wrong);
            assert_eq!(made.err().and_then(|error| error.rule()), Some(Rule::WrapFormat));
        }
        // Zeros of a plausible length, in a wrap that is otherwise right.
        let der = [&[0x30, 0x82, 0x04, 0xBE][..], &[0; 1214]].concat();
        let wrapped = forged(&kek, &der);
        let opened = open(&kek, OaepHash::Sha1, &wrapped);
        assert_eq!(opened.err().and_then(|error| error.rule()), Some(Rule::WrapCanary));
    }

    fn forged(kek: &rsa::PrivateKey, plain: &[u8]) -> WrappedKey {
        let padding = rsa::Oaep::<sha1::Sha1>::new();
        let public = kek.to_public_key();
        let mut bytes = public.encrypt(&mut getrandom::SysRng, padding, &[1; 32]).unwrap();
        let mut buffer = vec![0; kwp_length(plain.len())];
        let aes = KwpAes256::new_from_slice(&[1; 32]).unwrap();
        bytes.extend_from_slice(aes.wrap_key(plain, &mut buffer).unwrap());
        WrappedKey::parse(bytes, 2048, KeyType::Rsa(2048)).unwrap()
    }
}
