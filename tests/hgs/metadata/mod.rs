//! What HGS nodes publish: taken only with the ceremony's certificates, and from whoever wrote it
//! never more than a refusal.

mod accepting;
mod ending;
mod hostile;

use std::{path::Path, process::Command, sync::OnceLock};

use data_encoding::BASE64;

use record::{
    Error,
    rule::Rule,
    service::metadata::{MAX_METADATA, Metadata},
};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// Self-signed certificates made by `openssl`, and the signing key's signatures over two of them.
struct Keys {
    signing: Vec<u8>,
    encryption: Vec<u8>,
    other: Vec<u8>,
    over_encryption: Vec<u8>,
    over_signing: Vec<u8>,
}

fn openssl(folder: &Path, line: &str) {
    let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for name in ["signing", "encryption", "other"] {
            openssl(
                at,
                &format!(
                    "req -x509 -newkey rsa:2048 -nodes -sha256 -subj /CN={name} -days 9 -keyout {name}.key -outform DER -out {name}.crt"
                ),
            );
        }
        for name in ["encryption", "signing"] {
            openssl(at, &format!("dgst -sha256 -sign signing.key -out {name}.sig {name}.crt"));
        }
        let read = |name: &str| std::fs::read(at.join(name)).unwrap();
        Keys {
            signing: read("signing.crt"),
            encryption: read("encryption.crt"),
            other: read("other.crt"),
            over_encryption: read("encryption.sig"),
            over_signing: read("signing.sig"),
        }
    })
}

/// A file as MS-KPS, 6.4, has it; the specification shows no example of its own (section 4).
fn file(signing: &[u8], encryption: &[u8], others: &[&[u8]]) -> String {
    let keys = keys();
    let one = |der: &&[u8]| format!("<Certificate>{}</Certificate>", BASE64.encode(der));
    let others: String = others.iter().map(one).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Metadata xmlns=\"http://schemas.microsoft.com/kps/2014/07\" ID=\"_1\" Version=\"1\">\
         <GuardianInformation><Version>1</Version>\
         <EncryptionCertificate>{}</EncryptionCertificate><SigningCertificate>{}</SigningCertificate>\
         <EncryptionCertificateSignature Algorithm=\"{RSA_SHA256}\"><SignatureValue>{}</SignatureValue></EncryptionCertificateSignature>\
         <SigningCertificateSelfSignature Algorithm=\"{RSA_SHA256}\"><Parameters><x xmlns=\"urn:x\"/></Parameters>\
         <SignatureValue>{}</SignatureValue></SigningCertificateSelfSignature>\
         <OtherSigningCertificates>{others}</OtherSigningCertificates></GuardianInformation>\
         <Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo><SignatureMethod Algorithm=\"{RSA_SHA256}\"/></SignedInfo>\
         <SignatureValue>AA==</SignatureValue></Signature></Metadata>\n",
        BASE64.encode(encryption),
        BASE64.encode(signing),
        BASE64.encode(&keys.over_encryption),
        BASE64.encode(&keys.over_signing),
    )
}

fn good() -> String {
    let keys = keys();
    file(&keys.signing, &keys.encryption, &[&keys.other])
}

fn parse(text: impl AsRef<[u8]>) -> Result<Metadata, Error> {
    Metadata::parse(text.as_ref(), "node1")
}

/// Refused by this rule; what the refusal says.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, rule: Rule) -> String {
    let error = parse(text).and_then(|metadata| {
        metadata.compare(&keys().signing, &keys().encryption).map(|_| metadata.clone())
    });
    let error = error.expect_err("a file that is not taken");
    assert_eq!(error.rule(), Some(rule), "{error}");
    let said = error.to_string();
    let fit = |c: char| c == '\n' || !c.is_control();
    assert!(said.chars().all(fit) && said.len() < 20_000, "{said:?}");
    said
}

#[test]
fn the_ceremonys_certificates_are_taken_byte_for_byte() {
    let keys = keys();
    let metadata = parse(good()).unwrap();
    assert_eq!((metadata.version, metadata.guardian_version), (1, 1));
    assert_eq!(metadata.signing, keys.signing);
    assert_eq!(metadata.encryption, keys.encryption);
    let compared = metadata.compare(&keys.signing, &keys.encryption).unwrap();
    let other = &compared.others[0];
    assert_eq!(compared.others.len(), 1);
    assert_eq!(other.subject, "CN=other");
    // The thumbprint that another program computes.
    let mut child = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-fingerprint", "-sha1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &keys.other).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(output.trim().split('=').nth(1).unwrap().replace(':', ""), other.thumbprint);
    let said = compared.remarks.join("\n");
    for what in ["encryption", "signing"] {
        let expected = format!(
            "the signature over the {what} certificate is by the published signing certificate's key"
        );
        assert!(said.contains(&expected), "{said}");
    }
    assert!(said.contains("the signature over the whole file is not verified here"), "{said}");
}

