//! What officers read of a request names what will happen, to which keys, nodes and people.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use record::gate::{
    Abort, CloudExport, Export, Import, ImportPlain, KekDestroy, KeysDestroy, Nodes, PinTry,
    Primary, Restart, Rollback, SourceDestroy, Subject, Unconfirmed, Unpassed, WrongBags,
};

/// The sentences of docs/formats.md, by gate and condition.
fn page() -> BTreeMap<&'static str, &'static str> {
    let page = include_str!("../../../docs/formats.md");
    let block = page.split("### 12.1 Summaries").nth(1).unwrap().split("```").nth(1).unwrap();
    block.lines().filter_map(|line| line.split_once(" | ")).collect()
}

/// The sentence of the page with these values; what stands in brackets goes where its value is
/// empty.
fn filled(row: &str, values: &[(&str, &str)]) -> String {
    let mut text = page().get(row).unwrap_or_else(|| panic!("no row {row}")).to_string();
    while let Some(start) = text.find('[') {
        let end = start + text[start..].find(']').unwrap();
        let part = text[start + 1..end].to_owned();
        let named = part.split(['{', '}']).nth(1).unwrap();
        let there = values.iter().any(|(name, value)| *name == named && !value.is_empty());
        text.replace_range(start..=end, if there { &part } else { "" });
    }
    let fill =
        |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(text, fill)
}

/// A subject has the summary of the page.
fn says<S: Subject + DeserializeOwned>(row: &str, subject: Value, values: &[(&str, &str)]) {
    let summary = serde_json::from_value::<S>(subject).unwrap().summary();
    assert_eq!(summary, filled(row, values), "{row}");
}

