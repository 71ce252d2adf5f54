//! What each target needs of a plan, and trials.

use super::{People, Spoilt, check, faults, line, spoilt};
use ceremony::side::trial::remains;
use record::{
    plan::{Plan, ServicePlan},
    rule::Rule,
    terms::{Deployment, Side, Trial},
};

/// The plan with a target that is Windows Host Guardian Service.
fn hgs(plan: &str) -> String {
    plan.replace(
        "kind = \"local\"\n",
        "kind = \"hgs\"\nksp = \"Some KSP\"\ndeployment = \"new\"\nsoak_hours = 24\n",
    )
}

/// The plan for production, each side with some HSM.
fn production(plan: &str) -> String {
    let hsm = "hsm = { manufacturer = \"m\", model = \"m\", serials = [\"1\"] }\napprovals = 2";
    plan.replace("\"rehearsal\"", "\"production\"").replace("approvals = 2", hsm)
}

#[test]
fn hgs_has_two_keys_and_its_own_fields() {
    let people = People::new();
    let local = people.plan();
    let plan = hgs(&local);
    let parsed = Plan::parse(plan.clone().into_bytes()).unwrap();
    let ServicePlan::Hgs { nodes, ksp, deployment, soak_hours } = &parsed.target else {
        panic!("{:?}", parsed.target)
    };
    assert_eq!(nodes.len(), 2);
    assert_eq!((ksp.as_str(), *soak_hours), ("Some KSP", 24));
    assert_eq!(*deployment, Deployment::New);
    let third = "[[keys]]\nlabel = \"more\"\nrole = \"encryption\" # third\ntype = \"rsa\"\nbits = 2048\nsubject = \"CN=more\"\n\n[target]";
    let second = third.replace("encryption", "signing");
    let many: Vec<String> = (0..65).map(|n| format!("\"n{n}\"")).collect();
    let many = format!("[{}]", many.join(", "));
    let ksp = |ksp: &str| format!("ksp = \"{ksp}\"");
    check(
        &plan,
        spoilt! {
            "[target]" => third, PlanTarget, "# third";
            "[target]" => second, PlanTarget, "# third";
            "type = \"rsa\"\nbits = 3072" => "type = \"ec\"\nbits = 256", PlanTarget, "type = \"ec\"";
            "[\"node1\", \"node2\"]" => many, PlanTarget, "nodes = [";
            "ksp = \"Some KSP\"" => ksp(""), PlanTarget, "ksp = ";
            "ksp = \"Some KSP\"" => ksp(&"k".repeat(101)), PlanTarget, "ksp = ";
            "ksp = \"Some KSP\"" => ksp("a\\u0007b"), PlanTarget, "ksp = ";
            "ksp = \"Some KSP\"" => ksp("a\\u202Eb"), PlanTarget, "ksp = ";
            "ksp = \"Some KSP\"" => ksp(" "), PlanTarget, "ksp = ";
            "soak_hours = 24" => "soak_hours = 8761", PlanTarget, "soak_hours";
            "ksp = \"Some KSP\"" => "", PlanField, "[target]";
            "deployment = \"new\"" => "", PlanField, "[target]";
            "deployment = \"new\"" => "deployment = \"old\"", PlanSyntax, "deployment";
            "soak_hours = 24" => "soak_hours = -1", PlanSyntax, "soak_hours";
        },
    );
    let at = plan.find("[[keys]]\nlabel = \"enc\"").unwrap();
    let end = plan.find("[target]").unwrap();
    let one = format!("{}{}", &plan[..at], &plan[end..]);
    let found = faults(one.clone());
    let fault = &found.0[0];
    assert_eq!(fault.rule, Rule::PlanTarget, "{found}");
    assert_eq!(fault.line, line(&one, "[[keys]]"), "{found}");
    for most in [ksp(&"k".repeat(100)), ksp("Anbieter für Schlüssel")] {
        Plan::parse(plan.replace("ksp = \"Some KSP\"", &most).into_bytes()).unwrap();
    }
    // What only hgs has, a local target has not; and it carries any number of keys.
    for field in ["ksp = \"x\"", "deployment = \"new\"", "soak_hours = 1"] {
        let spoilt = format!("kind = \"local\"\n{field}");
        check(
            &local,
            &[Spoilt { from: "kind = \"local\"", to: &spoilt, rule: Rule::PlanField, line: field }],
        );
    }
    Plan::parse(local.replace("[target]", third).into_bytes()).unwrap();
}

