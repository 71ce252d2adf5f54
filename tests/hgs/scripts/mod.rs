//! The scripts for Windows Host Guardian Service: their syntax trees are held against the cmdlets that
//! Windows PowerShell 5.1 has, against the rules and against the steps (the checker is itself
//! checked, with planted mistakes); and where there is a PowerShell they run, on a stub of Windows.

use std::{fs, path::PathBuf};

use check::{Script, check};
use record::rule::Rule;

mod check;
mod contract;
mod mistakes;
mod node;
mod order;
mod steps;
mod traps;

/// The files of the folder that are PowerShell.
const SCRIPTS: [&str; 5] = [
    "KeyferryCommon.ps1",
    "Install-KeyferryNode.ps1",
    "Test-KeyferryNode.ps1",
    "Set-KeyferryPrimary.ps1",
    "Undo-KeyferryPrimary.ps1",
];

fn path(name: &str) -> PathBuf {
    let folder = if name.ends_with(".psm1") { "tests/hgs/stub" } else { "templates/hgs" };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// What the checker says of a text that stands for one of the files.
fn findings(name: &str, text: &str) -> Vec<String> {
    let common = match name {
        "KeyferryCommon.ps1" => text.to_owned(),
        _ => read("KeyferryCommon.ps1"),
    };
    check(&Script::parse(name, text), &Script::parse("KeyferryCommon.ps1", &common))
}

#[test]
fn every_script_keeps_the_contract() {
    for name in SCRIPTS {
        let found = findings(name, &read(name));
        assert!(found.is_empty(), "{name}:\n{}", found.join("\n"));
    }
}

#[test]
fn the_scripts_begin_with_the_same_lines() {
    let preamble = |name: &str| {
        let text = read(name);
        let from = text.find("# begin preamble").unwrap();
        text[from..text.find("# end preamble").unwrap()].to_owned()
    };
    for name in &SCRIPTS[2..] {
        assert_eq!(preamble(name), preamble(SCRIPTS[1]), "{name}");
    }
    // What each refuses by is said as Keyferry's own programs say it.
    for name in SCRIPTS {
        let text = read(name);
        for refusal in text.split("Refuse '").skip(1) {
            let rule = Rule::by_name(refusal.split('\'').next().unwrap()).unwrap();
            let said = format!("'{}' = '{}'", rule.name(), rule.fault().replace('\'', "''"));
            assert!(preamble(SCRIPTS[1]).contains(&said), "{name}: {said}");
        }
    }
    // Nothing of the folder is loaded before its hash was right.
    for name in &SCRIPTS[1..] {
        let text = read(name);
        let checked = text.find("\n        Assert-Folder $PSScriptRoot $Sums\n").unwrap();
        assert!(checked < text.find("\n        . (Join-Path").unwrap(), "{name}");
    }
}
