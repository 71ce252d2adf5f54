//! Every script under a real PowerShell, on nodes that behave badly: each trap of the stub once.

use serde_json::{Value, json};

use super::{
    SCRIPTS,
    node::{At, Ended, KEYS, Node, Scope, powershell, scripts},
};

const INSTALL: &str = SCRIPTS[1];
const TEST: &str = SCRIPTS[2];
const SET: &str = SCRIPTS[3];
const UNDO: &str = SCRIPTS[4];

/// A run of a script.
struct Case {
    /// What is wrong on this node.
    what: &'static str,
    script: &'static str,
    arguments: &'static str,
    at: At,
    traps: Value,
    /// What a person does at each prompt of the script.
    answers: &'static [&'static str],
    /// What a person types at PowerShell's own prompts.
    typed: Option<&'static str>,
    scope: Scope,
    deployment: &'static str,
    trial: bool,
    /// Its exit code, and what it says.
    ends: i32,
    says: &'static [&'static str],
    never: &'static [&'static str],
    /// What is primary then.
    primary: &'static str,
}

/// A run on the first node of a cluster that is there, where nothing is wrong.
fn case(what: &'static str, script: &'static str, at: At, ends: i32) -> Case {
    let arguments = match script {
        INSTALL | TEST => "-Node node1",
        _ => "-Confirm:$false",
    };
    let primary = match (script, at, ends) {
        (SET, _, 0) => "new/new",
        (UNDO, _, 0) => "former/former",
        (_, At::Active | At::Back, _) => "new/new",
        _ => "former/former",
    };
    Case {
        what,
        script,
        arguments,
        at,
        traps: json!({}),
        answers: &[],
        typed: None,
        scope: Scope::Dot,
        deployment: "rotation",
        trial: false,
        ends,
        says: &[],
        never: &["cannot be found on this object"],
        primary,
    }
}

impl Case {
    fn node(&self) -> Node {
        let node = Node::new(self.at, self.deployment, self.trial);
        node.set("/traps", self.traps.clone());
        node.set("/answers", json!(self.answers));
        node.order_install(8, "node2");
        node
    }

    /// Whether it needs a PowerShell of its own: as a file, at a prompt, with cmdlets of another
    /// impact.
    fn alone(&self) -> bool {
        self.scope == Scope::File || self.typed.is_some() || self.traps.get("impact").is_some()
    }

    /// What of a run is not as it must be.
    fn wrong(&self, node: &Node, ended: &Ended) -> Option<String> {
        let mut found = Vec::new();
        if ended.code != self.ends {
            found.push(format!("ended with {}, not {}", ended.code, self.ends));
        }
        let unsaid = self.says.iter().filter(|text| !ended.said.contains(*text));
        found.extend(unsaid.map(|text| format!("did not say {text:?}")));
        let said = self.never.iter().filter(|text| ended.said.contains(*text));
        found.extend(said.map(|text| format!("said {text:?}")));
        let primary = node.primaries();
        if primary != self.primary {
            found.push(format!("primary is {primary}, not {}", self.primary));
        }
        let shown =
            format!("---- {} ({}): {}\n{}", self.what, self.script, found.join("; "), ended.said);
        (!found.is_empty()).then_some(shown)
    }
}

