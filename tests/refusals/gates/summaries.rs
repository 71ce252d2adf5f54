//! What officers read of a request names what will happen, to which keys, nodes and people.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use record::gate::{
    Abort, CloudExport, Export, Import, ImportPlain, KekDestroy, KeysDestroy, Nodes, PinTry,
    Primary, Restart, Rollback, SourceDestroy, Subject, Unconfirmed, WrongBags,
};

fn says<S: Subject + DeserializeOwned>(subject: Value, names: &[&str]) {
    let summary = serde_json::from_value::<S>(subject).unwrap().summary();
    for name in names {
        assert!(summary.contains(name), "not {name:?}: {summary}");
    }
}

#[test]
fn a_request_says_what_will_happen_and_to_what() {
    let hash = |digit: &str| digit.repeat(64);
    let (one, two, three) = (hash("1"), hash("2"), hash("3"));
    let keys = json!([{"label": "first", "spki": two, "certificate": three}, {"label": "second", "spki": two, "certificate": three}]);
    let holders =
        json!([{"id": "cyd", "recipients": ["age1"]}, {"id": "dan", "recipients": ["age1"]}]);
    says::<Export>(
        json!({"offer": three, "kek_fingerprint": one, "mechanism": "single-shot", "oaep_hash": "sha256", "keys": keys, "threshold": 2, "custodians": holders}),
        &["first, second", &one, "any 2 of cyd, dan"],
    );
    says::<CloudExport>(
        json!({"format": "azure-byok", "kek_fingerprint": one, "kid": "https://kid", "keys": keys, "mechanism": "composite", "oaep_hash": "sha1"}),
        &["first, second", &one, "(https://kid)", "azure-byok", "no seal"],
    );
    says::<ImportPlain>(
        json!({"kek_fingerprint": one, "keys": [{"label": "first", "wrapped": two, "spki": two, "certificate": three}]}),
        &["first", &one, "no seal"],
    );
    says::<Import>(json!({"package": two, "kek_fingerprint": one}), &[&one, &two, "is spent"]);
    says::<KekDestroy>(
        json!({"acceptance": two, "kek_fingerprint": one}),
        &["The tenant has accepted", &one],
    );
    says::<KekDestroy>(
        json!({"abort": two, "kek_fingerprint": one, "stay": ["first"], "keys": ["second", "third"]}),
        &["was aborted", &one, "keys first stay", "imported keys second, third"],
    );
    says::<KeysDestroy>(
        json!({"abort": two, "keys": ["first", "second"]}),
        &["first, second", "are destroyed"],
    );
    says::<SourceDestroy>(
        json!({"acceptance": one, "closing": two, "backup": "two clones", "keys": [{"label": "first", "spki": two}]}),
        &["originals of first are destroyed", "two clones"],
    );
    for (side, way, what) in [
        ("hoster", "born", "born here are destroyed"),
        ("tenant", "born", "challenge of this attempt"),
        ("hoster", "carried", "new KEK and a new offer"),
        ("tenant", "carried", "new secret and new shares"),
    ] {
        says::<Restart>(
            json!({"phase": "exported", "attempt": 4, "reason": "a taxi", "side": side, "way": way}),
            &["4", "a taxi", what],
        );
    }
    says::<Abort>(
        json!({"phase": "exported", "attempt": 4, "reason": "a typo"}),
        &["exported", "4", "a typo", "for good"],
    );
    says::<Unconfirmed>(
        json!({"package": one, "custodians": ["cyd", "dan"]}),
        &[&one, "cyd, dan have not confirmed"],
    );
    says::<WrongBags>(
        json!({"bags": [{"entry": one, "item": "share of cyd", "left_as": "A1", "came_as": "B2", "condition": "damaged"},
                        {"entry": one, "item": "a disk", "came_as": "C3", "condition": "intact"}]}),
        &[
            "share of cyd left as A1 and came in as B2, damaged",
            "a disk left as nothing known here and came in as C3",
        ],
    );
    says::<PinTry>(
        json!({"token": {"manufacturer": "m", "model": "m", "serial": "s", "firmware": "1.0", "label": "the one"}, "earlier_tries": 1}),
        &["the one", "one try"],
    );
    let former = json!([{"role": "signing", "thumbprint": "AB12"}]);
    for (target, whom) in
        [("hgs", "every tenant of this HGS"), ("local", "everyone who uses this service")]
    {
        says::<Primary>(
            json!({"target": target, "evidence": one, "nodes": ["north", "south"], "keys": [["first", two], ["second", two]], "former": former}),
            &["first, second become primary", whom, "2 are ready: north, south", "signing AB12"],
        );
    }
    says::<Rollback>(
        json!({"target": "hgs", "activation": one, "to": former}),
        &["primary no more", "Primary again: signing AB12"],
    );
    for (removed, replaced, what) in [
        (json!(["north"]), json!([]), "north leave the service."),
        (json!([]), json!(["south"]), "south are replaced by other machines."),
        (json!(["north"]), json!(["south"]), "north leave the service, and south are replaced"),
    ] {
        says::<Nodes>(
            json!({"removed": removed, "replaced": replaced, "stay": ["south", "west"]}),
            &[what, "then: south, west."],
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
