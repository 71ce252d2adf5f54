//! One SSHSIG. The library would accept dozens of single-bit flips, so armour and envelope are
//! parsed here, strictly: only the one encoding that `ssh-keygen` writes. The library checks the
//! signature itself.

use data_encoding::BASE64;
use sha2::{Digest, Sha512};
use ssh_key::{Algorithm, PublicKey, Signature, public::KeyData};

use crate::{
    Result,
    escape::{escape, quote},
    plan::{Person, Plan},
    rule::Rule,
    signature::{Described, Namespace, SignatureFile, people},
};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----\n";
const COLUMNS: usize = 70;
/// The user-present bit of a FIDO2 signature's flags (WebAuthn, 6.1).
const USER_PRESENT: u8 = 0x01;

/// An SSHSIG, field by field.
pub struct Envelope<'a> {
    file: &'a SignatureFile,
    public_key: Vec<u8>,
    namespace: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// Flags and counter of a FIDO2 signature, 5 bytes; else empty.
    trailer: Vec<u8>,
}

impl<'a> Envelope<'a> {
    pub fn parse(file: &'a SignatureFile) -> Result<Self> {
        let format = |found: &str| {
            Rule::SignatureFormat.refuse(
                format!("the signature of {}: {found}", file.signer),
                "a file exactly as `ssh-keygen -Y sign` writes it",
                "have it signed again; send the file as it is, not through a text editor or a mail program",
            )
        };
        let text = std::str::from_utf8(&file.bytes).map_err(|_| format("not text"))?;
        let Some((armour, rest)) = text.split_once(END) else {
            return Err(format("no end line"));
        };
        if !rest.is_empty() {
            return Err(Rule::SignatureTrailing.refuse(
                format!("the signature of {}: {} bytes after its end", file.signer, rest.len()),
                "nothing after the end line",
                "have it signed again",
            ));
        }
        let body = armour
            .strip_prefix(BEGIN)
            .and_then(|body| body.strip_prefix('\n'))
            .ok_or_else(|| format("no begin line"))?;
        let blob = BASE64
            .decode(body.replace('\n', "").as_bytes())
            .map_err(|_| format("broken base64"))?;
        // One encoding only: whatever differs from it anywhere is damage.
        if armoured(&blob) != text {
            return Err(format("lines of another length than 70, or surplus characters"));
        }
        let mut fields = Fields(&blob);
        let envelope = fields
            .envelope(file)
            .ok_or_else(|| format("an envelope that is not SSHSIG version 1 with SHA-512"))?;
        if !fields.0.is_empty() {
            return Err(Rule::SignatureTrailing.refuse(
                format!(
                    "the signature of {}: {} bytes after its last field",
                    file.signer,
                    fields.0.len()
                ),
                "nothing after the last field",
                "have it signed again",
            ));
        }
        Ok(envelope)
    }