#[track_caller]
fn holds(cases: &[Case]) {
    if !powershell() {
        return;
    }
    let nodes: Vec<_> = cases.iter().map(|case| (case, case.node())).collect();
    let (alone, together): (Vec<_>, Vec<_>) = nodes.iter().partition(|(case, _)| case.alone());
    let runs: Vec<_> = together
        .iter()
        .map(|(case, node)| (node, case.script, case.arguments, case.scope))
        .collect();
    let ended = if runs.is_empty() { Vec::new() } else { scripts(&runs) };
    let each = alone.iter().map(|(case, node)| {
        case.wrong(node, &node.script(case.script, case.arguments, case.scope, case.typed))
    });
    let all = together.iter().zip(&ended).map(|((case, node), ended)| case.wrong(node, ended));
    let wrong: Vec<String> = each.chain(all).flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What a person is told to type where the service does not answer.
const LOOK: &str = "Get-HgsKeyProtectionCertificate -CertificateType Signing -IsPrimary $true";

#[test]
fn a_change_that_is_half_done_is_told_truly() {
    holds(&[
        Case {
            traps: json!({ "set_encryption": { "takes": true } }),
            says: &["fail after it had done it", "Both are primary"],
            ..case("the second change takes effect and throws", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "set_signing": { "takes": true } }),
            says: &["fail after it had done it", "Both are primary"],
            ..case("the first change takes effect and throws", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "set_signing": { "takes": false } }),
            says: &["NODE-PRIMARY", "nothing else was changed", "fail here"],
            ..case("the first change fails", SET, At::Ordered, 3)
        },
        Case {
            traps: json!({ "set_encryption": { "takes": false } }),
            says: &["NODE-PRIMARY", "signing was put back", "fail here"],
            ..case("the second change fails", SET, At::Ordered, 3)
        },
        Case {
            traps: json!({ "lag": 7 }),
            says: &["Both are primary"],
            ..case("the read lags by three reads", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "lag": 82 }),
            says: &["Both are primary"],
            ..case("the read lags by 41 reads", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "lag": 1000 }),
            says: &["NODE-PRIMARY", "now primary: signing"],
            primary: "new/former",
            ..case("the read lags by hours", SET, At::Ordered, 3)
        },
        Case {
            traps: json!({ "down": { "after": 1, "reads": 100_000 } }),
            says: &["is unknown", "last read: signing", LOOK, "NODE-SERVICE"],
            primary: "new/former",
            ..case("reads answer 500 after the first change", SET, At::Ordered, 1)
        },
        Case {
            traps: json!({ "down": { "after": 2, "reads": 100_000 } }),
            says: &["is unknown", "last read: signing", LOOK, "NODE-SERVICE"],
            primary: "new/new",
            ..case("reads answer 500 after the second change", SET, At::Ordered, 1)
        },
        Case {
            traps: json!({ "down": { "after": 1, "reads": 9 } }),
            says: &["Both are primary"],
            ..case("reads answer 500 for a while", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "down": { "after": 0, "reads": 100_000 } }),
            says: &["failed:", "NODE-SERVICE"],
            ..case("nothing answers from the start", SET, At::Ordered, 1)
        },
        Case {
            traps: json!({ "set_encryption": { "takes": false }, "down": { "after": 2, "reads": 100_000 } }),
            says: &["is unknown"],
            ..case("reads answer 500 after the first change was put back", SET, At::Ordered, 1)
        },
        Case {
            traps: json!({ "set_encryption": { "takes": true } }),
            says: &["Both former certificates are primary again"],
            ..case("the second change back takes effect and throws", UNDO, At::Back, 0)
        },
        Case {
            traps: json!({ "set_encryption": { "takes": false } }),
            says: &["NODE-PRIMARY", "half of the way back"],
            primary: "former/new",
            ..case("the second change back fails", UNDO, At::Back, 3)
        },
        Case {
            traps: json!({ "set_signing": { "takes": false } }),
            says: &["NODE-PRIMARY", "nothing else was changed"],
            ..case("the first change back fails", UNDO, At::Back, 3)
        },
        Case {
            traps: json!({ "down": { "after": 1, "reads": 100_000 } }),
            says: &["is unknown", LOOK],
            primary: "former/new",
            ..case("reads answer 500 after the first change back", UNDO, At::Back, 1)
        },
        Case {
            traps: json!({ "lag": 7 }),
            says: &["Both former certificates are primary again"],
            ..case("the read lags on the way back", UNDO, At::Back, 0)
        },
    ]);
}

/// Somebody else made another certificate primary meanwhile: nothing is set over it, and nothing
/// restored over it.
#[test]
fn what_officers_did_not_see_is_not_replaced() {
    if !powershell() {
        return;
    }
    for (script, at, signing) in [(SET, At::Ordered, "former"), (UNDO, At::Back, "new")] {
        let node = Node::new(at, "rotation", false);
        let mut known = node.state()["known"].take();
        for entry in known.as_array_mut().unwrap() {
            entry["primary"] = json!(entry["primary"] == true && entry["type"] == "Signing");
        }
        let other = json!({ "type": "Encryption", "thumbprint": "C".repeat(40), "primary": true });
        known.as_array_mut().unwrap().push(other);
        node.set("/known", known);
        let ended = node.script(script, "-Confirm:$false", Scope::Dot, None);
        assert!(ended.code == 3 && ended.said.contains("NODE-PRIMARY"), "{}", ended.said);
        assert_eq!(node.primaries(), format!("{signing}/another's"));
    }
}

#[test]
fn what_is_registered_is_looked_at_and_not_believed() {
    let other = "-Node node2";
    holds(&[
        Case {
            traps: json!({ "lag": 2 }),
            says: &["The service knows both certificates"],
            ..case("an added certificate is seen two reads late", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "lag": 41 }),
            says: &["The service knows both certificates"],
            ..case("an added certificate is seen 41 reads late", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "added_by_another": "Signing" }),
            says: &["already exists", "The service knows both certificates"],
            ..case("another node was faster", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "add_refuses": "Encryption" }),
            says: &["NODE-REGISTERED", "refuse this"],
            ..case("the second certificate is not taken", INSTALL, At::Fresh, 3)
        },
        Case {
            traps: json!({ "down": { "after": 1, "reads": 100_000 } }),
            says: &["is unknown", "NODE-SERVICE"],
            ..case("reads answer 500 after the first was added", INSTALL, At::Fresh, 1)
        },
        Case {
            arguments: other,
            traps: json!({ "late": { "node": "node2", "reads": 30, "known": [] } }),
            says: &["Looking for up to 10 minutes", "The service knows both certificates"],
            never: &["add the"],
            ..case("the second node replicates late", INSTALL, At::Ready, 0)
        },
        Case {
            arguments: other,
            traps: json!({ "late": { "node": "node2", "reads": 100_000, "known": [] } }),
            says: &["NODE-REGISTERED"],
            ..case("the second node never replicates", INSTALL, At::Ready, 3)
        },
    ]);
}

