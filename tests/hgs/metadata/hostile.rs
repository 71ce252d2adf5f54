//! What no service publishes: other forms, bombs, cut files and flipped bits.

use super::*;

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
    for doctype in
        [&laughs, passwd, "<!DOCTYPE x>", "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\">"]
    {
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
    // Half of the namespaces on top, the others each on a child: the product of both is what a
    // parser may copy.
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
        good().replace("</Metadata>", &format!("<x xmlns='{}'/></Metadata>", "]]>\u{1b}[2J")),
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
                matches!(error.rule(), Some(Rule::MetadataFormat | Rule::MetadataCertificate)),
                "{error}"
            ),
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    // What lies outside both certificates may differ.
    assert!(taken > 1000, "{taken}");
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
        ("</GuardianInformation>", "</GuardianInformation><GuardianInformation/>"),
        ("</SignedInfo>", &format!("</SignedInfo>{guardian}")),
        ("<x xmlns=\"urn:x\"/>", &format!("<x xmlns=\"urn:x\">{signing}</x>")),
        ("<Version>1</Version>", ""),
        ("<Version>1</Version>", "<Version>1</Version><Version>1</Version>"),
        ("<Version>1</Version>", "<Version>-1</Version>"),
        ("<Version>1</Version>", "<Version>4294967296</Version>"),
        ("<Version>1</Version>", "<Version/>"),
        ("<Version>1</Version>", "<Version>1</Version>text"),
        (" Version=\"1\"", ""),
        (" Version=\"1\"", " Version=\"1\" Version=\"1\""),
        ("kps/2014/07\"", "kps/2014/08\""),
        (" xmlns=\"http://schemas.microsoft.com/kps/2014/07\"", ""),
        ("http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2000/09/xmldsig"),
        ("<EncryptionCertificateSignature Algorithm=", "<EncryptionCertificateSignature x="),
        ("<Parameters>", "<SignatureValue/><Parameters>"),
        ("<OtherSigningCertificates>", "<OtherSigningCertificates><Certificate/>"),
        ("<OtherSigningCertificates>", "<OtherSigningCertificates><Cert>AA==</Cert>"),
        ("</Metadata>", "</Metadata><Metadata/>"),
        ("</Metadata>", "</Metadata>text"),
        ("</Metadata>", "<Unknown/></Metadata>"),
        ("</Metadata>", "text</Metadata>"),
    ];
    for (from, to) in cases {
        let spoilt = good().replacen(from, to, 1);
        assert_ne!(spoilt, good(), "{from}");
        refused(spoilt, Rule::MetadataFormat);
    }
    for nothing in ["", " ", "<", "<a/>", "{}", "\u{feff}", "\u{0}", "<Metadata/>"] {
        refused(nothing, Rule::MetadataFormat);
    }
}
