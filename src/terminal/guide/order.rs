//! Whether the scripts of both sides can be gone through together: nothing is needed before it can
//! be there.

use std::collections::BTreeSet;

use crate::guide::{Turn, script};
use record::{Kind, Plan, Result, Rule, Side, Step};

/// Goes through both scripts of a plan as people would, each side as far as it gets.
///
/// # Errors
/// `PHASE-ORDER`, naming the step and the document that cannot be there yet.
pub fn require_order(plan: &Plan) -> Result<()> {
    walk(&Side::ALL.map(|side| script(plan, side)))
}

/// The same of any two scripts.
///
/// # Errors
/// As [`require_order`].
pub fn walk(scripts: &[Vec<Turn>; 2]) -> Result<()> {
    let (mut at, mut there) = ([0, 0], BTreeSet::new());
    loop {
        let before = at;
        for (script, at) in scripts.iter().zip(&mut at) {
            while let Some(turn) = script.get(*at).filter(|turn| can_go(turn, &there)) {
                there.extend(released(turn));
                *at += 1;
            }
        }
        if at == before {
            break;
        }
    }
    let stuck = scripts.iter().zip(at).find_map(|(script, at)| script.get(at));
    match stuck {
        None => Ok(()),
        Some(turn) => Err(Rule::PhaseOrder.refuse(
            format!("{}: `{}` needs what nobody has made by then", turn.row.side, turn.row.words),
            turn.row.needs.name(),
            "this plan has no way through: report it as a defect",
        )),
    }
}

/// Whether the document that a step is given has left the other side.
fn can_go(turn: &Turn, there: &BTreeSet<&str>) -> bool {
    let needs = turn.row.needs.name().to_lowercase();
    !Kind::ALL.iter().any(|kind| kind.name() == needs) || there.contains(needs.as_str())
}

/// The document that leaves with a step.
fn released(turn: &Turn) -> Option<&'static str> {
    let released = (turn.row.step == Step::Release).then(|| turn.row.phase.name())?;
    released.strip_suffix("-made")
}