#[test]
fn diagnostics_are_written_down_and_never_judged_by_a_script() {
    if !powershell() {
        return;
    }
    let kinds = [
        "",
        "failed",
        "warning",
        "unattested",
        "german",
        "nothing",
        "text",
        "throws",
        "error",
        "warns",
    ];
    let node = |kind| {
        let node = Node::new(At::Ready, "rotation", false);
        node.set("/traps", json!({ "diagnostics": kind }));
        node
    };
    let nodes = kinds.map(node);
    let runs = nodes.each_ref().map(|node| (node, TEST, "-Node node1", Scope::Dot));
    let all = scripts(&runs);
    let found = |kind: &str| {
        let at = kinds.iter().position(|one| *one == kind).unwrap();
        assert_eq!(all[at].code, 0, "{kind}: {}", all[at].said);
        nodes[at].statement("node1", "ready")["diagnosis"].clone()
    };
    let checks = |result: &str, check: &str| {
        json!([
            { "name": "HGS01", "result": result }, { "name": "HGS01 / Https", "result": "Pass" },
            { "name": "HGS01 / Https / HttpsBinding", "result": "Pass" },
            { "name": "HGS01 / Key Protection", "result": result },
            { "name": format!("HGS01 / Key Protection / {check}"), "result": result },
        ])
    };
    let report = "Microsoft.Windows.Diagnostics.RemoteResultSet";
    for (kind, result) in [("", "Pass"), ("failed", "Failed"), ("warning", "Warning")] {
        let expected = json!({ "type": report, "aggregate": result, "results": checks(result, "KpsCertificateAccess"), "errors": [] });
        assert_eq!(found(kind), expected, "{kind}");
    }
    assert_eq!(found("unattested")["results"], checks("Fail", "HostAttestation"));
    let nothing =
        |errors: Value| json!({ "type": "", "aggregate": "", "results": [], "errors": errors });
    for kind in ["german", "nothing", "text"] {
        assert_eq!(found(kind), nothing(json!([])), "{kind}");
    }
    assert_eq!(found("throws"), nothing(json!(["the collector gave up"])));
    assert_eq!(found("warns")["errors"], json!(["a collector was skipped"]));
    let collected = found("error");
    assert_eq!(collected["errors"], json!(["a collector could not connect"]));
    assert_eq!(collected["results"], checks("Pass", "KpsCertificateAccess"));
}

#[test]
fn nothing_waits_for_an_answer_that_nobody_gives() {
    holds(&[
        Case {
            traps: json!({ "impact": "High" }),
            says: &["The service knows both certificates"],
            ..case("the cmdlet asks", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "impact": "High" }),
            scope: Scope::Call,
            ..case("the cmdlet asks, by call", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "impact": "High" }),
            scope: Scope::Call,
            ..case("the cmdlet asks, by call", SET, At::Ordered, 0)
        },
        Case {
            traps: json!({ "impact": "High" }),
            scope: Scope::Call,
            ..case("the cmdlet asks, by call", UNDO, At::Back, 0)
        },
        Case {
            arguments: "",
            typed: Some("n\n"),
            says: &["a person said no"],
            ..case("a person says no to the change", SET, At::Ordered, 4)
        },
        Case {
            arguments: "-Node node1 -Confirm",
            typed: Some("y\ny\ny\ny\ny\nn\n"),
            says: &["a person said no"],
            never: &["NODE-REGISTERED"],
            ..case("a person says no to what is added", INSTALL, At::Fresh, 4)
        },
        Case {
            arguments: "-Node node1 -Confirm",
            typed: Some("n\n"),
            says: &["a person said no"],
            ..case("a person says no to the first certificate", INSTALL, At::Fresh, 4)
        },
        Case {
            arguments: "-Node node1 -Confirm",
            typed: Some("n\n"),
            says: &["a person said no"],
            ..case("a person says no to the proofs", TEST, At::Ready, 4)
        },
    ]);
}

