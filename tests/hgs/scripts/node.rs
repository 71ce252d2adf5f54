//! A node that a script is run on: a register folder, and the stub's state beside it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use super::{SCRIPTS, path};
use record::encoding::{Hash, enc, hash};

pub const KSP: &str = "Stub Key Storage Provider";
const ACCOUNT: &str = "CONTOSO\\hgs-gmsa$";
const CHALLENGE: [u8; 32] = [7; 32];

/// A key that OpenSSL made, and its certificate.
pub struct Key {
    pub pem: String,
    pub certificate: Vec<u8>,
    pub thumbprint: String,
    /// The challenge, encrypted to it.
    sealed: Vec<u8>,
}

/// Signing and encryption: the ceremony's, then the former ones.
pub static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| [0; 4].map(|_| Key::new()));

/// The four scripts with their common file need a PowerShell; without one they are only read.
pub fn powershell() -> bool {
    let there = Command::new("pwsh").arg("-Version").output().is_ok();
    if !there {
        println!("HGS scripts: NOT RUN, pwsh is not on PATH");
    }
    there
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output.stdout
}

impl Key {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).display().to_string();
        let (key, crt) = (at("key"), at("crt"));
        run(
            "openssl",
            &[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-outform",
                "DER", "-out", &crt, "-subj", "/CN=x",
            ],
        );
        let shown = run(
            "openssl",
            &["x509", "-inform", "DER", "-in", &crt, "-noout", "-fingerprint", "-sha1"],
        );
        let shown = String::from_utf8(shown).unwrap();
        fs::write(at("challenge"), CHALLENGE).unwrap();
        Key {
            pem: fs::read_to_string(&key).unwrap(),
            certificate: fs::read(&crt).unwrap(),
            thumbprint: shown.trim().rsplit('=').next().unwrap().replace(':', ""),
            sealed: run(
                "openssl",
                &[
                    "pkeyutl",
                    "-encrypt",
                    "-inkey",
                    &key,
                    "-in",
                    &at("challenge"),
                    "-pkeyopt",
                    "rsa_padding_mode:oaep",
                ],
            ),
        }
    }
}

/// How far a node of an existing cluster has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// Nothing of the ceremony is on it.
    Fresh,
    /// Its certificates are bound, granted and known.
    Ready,
    /// The order to activate lies there.
    Ordered,
    /// The ceremony's certificates are primary.
    Active,
    /// The order to go back lies there.
    Back,
}

/// How a script is run: `-File` takes it into the global scope, as a dot does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Dot,
    Call,
    File,
}

/// How a script ended.
pub struct Ended {
    pub code: i32,
    pub said: String,
}

/// A register folder and the node that has it.
pub struct Node {
    root: tempfile::TempDir,
    sums: String,
    brief: Hash,
}

