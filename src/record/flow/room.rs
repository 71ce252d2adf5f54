//! The room as a log has it: bags that must come back as they left, copies of pages.

use std::collections::BTreeMap;

use crate::gate::{WrongBags, subject_hash};
use crate::{Condition, Hash, Head, Remark, Result, Rule, WrongBag, escape, quote};

/// How many bags may have come back wrong and wait for officers at once.
pub const MAX_WRONG: usize = 64;

/// What the log says of the room.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Bags that are out: number by item.
    out: BTreeMap<String, String>,
    /// Bags that came back wrong and that officers have not yet signed for.
    wrong: Vec<WrongBag>,
    /// How many copies of each page were printed.
    printed: BTreeMap<String, u32>,
}

impl Room {
    /// How many copies of a page were printed.
    pub fn copies(&self, page: &str) -> u32 {
        self.printed.get(page).copied().unwrap_or(0)
    }

    /// Whether a copy has another number than the next.
    pub fn misnumbers(&self, remark: &Remark) -> bool {
        match remark {
            Remark::Printed { page, copy } => Some(*copy) != self.copies(page).checked_add(1),
            _ => false,
        }
    }

    /// Bags that came back wrong and that officers have not yet signed for.
    pub fn wrong(&self) -> &[WrongBag] {
        &self.wrong
    }

    /// Whether a bag that comes in went out from here, or is said to come for the first time: other
    /// words for the same thing must not pass for another thing.
    ///
    /// # Errors
    /// `BAG-NUMBER`, naming what is out.
    pub fn knows(&self, remark: &Remark) -> Result<()> {
        let Remark::BagIn(bag) = remark else { return Ok(()) };
        if bag.first || self.out.contains_key(&bag.item) {
            return Ok(());
        }
        let out: Vec<String> = (self.out.iter())
            .map(|(item, number)| format!("{} in {number}", quote(item)))
            .collect();
        let out = match out.is_empty() {
            true => "nothing is out".to_owned(),
            false => format!("what is out: {}", out.join(", ")),
        };
        Err(Rule::BagNumber.refuse(
            escape(&format!("a bag with {}, which did not go out from here", quote(&bag.item))),
            escape(&out),
            "say what is in it in the words with which it went out; a bag that was sealed elsewhere comes in with --first",
        ))
    }

    /// Whether one more bag would be too many to wait for officers.
    pub fn is_full(&self, remark: &Remark) -> bool {
        matches!(remark, Remark::BagIn(_)) && self.wrong.len() >= MAX_WRONG
    }

    /// Takes what people put into the record at this entry.
    pub fn remember(&mut self, remark: &Remark, head: Head) {
        match remark {
            Remark::Printed { page, copy } => {
                self.printed.insert(page.clone(), *copy);
            }
            Remark::BagOut(bag) => {
                self.out.insert(bag.item.clone(), bag.number.clone());
            }
            Remark::BagIn(bag) => {
                let left_as = self.out.remove(&bag.item);
                let same = left_as.as_ref().map_or(bag.first, |number| *number == bag.number);
                if !same || bag.condition == Condition::Damaged {
                    self.wrong.push(WrongBag {
                        entry: head.hash,
                        item: bag.item.clone(),
                        left_as,
                        came_as: bag.number.clone(),
                        condition: bag.condition,
                    });
                }
            }
            _ => {}
        }
    }

    /// Officers have signed for a deviation; if it is these bags, they block nothing more.
    pub fn deviate(&mut self, subject: Hash) {
        let bags = self.wrong.clone();
        let is_this = |hash| hash == subject;
        if !bags.is_empty() && subject_hash(&WrongBags { bags }).is_ok_and(is_this) {
            self.wrong.clear();
        }
    }

    /// Whether the next step may be taken, as far as the room is concerned.
    ///
    /// # Errors
    /// `BAG-NUMBER`.
    pub fn require(&self) -> Result<()> {
        let Some(bag) = self.wrong.first() else { return Ok(()) };
        let condition = bag.condition.name();
        let left_as = bag.left_as.as_deref().unwrap_or("nothing known here");
        Err(Rule::BagNumber.refuse(
            escape(&format!("the bag with {} came in as {}, {condition}", bag.item, bag.came_as)),
            escape(&format!("the bag that went out as {left_as}, intact")),
            "do not use what is in it before two officers have looked; then they sign that the ceremony goes on (deviation), or end it (abort)",
        ))
    }
}
