//! What a node of Windows Host Guardian Service publishes: the metadata of its Key Protection
//! Service (MS-KPS, 2.2.1.2 and 6.4), with the certificates that are primary there. Parsed from
//! bytes that anyone may have written.

mod compare;
mod xml;

use roxmltree::{Document, Node};

use crate::{Result, Rule, escape, text};
pub use compare::{Certificate, Comparison};

/// The greatest size of a metadata file, in bytes.
pub const MAX_METADATA: u64 = 1 << 20;
/// The namespace of the service's elements (MS-KPS, 6.4).
pub const NAMESPACE: &str = "http://schemas.microsoft.com/kps/2014/07";
/// The namespace of the signature over the whole file (XML-DSig).
const XML_SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What stands in a metadata file. Certificates are bytes as published; whether they can be read is
/// not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What to call the file, escaped.
    name: String,
    /// `Metadata/@Version`.
    pub version: u32,
    /// `GuardianInformation/Version`.
    pub guardian_version: u32,
    /// The primary encryption certificate, in DER; not empty.
    pub encryption: Vec<u8>,
    /// The primary signing certificate, in DER; not empty.
    pub signing: Vec<u8>,
    /// Signing certificates that are known there and not primary, in DER; none is empty.
    pub other_signing: Vec<Vec<u8>>,
    /// The signing key's signature over the encryption certificate.
    pub encryption_signature: Signature,
    /// The signing key's signature over its own certificate.
    pub signing_signature: Signature,
    /// The algorithm that the signature over the whole file names, if it names one. That signature
    /// is not verified.
    pub file_algorithm: Option<String>,
    /// Elements of other namespaces after it, which the schema allows and nobody judges; by their
    /// names.
    pub extensions: Vec<String>,
}

/// A signature of the service (MS-KPS, 2.2.2.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// A URI; foreign text.
    pub algorithm: String,
    /// The signature; may be empty.
    pub value: Vec<u8>,
}

/// Elements that stand once, whatever their namespace and wherever they are: two readers must never
/// find two different certificates in one file.
const ONCE: [&str; 7] = [
    "Metadata",
    "GuardianInformation",
    "EncryptionCertificate",
    "SigningCertificate",
    "EncryptionCertificateSignature",
    "SigningCertificateSelfSignature",
    "OtherSigningCertificates",
];

impl Metadata {
    /// Parses a metadata file: UTF-8, or UTF-16 with its byte order mark, as Windows saves it.
    /// `name` is what errors call the file.
    ///
    /// # Errors
    /// `METADATA-FORMAT`; `DOCUMENT-SIZE` beyond [`MAX_METADATA`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let name = escape(name);
        Rule::DocumentSize.ensure(
            bytes.len() as u64 <= MAX_METADATA,
            format!("{name} has {} bytes", bytes.len()),
            format!("at most {MAX_METADATA}"),
            "fetch the file again; what the service publishes is a few KiB",
        )?;
        let refuse = |found: String| {
            Rule::MetadataFormat.refuse(
                format!("{name}: {}", escape(&found)),
                "the metadata.xml of the service, whole, as the node sent it",
                "fetch it again from http://<node>/KeyProtection/service/metadata/2014-07/metadata.xml and change nothing",
            )
        };
        let text = text::decoded(bytes);
        let text = text.ok_or("neither UTF-8, nor UTF-16 with a byte order mark".into());
        let text = text.map_err(refuse)?;
        let xml = xml::parse(&text).map_err(refuse)?;
        read(&xml, &name).map_err(refuse)
    }
}

