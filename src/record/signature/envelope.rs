//! One SSHSIG. The library would accept dozens of single-bit flips, so armour and envelope are
//! parsed here, strictly: only the one encoding that `ssh-keygen` writes. The library checks the
//! signature itself.

use data_encoding::BASE64;
use ssh_key::encoding::Decode;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, Signature, SshSig};

use crate::plan::Person;
use crate::signature::{Description, Namespace, SignatureFile, people};
use crate::{Plan, Result, Rule, escape, folder, quote, text};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
const COLUMNS: usize = 70;
/// What a signature file must be.
const EXPECTED: &str = "a file exactly as ssh-keygen writes it";
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
        let of = folder::shown(&file.path);
        let format = |found: &str| {
            match text::altered(&file.bytes) {
                None => Rule::SignatureFormat.refuse(
                    format!("{of}: {found}"),
                    EXPECTED,
                    "have it signed again; send the file as it is, not through a text editor or a mail program",
                ),
                Some((_, what)) => Rule::SignatureFormat.refuse(
                    format!("{of}: {found}: {what}"),
                    format!("{EXPECTED}: {}", text::how_to_save()),
                    "ask for the file once more, as it is; or convert it by the line above, and put the copy in its place",
                ),
            }
        };
        let ends = |rest: &[u8], at: &str| {
            let found = format!("{of}: {} bytes after its {at}", rest.len());
            let expected = format!("nothing after the {at}");
            Rule::SignatureTrailing.ensure(rest.is_empty(), found, expected, "have it signed again")
        };
        let text = std::str::from_utf8(&file.bytes).map_err(|_| format("not text"))?;
        let (armour, rest) = text.split_once(END).ok_or_else(|| format("no end line"))?;
        ends(rest.as_bytes(), "end line")?;
        let body = armour.strip_prefix(BEGIN).ok_or_else(|| format("no begin line"))?;
        let blob = BASE64
            .decode(body.replace('\n', "").as_bytes())
            .map_err(|_| format("broken base64"))?;
        // One encoding only: whatever differs from it anywhere is damage.
        if armoured(&blob) != text {
            return Err(format("lines of another length than 70, or surplus characters"));
        }
        let mut fields = blob.as_slice();
        let envelope = Envelope::of_fields(&mut fields, file)
            .ok_or_else(|| format("an envelope that is not SSHSIG version 1 with SHA-512"))?;
        ends(fields, "last field")?;
        Ok(envelope)
    }

    /// Takes the fields of PROTOCOL.sshsig, section 3, off the front.
    fn of_fields(fields: &mut &[u8], file: &'a SignatureFile) -> Option<Self> {
        *fields = fields.strip_prefix(b"SSHSIG")?.strip_prefix(&1u32.to_be_bytes())?;
        let (public_key, namespace) = (string(fields)?, string(fields)?);
        let [reserved, hash, inner] = [string(fields)?, string(fields)?, string(fields)?];
        let mut inner = inner.as_slice();
        let (algorithm, signature) = (string(&mut inner)?, string(&mut inner)?);
        let trailer = inner.to_vec();
        let fits = reserved.is_empty() && hash == b"sha512" && matches!(trailer.len(), 0 | 5);
        fits.then_some(Envelope { file, public_key, namespace, algorithm, signature, trailer })
    }

    /// Of a FIDO2 signature: whether it says that its holder touched the key.
    fn touched(&self) -> Option<bool> {
        self.trailer.first().map(|flags| flags & USER_PRESENT != 0)
    }

    pub fn describe(&self) -> Result<Description> {
        let key = PublicKey::from_bytes(&self.public_key).map_err(|error| {
            let found = format!("a public key that is none: {error}");
            Rule::SignatureFormat.refuse(found, EXPECTED, "have it signed again")
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Description {
            namespace: text(&self.namespace),
            algorithm: text(&self.algorithm),
            openssh: key.algorithm().to_string() + " " + &BASE64.encode(&self.public_key),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            touched: self.touched(),
        })
    }

    pub fn check(
        &self,
        plan: &Plan,
        person: &Person,
        (namespace, message): (Namespace, &[u8]),
        all: &[SignatureFile],
    ) -> Result<()> {
        let of = folder::shown(&self.file.path);
        let found = quote(&escape(&String::from_utf8_lossy(&self.namespace)));
        Rule::SignatureNamespace.ensure(
            self.namespace == namespace.name().as_bytes(),
            format!("{of}: a signature with the namespace {found}"),
            quote(namespace.name()),
            format!("sign again, for this purpose: `{}`", super::officer_line(namespace)),
        )?;
        self.check_owner(plan, person, all)?;
        Rule::SignaturePresence.ensure(
            self.touched() != Some(false),
            format!("{of}: a FIDO2 signature that was made without a touch"),
            "the user-present flag",
            "sign again, with a key that was not made with the option no-touch-required",
        )?;
        Rule::SignatureDocument.ensure(
            self.verifies(&person.key, namespace, message),
            format!("{of}: a signature that does not fit these bytes"),
            "a signature over exactly this file, unchanged",
            "check that file and signature belong together; then have it signed again",
        )
    }

    fn check_owner(&self, plan: &Plan, person: &Person, all: &[SignatureFile]) -> Result<()> {
        let (of, signer) = (folder::shown(&self.file.path), plan.name_of(&person.id));
        let blob = |key: &KeyData| PublicKey::new(key.clone(), "").to_bytes().ok();
        let owner =
            people(plan).find(|(person, _)| blob(&person.key).as_ref() == Some(&self.public_key));
        let (owner, _) = owner.ok_or_else(|| {
            Rule::SignatureKey.refuse(
                format!("{of}: a signature by a key that is not in the plan"),
                format!("the key of {signer} in the plan"),
                "sign again with the key whose public half is in the plan",
            )
        })?;
        let twice = all.iter().any(|file| file.signer == owner.id.as_str());
        let rule = if twice { Rule::SignatureRepeated } else { Rule::SignaturePerson };
        rule.ensure(
            owner.id == person.id,
            format!("{of}: a signature by {}", plan.name_of(&owner.id)),
            format!("a signature by {signer}"),
            format!("{signer} signs with their own key"),
        )
    }

    /// The signature itself, by the library.
    fn verifies(&self, key: &KeyData, namespace: Namespace, message: &[u8]) -> bool {
        use signature::Verifier as _;
        let algorithm = key.algorithm();
        let sk = matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
        if self.algorithm != algorithm.as_str().as_bytes()
            || sk == self.trailer.is_empty()
            || !is_canonical(&algorithm, &self.signature)
        {
            return false;
        }
        let data = [self.signature.as_slice(), &self.trailer].concat();
        SshSig::signed_data(namespace.name(), HashAlg::Sha512, message).is_ok_and(|signed| {
            Signature::new(algorithm, data)
                .is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
        })
    }
}

/// Whether the raw signature has the one length or encoding of its algorithm: 64 bytes for ed25519,
/// two shortest positive mpints (RFC 4251, section 5) for ECDSA.
fn is_canonical(algorithm: &Algorithm, signature: &[u8]) -> bool {
    if matches!(algorithm, Algorithm::Ed25519 | Algorithm::SkEd25519) {
        return signature.len() == 64;
    }
    let mut fields = signature;
    let mpint = |field: Option<Vec<u8>>| match field.as_deref() {
        Some([0, second, ..]) => *second >= 0x80,
        Some([first, ..]) => (1..0x80).contains(first),
        _ => false,
    };
    mpint(string(&mut fields)) && mpint(string(&mut fields)) && fields.is_empty()
}

fn armoured(blob: &[u8]) -> String {
    let mut text = BEGIN.to_owned();
    for line in BASE64.encode(blob).as_bytes().chunks(COLUMNS) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + END
}

/// Takes one of SSH's length-prefixed fields (RFC 4251, section 5) off the front.
fn string(fields: &mut &[u8]) -> Option<Vec<u8>> {
    Vec::decode(fields).ok()
}