#[test]
fn a_key_that_cannot_be_opened_is_called_that() {
    holds(&[
        Case {
            traps: json!({ "provider_throws": true }),
            says: &["cannot be opened: The device is not connected.", "NODE-BINDING"],
            ..case("the provider cannot be read", INSTALL, At::Ready, 4)
        },
        Case {
            traps: json!({ "name_throws": true }),
            says: &[
                "The name of this key cannot be read: The requested property is not supported.",
            ],
            ..case("the key's name cannot be read", INSTALL, At::Ready, 0)
        },
        Case {
            traps: json!({ "name_throws": true }),
            ..case("the key's name cannot be read", TEST, At::Ready, 0)
        },
        Case {
            traps: json!({ "padded_exponent": true }),
            ..case("an exponent with a leading zero", INSTALL, At::Ready, 0)
        },
        Case {
            traps: json!({ "offline": true }),
            says: &["access to the key is denied, or the HSM is out of reach", "NODE-BINDING"],
            ..case("the HSM is out of reach", INSTALL, At::Ready, 4)
        },
        Case {
            traps: json!({ "offline": true }),
            answers: &["online"],
            says: &["The service knows both certificates"],
            ..case("the HSM is out of reach for a while", INSTALL, At::Ready, 0)
        },
        Case {
            traps: json!({ "offline": true }),
            says: &["NODE-BINDING", "that can be opened"],
            ..case("the HSM is out of reach", TEST, At::Ready, 3)
        },
        Case {
            traps: json!({ "provider": "Microsoft Software Key Storage Provider" }),
            says: &[
                "NODE-BINDING",
                "certutil -csp \"Microsoft Software Key Storage Provider\" -delkey \"container\"",
            ],
            ..case("a software key is bound", INSTALL, At::Ready, 3)
        },
        Case {
            traps: json!({ "provider": "Microsoft Software Key Storage Provider" }),
            says: &["NODE-BINDING"],
            ..case("a software key is bound", TEST, At::Ready, 3)
        },
        Case {
            traps: json!({ "legacy": true }),
            says: &["NODE-BINDING", "certutil -store My"],
            never: &["-delkey"],
            ..case("a key of a legacy provider is bound", INSTALL, At::Ready, 3)
        },
        Case {
            traps: json!({ "wrong_key": true }),
            says: &["NODE-BINDING", "is not the certificate's"],
            ..case("another key is bound", INSTALL, At::Ready, 3)
        },
        Case {
            traps: json!({ "unbindable": true }),
            answers: &["look", "bindable"],
            says: &["The service knows both certificates"],
            ..case("the vendor's step comes later", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "wrong_store": true }),
            says: &["NODE-CERTIFICATE", "only in CurrentUser"],
            ..case("the certificates come to the wrong store", INSTALL, At::Fresh, 3)
        },
        Case {
            traps: json!({ "no_decrypt": true }),
            says: &["NODE-PROOF", "The requested operation is not supported."],
            ..case("the key does not decrypt", TEST, At::Ready, 3)
        },
    ]);
}

#[test]
fn what_is_cleared_away_decides_nothing_and_a_task_ends_somehow() {
    holds(&[
        Case {
            traps: json!({ "remove_fails": true }),
            says: &["is still there", "The service knows both certificates"],
            ..case("clean-up fails", INSTALL, At::Fresh, 0)
        },
        Case {
            traps: json!({ "remove_fails": true }),
            says: &["is still there", "Written:"],
            ..case("clean-up fails", TEST, At::Ready, 0)
        },
        Case {
            traps: json!({ "unregister_fails": true }),
            says: &["is still there", "Written:"],
            ..case("the task stays", TEST, At::Ready, 0)
        },
        Case {
            traps: json!({ "unregistrable": true }),
            says: &["No mapping between account names"],
            ..case("the task cannot be registered", TEST, At::Ready, 1)
        },
        Case {
            traps: json!({ "unregistrable": true }),
            scope: Scope::Call,
            says: &["No mapping between account names"],
            ..case("the task cannot be registered, by call", TEST, At::Ready, 1)
        },
        Case {
            traps: json!({ "task": 267_009 }),
            says: &["NODE-PROOF", "ended with -1", "was stopped"],
            ..case("the task never ends", TEST, At::Ready, 3)
        },
        Case {
            traps: json!({ "task": 267_014 }),
            says: &["NODE-PROOF", "ended with 267014", "was stopped"],
            ..case("the task is ended by its limit", TEST, At::Ready, 3)
        },
        Case {
            traps: json!({ "task": 2_147_943_785_u64 }),
            says: &["NODE-PROOF", "Log on as a batch job"],
            ..case("the account may not log on as a batch job", TEST, At::Ready, 3)
        },
        Case {
            traps: json!({ "icacls": true }),
            says: &["icacls failed"],
            ..case("the folder cannot be given to the account", TEST, At::Ready, 1)
        },
        Case {
            scope: Scope::Call,
            says: &["Written:"],
            ..case("nothing, by call", TEST, At::Ready, 0)
        },
        Case { scope: Scope::Call, ..case("nothing, by call", INSTALL, At::Fresh, 0) },
    ]);
    if !powershell() {
        return;
    }
    let node = Node::new(At::Ready, "rotation", false);
    node.set("/traps", json!({ "task": 267_009 }));
    node.script(TEST, "-Node node1", Scope::Dot, None);
    assert!(node.calls().contains("Stop-ScheduledTask"));
}

#[test]
fn what_a_node_lacks_is_said_before_anything_is_changed() {
    if !powershell() {
        return;
    }
    let install = |traps: Value, ends: i32, says: &str| {
        let node = Node::new(At::Fresh, "rotation", false);
        node.set("/traps", traps);
        let ended = node.script(INSTALL, "-Node node1", Scope::Dot, None);
        assert!(ended.code == ends && ended.said.contains(says), "{says}: {}", ended.said);
        node
    };
    let node = install(json!({ "not_elevated": true }), 3, "NODE-MACHINE");
    assert_eq!(node.calls(), "");
    install(json!({ "no_batch": true }), 0, "SeBatchLogonRight does not name");
    let node = Node::new(At::Fresh, "rotation", false);
    node.set("/ksp", json!("Another Key Storage Provider"));
    let ended = node.script(INSTALL, "-Node node1", Scope::Dot, None);
    assert!(ended.code == 3 && ended.said.contains("NODE-MACHINE"), "{}", ended.said);
    assert_eq!(node.calls(), "");
    // The service's account has no rights at the key, until somebody gives them.
    let node = Node::new(At::Ready, "rotation", false);
    node.set("/nodes/node1/granted", json!(false));
    let ended = node.script(INSTALL, "-Node node1", Scope::Dot, None);
    assert!(ended.code == 4 && ended.said.contains("NODE-GRANT"), "{}", ended.said);
    assert!(ended.said.contains("access to the key is denied"), "{}", ended.said);
    let ended = node.script(TEST, "-Node node1", Scope::Dot, None);
    assert!(ended.code == 3 && ended.said.contains("NODE-GRANT"), "{}", ended.said);
    node.set("/answers", json!(["grant"]));
    let ended = node.script(INSTALL, "-Node node1", Scope::Dot, None);
    assert_eq!(ended.code, 0, "{}", ended.said);
}

