//! A fault before each step of each script, at each place of the way: the run ends in a named rule, or
//! says truly what is where, and what is primary is what was before, or what it says.

use serde_json::{Value, json};

use super::{
    SCRIPTS,
    node::{At, Ended, Node, Scope, powershell, scripts},
};
use ceremony::services::hgs::HGS;
use record::rule::Rule;

/// What happens: its name, the traps that it sets, and what it changes of the node.
const FAULTS: [(&str, &str, &str); 12] = [
    ("the provider grants nothing", "{}", r#"{ "granted": false }"#),
    ("the certificates are gone", "{}", r#"{ "store": [] }"#),
    ("nothing is bound any more", r#"{ "unbindable": true }"#, r#"{ "bound": [] }"#),
    (
        "a software key is bound",
        r#"{ "provider": "Microsoft Software Key Storage Provider" }"#,
        "{}",
    ),
    ("another key is bound", r#"{ "wrong_key": true }"#, "{}"),
    ("the HSM is out of reach", r#"{ "offline": true }"#, "{}"),
    ("the key does not decrypt", r#"{ "no_decrypt": true }"#, "{}"),
    ("the service answers 500", r#"{ "down": { "after": 0, "reads": 100000 } }"#, "{}"),
    (
        "the first change fails",
        r#"{ "set_signing": { "takes": false }, "add_refuses": "Signing" }"#,
        "{}",
    ),
    (
        "the second change fails",
        r#"{ "set_encryption": { "takes": false }, "add_refuses": "Encryption" }"#,
        "{}",
    ),
    ("the account may log on no more", r#"{ "task": 2147943785 }"#, "{}"),
    ("reads lag by hours", r#"{ "lag": 100000 }"#, "{}"),
];

/// What a run may end with that names no rule: nothing was wrong for it, or it says what is unknown, or
/// failed before anything changed.
fn told(code: i32, said: &str) -> bool {
    let named = Rule::ALL.iter().any(|rule| {
        said.contains(&format!("Refused: {} ({})", rule.fault(), rule.name()))
            || said.contains(&format!("Rule {}:", rule.name()))
    });
    match code {
        0 => true,
        1 => named || said.contains("is unknown"),
        3 | 4 => named,
        _ => false,
    }
}

/// One script at one place, with each fault before each of its steps.
fn each(script: &str, at: At, arguments: &str) -> Vec<String> {
    let steps = HGS.steps.iter().filter(|step| step.program == script);
    let faults = steps.flat_map(|step| FAULTS.map(|fault| (step.name, fault)));
    let nodes: Vec<_> = faults
        .map(|(step, fault)| {
            let node = Node::new(at, "rotation", false);
            let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            let (traps, changes) = (parsed(fault.1), parsed(fault.2));
            let before = node.primaries();
            node.set("/faults", json!([{ "step": step, "traps": traps, "node": changes }]));
            (step, fault.0, node, before)
        })
        .collect();
    let runs: Vec<_> =
        nodes.iter().map(|(_, _, node, _)| (node, script, arguments, Scope::Dot)).collect();
    let mut wrong = Vec::new();
    for ((step, what, node, before), ended) in nodes.iter().zip(scripts(&runs)) {
        let Ended { code, said } = ended;
        assert!(node.calls().contains(&format!("fault at {step}")), "{script} {step}: {said}");
        let now = node.primaries();
        // What is half done is said: by the thumbprints that are primary now, or as unknown.
        let shown = said.contains("ow primary: signing ") || said.contains("is unknown");
        let done = code == 0 && [SCRIPTS[3], SCRIPTS[4]].contains(&script);
        println!("{script} {step}, {what}: {code}, {before} to {now}");
        if !told(code, &said) || !(now == *before || done || shown) {
            wrong.push(format!("{what} before {step}: {code}, {before} to {now}\n{said}"));
        }
    }
    wrong
}

/// Each script at each place of the way; the test's name says which.
fn holds(script: &str, at: At, arguments: &str) {
    assert!(powershell(), "this part needs a PowerShell");
    let wrong = each(script, at, arguments);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! each_fault_is_named_or_told_truly {
    ($($name:ident: $script:literal $at:ident $arguments:literal;)*) => {
        $(
            #[test]
            #[ignore = "dozens of runs: part nodes of `ceremony-scripts/test --all`"]
            fn $name() {
                holds(SCRIPTS[$script], At::$at, $arguments);
            }
        )*
    };
}

each_fault_is_named_or_told_truly! {
    install_on_a_fresh_node: 1 Fresh "-Node node1";
    install_on_a_ready_node: 1 Ready "-Node node1";
    test_before_activation: 2 Ready "-Node node1";
    test_after_activation: 2 Active "-Node node1";
    set_when_ordered: 3 Ordered "-Confirm:$false";
    undo_when_ordered: 4 Back "-Confirm:$false";
}
