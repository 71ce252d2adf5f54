//! What HGS nodes publish: taken only with the ceremony's certificates, and from whoever wrote it never more than a refusal.

#[cfg(feature = "custody")] // age makes the recipients of a plan.
mod people;

use std::{path::Path, process::Command, sync::OnceLock, time::Instant};

use data_encoding::BASE64;
use keyferry::{
    Error, audit,
    rule::Rule,
    target::metadata::{MAX_METADATA, Metadata},
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
    let done = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
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

/// Refused in no time, by this rule; what the refusal says.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, rule: Rule) -> String {
    let begun = Instant::now();
    let error = parse(text).and_then(|metadata| {
        metadata
            .compare(&keys().signing, &keys().encryption)
            .map(|_| metadata.clone())
    });
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
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
    assert_eq!(
        output.trim().split('=').nth(1).unwrap().replace(':', ""),
        other.thumbprint
    );
    let said = compared.remarks.join("\n");
    for what in ["encryption", "signing"] {
        let expected = format!(
            "the signature over the {what} certificate is by the published signing certificate's key"
        );
        assert!(said.contains(&expected), "{said}");
    }
    assert!(
        said.contains("the signature over the whole file is not verified here"),
        "{said}"
    );
}

#[test]
fn white_space_byte_order_marks_and_utf_16_change_nothing() {
    let (keys, plain) = (keys(), parse(good()).unwrap());
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(bytes).collect()
    };
    let base64 = BASE64.encode(&keys.signing);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(76)
        .map(|at| &base64[at..base64.len().min(at + 76)])
        .collect();
    let spaced = good().replace(&base64, &format!("\r\n\t {} \r\n", lines.join("\r\n ")));
    let indented = good().replace("><", ">\n  <!-- between elements -->\n  <");
    let indented = indented.replace("<OtherSigningCertificates>", "<OtherSigningCertificates>\n");
    for same in [
        format!("\u{feff}{}", good()).into_bytes(),
        wide(&good(), u16::to_le_bytes),
        wide(&good(), u16::to_be_bytes),
        spaced.into_bytes(),
        indented.into_bytes(),
        good()
            .replace(&base64, &format!("<![CDATA[{base64}]]>"))
            .into_bytes(),
        good()
            .replace(
                &base64,
                &format!("&#x{:x};{}", base64.as_bytes()[0], &base64[1..]),
            )
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
    let Keys {
        signing,
        encryption,
        other,
        ..
    } = keys();
    let named = |der: &[u8]| keyferry::spki::thumbprint(der);
    let wrong = |text: String| refused(text, Rule::MetadataCertificate);
    let said = wrong(file(other, encryption, &[]));
    assert!(
        said.contains(&format!("primary: signing {}\n", named(other))),
        "{said}"
    );
    assert!(
        said.contains(&format!("the ceremony's: signing {}\n", named(signing))),
        "{said}"
    );
    let said = wrong(file(signing, other, &[]));
    assert!(
        said.contains(&format!("primary: encryption {}\n", named(other))),
        "{said}"
    );
    let said = wrong(file(encryption, signing, &[]));
    assert!(said.contains("the two are swapped"), "{said}");
    let said = wrong(file(other, other, &[signing]));
    assert!(
        said.contains("one certificate is published for both roles"),
        "{said}"
    );
    let said = wrong(file(other, encryption, &[encryption, signing]));
    assert!(said.contains("not as the primary one"), "{said}");
    for length in 1..signing.len() {
        wrong(file(&signing[..length], encryption, &[]));
        wrong(file(
            signing,
            &encryption[..length.min(encryption.len() - 1)],
            &[],
        ));
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
fn what_the_service_does_not_publish_is_refused() {
    let base64 = BASE64.encode(&keys().signing);
    let (head, tail) = base64.split_at(200);
    let signing = format!("<SigningCertificate>{base64}</SigningCertificate>");
    let bad = "<SigningCertificate xmlns=\"urn:x\">AA==</SigningCertificate>";
    let guardian = "<GuardianInformation/>";
    let cases: &[(&str, &str)] = &[
        (&signing, ""),
        (&signing, "<SigningCertificate/>"),
        (&signing, "<SigningCertificate> \n </SigningCertificate>"),
        (&signing, &format!("{signing}{signing}")),
        (&signing, &format!("{signing}{bad}")),
        (&signing, bad),
        (&signing, &format!("<x>{signing}</x>")),
        (&base64, &format!("{head}<!-- x -->{tail}")),
        (&base64, &format!("{head}<?x y?>{tail}")),
        (&base64, &format!("{head}<x/>{tail}")),
        (&base64, &format!("{head}&nbsp;{tail}")),
        (&base64, &format!("{head}\u{a0}{tail}")),
        (&base64, &format!("{head}*{tail}")),
        (&base64, &base64[1..]),
        (&base64, &format!("{base64}AA")),
        (
            "</GuardianInformation>",
            "</GuardianInformation><GuardianInformation/>",
        ),
        ("</SignedInfo>", &format!("</SignedInfo>{guardian}")),
        (
            "<x xmlns=\"urn:x\"/>",
            &format!("<x xmlns=\"urn:x\">{signing}</x>"),
        ),
        ("<Version>1</Version>", ""),
        (
            "<Version>1</Version>",
            "<Version>1</Version><Version>1</Version>",
        ),
        ("<Version>1</Version>", "<Version>-1</Version>"),
        ("<Version>1</Version>", "<Version>4294967296</Version>"),
        ("<Version>1</Version>", "<Version/>"),
        ("<Version>1</Version>", "<Version>1</Version>text"),
        (" Version=\"1\"", ""),
        (" Version=\"1\"", " Version=\"1\" Version=\"1\""),
        ("kps/2014/07\"", "kps/2014/08\""),
        (" xmlns=\"http://schemas.microsoft.com/kps/2014/07\"", ""),
        (
            "http://www.w3.org/2000/09/xmldsig#",
            "http://www.w3.org/2000/09/xmldsig",
        ),
        (
            "<EncryptionCertificateSignature Algorithm=",
            "<EncryptionCertificateSignature x=",
        ),
        ("<Parameters>", "<SignatureValue/><Parameters>"),
        (
            "<OtherSigningCertificates>",
            "<OtherSigningCertificates><Certificate/>",
        ),
        (
            "<OtherSigningCertificates>",
            "<OtherSigningCertificates><Cert>AA==</Cert>",
        ),
        ("</Metadata>", "</Metadata><Metadata/>"),
        ("</Metadata>", "</Metadata>text"),
        ("</Metadata>", "<Unknown/></Metadata>"),
        ("</Metadata>", "text</Metadata>"),
    ];
    for (from, to) in cases {
        let spoilt = good().replacen(from, to, 1);
        // The whole-file signature of another namespace is only an extension, and then there is none.
        assert_ne!(spoilt, good(), "{from}");
        refused(spoilt, Rule::MetadataFormat);
    }
    for nothing in [
        "",
        " ",
        "<",
        "<a/>",
        "{}",
        "\u{feff}",
        "\u{0}",
        "<Metadata/>",
    ] {
        refused(nothing, Rule::MetadataFormat);
    }
}

#[test]
fn what_cannot_be_judged_is_said_and_does_not_refuse() {
    let keys = keys();
    let judge = |text: String| {
        let compared = parse(text)
            .unwrap()
            .compare(&keys.signing, &keys.encryption);
        compared.unwrap().remarks.join("\n")
    };
    let said = judge(good().replacen(RSA_SHA256, "urn:\u{202e}unknown", 1));
    assert!(
        said.contains("the algorithm urn:\\u{202e}unknown is not one that is known"),
        "{said}"
    );
    let value = BASE64.encode(&keys.over_encryption);
    let said = judge(good().replace(&value, ""));
    assert!(
        said.contains("it does not fit the plain certificate"),
        "{said}"
    );
    let extension = "<more xmlns=\"urn:\u{9b}x\" xmlns:y=\"urn:y\"><y:z/></more></Metadata>";
    let said = judge(good().replace("</Metadata>", extension));
    assert!(
        said.contains("an extension that is not judged: more of the namespace urn:\\u{9b}x"),
        "{said}"
    );
    let odd = file(&keys.signing, &keys.encryption, &[b"no certificate"]);
    let compared = parse(odd).unwrap().compare(&keys.signing, &keys.encryption);
    assert_eq!(
        compared.unwrap().others[0].subject,
        "not a certificate that can be read"
    );
}

#[test]
fn bombs_are_refused_in_no_time() {
    let body = good().split_once('\n').unwrap().1.to_owned();
    let mut laughs = "<!DOCTYPE lolz [<!ENTITY a0 \"lol\">".to_owned();
    for n in 1..12 {
        let before = format!("&a{};", n - 1).repeat(10);
        laughs += &format!("<!ENTITY a{n} \"{before}\">");
    }
    laughs += "]>";
    let passwd = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>";
    for doctype in [
        &laughs,
        passwd,
        "<!DOCTYPE x>",
        "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\">",
    ] {
        for entity in ["&a11;", "&e;", "1"] {
            let inside = body.replacen("<Version>1", &format!("<Version>{entity}"), 1);
            let said = refused(format!("{doctype}{inside}"), Rule::MetadataFormat);
            assert!(!said.contains("root:"), "{said}");
        }
    }
    let size = MAX_METADATA as usize;
    let nested = |open: &str| open.repeat(size / open.len());
    let attributes: String = (0..110_000).map(|n| format!(" a{n:x}=''")).collect();
    let spaces: String = (0..50_000).map(|n| format!(" xmlns:a{n:x}='b'")).collect();
    // Half of the namespaces on top, the others each on a child: the product of both is what a parser may copy.
    let some: String = (0..500).map(|n| format!(" xmlns:a{n:x}='b'")).collect();
    let children: String = (0..500).map(|n| format!("<c xmlns:b{n:x}='b'/>")).collect();
    for text in [
        nested("<a>"),
        nested("<a x=''>"),
        format!("{}{}", "<a>".repeat(2000), "</a>".repeat(2000)),
        format!("<a>{}</a>", "<b/>".repeat(200_000)),
        format!("<a>{}</a>", "<!---->".repeat(140_000)),
        format!("<a>{}</a>", "&amp;".repeat(200_000)),
        format!("<a>{}</a>", "x<![CDATA[y]]>".repeat(70_000)),
        format!("<a{attributes}/>"),
        format!("<a{spaces}/>"),
        format!("<a{some}>{children}</a>"),
        format!("<{}/>", "a".repeat(size - 9)),
        format!("<a b='{}'/>", "c".repeat(size - 20)),
        format!("<a>{}", "\u{1}".repeat(100)),
        format!("<a xmlns='{}'/>", "\u{202e}\u{9b}".repeat(100_000)),
        good().replace(
            "</Metadata>",
            &format!("<x xmlns='{}'/></Metadata>", "]]>\u{1b}[2J"),
        ),
    ] {
        refused(text, Rule::MetadataFormat);
    }
    // As large as may be, and one byte more.
    let filled = |size: usize| {
        let good = good();
        let blanks = " ".repeat(size - good.len());
        good.replace("</Metadata>", &format!("{blanks}</Metadata>"))
    };
    parse(filled(size)).unwrap();
    refused(filled(size + 1), Rule::DocumentSize);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_harmless() {
    let keys = keys();
    let good = good().into_bytes();
    for length in 0..good.len() - 1 {
        refused(&good[..length], Rule::MetadataFormat);
    }
    let (mut taken, mut flipped) = (0, good.clone());
    for bit in 0..good.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        let compared = parse(&flipped).and_then(|metadata| {
            metadata.compare(&keys.signing, &keys.encryption)?;
            Ok(metadata)
        });
        match compared {
            Ok(metadata) => {
                taken += 1;
                assert!(metadata.signing == keys.signing && metadata.encryption == keys.encryption);
            }
            Err(error) => assert!(
                matches!(
                    error.rule(),
                    Some(Rule::MetadataFormat | Rule::MetadataCertificate)
                ),
                "{error}"
            ),
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    // What lies outside both certificates may differ.
    assert!(taken > 1000, "{taken}");
}

fn show(name: &str, bytes: &[u8]) -> Result<String, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    audit::show(&path, &mut out).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn the_auditor_explains_a_file() {
    let keys = keys();
    let hostile = good().replacen(RSA_SHA256, "urn:\u{202e}", 1);
    let marked: Vec<u8> = std::iter::once(0xfeff)
        .chain(hostile.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, bytes) in [
        ("node1.metadata.xml", marked.as_slice()),
        ("fetched", hostile.as_bytes()),
    ] {
        let text = show(name, bytes).unwrap();
        for sentence in [
            "This is metadata of a Key Protection Service",
            &format!(
                "signing:      {} CN=signing",
                keyferry::spki::thumbprint(&keys.signing)
            ),
            &format!(
                "encryption:   {} CN=encryption",
                keyferry::spki::thumbprint(&keys.encryption)
            ),
            "also signing: ",
            "urn:\\u{202e} is not one that is known",
            "Not who, not when",
            "This text explains; it does not verify.",
        ] {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
    }
    for (name, bytes) in [
        ("x.xml", b"no" as &[u8]),
        ("x", b"<html>"),
        ("x.xml", b"\xff\xfe<"),
    ] {
        assert_eq!(
            show(name, bytes).unwrap_err().rule(),
            Some(Rule::MetadataFormat)
        );
    }
}

/// What a plan of the target `hgs` allows.
#[cfg(all(feature = "hsm", feature = "custody"))]
mod accepting {
    use std::path::PathBuf;

    use keyferry::{
        document::{
            Body, Header, Kind, Listed,
            acceptance::{Acceptance, Published},
            package::Pair,
        },
        encoding::Hash,
        log::{Event, Head},
        plan::{Id, Plan},
        report::Report,
        tenant::metadata::{Asked, report},
    };

    use super::{people::People, *};

    fn plan(kind: &str) -> Plan {
        let text = People::new().plan();
        let hgs = "kind = \"hgs\"\nksp = \"YubiHSM Key Storage Provider\"\ndeployment = \"new\"\nsoak_hours = 0";
        let text = match kind {
            "hgs" => text.replace("kind = \"local\"", hgs),
            _ => text,
        };
        Plan::parse(text.into_bytes()).unwrap()
    }

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }

    fn asked(files: &[(&str, &Path)], by: &str, from: &str) -> Asked {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Asked {
            files: files
                .iter()
                .map(|(node, path)| (id(node), path.into()))
                .collect(),
            by: some(by).map(|by| id(&by)),
            from: some(from),
        }
    }

    #[test]
    fn only_files_of_the_plans_nodes_by_the_plans_people_are_looked_at() {
        let (local, hgs) = (plan("local"), plan("hgs"));
        let path = PathBuf::from("x");
        let one = [("node1", path.as_path())];
        let twice = [one[0], ("node2", path.as_path()), one[0]];
        let strange = [("node9", path.as_path())];
        let usage = |asked: Asked, plan: &Plan| {
            let error = asked.wanted(plan).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        };
        usage(asked(&one, "ada", "the tenant's office"), &local);
        usage(asked(&[], "ada", ""), &hgs);
        usage(asked(&[], "", "here"), &local);
        usage(asked(&one, "", "here"), &hgs);
        usage(asked(&one, "ada", ""), &hgs);
        usage(asked(&one, "stranger", "here"), &hgs);
        usage(asked(&twice, "ada", "here"), &hgs);
        usage(asked(&strange, "ada", "here"), &hgs);
        for from in [" ", "a\nb", "a\u{1b}[2J", "\u{9b}", &"x".repeat(201)] {
            usage(asked(&one, "ada", from), &hgs);
        }
        assert!(asked(&[], "", "").wanted(&local).unwrap().is_empty());
        for by in ["ada", "hal", "iris"] {
            assert_eq!(
                asked(&one, by, &"ö".repeat(200))
                    .wanted(&hgs)
                    .unwrap()
                    .len(),
                1
            );
        }
    }

    #[test]
    fn the_report_says_what_was_compared_what_it_proves_and_what_comes_next() {
        let (keys, plan) = (keys(), plan("hgs"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fetched.xml");
        let other = file(&keys.signing, &keys.encryption, &[&keys.other]);
        std::fs::write(&path, &other).unwrap();
        let pair = Pair {
            signing: &keys.signing,
            encryption: &keys.encryption,
        };
        let taken = |by: &str| {
            let wanted = asked(&[("node2", &path)], by, "the \u{202e}office")
                .wanted(&plan)
                .unwrap();
            vec![wanted[0].compared_with(pair).unwrap()]
        };
        let said = report(Report::new(""), &plan, &taken("ada"), pair).text();
        for sentence in [
            "node2 publishes the ceremony's certificates as the primary ones; fetched by ada from the \\u{202e}office\n",
            &format!(
                "not primary: {} CN=other",
                keyferry::spki::thumbprint(&keys.other)
            ),
            "no metadata:  node1",
            "nor that the service can decrypt",
            "You may now deploy new shielded VMs. ",
            &format!(
                "Import-HgsGuardian -Path .\\node2.metadata.xml -Name {} -AllowUntrustedRoot\n",
                plan.ceremony
            ),
            "New-ShieldingDataFile -ShieldingDataFilePath ",
        ] {
            assert!(said.contains(sentence), "no {sentence:?} in\n{said}");
        }
        assert!(!said.contains("A CLAIM"), "{said}");
        let said = report(Report::new(""), &plan, &taken("hal"), pair).text();
        assert!(
            said.contains("A CLAIM, for an officer of the hoster fetched it"),
            "{said}"
        );
        let said = report(Report::new(""), &plan, &[], pair).text();
        assert!(
            said.contains("once you have a metadata.xml with exactly the two thumbprints above"),
            "{said}"
        );
        assert!(said.contains("no metadata:  node1, node2"), "{said}");
        // A wrong file says which node it is of.
        std::fs::write(&path, file(&keys.other, &keys.encryption, &[])).unwrap();
        let wanted = asked(&[("node2", &path)], "ada", "here")
            .wanted(&plan)
            .unwrap();
        let error = wanted[0].compared_with(pair).err().unwrap();
        assert_eq!(error.rule(), Some(Rule::MetadataCertificate));
        assert!(error.to_string().contains("node2 ("), "{error}");
    }

    fn published(node: &str, by: &str, from: &str) -> Published {
        Published {
            node: id(node),
            file: Listed::of(b"x"),
            fetched_by: id(by),
            fetched_from: from.into(),
        }
    }

    #[test]
    fn an_acceptance_lists_metadata_of_the_plans_nodes_once_each() {
        let (local, hgs) = (plan("local"), plan("hgs"));
        let check = |plan: &Plan, metadata: Vec<Published>| {
            let head = Head {
                seq: 1,
                hash: Hash::of(b""),
            };
            let body = Acceptance {
                package_id: keyferry::encoding::Fixed([0; 16]),
                receipt: Hash::of(b""),
                kek_fingerprint: Hash::of(b""),
                log: Listed::of(b""),
                metadata,
            };
            let text = serde_json::to_string(&body).unwrap();
            assert_eq!(text.contains("metadata"), !body.metadata.is_empty());
            let again: Acceptance = serde_json::from_str(&text).unwrap();
            assert_eq!(again.metadata, body.metadata);
            again
                .check(&Header::new(plan, Kind::Acceptance, 1, None, head), plan)
                .is_ok()
        };
        let (one, two) = (
            published("node1", "ada", "here"),
            published("node2", "hal", "there"),
        );
        assert!(check(&local, vec![]) && check(&hgs, vec![]));
        assert!(check(&hgs, vec![one.clone(), two.clone()]) && check(&hgs, vec![two.clone()]));
        assert!(!check(&local, vec![one.clone()]));
        assert!(!check(&hgs, vec![two.clone(), one.clone()]));
        assert!(!check(&hgs, vec![one.clone(), one.clone()]));
        assert!(!check(&hgs, vec![published("node9", "ada", "here")]));
        assert!(!check(&hgs, vec![published("node1", "stranger", "here")]));
        assert!(!check(&hgs, vec![published("node1", "ada", "a\u{1b}")]));
        let mut large = one.clone();
        large.file.length = MAX_METADATA + 1;
        assert!(!check(&hgs, vec![large]));
        // The log says the same, and says nothing where there is none.
        let event = |metadata| Event::Accept {
            document: Hash::of(b""),
            registration: Hash::of(b""),
            signatures: vec![],
            metadata,
        };
        let line = serde_json::to_string(&event(vec![one.logged()])).unwrap();
        assert!(
            line.contains("\"fetched_by\":\"ada\",\"fetched_from\":\"here\""),
            "{line}"
        );
        assert_eq!(
            serde_json::from_str::<Event>(&line).unwrap(),
            event(vec![one.logged()])
        );
        assert!(
            !serde_json::to_string(&event(vec![]))
                .unwrap()
                .contains("metadata")
        );
    }
}