#[test]
fn a_trial_registers_nothing_and_takes_its_certificates_out_again() {
    let remove = "-Node node1 -Remove";
    holds(&[
        Case {
            trial: true,
            says: &["a trial registers nothing"],
            ..case("a trial", INSTALL, At::Fresh, 0)
        },
        Case {
            trial: true,
            arguments: remove,
            says: &["NODE-REGISTERED"],
            ..case("somebody registered a trial's certificates", INSTALL, At::Ready, 3)
        },
        Case {
            trial: true,
            arguments: remove,
            says: &["is not in LocalMachine"],
            ..case("there is nothing to remove", INSTALL, At::Fresh, 0)
        },
        Case {
            trial: true,
            says: &["NODE-ORDER", "an order to activate in a trial"],
            ..case("an order in a trial", SET, At::Ordered, 3)
        },
        Case {
            arguments: remove,
            says: &["NODE-ORDER", "-Remove outside a trial"],
            ..case("a ceremony's certificates are to be removed", INSTALL, At::Ready, 3)
        },
    ]);
    if !powershell() {
        return;
    }
    let node = Node::new(At::Fresh, "rotation", true);
    assert_eq!(node.script(INSTALL, "-Node node1", Scope::Dot, None).code, 0);
    assert_eq!(node.script(TEST, "-Node node1", Scope::Dot, None).code, 0);
    node.statement("node1", "ready");
    assert!(!node.calls().contains("Add "));
    node.set("/traps", json!({ "certificate_stays": true }));
    let ended = node.script(INSTALL, remove, Scope::Dot, None);
    assert!(ended.code == 1 && ended.said.contains("is still in LocalMachine"), "{}", ended.said);
    node.set("/traps", json!({}));
    assert_eq!(node.script(INSTALL, remove, Scope::Dot, None).code, 0);
    assert_eq!(node.state()["nodes"]["node1"]["store"], json!([]));
}

/// The whole way of a node, with every order, and each script twice.
#[test]
fn the_scripts_take_their_whole_way() {
    if !powershell() {
        return;
    }
    let node = Node::new(At::Fresh, "added", false);
    let ends = |script: &str, arguments: &str, code: i32, says: &str| {
        let ended = node.script(script, arguments, Scope::Dot, None);
        assert!(
            ended.code == code && ended.said.contains(says),
            "{script}: {says}: {}",
            ended.said
        );
    };
    ends(INSTALL, "-Node node2", 3, "NODE-ORDER");
    ends(INSTALL, "-Node node9", 3, "NODE-ORDER");
    ends(TEST, "-Node node1", 3, "NODE-CERTIFICATE");
    ends(INSTALL, "-Node node1 -WhatIf", 0, "== install-certificates");
    assert_eq!(node.calls(), "");
    ends(INSTALL, "-Node node1", 0, "== register");
    let first = node.calls();
    ends(INSTALL, "-Node node1", 0, "== register");
    assert_eq!(node.calls(), first, "the second run changed something");
    ends(TEST, "-Node node1 -WhatIf", 0, "== prove");
    assert!(!node.has("node1-ready.json"));
    ends(TEST, "-Node node1", 0, "== prove");
    let said = node.statement("node1", "ready");
    assert_eq!(
        (&said["machine"], said["primaries"].as_array().unwrap().len()),
        (&json!("NODE1"), 2)
    );
    assert!(said["published"].is_null() && said["worker_started"].is_null());
    ends(TEST, "-Node node1", 3, "NODE-FOLDER");
    ends(SET, "-Confirm:$false", 3, "NODE-ORDER");
    node.order(1, "activate", true);
    ends(TEST, "-Node node1", 3, "NODE-PRIMARY");
    ends(SET, "-WhatIf", 0, "== record-primaries");
    ends(SET, "-Confirm:$false", 0, "== read-back");
    assert_eq!(node.primaries(), "new/new");
    assert!(node.has("prior-primaries-01.json"));
    ends(SET, "-Confirm:$false", 0, "nothing to change");
    ends(TEST, "-Node node1", 0, "== prove");
    let said = node.statement("node1", "active");
    for (role, key) in ["signing", "encryption"].iter().zip(&*KEYS) {
        let published = data_encoding::BASE64.encode(&key.certificate);
        assert_eq!(said["published"][role], json!(published));
    }
    assert!(said["worker_started"].as_str().unwrap() > said["service_started"].as_str().unwrap());
    node.order(2, "rollback", true);
    ends(UNDO, "-WhatIf", 0, "== record-primaries");
    ends(UNDO, "-Confirm:$false", 0, "== read-back");
    assert_eq!(node.primaries(), "former/former");
    ends(UNDO, "-Confirm:$false", 0, "nothing to change");
    std::fs::write(node.at("register/hgs-signing.crt"), "changed").unwrap();
    ends(UNDO, "-Confirm:$false", 3, "NODE-FOLDER");
}

