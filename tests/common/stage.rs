//! A whole ceremony on a stage of its own: tokens, people, plan, and the programs of both sides as
//! separate processes. A test walks it to some point, does something there, and looks what the
//! programs say.
#![allow(dead_code)] // Each test program uses its part.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::SignedDuration;

use super::{
    MODULE, PIN, SO_PIN,
    kill::through,
    kryoptic,
    opencryptoki::{self, OPENCRYPTOKI},
    preload, programs, run, shim,
};
pub use super::{
    setting::{Family, Setting},
    walk::Done,
};

/// Officers of the tenant.
pub const TENANT: [&str; 3] = ["ada", "ben", "cora"];
/// Officers of the hoster.
pub const HOSTER: [&str; 3] = ["hana", "hugo", "hedy"];
/// Custodians, of whom three are a quorum.
pub const CUSTODIANS: [&str; 5] = ["cyd", "dan", "eve", "fay", "gus"];

/// What crosses where keys are carried, in its order.
pub const DOCUMENTS: [&str; 6] =
    ["offer", "package", "receipt", "registration", "acceptance", "closing"];

/// The nodes of the service.
pub const NODES: [&str; 2] = ["node1", "node2"];

/// What a program ended with.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// Refused by this rule, with exit code 3.
    #[track_caller]
    pub fn refused(self, rule: &str) -> String {
        assert_eq!(self.code, 3, "expected {rule}: {}\n{}", self.out, self.err);
        assert!(
            self.err.contains(&format!(" ({rule})\n  found: ")),
            "expected {rule}: {}",
            self.err
        );
        self.err
    }

    #[track_caller]
    pub fn ended_with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.err
    }
}

pub struct Stage {
    pub dir: tempfile::TempDir,
    pub setting: Setting,
    /// How far it was walked.
    pub done: Option<Done>,
    /// Whether every command of a side keeps a mirror, `mirror-<side>`.
    pub mirror: bool,
    /// Whether the registry lies beside the hoster's folder, where the next ceremony finds it.
    pub registry: bool,
    /// What the shim of one side lies about in every command: the side, and the lie by its name.
    pub lie: Option<(&'static str, &'static str)>,
}

impl Stage {
    /// Tokens, people and a signed plan of the default setting; `change` may change the plan's text
    /// before it is signed.
    pub fn new(change: impl FnOnce(String) -> String) -> Self {
        Stage::with(Setting::default(), change)
    }

