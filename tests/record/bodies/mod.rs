//! What a document may say, and whether it holds together, where the ceremonies that are kept in
//! `tests/replayed` have none of it: metadata of nodes, attestations, words about backups, files as
//! large as they may be. Needs no HSM, so that mutants of `src/document` are run on it.

mod files;
mod keys;
mod meaning;

use std::{fs, path::PathBuf};

use record::{
    Error, Result,
    attestation::MAX_ATTESTATION,
    document::{
        Body, Document, Header, MAX_DOCUMENT,
        acceptance::{Acceptance, Published},
        attestation::{Attestation, Attested},
        challenge::Challenge,
        closing::Closing,
        held_key::BORN,
        keys::TargetKeys,
        offer::Offer,
        package::Package,
        read, read_files,
        receipt::Receipt,
        registration::Registration,
    },
    encoding::Hash,
    log::MAX_LOG,
    plan::{Plan, Waiver},
    proof::key_set::KeySet,
    rule::Rule,
    service::{MAX_EVIDENCE, metadata::MAX_METADATA},
    signature::MAX_SIGNATURE,
    terms::{
        AttestationLevel, Id, Kind, Listed, MAX_TEXT, Mechanism, OaepHash, Originals, ReadBack,
        Role, TransferRoute,
    },
};
use terminal::report::Report;

/// A ceremony that is kept, as its tenant's archive has it.
struct Kept {
    archive: PathBuf,
    plan: Plan,
}

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replayed/v1");

impl Kept {
    fn of(way: &str) -> Self {
        let archive = PathBuf::from(KEPT).join(way).join("tenant");
        let plan = Plan::read(&archive.join("ceremony.toml")).unwrap();
        Kept { archive, plan }
    }

    fn folder(&self, kind: Kind) -> PathBuf {
        self.archive.join(kind.name())
    }

    fn document<B: Body>(&self) -> Document<B> {
        let main = self.folder(B::KIND).join(B::KIND.file());
        serde_json::from_slice(&fs::read(main).unwrap()).unwrap()
    }
}