/// An active node whose metadata cannot be fetched says so, and proves what it can.
#[test]
fn what_a_node_publishes_is_claimed_only_where_it_was_fetched() {
    if !powershell() {
        return;
    }
    let node = Node::new(At::Active, "added", false);
    node.set("/traps", json!({ "no_http": true }));
    let ended = node.script(TEST, "-Node node1", Scope::Dot, None);
    assert!(
        ended.code == 0 && ended.said.contains("is not part of the evidence"),
        "{}",
        ended.said
    );
    let said = node.statement("node1", "active");
    assert!(said["published"].is_null() && said["worker_started"].is_null());
}

/// Two bare servers to active evidence, in a forest of their own: every line that a person types is
/// one of INSTRUCTIONS.txt or of a script. The pool comes with Initialize-HgsServer, and is seen only
/// when the cache is thrown away; then the other joins.
#[test]
fn a_new_cluster_is_made_between_the_scripts() {
    if !powershell() {
        return;
    }
    let node = Node::new(At::Fresh, "new", false);
    node.set("/nodes/node1/granted", json!(false));
    node.set("/nodes/node2/granted", json!(false));
    let ends = |script: &str, arguments: &str, code: i32, says: &str| {
        let ended = node.script(script, arguments, Scope::Dot, None);
        assert!(
            ended.code == code && ended.said.contains(says),
            "{script}: {says}: {}",
            ended.said
        );
    };
    for (name, words) in [("node1", "First node:"), ("node2", "Each other:")] {
        node.types(name, "On the first node, then on each other:");
        node.types(name, words);
    }
    ends(INSTALL, "-Node node1", 0, "there is no service yet");
    ends(TEST, "-Node node1", 0, "There is no service yet");
    assert!(node.statement("node1", "ready")["service_account"].is_null());
    node.order_install(1, "node2");
    ends(INSTALL, "-Node node2", 0, "there is no service yet");
    ends(TEST, "-Node node2", 0, "There is no service yet");
    node.order(2, "activate", false);
    ends(SET, "-WhatIf", 0, "There is no HGS yet");
    ends(SET, "-Confirm:$false", 4, "Install-ADServiceAccount");
    node.set("/answers", json!(["look", "forest"]));
    ends(SET, "-Confirm:$false", 0, "Initialize-HgsServer -HgsServerIPAddress");
    assert_eq!(node.primaries(), "new/new");
    node.types("node2", "each other node:");
    for name in ["node1", "node2"] {
        let arguments = format!("-Node {name}");
        node.set("/answers", json!([]));
        ends(INSTALL, &arguments, 4, "NODE-GRANT");
        node.set("/answers", json!(["grant"]));
        ends(INSTALL, &arguments, 0, "The service knows both certificates");
        ends(TEST, &arguments, 0, "Written:");
        assert!(node.statement(name, "active")["worker_started"].is_string());
    }
}

/// The same in a domain that is there: the one line of the two that the script shows which fits.
#[test]
fn a_new_cluster_in_an_existing_domain_begins_with_its_service_account() {
    if !powershell() {
        return;
    }
    let node = Node::new(At::Ready, "new", false);
    node.set("/existing", json!(true));
    node.order(1, "activate", false);
    for name in ["node1", "node2"] {
        node.types(name, "On the first node, then on each other:");
    }
    // Nobody has installed the account: Initialize-HgsServer fails, and there is still no service.
    node.set("/answers", json!(["domain"]));
    let ended = node.script(SET, "-Confirm:$false", Scope::Dot, None);
    assert!(ended.code == 1 && ended.said.contains("lacks the service account"), "{}", ended.said);
    for name in ["node1", "node2"] {
        node.types(name, "then on every node:");
    }
    // A line for a forest of its own is none for this server.
    node.set("/answers", json!(["forest"]));
    let ended = node.script(SET, "-Confirm:$false", Scope::Dot, None);
    assert!(ended.code == 1 && ended.said.contains("it was not promoted"), "{}", ended.said);
    node.set("/answers", json!(["domain"]));
    let ended = node.script(SET, "-Confirm:$false", Scope::Dot, None);
    assert!(ended.code == 0 && ended.said.contains("Both are primary"), "{}", ended.said);
    node.types("node2", "each other node:");
    let ended = node.script(TEST, "-Node node1", Scope::Dot, None);
    assert_eq!(ended.code, 0, "{}", ended.said);
    assert_eq!(node.statement("node1", "active")["service_account"], "FABRIKAM\\hgs-gmsa$");
    assert!(node.calls().contains("Initialize-HgsServer domain"));
}