    /// As [`Stage::new`], of another setting.
    pub fn with(setting: Setting, change: impl FnOnce(String) -> String) -> Self {
        let stage = Stage {
            dir: tempfile::tempdir().unwrap(),
            setting,
            done: Some(Done::Plan),
            mirror: false,
            registry: false,
            lie: None,
        };
        for folder in ["tokens", "people", "medium", "plan"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        stage.configure();
        fs::write(stage.path("pin"), PIN).unwrap();
        fs::write(stage.path("so-pin"), SO_PIN).unwrap();
        for label in ["tenant", "hoster"] {
            stage.token(label);
        }
        for id in TENANT.iter().chain(&HOSTER).chain(&["iris", "mallory"]) {
            stage.ssh_key(id);
        }
        for id in CUSTODIANS {
            let identity = age_identity();
            fs::write(stage.path(&format!("people/{id}.identity")), identity.0).unwrap();
            fs::write(stage.path(&format!("people/{id}.recipient")), identity.1).unwrap();
        }
        fs::write(stage.path("plan/ceremony.toml"), change(stage.plan_text())).unwrap();
        stage.sign_plan();
        stage
    }

    fn sign_plan(&self) {
        for id in ["ada", "ben", "hana", "hugo"] {
            self.sign(&self.path("plan/ceremony.toml"), "keyferry-plan", id);
        }
    }

    /// Another ceremony on the same tokens: what the one before left stands below `before/`, and
    /// `plan` writes the new plan's file.
    pub fn next_ceremony(&mut self, plan: impl FnOnce(&Stage, &Path)) {
        fs::create_dir(self.path("before")).unwrap();
        for folder in ["tenant", "hoster", "medium", "plan"] {
            fs::rename(self.path(folder), self.path("before").join(folder)).unwrap();
        }
        for folder in ["medium", "plan"] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        plan(self, &self.path("plan/ceremony.toml"));
        self.sign_plan();
        self.done = Some(Done::Plan);
    }

    /// The same stage again, to be changed apart: tokens, folders and people are copied.
    pub fn copy(&self) -> Self {
        Stage {
            mirror: self.mirror,
            registry: self.registry,
            lie: self.lie,
            ..Stage::load(self.dir.path(), self.setting.clone(), self.done)
        }
    }

    /// Keeps a copy of the stage in a folder that outlives it.
    pub fn save(&self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        let all = format!("{}/.", self.dir.path().display());
        run(Command::new("cp").args(["-a", &all]).arg(to));
    }

    /// A stage from such a copy.
    pub fn load(from: &Path, setting: Setting, done: Option<Done>) -> Self {
        Stage::load_into(tempfile::tempdir().unwrap(), from, setting, done)
    }

    /// The same stage again, in a folder whose name begins so.
    pub fn copy_into(&self, prefix: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        Stage::load_into(dir, self.dir.path(), self.setting.clone(), self.done)
    }

    fn load_into(
        dir: tempfile::TempDir,
        from: &Path,
        setting: Setting,
        done: Option<Done>,
    ) -> Self {
        let all = format!("{}/.", from.display());
        run(Command::new("cp").args(["-a", &all]).arg(dir.path()));
        let copy = Stage { dir, setting, done, mirror: false, registry: false, lie: None };
        copy.configure();
        copy
    }

    /// The configuration of both modules, for the folder where the stage stands now.
    fn configure(&self) {
        let tokens = self.path("tokens");
        let conf = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(self.path("softhsm2.conf"), conf).unwrap();
        let slot = |(n, label): (usize, &str)| {
            let denied = match &self.setting.denied {
                Some((side, mechanism)) if *side == label => {
                    format!("mechanisms = [\"DENY\", \"{mechanism}\"]\n")
                }
                _ => String::new(),
            };
            format!(
                "[[slots]]\nslot = {}\ndescription = \"{label}\"\ndbtype = \"sqlite\"\ndbargs = \"{}/{label}.sql\"\n{denied}\n",
                n + 1,
                tokens.display()
            )
        };
        let conf: String = (["tenant", "hoster"].into_iter().enumerate()).map(slot).collect();
        fs::write(self.path("kryoptic.conf"), conf).unwrap();
    }

    /// Makes a side's token.
    fn token(&self, label: &str) {
        match self.setting.family(label) {
            Family::SoftHsm => {
                run(Command::new("softhsm2-util")
                    .args(["--init-token", "--free", "--label", label])
                    .args(["--so-pin", SO_PIN, "--pin", PIN])
                    .env("SOFTHSM2_CONF", self.path("softhsm2.conf")));
            }
            Family::Kryoptic => {
                let slot = if label == "tenant" { "1" } else { "2" };
                let tool = |arguments: &[&str]| {
                    run(Command::new("pkcs11-tool")
                        .arg("--module")
                        .arg(kryoptic())
                        .args(["--slot", slot, "--so-pin", SO_PIN])
                        .args(arguments)
                        .env("KRYOPTIC_CONF", self.path("kryoptic.conf")));
                };
                tool(&["--init-token", "--label", label]);
                tool(&["--init-pin", "--login", "--login-type", "so", "--pin", PIN]);
            }
            // Made with its chroot, of which a test program has one.
            Family::Opencryptoki => {
                fs::write(self.path("pin-opencryptoki"), opencryptoki::SHORT_PIN).unwrap();
            }
            Family::Nss => {
                let folder = self.path(&format!("tokens/{label}"));
                fs::create_dir(&folder).unwrap();
                let folder = format!("sql:{}", folder.display());
                run(Command::new("certutil")
                    .args(["-N", "-d", &folder, "-f"])
                    .arg(self.path("pin")));
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ssh_key(&self, id: &str) {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", id, "-f"])
            .arg(self.path(&format!("people/{id}"))));
    }

    /// The public key of a person, as the plan has it.
    pub fn public_key(&self, id: &str) -> String {
        let key = fs::read_to_string(self.path(&format!("people/{id}.pub"))).unwrap();
        key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    fn plan_text(&self) -> String {
        let officers = |ids: &[&str]| {
            let one = |id: &&str| {
                format!(
                    "  {{ id = \"{id}\", name = \"{id}\", key = \"{}\" }},\n",
                    self.public_key(id)
                )
            };
            ids.iter().map(one).collect::<String>()
        };
        let custodians: String = CUSTODIANS
            .iter()
            .map(|id| {
                let recipient =
                    fs::read_to_string(self.path(&format!("people/{id}.recipient"))).unwrap();
                format!("  {{ id = \"{id}\", name = \"{id}\", recipients = [\"{recipient}\"] }},\n")
            })
            .collect();
        let setting = &self.setting;
        let key = |n: usize| {
            let role = ["signing", "encryption"][n % 2];
            // Where it is born at the hoster, it signs its own certificate there.
            let usage = match (setting.born, role) {
                (true, "encryption") => "usage = [\"sign\", \"decrypt\"]\n",
                _ => "",
            };
            let spki = match setting.brought.get(n) {
                Some(spki) => format!("spki = \"{spki}\"\n"),
                None => String::new(),
            };
            let label = match n {
                0 | 1 => format!("hgs-{role}"),
                _ => format!("hgs-{role}-{n}"),
            };
            let (kind, bits) = match setting.curve.filter(|_| role == "signing") {
                Some(curve) => ("ec", curve),
                None => ("rsa", setting.bits),
            };
            format!(
                "[[keys]]\nlabel = \"{label}\"\nrole = \"{role}\"\ntype = \"{kind}\"\nbits = {bits}\n{usage}{spki}subject = \"CN=test {role}\"\n\n"
            )
        };
        let keys: String = (0..setting.keys).map(key).collect();
        let waiver =
            |rule: &String| format!("[[waivers]]\nrule = \"{rule}\"\nreason = \"a test\"\n\n");
        let waivers: String = setting.waivers.iter().map(waiver).collect();
        let nonce = run(Command::new("openssl").args(["rand", "-hex", "32"]));
        let template = include_str!("../../ceremony-scripts/plans/rehearsal.toml");
        match setting {
            Setting { born: true, .. } => born(template),
            Setting { cloud: Some(_), .. } => unsealed(template),
            Setting { brought, .. } if !brought.is_empty() => {
                unsealed(template).replace("[transfer]\n", "[transfer]\nformat = \"pkcs11\"\n")
            }
            _ => template.to_owned(),
        }
        .replace("@CEREMONY@", "test")
        .replace("@NONCE@", String::from_utf8(nonce).unwrap().trim())
        .replace("@TENANT-OFFICERS@\n", &officers(&TENANT))
        .replace("@HOSTER-OFFICERS@\n", &officers(&HOSTER))
        .replace("@WITNESS-KEY@", &format!("key = \"{}\"", self.public_key("iris")))
        .replace("@CUSTODIANS@\n", &custodians)
        .replace("@KEYS@\n", &keys)
        .replace("@TARGET@\n", &setting.target_text())
        .replace("@WAIVERS@\n", &waivers)
        .replace("@MECHANISM@", setting.mechanism)
        .replace("@OAEP-HASH@", setting.oaep)
        // The smaller KEK is made in a third of the time.
        .replace("kek_bits = 4096", "kek_bits = 3072")
    }

    /// Signs a file as one person, beside it.
    pub fn sign(&self, file: &Path, namespace: &str, id: &str) {
        self.sign_as(file, namespace, id, id);
    }

    /// Signs a file with one person's key under another's name.
    pub fn sign_as(&self, file: &Path, namespace: &str, key: &str, name: &str) {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(self.path(&format!("people/{key}")));
        command.stdin(fs::File::open(file).unwrap());
        fs::write(format!("{}.{name}.sig", file.display()), run(&mut command)).unwrap();
    }

    /// Signs a document in a side's outbox as these officers.
    pub fn sign_document(&self, side: &str, kind: &str, ids: &[&str]) {
        for id in ids {
            self.sign(
                &self.path(&format!("{side}/outbox/{kind}/{kind}.json")),
                "keyferry-document",
                id,
            );
        }
    }

    /// What OpenSC's tool prints of a SoftHSM token, logged in.
    pub fn pkcs11_tool(&self, token: &str, arguments: &[&str]) -> Vec<u8> {
        run(Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--token-label", token])
            .args(["--login", "--pin", PIN])
            .args(arguments)
            .current_dir(self.dir.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf")))
    }

    /// The last request of a gate.
    pub fn request(&self, side: &str, gate: &str) -> PathBuf {
        let requests = self.approvals(side).into_iter();
        let of_gate = |path: &PathBuf| path.to_string_lossy().ends_with(&format!("-{gate}.json"));
        requests.filter(of_gate).max().unwrap()
    }

    /// Whether officers were asked for a gate.
    pub fn is_asked(&self, side: &str, gate: &str) -> bool {
        let end = format!("-{gate}.json");
        (self.approvals(side).iter()).any(|path| path.to_string_lossy().ends_with(&end))
    }

    fn approvals(&self, side: &str) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.path(&format!("{side}/approvals")));
        let entries = folder.into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Asks for a gated command and has two officers sign the request; the command itself is not
    /// yet run.
    pub fn pass(&self, side: &str, gate: &str, arguments: &[&str]) {
        self.side(side, arguments).ended_with(6);
        let ids = match side {
            "tenant" => ["ben", "cora"],
            _ => ["hana", "hedy"],
        };
        self.approve(side, gate, &ids);
    }

    /// Signs the last request of a gate as these officers.
    pub fn approve(&self, side: &str, gate: &str, ids: &[&str]) {
        let request = self.request(side, gate);
        for id in ids {
            self.sign(&request, "keyferry-approval", id);
        }
    }

    /// The command of a side's program, not yet run.
    pub fn command(&self, side: &str, arguments: &[&str]) -> Command {
        let family = self.setting.family(side);
        let (mut command, pin) = match family {
            Family::Opencryptoki => {
                (opencryptoki::enter(programs::of_side(side), self.dir.path()), "pin-opencryptoki")
            }
            _ => (Command::new(programs::of_side(side)), "pin"),
        };
        command.arg("--dir").arg(self.path(side));
        command.arg("--module").arg(self.module(side));
        command.args(["--token", side, "--pin-file"]).arg(self.path(pin));
        if family == Family::Nss {
            let folder = self.path(&format!("tokens/{side}"));
            command.arg("--module-args").arg(format!(
                "configdir='' certPrefix='' keyPrefix='' secmod='' flags=noModDB,noCertDB tokens=<0x4=[configdir='sql:{}' tokenDescription='{side}' slotDescription='{side}']>",
                folder.display()
            ));
        }
        if self.mirror {
            command.arg("--mirror").arg(self.path(&format!("mirror-{side}")));
        }
        if self.registry && side == "hoster" {
            command.arg("--registry").arg(self.path("registry.json"));
        }
        command.args(arguments);
        self.environment(&mut command, side);
        if let Some((_, lie)) = self.lie.filter(|(liar, _)| *liar == side) {
            command.env("KEYFERRY_SHIM_LIE", lie);
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// The module that a side's program is given.
    pub fn module(&self, side: &str) -> PathBuf {
        match self.setting.family(side) {
            Family::Opencryptoki => OPENCRYPTOKI.into(),
            _ if self.setting.shim => shim(),
            family => family.module(),
        }
    }

    /// What the modules of a side find their configuration by; and SoftHSM its primes, but in
    /// production, which refuses whatever reads along.
    pub fn environment(&self, command: &mut Command, side: &str) {
        let plan = fs::read_to_string(self.path("plan/ceremony.toml")).unwrap_or_default();
        let own = self.setting.family(side) == Family::Opencryptoki;
        if !plan.contains("mode = \"production\"") && !own {
            command.env("LD_PRELOAD", preload::primes());
        }
        command
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("KRYOPTIC_CONF", self.path("kryoptic.conf"))
            .env("KEYFERRY_SHIM_MODULE", self.setting.family(side).module())
            .env("KEYFERRY_SHIM_STATE", self.path(&format!("shim-{side}")));
        if let Some((_, name)) = self.setting.personality.filter(|(of, _)| *of == side) {
            command.env("KEYFERRY_SHIM_PERSONALITY", name);
        }
    }

    /// Runs a side's program.
    pub fn side(&self, side: &str, arguments: &[&str]) -> Ended {
        ended(&mut self.command(side, arguments))
    }

    pub fn tenant(&self, arguments: &[&str]) -> Ended {
        self.side("tenant", arguments)
    }

    pub fn hoster(&self, arguments: &[&str]) -> Ended {
        self.side("hoster", arguments)
    }

    /// Runs the custodians' program.
    pub fn custodian(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(programs::CUSTODIAN);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        ended(&mut command)
    }

    /// Gives a side's attempt up, with two officers' signatures; what it says.
    pub fn restart(&self, side: &str) -> String {
        self.give_up(side, "restart")
    }

    /// The same of a side's ceremony.
    pub fn abort(&self, side: &str) -> String {
        self.give_up(side, "abort")
    }

    fn give_up(&self, side: &str, what: &str) -> String {
        let command = [what, "--reason", "a test"];
        self.pass(side, what, &command);
        self.side(side, &command).ok()
    }

    /// Both sides abort, what the hoster has is destroyed by this command, and both close.
    pub fn abort_both(&self, gate: &str, destroy: &[&str]) {
        self.abort("tenant");
        self.abort("hoster");
        self.pass("hoster", gate, destroy);
        self.hoster(destroy).ok();
        self.close_hoster();
        self.tenant(&["close", "medium/closing"]).ok();
    }

    /// The hoster's closing is released, and its record closed.
    pub fn close_hoster(&self) {
        self.sign_document("hoster", "closing", &["hana", "hugo"]);
        self.hoster(&["release"]).ok();
        self.carry("hoster", "closing");
        self.hoster(&["close"]).ok();
    }

    /// Copies a document from a side's outbox to the medium.
    pub fn carry(&self, side: &str, kind: &str) {
        let to = self.path(&format!("medium/{kind}"));
        let _ = fs::remove_dir_all(&to);
        run(Command::new("cp").arg("-r").arg(self.path(&format!("{side}/outbox/{kind}"))).arg(&to));
    }

    /// Writes words into a file that `--words` takes.
    pub fn words(&self, name: &str, words: &str) -> String {
        let path = format!("{name}.words");
        fs::write(self.path(&path), words).unwrap();
        path
    }

    /// `--share … --identity …` of these custodians, from the tenant's outbox.
    pub fn shares(&self, ids: &[&str]) -> Vec<String> {
        let of = |id: &&str| {
            [
                "--share".to_owned(),
                format!("tenant/outbox/shares/{id}.age"),
                "--identity".to_owned(),
                format!("people/{id}.identity"),
            ]
        };
        ids.iter().flat_map(of).collect()
    }

    /// The first 16 words of the plan's hash.
    pub fn plan_words(&self) -> String {
        let plan = fs::read(self.path("plan/ceremony.toml")).unwrap();
        first_words(record::encoding::Hash::of(&plan))
    }

    /// The first 16 words of the KEK of the offer in the hoster's outbox, or of the keys that were
    /// born there.
    pub fn kek_words(&self) -> String {
        let document = match self.setting.born {
            false => self.json("hoster/outbox/offer/offer.json"),
            true => self.json("hoster/outbox/keys/keys.json"),
        };
        first_words(document["body"]["fingerprint"].as_str().unwrap().parse().unwrap())
    }

    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// The report of a side's token.
    pub fn probe(&self, side: &str) -> PathBuf {
        let file = self.path(&format!("{side}.json"));
        self.side(side, &["probe", "--rehearsal", file.to_str().unwrap()]).ok();
        file
    }

    /// Two officers of each side sign the head of every archive that is there.
    pub fn sign_heads(&self) {
        for (side, ids) in [("tenant", ["ada", "ben"]), ("hoster", ["hana", "hugo"])] {
            for archive in ["archive", "archive-2"] {
                let head = self.path(side).join(archive).join("head.json");
                for id in ids.iter().filter(|_| head.exists()) {
                    self.sign(&head, "keyferry-head", id);
                }
            }
        }
    }

    /// Runs the auditor's program.
    pub fn auditor(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.auditors(arguments))
    }

    /// Runs the auditor's program as it will be run after this time.
    pub fn auditor_later(&self, after: SignedDuration, arguments: &[&str]) -> Ended {
        let mut command = self.auditors(arguments);
        command
            .env("LD_PRELOAD", preload::clock())
            .env("KEYFERRY_TEST_AHEAD", after.as_secs().to_string());
        ended(&mut command)
    }

    /// Runs the auditor's program, which the kernel ends once it has had so many seconds of a
    /// processor.
    pub fn auditor_within(&self, seconds: u32, arguments: &[&str]) -> Ended {
        let limit = format!("--cpu={seconds}");
        ended(&mut through("prlimit", &[&limit], &self.auditors(arguments)))
    }

    fn auditors(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::AUDIT);
        command.args(arguments).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// Lets a node prove itself, in whatever stage its folder says; where its evidence lies then.
    pub fn prove_node(&self, node: &str, stage: &str) -> String {
        let file = format!("medium/{node}-{stage}.json");
        let _ = fs::remove_file(self.path(&file));
        self.node_prove(node, node, "medium").ok();
        file
    }

    /// The command that a node proves itself by, as a machine of this name, into a folder.
    pub fn node_prove(&self, node: &str, machine: &str, out: &str) -> Ended {
        let mut command =
            self.command("hoster", &["node", "prove", "--register", "hoster/register"]);
        command.args(["--node", node, "--machine", machine, "--out", out]);
        if !self.registry {
            command.arg("--registry").arg(self.path("hoster/registry.json"));
        }
        ended(&mut command)
    }
}

/// The plan of keys that are born at the hoster: nothing is wrapped, and nobody holds a share.
fn born(template: &str) -> String {
    unsealed(template)
        .replace("mechanism = \"@MECHANISM@\"\n", "origin = \"hoster\"\n")
        .replace("kek_bits = 4096\n", "")
}

/// A plan without custodians.
fn unsealed(template: &str) -> String {
    let (head, rest) = template.split_once("[quorum]").unwrap();
    let (_, tail) = rest.split_once("[transfer]\n").unwrap();
    format!("{head}[transfer]\n{tail}")
}

fn first_words(hash: record::encoding::Hash) -> String {
    record::fingerprint::words(&hash.0)[..16].join(" ")
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn age_identity() -> (Vec<u8>, String) {
    let identity = custody::custodian::new_identity(None).unwrap();
    (identity.file.to_vec(), identity.recipient)
}
