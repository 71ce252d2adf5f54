//! Real age files: who opens a share, and what is refused.
use std::os::unix::fs::PermissionsExt;

use zeroize::Zeroizing;

use super::common::{PASSPHRASE, handed_out, identity, open, shares};
use custody::{
    custodian::{encrypt_share, new_identity},
    share::Share,
};
use record::{Result, rule::Rule};

fn refused(result: Result<Share>, rule: Rule) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.rule(), Some(rule), "{error}");
    error.to_string()
}

#[test]
fn custodian_and_deputy_open_a_share_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (own, recipient) = identity(&folder, "own");
    let (deputy, deputys) = identity(&folder, "deputy");
    let (other, _) = identity(&folder, "other");
    let share = shares().remove(1);
    let file = encrypt_share(&share, &[recipient, deputys]).unwrap();
    assert!(file.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let opened = |path: &std::path::Path| open(&file, &std::fs::read(path).unwrap(), "").0;
    for path in [&own, &deputy] {
        assert_eq!(*opened(path).unwrap().text(), *share.text());
    }
    refused(opened(&other), Rule::ShareIdentity);
    // An identity file with several identities, the right one last.
    let both = [std::fs::read(&other).unwrap(), std::fs::read(&own).unwrap()].concat();
    open(&file, &both, "").0.unwrap();
}

#[test]
fn a_passphrase_protects_the_identity() {
    let new = new_identity(Some(Zeroizing::new(PASSPHRASE.to_owned()))).unwrap();
    let file = encrypt_share(&shares()[0], &[new.recipient]).unwrap();
    assert!(new.file.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let (opened, asked) = open(&file, &new.file, PASSPHRASE);
    opened.unwrap();
    assert_eq!(asked, 1, "asked once");
    refused(open(&file, &new.file, "another passphrase").0, Rule::ShareIdentity);
    assert_eq!(open(&file, &new.file, "").0.err().unwrap().exit_code(), 4);
}

#[test]
fn a_giant_work_factor_is_refused_at_once() {
    let (_folder, _, file, _) = handed_out();
    let share = std::fs::read(file).unwrap();
    for work in [21, 30, 63] {
        // A header as any sender can write it; its MAC is only looked at after the work.
        let salt = "A".repeat(22);
        let body = "A".repeat(43);
        let mut identity =
            format!("age-encryption.org/v1\n-> scrypt {salt} {work}\n{body}\n--- {body}\n")
                .into_bytes();
        identity.extend([0; 64]);
        let text = refused(open(&share, &identity, PASSPHRASE).0, Rule::ShareIdentity);
        assert!(text.contains(&format!("2^{work}")), "{text}");
        // As a share file no passphrase is even tried.
        let plain = "# nothing\n";
        refused(open(&identity, plain.as_bytes(), "").0, Rule::ShareIdentity);
    }
}

/// A text without its white space.
fn letters(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|one| !one.is_whitespace()).collect()
}

#[test]
fn every_altered_share_file_is_refused() {
    let (_folder, _, file, identity) = handed_out();
    let (file, identity) = (std::fs::read(file).unwrap(), std::fs::read(identity).unwrap());
    for at in 0..file.len() {
        for flip in [1, 0x20] {
            let mut altered = file.clone();
            altered[at] ^= flip;
            let error = match open(&altered, &identity, "").0 {
                Err(error) => error,
                // Other white space between the lines is all that may be different.
                Ok(_) if letters(&altered) == letters(&file) => continue,
                Ok(_) => panic!("byte {at} altered by {flip:#x} still opens"),
            };
            let rule = error.rule().unwrap();
            assert!(matches!(rule, Rule::ShareFormat | Rule::ShareIdentity), "{at}: {error}");
        }
    }
    for cut in [0, 1, 100, file.len() / 2, file.len() - 40] {
        assert!(open(&file[..cut], &identity, "").0.is_err());
    }
    for no_identity in
        [&b""[..], b"# a comment only\n", b"AGE-SECRET-KEY-1QQQ\n", b"\xff\xfe\n", &file]
    {
        refused(open(&file, no_identity, "").0, Rule::ShareIdentity);
    }
}

