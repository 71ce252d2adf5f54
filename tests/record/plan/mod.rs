//! Every plan that cannot be is refused, with the rule and the line of what is wrong.

mod target;

use crate::people::{People, keygen, recipient};
use record::{
    plan::{Faults, Plan, canonical},
    rule::Rule,
    terms::TransferRoute,
};

fn faults(text: impl Into<Vec<u8>>) -> Faults {
    Plan::parse(text.into()).expect_err("a plan with a fault")
}

/// The line, from 1, of the only or last place of some text.
fn line(text: &str, needle: &str) -> usize {
    let found = text.split('\n').enumerate().filter(|(_, line)| line.contains(needle)).last();
    let found = found.map(|(number, _)| number);
    found.unwrap_or_else(|| panic!("no {needle:?}")) + 1
}

/// One way to spoil a plan: what is replaced by what, the rule, and what stands in the line that is
/// named.
struct Spoilt<'a> {
    from: &'a str,
    to: &'a str,
    rule: Rule,
    line: &'a str,
}

fn check(plan: &str, cases: &[Spoilt]) {
    for case in cases {
        assert!(plan.contains(case.from), "{:?}", case.from);
        let text = plan.replacen(case.from, case.to, 1);
        let found = faults(text.as_str());
        let expected = match case.line {
            "" => 0,
            needle => line(&text, needle),
        };
        assert!(
            found.0.iter().any(|fault| fault.rule == case.rule && fault.line == expected),
            "{:?} -> {:?}: expected {} in line {expected}, found\n{found}",
            case.from,
            case.to,
            case.rule.name()
        );
    }
}

macro_rules! spoilt {
    ($($from:expr => $to:expr, $rule:ident, $line:expr;)*) => {
        &[$(Spoilt { from: &$from, to: &$to, rule: Rule::$rule, line: &$line },)*]
    };
}
use spoilt;

#[test]
fn a_plan_without_faults_is_taken_and_described() {
    let people = People::new();
    let text = people.plan();
    let plan = Plan::parse(text.clone().into_bytes()).unwrap();
    let path = people.path().join("ceremony.toml");
    std::fs::write(&path, &text).unwrap();
    let signature = people.sign("bob", "keyferry-plan", text.as_bytes());
    std::fs::write(people.path().join("ceremony.toml.bob.sig"), signature).unwrap();
    let shown =
        authoring::check_plan(&path, &authoring::Reports::default(), ::show::Language::English)
            .unwrap()
            .text;
    for expected in [
        plan.hash().to_string().as_str(),
        "2 of 3 custodians",
        "signed by:  bob",
        "needs 1 more of the tenant",
        "needs 2 more of the hoster",
        "node2/active",
        "RSA-3072",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("ceremony.toml.bob.sig\n"), "{shown}");
}

