//! The scripts are run, where there is a PowerShell: Install, Test, Set, Test, Undo against the
//! stub, with software keys.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use super::{SCRIPTS, path};
use record::encoding::{Hash, enc, hash};

const KSP: &str = "Stub Key Storage Provider";
const FORMER: [&str; 2] =
    ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"];

/// A register folder, the keys that the stub has, and its state.
struct Folder {
    root: tempfile::TempDir,
    brief: Hash,
    sums: String,
    thumbprints: [String; 2],
    challenge: [u8; 32],
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output.stdout
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["register", "keys", "data"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let at = |name: &str| root.path().join(name).display().to_string();
        for name in SCRIPTS {
            fs::copy(path(name), at(&format!("register/{name}"))).unwrap();
        }
        let challenge = [7; 32];
        fs::write(at("challenge"), challenge).unwrap();
        let mut keys = Vec::new();
        let thumbprints = ["signing", "encryption"].map(|role| {
            let (key, certificate) = (at("key"), at(&format!("register/hgs-{role}.crt")));
            run("openssl", &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-outform", "DER", "-out", &certificate, "-subj", "/CN=x"]);
            let shown = run("openssl", &["x509", "-inform", "DER", "-in", &certificate, "-noout", "-fingerprint", "-sha1"]);
            let shown = String::from_utf8(shown).unwrap();
            let thumbprint = shown.trim().rsplit('=').next().unwrap().replace(':', "");
            fs::copy(&key, at(&format!("keys/{thumbprint}.pem"))).unwrap();
            fs::copy(&certificate, at(&format!("keys/{thumbprint}.crt"))).unwrap();
            let sealed = run("openssl", &["pkeyutl", "-encrypt", "-inkey", &key, "-in", &at("challenge"), "-pkeyopt", "rsa_padding_mode:oaep"]);
            let der = fs::read(&certificate).unwrap();
            let challenges = ["ready", "active"].map(|stage| json!({ "place": format!("node1/{stage}"), "ciphertext": BASE64.encode(&sealed) }));
            keys.push(json!({
                "label": format!("hgs-{role}"), "role": role, "container": "stub", "id": "00", "spki": "",
                "certificate": { "hash": Hash::of(&der).to_string(), "length": der.len() },
                "thumbprint": thumbprint, "challenges": challenges,
            }));
            thumbprint
        });
        let brief = json!({
            "format": "keyferry/1", "ceremony": "test", "mode": "rehearsal", "plan_hash": "11".repeat(32), "package_id": "22".repeat(16),
            "nonce": "33".repeat(32), "target": "hgs", "deployment": "rotation", "ksp": KSP, "trial": false, "oaep_hash": "sha1",
            "nodes": ["node1", "node2"], "keys": keys,
        });
        let brief = serde_json::to_vec(&brief).unwrap();
        fs::write(at("register/registration.json"), &brief).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(at("register")).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let line = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            format!("{}  {name}\n", Hash::of(&fs::read(path).unwrap()))
        };
        let sums: String = names.iter().map(line).collect();
        fs::write(at("register/SHA256SUMS"), &sums).unwrap();
        let primary =
            |kind, thumbprint| json!({ "type": kind, "thumbprint": thumbprint, "primary": true });
        let known = [primary("Signing", FORMER[0]), primary("Encryption", FORMER[1])];
        let state =
            json!({ "store": [], "bound": [], "known": known, "fail": "", "diagnostics": "Pass" });
        fs::write(at("state"), state.to_string()).unwrap();
        Folder {
            brief: Hash::of(&brief),
            sums: Hash::of(sums.as_bytes()).to_string(),
            root,
            thumbprints,
            challenge,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs a script and returns its exit code and what it said.
    fn script(&self, name: &str, arguments: &str) -> (i32, String) {
        let line = format!(
            "Import-Module '{}'; & '{}' -Sums {} {arguments}; exit $LASTEXITCODE",
            path("HgsKeyProtection.psm1").display(),
            self.at("register").join(name).display(),
            self.sums
        );
        let output = Command::new("pwsh")
            .args(["-NoProfile", "-NonInteractive", "-Command", &line])
            .env("KEYFERRY_STUB", self.at("state"))
            .env("KEYFERRY_STUB_KEYS", self.at("keys"))
            .env("KEYFERRY_STUB_KSP", KSP)
            .env("ProgramData", self.at("data"))
            .env("SystemRoot", "/")
            .env("COMPUTERNAME", "HGS01")
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), said.into_owned())
    }

    #[track_caller]
    fn ends(&self, name: &str, arguments: &str, code: i32, saying: &str) {
        let (ended, said) = self.script(name, arguments);
        assert!(ended == code && said.contains(saying), "{name} ended with {ended}:\n{said}");
    }

    fn order(&self, number: u32, kind: &str) {
        let former = [
            json!({ "role": "signing", "thumbprint": FORMER[0] }),
            json!({ "role": "encryption", "thumbprint": FORMER[1] }),
        ];
        let order = json!({ "format": "keyferry/1", "order": kind, "number": number, "brief": self.brief.to_string(), "former": former, "because": "" });
        fs::write(self.at(&format!("register/{number:02}-{kind}.json")), order.to_string())
            .unwrap();
    }

