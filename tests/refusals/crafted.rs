//! Documents that are whole and signed by the right officers, and say something that does not
//! belong here.

use serde_json::{Value, json};

use super::*;
use record::{
    document::{offer::Offer, read},
    plan::Plan,
};

/// Changes a document on the medium, and has its officers sign what it then says.
fn craft(stage: &Stage, kind: &str, officers: [&str; 2], change: impl FnOnce(&mut Value)) {
    let path = stage.path(&format!("medium/{kind}/{kind}.json"));
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut document);
    fs::write(&path, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
    for id in officers {
        stage.sign(&path, "keyferry-document", id);
    }
}

/// The header's fields, each with another value, and the rule that says so. One document is shown to
/// a program with each; every document is read with them in `tests/record/fields.rs`.
fn headers() -> Vec<(&'static str, Value, &'static str)> {
    let other = Hash::of(b"other").to_string();
    vec![
        ("format", json!("keyferry/2"), "DOCUMENT-FORMAT"),
        ("document", json!("closing"), "DOCUMENT-KIND"),
        ("mode", json!("production"), "DOCUMENT-MODE"),
        ("ceremony", json!("another"), "DOCUMENT-CEREMONY"),
        ("plan_hash", json!(other), "DOCUMENT-PLAN"),
        ("attempt", json!(0), "DOCUMENT-ATTEMPT"),
        ("attempt", json!(-1), "DOCUMENT-FORMAT"),
        ("attempt", json!(1.5), "DOCUMENT-FORMAT"),
        ("surprise", json!(true), "DOCUMENT-FORMAT"),
    ]
}

fn each_is_refused(
    done: Done,
    side: &str,
    command: &[&str],
    kind: &str,
    officers: [&str; 2],
    cases: &[(&str, Value, &str)],
) {
    let stage = Stage::at(done);
    let folder = format!("medium/{kind}");
    let keep = stage.path("keep");
    common::run(std::process::Command::new("cp").arg("-r").arg(stage.path(&folder)).arg(&keep));
    for (field, value, rule) in cases {
        craft(&stage, kind, officers, |document| document["header"][field] = value.clone());
        refused(&stage, side, command, rule);
        fs::remove_dir_all(stage.path(&folder)).unwrap();
        common::run(std::process::Command::new("cp").arg("-r").arg(&keep).arg(stage.path(&folder)));
    }
    ends_well(&stage, side, command);
}

#[test]
fn documents_of_another_ceremony_plan_side_or_attempt_are_refused() {
    let other = Hash::of(b"other").to_string();
    let cases = |side: &str| {
        vec![
            ("side", json!(side), "DOCUMENT-SIDE"),
            ("answers", json!(other), "DOCUMENT-ANSWERS"),
            ("answers", Value::Null, "DOCUMENT-ANSWERS"),
        ]
    };
    let (tenants, hosters) = (["ada", "ben"], ["hana", "hugo"]);
    each_is_refused(
        Done::PackageRelease,
        "hoster",
        &["package", "check", "medium/package"],
        "package",
        tenants,
        &cases("hoster"),
    );
    let receipt = ["hana", "hedy"];
    each_is_refused(
        Done::ReceiptRelease,
        "tenant",
        &["receipt", "check", "medium/receipt"],
        "receipt",
        receipt,
        &cases("tenant"),
    );
    each_is_refused(
        Done::RegistrationRelease,
        "tenant",
        &["accept", "medium/registration"],
        "registration",
        ["hugo", "hedy"],
        &cases("tenant"),
    );
    each_is_refused(
        Done::AcceptanceRelease,
        "hoster",
        &["kek", "destroy", "medium/acceptance"],
        "acceptance",
        ["ben", "cora"],
        &cases("hoster"),
    );
    each_is_refused(
        Done::HosterClose,
        "tenant",
        &["close", "medium/closing"],
        "closing",
        hosters,
        &cases("tenant"),
    );
}

#[test]
fn another_ceremonys_offer_is_refused() {
    let mut cases = headers();
    cases.push(("side", json!("tenant"), "DOCUMENT-SIDE"));
    cases.push(("answers", json!(Hash::of(b"other").to_string()), "DOCUMENT-ANSWERS"));
    let stage = Stage::at(Done::OfferCheck);
    let words = stage.path("kek.words").display().to_string();
    each_is_refused(
        Done::OfferRelease,
        "tenant",
        &["offer", "check", "medium/offer", "--words", &words],
        "offer",
        ["hana", "hugo"],
        &cases,
    );
}

