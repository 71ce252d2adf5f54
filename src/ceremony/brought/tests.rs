//! The wrappings that other programs make, each made here from one certificate and its key by
//! OpenSSL.

use std::process::Command;

use super::*;

/// Runs OpenSSL in a folder, and gives what it wrote.
fn openssl(folder: &Path, line: &str) -> Vec<u8> {
    let run = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

fn lines(der: &[u8], label: &str, width: usize, end: &str) -> Vec<u8> {
    let text = BASE64.encode(der);
    let lines = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
    let lines: Vec<_> = lines.collect();
    let (begin, last) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let all = [&[begin.as_str()], &lines[..], &[last.as_str(), ""]].concat();
    all.join(end).into_bytes()
}

fn utf16(text: &[u8], unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect()
}

/// Whatever a program that knows only the label's one form makes of the same DER.
fn wrappings(der: &[u8], label: &str) -> Vec<(&'static str, Vec<u8>)> {
    let plain = lines(der, label, 64, "\n");
    let with = |before: &[u8], after: &[u8]| [before, &plain, after].concat();
    vec![
        ("PEM", plain.clone()),
        ("DER", der.to_vec()),
        ("a blank line at the end", with(b"", b"\n")),
        ("blanks after END", with(b"", b"  \t \r\n")),
        ("no line end", plain.strip_suffix(b"\n").unwrap().to_vec()),
        ("76 columns", lines(der, label, 76, "\n")),
        ("one line", lines(der, label, 1 << 20, "\n")),
        ("CR LF", lines(der, label, 64, "\r\n")),
        ("blank lines between", lines(der, label, 64, "\n\n")),
        ("indented", lines(der, label, 64, "\n    ")),
        ("a byte order mark", with("\u{feff}".as_bytes(), b"")),
        ("UTF-16, little-endian", utf16(&plain, u16::to_le_bytes)),
        ("UTF-16, big-endian", utf16(&lines(der, label, 64, "\r\n"), u16::to_be_bytes)),
        ("text before it", with(b"Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n", b"")),
        ("base64", BASE64.encode(der).into_bytes()),
        ("base64 in lines", [lines(der, label, 76, "\r\n")].concat()),
    ]
}

struct Made {
    folder: tempfile::TempDir,
    certificate: Vec<u8>,
    spki: Vec<u8>,
}

fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=own -out own.pem");
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /CN=ca -out ca.pem");
    let certificate = openssl(at, "x509 -in own.pem -outform DER");
    let spki = openssl(at, "pkey -in key.pem -pubout -outform DER");
    Made { certificate, spki, folder }
}

#[test]
fn every_wrapping_of_a_certificate_and_of_a_public_key_gives_the_same_der() {
    let Made { folder, certificate, spki } = made();
    for (how, bytes) in wrappings(&certificate, "CERTIFICATE") {
        assert_eq!(parse(&bytes), Ok(Brought::Certificate(certificate.clone())), "{how}");
    }
    for (how, bytes) in wrappings(&spki, "PUBLIC KEY") {
        assert_eq!(parse(&bytes), Ok(Brought::PublicKey(spki.clone())), "{how}");
    }
    let pkcs1 = openssl(folder.path(), "rsa -in key.pem -RSAPublicKey_out -outform DER");
    for (how, bytes) in wrappings(&pkcs1, "RSA PUBLIC KEY") {
        assert_eq!(parse(&bytes), Ok(Brought::PublicKey(spki.clone())), "PKCS#1, {how}");
    }
    let chain = [file(folder.path(), "own.pem"), file(folder.path(), "ca.pem")].concat();
    assert_eq!(parse(&chain), Ok(Brought::Certificate(certificate)));
}

#[test]
fn whatever_has_another_meaning_is_refused_as_what_it_is() {
    let Made { folder, certificate, spki } = made();
    let at = folder.path();
    openssl(at, "req -new -key key.pem -subj /CN=own -out own.csr");
    openssl(at, "crl2pkcs7 -nocrl -certfile own.pem -out own.p7b");
    openssl(at, "pkcs12 -export -inkey key.pem -in own.pem -passout pass:x -out own.p12");
    openssl(
        at,
        "req -x509 -key key.pem -subj /CN=leaf -addext basicConstraints=CA:FALSE -out leaf.pem",
    );
    let ssh = "ssh-keygen -q -t ed25519 -N  -f ssh";
    assert!(
        Command::new("ssh-keygen")
            .args(ssh.split(' ').skip(1))
            .current_dir(at)
            .status()
            .unwrap()
            .success()
    );
    let own = file(at, "own.pem");
    let two = [own.clone(), file(at, "leaf.pem")].concat();
    let with_key = [own.clone(), file(at, "key.pem")].concat();
    let cases = [
        (file(at, "key.pem"), "private key"),
        (with_key, "private key"),
        (openssl(at, "pkey -in key.pem -outform DER"), "private key"),
        (file(at, "own.csr"), "request for a certificate"),
        (file(at, "own.p7b"), "PKCS#7"),
        (openssl(at, "pkcs7 -in own.p7b -outform DER"), "PKCS#7"),
        (file(at, "own.p12"), "PKCS#12"),
        (openssl(at, "x509 -in own.pem -trustout"), "TRUSTED"),
        (file(at, "ssh.pub"), "SSH key"),
        (two, "no chain"),
        (own[..own.len() - 30].to_vec(), "cut off"),
        (own[20..].to_vec(), "neither PEM nor base64"),
        (b"{\"PublicKey\": \"MII\"}".to_vec(), "JSON"),
        ([certificate, b"\n".to_vec()].concat(), "another kind, or damaged"),
        ([spki, b"\0".to_vec()].concat(), "another kind, or damaged"),
        (b"\xff\xfe\0".to_vec(), "neither a text nor DER"),
        (Vec::new(), "neither PEM nor base64"),
    ];
    for (bytes, expected) in cases {
        let found = parse(&bytes).unwrap_err();
        assert!(found.found.contains(expected), "{found:?}, not {expected}");
        assert!(!found.remedy.is_empty());
    }
}

