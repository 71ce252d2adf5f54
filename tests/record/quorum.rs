//! Any quorum opens the seal; nothing else does, and what is wrong is named.

use aes_kw::{KeyInit, KwpAes256};
use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use sha2::Sha256;

use custody::{
    seal::SealKey,
    share::{Quorum, Secret, Share, deal},
};
use record::{
    encoding::{Fixed, Hash, PackageId, enc, hash},
    fingerprint,
    rule::Rule,
    share::ShareListing,
};

const PACKAGE: PackageId = Fixed([7; 16]);

fn secret(package: &PackageId) -> Secret {
    Secret::derive(&[1; 32], &[2; 32], package, &Hash::of(b"plan")).unwrap()
}

/// What a secret is known by from outside: what it seals.
fn seals(secret: &Secret) -> Vec<u8> {
    let key =
        SealKey::derive(secret, &PACKAGE, &Hash::of(b"plan"), &Hash::of(b"kek"), "key").unwrap();
    key.seal(b"a wrapped key of some bytes").unwrap()
}

fn listings(shares: &[Share]) -> Vec<ShareListing> {
    let listing = |share: &Share| share.listing(&format!("cust{}", share.x()), Hash::of(b""));
    shares.iter().map(listing).collect()
}

fn again(share: &Share) -> Share {
    Share::parse(share.text().as_bytes()).unwrap()
}

fn quorum<'a>(shares: &[Share], listings: &'a [ShareListing]) -> Quorum<'a> {
    Quorum::new(PACKAGE, shares[0].deal().threshold, listings, &str::to_owned)
}

/// The words that a custodian's own program shows.
fn words(share: &Share) -> String {
    fingerprint::words(&share.code()).join(" ")
}

