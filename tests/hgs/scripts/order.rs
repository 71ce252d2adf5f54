//! What the calls of a script must be together: rules that there are, the steps, the order of
//! changes.

use crate::scripts::check::Call;
use record::rule::Rule;

/// Refusals name rules that there are.
pub fn rules(calls: &[Call<'_>]) -> Vec<String> {
    let refusals = calls.iter().filter(|call| call.name == "Refuse");
    let wrong = refusals.filter_map(|call| {
        let name = call.positional.first().map_or("", |name| name.trim_matches('\''));
        let whole = call.positional.len() == 4;
        (Rule::by_name(name).is_none() || !whole)
            .then(|| format!("line {}: Refuse {name}: no such rule, or not four texts", call.line))
    });
    wrong.collect()
}

/// The steps, in their order, each once.
pub fn announced(calls: &[Call<'_>], steps: &[&str]) -> Option<String> {
    let said = calls.iter().filter(|call| call.name == "Step");
    let said: Vec<_> = said
        .filter_map(|call| call.positional.first())
        .map(|name| name.trim_matches('\''))
        .collect();
    (said != steps).then(|| format!("announces the steps {said:?}, not {steps:?}"))
}

/// A change of the service: its place among the calls, its line, the role and the thumbprint.
type Change<'a> = (usize, usize, String, &'a str);

/// What changes the service: after a look at what is there, signing before encryption, and looked
/// at again. A primary is set in one function, which looks whatever the cmdlet said.
pub fn order<'a>(calls: &'a [Call<'a>]) -> Vec<String> {
    const ADD: &str = "Add-HgsKeyProtectionCertificate";
    const CMDLET: &str = "Set-HgsKeyProtectionCertificate";
    const SET: &str = "Set-Primary";
    let named = |name: &'static str| calls.iter().enumerate().filter(move |all| all.1.name == name);
    let cmdlet = |name| {
        named(name).map(|(at, call)| {
            let role = call.value("CertificateType").to_lowercase();
            (at, call.line, role, call.value("Thumbprint"))
        })
    };
    let own = |(at, call)| {
        let call: &'a Call<'a> = call;
        let place = |n| call.positional.get(n).copied().unwrap_or_default();
        (at, call.line, place(0).trim_matches('\'').to_owned(), place(1))
    };
    let added: Vec<Change<'_>> = cmdlet(ADD).collect();
    let inside: Vec<Change<'_>> = cmdlet(CMDLET).collect();
    let set: Vec<Change<'_>> =
        calls.iter().enumerate().filter(|all| all.1.name == SET).map(own).collect();
    // What is put back names the former ones.
    let back = |change: &&Change<'_>| change.3.starts_with("$former.");
    let undo = set.iter().all(|change| back(&change));
    let forward: Vec<_> = set.iter().filter(|change| undo || !back(change)).collect();
    let mut found = Vec::new();
    for (name, roles) in [
        (ADD, added.iter().map(|change| change.2.as_str()).collect::<Vec<_>>()),
        (CMDLET, inside.iter().map(|change| change.2.as_str()).collect()),
        (SET, forward.iter().map(|change| change.2.as_str()).collect()),
    ] {
        if !roles.is_empty() && roles != ["signing", "encryption"] {
            found.push(format!("{name} for {roles:?}: signing comes before encryption, each once"));
        }
    }
    for (at, line, role, thumbprint) in added.iter().chain(&set) {
        let name = calls[*at].name;
        if !thumbprint.contains(role.as_str()) {
            found.push(format!("line {line}: {name} {role} with {thumbprint}"));
        }
        let before: &[&str] =
            if name == SET { &["Get-Primaries", "Save-Primaries"] } else { &["Test-Missing"] };
        for wanted in before {
            if !calls[..*at].iter().any(|call| call.name == *wanted) {
                found.push(format!("line {line}: {name} before {wanted}"));
            }
        }
    }
    let next = |at: usize, passed: &[&str]| {
        calls[at + 1..].iter().find(|call| !passed.contains(&call.name))
    };
    for (at, line, role, _) in &added {
        let quoted = format!("'{role}'");
        let read = next(*at, &["Show-Failure"]);
        if !read.is_some_and(|call| {
            call.name == "Wait-Registered" && call.positional.first() == Some(&quoted.as_str())
        }) {
            found.push(format!("line {line}: {ADD} {role} is not read back"));
        }
    }
    for (at, line, role, thumbprint) in &inside {
        if *thumbprint != "$Thumbprint" {
            found.push(format!("line {line}: {CMDLET} with {thumbprint}, not by {SET}"));
        }
        let read = next(*at, &["Show-Failure", "Out-Host", CMDLET]);
        if !read.is_some_and(|call| {
            call.name == "Wait-Primary" && call.positional == ["$Role", "$Thumbprint", "$Prior"]
        }) {
            found.push(format!("line {line}: {CMDLET} {role} is not read back"));
        }
    }
    if let Some((at, line, ..)) = set.last()
        && !calls[at + 1..].iter().any(|call| call.name == "Wait-Primary")
    {
        found.push(format!("line {line}: after it, what is primary is not read back"));
    }
    found
}