#[test]
fn people_are_checked() {
    let people = People::new();
    let plan = people.plan();
    let (ada, bob, hal) = (people.public("ada"), people.public("bob"), people.public("hal"));
    keygen(&people.private("rsa"), &["rsa", "2048"]);
    keygen(&people.private("p521"), &["ecdsa", "521"]);
    let one_officer = |ids: &[&str]| {
        let lines = plan
            .lines()
            .filter(|line| !ids.iter().any(|id| line.contains(&format!("{{ id = \"{id}\""))));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    check(
        &plan,
        spoilt! {
            "id = \"bob\"" => "id = \"ada\"", PlanRepeated, "bob O.";
            bob => ada, PlanRepeated, "bob O.";
            "id = \"hal\"" => "id = \"ada\"", PlanRepeated, "hal O.";
            hal => ada, PlanRepeated, "hal O.";
            "id = \"iris\"" => "id = \"ada\"", PlanRepeated, "id = \"ada\"";
            people.public("iris") => ada, PlanRepeated, "key = \"ssh-ed25519 ".to_owned() + &ada[12..];
            "id = \"wim\"" => "id = \"iris\"", PlanRepeated, "id = \"iris\"";
            ada => people.public("rsa"), PlanField, "ada O.";
            ada => people.public("p521"), PlanField, "ada O.";
            ada => "ssh-ed25519 AAAA", PlanField, "ada O.";
            "id = \"ada\"" => "id = \"Ada\"", PlanField, "ada O.";
            "id = \"ada\"" => "id = \"-ada\"", PlanField, "ada O.";
            "id = \"ada\"" => "id = \"\"", PlanField, "ada O.";
            "id = \"ada\"" => "id = \"a/b\"", PlanField, "ada O.";
            "id = \"ada\"" => format!("id = \"{}\"", "a".repeat(41)), PlanField, "ada O.";
            "approvals = 2" => "approvals = 1", PlanApprovals, "approvals = 1";
            "approvals = 2" => "approvals = 4", PlanApprovals, "approvals = 4";
            "approvals = 2" => "approvals = 3", PlanNoSpare, "";
        },
    );
    check(&one_officer(&["hal"]), spoilt! { "Contoso" => "Contoso", PlanNoSpare, ""; });
    check(&one_officer(&["eve"]), spoilt! { "Contoso" => "Contoso", PlanNoSpare, ""; });
}

#[test]
fn the_quorum_is_checked() {
    let people = People::new();
    let plan = people.plan();
    let many: String = (0..14)
        .map(|n| {
            let recipient = recipient();
            format!("    {{ id = \"more-{n}\", name = \"m\", recipients = [\"{recipient}\"] }},\n")
        })
        .collect();
    let recipients: Vec<&str> = plan.split('"').filter(|text| text.starts_with("age1")).collect();
    let damaged =
        format!("{}{}", &recipients[0][..61], if recipients[0].ends_with('q') { 'p' } else { 'q' });
    check(
        &plan,
        spoilt! {
            "threshold = 2" => "threshold = 1", PlanQuorum, "threshold = 1";
            "threshold = 2" => "threshold = 4", PlanQuorum, "threshold = 4";
            "threshold = 2" => "threshold = 3", PlanNoSpare, "";
            "custodians = [\n" => format!("custodians = [\n{many}"), PlanQuorum, "threshold = 2";
            "id = \"cyd\"" => "id = \"hal\"", PlanTwoRoles, "cyd C.";
            "id = \"cyd\"" => "id = \"iris\"", PlanTwoRoles, "cyd C.";
            "id = \"dot\"" => "id = \"cyd\"", PlanRepeated, "dot C.";
            recipients[1] => recipients[0], PlanRepeated, "dot C.";
            recipients[0] => damaged, PlanField, "cyd C.";
            recipients[0] => recipients[0].to_uppercase(), PlanField, "cyd C.";
            recipients[0] => people.public("ada"), PlanField, "cyd C.";
            format!("\"{}\"", recipients[0]) => "", PlanField, "cyd C.";
        },
    );
    // An officer of the tenant may hold a share.
    Plan::parse(plan.replace("id = \"cyd\"", "id = \"ada\"").into_bytes()).unwrap();
}

#[test]
fn keys_transfer_and_target_are_checked() {
    let people = People::new();
    let plan = people.plan();
    check(
        &plan,
        spoilt! {
            "format = \"keyferry/1\"" => "format = \"keyferry/2\"", PlanField, "keyferry/2";
            "\"test-2026\"" => "\"Test 2026\"", PlanField, "Test 2026";
            "kek_bits = 4096" => "kek_bits = 2048", PlanField, "kek_bits = 2048";
            "kek_bits = 4096" => "kek_bits = 4096\nevidence = \"origin\"", PlanField, "";
            "role = \"signing\"" => "role = \"encryption\"", PlanField, "usage = [\"sign\"]";
            "usage = [\"sign\"]" => "usage = [\"decrypt\"]", PlanField, "usage = [\"decrypt\"]";
            "usage = [\"sign\"]" => "usage = [\"sign\", \"sign\"]", PlanField, "usage = [";
            "usage = [\"sign\"]" => "usage = [\"sign\", \"wrap\"]", PlanField, "usage = [";
            "usage = [\"sign\"]" => "usage = []", PlanField, "usage = [";
            "bits = 3072" => "bits = 1024", PlanField, "bits = 1024";
            "type = \"rsa\"" => "type = \"ec\"", PlanField, "bits = 3072";
            "type = \"rsa\"" => "type = \"dsa\"", PlanField, "bits = 3072";
            "label = \"enc\"" => "label = \"sig\"", PlanRepeated, "label = \"sig\"";
            "label = \"enc\"" => "label = \"e n c\"", PlanField, "label = \"e n c\"";
            "CN=Contoso signing" => "Contoso", PlanField, "subject = \"Contoso\"";
            "CN=Contoso signing" => "", PlanField, "subject = \"\"";
            "\"node1\"" => "\"node2\"", PlanRepeated, "nodes = [";
            "\"node1\"" => "\"../node1\"", PlanField, "nodes = [";
            "[\"node1\", \"node2\"]" => "[]", PlanField, "nodes = [";
            "mode = \"rehearsal\"" => "mode = \"production\"", PlanHsm, "[hoster]";
            "name = \"Contoso\"" => "name = \"REPLACE-NAME\"", PlanField, "REPLACE-NAME";
        },
    );
    let no_signing = plan
        .replace("role = \"signing\"", "role = \"encryption\"")
        .replace("[\"sign\"]", "[\"decrypt\"]");
    let found = faults(no_signing);
    assert!(found.to_string().contains("no signing key"), "{found}");
    let hsm = "hsm = { manufacturer = \"m\", model = \"m\", serials = [] }\napprovals";
    let found = faults(plan.replace("\"rehearsal\"", "\"production\"").replace("approvals", hsm));
    assert!(found.0.iter().all(|fault| fault.rule == Rule::PlanHsm) && found.0.len() == 2);
}

#[test]
fn waivers_are_checked() {
    let people = People::new();
    let plan = people.plan();
    let waive = |rule: &str, reason: &str| {
        format!("{plan}\n[[waivers]]\nrule = \"{rule}\"\nreason = \"{reason}\"\n")
    };
    let composite = waive("WRAP-COMPOSITE", "the token has nothing else")
        .replace("\"single-shot\"", "\"composite\"");
    Plan::parse(composite.clone().into_bytes()).unwrap();
    Plan::parse(waive("KEK-COPYABLE", "an old token").into_bytes()).unwrap();
    check(
        &plan,
        spoilt! {
            "\"single-shot\"" => "\"composite\"", WrapComposite, "";
            "\"sha256\"" => "\"sha1\"", WrapOaepSha1, "";
        },
    );
    for (rule, reason, named) in [
        ("WRAP-COMPOSITE", "not needed", "rule = "),
        ("WRAP-OAEP-SHA1", "not needed", "rule = "),
        ("PLAN-NO-SPARE", "not needed", "rule = "),
        ("KEK-EXTRACTABLE", "not waivable", "rule = "),
        ("KEK-UNHEARD-OF", "unknown", "rule = "),
        ("KEK-COPYABLE", "", "reason = "),
        ("KEK-COPYABLE", "  ", "reason = "),
    ] {
        check(&waive(rule, reason), spoilt! { "Contoso" => "Contoso", PlanWaiver, named; });
    }
    let twice =
        format!("{composite}\n[[waivers]]\nrule = \"WRAP-COMPOSITE\"\nreason = \"again\"\n");
    check(&twice, spoilt! { "Contoso" => "Contoso", PlanRepeated, "WRAP-COMPOSITE"; });
}

/// Keys that are born at the hoster are not wrapped, and nobody holds a share of them.
#[test]
fn a_plan_of_keys_that_are_born_at_the_hoster_has_nothing_of_a_transfer() {
    let plan = People::new().plan();
    let (head, rest) = plan.split_once("[quorum]").unwrap();
    let (quorum, tail) = rest.split_once("[transfer]").unwrap();
    let born = format!("{head}[transfer]{tail}")
        .replace("mechanism = \"single-shot\"\n", "origin = \"hoster\"\n")
        .replace("kek_bits = 4096\n", "")
        .replace(
            "role = \"encryption\"\n",
            "role = \"encryption\"\nusage = [\"sign\", \"decrypt\"]\n",
        );
    let taken = Plan::parse(born.clone().into_bytes()).unwrap();
    assert!(taken.quorum.custodians.is_empty() && !taken.trusted_only());
    let with_quorum = born.replace("[transfer]", &format!("[quorum]{quorum}[transfer]"));
    check(&with_quorum, spoilt! { "Contoso" => "Contoso", PlanField, "[quorum]"; });
    check(
        &born,
        spoilt! {
            "origin = \"hoster\"" => "origin = \"hoster\"\nkek_bits = 4096", PlanField, "kek_bits";
            "origin = \"hoster\"" => "origin = \"hoster\"\nmechanism = \"composite\"", PlanField, "";
            "source = \"keep\"" => "source = \"destroy\"", PlanField, "";
            "usage = [\"sign\", \"decrypt\"]" => "usage = [\"decrypt\"]", PlanField, "label = ";
            "origin = \"hoster\"" => "origin = \"tenant\"", PlanField, "";
        },
    );
    for rule in ["WRAP-COMPOSITE", "TARGET-WRAP-WITH-TRUSTED"] {
        let waived = format!("{born}\n[[waivers]]\nrule = \"{rule}\"\nreason = \"a test\"\n");
        check(&waived, spoilt! { "Contoso" => "Contoso", PlanWaiver, "rule = "; });
    }
}

/// A plan without a quorum.
fn without_quorum(plan: &str) -> String {
    let (head, rest) = plan.split_once("[quorum]").unwrap();
    let (_, tail) = rest.split_once("[transfer]").unwrap();
    format!("{head}[transfer]{tail}")
}

#[test]
fn keys_that_another_tool_brings_are_named_in_the_plan() {
    let spki = format!("spki = \"{}\"", "5e".repeat(32));
    let plan = without_quorum(&People::new().plan())
        .replace("kek_bits = 4096\n", "kek_bits = 4096\nformat = \"pkcs11\"\n")
        .replace("label = \"sig\"\n", &format!("label = \"sig\"\n{spki}\n"))
        .replace(
            "label = \"enc\"\n",
            &format!("label = \"enc\"\nspki = \"{}\"\n", "ec".repeat(32)),
        );
    let taken = Plan::parse(plan.clone().into_bytes()).unwrap();
    assert_eq!(taken.way, TransferRoute::Brought);
    assert!(taken.quorum.custodians.is_empty());
    check(
        &plan,
        spoilt! {
            spki => "", PlanField, "label = \"sig\"";
            "5e5e" => "5e5", PlanSyntax, "spki = \"5e5";
            "format = \"pkcs11\"\n" => "", PlanField, "spki = \"5e";
            "format = \"pkcs11\"" => "format = \"pkcs11\"\norigin = \"hoster\"", PlanField, "";
            "source = \"keep\"" => "source = \"destroy\"", PlanField, "";
        },
    );
}

#[test]
fn a_plan_for_a_cloud_service_names_what_the_service_takes() {
    let people = People::new().plan();
    let (head, rest) = people.split_once("[target]").unwrap();
    let (_, tail) = rest.split_once("[after]").unwrap();
    let plan = without_quorum(&format!("{head}[target]\nkind = \"aws-kms\"\n\n[after]{tail}"));
    let waived = format!(
        "{plan}\n[[waivers]]\nrule = \"TARGET-WRAP-WITH-TRUSTED\"\nreason = \"nobody can trust it\"\n"
    );
    let taken = Plan::parse(waived.clone().into_bytes()).unwrap();
    assert_eq!(taken.way, TransferRoute::Cloud);
    assert!(taken.target.nodes().is_empty());
    check(
        &waived,
        spoilt! {
            "TARGET-WRAP-WITH-TRUSTED" => "KEK-COPYABLE", TargetWrapWithTrusted, "";
            "kind = \"aws-kms\"" => "kind = \"azure-byok\"", PlanTarget, "";
            "kind = \"aws-kms\"" => "kind = \"aws-kms\"\nnodes = [\"node1\"]", PlanField, "nodes = ";
            "kind = \"aws-kms\"" => "kind = \"gcp-kms\"\nksp = \"A\"", PlanField, "ksp = ";
            "kek_bits = 4096" => "kek_bits = 4096\nformat = \"pkcs11\"", PlanField, "";
            "kek_bits = 4096" => "kek_bits = 4096\norigin = \"hoster\"", PlanField, "";
            "kek_bits = 4096" => "kek_bits = 4096\nevidence = \"origin\"", PlanField, "";
            "source = \"keep\"" => "source = \"destroy\"", PlanField, "";
        },
    );
}

#[test]
fn the_form_is_checked() {
    let people = People::new();
    let plan = people.plan();
    for place in [
        "format = \"keyferry/1\"\n",
        "name = \"Contoso\"\n",
        "name = \"Iris W.\"\n",
        "threshold = 2\n",
        "mechanism = \"single-shot\"\n",
        "role = \"signing\"\n",
        "source = \"keep\"\n",
    ] {
        let spoilt = format!("{place}unheard = \"of\"\n");
        check(
            &plan,
            &[Spoilt { from: place, to: &spoilt, rule: Rule::PlanSyntax, line: "unheard" }],
        );
    }
    check(
        &plan,
        spoilt! {
            "name = \"ada O.\"" => "unheard = 1, name = \"ada O.\"", PlanSyntax, "ada O.";
            "name = \"cyd C.\"" => "unheard = 1, name = \"cyd C.\"", PlanSyntax, "cyd C.";
            "approvals = 2" => "approvals = 2.0", PlanSyntax, "approvals = 2.0";
            "threshold = 2" => "threshold = -2", PlanSyntax, "threshold = -2";
            "threshold = 2" => "threshold = \"2\"", PlanSyntax, "threshold = \"2\"";
            "kek_bits = 4096" => "kek_bits = 4096.5", PlanSyntax, "kek_bits";
            "kek_bits = 4096" => "kek_bits = 4096\nkek_bits = 4096", PlanSyntax, "kek_bits";
            "mode = \"rehearsal\"" => "mode = \"play\"", PlanSyntax, "mode = ";
            "nonce = \"5a" => "nonce = \"5A", PlanSyntax, "nonce = ";
            "nonce = \"5a" => "nonce = \"", PlanSyntax, "nonce = ";
        },
    );
    // A tagged table has no place for its fields, but is refused all the same.
    for spoilt in [
        plan.replace("kind = \"local\"", "kind = \"local\"\nunheard = 1"),
        plan.replace("kind = \"local\"", "kind = \"elsewhere\""),
    ] {
        assert_eq!(faults(spoilt).0[0].rule, Rule::PlanSyntax);
    }
    let mut bytes = plan.clone().into_bytes();
    bytes[200] = 0xff;
    assert_eq!(faults(bytes).0[0].rule, Rule::PlanSyntax);
    assert_eq!(faults("").0[0].rule, Rule::PlanSyntax);
    // The identity is the bytes': a mail program that changes line ends has made another plan.
    let crlf = plan.replace('\n', "\r\n").into_bytes();
    let hash = Plan::parse(plan.into_bytes()).unwrap().hash();
    assert!(Plan::parse(crlf).is_err(), "line ends are LF");
    assert_ne!(hash, record::encoding::Hash([0; 32]));
}

/// The same plan in TOML that not every reader understands: taken where a ceremony has begun with
/// it, refused before.
#[test]
fn before_anybody_signs_it_a_plan_is_written_in_one_way() {
    let plan = People::new().plan();
    canonical(&plan).unwrap();
    let hsm = "{ manufacturer = \"a\", model = \"b\", serials = [\"c\"] }";
    let other_ways = [
        ("mode = \"rehearsal\"", "mode = 'rehearsal'", "mode = "),
        ("mode = \"rehearsal\"", "mode = \"\"\"rehearsal\"\"\"", "mode = "),
        ("mode = \"rehearsal\"", "mode = \"\\u0072ehearsal\"", "mode = "),
        ("mode = \"rehearsal\"", "\"mode\" = \"rehearsal\"", "\"mode\""),
        ("mode = \"rehearsal\"", "mode = \"rehearsal\" # what else", "what else"),
        ("mode = \"rehearsal\"", "mode\t= \"rehearsal\"", "mode\t"),
        ("name = \"Contoso\"", "\"name\" = \"Contoso\"", "\"name\" ="),
        ("name = \"Contoso\"", "name = \"Contoso {id}\"", "{id}"),
        ("name = \"Contoso\"", "name = \"Contoso, key = 1\"", "key = 1"),
        (
            "name = \"Contoso\"",
            "name = \"Contoso\"\nhsm.manufacturer = \"a\"\nhsm.model = \"b\"\nhsm.serials = [\"c\"]",
            "hsm.manuf",
        ),
        ("name = \"ada O.\"", "name = \"ada } O.\"", "ada } O."),
        ("name = \"ada O.\"", "'name' = \"ada O.\"", "ada O."),
        ("approvals = 2", "approvals = +2", "approvals = +2"),
        ("threshold = 2", "threshold = 0x2", "threshold = 0x2"),
        ("kek_bits = 4096", "kek_bits = 4_096", "4_096"),
        ("[hoster]", "[ hoster ]", "[ hoster ]"),
        ("[hoster]", "[\"hoster\"]", "[\"hoster\"]"),
        ("[[witnesses]]", "[[ witnesses ]]", "[[ witnesses ]]"),
    ];
    for (from, to, found) in other_ways {
        let text = plan.replacen(from, to, 1);
        assert_ne!(text, plan, "{from}");
        Plan::parse(text.clone().into_bytes()).unwrap();
        let faults = canonical(&text).unwrap_err();
        let expected = (Rule::PlanSyntax, line(&text, found));
        let all: Vec<_> = faults.0.iter().map(|fault| (fault.rule, fault.line)).collect();
        assert!(all.contains(&expected), "{to}: {faults}");
        let error = record::Error::from(faults).to_string();
        assert!(error.contains("PLAN-SYNTAX") && error.contains("expected"), "{error}");
    }
    let with_hsm =
        plan.replacen("name = \"Contoso\"", &format!("name = \"Contoso\"\nhsm = {hsm}"), 1);
    canonical(&with_hsm).unwrap();
    canonical(include_str!("../../../templates/ceremony.toml")).unwrap();
}

#[test]
fn what_an_editor_made_of_a_plan_is_named_with_how_to_save_it() {
    let people = People::new();
    let plan = people.plan();
    let utf16 = |unit: fn(u16) -> [u8; 2], mark: Option<u16>| -> Vec<u8> {
        mark.into_iter().chain(plan.encode_utf16()).flat_map(unit).collect()
    };
    let curly = plan.replacen("mode = \"rehearsal\"", "mode = \u{201c}rehearsal\u{201d}", 1);
    let cases = [
        (format!("\u{feff}{plan}").into_bytes(), "byte order mark", 1),
        (plan.replace('\n', "\r\n").into_bytes(), "CR LF", 1),
        (
            plan.replacen("name = \"Contoso\"", "name = \"Cont\u{feff}oso\"", 1).into_bytes(),
            "byte order mark",
            line(&plan, "name = \"Contoso\""),
        ),
        (utf16(u16::to_le_bytes, Some(0xfeff)), "UTF-16", 1),
        (utf16(u16::to_be_bytes, Some(0xfeff)), "UTF-16", 1),
        (utf16(u16::to_le_bytes, None), "UTF-16", 1),
        (
            plan.replacen("Contoso", "Contos\u{f6}", 1).chars().map(|c| c as u8).collect(),
            "not UTF-8",
            line(&plan, "name = \"Contoso\""),
        ),
        (curly.into_bytes(), "U+201C", line(&plan, "mode =")),
    ];
    for (bytes, expected, at) in cases {
        let found = faults(bytes);
        assert_eq!((found.0[0].rule, found.0[0].line), (Rule::PlanSyntax, at), "{found}");
        let said = found.to_string();
        assert!(said.contains(expected) && said.contains("tr -d"), "{expected}: {said}");
    }
    // In a name they are letters like others.
    let named =
        plan.replacen("name = \"Contoso\"", "name = \"\u{201e}Contoso\u{201c} \u{2013} Nord\"", 1);
    Plan::parse(named.into_bytes()).unwrap();
}

#[test]
fn a_key_of_the_other_kind_is_named_and_a_secret_is_not_shown() {
    let people = People::new();
    let plan = people.plan();
    let recipient = plan.split('"').find(|text| text.starts_with("age1")).unwrap();
    let ada = people.public("ada");
    let secret = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQF";
    for (from, to, expected) in [
        (recipient, ada.as_str(), "an SSH key, as officers have"),
        (ada.as_str(), recipient, "an age recipient, as custodians have"),
        (recipient, secret, "an age identity, which is secret"),
        (ada.as_str(), "-----BEGIN OPENSSH PRIVATE KEY-----", "a private SSH key"),
        (recipient, &format!("{recipient} "), "with white space around it"),
    ] {
        let said = faults(plan.replacen(from, to, 1)).to_string();
        assert!(said.contains(expected) && !said.contains(secret), "{expected}: {said}");
    }
}

#[test]
fn plugins_are_named_with_their_custodians() {
    let people = People::new();
    let plan = people.plan();
    assert!(Plan::parse(plan.clone().into_bytes()).unwrap().plugins().is_empty());
    let recipient = plan.split('"').find(|text| text.starts_with("age1")).unwrap();
    let tag = "age1tag1qf0w6dgygjq2g0gn6kzr3hes8cmfw3582a6yymhz0n3hr8st3tt8s7ujc6d";
    let path = people.path().join("ceremony.toml");
    std::fs::write(&path, plan.replacen(recipient, tag, 1)).unwrap();
    let plugins = Plan::read(&path).unwrap().plugins();
    assert_eq!(plugins.keys().collect::<Vec<_>>(), ["age-plugin-tag"]);
    assert_eq!(plugins["age-plugin-tag"].len(), 1);
    let shown =
        authoring::check_plan(&path, &authoring::Reports::default(), ::show::Language::English)
            .unwrap()
            .text;
    assert!(shown.contains("program:    age-plugin-tag for the recipients of "), "{shown}");
}

#[test]
fn the_template_names_what_is_to_be_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceremony.toml");
    authoring::new_plan(&path, None).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("@NONCE@"));
    let found = faults(text.as_str());
    for (number, line) in (1..).zip(text.lines()) {
        let placeholder = line.contains("REPLACE-") && !line.starts_with('#');
        let named = found.0.iter().any(|fault| fault.line == number);
        assert!(named == placeholder, "line {number}: {line}");
    }
    // Never overwritten, and never the same twice.
    assert_eq!(authoring::new_plan(&path, None).unwrap_err().rule(), Some(Rule::FileExists));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let other = folder.path().join("other.toml");
    authoring::new_plan(&other, None).unwrap();
    assert_ne!(std::fs::read_to_string(&other).unwrap(), text);
}

#[test]
fn whatever_is_done_to_a_plan_it_is_another_one_or_none() {
    let plan = People::new().plan().into_bytes();
    let hash = Plan::parse(plan.clone()).unwrap().hash();
    let same = |bytes: Vec<u8>| Plan::parse(bytes).is_ok_and(|plan| plan.hash() == hash);
    for length in (0..plan.len()).step_by(7) {
        assert!(!same(plan[..length].to_vec()));
    }
    // xorshift64: every run does the same.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..2000 {
        let mut bytes = plan.clone();
        for _ in 0..=round % 3 {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] ^= 1 << next(8),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, next(256) as u8),
                _ => {
                    let end = (at + next(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
        }
        assert!(bytes == plan || !same(bytes));
    }
}
