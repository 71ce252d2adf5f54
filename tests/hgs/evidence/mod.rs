//! What the scripts of a node would have let pass, because somebody changed them or wrote the
//! evidence by hand, the ceremony itself refuses: every statement here is signed by the real key.

mod folder;
mod proving;

use std::{fs, process::Command};

use jiff::{SignedDuration, Timestamp};

use crate::common::{
    run,
    simulated::simulated,
    stage::{Done, Setting, Stage as Ceremony},
};
use folder::Folder;
use proving::Token;
use record::{
    encoding::{Blob, Hash},
    rule::Rule,
    service::{NodeEvidence, Published, Statement, soaked},
    terms::Stage,
};

/// A ceremony of an HGS of three nodes, and the token that its nodes use.
struct Cluster {
    ceremony: Ceremony,
    token: Token,
}

impl Cluster {
    /// With this in its plan.
    fn new(target: &str) -> Self {
        let setting = Setting { hgs: true, ..Setting::default() };
        let mut ceremony =
            Ceremony::with(setting, |plan| plan.replace("deployment = \"rotation\"", target));
        ceremony.walk_to(Done::Register);
        Cluster { token: Token::of(&ceremony), ceremony }
    }

    fn folder(&self) -> Folder {
        Folder::read(&self.ceremony.path("hoster/register"))
    }

    /// What a node says on which nothing is wrong.
    fn right(&self, name: &str) -> Statement {
        self.token.statement(name, &self.folder())
    }

    /// Gives a statement, rightly signed, to the ceremony: the rule by which it is refused; none where
    /// it is taken.
    fn given(&self, said: &Statement) -> Option<Rule> {
        let file = self.token.write(&self.folder(), said, &self.ceremony.path("medium"));
        let added = || {
            let log = fs::read_to_string(self.ceremony.path("hoster/log.jsonl")).unwrap();
            log.matches("\"event\":\"evidence\"").count()
        };
        let before = added();
        let ended = self.ceremony.hoster(&["evidence", "add", file.to_str().unwrap()]);
        if ended.code == 0 {
            return None;
        }
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert_eq!(added(), before, "nothing was added");
        let (said, _) = ended.err.split_once(")\n  found: ").expect("a rule is named");
        let (_, rule) = said.rsplit_once('(').expect("a rule is named");
        Some(Rule::by_name(rule).expect("a rule of the program"))
    }

    /// Every node is right at this stage.
    fn all_right(&self) {
        for name in ["node1", "node2", "node3"] {
            assert_eq!(self.given(&self.right(name)), None, "{name}");
        }
    }

    fn activate(&self) {
        self.ceremony.pass("hoster", "primary", &["primary"]);
        self.ceremony.hoster(&["primary"]).ok();
    }
}

/// One thing that a statement should not say.
type Change = fn(&mut Statement);

/// Each alone, in a statement of node1 that is right otherwise.
const WRONG: [(Rule, Change); 23] = [
    (Rule::EvidenceClock, |said| {
        said.time = format!("{:.0}", Timestamp::now() + SignedDuration::from_mins(60));
    }),
    (Rule::EvidenceCertificate, |said| said.keys.clear()),
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
    // Half of a change, or another's, whichever stage it is.
    (Rule::EvidencePrimary, |said| {
        let ours = said.keys[0].thumbprint.clone();
        let first = &mut said.primaries[0].thumbprint;
        *first = if *first == ours { "C".repeat(40) } else { ours };
    }),
    (Rule::EvidenceStage, |said| said.brief = Hash::of(b"another")),
    (Rule::EvidenceStage, |said| said.order = Some(Hash::of(b"nobody gave it"))),
    (Rule::EvidenceStage, |said| {
        said.stage = if said.stage == Stage::Active { Stage::Ready } else { Stage::Active };
    }),
    (Rule::EvidenceNode, |said| said.node = "node9".parse().unwrap()),
];

