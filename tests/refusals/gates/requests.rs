//! Every gate waits for two distinct officers over exactly what is about to happen.

use super::*;
use ceremony::Ceremony;
use record::{encoding::Hash, gate::KekDestroy, rule::Rule, terms::Side};

/// A gate: where a ceremony comes to it, whose it is, the command, its officers and somebody of the
/// other side.
struct AtGate {
    done: Done,
    side: &'static str,
    gate: &'static str,
    command: Vec<String>,
}

fn gates(stage: &Stage) -> Vec<AtGate> {
    let shares = stage.shares(&["cyd", "dan", "eve"]);
    let gate = |done, side, gate, command: &str, more: &[String]| AtGate {
        done,
        side,
        gate,
        command: (command.split(' ').map(str::to_owned)).chain(more.iter().cloned()).collect(),
    };
    vec![
        gate(Done::KekCreate, "tenant", "abort", "abort --reason late", &[]),
        gate(Done::KekCreate, "hoster", "restart", "restart --reason late", &[]),
        gate(Done::KeysCreate, "tenant", "export", "export", &[]),
        gate(Done::PackageRelease, "tenant", "restart", "restart --reason lost", &[]),
        gate(Done::PackageCheck, "hoster", "import", "import medium/package", &shares),
        gate(Done::Ready, "hoster", "primary", "primary", &[]),
        gate(
            Done::AcceptanceRelease,
            "hoster",
            "kek-destroy",
            "kek destroy medium/acceptance",
            &[],
        ),
    ]
}

#[test]
fn every_gate_takes_two_officers_of_its_side_and_nobody_else() {
    let mut walked = Stage::at(Done::Plan);
    for at in gates(&walked.copy()) {
        walked.walk_to(at.done);
        let stage = walked.copy();
        let command: Vec<&str> = at.command.iter().map(String::as_str).collect();
        let (officers, others) = match at.side {
            "tenant" => (["ada", "ben"], "hana"),
            _ => (["hana", "hugo"], "ada"),
        };
        let waits = |missing: u8| {
            let text = stage.side(at.side, &command).ended_with(6);
            let said = format!("waiting for {missing} more of 2 signatures");
            assert!(text.contains(&said), "{}: {text}", at.gate);
            assert!(text.contains("ssh-keygen -Y sign -n keyferry-approval -f KEY < "), "{text}");
            let line = format!("sign FOLDER --as {} --key KEY --plan PLAN\n", officers[1]);
            assert!(text.contains(&line), "{text}");
            assert!(text.contains(&format!("-{}.json to the officers' own", at.gate)), "{text}");
        };
        waits(2);
        let request = stage.request(at.side, at.gate);
        let sign = |key: &str, name: &str| stage.sign_as(&request, "keyferry-approval", key, name);
        let unsign =
            |name: &str| fs::remove_file(format!("{}.{name}.sig", request.display())).unwrap();
        sign(officers[0], officers[0]);
        waits(1);
        // A witness may countersign, and is not counted; a note voids nothing.
        sign("iris", "iris");
        stage.side(at.side, &["note", "incident", "the lights went out"]).ok();
        waits(1);
        for (key, name, rule) in [
            (officers[0], officers[1], "SIGNATURE-REPEATED"),
            (others, others, "SIGNATURE-SIDE"),
            ("mallory", "mallory", "SIGNATURE-UNKNOWN"),
            ("mallory", officers[1], "SIGNATURE-KEY"),
        ] {
            sign(key, name);
            stage.side(at.side, &command).refused(rule);
            unsign(name);
        }
        assert!(events(&stage, at.side, "approval").iter().all(|entry| entry["gate"] != at.gate));
        sign(officers[1], officers[1]);
        stage.side(at.side, &command).ok();
        let approvals = events(&stage, at.side, "approval");
        let approval = approvals.iter().rfind(|entry| entry["gate"] == at.gate).unwrap();
        assert_eq!(approval["signatures"].as_array().unwrap().len(), 3, "{approval}");
        assert_eq!(approval["request"], Hash::of(&fs::read(&request).unwrap()).to_string());
    }
}