fn read(xml: &Document, name: &str) -> std::result::Result<Metadata, String> {
    for once in ONCE {
        let count = xml::count(xml, once);
        if count > 1 {
            return Err(format!("{count} elements {once}"));
        }
    }
    let root = xml.root_element();
    if !is(root, NAMESPACE, "Metadata") {
        return Err(format!("it begins with {}", xml::named(root)));
    }
    let version = xml::number(root.attribute("Version"), "the version of Metadata")?;
    let (mut guardian, mut signature, mut extensions) = (None, None, Vec::new());
    for child in xml::elements(root)? {
        match child.tag_name().namespace() {
            Some(NAMESPACE) if child.tag_name().name() == "GuardianInformation" => {
                guardian = Some(child);
            }
            Some(XML_SIGNATURE) if is(child, XML_SIGNATURE, "Signature") && signature.is_none() => {
                signature = Some(child);
            }
            None | Some(NAMESPACE) | Some(XML_SIGNATURE) => {
                return Err(format!("{} in Metadata", xml::named(child)));
            }
            // The schema ends with xs:any.
            Some(_) => extensions.push(xml::named(child)),
        }
    }
    let guardian = guardian.ok_or("no GuardianInformation of the service's namespace")?;
    let signature = signature.ok_or("no signature over the file")?;
    let file_algorithm = signature
        .descendants()
        .find(|node| is(*node, XML_SIGNATURE, "SignatureMethod"))
        .and_then(|node| node.attribute("Algorithm"))
        .map(str::to_owned);
    let part = guardian_information(guardian)?;
    let required =
        |name: &str| part(name).ok_or_else(|| format!("no {name} of the service's namespace"));
    let certificate = |name: &str| xml::bytes(required(name)?).and_then(not_empty);
    let other_signing = part("OtherSigningCertificates").map_or(Ok(Vec::new()), others)?;
    Ok(Metadata {
        name: name.to_owned(),
        version,
        guardian_version: xml::number(
            Some(&xml::text(required("Version")?)?),
            "the version of GuardianInformation",
        )?,
        encryption: certificate("EncryptionCertificate")?,
        signing: certificate("SigningCertificate")?,
        other_signing,
        encryption_signature: read_signature(required("EncryptionCertificateSignature")?)?,
        signing_signature: read_signature(required("SigningCertificateSelfSignature")?)?,
        file_algorithm,
        extensions,
    })
}

/// The parts of the guardian's information, by name; it has those of the schema and no others.
fn guardian_information<'a, 'x>(
    guardian: Node<'a, 'x>,
) -> std::result::Result<impl Fn(&str) -> Option<Node<'a, 'x>>, String> {
    let parts = xml::elements(guardian)?;
    let known = |node: &Node| {
        let name = node.tag_name().name();
        is(*node, NAMESPACE, name)
            && (name == "Version" || (ONCE.contains(&name) && name != "GuardianInformation"))
    };
    if let Some(odd) = parts.iter().find(|node| !known(node)) {
        return Err(format!("{} in GuardianInformation", xml::named(*odd)));
    }
    let versions = parts.iter().filter(|node| node.has_tag_name("Version"));
    if versions.count() > 1 {
        return Err("more than one Version in GuardianInformation".into());
    }
    Ok(move |name: &str| {
        let mut parts = parts.iter().copied();
        parts.find(|node| node.tag_name().name() == name)
    })
}

fn others(node: Node) -> std::result::Result<Vec<Vec<u8>>, String> {
    let one = |node: Node| match is(node, NAMESPACE, "Certificate") {
        true => xml::bytes(node).and_then(not_empty),
        false => Err(format!("{} in OtherSigningCertificates", xml::named(node))),
    };
    xml::elements(node)?.into_iter().map(one).collect()
}

/// Its `Parameters` may hold anything (MS-KPS, 2.2.2.15); they are not looked at.
fn read_signature(node: Node) -> std::result::Result<Signature, String> {
    let of = node.tag_name().name();
    let algorithm = node.attribute("Algorithm");
    let mut value = None;
    for child in xml::elements(node)? {
        if is(child, NAMESPACE, "SignatureValue") && value.is_none() {
            value = Some(xml::bytes(child)?);
        } else if !is(child, NAMESPACE, "Parameters") {
            return Err(format!("{} in {of}, or a second one", xml::named(child)));
        }
    }
    Ok(Signature {
        algorithm: algorithm.ok_or_else(|| format!("{of} names no algorithm"))?.to_owned(),
        value: value.ok_or_else(|| format!("{of} has no SignatureValue"))?,
    })
}

fn is(node: Node, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().namespace() == Some(namespace)
        && node.tag_name().name() == name
}

fn not_empty(bytes: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
    if bytes.is_empty() { Err("an empty certificate".into()) } else { Ok(bytes) }
}
