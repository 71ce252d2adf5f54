//! What the scripts of a node would have let pass, because somebody changed them or wrote the
//! evidence by hand, the ceremony itself refuses: every statement here is signed by the real key.

use jiff::{SignedDuration, Timestamp};

use super::{
    INSTALL, TEST,
    cluster::SERVICE,
    fault::Fault,
    folder::Folder,
    proving::Token,
    walk::{Move, Walk, hgs},
};
use record::{
    encoding::Hash,
    rule::Rule,
    service::{NodeEvidence, Statement, soaked},
    terms::{PrimaryKey, Role, Stage},
};

/// The rule by which each fault is refused when nobody at the node looked, before activation and
/// after it.
const REFUSED: [(Fault, Rule, Rule); 10] = [
    (Fault::SigningUnreadable, Rule::EvidenceAccount, Rule::EvidenceAccount),
    (Fault::EncryptionUnreadable, Rule::EvidenceAccount, Rule::EvidenceAccount),
    (Fault::CommunicationsUnreadable, Rule::EvidenceDiagnostic, Rule::EvidenceDiagnostic),
    (Fault::CurrentUser, Rule::EvidenceCertificate, Rule::EvidenceCertificate),
    (Fault::SoftwareKey, Rule::EvidenceProvider, Rule::EvidenceProvider),
    (Fault::OneThumbprint, Rule::EvidenceCertificate, Rule::EvidenceCertificate),
    (Fault::NoAudits, Rule::EvidenceCertificate, Rule::EvidencePrimary),
    (Fault::NoSession, Rule::EvidenceAccount, Rule::EvidenceAccount),
    (Fault::KeysOff, Rule::ProofSignature, Rule::ProofSignature),
    (Fault::ClockAhead, Rule::EvidenceClock, Rule::EvidenceClock),
];

/// What a node would say whose scripts look at nothing.
fn unseen(walk: &Walk, fault: Fault, folder: &Folder) -> Statement {
    let seen = walk.cluster.see("node1", folder);
    // Where the service's account cannot use a key, an administrator still can.
    let account = match fault {
        Fault::SigningUnreadable | Fault::EncryptionUnreadable | Fault::NoSession => {
            "FABRIKAM\\administrator"
        }
        _ => SERVICE,
    };
    let mut said = walk.token.statement(&walk.cluster, &seen, ("node1", account), folder);
    if fault == Fault::CurrentUser {
        said.keys.clear();
    }
    if fault == Fault::KeysOff {
        // No key answers any more: what it once signed elsewhere is all there is.
        said.keys[0].proof = walk.token.proof(folder, &folder.brief.keys[0], "node2/ready");
    }
    said
}

#[test]
fn what_no_script_looked_at_the_ceremony_refuses() {
    let mut walk = Walk::new(hgs("deployment = \"added\""));
    let nodes = walk.nodes();
    let flow = Move::flow(&nodes);
    walk.go(&flow[0], None).unwrap();
    let before = walk.copy();
    for one in &flow[1..8] {
        walk.go(one, None).unwrap();
    }
    for (fault, ready, active) in REFUSED {
        for (beginning, rule) in [(&before, ready), (&walk, active)] {
            let mut walk = beginning.share();
            let folder = walk.folder();
            fault.happens(&mut walk.cluster, "node1", &folder);
            let said = unseen(&walk, fault, &folder);
            assert_eq!(walk.given(&folder, &said), Some(rule), "{fault:?} {}", said.place());
            fault.is_mended(&mut walk.cluster, "node1", &folder);
            walk.go(&Move::Script(INSTALL, "node1".into()), None).unwrap();
            walk.go(&Move::Script(TEST, "node1".into()), None).unwrap();
        }
    }
}

/// One thing that a statement should not say.
type Change = fn(&mut Statement);