/// What RFC 7468's strict parser refuses, and this one takes, is the same certificate or key.
#[test]
fn whatever_is_newly_taken_of_changed_bytes_is_the_same_der() {
    let Made { certificate, spki, .. } = made();
    let mut newly = 0;
    for (der, label) in [(&certificate, "CERTIFICATE"), (&spki, "PUBLIC KEY")] {
        let whole = lines(der, label, 64, "\n");
        let flips = (0..whole.len() * 8).map(|bit| {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        });
        let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
        for changed in flips.chain(cut) {
            let text = std::str::from_utf8(&changed).ok();
            let strict = text.and_then(|text| x509_cert::der::Document::from_pem(text).ok());
            if let (Ok(taken), None) = (parse(&changed), strict) {
                let (Brought::Certificate(taken) | Brought::PublicKey(taken)) = taken;
                assert_eq!(taken, *der, "{:?}", String::from_utf8_lossy(&changed));
                newly += 1;
            }
        }
    }
    // Line ends that became blanks or other white space, and the last one that is missing.
    assert!(newly > 30, "{newly}");
}

#[test]
fn a_chain_has_one_form() {
    let Made { folder, .. } = made();
    let [own, ca] = ["own.pem", "ca.pem"].map(|name| file(folder.path(), name));
    let plain = [own, ca].concat();
    let changed =
        utf16(String::from_utf8_lossy(&plain).replace('\n', "\r\n").as_bytes(), u16::to_le_bytes);
    for bytes in [&plain, &changed] {
        assert_eq!(canonical_chain(chain(bytes).unwrap()).as_bytes(), plain);
    }
    assert_eq!(chain(b"no PEM"), Some(Vec::new()));
}

#[test]
fn what_was_done_to_a_text_is_named() {
    let named = |bytes: &[u8]| text::altered(bytes).map(|(at, what)| (at, what.to_owned()));
    assert_eq!(named("format = \"keyferry/1\"\nname = \"M\u{fc}ller\"\n".as_bytes()), None);
    let cases: [(&[u8], usize, &str); 5] = [
        ("\u{feff}a = 1\n".as_bytes(), 0, "byte order mark"),
        (b"\xff\xfea\0\n\0", 0, "UTF-16"),
        (b"a\0 \0=\0 \x001\x000\x000\x000\0\n\0", 0, "UTF-16"),
        (b"a = 1\r\nb = 2\r\n", 5, "CR LF"),
        (b"a = 1\rb = 2", 5, "carriage return"),
    ];
    for (bytes, at, expected) in cases {
        let found = named(bytes).unwrap();
        assert!(found.0 == at && found.1.contains(expected), "{found:?}");
    }
    assert_eq!(text::typographic("a = \u{201c}b\u{201d}"), Some('\u{201c}'));
}

#[test]
fn a_certificate_serves_while_it_is_valid_and_for_what_its_usages_say() {
    use record::Role;
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let made = |usages: &[&str]| {
        let line =
            "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=own -outform DER -days 30";
        let line = [&[line], usages].concat().join(" -addext ");
        openssl(folder.path(), &line)
    };
    let fits = |der: &[u8], role, hgs| service::fits(der, role, hgs, now..=now);
    let plain = made(&[]);
    for days in [-2, 31] {
        let at = now + jiff::SignedDuration::from_hours(24 * days);
        let found = service::fits(&plain, Role::Signing, false, at..=at).unwrap_err();
        assert!(found.starts_with("valid from "), "{found}");
        // Or it ends before the ceremony does.
        let later = service::fits(&plain, Role::Signing, false, now..=now.max(at));
        assert_eq!(later.is_err(), days > 0);
    }
    assert_eq!(service::lifetime(&plain), Some(30 * 24 * 60 * 60));
    assert_eq!(service::lifetime(b"0"), None);
    let both = made(&["keyUsage=digitalSignature,dataEncipherment", "extendedKeyUsage=serverAuth"]);
    let any = made(&["extendedKeyUsage=anyExtendedKeyUsage"]);
    for der in [&plain, &both, &any] {
        for role in [Role::Signing, Role::Encryption] {
            assert_eq!([fits(der, role, false), fits(der, role, true)], [Ok(()), Ok(())]);
        }
    }
    let signs = made(&["keyUsage=digitalSignature"]);
    assert!(fits(&signs, Role::Signing, false).is_ok());
    assert!(fits(&signs, Role::Signing, true).unwrap_err().contains("which HGS wants"));
    assert!(fits(&signs, Role::Encryption, false).unwrap_err().contains("keyEncipherment"));
    let enciphers = made(&["keyUsage=keyEncipherment"]);
    assert!(fits(&enciphers, Role::Encryption, false).is_ok());
    assert!(fits(&enciphers, Role::Signing, false).unwrap_err().contains("digitalSignature"));
    let client = made(&["extendedKeyUsage=clientAuth"]);
    assert!(fits(&client, Role::Signing, false).is_ok());
    assert!(fits(&client, Role::Signing, true).unwrap_err().contains("serverAuth"));
}
