//! The nodes of a service, through the real programs: what evidence is refused, and what becomes of
//! nodes, primaries and former keys, also after the ceremony has ended.

use std::{fs, process::Command};

use crate::common::{
    run,
    stage::{Done, Ended, NODES, Setting, Stage},
};

fn add(stage: &Stage, file: &str) -> Ended {
    stage.hoster(&["evidence", "add", file])
}

/// How many entries of the hoster's log are evidence.
fn added(stage: &Stage) -> usize {
    let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    log.matches("\"event\":\"evidence\"").count()
}

#[test]
fn a_node_proves_itself_in_its_turn_and_for_itself_only() {
    let mut stage = Stage::at(Done::Register);
    stage.hoster(&["primary"]).refused("EVIDENCE-MISSING");
    stage.node_prove("node2", "b", "medium").refused("NODE-ORDER");
    stage.node_prove("node9", "b", "medium").refused("NODE-ORDER");
    // A folder in which one file was exchanged.
    let exchanged = |name: &str, bytes: &[u8]| {
        let path = stage.path("hoster/register").join(name);
        let kept = fs::read(&path).ok();
        fs::write(&path, bytes).unwrap();
        stage.node_prove("node1", "a", "medium").refused("NODE-FOLDER");
        fs::remove_file(&path).unwrap();
        if let Some(kept) = kept {
            fs::write(&path, kept).unwrap();
        }
    };
    let other = fs::read(stage.path("hoster/register/hgs-encryption.crt")).unwrap();
    exchanged("hgs-signing.crt", &other);
    exchanged("registration.json", b"{}");
    exchanged("01-install-node1.json", b"{}");
    let order = record::service::Order::new(
        record::service::OrderKind::Activate,
        1,
        record::encoding::Hash::of(b"another brief"),
        record::encoding::Hash::of(b""),
    );
    exchanged("01-activate.json", &record::encoding::json_file(&order).unwrap());
    let good = stage.prove_node("node1", "ready");
    stage.node_prove("node1", "a", "medium").refused("FILE-EXISTS");

    // Another node's copy.
    fs::copy(stage.path(&good), stage.path("medium/node2-ready.json")).unwrap();
    add(&stage, "medium/node2-ready.json").refused("EVIDENCE-NODE");
    // Another ceremony's.
    let mut other = Stage::another(Done::Register);
    let foreign = other.prove_node("node1", "ready");
    fs::create_dir(stage.path("foreign")).unwrap();
    fs::copy(other.path(&foreign), stage.path("foreign/node1-ready.json")).unwrap();
    add(&stage, "foreign/node1-ready.json").refused("EVIDENCE-SIGNATURE");
    // Too large, and no evidence at all.
    fs::write(stage.path("foreign/node1-ready.json"), vec![b' '; (2 << 20) + 1]).unwrap();
    add(&stage, "foreign/node1-ready.json").refused("DOCUMENT-SIZE");
    fs::write(stage.path("foreign/node1-ready.json"), "{}").unwrap();
    add(&stage, "foreign/node1-ready.json").refused("EVIDENCE-FORMAT");
    assert_eq!(added(&stage), 0);

    add(&stage, &good).ok();
    // The second node on the first one's machine.
    let _ = fs::remove_file(stage.path("medium/node2-ready.json"));
    stage.node_prove("node2", "NODE1", "medium").ok();
    add(&stage, "medium/node2-ready.json").refused("EVIDENCE-NODE");
    stage.hoster(&["primary"]).refused("EVIDENCE-MISSING");
    let second = stage.prove_node("node2", "ready");
    add(&stage, &second).ok();
    stage.done = Some(Done::Ready);
    stage.walk_to(Done::Primary);
    // What was proven before activation proves nothing after it.
    add(&stage, &good).refused("EVIDENCE-STAGE");
    stage.walk_to(Done::TenantClose);
    other.walk_to(Done::Ready);
}

