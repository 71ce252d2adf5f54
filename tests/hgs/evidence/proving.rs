//! Evidence of a node, made with the real key in the real token.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;

use super::folder::Folder;
use crate::common::{MODULE, run, stage::Stage};
use record::{
    encoding::Blob,
    proof::{self, KeyProof},
    service::{BriefKey, NodeEvidence, NodeKey, Statement, evidence_file},
    terms::Role,
};

/// Who the KeyProtection application pool runs as.
pub const SERVICE: &str = "FABRIKAM\\hgs-gmsa$";

/// The hoster's token. Every stage of a test is a copy of the first, so that a proof is made once
/// for each place.
pub struct Token {
    configuration: PathBuf,
    pin: PathBuf,
    scratch: tempfile::TempDir,
    made: RefCell<HashMap<(String, String), KeyProof>>,
}

impl Token {
    pub fn of(stage: &Stage) -> Self {
        Token {
            configuration: stage.path("softhsm2.conf"),
            pin: stage.path("pin"),
            scratch: tempfile::tempdir().unwrap(),
            made: RefCell::default(),
        }
    }

    /// One operation with one key.
    fn does(&self, key: &BriefKey, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let at = |name: &str| self.scratch.path().join(name);
        fs::write(at("in"), input).unwrap();
        let id = serde_json::to_value(key.id).unwrap();
        run(Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--token-label", "hoster", "--login", "--pin"])
            .arg(fs::read_to_string(&self.pin).unwrap())
            .args(["--id", id.as_str().unwrap()])
            .args(arguments)
            .arg("-i")
            .arg(at("in"))
            .arg("-o")
            .arg(at("out"))
            .env("SOFTHSM2_CONF", &self.configuration));
        fs::read(at("out")).unwrap()
    }

    fn sign(&self, key: &BriefKey, message: &[u8]) -> Vec<u8> {
        self.does(key, &["--sign", "-m", "SHA256-RSA-PKCS"], message)
    }

    /// The proof of a key at a place.
    pub fn proof(&self, folder: &Folder, key: &BriefKey, place: &str) -> KeyProof {
        let which = (key.label.to_string(), place.to_owned());
        if let Some(made) = self.made.borrow().get(&which) {
            return made.clone();
        }
        let brief = &folder.brief;
        let ids = (&brief.plan_hash, &brief.package_id);
        let made = match key.role {
            Role::Signing => {
                let message = proof::message(ids, &key.label, place, &brief.nonce);
                KeyProof::Signature(Blob(self.sign(key, &message)))
            }
            Role::Encryption => {
                let decrypt = [
                    "--decrypt",
                    "-m",
                    "RSA-PKCS-OAEP",
                    "--hash-algorithm",
                    "SHA-1",
                    "--mgf",
                    "MGF1-SHA1",
                ];
                let sealed = &key.challenge(place).unwrap().ciphertext.0;
                let plain = self.does(key, &decrypt, sealed);
                KeyProof::Answer(proof::answer(ids, &key.label, place, &plain))
            }
        };
        self.made.borrow_mut().insert(which, made.clone());
        made
    }

    /// What a node says on which nothing is wrong, with the text alone that programs before typed
    /// diagnostics wrote.
    pub fn statement(&self, name: &str, folder: &Folder) -> Statement {
        let brief = &folder.brief;
        let stage = folder.stage();
        let place = format!("{name}/{}", stage.name());
        let now = format!("{:.0}", Timestamp::now());
        let keys = brief.keys.iter().map(|key| NodeKey {
            label: key.label.clone(),
            thumbprint: key.thumbprint.clone(),
            certificate: key.certificate.hash,
            provider: brief.ksp.clone().unwrap(),
            container: key.container.clone(),
            proof: self.proof(folder, key, &place),
        });
        Statement {
            ceremony: brief.ceremony.clone(),
            plan_hash: brief.plan_hash,
            brief: folder.hash,
            order: folder.standing().map(|order| order.hash().unwrap()),
            node: name.parse().unwrap(),
            stage,
            machine: format!("HGS-{name}"),
            service_started: Some(now.clone()),
            worker_started: None,
            time: now,
            account: SERVICE.into(),
            service_account: Some(SERVICE.into()),
            program: "a test".into(),
            keys: keys.collect(),
            registered: folder.registered(),
            primaries: folder.primaries(),
            diagnostics: Some("Overall Result: Pass\n  a node".into()),
            diagnosis: None,
            published: None,
            findings: Vec::new(),
        }
    }

    /// The file of a statement, in a folder.
    pub fn write(&self, folder: &Folder, said: &Statement, out: &Path) -> PathBuf {
        let first = folder.brief.keys.iter().find(|key| key.role == Role::Signing).unwrap();
        let sign = |message: &[u8]| Ok(self.sign(first, message));
        let bytes = NodeEvidence::make(&folder.brief, said, sign).unwrap();
        let path = out.join(evidence_file(&said.node, said.stage));
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        path
    }
}