#[test]
fn a_request_says_what_will_happen_and_serves_once() {
    let mut stage = Stage::at(Done::KeysCreate);
    stage.tenant(&["export"]).ended_with(6);
    let request = stage.json("tenant/approvals/01-export.json");
    let offer = stage.json("medium/offer/offer.json");
    assert_eq!(request["subject"]["kek_fingerprint"], offer["body"]["fingerprint"]);
    assert_eq!(request["subject"]["keys"].as_array().unwrap().len(), 2);
    assert_eq!(request["subject"]["custodians"].as_array().unwrap().len(), 5);
    assert!(request["summary"].as_str().unwrap().contains("hgs-signing, hgs-encryption"));
    stage.approve("tenant", "export", &["ada", "ben"]);
    stage.walk_to(Done::PackageRelease);
    // The next attempt asks anew: the old signatures are over another request.
    let restart = ["restart", "--reason", "a custodian lost the share"];
    stage.pass("tenant", "restart", &restart);
    stage.tenant(&restart).ok();
    // The export before has removed the trusted KEK.
    stage.tenant(&["export"]).refused("TARGET-WRAP-WITH-TRUSTED");
    stage.tenant(&["kek", "trust", "--so-pin-file", "so-pin"]).ok();
    let text = stage.tenant(&["export"]).ended_with(6);
    assert!(text.contains("01-export.json asked for something else"), "{text}");
    assert!(stage.path("tenant/approvals/02-export.json").exists());
}

/// What was signed for is exchanged between the signatures and the act.
#[test]
fn an_exchanged_subject_is_caught_at_every_gate() {
    let mut walked = Stage::at(Done::Plan);
    let other = Stage::another(Done::AcceptanceRelease);
    for at in gates(&walked.copy()) {
        walked.walk_to(at.done);
        let signed = walked.copy();
        let command: Vec<&str> = at.command.iter().map(String::as_str).collect();
        signed.pass(at.side, at.gate, &command);
        let mut exchanges: Vec<(String, String, &[&str])> = vec![(
            format!("{}/ceremony.toml", at.side),
            "tenant/ceremony.toml".into(),
            &["PLAN-CHANGED"],
        )];
        exchanges.extend(match at.gate {
            "export" => vec![
                (
                    "tenant/inbox/offer/offer.json".into(),
                    "medium/offer/offer.json".into(),
                    &["DOCUMENT-PLAN"][..],
                ),
                (
                    "tenant/keys/hgs-signing.crt".into(),
                    "tenant/keys/hgs-signing.crt".into(),
                    &["TARGET-CERTIFICATE"],
                ),
            ],
            "import" => vec![
                (
                    "medium/package/package.json".into(),
                    "medium/package/package.json".into(),
                    &["DOCUMENT-PLAN"][..],
                ),
                (
                    "medium/package/hgs-signing.sealed".into(),
                    "medium/package/hgs-signing.sealed".into(),
                    &["DOCUMENT-HASH"],
                ),
                (
                    "hoster/outbox/offer/offer.json".into(),
                    "medium/offer/offer.json".into(),
                    &["DOCUMENT-PLAN"],
                ),
            ],
            "primary" => vec![
                (
                    "hoster/registry.json".into(),
                    "hoster/registry.json".into(),
                    &["EVIDENCE-PRIMARY"][..],
                ),
                (
                    "hoster/register/registration.json".into(),
                    "hoster/register/registration.json".into(),
                    &["DOCUMENT-HASH"],
                ),
                (
                    kept_evidence(&signed, "node1-ready"),
                    kept_evidence(&other, "node1-ready"),
                    &["DOCUMENT-HASH"],
                ),
            ],
            "kek-destroy" => vec![(
                "medium/acceptance/acceptance.json".into(),
                "medium/acceptance/acceptance.json".into(),
                &["DOCUMENT-PLAN"][..],
            )],
            _ => Vec::new(),
        });
        for (file, from, rules) in exchanges {
            let stage = signed.copy();
            fs::copy(other.path(&from), stage.path(&file)).unwrap();
            let ended = stage.side(at.side, &command);
            assert!(
                rules.iter().any(|rule| ended.err.contains(&format!(" ({rule})\n  found: "))),
                "{} with another {file}: {} {}",
                at.gate,
                ended.code,
                ended.err
            );
        }
        rewritten_log(&signed, &at, &command);
        signed.side(at.side, &command).ok();
    }
}