/// As INSTRUCTIONS.txt has them typed, by -File: each way to end.
#[test]
fn the_scripts_run_as_files() {
    if !powershell() {
        return;
    }
    holds(&[
        Case { scope: Scope::File, ..case("nothing, as a file", INSTALL, At::Fresh, 0) },
        Case {
            scope: Scope::File,
            traps: json!({ "diagnostics": "error" }),
            says: &["Written:"],
            ..case("a collector's error, as a file", TEST, At::Ready, 0)
        },
        Case {
            scope: Scope::File,
            traps: json!({ "unregistrable": true }),
            says: &["No mapping between account names"],
            ..case("the task cannot be registered, as a file", TEST, At::Ready, 1)
        },
        Case {
            scope: Scope::File,
            arguments: "",
            typed: Some("y\n"),
            says: &["Both are primary"],
            ..case("a person says yes, as a file", SET, At::Ordered, 0)
        },
        Case {
            scope: Scope::File,
            arguments: "",
            typed: Some("n\n"),
            says: &["a person said no"],
            ..case("a person says no to the way back, as a file", UNDO, At::Back, 4)
        },
        Case {
            scope: Scope::File,
            arguments: "",
            typed: Some("y\n"),
            says: &["Both former certificates are primary again"],
            ..case("a person says yes to the way back, as a file", UNDO, At::Back, 0)
        },
        Case {
            scope: Scope::File,
            arguments: "",
            says: &["NODE-ORDER"],
            ..case("no order, as a file", SET, At::Ready, 3)
        },
    ]);
}

/// What somebody did to a node or its folder, and what the script says of it.
type Odd<'a> = (&'a str, At, &'a dyn Fn(&mut Node), i32, &'a str);

