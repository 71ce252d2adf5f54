//! Every way in which a signature can be wrong has its own rule, with signatures that `ssh-keygen`
//! made.

use data_encoding::BASE64;
use sha2::{Digest, Sha256, Sha512};

use crate::people::People;
use record::{
    Error,
    plan::Plan,
    rule::Rule,
    signature::{Namespace, SignatureFile, VerifiedSignatures},
    terms::Side,
};

const MESSAGE: &[u8] = b"{\"document\":\"offer\"}\n";

fn file(signer: &str, bytes: impl Into<Vec<u8>>) -> SignatureFile {
    let path = format!("outbox/offer/offer.json.{signer}.sig").into();
    SignatureFile { path, signer: signer.to_owned(), bytes: bytes.into() }
}

struct Stage {
    people: People,
    plan: Plan,
}

impl Stage {
    fn new() -> Self {
        let people = People::new();
        let plan = Plan::parse(people.plan().into_bytes()).unwrap();
        Stage { people, plan }
    }

    fn signed(&self, id: &str) -> SignatureFile {
        file(id, self.people.sign(id, "keyferry-document", MESSAGE))
    }

    fn verify(&self, files: &[SignatureFile]) -> Result<VerifiedSignatures, Error> {
        record::signature::verify(&self.plan, Side::Tenant, Namespace::Document, MESSAGE, files)
    }

    fn rule(&self, files: &[SignatureFile]) -> Option<Rule> {
        self.verify(files).err().and_then(|error| error.rule())
    }
}

#[test]
fn enough_officers_release_and_nobody_else_does() {
    let stage = Stage::new();
    let [ada, bob, cai, iris, wim] =
        ["ada", "bob", "cai", "iris", "wim"].map(|id| stage.signed(id));
    let require = |files: &[SignatureFile]| {
        let verified = stage.verify(files).unwrap();
        verified
            .require(&stage.plan, Side::Tenant, "the offer")
            .err()
            .and_then(|error| error.rule())
    };
    let copy = |one: &SignatureFile| file(&one.signer, one.bytes.clone());
    assert_eq!(require(&[copy(&ada), copy(&bob)]), None);
    assert_eq!(require(&[copy(&ada), copy(&cai), copy(&iris)]), None);
    assert_eq!(require(&[copy(&ada)]), Some(Rule::SignatureMissing));
    assert_eq!(require(&[]), Some(Rule::SignatureMissing));
    assert_eq!(require(&[copy(&ada), copy(&iris)]), Some(Rule::SignatureWitness));
    assert_eq!(require(&[iris, wim]), Some(Rule::SignatureWitness));
}

#[test]
fn every_wrong_signature_has_its_rule() {
    let stage = Stage::new();
    let sign =
        |id: &str, namespace: &str, message: &[u8]| stage.people.sign(id, namespace, message);
    let document = "keyferry-document";
    let ada = sign("ada", document, MESSAGE);
    for (expected, files) in [
        (Rule::SignatureDocument, vec![file("ada", sign("ada", document, b"another document"))]),
        (Rule::SignatureDocument, vec![file("bob", sign("bob", document, b"another document"))]),
        (Rule::SignatureNamespace, vec![file("ada", sign("ada", "keyferry-approval", MESSAGE))]),
        (Rule::SignatureNamespace, vec![file("ada", sign("ada", "file", MESSAGE))]),
        (Rule::SignatureSide, vec![file("hal", sign("hal", document, MESSAGE))]),
        (Rule::SignaturePerson, vec![file("ada", sign("bob", document, MESSAGE))]),
        (Rule::SignatureKey, vec![file("ada", sign("stranger", document, MESSAGE))]),
        (Rule::SignatureUnknown, vec![file("stranger", sign("stranger", document, MESSAGE))]),
        (Rule::SignatureUnknown, vec![file("ADA", ada.clone())]),
        (Rule::SignatureRepeated, vec![file("ada", ada.clone()), file("bob", ada.clone())]),
        // One wrong file spoils the set, however many are right.
        (
            Rule::SignatureNamespace,
            vec![
                stage.signed("ada"),
                stage.signed("bob"),
                file("cai", sign("cai", "git", MESSAGE)),
            ],
        ),
    ] {
        assert_eq!(stage.rule(&files), Some(expected));
    }
}

#[test]
fn only_the_bytes_that_ssh_keygen_writes_are_a_signature() {
    let stage = Stage::new();
    let right = String::from_utf8(stage.signed("ada").bytes).unwrap();
    let format = Some(Rule::SignatureFormat);
    for (expected, text) in [
        (format, right.replace("BEGIN SSH", "BEGIN PGP")),
        (format, right.replace("-----END", "----END")),
        (format, right.replace('\n', "\r\n")),
        (format, format!("\n{right}")),
        (format, right.replacen('\n', "\n\n", 1)),
        (format, right.replacen('\n', "\n ", 1)),
        (format, right.replacen("U1NI", "U1NI!", 1)),
        (Some(Rule::SignatureTrailing), format!("{right}\n")),
        (Some(Rule::SignatureTrailing), format!("{right}{right}")),
    ] {
        assert_ne!(text, right);
        assert_eq!(stage.rule(&[file("ada", text.clone())]), expected, "{text}");
    }
    // What an editor or a mail program did is named.
    for (text, expected) in [
        (right.replace('\n', "\r\n"), "line ends of Windows (CR LF)"),
        (format!("\u{feff}{right}"), "a byte order mark"),
    ] {
        let refused = stage.verify(&[file("ada", text)]).err().unwrap().to_string();
        assert!(refused.contains(expected) && refused.contains("tr -d"), "{refused}");
    }
    // Bytes inside the blob after its last field.
    let longer = armour(&[blob(right.as_bytes()), vec![0]].concat());
    assert_eq!(stage.rule(&[file("ada", longer)]), Some(Rule::SignatureTrailing));
    for id in ["ada", "bob", "cai"] {
        let whole = stage.signed(id).bytes;
        assert_eq!(stage.rule(&[file(id, whole.clone())]), None);
        for length in 0..whole.len() {
            assert_eq!(stage.rule(&[file(id, &whole[..length])]), format, "{id}, {length}");
        }
    }
}