#[test]
fn white_space_byte_order_marks_and_utf_16_change_nothing() {
    let (keys, plain) = (keys(), parse(good()).unwrap());
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(bytes).collect()
    };
    let base64 = BASE64.encode(&keys.signing);
    let lines: Vec<&str> =
        (0..base64.len()).step_by(76).map(|at| &base64[at..base64.len().min(at + 76)]).collect();
    let spaced = good().replace(&base64, &format!("\r\n\t {} \r\n", lines.join("\r\n ")));
    let indented = good().replace("><", ">\n  <!-- between elements -->\n  <");
    let indented = indented.replace("<OtherSigningCertificates>", "<OtherSigningCertificates>\n");
    for same in [
        format!("\u{feff}{}", good()).into_bytes(),
        wide(&good(), u16::to_le_bytes),
        wide(&good(), u16::to_be_bytes),
        spaced.into_bytes(),
        indented.into_bytes(),
        good().replace(&base64, &format!("<![CDATA[{base64}]]>")).into_bytes(),
        good()
            .replace(&base64, &format!("&#x{:x};{}", base64.as_bytes()[0], &base64[1..]))
            .into_bytes(),
        good()
            .replace(
                "<Metadata xmlns=",
                "<k:Metadata xmlns:k=\"http://schemas.microsoft.com/kps/2014/07\" xmlns=",
            )
            .replace("</Metadata>", "</k:Metadata>")
            .into_bytes(),
    ] {
        assert_eq!(parse(same).unwrap(), plain);
    }
    let without = file(&keys.signing, &keys.encryption, &[])
        .replace("<OtherSigningCertificates></OtherSigningCertificates>", "");
    assert_eq!(parse(without).unwrap().other_signing.len(), 0);
    refused(&wide(&good(), u16::to_le_bytes)[..99], Rule::MetadataFormat);
    refused(&wide(&good(), u16::to_le_bytes)[2..], Rule::MetadataFormat);
}

#[test]
fn other_certificates_are_named_with_their_roles() {
    let Keys { signing, encryption, other, .. } = keys();
    let named = |der: &[u8]| record::spki::thumbprint(der);
    let wrong = |text: String| refused(text, Rule::MetadataCertificate);
    let said = wrong(file(other, encryption, &[]));
    assert!(said.contains(&format!("primary: signing {}\n", named(other))), "{said}");
    assert!(said.contains(&format!("the ceremony's: signing {}\n", named(signing))), "{said}");
    let said = wrong(file(signing, other, &[]));
    assert!(said.contains(&format!("primary: encryption {}\n", named(other))), "{said}");
    let said = wrong(file(encryption, signing, &[]));
    assert!(said.contains("the two are swapped"), "{said}");
    let said = wrong(file(other, other, &[signing]));
    assert!(said.contains("one certificate is published for both roles"), "{said}");
    let said = wrong(file(other, encryption, &[encryption, signing]));
    assert!(said.contains("not as the primary one"), "{said}");
    for length in 1..signing.len() {
        wrong(file(&signing[..length], encryption, &[]));
        wrong(file(signing, &encryption[..length.min(encryption.len() - 1)], &[]));
    }
    let longer = [signing.as_slice(), &[0]].concat();
    wrong(file(&longer, encryption, &[]));
    for bit in (0..signing.len() * 8).step_by(7) {
        let mut flipped = signing.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong(file(&flipped, encryption, &[signing]));
    }
}

#[test]
fn what_cannot_be_judged_is_said_and_does_not_refuse() {
    let keys = keys();
    let judge = |text: String| {
        let compared = parse(text).unwrap().compare(&keys.signing, &keys.encryption);
        compared.unwrap().remarks.join("\n")
    };
    let said = judge(good().replacen(RSA_SHA256, "urn:\u{202e}unknown", 1));
    assert!(said.contains("the algorithm urn:\\u{202e}unknown is not one that is known"), "{said}");
    let value = BASE64.encode(&keys.over_encryption);
    let said = judge(good().replace(&value, ""));
    assert!(said.contains("it does not fit the plain certificate"), "{said}");
    let extension = "<more xmlns=\"urn:\u{9b}x\" xmlns:y=\"urn:y\"><y:z/></more></Metadata>";
    let said = judge(good().replace("</Metadata>", extension));
    assert!(
        said.contains("an extension that is not judged: more of the namespace urn:\\u{9b}x"),
        "{said}"
    );
    let odd = file(&keys.signing, &keys.encryption, &[b"no certificate"]);
    let compared = parse(odd).unwrap().compare(&keys.signing, &keys.encryption);
    assert_eq!(compared.unwrap().others[0].subject, "not a certificate that can be read");
}

fn show(name: &str, bytes: &[u8]) -> Result<String, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    show::show(&path, show::Language::English, &mut out).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn the_auditor_explains_a_file() {
    let keys = keys();
    let hostile = good().replacen(RSA_SHA256, "urn:\u{202e}", 1);
    let marked: Vec<u8> =
        std::iter::once(0xfeff).chain(hostile.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in
        [("node1.metadata.xml", marked.as_slice()), ("fetched", hostile.as_bytes())]
    {
        let text = show(name, bytes).unwrap();
        for sentence in [
            "This is metadata of a Key Protection Service",
            &format!("signing:      {} CN=signing", record::spki::thumbprint(&keys.signing)),
            &format!("encryption:   {} CN=encryption", record::spki::thumbprint(&keys.encryption)),
            "also signing: ",
            "urn:\\u{202e} is not one that is known",
            "Not who, not when",
            "This text explains; it does not verify.",
        ] {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
    for (name, bytes) in [("x.xml", b"no" as &[u8]), ("x", b"<html>"), ("x.xml", b"\xff\xfe<")] {
        assert_eq!(show(name, bytes).unwrap_err().rule(), Some(Rule::MetadataFormat));
    }
}