impl Node {
    /// A node of a cluster of this deployment.
    pub fn new(at: At, deployment: &str, trial: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["register", "state.keys", "data"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let file = |name: &str| root.path().join(name);
        for name in SCRIPTS {
            fs::copy(path(name), file(&format!("register/{name}"))).unwrap();
        }
        let mut keys = Vec::new();
        for (key, role) in KEYS.iter().zip(["signing", "encryption"]) {
            fs::write(file(&format!("register/hgs-{role}.crt")), &key.certificate).unwrap();
            let challenge =
                |place| json!({ "place": place, "ciphertext": BASE64.encode(&key.sealed) });
            let places = ["node1/ready", "node1/active", "node2/ready", "node2/active"];
            let challenges = places.map(challenge);
            keys.push(json!({
                "label": format!("hgs-{role}"), "role": role, "container": "stub", "id": "00", "spki": "",
                "certificate": { "hash": Hash::of(&key.certificate).to_string(), "length": key.certificate.len() },
                "thumbprint": key.thumbprint,
                "challenges": challenges,
            }));
        }
        for key in &*KEYS {
            fs::write(file(&format!("state.keys/{}.pem", key.thumbprint)), &key.pem).unwrap();
            fs::write(file(&format!("state.keys/{}.crt", key.thumbprint)), &key.certificate)
                .unwrap();
        }
        let brief = json!({
            "format": "keyferry/1", "ceremony": "test", "mode": "rehearsal", "plan_hash": "11".repeat(32), "package_id": "22".repeat(16),
            "nonce": "33".repeat(32), "target": "hgs", "deployment": deployment, "ksp": KSP, "trial": trial, "oaep_hash": "sha1",
            "nodes": ["node1", "node2"], "keys": keys,
        });
        let brief = serde_json::to_vec(&brief).unwrap();
        fs::write(file("register/registration.json"), &brief).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(file("register")).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let line = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            format!("{}  {name}\n", Hash::of(&fs::read(path).unwrap()))
        };
        let sums: String = names.iter().map(line).collect();
        fs::write(file("register/SHA256SUMS"), &sums).unwrap();
        let node =
            Node { root, sums: Hash::of(sums.as_bytes()).to_string(), brief: Hash::of(&brief) };
        node.write_state(&state(at, deployment != "new"));
        if at >= At::Ordered {
            node.order(1, "activate", deployment != "new");
        }
        if at >= At::Back {
            node.order(2, "rollback", true);
        }
        node
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// An order of the ceremony beside the scripts.
    pub fn order(&self, number: u32, kind: &str, former: bool) {
        let primary =
            |(role, key): (&str, &Key)| json!({ "role": role, "thumbprint": key.thumbprint });
        let former: Vec<_> = ["signing", "encryption"]
            .into_iter()
            .zip(&KEYS[2..])
            .filter(|_| former)
            .map(primary)
            .collect();
        let order = json!({ "format": "keyferry/1", "order": kind, "number": number, "brief": self.brief.to_string(), "former": former, "because": "" });
        fs::write(self.at(&format!("register/{number:02}-{kind}.json")), order.to_string())
            .unwrap();
    }

    /// The order that a node may begin.
    pub fn order_install(&self, number: u32, name: &str) {
        let order = json!({ "format": "keyferry/1", "order": "install", "number": number, "node": name, "brief": self.brief.to_string(), "former": [], "because": "" });
        fs::write(self.at(&format!("register/{number:02}-install-{name}.json")), order.to_string())
            .unwrap();
    }

    /// Changes the brief; the list of hashes fits it.
    pub fn brief(&mut self, pointer: &str, value: Value) {
        let path = self.at("register/registration.json");
        let former = fs::read(&path).unwrap();
        let mut brief: Value = serde_json::from_slice(&former).unwrap();
        *brief.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        let brief = serde_json::to_vec(&brief).unwrap();
        fs::write(&path, &brief).unwrap();
        let list = fs::read_to_string(self.at("register/SHA256SUMS")).unwrap();
        let [was, is] = [&former, &brief].map(|bytes| Hash::of(bytes).to_string());
        self.list(&list.replace(&was, &is));
        self.brief = Hash::of(&brief);
    }

    /// Writes the list of hashes anew, and its own hash onto paper.
    pub fn list(&mut self, list: &str) {
        fs::write(self.at("register/SHA256SUMS"), list).unwrap();
        self.sums = Hash::of(list.as_bytes()).to_string();
    }

    pub fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.at("state")).unwrap()).unwrap()
    }

    pub fn write_state(&self, state: &Value) {
        fs::write(self.at("state"), state.to_string()).unwrap();
    }

    /// Sets fields of the state: a path such as `/traps`, and what it becomes.
    pub fn set(&self, pointer: &str, value: Value) {
        let mut state = self.state();
        *state.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        self.write_state(&state);
    }

    /// What was called that changes something.
    pub fn calls(&self) -> String {
        fs::read_to_string(self.at("state.calls")).unwrap_or_default()
    }

    /// Runs a script of the folder on a node. Where somebody types, they are asked at a real prompt.
    pub fn script(&self, name: &str, arguments: &str, scope: Scope, typed: Option<&str>) -> Ended {
        let on = on(arguments);
        if scope == Scope::File {
            let script = self.at("register").join(name).display().to_string();
            let line = ["-File", &script, "-Sums", &self.sums];
            let line: Vec<_> = line.into_iter().chain(arguments.split_whitespace()).collect();
            return self.run(on, &line, typed);
        }
        let line = format!("{}; exit $LASTEXITCODE", self.call(name, arguments, scope));
        self.run(on, &["-Command", &line], typed)
    }

    /// A line that runs a script.
    fn call(&self, name: &str, arguments: &str, scope: Scope) -> String {
        let sign = if scope == Scope::Call { '&' } else { '.' };
        let script = self.at("register").join(name);
        format!("{sign} '{}' -Sums {} {arguments}", script.display(), self.sums)
    }

    /// Somebody types the line of INSTRUCTIONS.txt that stands behind these words.
    pub fn types(&self, on: &str, words: &str) {
        let line = format!("$ErrorActionPreference = 'Stop'; Invoke-Told '{words}'");
        let ended = self.run(on, &["-Command", &line], None);
        assert_eq!(ended.code, 0, "{words}: {}", ended.said);
    }

    /// A PowerShell on a node.
    fn run(&self, on: &str, arguments: &[&str], typed: Option<&str>) -> Ended {
        let mut command = shell(&self.at("state.profiles"));
        command.args(typed.is_none().then_some("-NonInteractive")).args(arguments);
        command.envs(self.environment(on));
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.unwrap_or_default().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ended { code: output.status.code().unwrap_or(-1), said: said.into_owned() }
    }

    fn environment(&self, on: &str) -> [(&'static str, String); 4] {
        let path = |name| self.at(name).display().to_string();
        [
            ("KEYFERRY_STUB", path("state")),
            ("KEYFERRY_STUB_NODE", on.to_owned()),
            ("ProgramData", path("data")),
            ("COMPUTERNAME", on.to_uppercase()),
        ]
    }

    /// What is primary, by the names that these tests have for it: signing, then encryption.
    pub fn primaries(&self) -> String {
        let state = self.state();
        let known = state["known"].as_array().unwrap();
        let of = |kind| {
            let primary = known.iter().find(|one| one["type"] == kind && one["primary"] == true);
            let Some(primary) = primary else { return "none" };
            let at = KEYS.iter().position(|key| primary["thumbprint"] == *key.thumbprint);
            at.map_or("another's", |at| ["new", "new", "former", "former"][at])
        };
        format!("{}/{}", of("Signing"), of("Encryption"))
    }

    /// The signed statement of a node, after its signatures and proofs were held against the formats.
    pub fn statement(&self, name: &str, stage: &str) -> Value {
        let file = self.at(&format!("register/{name}-{stage}.json"));
        let evidence: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let text = evidence["statement"].as_str().unwrap();
        let statement: Value = serde_json::from_str(text).unwrap();
        let place = format!("{name}/{stage}");
        let (plan, package) = ([0x11; 32], [0x22; 16]);
        let signed =
            enc(c"keyferry/1 node", &[&plan, &package, Hash::of(text.as_bytes()).as_bytes()]);
        self.verify(&signed, evidence["signature"].as_str().unwrap());
        let parts: [&[u8]; 5] = [&plan, &package, b"hgs-signing", place.as_bytes(), &[0x33; 32]];
        let proof = &statement["keys"][0]["proof"]["signature"];
        self.verify(&enc(c"keyferry/1 proof", &parts), proof.as_str().unwrap());
        let parts: [&[u8]; 5] = [&plan, &package, b"hgs-encryption", place.as_bytes(), &CHALLENGE];
        let answer = hash(c"keyferry/1 answer", &parts);
        assert_eq!(statement["keys"][1]["proof"]["answer"], HEXLOWER.encode(answer.as_bytes()));
        statement
    }

    fn verify(&self, message: &[u8], signature: &str) {
        let at = |name: &str| self.at(name).display().to_string();
        let key = at(&format!("state.keys/{}.pem", KEYS[0].thumbprint));
        fs::write(at("message"), message).unwrap();
        fs::write(at("signature"), BASE64.decode(signature.as_bytes()).unwrap()).unwrap();
        run(
            "openssl",
            &["dgst", "-sha256", "-prverify", &key, "-signature", &at("signature"), &at("message")],
        );
    }

    pub fn has(&self, file: &str) -> bool {
        Path::new(&self.at("register")).join(file).exists()
    }
}