#[test]
fn every_single_bit_counts() {
    let stage = Stage::new();
    for id in ["ada", "bob", "cai"] {
        let whole = stage.signed(id).bytes;
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(stage.rule(&[file(id, flipped)]).is_some(), "{id}: bit {bit} was not noticed");
        }
    }
}

fn blob(file: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(file).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(body.as_bytes()).unwrap()
}

fn armour(blob: &[u8]) -> Vec<u8> {
    let mut text = String::from("-----BEGIN SSH SIGNATURE-----\n");
    for line in BASE64.encode(blob).as_bytes().chunks(70) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    (text + "-----END SSH SIGNATURE-----\n").into_bytes()
}

/// An SSH string: its length as 4 bytes, and its bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A FIDO2 key in software: what a token with this key would say (openssh's PROTOCOL.u2f).
struct Fido<'a> {
    algorithm: &'a str,
    /// The public key's blob.
    public: Vec<u8>,
    sign: &'a dyn Fn(&[u8]) -> Vec<u8>,
}

impl Fido<'_> {
    fn openssh(&self) -> String {
        format!("{} {}", self.algorithm, BASE64.encode(&self.public))
    }

    fn signature(&self, flags: u8) -> Vec<u8> {
        let namespace = b"keyferry-document";
        let message = Sha512::digest(MESSAGE);
        let signed = [
            b"SSHSIG".to_vec(),
            string(namespace),
            string(b""),
            string(b"sha512"),
            string(&message),
        ]
        .concat();
        let counter = 7u32.to_be_bytes();
        let told = [&Sha256::digest(b"ssh:")[..], &[flags], &counter, &Sha256::digest(&signed)[..]]
            .concat();
        let inner = [
            string(self.algorithm.as_bytes()),
            string(&(self.sign)(&told)),
            vec![flags],
            counter.to_vec(),
        ]
        .concat();
        armour(
            &[
                b"SSHSIG".to_vec(),
                1u32.to_be_bytes().to_vec(),
                string(&self.public),
                string(namespace),
                string(b""),
                string(b"sha512"),
                string(&inner),
            ]
            .concat(),
        )
    }

    /// Ada has this key; her signature must say that she touched it.
    fn check(&self) {
        let people = People::new();
        let text = people.plan().replace(&people.public("ada"), &self.openssh());
        let plan = Plan::parse(text.into_bytes()).unwrap();
        let stage = Stage { people, plan };
        for (flags, expected) in [
            (0x01, None),
            // User verified as well.
            (0x05, None),
            (0x00, Some(Rule::SignaturePresence)),
            (0x04, Some(Rule::SignaturePresence)),
        ] {
            let signed = file("ada", self.signature(flags));
            assert_eq!(stage.rule(&[signed]), expected, "{} {flags}", self.algorithm);
        }
        // The flag is part of what was signed.
        let mut blob = blob(&self.signature(0x00));
        let flags = blob.len() - 5;
        blob[flags] = 0x01;
        assert_eq!(stage.rule(&[file("ada", armour(&blob))]), Some(Rule::SignatureDocument));
        let whole = self.signature(0x01);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(stage.rule(&[file("ada", flipped)]).is_some(), "bit {bit}");
        }
        // Without flags and counter it is no signature of a FIDO2 key.
        let short = &self.signature(0x01);
        assert!(stage.rule(&[file("ada", &short[..short.len() - 40])]).is_some());
    }
}

#[test]
fn a_touch_is_required_of_sk_ssh_ed25519() {
    use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
    let pair = Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[7; 32]));
    let algorithm = "sk-ssh-ed25519@openssh.com";
    let public = [string(algorithm.as_bytes()), string(&pair.public.0), string(b"ssh:")].concat();
    let sign = |message: &[u8]| {
        use ::signature::Signer;
        let signature: ssh_key::Signature = pair.try_sign(message).unwrap();
        signature.as_bytes().to_vec()
    };
    Fido { algorithm, public, sign: &sign }.check();
}

#[test]
fn a_touch_is_required_of_sk_ecdsa() {
    use ::signature::Signer;
    use ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey};
    let secret = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let point = p256::Sec1Point::from(secret.public_key());
    let pair = EcdsaKeypair::NistP256 { public: point, private: EcdsaPrivateKey::from(secret) };
    let algorithm = "sk-ecdsa-sha2-nistp256@openssh.com";
    let public = [
        string(algorithm.as_bytes()),
        string(b"nistp256"),
        string(point.as_bytes()),
        string(b"ssh:"),
    ]
    .concat();
    let sign = |message: &[u8]| {
        let signature: ssh_key::Signature = pair.try_sign(message).unwrap();
        signature.as_bytes().to_vec()
    };
    Fido { algorithm, public, sign: &sign }.check();
}