/// A log with another past is whole, and yet not the one that the request names.
fn rewritten_log(signed: &Stage, at: &AtGate, command: &[&str]) {
    let stage = signed.copy();
    let mut prev = "0".repeat(64);
    let mut text = String::new();
    for mut entry in log(&stage, at.side) {
        entry["prev"] = prev.into();
        entry["time"] = "2001-01-01T00:00:00Z".into();
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        text.push_str(&line);
    }
    fs::write(stage.path(&format!("{}/log.jsonl", at.side)), text).unwrap();
    let said = stage.side(at.side, command).ended_with(6);
    assert!(said.contains("asked for something else"), "{}: {said}", at.gate);
}

/// Where the hoster keeps a node's evidence.
fn kept_evidence(stage: &Stage, begins: &str) -> String {
    let names = fs::read_dir(stage.path("hoster/evidence")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.find(|name| name.starts_with(begins)).unwrap();
    format!("hoster/evidence/{name}")
}

/// The keys that become primary, and the ones before them, are those of the request at the moment
/// of the act.
#[test]
fn another_former_primary_needs_new_signatures() {
    let stage = Stage::at(Done::Ready);
    stage.pass("hoster", "primary", &["primary"]);
    let registry = stage.path("hoster/registry.json");
    let mut json = stage.json("hoster/registry.json");
    let mut foreign = json["key_sets"][0].clone();
    foreign["plan_hash"] = Hash::of(b"another plan").to_string().into();
    for key in foreign["keys"].as_array_mut().unwrap() {
        key["thumbprint"] = "0123456789ABCDEF0123456789ABCDEF01234567".into();
    }
    json["primary"] = foreign["plan_hash"].clone();
    json["key_sets"].as_array_mut().unwrap().push(foreign);
    fs::write(&registry, serde_json::to_vec_pretty(&json).unwrap()).unwrap();
    stage.hoster(&["primary"]).refused("EVIDENCE-PRIMARY");
    // Every node must have seen what is primary now, one alone is not enough.
    let file = stage.prove_node("node1", "ready");
    stage.hoster(&["evidence", "add", &file]).ok();
    stage.hoster(&["primary"]).refused("EVIDENCE-PRIMARY");
    let file = stage.prove_node("node2", "ready");
    stage.hoster(&["evidence", "add", &file]).ok();
    let text = stage.hoster(&["primary"]).ended_with(6);
    assert!(text.contains("01-primary.json asked for something else"), "{text}");
    stage.approve("hoster", "primary", &["hugo", "hedy"]);
    stage.hoster(&["primary"]).ok();
}

#[test]
fn an_approval_covers_its_own_subject_only() {
    let stage = Stage::at(Done::KekCreate);
    let dir = stage.path("hoster");
    let subject = |abort: &[u8]| KekDestroy {
        acceptance: None,
        abort: Some(Hash::of(abort)),
        kek_fingerprint: Hash::of(b"KEK"),
        stay: Vec::new(),
        keys: Vec::new(),
    };
    let (this, other) = (subject(b"this"), subject(b"other"));
    let mut ceremony = Ceremony::open(&dir, Side::Hoster).unwrap();
    assert!(ceremony::approval::require(&mut ceremony, &this).is_err());
    stage.approve("hoster", "kek-destroy", &["hana", "hugo"]);
    let approved = ceremony::approval::require(&mut ceremony, &this).unwrap();
    approved.covers(&this).unwrap();
    let error = approved.covers(&other).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::ApprovalSubject));
    // In the log now: going on after a crash needs no new signature, for this subject and no other.
    let entries = ceremony.head().seq;
    ceremony::approval::require(&mut ceremony, &this).unwrap();
    assert_eq!(ceremony.head().seq, entries);
    let waits = |ceremony: &mut Ceremony, subject| {
        ceremony::approval::require(ceremony, subject).err().unwrap().exit_code() == 6
    };
    assert!(waits(&mut ceremony, &other));
    // But the signatures that the log speaks of must be there.
    fs::remove_file(dir.join("approvals/01-kek-destroy.json.hugo.sig")).unwrap();
    assert!(waits(&mut ceremony, &this));
}

