//! What a document may say, and whether it holds together, where the ceremonies that are kept in `tests/replayed` have none of it: metadata of
//! nodes, attestations, words about backups, files as large as they may be. Needs no HSM, so that mutants of `src/document` are run on it.

use std::{fs, path::PathBuf};

use keyferry::{
    Error, Result,
    attestation::MAX_ATTESTATION,
    document::{
        Body, Document, Header, Kind, Listed, MAX_DOCUMENT,
        acceptance::{Acceptance, Published},
        attestation::Attestation,
        closing::Closing,
        held_key::BORN,
        key_set::KeySet,
        keys::Keys,
        offer::Offer,
        package::Package,
        parts::ReadBack,
        read, read_files, read_without_log,
        receipt::Receipt,
    },
    encoding::Hash,
    log::MAX_LOG,
    node::MAX_EVIDENCE,
    plan::{Evidence, Id, Plan, Role, Source, Waiver, Way},
    room::MAX_TEXT,
    rule::Rule,
    signature::MAX_SIGNATURE,
    target::metadata::MAX_METADATA,
};

/// A ceremony that is kept, as its tenant's archive has it.
struct Kept {
    archive: PathBuf,
    plan: Plan,
}

impl Kept {
    fn of(way: &str) -> Self {
        let archive = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replayed/v1"));
        let archive = archive.join(way).join("tenant");
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
    document
        .body
        .check(&document.header, plan)
        .err()
        .map(|(found, _)| found)
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn listed(length: u64) -> Listed {
    Listed {
        hash: Hash::of(b"x"),
        length,
    }
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
    let (second, third) = (
        published("node2", "hana", "there"),
        published("node3", "cyd", &"ü".repeat(200)),
    );
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
        let names: Vec<String> = acceptance
            .body
            .files()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
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
        (
            vec![published("node1", "stranger", "x")],
            "metadata of node1 fetched by stranger",
        ),
        (vec![large], "node1.metadata.xml of 1048577 bytes"),
        (vec![published("node1", "ada", "")], "fetched_from"),
        (vec![published("node1", "ada", " ")], "fetched_from"),
        (vec![published("node1", "ada", "a\u{1b}")], "fetched_from"),
        (
            vec![published("node1", "ada", &"a".repeat(201))],
            "fetched_from",
        ),
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
    Attestation {
        of: id(of),
        file: listed(1),
        report: report.then(|| listed(2)),
    }
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
    let mut keys: Document<Keys> = born.document();
    let certificates = keys.body.files();
    assert_eq!(certificates.len(), 2);
    let (signing, encryption) = ("hgs-signing", "hgs-encryption");
    for good in [
        vec![signing],
        vec![encryption],
        vec![signing, encryption],
        vec![],
    ] {
        keys.body.attestations = good.iter().map(|of| attestation(of, false)).collect();
        assert_eq!(said(&keys, &born.plan), None);
        let files = keys.body.files();
        assert_eq!(files.len(), 2 + good.len());
        assert!(certificates.iter().all(|file| files.contains(file)));
    }
    for bad in [
        vec![encryption, signing],
        vec![signing, signing],
        vec!["kek"],
    ] {
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
    let mut keys: Document<Keys> = born.document();
    let at = jiff::Timestamp::UNIX_EPOCH;
    let judge =
        |keys: &Document<Keys>, plan: &Plan| keys.body.attested(|_| b"not a certificate", plan, at);
    keys.body.attestations = vec![attestation("hgs-signing", true)];
    let judged = judge(&keys, &born.plan).unwrap();
    assert_eq!(judged.level, Evidence::Witnessed);
    let [signing, encryption] = &judged.lines[..] else {
        panic!("{:?}", judged.lines);
    };
    assert!(signing.starts_with("hgs-signing: witnessed only: an attestation"));
    assert_eq!(encryption, "hgs-encryption: witnessed only");
    // Without its tool's report, the file itself is read.
    keys.body.attestations = vec![attestation("hgs-encryption", false)];
    let unread = judge(&keys, &born.plan);
    assert_eq!(rule(unread), Some(Rule::AttestationFormat));
    keys.body.attestations = vec![];
    for more in [Evidence::Origin, Evidence::OriginAndUsage] {
        born.plan.transfer.evidence = more;
        let refused = judge(&keys, &born.plan);
        assert_eq!(rule(refused), Some(Rule::AttestationLevel));
    }
}

#[test]
fn a_closing_speaks_of_backups_where_the_originals_go() {
    let mut kept = Kept::of("single-shot-local");
    let mut closing: Document<Closing> = kept.document();
    assert_eq!(kept.plan.source, Source::Keep);
    assert_eq!(said(&closing, &kept.plan), None);
    closing.body.backup = Some("two HSMs".into());
    assert_eq!(said(&closing, &kept.plan).unwrap(), "8 bytes about backups");
    kept.plan.source = Source::Destroy;
    for (backup, found) in [
        (None, None),
        (Some("two HSMs".to_owned()), None),
        (Some("x".repeat(MAX_TEXT)), None),
        (
            Some("x".repeat(MAX_TEXT + 1)),
            Some("4097 bytes about backups"),
        ),
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

/// One byte more than a file's name allows is another rule than the file that nobody has listed.
#[test]
fn every_name_has_its_size_and_its_document() {
    const KIB16: u64 = 16 << 10;
    use Kind::*;
    let carried = [Offer, Package, Receipt, Registration, Acceptance, Closing];
    let born = [Keys, Challenge, Receipt, Registration, Acceptance, Closing];
    let names: [(&str, u64, &[Kind]); 13] = [
        ("zoe.sig", 0, &[]),
        ("x.hsm-sig", MAX_SIGNATURE, &Kind::ALL),
        ("x.sealed", KIB16, &Kind::ALL),
        ("x.crt", KIB16, &Kind::ALL),
        ("x.attestation", MAX_ATTESTATION, &[Offer, Keys]),
        ("x.attestation-report", MAX_ATTESTATION, &[Offer, Keys]),
        ("x-ready.json", MAX_EVIDENCE, &[Registration]),
        ("x-active.json", MAX_EVIDENCE, &[Registration]),
        ("node3.metadata.xml", MAX_METADATA, &[Acceptance]),
        ("node4.metadata.xml", MAX_METADATA, &[]),
        ("3.metadata.xml", 0, &[]),
        ("metadata.xml", 0, &[]),
        ("x.json", 0, &[]),
    ];
    for (way, kinds) in [("single-shot-hgs", carried), ("born-hgs", born)] {
        let kept = Kept::of(way);
        for kind in kinds {
            let copy = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(kept.folder(kind)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
            let with = |name: &str, length: u64| {
                let path = copy.path().join(name);
                let before = fs::read(&path).ok();
                let file = fs::File::options().create(true).append(true).open(&path);
                file.unwrap().set_len(length).unwrap();
                let done = rule(read_files(kind, copy.path(), &kept.plan));
                match before {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                done
            };
            for (name, limit, known) in names {
                let over = match known.contains(&kind) {
                    true => Rule::DocumentSize,
                    false => Rule::DocumentSurplus,
                };
                let at = (way, kind, name);
                assert_eq!(with(name, limit), Some(Rule::DocumentSurplus), "{at:?}");
                assert_eq!(with(name, limit + 1), Some(over), "{at:?}");
            }
            let main = kind.file();
            assert_eq!(with(&main, MAX_DOCUMENT), Some(Rule::DocumentFormat));
            assert_eq!(with(&main, MAX_DOCUMENT + 1), Some(Rule::DocumentSize));
            assert_eq!(with("log.jsonl", MAX_LOG + 1), Some(Rule::DocumentSize));
            let signature = format!("{main}.zoe.sig");
            let large = with(&signature, MAX_SIGNATURE + 1);
            assert_eq!(large, Some(Rule::DocumentSize));
            // A signature is nobody's surplus, and nobody's signature either.
            let whole = with(&signature, MAX_SIGNATURE);
            assert_eq!(whole, Some(Rule::SignatureUnknown), "{kind}");
        }
    }
}

#[test]
fn a_log_that_travels_is_hashed_where_it_lies_and_only_it() {
    let kept = Kept::of("single-shot-hgs");
    let folder = kept.folder(Kind::Acceptance);
    let received = read_without_log::<Acceptance>(&folder, &kept.plan).unwrap();
    assert!(!received.files.contains_key("log.jsonl"));
    let copy = tempfile::tempdir().unwrap();
    for name in received.files.keys() {
        fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let take = || rule(read_without_log::<Acceptance>(copy.path(), &kept.plan));
    assert_eq!(take(), Some(Rule::DocumentMissing));
    let log = copy.path().join("log.jsonl");
    let mut bytes = fs::read(folder.join("log.jsonl")).unwrap();
    fs::write(&log, &bytes).unwrap();
    assert_eq!(take(), None);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&log, &bytes).unwrap();
    assert_eq!(take(), Some(Rule::DocumentHash));
    // No log stands in for another file, and a package has none.
    let package = kept.folder(Kind::Package);
    let copy = tempfile::tempdir().unwrap();
    for name in fs::read_dir(&package).unwrap() {
        let name = name.unwrap().file_name();
        fs::copy(package.join(&name), copy.path().join(&name)).unwrap();
    }
    let take = || rule(read_without_log::<Package>(copy.path(), &kept.plan));
    assert_eq!(take(), None);
    fs::write(copy.path().join("log.jsonl"), b"").unwrap();
    assert_eq!(take(), Some(Rule::DocumentSurplus));
}

#[test]
fn a_key_set_is_the_packages_keys_with_their_own_certificates() {
    let kept = Kept::of("single-shot-hgs");
    let package = read::<Package>(&kept.folder(Kind::Package), &kept.plan).unwrap();
    package.verify_keys().unwrap();
    let mut keys = KeySet::from(&package);
    let labels: Vec<&str> = keys.keys.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(labels, ["hgs-signing", "hgs-encryption"]);
    for label in ["hgs-signing", "hgs-encryption"] {
        assert_eq!(keys.key(&id(label)).unwrap().label, id(label));
    }
    assert!(keys.key(&id("hgs")).is_none());
    let signing: Vec<&str> = keys.signing_keys().map(|key| key.label.as_str()).collect();
    assert_eq!(signing, ["hgs-signing"]);
    let encryption = keys.key(&id("hgs-encryption")).unwrap();
    let places: Vec<&str> = encryption
        .challenges
        .iter()
        .map(|challenge| {
            encryption
                .challenge(&challenge.place)
                .unwrap()
                .place
                .as_str()
        })
        .collect();
    assert_eq!(places, kept.plan.places());
    assert!(places.len() > 2 && encryption.challenge("nowhere").is_none());
    let pair = keys.pair().unwrap();
    assert_eq!(pair.signing, keys.keys[0].certificate);
    assert_eq!(pair.encryption, keys.keys[1].certificate);
    keys.verify_certificates().unwrap();
    let other = keys.keys[0].certificate.clone();
    let own = std::mem::replace(&mut keys.keys[1].certificate, other);
    let refused = rule(keys.verify_certificates());
    assert_eq!(refused, Some(Rule::TargetCertificate));
    keys.keys[1].certificate = own;
    for role in [Role::Signing, Role::Encryption] {
        let mut two = keys.clone();
        two.keys.iter_mut().for_each(|key| key.role = role);
        assert_eq!(rule(two.pair()), Some(Rule::PlanTarget));
        two.keys.push(keys.keys[0].clone());
        two.keys.push(keys.keys[1].clone());
        assert_eq!(rule(two.pair()), Some(Rule::PlanTarget));
    }
}

#[test]
fn keys_that_are_shown_have_their_own_certificates() {
    let kept = Kept::of("born-hgs");
    let mut keys = read::<Keys>(&kept.folder(Kind::Keys), &kept.plan).unwrap();
    keys.verify_certificates().unwrap();
    let other = keys.file("hgs-signing.crt").to_vec();
    keys.files.insert("hgs-encryption.crt".into(), other);
    let refused = rule(keys.verify_certificates());
    assert_eq!(refused, Some(Rule::TargetCertificate));
}

fn set(attributes: &mut [ReadBack], attribute: &str, value: &str) {
    let mut read = attributes.iter_mut();
    read.find(|read| read.attribute == attribute).unwrap().value = value.into();
}

#[test]
fn a_key_that_is_born_at_the_hoster_says_so_and_a_brought_one_does_not() {
    let kept = Kept::of("born-hgs");
    let mut brought = Kept::of("born-hgs").plan;
    brought.way = Way::Brought;
    for (attribute, value) in BORN {
        assert_eq!(*value, "true");
        let mut keys: Document<Keys> = kept.document();
        set(&mut keys.body.keys[1].held.attributes, attribute, "false");
        let found = said(&keys, &kept.plan).unwrap();
        let expected = format!("hgs-encryption: {attribute} false (TARGET-LOCAL)");
        assert_eq!(found, expected);
        assert_eq!(said(&keys, &brought), None);
        let mut receipt: Document<Receipt> = kept.document();
        set(&mut receipt.body.keys[0].attributes, attribute, "absent");
        let found = said(&receipt, &kept.plan).unwrap();
        assert_eq!(found, format!("{attribute} absent"));
    }
}

/// A brought key is the one of the plan.
#[test]
fn a_key_that_the_plan_names_is_no_other() {
    let mut kept = Kept::of("born-hgs");
    let keys: Document<Keys> = kept.document();
    let spki = Hash::of(&keys.body.keys[1].spki.0);
    kept.plan.keys[1].spki = Some(spki);
    assert_eq!(said(&keys, &kept.plan), None);
    kept.plan.keys[1].spki = Some(Hash::of(b"another"));
    let found = said(&keys, &kept.plan).unwrap();
    assert_eq!(found, format!("the public key {spki}"));
}

#[test]
fn an_offer_says_what_every_kek_must_and_of_the_rest_what_is_not_waived() {
    let kept = Kept::of("single-shot-hgs");
    let good: Document<Offer> = kept.document();
    let always = [
        "CKA_TOKEN",
        "CKA_PRIVATE",
        "CKA_SENSITIVE",
        "CKA_EXTRACTABLE",
        "CKA_UNWRAP",
        "CKA_DECRYPT",
        "CKA_SIGN",
    ];
    let waivable = [
        (Rule::KekSignRecover, "CKA_SIGN_RECOVER"),
        (Rule::KekDerive, "CKA_DERIVE"),
        (Rule::KekModifiable, "CKA_MODIFIABLE"),
        (Rule::KekCopyable, "CKA_COPYABLE"),
        (Rule::KekAllowedMechanisms, "CKA_ALLOWED_MECHANISMS"),
        (Rule::KekUnwrapTemplate, "CKA_UNWRAP_TEMPLATE"),
    ];
    let but = |attribute: &str| {
        let mut offer = good.clone();
        set(&mut offer.body.attributes, attribute, "surprise");
        offer
    };
    let mut waiving = Kept::of("single-shot-hgs").plan;
    for (rule, _) in waivable {
        let reason = "a test".into();
        waiving.waivers.push(Waiver { rule, reason });
    }
    for attribute in always {
        for plan in [&kept.plan, &waiving] {
            let found = said(&but(attribute), plan).unwrap();
            assert_eq!(found, format!("{attribute} surprise"));
        }
    }
    for (rule, attribute) in waivable {
        let mut offer = but(attribute);
        let found = said(&offer, &kept.plan).unwrap();
        assert_eq!(found, format!("{attribute} surprise ({})", rule.name()));
        offer.body.waived = vec![rule];
        let found = said(&offer, &kept.plan).unwrap();
        assert_eq!(found, format!("{} is waived", rule.name()));
        assert_eq!(said(&offer, &waiving), None);
    }
}

/// [`Header::new`] is what every side writes, and nothing of it is its caller's but attempt, answer and head.
#[test]
fn a_header_is_of_its_plan_and_kind() {
    let kept = Kept::of("born-hgs");
    for kind in [Kind::Keys, Kind::Challenge, Kind::Closing] {
        let main = kept.folder(kind).join(kind.file());
        let header = keyferry::document::header_of(&fs::read(main).unwrap(), "").unwrap();
        let new = Header::new(
            &kept.plan,
            kind,
            header.attempt,
            header.answers,
            header.head,
        );
        assert_eq!(new, header);
        assert_eq!(kind.answers(Way::Born).is_none(), new.answers.is_none());
    }
}
