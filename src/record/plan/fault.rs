//! What is wrong with a plan, each fault with its line.

use std::fmt;

use crate::{Error, Rule, escape, with_commands};

/// One thing that is wrong with a plan.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The line, from 1; 0 where the whole plan is meant.
    pub line: usize,
    /// The rule that is broken.
    pub rule: Rule,
    /// What was found there.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

/// Everything that is wrong with a plan, in the order of its lines; never empty.
#[derive(Debug, Clone)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |Fault { line, rule, found, expected }: &Fault| {
            let place = if *line == 0 { "plan".to_owned() } else { format!("line {line}") };
            format!("{place}: {} ({}; expected {expected})", escape(found), rule.name())
        };
        f.write_str(&self.0.iter().map(line).collect::<Vec<_>>().join("\n            "))
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Error {
        let rule = faults.0.first().map_or(Rule::PlanSyntax, |fault| fault.rule);
        rule.refuse(
            faults.to_string(),
            "a plan without faults",
            with_commands(
                "mend the plan, check it with `{audit plan check PLAN}`, and have it signed again",
            ),
        )
    }
}