#[test]
fn a_rehearsals_document_never_enters_production() {
    let stage = Stage::at(Done::OfferRelease);
    let hsm = "hsm = { manufacturer = \"M\", model = \"X\", serials = [\"1\"] }\n";
    let text = fs::read_to_string(stage.path("plan/ceremony.toml")).unwrap();
    let text = text
        .replace("mode = \"rehearsal\"", "mode = \"production\"")
        .replace("name = \"Contoso\"\n", &format!("name = \"Contoso\"\n{hsm}"))
        .replace("name = \"Fabrikam\"\n", &format!("name = \"Fabrikam\"\n{hsm}"));
    fs::write(stage.path("production.toml"), text).unwrap();
    let plan = Plan::read(&stage.path("production.toml")).unwrap();
    let error = read::<Offer>(&stage.path("medium/offer"), &plan).err().unwrap();
    assert_eq!(error.rule().unwrap().name(), "DOCUMENT-MODE");
}

#[test]
fn documents_whose_content_does_not_fit_are_refused() {
    let other = json!(Hash::of(b"other").to_string());
    let id = json!("00".repeat(16));
    for (done, side, command, kind, officers, path, value, rule) in [
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/kek_fingerprint",
            &other,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/threshold",
            &json!(2),
            "DOCUMENT-CONTENT",
        ),
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/shares/1/x",
            &json!(1),
            "DOCUMENT-CONTENT",
        ),
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/shares/1/custodian",
            &json!("cyd"),
            "DOCUMENT-CONTENT",
        ),
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/keys/0/role",
            &json!("encryption"),
            "DOCUMENT-CONTENT",
        ),
        (
            Done::PackageRelease,
            "hoster",
            "package check medium/package",
            "package",
            ["ada", "ben"],
            "/body/package_id",
            &id,
            "PACKAGE-SIGNATURE",
        ),
        (
            Done::ReceiptRelease,
            "tenant",
            "receipt check medium/receipt",
            "receipt",
            ["hana", "hedy"],
            "/body/package_id",
            &id,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::RegistrationRelease,
            "tenant",
            "accept medium/registration",
            "registration",
            ["hugo", "hedy"],
            "/body/package_id",
            &id,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::AcceptanceRelease,
            "hoster",
            "kek destroy medium/acceptance",
            "acceptance",
            ["ben", "cora"],
            "/body/kek_fingerprint",
            &other,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::AcceptanceRelease,
            "hoster",
            "kek destroy medium/acceptance",
            "acceptance",
            ["ben", "cora"],
            "/body/receipt",
            &other,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::HosterClose,
            "tenant",
            "close medium/closing",
            "closing",
            ["hana", "hugo"],
            "/body/kek_fingerprint",
            &other,
            "DOCUMENT-CONTENT",
        ),
        (
            Done::HosterClose,
            "tenant",
            "close medium/closing",
            "closing",
            ["hana", "hugo"],
            "/header/head/hash",
            &other,
            "LOG-CHAIN",
        ),
    ] {
        let stage = Stage::at(done);
        craft(&stage, kind, officers, |document| {
            let at = document.pointer_mut(path).unwrap_or_else(|| panic!("{path}"));
            assert_ne!(at, value);
            *at = value.clone();
        });
        let command: Vec<&str> = command.split(' ').collect();
        refused(&stage, side, &command, rule);
        stage.carry(if side == "hoster" { "tenant" } else { "hoster" }, kind);
        ends_well(&stage, side, &command);
    }
}

#[test]
fn proofs_of_another_place_or_key_are_refused() {
    let stage = Stage::at(Done::ReceiptRelease);
    let check = ["receipt", "check", "medium/receipt"];
    let proofs = stage.json("medium/receipt/receipt.json")["body"]["proofs"].clone();
    let (signed, answered) = (proofs[0]["evidence"].clone(), proofs[1]["evidence"].clone());
    for (at, evidence, rule) in [
        (0, answered, "PROOF-ANSWER"),
        (1, signed, "PROOF-SIGNATURE"),
        (1, json!({ "answer": Hash::of(b"guess").to_string() }), "PROOF-ANSWER"),
    ] {
        craft(&stage, "receipt", ["hana", "hedy"], |document| {
            assert_ne!(document["body"]["proofs"][at]["evidence"], evidence);
            document["body"]["proofs"][at]["evidence"] = evidence;
        });
        refused(&stage, "tenant", &check, rule);
        stage.carry("hoster", "receipt");
    }
    stage.tenant(&check).ok();
}