/// Each alone, in a statement of node1 that is right otherwise.
const WRONG: [(Rule, Change); 22] = [
    (Rule::EvidenceAccount, |said| said.account = "FABRIKAM\\administrator".into()),
    (Rule::EvidenceAccount, |said| said.account = String::new()),
    (Rule::EvidenceAccount, |said| said.service_account = None),
    (Rule::EvidenceAccount, |said| {
        (said.account, said.service_account) = (String::new(), Some(String::new()));
    }),
    (Rule::EvidenceDiagnostic, |said| said.diagnostics = None),
    (Rule::EvidenceDiagnostic, |said| said.diagnostics = Some(" \r\n".into())),
    (Rule::EvidenceDiagnostic, |said| {
        said.diagnostics = Some("x\n * OVERALL RESULT: Failed\n".into())
    }),
    (Rule::EvidenceProvider, |said| {
        said.keys[1].provider = "Microsoft Software Key Storage Provider".into()
    }),
    (Rule::EvidenceProvider, |said| said.keys[0].provider = String::new()),
    (Rule::EvidenceCertificate, |said| {
        said.registered.retain(|known| *known != said.keys[1].thumbprint)
    }),
    (Rule::EvidenceCertificate, |said| said.keys[0].certificate = Hash::of(b"another")),
    (Rule::EvidenceCertificate, |said| said.keys[1].thumbprint = said.keys[0].thumbprint.clone()),
    (Rule::EvidenceCertificate, |said| said.keys.swap(0, 1)),
    (Rule::EvidenceCertificate, |said| {
        said.keys.pop();
    }),
    (Rule::EvidenceCertificate, |said| said.keys[1].proof = said.keys[0].proof.clone()),
    (Rule::EvidencePrimary, |said| {
        said.primaries.pop();
    }),
    (Rule::EvidencePrimary, |said| {
        said.primaries[0] =
            PrimaryKey { role: Role::Signing, thumbprint: said.keys[0].thumbprint.clone() };
    }),
    (Rule::EvidenceStage, |said| said.brief = Hash::of(b"another")),
    (Rule::EvidenceStage, |said| said.order = Some(Hash::of(b"nobody gave it"))),
    (Rule::EvidenceStage, |said| said.stage = Stage::Active),
    (Rule::EvidenceNode, |said| said.node = "node9".parse().unwrap()),
    (Rule::EvidenceTurn, |said| said.node = "node3".parse().unwrap()),
];

#[test]
fn each_wrong_word_of_a_node_is_refused_by_name() {
    let mut walk = Walk::new(hgs("deployment = \"rotation\""));
    let flow = Move::flow(&walk.nodes());
    walk.go(&flow[0], None).unwrap();
    let folder = walk.folder();
    let seen = walk.cluster.see("node1", &folder);
    let right = walk.token.statement(&walk.cluster, &seen, ("node1", SERVICE), &folder);
    for (n, (rule, change)) in WRONG.iter().enumerate() {
        let mut said = right.clone();
        change(&mut said);
        assert_eq!(walk.given(&folder, &said), Some(*rule), "the {n}th");
    }
    // Windows does not tell capital letters apart in names.
    let mut said = right.clone();
    said.account = said.account.to_lowercase();
    assert_eq!(walk.given(&folder, &said), None);
}

/// The soak hours are waited for by every node, with its service started again: nShield switches
/// imported keys off after 48.
#[test]
fn the_registration_waits_for_the_soak_hours() {
    let mut walk = Walk::new(hgs("deployment = \"rotation\"\nsoak_hours = 48"));
    for one in Move::flow(&walk.nodes()) {
        walk.go(&one, None).unwrap();
    }
    walk.stage.own().hoster(&["primary"]).refused("EVIDENCE-SOAK");

    let folder = walk.folder();
    let seen = walk.cluster.see("node1", &folder);
    let said = walk.token.statement(&walk.cluster, &seen, ("node1", SERVICE), &folder);
    let activated: Timestamp = said.time.parse().unwrap();
    let rule = |proved: SignedDuration, started: Option<SignedDuration>| {
        let at = |after: SignedDuration| format!("{:.0}", activated + after);
        let mut said = said.clone();
        (said.time, said.service_started) = (at(proved), started.map(at));
        let evidence = evidence(&walk.token, &folder, &said);
        let rule = |hours| soaked(&evidence, activated, hours).err().and_then(|error| error.rule());
        assert_eq!(rule(0), None);
        rule(48)
    };
    let (hours, second) = (SignedDuration::from_hours, SignedDuration::from_secs(1));
    assert_eq!(rule(hours(48), Some(second)), None);
    assert_eq!(rule(hours(500), Some(hours(499))), None);
    assert_eq!(rule(hours(48) - second, Some(second)), Some(Rule::EvidenceSoak));
    assert_eq!(rule(hours(48), Some(hours(0))), Some(Rule::EvidenceSoak));
    assert_eq!(rule(hours(48), Some(-second)), Some(Rule::EvidenceSoak));
    assert_eq!(rule(hours(48), None), Some(Rule::EvidenceSoak));
}

/// The evidence of a statement, read as a program reads it.
fn evidence(token: &Token, folder: &Folder, said: &Statement) -> NodeEvidence {
    let out = tempfile::tempdir().unwrap();
    let path = token.write(folder, said, out.path());
    NodeEvidence::parse(&std::fs::read(path).unwrap(), "node1-active.json").unwrap()
}
