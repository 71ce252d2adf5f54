//! Keys that another tool has wrapped, here OpenSSL, for the KEK of a ceremony.
#![allow(dead_code)] // Each test program uses its part.

use std::{fs, path::PathBuf, process::Command};

use data_encoding::HEXLOWER;

use super::{
    run,
    stage::{Done, Family, Setting, Stage},
};
use record::encoding::Hash;

pub const LABELS: [&str; 2] = ["hgs-signing", "hgs-encryption"];

/// What the tenant has in some other tool: private keys with certificates that they have signed.
pub struct Elsewhere {
    folder: tempfile::TempDir,
    /// What its tool puts behind the key in a PKCS#8, DER: attributes.
    pub attributes: Vec<u8>,
}

/// A PKCS#8 of two bytes of length with this behind the key.
fn with_attributes(pkcs8: &[u8], attributes: &[u8]) -> Vec<u8> {
    assert_eq!(pkcs8[..2], [0x30, 0x82]);
    let body = [&pkcs8[4..], attributes].concat();
    [&[0x30, 0x82], &(body.len() as u16).to_be_bytes()[..], &body].concat()
}

impl Elsewhere {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for label in LABELS {
            let (key, certificate) = (format!("{label}.pem"), format!("{label}.crt"));
            run(Command::new("openssl")
                .args([
                    "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days",
                    "365",
                ])
                .args(["-keyout", &key, "-out", &certificate, "-outform", "DER"])
                .args(["-subj", &format!("/CN={label}")])
                .current_dir(&folder));
        }
        Elsewhere { folder, attributes: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        run(Command::new("openssl").args(arguments).current_dir(&self.folder))
    }

    /// SHA-256 of each public key, as the plan names it.
    pub fn spki(&self) -> Vec<String> {
        let one = |label: &&str| {
            let key = format!("{label}.pem");
            let der = self.openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER"]);
            Hash::of(&der).to_string()
        };
        LABELS.iter().map(one).collect()
    }

    /// Wraps a key for the KEK of an offer, as CKM_RSA_AES_KEY_WRAP does.
    pub fn wrap(&self, label: &str, kek: &[u8], oaep: &str) -> PathBuf {
        fs::write(self.path("kek.der"), kek).unwrap();
        let aes = self.openssl(&["rand", "32"]);
        fs::write(self.path("aes"), &aes).unwrap();
        let (hash, mgf) = (format!("rsa_oaep_md:{oaep}"), format!("rsa_mgf1_md:{oaep}"));
        let mut wrapped = self.openssl(&[
            "pkeyutl",
            "-encrypt",
            "-pubin",
            "-keyform",
            "DER",
            "-inkey",
            "kek.der",
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            &hash,
            "-pkeyopt",
            &mgf,
            "-in",
            "aes",
        ]);
        let key = format!("{label}.pem");
        let pkcs8 = self.openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", &key]);
        fs::write(self.path("pkcs8"), with_attributes(&pkcs8, &self.attributes)).unwrap();
        let hex = HEXLOWER.encode(&aes);
        wrapped.extend(self.openssl(&[
            "enc",
            "-id-aes256-wrap-pad",
            "-iv",
            "A65959A6",
            "-K",
            &hex,
            "-in",
            "pkcs8",
        ]));
        let path = self.path(&format!("{label}.wrapped"));
        fs::write(&path, wrapped).unwrap();
        path
    }

    /// Wraps every key for the KEK of the offer that lies on the medium.
    pub fn wrap_all(&self, stage: &Stage) {
        let offer = stage.json("medium/offer/offer.json");
        let kek = offer["body"]["spki"].as_str().unwrap();
        let kek = data_encoding::BASE64.decode(kek.as_bytes()).unwrap();
        for label in LABELS {
            self.wrap(label, &kek, "sha1");
        }
    }

    /// The command that imports them.
    pub fn import(&self) -> Vec<String> {
        let mut import: Vec<String> = ["import", "--format", "pkcs11"].map(str::to_owned).into();
        for label in LABELS {
            for (option, end) in [("--wrapped", "wrapped"), ("--certificate", "crt")] {
                let file = self.path(&format!("{label}.{end}"));
                import.extend([option.to_owned(), format!("{label}={}", file.display())]);
            }
        }
        import
    }
}

/// A stage on which the offer is released and taken, and the keys are wrapped for its KEK.
pub fn wrapped(family: Family, elsewhere: &Elsewhere) -> Stage {
    let base = Setting::composite();
    let setting = Setting { tenant: family, hoster: family, brought: elsewhere.spki(), ..base };
    let mut stage = Stage::with(setting, |plan| plan);
    stage.walk_to(Done::OfferCheck);
    elsewhere.wrap_all(&stage);
    stage
}

/// The keys are shown to the tenant, and from there on it goes as where they are born; `at` is shown
/// the stage before the first step and after each.
pub fn to_the_end(stage: &mut Stage, at: &mut dyn FnMut(&Stage)) {
    at(stage);
    stage.sign_document("hoster", "keys", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "keys");
    at(stage);
    let keys = stage.json("medium/keys/keys.json");
    let said: Hash = keys["body"]["fingerprint"].as_str().unwrap().parse().unwrap();
    let said = record::fingerprint::words(&said.0)[..16].join(" ");
    let words = stage.words("keys", &said);
    stage.tenant(&["keys", "check", "medium/keys", "--words", &words]).ok();
    at(stage);
    stage.sign_document("tenant", "challenge", &["ada", "ben"]);
    stage.tenant(&["release"]).ok();
    stage.carry("tenant", "challenge");
    at(stage);
    stage.hoster(&["answer", "medium/challenge"]).ok();
    for done in Done::ALL.into_iter().filter(|done| *done >= Done::Import) {
        stage.done = stage.done.max(Some(Done::Import));
        stage.walk_to(done);
        at(stage);
    }
}
