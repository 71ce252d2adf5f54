//! What may follow what, as docs/formats.md says it: the expectation of the tests of order.
#![allow(dead_code)] // Each test program uses its part.

use std::collections::{BTreeMap, BTreeSet};

use record::terms::TransferRoute;

const PAGE: &str = include_str!("../../docs/formats.md");
const HEAD: &str = "| side | phase | step | next phase |\n|---|---|---|---|\n";
/// From every phase but those in which the ceremony has ended.
const ANY: &str = "any but aborted and closed";

/// What is allowed in one way that keys cross: side, phase and step, and the phase to which it
/// leads.
pub struct WhatFollows(BTreeMap<[String; 3], String>);

impl WhatFollows {
    pub fn read(way: TransferRoute) -> Self {
        let section = PAGE.split_once("### What may follow what\n").unwrap().1;
        let tables: Vec<Vec<Line>> = section.split(HEAD).skip(1).take(4).map(lines).collect();
        let [common, born, brought, cloud] = &tables[..] else { panic!("{} tables", tables.len()) };
        let own = match way {
            TransferRoute::Carried => &[][..],
            TransferRoute::Born => born,
            TransferRoute::Brought => brought,
            TransferRoute::Cloud => cloud,
        };
        let common = common.iter().filter(|line| match way {
            TransferRoute::Carried => true,
            TransferRoute::Born | TransferRoute::Brought => !line.carried,
            // "and `abort` and `close` after it"
            TransferRoute::Cloud => {
                line.side == "tenant" && [ANY, "aborted"].contains(&line.phases[0])
            }
        });
        let lines: Vec<&Line> = common.chain(own).collect();
        let mut follows = WhatFollows(BTreeMap::new());
        for line in lines.iter().filter(|line| line.phases != [ANY]) {
            line.phases.iter().for_each(|phase| follows.add(line, phase));
        }
        for line in lines.iter().filter(|line| line.phases == [ANY]) {
            let phases = follows.phases(line.side);
            let going = phases.iter().filter(|phase| !["aborted", "closed"].contains(&&***phase));
            going.for_each(|phase| follows.add(line, phase));
        }
        if way != TransferRoute::Cloud {
            // "after `close` too": another `close` ends what came to the service since.
            let again = ["hoster", "closed", "close"].map(str::to_owned);
            follows.0.insert(again, "closed".to_owned());
        }
        follows
    }

    fn add(&mut self, line: &Line, phase: &str) {
        for step in &line.steps {
            let row = [line.side, phase, step].map(str::to_owned);
            let twice = self.0.insert(row, line.next.to_owned());
            assert!(twice.is_none(), "{} {phase} {step} stands twice", line.side);
        }
    }

    /// Where a step leads from a phase, if it may be taken there.
    pub fn next(&self, side: &str, phase: &str, step: &str) -> Option<&str> {
        self.0.get(&[side, phase, step].map(str::to_owned)).map(String::as_str)
    }

    /// Every phase of a side.
    pub fn phases(&self, side: &str) -> BTreeSet<String> {
        let of_side = self.0.iter().filter(|([of, ..], _)| of == side);
        of_side.flat_map(|([_, phase, _], next)| [phase.clone(), next.clone()]).collect()
    }

    /// Every step of either side.
    pub fn steps(&self) -> BTreeSet<String> {
        self.0.keys().map(|[_, _, step]| step.clone()).collect()
    }
}

/// One line of a table.
struct Line {
    side: &'static str,
    phases: Vec<&'static str>,
    steps: Vec<&'static str>,
    next: &'static str,
    /// Marked as of the way `carried`.
    carried: bool,
}

fn lines(table: &'static str) -> Vec<Line> {
    let mut last = "";
    let one = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [side, phases, step, next] = cells[..] else { panic!("{line}") };
        last = if side.is_empty() { last } else { side };
        let (carried, mut step) = match step.strip_prefix("\\* ") {
            Some(step) => (true, step),
            None => (false, step),
        };
        // Names in front; what follows are conditions.
        let mut steps = Vec::new();
        while let Some((name, rest)) = step.strip_prefix('`').and_then(|rest| rest.split_once('`'))
        {
            steps.push(name);
            step = rest.strip_prefix(", ").unwrap_or_default();
        }
        assert!(!steps.is_empty(), "{line}");
        Line { side: last, phases: phases.split(", ").collect(), steps, next, carried }
    };
    table.lines().take_while(|line| line.starts_with('|')).map(one).collect()
}
