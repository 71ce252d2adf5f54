//! The auditor over gates, restarts and aborts: what was done is what officers signed for, even
//! where a whole side conspires.

use std::fs;

use serde_json::Value;

use crate::common::{
    run,
    stage::{Done, Stage},
};
use record::{
    Result,
    encoding::Hash,
    rule::Rule,
    verify::{self, Against, Verdict},
};

fn verify(stage: &Stage, folders: &[&str]) -> Result<Verdict> {
    let folders: Vec<_> = folders.iter().map(|folder| stage.path(folder)).collect();
    verify::verify(&folders, &Against::default())
}

fn hash_of(stage: &Stage, path: &str) -> Value {
    Hash::of(&fs::read(stage.path(path)).unwrap()).to_string().into()
}

/// Signs a file anew and gives what a log says of that.
fn signed(stage: &Stage, path: &str, namespace: &str, ids: &[&str]) -> Value {
    let one = |id: &&str| {
        stage.sign(&stage.path(path), namespace, id);
        serde_json::json!({"id": id, "signature": hash_of(stage, &format!("{path}.{id}.sig"))})
    };
    ids.iter().map(one).collect::<Vec<_>>().into()
}

/// Rewrites a JSON file in place, with the indent that Keyferry writes.
fn rewrite(stage: &Stage, path: &str, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(stage.path(path)).unwrap();
    fs::write(stage.path(path), change(&text)).unwrap();
}

/// The hoster's operator and officers write their whole record anew after the import: request, log,
/// receipt, signatures.
fn forged(stage: &Stage, request: impl FnOnce(&str) -> String) -> Stage {
    let forged = stage.copy();
    let (asked, receipt) =
        ("hoster/approvals/01-import.json", "hoster/outbox/receipt/receipt.json");
    rewrite(&forged, asked, request);
    let approved = signed(&forged, asked, "keyferry-approval", &["hugo", "hedy"]);
    let subject = serde_json::to_vec(&ordered(&forged, asked)).unwrap();
    let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
    let (mut written, mut prev, mut released) = (String::new(), "0".repeat(64), Value::Null);
    for line in log.lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        entry["prev"] = prev.clone().into();
        match entry["event"].as_str().unwrap() {
            "approval" => {
                entry["subject"] = Hash::of(&subject).to_string().into();
                entry["request"] = hash_of(&forged, asked);
                entry["signatures"] = approved.clone();
            }
            "import" => {
                let header = &forged.json(receipt)["header"]["head"]["hash"];
                let old = header.as_str().unwrap().to_owned();
                let intent = intent(&written);
                rewrite(&forged, receipt, |text| text.replace(&old, &intent));
                released = signed(&forged, receipt, "keyferry-document", &["hana", "hedy"]);
                entry["document"] = hash_of(&forged, receipt);
            }
            "release" if entry["kind"] == "receipt" => {
                entry["document"] = hash_of(&forged, receipt);
                entry["signatures"] = released.clone();
            }
            _ => {}
        }
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        written.push_str(&line);
    }
    fs::write(forged.path("hoster/log.jsonl"), written).unwrap();
    forged
}

/// The hash of the last intent of a log.
fn intent(log: &str) -> String {
    let mut lines = log.split_inclusive('\n');
    let last = lines.rfind(|line| line.contains("\"event\":\"intent\""));
    Hash::of(last.unwrap().as_bytes()).to_string()
}

/// The subject of an import's request, in the order of its declaration.
fn ordered(stage: &Stage, request: &str) -> record::gate::Import {
    serde_json::from_value(stage.json(request)["subject"].clone()).unwrap()
}

#[test]
fn what_was_done_is_what_officers_signed_for() {
    let stage = Stage::at(Done::ReceiptRelease);
    // The forgery itself is flawless where it changes nothing that matters.
    let same = forged(&stage, str::to_owned);
    let verdict = verify(&same, &["hoster"]).unwrap();
    assert!(verdict.holds.iter().any(|line| line.starts_with("1 acts of the hoster")));
    let offer = stage.json("medium/offer/offer.json")["body"]["fingerprint"].clone();
    let package = hash_of(&stage, "medium/package/package.json");
    let entry = stage.json("hoster/approvals/01-import.json")["entry"].clone();
    let sentence = Value::from("A quorum of custodians opens the seal");
    let all = [("KEK", offer), ("package", package), ("entry", entry), ("sentence", sentence)];
    for (what, found) in all {
        let found = found.as_str().unwrap();
        let other = forged(&stage, |text| text.replace(found, &"5a".repeat(32)));
        let error = verify(&other, &["hoster"]).expect_err(what);
        assert_eq!(error.rule(), Some(Rule::ApprovalSubject), "{what}: {error}");
    }
    let other =
        forged(&stage, |text| text.replace("\"gate\": \"import\"", "\"gate\": \"primary\""));
    let error = verify(&other, &["hoster"]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::ApprovalSubject), "{error}");
}