#[test]
fn each_wrong_word_of_a_node_is_refused_by_name_at_each_stage() {
    let cluster = Cluster::new("deployment = \"rotation\"");
    let before_its_turn = cluster.right("node3");
    assert_eq!(cluster.given(&before_its_turn), Some(Rule::EvidenceTurn));
    for stage in Stage::ALL {
        let right = cluster.right("node1");
        assert_eq!(right.stage, stage);
        for (n, (rule, change)) in WRONG.iter().enumerate() {
            let mut said = right.clone();
            change(&mut said);
            assert_eq!(cluster.given(&said), Some(*rule), "the {n}th, {stage}");
        }
        // No key answers any more: what it once signed elsewhere is all there is.
        let mut said = right.clone();
        let folder = cluster.folder();
        said.keys[0].proof = cluster.token.proof(&folder, &folder.brief.keys[0], "node2/ready");
        assert_eq!(cluster.given(&said), Some(Rule::ProofSignature), "{stage}");
        // What the node publishes counts once the keys are primary.
        let certificate = |label: &str| {
            let file = format!("hoster/register/{label}.crt");
            Blob(fs::read(cluster.ceremony.path(&file)).unwrap())
        };
        let (signing, encryption) = (certificate("hgs-signing"), certificate("hgs-encryption"));
        let swapped = Published { signing: encryption.clone(), encryption: signing.clone() };
        let mut said = right.clone();
        said.published = Some(swapped);
        let refused = (stage == Stage::Active).then_some(Rule::EvidencePrimary);
        assert_eq!(cluster.given(&said), refused, "{stage}");
        said.published = Some(Published { signing, encryption });
        assert_eq!(cluster.given(&said), None, "{stage}");
        said.worker_started = Some("yesterday".into());
        assert_eq!(cluster.given(&said), Some(Rule::EvidenceFormat), "{stage}");
        // Windows does not tell capital letters apart in names.
        let mut said = right.clone();
        said.account = said.account.to_lowercase();
        assert_eq!(cluster.given(&said), None, "{stage}");
        cluster.all_right();
        if stage == Stage::Ready {
            cluster.activate();
        }
    }
}

/// A cluster that is not there yet: an administrator proves that the keys are on each node; nobody is
/// asked to sign for a way back to primaries that there were not.
#[test]
fn a_new_cluster_begins_with_the_tenants_keys() {
    let cluster = Cluster::new("deployment = \"new\"");
    let bare = |name: &str| {
        let mut said = cluster.right(name);
        (said.service_account, said.service_started, said.diagnostics) = (None, None, None);
        said.account = "FABRIKAM\\administrator".into();
        (said.registered, said.primaries) = (Vec::new(), Vec::new());
        said
    };
    for name in ["node1", "node2", "node3"] {
        assert_eq!(cluster.given(&bare(name)), None, "{name}");
    }
    cluster.activate();
    cluster.ceremony.hoster(&["rollback"]).refused("NODE-PRIMARY");
    let mut said = bare("node1");
    said.primaries = cluster.folder().primaries();
    assert_eq!(cluster.given(&said), Some(Rule::EvidenceAccount));
    cluster.all_right();
    let said = cluster.ceremony.hoster(&["primary"]).ok();
    assert!(said.contains("registration"), "{said}");
}

