//! What the script of ordinary tools reads as the auditor does, and what it declines: it never says
//! FALSE of what it can't read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use super::{changes::head_to_fit, tools::Copy};
use crate::common::run;
use record::{encoding::Hash, spki::TargetCertificate};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
const LOG: &str = "tenant.log.jsonl";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replayed/v1/single-shot-local/tenant")
}

/// What the script has between two of its lines.
fn part_of_script(from: &str, to: &str) -> String {
    let script = fs::read_to_string(SCRIPT).unwrap();
    let (_, rest) = script.split_once(from).unwrap();
    rest.split_once(to).unwrap().0.to_owned()
}

fn verified(copy: &Copy) -> (Option<i32>, String) {
    let done = Command::new(SCRIPT).arg(copy.path()).output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

/// Writes a log anew, as a chain whose end head.json names.
fn write_log(copy: &Copy, entries: Vec<Value>) {
    let (mut log, mut prev) = (String::new(), "0".repeat(64));
    for (n, mut entry) in entries.into_iter().enumerate() {
        entry["prev"] = prev.into();
        entry["seq"] = (n + 1).into();
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        log.push_str(&line);
    }
    fs::write(copy.file(LOG), log).unwrap();
    head_to_fit(copy, LOG);
    copy.make_sums();
}

fn entries(copy: &Copy) -> Vec<Value> {
    let text = fs::read_to_string(copy.file(LOG)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A plan as the script reads it.
fn plan_of(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (program, plan) = (folder.path().join("toml"), folder.path().join("plan"));
    fs::write(&program, part_of_script("cat > \"$tmp/toml\" << 'END'\n", "\nEND\n")).unwrap();
    fs::write(&plan, text).unwrap();
    Command::new("jq").args(["-Rsc", "-f"]).arg(program).arg(plan).output().unwrap()
}

#[test]
fn a_plan_in_other_words_of_toml_is_read_rightly_or_declined() {
    let plan = fs::read_to_string(kept().join("ceremony.toml")).unwrap();
    let whole: Value = serde_json::from_slice(&plan_of(&plan).stdout).unwrap();
    assert_eq!(whole["way"], json!("carried"));
    for (written, otherwise) in [
        ("mode = \"rehearsal\"", "mode = 'rehearsal'"),
        ("mode = \"rehearsal\"", "\"mode\" = \"rehearsal\" # \"production\""),
        ("mode = \"rehearsal\"", "'mode'=\"rehearsal\""),
        ("[hoster]", "[ hoster ]"),
        ("[hoster]", "[\"hoster\"] # [x]"),
        ("approvals = 2", "approvals = +2"),
        ("officers = [", "officers = [ # { id = \"x\" },\n"),
    ] {
        let again = plan_of(&plan.replacen(written, otherwise, 1));
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!(again, whole, "{otherwise}");
    }
    let named = plan.replacen("name = \"Contoso\"", "name = \"{Con} [to], so = # \\\"\"", 1);
    let named: Value = serde_json::from_slice(&plan_of(&named).stdout).unwrap();
    assert_eq!(named["tenant"]["name"], json!("{Con} [to], so = # \""));
    assert_eq!(named["people"], whole["people"]);
    for (written, otherwise) in [
        ("approvals = 2", "approvals = 0x2"),
        ("approvals = 2", "approvals = 2_0"),
        ("approvals = 2", "approvals = 2\napprovals = 3"),
        ("approvals = 2", "approvals = 2.0"),
        ("approvals = 2", "approvals 2"),
        ("mode = \"rehearsal\"", "mode = \"\"\"rehearsal\"\"\""),
        ("mode = \"rehearsal\"", "mode = \"\\u0072ehearsal\""),
        ("[hoster]", "[tenant]"),
        ("[hoster]", "[hoster"),
        ("{ id = \"ada\",", "{ id = \"ada\", id = \"ben\","),
    ] {
        let text = plan.replacen(written, otherwise, 1);
        assert_ne!(text, plan, "{otherwise}");
        let declined = plan_of(&text);
        assert!(!declined.status.success(), "{otherwise}");
    }
}

/// The whole script says so, by an exit code of its own.
#[test]
fn what_the_script_cant_read_is_not_called_false() {
    let copy = Copy::of(&kept());
    let plan = fs::read_to_string(copy.file("ceremony.toml")).unwrap();
    let plan = plan.replacen("approvals = 2", "approvals = 0x2", 1);
    fs::write(copy.file("ceremony.toml"), &plan).unwrap();
    let hash = Hash::of(plan.as_bytes()).to_string();
    let mut log = entries(&copy);
    log[0]["plan"] = hash.clone().into();
    let head = fs::read(copy.file("head.json")).unwrap();
    let mut head: Value = serde_json::from_slice(&head).unwrap();
    head["plan_hash"] = hash.into();
    fs::write(copy.file("head.json"), head.to_string()).unwrap();
    write_log(&copy, log);
    let (code, said) = verified(&copy);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said, "CANNOT READ ceremony.toml (the value 0x2): use keyferry-audit verify\n");
}

#[test]
fn a_log_that_costs_too_much_ends_before_the_work() {
    let copy = Copy::of(&kept());
    fs::write(copy.file(LOG), "1\n".repeat(200_000)).unwrap();
    copy.make_sums();
    let (code, said) = verified(&copy);
    assert_eq!((code, said.contains("not whole lines of JSON")), (Some(1), true), "{said}");
    copy.renew();
    fs::write(copy.file(LOG), vec![b'x'; (2 << 20) + 1]).unwrap();
    copy.make_sums();
    let (code, said) = verified(&copy);
    let expected = "tenant.log.jsonl is larger than such a file may be";
    assert_eq!((code, said.contains(expected)), (Some(1), true), "{said}");
    copy.renew();
    let mut log = entries(&copy);
    let close = log.pop().unwrap();
    let note =
        json!({"event": "note", "remark": {"kind": "break", "stayed": []}, "time": close["time"]});
    log.resize(10_000, note);
    log.push(close);
    log[10_000]["count"] = 10_001.into();
    write_log(&copy, log);
    let (code, said) = verified(&copy);
    let expected = "CANNOT READ tenant.log.jsonl, which has more than 10000 lines";
    assert_eq!((code, said.contains(expected)), (Some(2), true), "{said}");
}

/// Whoever made it, a certificate is what both verifiers say it is.
#[test]
fn both_judge_certificates_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let made = |arguments: &[&str], key: &[&str], name: &str| {
        let openssl = ["req", "-x509", "-nodes", "-subj", "/CN=x", "-outform", "DER", "-newkey"];
        let mut command = Command::new("openssl");
        command.args(openssl).args(key).args(arguments).arg("-out").arg(file(name));
        run(command.arg("-keyout").arg(file("key")).stderr(Stdio::null()));
        fs::read(file(name)).unwrap()
    };
    let rsa = ["rsa:2048"];
    let ec = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let usage = ["-addext", "keyUsage=critical,digitalSignature,keyEncipherment"];
    let whole = made(&usage, &rsa, "rsa");
    let mut outer = whole.clone();
    let sha_256_with_rsa = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];
    let at = outer.windows(9).rposition(|one| one == sha_256_with_rsa).unwrap();
    outer[at + 8] = 13;
    let mut broken = whole.clone();
    *broken.last_mut().unwrap() ^= 1;
    let longer = [&whole[..], &[0]].concat();
    for (name, der, holds) in [
        ("an RSA key's that may not sign certificates", whole, true),
        (
            "one with a path length",
            made(&["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"], &rsa, "length"),
            true,
        ),
        ("an EC key's", made(&usage, &ec, "ec"), true),
        ("one that is signed with SHA-384", made(&["-sha384"], &ec, "sha384"), false),
        ("one whose outer algorithm is another", outer, false),
        ("one whose signature is another", broken, false),
        ("one with a byte behind it", longer, false),
    ] {
        let auditor = TargetCertificate::parse(&der, "key").is_ok();
        fs::write(file("crt"), &der).unwrap();
        let body = part_of_script("\nself_signed() {\n", "\n}\n");
        let program = format!(
            "set -euo pipefail; export LC_ALL=C; tmp=$1; cd -- \"$tmp\"\nself_signed() {{\n{body}\n}}\n\
             openssl x509 -inform DER -in crt -noout -pubkey > public && self_signed crt public"
        );
        let mut bash = Command::new("bash");
        let bash = bash.args(["-c", &program, "bash"]).arg(folder.path()).output().unwrap();
        assert_eq!((auditor, bash.status.success()), (holds, holds), "{name}");
    }
}