#[test]
fn a_trial_is_a_rehearsal_and_only_production_comes_after_one() {
    let people = People::new();
    let (rehearsal, real) = (people.plan(), production(&people.plan()));
    let with =
        |plan: &str, trial: &str| plan.replace("\n[after]", &format!("trial = {trial}\n\n[after]"));
    let hash = format!("\"{}\"", "ab".repeat(32));
    let parsed = |text: String| Plan::parse(text.into_bytes()).unwrap().trial;
    assert_eq!(parsed(rehearsal.clone()), Trial::None);
    assert_eq!(parsed(with(&rehearsal, "true")), Trial::This);
    assert_eq!(parsed(with(&hgs(&rehearsal), "true")), Trial::This);
    assert!(matches!(parsed(with(&real, &hash)), Trial::After(_)));
    // What each trial leaves to be removed by hand.
    let remains = |text: String, side| remains(&Plan::parse(text.into_bytes()).unwrap(), side);
    let nodes = remains(with(&hgs(&rehearsal), "true"), Side::Hoster);
    assert!(nodes[0].contains("(node1, node2): `Install-KeyferryNode.ps1 -Remove`"));
    assert!(remains(with(&rehearsal, "true"), Side::Hoster).is_empty());
    assert!(remains(with(&rehearsal, "true"), Side::Tenant)[0].contains("(sig, enc)"));
    assert!(remains(hgs(&rehearsal), Side::Hoster).is_empty());
    for (plan, trial, rule) in [
        (&rehearsal, hash.as_str(), Rule::PlanTrial),
        (&rehearsal, "false", Rule::PlanField),
        (&rehearsal, "1", Rule::PlanField),
        (&rehearsal, "\"true\"", Rule::PlanField),
        (&real, "true", Rule::PlanTrial),
        (&real, "false", Rule::PlanField),
        (&real, "\"ab\"", Rule::PlanField),
    ] {
        check(
            &with(plan, trial),
            &[Spoilt { from: "Contoso", to: "Contoso", rule, line: "trial = " }],
        );
    }
}

#[test]
fn the_template_has_a_block_for_hgs() {
    let people = People::new();
    let path = people.path().join("new.toml");
    authoring::new_plan(&path, None).unwrap();
    let template = std::fs::read_to_string(&path).unwrap();
    let at = template.find("\n[target]").unwrap();
    let end = template.find("\n[after]").unwrap();
    // Every field of the block is taken in, `kind` as the other one.
    let block: String = template[at..end]
        .replace("kind = \"local\"", "kind = \"hgs\"")
        .replace("REPLACE-NODE", "node")
        .lines()
        .map(|line| {
            let field = ["ksp", "deployment", "soak_hours", "trial"]
                .iter()
                .any(|field| line.starts_with(&format!("# {field} = ")));
            let line = if field { &line[2..] } else { line };
            format!("{line}\n")
        })
        .collect();
    let block = block.split("\n# SHA-256 of each program").next().unwrap();
    let plan = people.plan();
    let (before, after) = (plan.find("\n[target]").unwrap(), plan.find("\n[after]").unwrap());
    let plan = format!("{}{block}\n{}", &plan[..before], &plan[after..]);
    let plan = Plan::parse(plan.into_bytes()).unwrap();
    assert!(matches!(&plan.target, ServicePlan::Hgs { soak_hours: 24, .. }));
    assert_eq!(plan.trial, Trial::This);
    let explained = std::fs::write(&path, plan.bytes()).map(|()| {
        authoring::check_plan(&path, &authoring::Reports::default(), ::show::Language::English)
    });
    let text = explained.unwrap().unwrap().text;
    for expected in ["KSP", "rotation", "24 hours", "trial:"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
