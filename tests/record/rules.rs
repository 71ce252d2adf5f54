//! Each rule says what is wrong where it refuses, in every language, and docs/rules.md has them all,
//! each with the test that provokes it. `KEYFERRY_RULES=write` writes the page anew, but for its
//! last column, which people write.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use rustix::io::Errno;

use super::claims::{below, root};
use record::{Error, folder, rule::Rule, service::local::Registry};
use show::{Language, Sentences};

const HEAD: &str = "# The rules

Every refusal names one of these rules, what was found, what was expected and what to do. The page
is made from `src/record/rule.rs`; a test holds both to each other, and each rule to the test that
provokes it.

| rule | refused, as | what it demands | provoked by |
|---|---|---|---|
";

#[test]
fn every_rule_is_on_the_page_with_the_test_that_provokes_it() {
    let path = root().join("docs/rules.md");
    let found = fs::read_to_string(&path).unwrap_or_default();
    let rows = found.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let provoked: BTreeMap<&str, &str> =
        rows.filter_map(|row| Some((row.split_once('`')?.0, row.rsplit_once(" | ")?.1))).collect();
    let mut page = HEAD.to_owned();
    for rule in Rule::ALL {
        let (name, demand) = (rule.name(), rule.text());
        let waivable = if rule.waivable() { "; a plan may waive it" } else { "" };
        let by = provoked.get(name).unwrap_or(&"");
        page += &format!("| `{name}` | {} | {demand}{waivable} | {by} |\n", rule.fault());
    }
    if env::var_os("KEYFERRY_RULES").is_some_and(|value| value == "write") {
        fs::write(&path, &page).unwrap();
    }
    assert!(page == found, "KEYFERRY_RULES=write cargo test --test record every_rule_is_on");

    let sources = ["tests", "src"].map(|folder| below(&root().join(folder), ".rs")).concat();
    for rule in Rule::ALL {
        let (name, by) = (rule.name(), provoked[rule.name()]);
        if let Some(reason) = by.strip_prefix("none: ") {
            assert!(reason.len() > 20, "{name}: {reason}");
            continue;
        }
        let test = by.strip_prefix('`').and_then(|by| by.strip_suffix('`')).expect(name);
        let declared = format!("#[test]\nfn {test}(");
        let of =
            sources.iter().find(|(_, text)| text.replace("\n    fn", "\nfn").contains(&declared));
        let (file, text) = of.unwrap_or_else(|| panic!("{name}: no test {test}"));
        let names = [format!("\"{name}\""), format!("{rule:?}")];
        let text = of_test(text, test);
        assert!(names.iter().any(|name| text.contains(name)), "{name}: {}", file.display());
    }
}

/// A file without the bodies of its other tests: what this one says, with the file's helpers and
/// tables.
fn of_test(text: &str, test: &str) -> String {
    let mut parts = text.split("#[test]\n");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (body, rest) = part.split_once("\n}\n").unwrap_or((part, ""));
        if body.trim_start().starts_with(&format!("fn {test}(")) {
            kept += body;
        }
        kept += rest;
    }
    kept
}

#[test]
fn a_refusal_says_what_is_wrong_and_not_what_should_be() {
    let german = Sentences::of(Language::German);
    let mut seen = BTreeSet::new();
    for rule in Rule::ALL {
        let (name, wrong) = (rule.name(), rule.fault());
        assert_ne!(wrong, rule.text(), "{name}");
        assert!(seen.insert(wrong), "{name}: {wrong}");
        let spoken = german.fault(name);
        assert!(spoken != wrong && seen.insert(spoken), "{name}: {spoken}");
        let said = rule.refuse("this", "that", "nothing").to_string();
        assert!(
            said.starts_with(&format!("Refused: {wrong} ({name})\n  found:    this\n")),
            "{said}"
        );
    }
    let file = fs::read_to_string(root().join("templates/text/rules.de.toml")).unwrap();
    assert_eq!(file.matches(" = ").count(), Rule::ALL.len());
    // A name of another version of Keyferry stands for itself.
    assert_eq!(german.fault("UNHEARD-OF"), "UNHEARD-OF");
}

#[test]
fn a_registry_that_keyferry_did_not_write_is_refused() {
    let parsed = |bytes: &[u8]| Registry::parse(Path::new("registry.json"), bytes).err();
    for text in ["", "{}", r#"{"format":"keyferry/2","primary":null,"key_sets":[]}"#] {
        let rule = parsed(text.as_bytes()).and_then(|error: Error| error.rule());
        assert_eq!(rule, Some(Rule::RegistryFormat), "{text}");
    }
    assert!(parsed(br#"{"format":"keyferry/1","primary":null,"key_sets":[]}"#).is_none());
}

/// What the system says of a file is said with what mends just that.
#[test]
fn a_missing_a_forbidden_and_a_full_place_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder::read_file(&folder.path().join("missing"), 100).unwrap_err();
    assert!(missing.to_string().contains("nothing is there under this name"), "{missing}");
    for (errno, remedy) in [
        (Errno::NOENT, "nothing is there under this name"),
        (Errno::ACCESS, "whoever runs this may not do that there"),
        (Errno::PERM, "whoever runs this may not do that there"),
        (Errno::NOSPC, "its disk is full"),
        (Errno::DQUOT, "its disk is full"),
        (Errno::ROFS, "its medium is mounted for reading only"),
    ] {
        for said in [
            Error::file(Path::new("place"), errno),
            Error::file(Path::new("place"), std::io::Error::from(errno)),
        ] {
            assert!(said.to_string().contains(remedy), "{said}");
            assert!(said.to_string().starts_with("place: "), "{said}");
        }
    }
    let other = Error::file(Path::new("place"), "not text").to_string();
    assert!(!other.contains("full") && !other.contains("nothing is there"), "{other}");
}