/// What does not pass is named, and officers sign for exactly that, for this node and this stage; who
/// accepts, and whoever verifies, is told.
#[test]
fn diagnostics_that_do_not_pass_are_for_officers_by_name() {
    let setting = Setting { hgs: true, ..Setting::default() };
    let mut stage = Ceremony::with(setting, |plan| plan);
    stage.walk_to(Done::Register);
    simulated(&stage, &["begin", "node1", "node2", "node3"]);
    let add = |node: &str, when: &str| {
        simulated(&stage, &["test", node, "hoster/register", "medium"]);
        ["evidence".to_owned(), "add".to_owned(), format!("medium/{node}-{when}.json")]
    };
    let text = |stage: &Ceremony, add: &[String; 3], code: i32| {
        stage.hoster(&add.each_ref().map(String::as_str)).ended_with(code)
    };
    let signed = |add: &[String; 3]| {
        stage.pass("hoster", "deviation", &add.each_ref().map(String::as_str));
        text(&stage, add, 0)
    };
    for node in ["node1", "node2", "node3"] {
        simulated(&stage, &["install", node, "hoster/register"]);
        if node == "node3" {
            text(&stage, &add(node, "ready"), 0);
            continue;
        }
        simulated(&stage, &["diagnose", node, "Https / Binding", "Warning"]);
        let first = add(node, "ready");
        let waits = text(&stage, &first, 6);
        assert!(waits.contains("Https / Binding: Warning"), "{waits}");
        stage.approve("hoster", "deviation", &["hana"]);
        text(&stage, &first, 6);
        // Another result of the same check is something else; so is the same at another node.
        simulated(&stage, &["diagnose", node, "Https / Binding", "Fail"]);
        fs::remove_file(stage.path(&first[2])).unwrap();
        signed(&add(node, "ready"));
    }
    let request = stage.json("hoster/approvals/02-deviation.json");
    let subject = serde_json::json!({ "node": "node1", "stage": "ready", "diagnostics": ["Https / Binding: Fail"] });
    assert_eq!(request["subject"], subject);
    stage.done = Some(Done::Ready);
    stage.walk_to(Done::Primary);
    simulated(&stage, &["set", "hoster/register"]);
    for node in ["node1", "node2", "node3"] {
        let active = || {
            simulated(&stage, &["test", node, "hoster/register", "medium"]);
            ["evidence".to_owned(), "add".to_owned(), format!("medium/{node}-active.json")]
        };
        match node {
            "node3" => drop(text(&stage, &active(), 0)),
            _ => {
                let active = active();
                stage.pass("hoster", "deviation", &active.each_ref().map(String::as_str));
                text(&stage, &active, 0);
            }
        }
    }
    stage.done = Some(Done::Active);
    stage.walk_to(Done::RegistrationRelease);
    let accepted = stage.tenant(&["accept", "medium/registration"]).ok();
    for place in ["node1/ready", "node2/ready", "node1/active", "node2/active"] {
        let line = format!(
            "{place}: the service's own diagnostics there do not pass: Https / Binding: Fail"
        );
        assert!(accepted.contains(&line), "{accepted}");
    }
    stage.done = Some(Done::Accept);
    stage.walk_to(Done::TenantClose);
    stage.sign_heads();
    let verdict = stage.auditor(&["verify", "tenant", "hoster"]).ok();
    assert!(verdict.contains("evidence active of node2 was taken although"), "{verdict}");
    let verdict = stage.auditor(&["verify", "tenant/archive"]).ok();
    assert!(verdict.contains("Https / Binding: Fail"), "{verdict}");
    for archive in ["tenant/archive", "hoster/archive"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
        let said = run(Command::new(script).arg(stage.path(archive)));
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("takes the evidence ready of node1 although"), "{said}");
    }
}

/// The soak hours are waited for by every node, with its service started again: nShield switches
/// imported keys off after 48.
#[test]
fn the_registration_waits_for_the_soak_hours() {
    let cluster = Cluster::new("deployment = \"rotation\"\nsoak_hours = 48");
    cluster.all_right();
    cluster.activate();
    cluster.all_right();
    cluster.ceremony.hoster(&["primary"]).refused("EVIDENCE-SOAK");

    let folder = cluster.folder();
    let said = cluster.right("node1");
    let activated: Timestamp = said.time.parse().unwrap();
    let rule = |proved: SignedDuration, started: Option<SignedDuration>| {
        let at = |after: SignedDuration| format!("{:.0}", activated + after);
        let mut said = said.clone();
        (said.time, said.service_started) = (at(proved), started.map(at));
        let evidence = evidence(&cluster.token, &folder, &said);
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
    // A process that was not started since still runs, whatever its service says.
    let mut said = said.clone();
    said.time = format!("{:.0}", activated + hours(48));
    said.service_started = Some(said.time.clone());
    for (started, refused) in [(-second, Some(Rule::EvidenceSoak)), (second, None)] {
        said.worker_started = Some(format!("{:.0}", activated + started));
        let evidence = evidence(&cluster.token, &folder, &said);
        let soaked = soaked(&evidence, activated, 48);
        assert_eq!(soaked.err().and_then(|error| error.rule()), refused);
    }
}

/// The evidence of a statement, read as a program reads it.
fn evidence(token: &Token, folder: &Folder, said: &Statement) -> NodeEvidence {
    let out = tempfile::tempdir().unwrap();
    let path = token.write(folder, said, out.path());
    NodeEvidence::parse(&std::fs::read(path).unwrap(), "node1-active.json").unwrap()
}