/// One key for two labels, in each document that lists keys. A changed document is false for other
/// reasons too: here the script goes on after each.
#[test]
fn one_public_key_under_two_labels_is_false() {
    let folder = tempfile::tempdir().unwrap();
    let goes_on = folder.path().join("verify");
    let script = fs::read_to_string(SCRIPT).unwrap();
    let ends = "| cat -v >&2; exit 1; } # foreign";
    assert!(script.contains(ends));
    fs::write(&goes_on, script.replacen(ends, "| cat -v >&2; } # foreign", 1)).unwrap();
    let found = |copy: &Copy| {
        let done = Command::new("bash").arg(&goes_on).arg(copy.path()).output().unwrap();
        String::from_utf8(done.stderr).unwrap()
    };
    let born = kept().parent().unwrap().with_file_name("born-local").join("tenant");
    for (archive, document) in [
        (kept(), "package/package.json"),
        (born.clone(), "keys/keys.json"),
        (born, "challenge/challenge.json"),
    ] {
        let copy = Copy::of(&archive);
        let expected = format!("FALSE: {document}: one public key under two labels");
        assert!(!found(&copy).contains("FALSE"), "{document}");
        let path = copy.file(document);
        let mut changed: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let keys = &mut changed["body"]["keys"];
        keys[1]["spki"] = keys[0]["spki"].clone();
        fs::write(&path, changed.to_string()).unwrap();
        copy.make_sums();
        let said = found(&copy);
        assert!(said.contains(&expected), "{said}");
    }
}