#[test]
fn a_request_that_nobody_acted_on_is_noted_and_one_of_a_stranger_refused() {
    let stage = Stage::at(Done::KekCreate);
    let restart = ["restart", "--reason", "never mind"];
    stage.hoster(&restart).ended_with(6);
    let verdict = verify(&stage, &["hoster"]).unwrap();
    let noted = |line: &String| line.contains("01-restart.json was asked for and not acted on");
    assert!(verdict.noted.iter().any(noted), "{:?}", verdict.noted);
    let asked = "hoster/approvals/01-restart.json";
    let text = fs::read_to_string(stage.path(asked)).unwrap();
    let entry = stage.json(asked)["entry"].as_str().unwrap().to_owned();
    for (now, other) in [
        ("\"restart\"", "\"abort\""),
        ("\"attempt\": 1", "\"attempt\": 2"),
        ("are destroyed", "stay"),
        ("\"hoster\"", "\"tenant\""),
        (entry.as_str(), &"5a".repeat(32)),
    ] {
        assert!(text.contains(now), "{now} in {text}");
        fs::write(stage.path(asked), text.replace(now, other)).unwrap();
        let error = verify(&stage, &["hoster"]).expect_err(now);
        let rules = [Rule::ApprovalSubject, Rule::DocumentFormat];
        assert!(rules.contains(&error.rule().unwrap()), "{now}: {error}");
    }
    fs::write(stage.path(asked), text).unwrap();
    let request = stage.request("hoster", "restart");
    stage.sign(&request, "keyferry-approval", "ada");
    let error = verify(&stage, &["hoster"]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::SignatureSide));
    fs::remove_file(format!("{}.ada.sig", request.display())).unwrap();
    fs::write(request.with_file_name("note.txt"), "x").unwrap();
    let error = verify(&stage, &["hoster"]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::DocumentSurplus));
}

#[test]
fn an_aborted_ceremony_is_whole_and_says_so() {
    let stage = Stage::at(Done::PackageCheck);
    for side in ["hoster", "tenant"] {
        stage.abort(side);
    }
    stage.pass("hoster", "kek-destroy", &["kek", "destroy"]);
    stage.hoster(&["kek", "destroy"]).ok();
    stage.sign_document("hoster", "closing", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "closing");
    stage.hoster(&["close"]).ok();
    stage.tenant(&["close", "medium/closing"]).ok();
    let verdict = verify(&stage, &["tenant", "hoster"]).unwrap();
    let unsigned =
        |side| format!("signatures over the head of the {side}: 0 of 2 officers have signed it");
    assert_eq!(verdict.missing, ["tenant", "hoster"].map(unsigned));
    assert!(verdict.headline().starts_with("ABORTED"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony-scripts/verify");
    for side in ["tenant", "hoster"] {
        let archive = stage.path(side).join("archive");
        let verdict = verify(&stage, &[&format!("{side}/archive")]).unwrap();
        let head = format!("signatures over the head of the {side}: 0 of 2");
        assert!(verdict.missing.iter().any(|line| line.starts_with(&head)));
        let out = run(std::process::Command::new(script).arg(archive));
        assert!(String::from_utf8_lossy(&out).contains("OF AN ABORTED CEREMONY"));
    }
}

#[test]
fn a_package_that_left_with_too_few_confirmations_is_refused() {
    let stage = Stage::at(Done::Export);
    let confirm = |id: &str| {
        let file = format!("tenant/outbox/shares/{id}.age");
        let identity = format!("people/{id}.identity");
        let code = stage.custodian(&["share", "check", &file, "--identity", &identity]).ok();
        let words = stage.words(id, &code);
        stage.tenant(&["share", "confirm", id, "--words", &words]).ok();
    };
    ["cyd", "dan", "eve", "fay"].into_iter().for_each(confirm);
    stage.sign_document("tenant", "package", &["ada", "ben"]);
    stage.pass("tenant", "deviation", &["release"]);
    stage.tenant(&["release"]).ok();
    let noted = verify(&stage, &["tenant"]).unwrap().noted;
    let four = |line: &String| line.contains("released with 4 of 5 confirmations");
    assert!(noted.iter().any(four), "{noted:?}");
    // The same record of a tenant who let the package go with three: the deviation names two.
    let log = fs::read_to_string(stage.path("tenant/log.jsonl")).unwrap();
    let package = hash_of(&stage, "tenant/outbox/package/package.json");
    let subject = format!("{{\"package\":{package},\"custodians\":[\"fay\",\"gus\"]}}");
    let (mut written, mut prev, mut seq) = (String::new(), "0".repeat(64), 0);
    for line in log.lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        if entry["custodian"] == "fay" {
            continue;
        }
        seq += 1;
        entry["prev"] = prev.into();
        entry["seq"] = seq.into();
        if entry["gate"] == "deviation" {
            entry["subject"] = Hash::of(subject.as_bytes()).to_string().into();
        }
        let line = format!("{entry}\n");
        prev = Hash::of(line.as_bytes()).to_string();
        written.push_str(&line);
    }
    fs::write(stage.path("tenant/log.jsonl"), written).unwrap();
    let error = verify(&stage, &["tenant"]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::ShareUnconfirmed), "{error}");
}

