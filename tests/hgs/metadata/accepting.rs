//! What `accept` takes under a plan of the target `hgs`, and what it says.

use std::path::PathBuf;

use super::*;
use crate::people::People;
use ceremony::tenant::metadata::{MetadataArgs, report};
use record::{
    document::acceptance::Published,
    encoding::Hash,
    log::Event,
    plan::Plan,
    proof::key_set::Pair,
    terms::{Id, Listed},
};
use terminal::report::Report;

fn plan(kind: &str) -> Plan {
    let text = People::new().plan();
    let hgs = "kind = \"hgs\"\nksp = \"YubiHSM Key Storage Provider\"\ndeployment = \"new\"\nsoak_hours = 0";
    let text = match kind {
        "hgs" => text.replace("kind = \"local\"", hgs),
        _ => text,
    };
    Plan::parse(text.into_bytes()).unwrap()
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn asked(files: &[(&str, &Path)], by: &str, from: &str) -> MetadataArgs {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    MetadataArgs {
        files: files.iter().map(|(node, path)| (id(node), path.into())).collect(),
        by: some(by).map(|by| id(&by)),
        from: some(from),
    }
}

#[test]
fn only_files_of_the_plans_nodes_by_the_plans_people_are_looked_at() {
    let (local, hgs) = (plan("local"), plan("hgs"));
    let path = PathBuf::from("x");
    let one = [("node1", path.as_path())];
    let twice = [one[0], ("node2", path.as_path()), one[0]];
    let strange = [("node9", path.as_path())];
    let usage = |asked: MetadataArgs, plan: &Plan| {
        let error = asked.wanted(plan).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    };
    usage(asked(&one, "ada", "the tenant's office"), &local);
    usage(asked(&[], "ada", ""), &hgs);
    usage(asked(&[], "", "here"), &local);
    usage(asked(&one, "", "here"), &hgs);
    usage(asked(&one, "ada", ""), &hgs);
    usage(asked(&one, "stranger", "here"), &hgs);
    usage(asked(&twice, "ada", "here"), &hgs);
    usage(asked(&strange, "ada", "here"), &hgs);
    for from in [" ", "a\nb", "a\u{1b}[2J", "\u{9b}", &"x".repeat(201)] {
        usage(asked(&one, "ada", from), &hgs);
    }
    assert!(asked(&[], "", "").wanted(&local).unwrap().is_empty());
    for by in ["ada", "hal", "iris"] {
        assert_eq!(asked(&one, by, &"ö".repeat(200)).wanted(&hgs).unwrap().len(), 1);
    }
}

#[test]
fn the_report_says_what_was_compared_what_it_proves_and_what_comes_next() {
    let (keys, plan) = (keys(), plan("hgs"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fetched.xml");
    let other = file(&keys.signing, &keys.encryption, &[&keys.other]);
    std::fs::write(&path, &other).unwrap();
    let pair = Pair { signing: &keys.signing, encryption: &keys.encryption };
    let taken = |by: &str| {
        let wanted = asked(&[("node2", &path)], by, "the \u{202e}office").wanted(&plan).unwrap();
        vec![wanted[0].compared_with(pair).unwrap()]
    };
    let said = report(Report::new(""), &plan, &taken("ada"), pair).text();
    for sentence in [
        "node2 publishes the ceremony's certificates as the primary ones; fetched by ada O. (ada) from the \\u{202e}office:\n",
        &format!("not primary: {} CN=other", record::spki::thumbprint(&keys.other)),
        "no metadata:  node1",
        "nor that the service can decrypt",
        "You may now deploy new shielded VMs. ",
        &format!(
            "Import-HgsGuardian -Path .\\node2.metadata.xml -Name {} -AllowUntrustedRoot\n",
            plan.ceremony
        ),
        "New-ShieldingDataFile -ShieldingDataFilePath ",
    ] {
        assert!(said.contains(sentence), "no {sentence:?} in\n{said}");
    }
    assert!(!said.contains("A CLAIM"), "{said}");
    let said = report(Report::new(""), &plan, &taken("hal"), pair).text();
    assert!(said.contains("A CLAIM, for an officer of the hoster fetched it"), "{said}");
    let said = report(Report::new(""), &plan, &[], pair).text();
    assert!(
        said.contains("once you have a metadata.xml with exactly the two thumbprints above"),
        "{said}"
    );
    assert!(said.contains("no metadata:  node1, node2"), "{said}");
    // A wrong file says which node it is of.
    std::fs::write(&path, file(&keys.other, &keys.encryption, &[])).unwrap();
    let wanted = asked(&[("node2", &path)], "ada", "here").wanted(&plan).unwrap();
    let error = wanted[0].compared_with(pair).err().unwrap();
    assert_eq!(error.rule(), Some(Rule::MetadataCertificate));
    assert!(error.to_string().contains("node2 ("), "{error}");
}

fn published(node: &str, by: &str, from: &str) -> Published {
    Published {
        node: id(node),
        file: Listed::of(b"x"),
        fetched_by: id(by),
        fetched_from: from.into(),
    }
}

#[test]
fn the_log_says_what_was_published_and_nothing_where_there_was_none() {
    let one = published("node1", "ada", "here");
    let event = |metadata| Event::Accept {
        document: Hash::of(b""),
        registration: Hash::of(b""),
        signatures: vec![],
        metadata,
    };
    let line = serde_json::to_string(&event(vec![one.logged()])).unwrap();
    assert!(line.contains("\"fetched_by\":\"ada\",\"fetched_from\":\"here\""), "{line}");
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event(vec![one.logged()]));
    assert!(!serde_json::to_string(&event(vec![])).unwrap().contains("metadata"));
}