/// Officers of this side and witnesses sign the head; `close` says who has not.
#[test]
fn close_says_who_has_not_signed_the_head() {
    let stage = Stage::at(Done::TenantClose);
    let close = |side: &str| -> serde_json::Value {
        serde_json::from_str(&stage.side(side, &["--json", "close"]).ok()).unwrap()
    };
    let said = close("hoster");
    assert_eq!(
        (&said["head_signed"], &said["not_signed"]),
        (&"nobody".into(), &"hana, hugo, hedy, iris".into())
    );
    let head = stage.path("hoster/archive/head.json");
    for id in ["hugo", "iris"] {
        stage.sign(&head, "keyferry-head", id);
    }
    let said = close("hoster");
    assert_eq!(
        (&said["head_signed"], &said["not_signed"]),
        (&"hugo, iris".into(), &"hana, hedy".into())
    );
    stage.sign(&head, "keyferry-document", "hana");
    stage.hoster(&["close"]).refused("SIGNATURE-NAMESPACE");
}

/// Whoever can write into the folder can add a line to the log; without the signatures it approves
/// nothing.
#[test]
fn a_forged_line_in_the_log_approves_nothing() {
    let stage = Stage::at(Done::KeysCreate);
    stage.tenant(&["export"]).ended_with(6);
    let request = stage.request("tenant", "export");
    let bytes = fs::read(&request).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    // The subject in the order of its fields, as the file has them.
    let text = String::from_utf8(bytes.clone()).unwrap();
    let start = text.find("\"subject\": ").unwrap() + 11;
    let end = text.find(",\n  \"summary\"").unwrap();
    let subject = compact(&text[start..end]);
    assert!(json["subject"].is_object() && subject.starts_with(b"{"));
    let path = stage.path("tenant/log.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    let prev = Hash::of(format!("{last}\n").as_bytes());
    let seq = text.lines().count() + 1;
    let signature = Hash::of(b"none");
    let compact = Hash::of(&subject);
    let line = format!(
        "{{\"event\":\"approval\",\"gate\":\"export\",\"prev\":\"{prev}\",\"request\":\"{}\",\"seq\":{seq},\"signatures\":[{{\"id\":\"ada\",\"signature\":\"{signature}\"}},{{\"id\":\"ben\",\"signature\":\"{signature}\"}}],\"subject\":\"{compact}\",\"time\":\"2026-11-25T00:00:00Z\"}}\n",
        Hash::of(&bytes)
    );
    fs::write(&path, text + &line).unwrap();
    stage.tenant(&["status"]).ok();
    let said = stage.tenant(&["export"]).ended_with(6);
    assert!(said.contains("waiting for 2 more"), "{said}");
    stage.approve("tenant", "export", &["ada"]);
    stage.tenant(&["export"]).ended_with(6);
    // The line was of this very subject: with real signatures it needs no other, and its own are
    // still not in it.
    stage.approve("tenant", "export", &["ben"]);
    stage.tenant(&["export"]).ok();
    assert_eq!(events(&stage, "tenant", "approval").len(), 1);
    let error = verify::verify(&[stage.path("tenant")], &Against::default()).err();
    assert!(error.is_some(), "the auditor takes a forged approval");
}

/// JSON without the white space between its parts; none of these texts has any inside.
fn compact(json: &str) -> Vec<u8> {
    let mut inside = false;
    let mut bytes = Vec::new();
    for byte in json.bytes() {
        inside ^= byte == b'"';
        if inside || !byte.is_ascii_whitespace() {
            bytes.push(byte);
        }
    }
    bytes
}