/// The log that travels with a closing ends here, and its officers have signed for that.
fn ends_at(stage: &Stage, log: &str) {
    let (closing, head) = ("medium/closing/closing.json", Hash::of(last(log).as_bytes()));
    fs::write(stage.path("medium/closing/log.jsonl"), log).unwrap();
    let mut document = stage.json(closing);
    document["header"]["head"] =
        serde_json::json!({"seq": log.lines().count(), "hash": head.to_string()});
    document["body"]["log"] =
        serde_json::json!({"hash": Hash::of(log.as_bytes()).to_string(), "length": log.len()});
    signed_anew(stage, closing, &document);
}

fn last(log: &str) -> &str {
    log.split_inclusive('\n').next_back().unwrap()
}

/// A closing as its hoster's officers would have it.
fn signed_anew(stage: &Stage, closing: &str, document: &Value) {
    let text = fs::read_to_string(stage.path(closing)).unwrap();
    let mut whole: record::document::Document<record::document::closing::Closing> =
        serde_json::from_str(&text).unwrap();
    whole.header = serde_json::from_value(document["header"].clone()).unwrap();
    whole.body = serde_json::from_value(document["body"].clone()).unwrap();
    fs::write(stage.path(closing), record::json_file(&whole).unwrap()).unwrap();
    signed(stage, closing, "keyferry-document", &["hana", "hugo"]);
}

#[test]
fn a_log_that_travels_goes_to_where_its_document_was_begun() {
    let stage = Stage::at(Done::ClosingRelease);
    let log = fs::read_to_string(stage.path("medium/closing/log.jsonl")).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let begun = |end: &usize| lines[end - 1].contains("\"event\":\"intent\"");
    let cuts = (1..lines.len()).filter(|end| begun(end) || *end + 3 > lines.len());
    for end in cuts {
        ends_at(&stage, &lines[..end].concat());
        stage.tenant(&["close", "medium/closing"]).refused("LOG-CHAIN");
    }
    // As it was, it is taken: the forgery changes nothing but where the log ends.
    ends_at(&stage, &log);
    stage.tenant(&["close", "medium/closing"]).ok();
    // Whoever writes the whole archive anew is found out by the auditor all the same.
    let cut = stage.copy();
    ends_at(&cut, &lines[..lines.len() - 2].concat());
    let carried = cut.path("tenant/inbox/closing");
    fs::remove_dir_all(&carried).unwrap();
    crate::gates::copy(&cut.path("medium/closing"), &carried);
    let (was, now) = (
        hash_of(&stage, "tenant/inbox/closing/closing.json"),
        hash_of(&cut, "tenant/inbox/closing/closing.json"),
    );
    rewrite(&cut, "tenant/log.jsonl", |text| {
        text.replace(was.as_str().unwrap(), now.as_str().unwrap())
    });
    fs::remove_dir_all(cut.path("tenant/archive")).unwrap();
    let error = verify(&cut, &["tenant"]).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::LogChain), "{error}");
}

#[test]
fn a_closing_after_an_abort_is_the_aborts() {
    let stage = Stage::at(Done::AcceptanceRelease);
    stage.abort("hoster");
    stage.pass("hoster", "kek-destroy", &["kek", "destroy"]);
    stage.hoster(&["kek", "destroy"]).ok();
    stage.sign_document("hoster", "closing", &["hana", "hugo"]);
    stage.hoster(&["release"]).ok();
    stage.carry("hoster", "closing");
    let closing = "medium/closing/closing.json";
    let mut document = stage.json(closing);
    document["header"]["answers"] = hash_of(&stage, "medium/acceptance/acceptance.json");
    signed_anew(&stage, closing, &document);
    stage.tenant(&["close", "medium/closing"]).refused("DOCUMENT-ANSWERS");
}