    pub fn describe(&self) -> Result<Described> {
        let key = PublicKey::from_bytes(&self.public_key).map_err(|error| {
            Rule::SignatureFormat.refuse(
                format!("a public key that is none: {error}"),
                "a file exactly as `ssh-keygen -Y sign` writes it",
                "have it signed again",
            )
        })?;
        let openssh = key.algorithm().to_string() + " " + &BASE64.encode(&self.public_key);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Described {
            namespace: text(&self.namespace),
            algorithm: text(&self.algorithm),
            openssh,
            fingerprint: key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
            touched: (self.trailer.first()).map(|flags| flags & USER_PRESENT != 0),
        })
    }

    pub fn check(
        &self,
        plan: &Plan,
        person: &Person,
        namespace: Namespace,
        message: &[u8],
        all: &[SignatureFile],
    ) -> Result<()> {
        let signer = &self.file.signer;
        if self.namespace != namespace.name().as_bytes() {
            return Err(Rule::SignatureNamespace.refuse(
                format!(
                    "the signature of {signer} has the namespace {}",
                    quote(&escape(&String::from_utf8_lossy(&self.namespace)))
                ),
                quote(namespace.name()),
                format!("sign again with `ssh-keygen -Y sign -n {}`", namespace.name()),
            ));
        }
        self.check_owner(plan, person, all)?;
        if !self.trailer.is_empty() && self.trailer[0] & USER_PRESENT == 0 {
            return Err(Rule::SignaturePresence.refuse(
                format!("the FIDO2 signature of {signer} was made without a touch"),
                "the user-present flag",
                "sign again, with a key that was not made with the option no-touch-required",
            ));
        }
        if self.verifies(&person.key, message) {
            return Ok(());
        }
        Err(Rule::SignatureDocument.refuse(
            format!("the signature of {signer} does not fit these bytes"),
            "a signature over exactly this file, unchanged",
            "check that file and signature belong together; then have it signed again",
        ))
    }

    fn check_owner(&self, plan: &Plan, person: &Person, all: &[SignatureFile]) -> Result<()> {
        let signer = &self.file.signer;
        let blob = |key: &KeyData| PublicKey::new(key.clone(), "").to_bytes().ok();
        let owner =
            people(plan).find(|(person, _)| blob(&person.key).as_ref() == Some(&self.public_key));
        let Some((owner, _)) = owner else {
            return Err(Rule::SignatureKey.refuse(
                format!("the signature of {signer} was made with a key that is not in the plan"),
                format!("the key of {signer} in the plan"),
                "sign again with the key whose public half is in the plan",
            ));
        };
        if owner.id == person.id {
            return Ok(());
        }
        let twice = all.iter().any(|file| file.signer == owner.id.as_str());
        let rule = if twice { Rule::SignatureRepeated } else { Rule::SignaturePerson };
        Err(rule.refuse(
            format!("the signature named after {signer} was made by {}", owner.id),
            format!("a signature by {signer}"),
            format!("{signer} signs with their own key"),
        ))
    }

    /// The signature itself, by the library.
    fn verifies(&self, key: &KeyData, message: &[u8]) -> bool {
        use signature::Verifier as _;
        let algorithm = key.algorithm();
        if self.algorithm != algorithm.as_str().as_bytes() {
            return false;
        }
        let sk = matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
        if sk == self.trailer.is_empty() || !canonical(&algorithm, &self.signature) {
            return false;
        }
        let data = [self.signature.as_slice(), &self.trailer].concat();
        let signed = signed_data(&self.namespace, message);
        Signature::new(algorithm, data)
            .is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
    }
}

/// The bytes that are signed (PROTOCOL.sshsig, section 3), with SHA-512.
fn signed_data(namespace: &[u8], message: &[u8]) -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    for field in [namespace, b"", b"sha512", Sha512::digest(message).as_slice()] {
        data.extend_from_slice(&(field.len() as u32).to_be_bytes());
        data.extend_from_slice(field);
    }
    data
}

/// Whether the raw signature has the one length or encoding of its algorithm: 64 bytes for ed25519,
/// two shortest positive mpints (RFC 4251, section 5) for ECDSA.
fn canonical(algorithm: &Algorithm, signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::Ed25519 | Algorithm::SkEd25519 => signature.len() == 64,
        _ => {
            let mut fields = Fields(signature);
            let mpint = |field: Option<&[u8]>| match field {
                Some([0, second, ..]) => *second >= 0x80,
                Some([first, ..]) => (1..0x80).contains(first),
                _ => false,
            };
            mpint(fields.string()) && mpint(fields.string()) && fields.0.is_empty()
        }
    }
}

fn armoured(blob: &[u8]) -> String {
    let mut text = format!("{BEGIN}\n");
    let base64 = BASE64.encode(blob);
    for line in base64.as_bytes().chunks(COLUMNS) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + END
}

/// Reads SSH's length-prefixed fields (RFC 4251, section 5) off the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length: [u8; 4] = self.take(4)?.try_into().ok()?;
        self.take(usize::try_from(u32::from_be_bytes(length)).ok()?)
    }

    fn envelope<'f>(&mut self, file: &'f SignatureFile) -> Option<Envelope<'f>> {
        let fixed = |found: Option<&[u8]>, right: &[u8]| (found? == right).then_some(());
        fixed(self.take(6), b"SSHSIG")?;
        fixed(self.take(4), &1u32.to_be_bytes())?;
        let public_key = self.string()?.to_vec();
        let namespace = self.string()?.to_vec();
        fixed(self.string(), b"")?;
        fixed(self.string(), b"sha512")?;
        let mut inner = Fields(self.string()?);
        let (algorithm, signature) = (inner.string()?.to_vec(), inner.string()?.to_vec());
        let trailer = inner.0.to_vec();
        matches!(trailer.len(), 0 | 5).then_some(())?;
        Some(Envelope { file, public_key, namespace, algorithm, signature, trailer })
    }
}