#[test]
fn a_request_says_what_will_happen_and_to_what() {
    let hash = |digit: &str| digit.repeat(64);
    let (one, two, three) = (hash("1"), hash("2"), hash("3"));
    let keys = json!([{"label": "first", "spki": two, "certificate": three}, {"label": "second", "spki": two, "certificate": three}]);
    let holders =
        json!([{"id": "cyd", "recipients": ["age1"]}, {"id": "dan", "recipients": ["age1"]}]);
    let kek = ("kek_fingerprint", one.as_str());
    let both = ("keys", "first, second");
    says::<Export>(
        "export",
        json!({"offer": three, "kek_fingerprint": one, "mechanism": "single-shot", "oaep_hash": "sha256", "keys": keys, "threshold": 2, "custodians": holders}),
        &[both, kek, ("threshold", "2"), ("custodians", "cyd, dan")],
    );
    for kid in ["https://kid", ""] {
        let mut subject = json!({"format": "azure-byok", "kek_fingerprint": one, "kid": kid, "keys": keys, "mechanism": "composite", "oaep_hash": "sha1"});
        if kid.is_empty() {
            subject.as_object_mut().unwrap().remove("kid");
        }
        let values = [both, kek, ("kid", kid), ("format", "azure-byok")];
        says::<CloudExport>("export, cloud", subject, &values);
    }
    says::<ImportPlain>(
        "import, brought",
        json!({"kek_fingerprint": one, "keys": [{"label": "first", "wrapped": two, "spki": two, "certificate": three}]}),
        &[("keys", "first"), kek],
    );
    let import = json!({"package": two, "kek_fingerprint": one});
    says::<Import>("import", import, &[("package", &two), kek]);
    let accepted = json!({"acceptance": two, "kek_fingerprint": one});
    says::<KekDestroy>("kek-destroy, acceptance", accepted, &[kek]);
    for (stay, keys) in [("", ""), ("first", ""), ("", "second, third")] {
        let list =
            |text: &'static str| text.split(", ").filter(|one| !one.is_empty()).collect::<Vec<_>>();
        says::<KekDestroy>(
            "kek-destroy, abort",
            json!({"abort": two, "kek_fingerprint": one, "stay": list(stay), "keys": list(keys)}),
            &[kek, ("stay", stay), ("keys", keys)],
        );
    }
    let gone = json!({"abort": two, "keys": ["first", "second"]});
    says::<KeysDestroy>("keys-destroy", gone, &[both]);
    says::<SourceDestroy>(
        "source-destroy",
        json!({"acceptance": one, "closing": two, "backup": "two clones", "keys": [{"label": "first", "spki": two}]}),
        &[("keys", "first"), ("backup", "two clones")],
    );
    for (row, side, way) in [
        ("restart, hoster, born", "hoster", "born"),
        ("restart, tenant, born or brought", "tenant", "born"),
        ("restart, tenant, born or brought", "tenant", "brought"),
        ("restart, hoster, carried or brought", "hoster", "carried"),
        ("restart, hoster, carried or brought", "hoster", "brought"),
        ("restart, tenant, carried", "tenant", "carried"),
    ] {
        says::<Restart>(
            row,
            json!({"phase": "exported", "attempt": 4, "reason": "a taxi", "side": side, "way": way}),
            &[("phase", "exported"), ("attempt", "4"), ("reason", "a taxi")],
        );
    }
    says::<Abort>(
        "abort",
        json!({"phase": "exported", "attempt": 4, "reason": "a typo"}),
        &[("phase", "exported"), ("attempt", "4"), ("reason", "a typo")],
    );
    says::<Unconfirmed>(
        "deviation, shares",
        json!({"package": one, "custodians": ["cyd", "dan"]}),
        &[("package", &one), ("custodians", "cyd, dan")],
    );
    says::<WrongBags>(
        "deviation, bags",
        json!({"bags": [{"entry": one, "item": "share of cyd", "left_as": "A1", "came_as": "B2", "condition": "damaged"},
                        {"entry": one, "item": "a disk", "came_as": "C3", "condition": "intact"}]}),
        &[(
            "bags",
            "the bag with share of cyd left as A1 and came in as B2, damaged; the bag with a disk left as nothing known here and came in as C3, intact",
        )],
    );
    says::<Unpassed>(
        "deviation, diagnostics",
        json!({"node": "north", "stage": "ready", "diagnostics": ["the whole: Fail", "Https: \u{1b}[2J"]}),
        &[
            ("stage", "ready"),
            ("node", "north"),
            ("diagnostics", r"the whole: Fail, Https: \u{1b}[2J"),
        ],
    );
    says::<PinTry>(
        "pin-try",
        json!({"token": {"manufacturer": "m", "model": "m", "serial": "s", "firmware": "1.0", "label": "the \"one\"\n"}, "earlier_tries": 1}),
        &[("label", r#""the \"one\"\n""#)],
    );
    let former = json!([{"role": "signing", "thumbprint": "AB12"}]);
    for (row, target) in [("primary, hgs", "hgs"), ("primary, others", "local")] {
        says::<Primary>(
            row,
            json!({"target": target, "evidence": one, "nodes": ["north", "south"], "keys": [["first", two], ["second", two]], "former": former}),
            &[both, ("count", "2"), ("nodes", "north, south"), ("former", "signing AB12")],
        );
    }
    says::<Rollback>(
        "rollback",
        json!({"target": "hgs", "activation": one, "to": former}),
        &[("to", "signing AB12")],
    );
    for (row, removed, replaced) in [
        ("nodes, removed", json!(["north"]), json!([])),
        ("nodes, replaced", json!([]), json!(["south"])),
        ("nodes, both", json!(["north"]), json!(["south"])),
    ] {
        says::<Nodes>(
            row,
            json!({"removed": removed, "replaced": replaced, "stay": ["south", "west"]}),
            &[("removed", "north"), ("replaced", "south"), ("stay", "south, west")],
        );
    }
}

/// What an officer asks first: which request waits, and who has signed it.
#[test]
fn status_says_which_request_waits_and_who_has_signed() {
    let stage = Stage::at(Done::KekCreate);
    let waits = |expected: Option<&str>| {
        let status = stage.hoster(&["status"]).ok();
        let said = status.lines().find(|line| line.starts_with("waiting:"));
        match (said, expected) {
            (Some(said), Some(expected)) => assert!(said.ends_with(expected), "{said}"),
            (said, expected) => assert_eq!(said, expected, "{status}"),
        }
    };
    waits(None);
    let abort = ["abort", "--reason", "a test"];
    stage.hoster(&abort).ended_with(6);
    waits(Some("01-abort.json, signed by nobody yet"));
    stage.approve("hoster", "abort", &["hana"]);
    waits(Some("01-abort.json, signed by hana"));
    // Nobody else's signature is shown as one.
    stage.approve("hoster", "abort", &["ada"]);
    waits(Some("01-abort.json, signed by nobody yet"));
    let request = stage.request("hoster", "abort");
    fs::remove_file(format!("{}.ada.sig", request.display())).unwrap();
    stage.approve("hoster", "abort", &["hugo"]);
    waits(Some("01-abort.json, signed by hana, hugo"));
    stage.hoster(&abort).ok();
    waits(None);
}
