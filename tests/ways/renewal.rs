//! Next year, the same tenant: a plan made from last year's, and the whole ceremony that it plans.

use std::fs;

use crate::{
    common::{
        MODULE, PIN, run,
        stage::{Done, Stage},
    },
    people::People,
};
use record::{
    encoding::Hash,
    log::now,
    plan::{Plan, ServicePlan},
    rule::Rule,
    terms::{Deployment, Trial},
    verify,
};

/// The month that a renewed id ends with.
fn month() -> String {
    now().unwrap()[..7].to_owned()
}

#[test]
fn a_plan_is_renewed_and_keeps_what_people_wrote() {
    let people = People::new();
    let hsm = "hsm = { manufacturer = \"m\", model = \"m\", serials = [\"1\"] } # in the vault\napprovals = 2";
    let hash = "ab".repeat(32);
    let hgs = format!(
        "kind = \"hgs\"\nksp = \"Some KSP\"\n# They were new.\ndeployment = \"new\" # then\ntrial = \"{hash}\"\n"
    );
    let old = people
        .plan()
        .replace("\"rehearsal\"", "\"production\"")
        .replace("approvals = 2", hsm)
        .replace("ceremony = \"test-2026\"", "# Its name.\nceremony = \"test-2021-11\" # short")
        .replace("nonce = ", &format!("supersedes = \"{hash}\"\n# Random.\nnonce = "))
        .replace("label = \"sig\"", "# The first.\nlabel = \"sig\"")
        .replace("label = \"enc\"", "label = \"enc-2021\"")
        .replace("kind = \"local\"\n", &hgs)
        + "\n[[waivers]]\nrule = \"KEK-COPYABLE\" # as ever\nreason = \"an old token\"\n";
    let (from, to) = (people.path().join("old.toml"), people.path().join("new.toml"));
    fs::write(&from, &old).unwrap();
    let begun = month();
    let changes = authoring::renew_plan(&from, &to).unwrap();
    let text = fs::read_to_string(&to).unwrap();
    let (former, plan) = (
        Plan::parse(old.clone().into_bytes()).unwrap(),
        Plan::parse(text.clone().into_bytes()).unwrap(),
    );
    // It may have changed since.
    let month = [begun, month()].into_iter().find(|month| text.contains(month.as_str())).unwrap();
    assert_eq!(plan.ceremony.as_str(), format!("test-{month}"));
    assert_eq!(plan.mode, former.mode);
    assert_ne!(plan.nonce, former.nonce);
    assert_eq!((plan.supersedes, plan.trial), (None, Trial::None));
    let deployment = match &plan.target {
        ServicePlan::Hgs { deployment, .. } => *deployment,
        other => panic!("{other:?}"),
    };
    assert_eq!(deployment, Deployment::Rotation);
    assert!(plan.waives(Rule::KekCopyable));
    let labels: Vec<&str> = plan.keys.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(labels, [format!("sig-{month}"), format!("enc-{}", &month[..4])]);
    // What was written about it stays, and the first lines say where it comes from.
    let (header, body) = text.split_once("\n\n").unwrap();
    for comment in [
        "# Its name.",
        "# short",
        "# Random.",
        "# They were new.",
        "# then",
        "# The first.",
        "# as ever",
        "# in the vault",
    ] {
        assert!(body.contains(comment), "{comment}: {text}");
    }
    let hash = former.hash().to_string();
    let renamed = format!("sig -> {}", labels[0]);
    for said in ["test-2021-11", &hash, "supersedes is gone", "trial is gone", &renamed] {
        assert!(header.contains(said), "{said}: {header}");
    }
    let changed: Vec<&str> = changes.iter().filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "ceremony",
        "keys[0].label",
        "keys[1].label",
        "nonce",
        "supersedes",
        "target.deployment",
        "target.trial",
    ];
    assert_eq!(changed, expected, "{changes:?}");
    // The year after: one comment at the top, and no label of the year before.
    let third = people.path().join("third.toml");
    authoring::renew_plan(&to, &third).unwrap();
    let third = fs::read_to_string(&third).unwrap();
    assert_eq!(third.matches("# A renewal.").count(), 1);
    assert!(third.contains(&plan.hash().to_string()) && !third.contains(&hash));
    assert!(third.contains(&format!("label = \"sig-{month}-2\"")), "{third}");
    // Nothing is overwritten, and nothing is made of a plan that has faults.
    let refused = authoring::renew_plan(&from, &to).unwrap_err();
    assert_eq!(refused.rule(), Some(Rule::FileExists));
    assert_eq!(fs::read_to_string(&to).unwrap(), text);
    fs::write(&from, old.replace("threshold = 2", "threshold = 1")).unwrap();
    let fourth = people.path().join("fourth.toml");
    let refused = authoring::renew_plan(&from, &fourth).unwrap_err();
    assert_eq!(refused.rule(), Some(Rule::PlanQuorum));
    assert!(!fourth.exists());
}

#[test]
fn next_years_keys_follow_last_years_on_the_same_tokens() {
    let mut stage = Stage::at(Done::Plan);
    stage.registry = true;
    stage.walk_to(Done::TenantClose);
    let first = Hash::of(&fs::read(stage.path("plan/ceremony.toml")).unwrap()).to_string();
    stage.next_ceremony(|stage, plan| {
        let plan = plan.to_str().unwrap();
        let new = ["plan", "new", plan, "--from", "before/plan/ceremony.toml"];
        stage.auditor(&new).ok();
    });
    stage.walk_to(Done::TenantClose);
    let second = Hash::of(&fs::read(stage.path("plan/ceremony.toml")).unwrap()).to_string();
    // One registry: the first is the former one, and still there.
    let registry = stage.json("registry.json");
    assert_eq!(registry["primary"], second);
    let sets = registry["key_sets"].as_array().unwrap();
    let plans: Vec<&str> = sets.iter().map(|set| set["plan_hash"].as_str().unwrap()).collect();
    assert_eq!(plans, [&first, &second]);
    assert!(sets[0]["former"].is_null());
    assert_eq!(sets[1]["former"], first);
    let registration = stage.json("medium/registration/registration.json");
    let former = sets[0]["keys"].as_array().unwrap();
    let former = former.iter().map(|key| key["thumbprint"].clone());
    let named = registration["body"]["former"].as_array().unwrap();
    let named = named.iter().map(|key| key["thumbprint"].clone());
    assert_eq!(named.collect::<Vec<_>>(), former.collect::<Vec<_>>());
    // Other keys, in both HSMs beside those of last year.
    let spki = |n: usize| [0, 1].map(|key| sets[n]["keys"][key]["spki"].clone());
    assert!(spki(0).iter().all(|key| !spki(1).contains(key)));
    for side in ["tenant", "hoster"] {
        let mut list = std::process::Command::new("pkcs11-tool");
        list.arg("--module").arg(MODULE);
        list.args(["--token-label", side, "--login", "--pin", PIN]);
        list.args(["--list-objects", "--type", "privkey"]);
        stage.environment(&mut list, side);
        let objects = String::from_utf8(run(&mut list)).unwrap();
        assert_eq!(objects.matches("Private Key Object").count(), 4, "{side}: {objects}");
    }
    // Each ceremony is a whole record of its own.
    for folders in [["before/tenant", "before/hoster"], ["tenant", "hoster"]] {
        let folders = folders.map(|folder| stage.path(folder));
        verify::verify(&folders, &verify::Against::default()).unwrap();
    }
}
