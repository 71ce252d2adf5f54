//! People with real keys, made by `ssh-keygen`, and a plan that names them.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Everybody: officers of the tenant, officers of the hoster, witnesses. Their keys' types.
pub const PEOPLE: &[(&str, &[&str])] = &[
    ("ada", &["ed25519"]),
    ("bob", &["ecdsa", "256"]),
    ("cai", &["ecdsa", "384"]),
    ("hal", &["ed25519"]),
    ("ida", &["ecdsa", "256"]),
    ("joe", &["ecdsa", "384"]),
    ("iris", &["ed25519"]),
    ("wim", &["ed25519"]),
    ("stranger", &["ed25519"]),
];

/// A folder with a key pair for everybody.
pub struct People {
    folder: TempDir,
}

impl People {
    pub fn new() -> Self {
        let people = People { folder: tempfile::tempdir().unwrap() };
        for (id, kind) in PEOPLE {
            keygen(&people.private(id), kind);
        }
        people
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn private(&self, id: &str) -> PathBuf {
        self.path().join(format!("{id}.key"))
    }

    /// The public half as a plan has it.
    pub fn public(&self, id: &str) -> String {
        let text = std::fs::read_to_string(self.path().join(format!("{id}.key.pub"))).unwrap();
        let fields: Vec<&str> = text.split_whitespace().take(2).collect();
        fields.join(" ")
    }

    /// A signature file exactly as `ssh-keygen -Y sign` writes it.
    pub fn sign(&self, id: &str, namespace: &str, message: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", namespace, "-f"])
            .arg(self.private(id))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(message).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    /// A plan without faults.
    pub fn plan(&self) -> String {
        let officer = |id: &str| {
            format!("    {{ id = \"{id}\", name = \"{id} O.\", key = \"{}\" }},\n", self.public(id))
        };
        let custodian = |id: &str| {
            format!(
                "    {{ id = \"{id}\", name = \"{id} C.\", recipients = [\"{}\"] }},\n",
                recipient()
            )
        };
        let all = |ids: &[&str], one: &dyn Fn(&str) -> String| -> String {
            ids.iter().map(|id| one(id)).collect()
        };
        format!(
            r#"format = "keyferry/1"
ceremony = "test-2026"
mode = "rehearsal"
nonce = "{nonce}"

[tenant]
name = "Contoso"
approvals = 2
officers = [
{tenant}]

[hoster]
name = "Fabrikam"
approvals = 2
officers = [
{hoster}]

[[witnesses]]
id = "iris"
name = "Iris W."
key = "{iris}"

[[witnesses]]
id = "wim"
name = "Wim W."
key = "{wim}"

[quorum]
threshold = 2
custodians = [
{custodians}]

[transfer]
mechanism = "single-shot"
oaep_hash = "sha256"
kek_bits = 4096

[[keys]]
label = "sig"
role = "signing"
type = "rsa"
bits = 3072
usage = ["sign"]
subject = "CN=Contoso signing"

[[keys]]
label = "enc"
role = "encryption"
type = "rsa"
bits = 2048
subject = "CN=Contoso encryption"

[target]
kind = "local"
nodes = ["node1", "node2"]

[after]
source = "keep"
"#,
            nonce = "5a".repeat(32),
            tenant = all(&["ada", "bob", "cai"], &officer),
            hoster = all(&["hal", "ida", "joe"], &officer),
            iris = self.public("iris"),
            wim = self.public("wim"),
            custodians = all(&["cyd", "dot", "eve"], &custodian),
        )
    }
}

/// A fresh age recipient.
pub fn recipient() -> String {
    age::x25519::Identity::generate().to_public().to_string()
}

/// Makes a key pair without a passphrase.
pub fn keygen(path: &Path, kind: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "", "-t", kind[0]]);
    if let Some(bits) = kind.get(1) {
        command.args(["-b", bits]);
    }
    let status = command.arg("-f").arg(path).status().unwrap();
    assert!(status.success());
}