/// One bit of every byte changed, and every length cut: never taken, never a panic.
#[test]
fn no_changed_evidence_is_taken() {
    let stage = Stage::at(Done::Register);
    let file = stage.prove_node("node1", "ready");
    let whole = fs::read(stage.path(&file)).unwrap();
    let ceremony =
        ceremony::Ceremony::open(&stage.path("hoster"), record::terms::Side::Hoster).unwrap();
    let keys = ceremony.key_set().unwrap();
    let brief = ceremony.brief().unwrap();
    let told =
        record::service::EvidenceContext { plan: &ceremony.plan, keys: &keys, brief: &brief };
    let holds = |bytes: &[u8]| {
        let evidence = record::service::NodeEvidence::parse(bytes, "node1-ready.json");
        evidence.and_then(|evidence| evidence.verify(&told).map(|()| evidence))
    };
    let said = holds(&whole).unwrap().statement;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        // White space around the fields is not what is signed; everything else is refused.
        if let Ok(evidence) = holds(&changed) {
            assert_eq!(evidence.statement, said, "byte {at}");
            assert!(whole[at].is_ascii_whitespace(), "byte {at}");
        }
    }
    for length in 0..whole.len() - 1 {
        assert!(holds(&whole[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn the_former_keys_come_back_and_the_tenants_follow_again() {
    let mut stage = Stage::at(Done::Active);
    stage.hoster(&["rollback"]).ended_with(6);
    stage.approve("hoster", "rollback", &["hana"]);
    stage.hoster(&["rollback"]).ended_with(6);
    stage.approve("hoster", "rollback", &["hugo"]);
    let active = stage.path("medium/node1-active.json");
    fs::copy(&active, stage.path("older.json")).unwrap();
    stage.hoster(&["rollback"]).ok();
    assert!(stage.json("hoster/registry.json")["primary"].is_null());
    stage.hoster(&["primary"]).refused("EVIDENCE-MISSING");
    // Orders follow from the log: one that is lost is written again.
    let order = stage.path("hoster/register/03-rollback.json");
    let given = fs::read(&order).unwrap();
    fs::remove_file(&order).unwrap();
    stage.hoster(&["status"]).ok();
    assert_eq!(fs::read(&order).unwrap(), given);
    for node in NODES {
        let file = stage.prove_node(node, "ready");
        add(&stage, &file).ok();
    }
    // Signed for once is not signed for again.
    stage.pass("hoster", "primary", &["primary"]);
    stage.hoster(&["primary"]).ok();
    fs::rename(stage.path("older.json"), &active).unwrap();
    add(&stage, "medium/node1-active.json").refused("EVIDENCE-STAGE");
    stage.done = Some(Done::Primary);
    stage.walk_to(Done::TenantClose);
    stage.sign_heads();
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("the record is complete"), "{verdict}");
}

#[test]
fn a_node_leaves_another_is_replaced_after_the_end_and_a_former_key_is_retired() {
    let mut stage = Stage::at(Done::Register);
    stage.hoster(&["nodes", "--remove", "node9"]).ended_with(2);
    stage.hoster(&["nodes", "--remove", "node1", "--remove", "node2"]).ended_with(2);
    let leaves = ["nodes", "--remove", "node2"];
    stage.pass("hoster", "nodes", &leaves);
    stage.hoster(&leaves).ok();
    let file = stage.prove_node("node1", "ready");
    add(&stage, &file).ok();
    stage.done = Some(Done::Ready);
    stage.walk_to(Done::Primary);
    let file = stage.prove_node("node1", "active");
    add(&stage, &file).ok();
    stage.done = Some(Done::Active);
    // The ceremony's own key is primary, and one of the tenant's is not, and was never here.
    stage.hoster(&["retire", "tenant/keys/hgs-signing.crt"]).refused("TARGET-PRIMARY");
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout"])
        .arg(stage.path("former.key"))
        .args(["-subj", "/CN=former", "-sha256", "-outform", "DER", "-out"])
        .arg(stage.path("former.crt")));
    stage.hoster(&["retire", "former.crt"]).ok();
    let log = fs::read(stage.path("hoster/log.jsonl")).unwrap();
    let said = stage.hoster(&["retire", "former.crt"]).ok();
    assert!(said.contains("This is done already"), "{said}");
    assert_eq!(fs::read(stage.path("hoster/log.jsonl")).unwrap(), log);
    stage.walk_to(Done::TenantClose);
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("node2 left the service"), "{verdict}");

    // After the end: the service lives on, the ceremony does not.
    let replaced = ["nodes", "--replace", "node1"];
    stage.pass("hoster", "nodes", &replaced);
    stage.hoster(&replaced).ok();
    let file = stage.prove_node("node1", "active");
    add(&stage, &file).ok();
    stage.hoster(&["register"]).refused("PHASE-ORDER");
    stage.tenant(&["accept", "medium/registration"]).refused("PHASE-ORDER");
    stage.hoster(&["close"]).ok();
    stage.sign_heads();
    // The first archive's log is the beginning of the one that went on.
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("the record is complete"), "{verdict}");
    for archive in ["hoster/archive", "hoster/archive-2"] {
        stage.auditor(&["verify", archive]).ok();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
        run(Command::new(script).arg(stage.path(archive)));
    }
}

/// A machine that dies between activation and registration: its successor shows what counts then.
#[test]
fn a_node_is_replaced_while_the_keys_are_primary() {
    let mut stage = Stage::at(Done::Primary);
    let replaced = ["nodes", "--replace", "node2"];
    stage.pass("hoster", "nodes", &replaced);
    stage.hoster(&replaced).ok();
    let file = stage.prove_node("node1", "active");
    add(&stage, &file).ok();
    stage.hoster(&["primary"]).refused("EVIDENCE-MISSING");
    let file = "medium/node2-active.json";
    stage.node_prove("node2", "another", "medium").ok();
    add(&stage, file).ok();
    stage.done = Some(Done::Active);
    stage.walk_to(Done::TenantClose);
    stage.sign_heads();
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("the record is complete"), "{verdict}");
}

/// What every node is given is the reviewed text, whatever the plan's people wrote.
#[test]
fn the_scripts_are_the_same_whatever_a_plan_says() {
    let hgs = Setting { hgs: true, ..Setting::default() };
    let mut stage = Stage::with(hgs, |plan| {
        plan.replace("CN=test signing", "CN=$(calc) `x` 'quoted'; Remove-Item")
            .replace("hgs-signing", "remove-item-0")
    });
    stage.walk_to(Done::Register);
    let register = stage.path("hoster/register");
    run(Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(&register));
    let templates = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/hgs")).unwrap();
    let mut compared = 0;
    for template in templates.map(|entry| entry.unwrap().path()) {
        let given = register.join(template.file_name().unwrap());
        assert_eq!(fs::read(&given).unwrap(), fs::read(&template).unwrap(), "{}", given.display());
        compared += 1;
    }
    assert_eq!(compared, 6);
}