/// The node that a script's arguments name.
fn on(arguments: &str) -> &'static str {
    if arguments.contains("node2") { "node2" } else { "node1" }
}

/// A PowerShell that has the stub by its profile, which it reads before a file too.
fn shell(profiles: &Path) -> Command {
    fs::create_dir_all(profiles.join("powershell")).unwrap();
    let import = format!("Import-Module '{}'", path("KeyferryStub.psm1").display());
    fs::write(profiles.join("powershell/profile.ps1"), import).unwrap();
    let mut command = Command::new("pwsh");
    command.env("XDG_CONFIG_HOME", profiles).env("SystemRoot", "/").env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs of scripts, each on its own node, in one PowerShell after the other: to start one takes as
/// long as what it is started for.
pub fn scripts(runs: &[(&Node, &str, &str, Scope)]) -> Vec<Ended> {
    const END: char = '\u{1e}';
    let mut lines = Vec::new();
    for (node, name, arguments, scope) in runs {
        let set = node.environment(on(arguments));
        lines.extend(set.map(|(name, value)| format!("$env:{name} = '{value}'")));
        lines.push("$global:LASTEXITCODE = 0".to_owned());
        lines.push(node.call(name, arguments, *scope));
        lines.push("[Console]::Out.WriteLine(\"$LASTEXITCODE$([char]0x1e)\")".to_owned());
    }
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("runs.ps1");
    fs::write(&file, lines.join("\n")).unwrap();
    let mut command = shell(root.path());
    command.args(["-NonInteractive", "-Command"]).arg(format!(". '{}'", file.display()));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ends: Vec<&str> = said.split_terminator(END).collect();
    let ended = |said: &&str| {
        let (said, code) = said.rsplit_once('\n').unwrap_or(("", said));
        Ended { code: code.parse().unwrap_or(-1), said: said.to_owned() }
    };
    let found: Vec<_> = ends.iter().map(ended).collect();
    assert!(found.len() >= runs.len(), "{} of {}: {output:?}", found.len(), runs.len());
    found
}

/// The stub's state: two nodes, of which both are at this place; `service`: of a cluster that is there.
fn state(at: At, service: bool) -> Value {
    let thumbprints = KEYS.each_ref().map(|key| key.thumbprint.clone());
    let ours = at >= At::Ready;
    let active = at >= At::Active;
    let installed = if ours { json!(thumbprints[..2]) } else { json!([]) };
    let node = |machine: &str| {
        json!({
            "machine": machine, "member": service, "role": service, "form": "", "store": installed, "user_store": [], "bound": installed, "granted": true,
            "service_started": "2026-01-01T00:00:00Z", "worker_started": "",
        })
    };
    let known = |kind: &str, key: usize, primary: bool| json!({ "type": kind, "thumbprint": thumbprints[key], "primary": primary });
    let former = [known("Signing", 2, !active), known("Encryption", 3, !active)];
    let own = [known("Signing", 0, active), known("Encryption", 1, active)];
    let all: Vec<&Value> =
        former.iter().filter(|_| service).chain(own.iter().filter(|_| ours && service)).collect();
    json!({
        "account": ACCOUNT, "ksp": KSP, "service": service, "cached": false, "clock": 0, "changes": 0, "stale": 0, "before": [],
        "known": all, "forest": "", "existing": false, "answers": [], "task": null, "traps": {}, "faults": [],
        "nodes": { "node1": node("HGS01"), "node2": node("HGS02") },
    })
}