/// What a body that was changed says that is not allowed: what was found.
fn said<B: Body>(document: &Document<B>, plan: &Plan) -> Option<String> {
    document.body.check(&document.header, plan).err().map(|(found, _)| found)
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn listed(length: u64) -> Listed {
    Listed { hash: Hash::of(b"x"), length }
}

fn rule<T>(done: Result<T>) -> Option<Rule> {
    match done {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal.rule),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_acceptance_lists_metadata_of_the_plans_nodes_once_each() {
    let hgs = Kept::of("single-shot-hgs");
    let mut acceptance: Document<Acceptance> = hgs.document();
    let published = |node: &str, by: &str, from: &str| Published {
        node: id(node),
        file: listed(MAX_METADATA),
        fetched_by: id(by),
        fetched_from: from.into(),
    };
    let good = || published("node1", "ada", "here");
    let (second, third) =
        (published("node2", "hana", "there"), published("node3", "cyd", &"ü".repeat(200)));
    for some in [
        vec![],
        vec![good()],
        vec![third.clone()],
        vec![good(), third.clone()],
        vec![good(), second.clone(), third.clone()],
    ] {
        acceptance.body.metadata = some;
        assert_eq!(said(&acceptance, &hgs.plan), None);
        let text = serde_json::to_string(&acceptance.body).unwrap();
        let again: Acceptance = serde_json::from_str(&text).unwrap();
        assert_eq!(again.metadata, acceptance.body.metadata);
        let none = acceptance.body.metadata.is_empty();
        assert_eq!(text.contains("metadata"), !none);
        let names: Vec<String> =
            acceptance.body.files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "log.jsonl");
        assert_eq!(names.len(), acceptance.body.metadata.len() + 1);
        assert!(names.iter().all(|name| none
            || name == "log.jsonl"
            || name.starts_with("node") && name.ends_with(".metadata.xml")));
    }
    let mut large = good();
    large.file.length = MAX_METADATA + 1;
    for (bad, found) in [
        (vec![second, good()], "metadata of node1"),
        (vec![good(), good()], "metadata of node1"),
        (vec![published("node9", "ada", "x")], "metadata of node9"),
        (vec![published("node1", "stranger", "x")], "metadata of node1 fetched by stranger"),
        (vec![large], "node1.metadata.xml of 1048577 bytes"),
        (vec![published("node1", "ada", "")], "fetched_from"),
        (vec![published("node1", "ada", " ")], "fetched_from"),
        (vec![published("node1", "ada", "a\u{1b}")], "fetched_from"),
        (vec![published("node1", "ada", &"a".repeat(201))], "fetched_from"),
    ] {
        acceptance.body.metadata = bad;
        let said = said(&acceptance, &hgs.plan).unwrap();
        assert!(said.contains(found), "{said}");
    }
    let local = Kept::of("single-shot-local");
    let mut acceptance: Document<Acceptance> = local.document();
    assert_eq!(said(&acceptance, &local.plan), None);
    acceptance.body.metadata = vec![good()];
    let found = said(&acceptance, &local.plan).unwrap();
    assert_eq!(found, "metadata of nodes");
}

fn attestation(of: &str, report: bool) -> Attestation {
    Attestation { of: id(of), file: listed(1), report: report.then(|| listed(2)) }
}

#[test]
fn attestations_are_of_the_documents_keys_once_each_and_in_their_order() {
    let (carried, born) = (Kept::of("single-shot-hgs"), Kept::of("born-hgs"));
    let mut offer: Document<Offer> = carried.document();
    assert_eq!(offer.body.files(), []);
    offer.body.attestations = vec![attestation("kek", true)];
    assert_eq!(said(&offer, &carried.plan), None);
    let expected = [("kek.attestation", 1), ("kek.attestation-report", 2)];
    let expected = expected.map(|(name, length)| (name.to_owned(), listed(length)));
    assert_eq!(offer.body.files(), expected);
    offer.body.attestations = vec![attestation("kek", false)];
    assert_eq!(offer.body.files(), expected[..1]);
    let mut keys: Document<TargetKeys> = born.document();
    let certificates = keys.body.files();
    assert_eq!(certificates.len(), 2);
    let (signing, encryption) = ("hgs-signing", "hgs-encryption");
    for good in [vec![signing], vec![encryption], vec![signing, encryption], vec![]] {
        keys.body.attestations = good.iter().map(|of| attestation(of, false)).collect();
        assert_eq!(said(&keys, &born.plan), None);
        let files = keys.body.files();
        assert_eq!(files.len(), 2 + good.len());
        assert!(certificates.iter().all(|file| files.contains(file)));
    }
    for bad in [vec![encryption, signing], vec![signing, signing], vec!["kek"]] {
        keys.body.attestations = bad.iter().map(|of| attestation(of, false)).collect();
        let found = said(&keys, &born.plan).unwrap();
        assert!(found.starts_with("an attestation of "), "{found}");
    }
    for bad in [vec![signing], vec!["kek", "kek"]] {
        offer.body.attestations = bad.iter().map(|of| attestation(of, false)).collect();
        let found = said(&offer, &carried.plan).unwrap();
        assert!(found.starts_with("an attestation of "), "{found}");
    }
}

#[test]
fn the_least_attested_key_is_what_a_document_amounts_to() {
    let mut born = Kept::of("born-hgs");
    let mut keys: Document<TargetKeys> = born.document();
    let at = jiff::Timestamp::UNIX_EPOCH;
    let judge = |keys: &Document<TargetKeys>, plan: &Plan| {
        keys.body.attested(|_| b"not a certificate", plan, at)
    };
    keys.body.attestations = vec![attestation("hgs-signing", true)];
    let judged = judge(&keys, &born.plan).unwrap();
    assert_eq!(judged.level, AttestationLevel::Witnessed);
    let [signing, encryption] = &judged.lines[..] else {
        panic!("{:?}", judged.lines);
    };
    assert!(signing.starts_with("hgs-signing: witnessed only: an attestation"));
    assert_eq!(encryption, "hgs-encryption: witnessed only");
    let shown = Report::new("Judged.").texts("evidence", &judged.lines).text();
    assert!(shown.contains(signing) && shown.contains(encryption));
    // Without its tool's report, the file itself is read.
    keys.body.attestations = vec![attestation("hgs-encryption", false)];
    let unread = judge(&keys, &born.plan);
    assert_eq!(rule(unread), Some(Rule::AttestationFormat));
    keys.body.attestations = vec![];
    for more in [AttestationLevel::Origin, AttestationLevel::OriginAndUsage] {
        born.plan.transfer.evidence = more;
        let refused = judge(&keys, &born.plan);
        assert_eq!(rule(refused), Some(Rule::AttestationLevel));
    }
}

#[test]
fn a_closing_speaks_of_backups_where_the_originals_go() {
    let mut kept = Kept::of("single-shot-local");
    let mut closing: Document<Closing> = kept.document();
    assert_eq!(kept.plan.source, Originals::Keep);
    assert_eq!(said(&closing, &kept.plan), None);
    closing.body.backup = Some("two HSMs".into());
    assert_eq!(said(&closing, &kept.plan).unwrap(), "8 bytes about backups");
    kept.plan.source = Originals::Destroy;
    for (backup, found) in [
        (None, None),
        (Some("two HSMs".to_owned()), None),
        (Some("x".repeat(MAX_TEXT)), None),
        (Some("x".repeat(MAX_TEXT + 1)), Some("4097 bytes about backups")),
        (Some(String::new()), Some("0 bytes about backups")),
        (Some(" \n".into()), Some("2 bytes about backups")),
    ] {
        closing.body.backup = backup;
        assert_eq!(said(&closing, &kept.plan).as_deref(), found);
    }
    closing.body.backup = None;
    let token = closing.body.token.take();
    assert!(token.is_some());
    assert_eq!(said(&closing, &kept.plan).unwrap(), "a KEK and no token");
    closing.body.kek_fingerprint = None;
    assert_eq!(said(&closing, &kept.plan).unwrap(), "no KEK");
    let born = Kept::of("born-local");
    let mut closing: Document<Closing> = born.document();
    for token in [None, token] {
        closing.body.token = token;
        assert_eq!(said(&closing, &born.plan), None);
    }
}

#[test]
fn a_receipt_names_custodians_of_the_plan_and_no_others() {
    let kept = Kept::of("single-shot-hgs");
    let mut receipt: Document<Receipt> = kept.document();
    assert_eq!(said(&receipt, &kept.plan), None);
    let opened = receipt.body.custodians.clone();
    for (custodians, spent) in [
        ([&opened[1..], &[id("zoe")]].concat(), vec![]),
        ([&opened[1..], &[id("zoe")]].concat(), vec![id("zoe")]),
        (opened.clone(), vec![id("zoe")]),
        (opened[1..].to_vec(), vec![]),
        ([&opened[..], &opened[..1]].concat(), vec![]),
    ] {
        receipt.body.custodians = custodians;
        receipt.body.spent = spent;
        let found = said(&receipt, &kept.plan).unwrap();
        assert!(found.starts_with("opened by "), "{found}");
    }
}

#[test]
fn a_registration_has_evidence_of_every_node_that_stays() {
    let kept = Kept::of("single-shot-hgs");
    let folder = kept.folder(Kind::Registration);
    let package = read::<Package>(&kept.folder(Kind::Package), &kept.plan).unwrap();
    let keys = KeySet::from(&package);
    let mut registration = read::<Registration>(&folder, &kept.plan).unwrap();
    let nodes = kept.plan.target.nodes();
    let evidence = registration.verify(&kept.plan, &keys).unwrap();
    assert_eq!(evidence.len(), 2 * nodes.len());
    assert_eq!(registration.evidence().unwrap().len(), evidence.len());
    // What one node has proven, another has not.
    let of = |node: &Id| format!("{node}-ready.json");
    let first = registration.files[&of(&nodes[0])].clone();
    registration.files.insert(of(&nodes[1]), first);
    let refused = rule(registration.verify(&kept.plan, &keys));
    assert_eq!(refused, Some(Rule::EvidenceMissing));
    registration.files.insert(of(&nodes[1]), b"{}".to_vec());
    assert_eq!(rule(registration.evidence()), Some(Rule::EvidenceFormat));
    let mut document = registration.document;
    document.body.removed = vec![id("node9")];
    let found = said(&document, &kept.plan);
    assert_eq!(found.unwrap(), "1 nodes left");
    document.body.removed = nodes.to_vec();
    document.body.evidence.clear();
    let found = said(&document, &kept.plan);
    assert_eq!(found.unwrap(), format!("{} nodes left", nodes.len()));
}
