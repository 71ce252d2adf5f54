//! Tokens that nobody here has, by the shim: each once on either side with a strong partner, in the
//! plan that its report proposes; and what was foretold is what happens.

use std::fs;

use crate::common::stage::{Done, Family, Setting, Stage};
use crate::matrix::{Outcome, Probes, foretold, on_both_cores, probes};

/// Each personality, and how its ceremony ends at the tenant and at the hoster.
const ENDS: [(&str, &str, &str); 17] = [
    ("luna", "carried, waived: WRAP-COMPOSITE", "carried, waived: WRAP-COMPOSITE"),
    (
        "luna-policy-1-off",
        "WRAP-SINGLE-SHOT at the tenant's keys create, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: WRAP-COMPOSITE",
    ),
    (
        "cloudhsm",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "TARGET-ATTRIBUTES at the hoster's kek create, waived: KEK-MODIFIABLE TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "yubihsm2",
        "the token itself at the tenant's keys create, waived: TARGET-WRAP-WITH-TRUSTED",
        "TARGET-ATTRIBUTES at the hoster's kek create, waived: KEK-ALLOWED-MECHANISMS KEK-UNWRAP-TEMPLATE TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "nshield",
        "the token itself at the tenant's keys create, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "smartcard-hsm",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED KEK-COPYABLE",
    ),
    (
        "opencryptoki-3.8",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "opens-as-callers",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED KEK-ATTACK-SILENT KEK-ATTACK-AES-KEY-SILENT KEK-UNWRAP-TWO-STEPS KEK-UNWRAP-PRIVATE",
    ),
    (
        "forces-nothing",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED KEK-ATTACK-READABLE KEK-ATTACK-AES-KEY KEK-ALLOWED-MECHANISMS KEK-UNWRAP-TEMPLATE",
    ),
    (
        "two-sessions",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "5000-objects",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "write-protected",
        "the token itself at the tenant's keys create, waived: TARGET-WRAP-WITH-TRUSTED",
        "the token itself at the hoster's kek create, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "nul-padded",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "constant-serial",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "no-certificates",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "no-public-keys",
        "the token itself at the tenant's keys create, waived: TARGET-WRAP-WITH-TRUSTED",
        "the token itself at the hoster's kek create, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
    (
        "no-created-public-keys",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
        "carried, waived: TARGET-WRAP-WITH-TRUSTED",
    ),
];

/// Until the keys are in the hoster's token and have proven themselves to the tenant.
#[test]
fn each_token_that_nobody_has_does_as_foretold_on_either_side() {
    each_does_as_foretold(Done::ReceiptCheck);
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part matrix`"]
fn each_token_that_nobody_has_does_as_foretold_to_the_end() {
    each_does_as_foretold(Done::TenantClose);
}

fn each_does_as_foretold(until: Done) {
    let folder = tempfile::tempdir().unwrap();
    let honest = probes(folder.path());
    let cases = ENDS.iter().flat_map(|(name, tenant, hoster)| {
        [("tenant", *name, *tenant), ("hoster", *name, *hoster)]
    });
    let cases: Vec<_> = cases.collect();
    let ended = on_both_cores(&cases, |(side, name, _)| {
        let outcome = std::panic::catch_unwind(|| as_foretold(honest.clone(), side, name, until));
        outcome.map_or("NOT AS FORETOLD".to_owned(), |Outcome { end, waivers }| {
            format!("{end}, waived: {}", waivers.join(" "))
        })
    });
    let mut others = Vec::new();
    for ((side, name, expected), ended) in cases.iter().zip(&ended) {
        if ended != expected {
            others.push(format!("{name} as the {side}'s: {ended}; expected: {expected}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

/// The plan that is proposed for such a token, foretold and held.
fn as_foretold(mut probes: Probes, side: &'static str, name: &'static str, until: Done) -> Outcome {
    let mut setting = Setting {
        tenant: Family::Kryoptic,
        hoster: Family::Kryoptic,
        oaep: "sha256",
        waivers: Vec::new(),
        personality: Some((side, name)),
        ..Setting::default()
    };
    let stage = Stage::with(setting.clone(), |plan| plan);
    probes.insert(("Kryoptic".to_owned(), true, side), stage.probe(side));
    let report = |side| probes[&("Kryoptic".to_owned(), true, side)].to_str().unwrap().to_owned();
    let (tenant, hoster) = (report("tenant"), report("hoster"));
    let new = ["plan", "new", "new.toml", "--probe", &tenant, "--probe", &hoster];
    // Where no plan can be proposed, the strongest is refused as foretold.
    if stage.auditor(&new).code == 0 {
        let text = fs::read_to_string(stage.path("new.toml")).unwrap();
        let has = |line: &str| text.lines().any(|found| found.starts_with(line));
        if has("mechanism = \"composite\"") {
            setting.mechanism = "composite";
        }
        if has("oaep_hash = \"sha1\"") {
            setting.oaep = "sha1";
        }
        let waived = text.lines().filter_map(|line| line.strip_prefix("rule = \""));
        setting.waivers = waived.map(|rule| rule.trim_end_matches('"').to_owned()).collect();
    }
    foretold(&setting, &probes, until)
}

/// What of a vendor's set-up may be behind a refusal stands in what is to be done.
#[test]
fn a_refusal_names_the_setting_of_the_vendor() {
    for (name, waiver, mechanism, setting) in [
        (
            "nshield",
            "TARGET-WRAP-WITH-TRUSTED",
            "single-shot",
            "CKNFAST_OVERRIDE_SECURITY_ASSURANCES",
        ),
        ("luna-policy-1-off", "WRAP-COMPOSITE", "composite", "partition policy 1"),
    ] {
        let mut stage = Stage::with(
            Setting {
                tenant: Family::Kryoptic,
                hoster: Family::Kryoptic,
                mechanism,
                oaep: "sha256",
                waivers: vec![waiver.to_owned()],
                personality: Some(("tenant", name)),
                ..Setting::default()
            },
            |plan| plan,
        );
        stage.walk_to(Done::OfferCheck);
        let said = stage.tenant(&["keys", "create"]).ended_with(5);
        let to_do = said.split_once("to do:").unwrap().1;
        assert!(to_do.contains(setting), "{said}");
    }
}

/// What a hoster's token forces less than it should is refused by a rule that names it, and waived
/// by that name alone.
#[test]
fn each_weakness_and_attack_of_a_kek_has_its_rule() {
    let weaker = [
        "KEK-UNWRAP-PRIVATE",
        "KEK-UNWRAP-TWO-STEPS",
        "KEK-ATTACK-SILENT",
        "KEK-ATTACK-AES-KEY-SILENT",
    ];
    let nothing = [
        "KEK-ATTACK-READABLE",
        "KEK-ATTACK-AES-KEY",
        "KEK-ALLOWED-MECHANISMS",
        "KEK-UNWRAP-TEMPLATE",
    ];
    let created = |name, waived: Vec<&str>| {
        let setting = Setting {
            hoster: Family::Kryoptic,
            oaep: "sha256",
            waivers: waived.into_iter().map(str::to_owned).collect(),
            personality: Some(("hoster", name)),
            ..Setting::default()
        };
        let mut stage = Stage::with(setting, |plan| plan);
        stage.walk_to(Done::Init);
        let ended = stage.hoster(&["kek", "create"]);
        (stage, ended)
    };
    for (name, rules, besides) in [
        ("opens-as-callers", weaker, vec![]),
        // What a token makes of silence is its own affair.
        ("forces-nothing", nothing, vec!["KEK-ATTACK-SILENT", "KEK-ATTACK-AES-KEY-SILENT"]),
    ] {
        for rule in rules {
            let others = rules.into_iter().filter(|other| *other != rule);
            created(name, others.chain(besides.clone()).collect()).1.refused(rule);
        }
        let (stage, ended) = created(name, [&rules[..], &besides].concat());
        ended.ok();
        let offer = stage.json("hoster/outbox/offer/offer.json");
        let waived = offer["body"]["waived"].as_array().unwrap();
        assert!(rules.iter().all(|rule| waived.iter().any(|waived| waived == rule)), "{offer}");
    }
}