#[test]
fn an_age_file_without_a_share_is_refused() {
    let key = age::x25519::Identity::generate();
    let identity = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
    let right = shares().remove(0).text();
    for content in
        ["", "hello", &format!("{}\n", *right), &right.to_lowercase(), &"A".repeat(60_000)]
    {
        let file = age::encrypt(&key.to_public(), content.as_bytes()).unwrap();
        refused(open(&file, identity.as_bytes(), "").0, Rule::ShareFormat);
    }
    let file = age::encrypt(&key.to_public(), b"\xff\xff").unwrap();
    refused(open(&file, identity.as_bytes(), "").0, Rule::ShareFormat);
}

#[test]
fn missing_plugins_are_named() {
    let share = shares().remove(0);
    assert!(encrypt_share(&share, &[]).is_err());
    // `nowhere`, bech32 with an empty payload, as the test vectors of age have it for `foobar`.
    let error = encrypt_share(&share, &[bech32("age1nowhere")]).unwrap_err().to_string();
    assert!(error.contains("age-plugin-nowhere"), "{error}");
    let (_folder, _, file, _) = handed_out();
    let identity = bech32("age-plugin-nowhere-").to_uppercase();
    // What is said is what is to be done about a program, not about persons or passphrases.
    let opened = open(&std::fs::read(file).unwrap(), identity.as_bytes(), "").0;
    let error = opened.err().unwrap();
    assert_eq!(error.rule(), Some(Rule::AgePlugin), "{error}");
    let said = error.to_string();
    assert!(said.contains("install age-plugin-nowhere") && !said.contains("passphrase"), "{said}");
}

/// Bech32 (BIP 173) of no data under this human-readable part.
fn bech32(part: &str) -> String {
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3u32];
        let mixed = ((sum & 0x1ff_ffff) << 5) ^ value;
        (0..5).fold(mixed, |sum, i| sum ^ if top >> i & 1 == 1 { generators[i] } else { 0 })
    };
    let bytes = part.bytes().map(u32::from);
    let high = bytes.clone().map(|byte| byte >> 5);
    let low = bytes.map(|byte| byte & 31);
    let values = high.chain([0]).chain(low).chain([0; 6]);
    let sum = values.fold(1, step) ^ 1;
    let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let check = (0..6).map(|i| char::from(alphabet[(sum >> (5 * (5 - i)) & 31) as usize]));
    format!("{part}1{}", check.collect::<String>())
}

/// A plugin is a program: its name leads to no file but a plugin in the search path.
#[test]
fn the_name_of_a_plugin_leads_nowhere_else() {
    let (_dealt, _, path, _) = handed_out();
    let file = std::fs::read(&path).unwrap();
    // Names of plugins are in one case, and so must be the folder that they would lead to.
    let name = format!("evil-{}", std::process::id());
    let folder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in("/tmp").unwrap();
    let ran = folder.path().join("ran");
    let evil = folder.path().join("age-plugin-evil");
    std::fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    std::fs::set_permissions(&evil, std::fs::Permissions::from_mode(0o755)).unwrap();
    // In the search path it is run: this test can see one that is.
    let identity = folder.path().join("id");
    std::fs::write(&identity, bech32("age-plugin-evil-").to_uppercase()).unwrap();
    let search = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut check = super::program();
    check.args(["share", "check"]).arg(&path).arg("--identity").arg(&identity);
    assert!(!check.env("PATH", search).output().unwrap().status.success());
    std::fs::remove_file(&ran).unwrap();

    let below = folder.path().display().to_string();
    assert_eq!(below, below.to_lowercase());
    let up = "../".repeat(12);
    let names = [
        format!("{up}{}/age-plugin-evil", &below[1..]),
        format!("x/{up}{}/age-plugin-evil", &below[1..]),
        format!("x/{up}{}/evil", &below[1..]),
        format!("{below}/age-plugin-evil"),
        "..".into(),
        format!("; touch {}", ran.display()),
        format!("$(touch {})", ran.display()),
        "a\u{7f}b".into(),
    ];
    for name in names {
        let identity = bech32(&format!("age-plugin-{name}-")).to_uppercase();
        let opened = open(&file, identity.as_bytes(), "").0;
        let said = opened.err().unwrap().to_string();
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
        let sealed = encrypt_share(&shares()[0], &[bech32(&format!("age1{name}"))]);
        assert!(sealed.is_err(), "{name}");
        assert!(!ran.exists(), "{name} was run");
    }
}