/// Runs them all in one PowerShell.
fn odd(deployment: &str, cases: &[Odd<'_>]) {
    if !powershell() {
        return;
    }
    let made = |case: &Odd<'_>| {
        let mut node = Node::new(case.1, deployment, false);
        case.2(&mut node);
        node
    };
    let nodes: Vec<Node> = cases.iter().map(made).collect();
    let arguments = |script: &str| match script {
        INSTALL | TEST => "-Node node1",
        _ => "-Confirm:$false",
    };
    let runs: Vec<_> = cases
        .iter()
        .zip(&nodes)
        .map(|(case, node)| (node, case.0, arguments(case.0), Scope::Dot))
        .collect();
    let mut wrong = Vec::new();
    for ((script, _, _, code, says), ended) in cases.iter().zip(scripts(&runs)) {
        if ended.code != *code || !ended.said.contains(says) {
            wrong.push(format!("{script}: {}, not {code}: {says}\n{}", ended.code, ended.said));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_folder_or_an_order_that_is_not_whole_is_refused() {
    let remove =
        |node: &Node, name: &str| std::fs::remove_file(node.at("register").join(name)).unwrap();
    let write = |node: &Node, name: &str| {
        std::fs::write(node.at("register").join(name), "x").unwrap();
    };
    let without_brief = |node: &mut Node| {
        let lines = std::fs::read_to_string(node.at("register/SHA256SUMS")).unwrap();
        let lines = lines.lines().filter(|line| !line.ends_with("registration.json"));
        node.list(&(lines.collect::<Vec<_>>().join("\n") + "\n"));
    };
    let other_brief = |node: &mut Node| {
        node.order(4, "activate", true);
        node.brief("/nonce", json!("44".repeat(32)));
    };
    let misnumbered = |node: &mut Node| {
        node.order(4, "activate", true);
        let from = node.at("register/04-activate.json");
        std::fs::rename(from, node.at("register/05-activate.json")).unwrap();
    };
    let twice = |node: &mut Node| {
        node.order(4, "activate", true);
        node.order_install(4, "node2");
    };
    let no_list = |node: &mut Node| remove(node, "SHA256SUMS");
    let other_list = |node: &mut Node| write(node, "SHA256SUMS");
    let odd_list = |node: &mut Node| node.list("x\n");
    let missing = |node: &mut Node| remove(node, "hgs-signing.crt");
    let changed = |node: &mut Node| write(node, "hgs-signing.crt");
    let local = |node: &mut Node| node.brief("/target", json!("local"));
    let same = |node: &mut Node| node.brief("/keys/1/thumbprint", json!(KEYS[0].thumbprint));
    let other = |node: &mut Node| node.brief("/keys/0/certificate/hash", json!("55".repeat(32)));
    let unchallenged = |node: &mut Node| node.brief("/keys/1/challenges", json!([]));
    let sha256 = |node: &mut Node| node.brief("/oaep_hash", json!("sha256"));
    odd(
        "rotation",
        &[
            (INSTALL, At::Fresh, &no_list, 3, "no file SHA256SUMS"),
            (TEST, At::Ready, &other_list, 3, "SHA256SUMS with SHA-256"),
            (SET, At::Ordered, &odd_list, 3, "the line x"),
            (UNDO, At::Back, &missing, 3, "no file hgs-signing.crt"),
            (INSTALL, At::Fresh, &changed, 3, "hgs-signing.crt with SHA-256"),
            (TEST, At::Ready, &without_brief, 3, "SHA256SUMS without registration.json"),
            (INSTALL, At::Fresh, &local, 3, "another format or target"),
            (SET, At::Ordered, &other_brief, 3, "for another brief"),
            (SET, At::Ordered, &misnumbered, 3, "whose content is not what its name says"),
            (SET, At::Ordered, &twice, 3, "2 orders with the number 4"),
            (INSTALL, At::Fresh, &same, 3, "one thumbprint for both roles"),
            (INSTALL, At::Fresh, &other, 3, "hgs-signing.crt with SHA-256"),
            (TEST, At::Ready, &other, 3, "another certificate with this thumbprint"),
            (TEST, At::Ready, &unchallenged, 3, "no challenge for node1/ready"),
            (TEST, At::Ready, &sha256, 3, "NODE-PROOF"),
        ],
    );
}

#[test]
fn a_service_that_is_not_as_the_order_says_is_left_as_it_is() {
    let unordered = |node: &mut Node| {
        std::fs::remove_file(node.at("register/01-activate.json")).unwrap();
    };
    let unknown = |node: &mut Node| {
        let mut known = node.state()["known"].take();
        known.as_array_mut().unwrap().retain(|one| one["primary"] == true);
        node.set("/known", known);
    };
    let prior = |node: &mut Node| {
        let prior = json!({ "format": "keyferry/1", "order": "x", "primaries": [] });
        let file = node.at("register/prior-primaries-01.json");
        std::fs::write(file, prior.to_string()).unwrap();
    };
    // The first change holds, the second fails, and the first cannot be put back.
    let stuck = |node: &mut Node| {
        let fails = json!({ "takes": false });
        let later = json!({ "takes": false, "from": 1 });
        node.set("/traps", json!({ "set_encryption": fails, "set_signing": later }));
    };
    // Somebody makes others primary again, as soon as both were read.
    let meddled = |node: &mut Node| {
        let known = node.state()["known"].clone();
        let late = json!({ "late": { "node": "node1", "reads": 1_000_000, "known": known } });
        node.set("/faults", json!([{ "step": "read-back", "traps": late, "node": {} }]));
    };
    let gone = |node: &mut Node| node.set("/service", json!(false));
    let forward_only = |node: &mut Node| node.order(2, "rollback", false);
    let before = "nothing of this ceremony, before officers have signed";
    odd(
        "rotation",
        &[
            (INSTALL, At::Ready, &gone, 3, "no application pool KeyProtection"),
            (INSTALL, At::Active, &unordered, 3, "is primary already"),
            (TEST, At::Active, &unordered, 3, before),
            (TEST, At::Back, &|_| {}, 3, "run Undo-KeyferryPrimary.ps1 once"),
            (SET, At::Ordered, &unknown, 3, "the service does not know"),
            (SET, At::Ordered, &prior, 3, "belongs to another order"),
            (SET, At::Ordered, &stuck, 3, "half a change. Now primary: signing"),
            (SET, At::Ordered, &meddled, 3, "somebody else changes the primaries"),
            (UNDO, At::Back, &meddled, 3, "somebody else changes the primaries"),
            (UNDO, At::Active, &forward_only, 3, "an order without former primaries"),
        ],
    );
    // A cluster without former primaries: there is nothing to put back.
    let without_former = |node: &mut Node| {
        node.set("/service", json!(true));
        node.set("/nodes/node1/member", json!(true));
        let of = |(kind, key): (&str, &super::node::Key)| json!({ "type": kind, "thumbprint": key.thumbprint, "primary": false });
        let known: Vec<Value> = ["Signing", "Encryption"].into_iter().zip(&*KEYS).map(of).collect();
        node.set("/known", json!(known));
        node.set("/traps", json!({ "set_encryption": { "takes": false } }));
    };
    let none = |node: &mut Node| node.order(2, "rollback", true);
    odd(
        "new",
        &[
            (SET, At::Ordered, &without_former, 3, "nothing was put back"),
            (UNDO, At::Ordered, &none, 3, "no HGS on this node"),
        ],
    );
}

#[test]
fn each_provider_has_its_vendors_step() {
    let of = |ksp: &'static str| {
        move |node: &mut Node| {
            node.brief("/ksp", json!(ksp));
            node.set("/ksp", json!(ksp));
            node.set("/traps", json!({ "unbindable": true }));
        }
    };
    let [shield, luna, cavium, cloud, utimaco] = [
        "nCipher Security World Key Storage Provider",
        "SafeNet Key Storage Provider",
        "Cavium Key Storage Provider",
        "CloudHSM Key Storage Provider",
        "Utimaco CryptoServer Key Storage Provider",
    ]
    .map(of);
    odd(
        "rotation",
        &[
            (INSTALL, At::Fresh, &shield, 4, "cngimport --import -M"),
            (INSTALL, At::Fresh, &luna, 4, "KspConfig.exe"),
            (INSTALL, At::Fresh, &cavium, 4, "key_mgmt_util: findKey"),
            (INSTALL, At::Fresh, &cloud, 4, "(key list)"),
            (INSTALL, At::Fresh, &utimaco, 4, "cs_cng.cfg"),
        ],
    );
}
