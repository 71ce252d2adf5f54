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

/// What changes the service: after a look at what is there, signing before encryption, and looked
/// at again.
pub fn order(calls: &[Call<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["Add-HgsKeyProtectionCertificate", "Set-HgsKeyProtectionCertificate"] {
        let changes: Vec<_> =
            calls.iter().enumerate().filter(|(_, call)| call.name == name).collect();
        let set = name.starts_with("Set");
        // What is put back names the former ones.
        let back = |call: &Call<'_>| set && call.value("Thumbprint").starts_with("$former.");
        let undo = changes.iter().all(|(_, call)| back(call));
        let forward = changes.iter().filter(|(_, call)| undo || !back(call));
        let types: Vec<_> = forward.map(|(_, call)| call.value("CertificateType")).collect();
        if !types.is_empty() && types != ["Signing", "Encryption"] {
            found.push(format!("{name} for {types:?}: signing comes before encryption, each once"));
        }
        for (at, change) in &changes {
            let (line, kind) = (change.line, change.value("CertificateType"));
            if !change.value("Thumbprint").contains(&kind.to_lowercase()) {
                found.push(format!(
                    "line {line}: {name} {kind} with {}",
                    change.value("Thumbprint")
                ));
            }
            let before: &[&str] =
                if set { &["Get-Primaries", "Save-Primaries"] } else { &["Test-Missing"] };
            for wanted in before {
                if !calls[..*at].iter().any(|call| call.name == *wanted) {
                    found.push(format!("line {line}: {name} before {wanted}"));
                }
            }
            let role = format!("'{}'", kind.to_lowercase());
            let of_role = |call: &Call<'_>| call.positional.first() == Some(&role.as_str());
            let read = calls[at + 1..].iter().find(|call| call.name != "Show-Failure");
            let right = read.is_some_and(|call| match set {
                true => call.name == "Wait-Primary" && of_role(call),
                false => call.name == "Wait-Registered" && of_role(call),
            });
            if !right {
                found.push(format!("line {line}: {name} {kind} is not read back"));
            }
        }
    }
    found
}