#[test]
fn every_quorum_opens_and_one_less_never_does() {
    let secret = secret(&PACKAGE);
    for threshold in 2..=5u8 {
        for count in threshold..=8 {
            let shares = deal(&secret, PACKAGE, threshold, count).unwrap();
            for subset in 0..1u32 << count {
                let size = subset.count_ones();
                if size + 1 < threshold.into() {
                    continue;
                }
                let listed = listings(&shares);
                let mut quorum = quorum(&shares, &listed);
                for share in shares.iter().filter(|s| subset & (1 << (s.x() - 1)) != 0) {
                    let custodian = quorum.present(again(share)).unwrap();
                    assert_eq!(custodian, format!("cust{}", share.x()));
                }
                if size >= threshold.into() {
                    assert_eq!(quorum.missing(), 0);
                    assert_eq!(seals(&quorum.recombine().unwrap()), seals(&secret));
                } else {
                    assert_eq!(quorum.missing(), 1);
                    let error = quorum.recombine().err().unwrap();
                    assert_eq!(error.rule(), Some(Rule::ShareQuorum));
                    // It says who gave a share, and who still can.
                    let text = error.to_string();
                    let can = text.lines().find(|line| line.contains("more of:")).unwrap();
                    for share in &shares {
                        let given = subset & (1 << (share.x() - 1)) != 0;
                        assert_eq!(can.contains(&format!("cust{}", share.x())), !given, "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_every_share_is_refused_and_its_custodian_named() {
    for threshold in 2..=5u8 {
        for count in threshold..=8 {
            flip_every_bit(threshold, count);
        }
    }
}

fn flip_every_bit(threshold: u8, count: u8) {
    let shares = deal(&secret(&PACKAGE), PACKAGE, threshold, count).unwrap();
    let listed = listings(&shares);
    let mut quorum = quorum(&shares, &listed);
    for share in &shares {
        for bit in 0..68 * 8 {
            let mut record = share.record();
            record[bit / 8] ^= 1 << (bit % 8);
            let error = match Share::from_record(record.as_slice()) {
                Ok(flipped) => quorum.present(flipped).unwrap_err(),
                Err(error) => error,
            };
            let named = error.to_string().contains(&format!("cust{}", share.x()));
            match (bit / 8, error.rule().unwrap()) {
                (0, Rule::ShareFormat) | (1..=16, Rule::SharePackage) => {}
                // M, N and x may leave their ranges; otherwise the one whom x names is named.
                (17..=19, Rule::ShareFormat) => {}
                (17..=18, Rule::ShareCommitment) => assert!(named, "{error}"),
                (19, Rule::ShareCommitment) => assert!(error.to_string().contains("cust")),
                (20.., Rule::ShareCommitment) => assert!(named, "{error}"),
                (byte, rule) => panic!("byte {byte}: {}", rule.name()),
            }
        }
    }
    assert_eq!(quorum.missing(), usize::from(threshold), "none of them was taken");
}

#[test]
fn duplicates_and_other_packages_are_refused_and_the_rest_still_opens() {
    let secret_here = secret(&PACKAGE);
    let shares = deal(&secret_here, PACKAGE, 2, 3).unwrap();
    let other = Fixed([8; 16]);
    let foreign = deal(&secret(&other), other, 2, 3).unwrap();
    // A second deal of the same secret: right package, right M, N and x, other polynomial.
    let second = deal(&secret_here, PACKAGE, 2, 3).unwrap();

    let listed = listings(&shares);
    let mut quorum = quorum(&shares, &listed);
    quorum.present(again(&shares[0])).unwrap();
    for (wrong, rule, name) in [
        (&shares[0], Rule::ShareRepeated, "cust1"),
        (&foreign[1], Rule::SharePackage, ""),
        (&second[1], Rule::ShareCommitment, "cust2"),
    ] {
        let error = quorum.present(again(wrong)).unwrap_err();
        assert_eq!(error.rule(), Some(rule));
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(quorum.missing(), 1);
    quorum.present(again(&shares[2])).unwrap();
    assert_eq!(seals(&quorum.recombine().unwrap()), seals(&secret_here));
}

#[test]
fn the_code_confirms_its_own_share_only() {
    let shares = deal(&secret(&PACKAGE), PACKAGE, 2, 3).unwrap();
    let listed = listings(&shares);
    let code = words(&shares[0]);
    listed[0].confirm(&PACKAGE, &code, "Cyd").unwrap();
    let loud = code.to_uppercase().replace(' ', "\t \n");
    listed[0].confirm(&PACKAGE, &loud, "Cyd").unwrap();
    let mut swapped: Vec<_> = code.split(' ').collect();
    swapped.swap(0, 2);
    let short = swapped[..9].join(" ");
    for wrong in ["", &short, &swapped.join(" "), &words(&shares[1])] {
        // Two equal words swapped would be the same code: leave that to chance 1 in 256.
        if wrong == code {
            continue;
        }
        let error = listed[0].confirm(&PACKAGE, wrong, "Cyd").unwrap_err();
        assert_eq!(error.rule(), Some(Rule::ShareCode));
        assert!(error.to_string().contains("those of Cyd's share"), "{error}");
    }
    assert!(listed[0].confirm(&Fixed([0; 16]), &code, "Cyd").is_err());
}

#[test]
fn no_share_of_numbers_that_cannot_be_is_taken() {
    let record = |threshold: u8, count: u8, x: u8| {
        let mut record = [7; 68];
        record[0] = 1;
        record[17..20].copy_from_slice(&[threshold, count, x]);
        Share::from_record(&record)
    };
    for (threshold, count, x) in [(2, 2, 1), (2, 2, 2), (2, 16, 16), (16, 16, 1), (3, 5, 4)] {
        record(threshold, count, x).unwrap();
    }
    // Each broken in one respect only: M < 2, M > N, N > 16, x = 0, x > N.
    for (threshold, count, x) in
        [(0, 5, 1), (1, 5, 1), (4, 3, 1), (2, 17, 1), (2, 255, 1), (2, 5, 0), (2, 5, 6)]
    {
        let error = record(threshold, count, x).err().unwrap();
        assert_eq!(error.rule(), Some(Rule::ShareFormat), "{threshold} {count} {x}");
    }
}

#[test]
fn no_deal_of_numbers_that_cannot_be_is_made() {
    for (threshold, count) in [(2, 2), (2, 16), (16, 16)] {
        assert_eq!(
            deal(&secret(&PACKAGE), PACKAGE, threshold, count).unwrap().len(),
            usize::from(count)
        );
    }
    for (threshold, count) in [(0, 3), (1, 3), (4, 3), (2, 17), (16, 17), (2, 255)] {
        let error = deal(&secret(&PACKAGE), PACKAGE, threshold, count).err().unwrap();
        assert_eq!(error.rule(), Some(Rule::ShareDeal), "{threshold} {count}");
    }
}

#[test]
fn a_code_is_the_hash_of_its_share_as_designed() {
    for share in deal(&secret(&PACKAGE), PACKAGE, 2, 3).unwrap() {
        let record = share.record();
        let (y, salt) = (&record[20..52], &record[52..]);
        let parts: [&[u8]; 4] = [&PACKAGE.0, &[0, 0, 0, share.x()], salt, y];
        assert_eq!(share.code(), hash(c"keyferry/1 code", &parts).0[..10]);
        assert_eq!(share.commitment(), hash(c"keyferry/1 share", &parts));
    }
}

/// The numbers of docs/formats.md, section 9, which a second implementation made from that page
/// alone.
#[test]
fn the_numbers_to_try_are_those_of_the_code() {
    let page = include_str!("../../docs/formats.md");
    let (_, numbers) = page.split_once("**Numbers to try.**").unwrap();
    let (_, numbers) = numbers.split_once("```\n").unwrap();
    let (numbers, _) = numbers.split_once("```").unwrap();
    let numbers: Vec<(&str, &str)> =
        numbers.lines().map(|line| (line[..17].trim_end(), &line[17..])).collect();
    let all = |name: &str| -> Vec<&str> {
        let named = numbers.iter().filter(|(of, _)| *of == name);
        named.map(|(_, value)| *value).collect()
    };
    let hex = |name: &str| HEXLOWER.decode(all(name)[0].as_bytes()).unwrap();
    let hash = |name: &str| Hash(hex(name).try_into().unwrap());
    let package = Fixed(hex("package_id").try_into().unwrap());
    let (plan, kek, label) = (hash("plan_hash"), hash("kek_fingerprint"), all("label")[0]);

    let texts = (1..=5).flat_map(|x| all(&format!("share {x}")));
    let shares: Vec<Share> = texts.map(|text| Share::parse(text.as_bytes()).unwrap()).collect();
    assert_eq!(shares.len(), 3);
    for (n, share) in shares.iter().enumerate() {
        let listing = share.listing("cyd", Hash::of(b""));
        assert_eq!(listing.commitment.to_string(), all("commitment")[n]);
        assert_eq!(HEXLOWER.encode(&share.code()), all("code")[n]);
        assert_eq!(words(share), all("words")[n]);
        assert_eq!(listing.confirm.to_string(), all("confirm")[n]);
        listing.confirm(&package, all("words")[n], "Cyd").unwrap();
    }
    // Of the other two of five, the package says what it has to; nobody presents them here.
    let listings: Vec<ShareListing> = (1..=5)
        .map(|x| {
            let known = shares.iter().find(|share| share.x() == x);
            let mut listing = known.unwrap_or(&shares[0]).listing("cyd", Hash::of(b""));
            listing.x = x;
            listing
        })
        .collect();
    let mut quorum = Quorum::new(package, 3, &listings, &str::to_owned);
    for share in shares {
        quorum.present(share).unwrap();
    }
    let recombined = quorum.recombine().unwrap();
    let random = |name: &str| -> [u8; 32] { hex(name).try_into().unwrap() };
    let derived = Secret::derive(&random("os32"), &random("hsm32"), &package, &plan).unwrap();
    let info = enc(c"keyferry/1 seal", &[&plan.0, &kek.0, label.as_bytes()]);
    let seal_key = Hkdf::<Sha256>::new(Some(&package.0), &hex("S"));
    let mut expanded = [0; 32];
    seal_key.expand(&info, &mut expanded).unwrap();
    assert_eq!(HEXLOWER.encode(&expanded), all("seal key")[0]);
    let (kwp, mut alone) = (KwpAes256::new(&expanded.into()), [0; 32]);
    let alone = kwp.wrap_key(&hex("wrapped key"), &mut alone).unwrap();
    assert_eq!(HEXLOWER.encode(alone), all("sealed")[0]);
    for secret in [&recombined, &derived] {
        let key = SealKey::derive(secret, &package, &plan, &kek, label).unwrap();
        let sealed = key.seal(&hex("wrapped key")).unwrap();
        assert_eq!(HEXLOWER.encode(&sealed), all("sealed")[0]);
    }
}