    fn primaries(&self) -> Vec<String> {
        let state: Value = serde_json::from_slice(&fs::read(self.at("state")).unwrap()).unwrap();
        let known =
            state["known"].as_array().unwrap().iter().filter(|entry| entry["primary"] == true);
        known.map(|entry| entry["thumbprint"].as_str().unwrap().to_owned()).collect()
    }

    /// The evidence is what the formats say: signature over the statement, proof and answer.
    fn evidence(&self, stage: &str) {
        let file = self.at(&format!("register/node1-{stage}.json"));
        let evidence: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let text = evidence["statement"].as_str().unwrap();
        let statement: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            (statement["stage"].as_str(), statement["machine"].as_str()),
            (Some(stage), Some("HGS01"))
        );
        assert!(
            statement["registered"].is_array()
                && statement["primaries"].as_array().unwrap().len() == 2
        );
        let (plan, package, place) = ([0x11; 32], [0x22; 16], format!("node1/{stage}"));
        let signed =
            enc(c"keyferry/1 node", &[&plan, &package, Hash::of(text.as_bytes()).as_bytes()]);
        self.verify(&signed, evidence["signature"].as_str().unwrap());
        let proof = enc(
            c"keyferry/1 proof",
            &[&plan, &package, b"hgs-signing", place.as_bytes(), &[0x33; 32]],
        );
        self.verify(&proof, statement["keys"][0]["proof"]["signature"].as_str().unwrap());
        let answer = hash(
            c"keyferry/1 answer",
            &[&plan, &package, b"hgs-encryption", place.as_bytes(), &self.challenge],
        );
        assert_eq!(statement["keys"][1]["proof"]["answer"], HEXLOWER.encode(answer.as_bytes()));
    }

    fn verify(&self, message: &[u8], signature: &str) {
        let at = |name: &str| self.at(name).display().to_string();
        let key = at(&format!("keys/{}.pem", self.thumbprints[0]));
        fs::write(at("message"), message).unwrap();
        fs::write(at("signature"), BASE64.decode(signature.as_bytes()).unwrap()).unwrap();
        run(
            "openssl",
            &["dgst", "-sha256", "-prverify", &key, "-signature", &at("signature"), &at("message")],
        );
    }

    fn set(&self, field: &str, value: &str) {
        let state = fs::read(self.at("state")).unwrap();
        let mut state: Value = serde_json::from_slice(&state).unwrap();
        state[field] = json!(value);
        fs::write(self.at("state"), state.to_string()).unwrap();
    }
}

#[test]
fn the_scripts_run_where_there_is_a_powershell() {
    let folder = Folder::new();
    if Command::new("pwsh").arg("-Version").output().is_err() {
        println!("pwsh is not on PATH: the scripts were parsed and checked, not run");
        return;
    }
    let [install, test, set, undo] = [SCRIPTS[1], SCRIPTS[2], SCRIPTS[3], SCRIPTS[4]];
    let calls = |folder: &Folder| {
        fs::read_to_string(Path::new(&folder.at("state.calls"))).unwrap_or_default()
    };
    folder.ends(install, "-Node node2", 3, "NODE-ORDER");
    folder.ends(test, "-Node node1", 3, "NODE-CERTIFICATE");
    folder.ends(install, "-Node node1 -WhatIf", 0, "== install-certificates");
    assert_eq!(calls(&folder), "");
    folder.ends(install, "-Node node1", 0, "== register");
    let first = calls(&folder);
    folder.ends(install, "-Node node1", 0, "== register");
    assert_eq!(calls(&folder), first, "the second run changed something");
    folder.set("diagnostics", "Fail");
    folder.ends(test, "-Node node1", 3, "NODE-DIAGNOSTIC");
    folder.set("diagnostics", "Pass");
    folder.ends(test, "-Node node1", 0, "== prove");
    folder.evidence("ready");
    folder.ends(test, "-Node node1", 3, "NODE-FOLDER");
    folder.ends(set, "-Confirm:$false", 3, "NODE-ORDER");
    folder.order(1, "activate");
    folder.set("fail", "Encryption");
    folder.ends(set, "-Confirm:$false", 3, "signing was put back");
    assert_eq!(folder.primaries(), FORMER);
    folder.set("fail", "");
    folder.ends(set, "-Confirm:$false", 0, "== read-back");
    assert_eq!(folder.primaries(), folder.thumbprints);
    folder.ends(set, "-Confirm:$false", 0, "nothing to change");
    folder.ends(test, "-Node node1", 0, "== prove");
    folder.evidence("active");
    folder.order(2, "rollback");
    folder.ends(undo, "-Confirm:$false", 0, "== read-back");
    assert_eq!(folder.primaries(), FORMER);
    fs::write(folder.at("register/hgs-signing.crt"), "changed").unwrap();
    folder.ends(undo, "-Confirm:$false", 3, "NODE-FOLDER");
}
