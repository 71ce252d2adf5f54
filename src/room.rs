//! The room's record: what people put into the log by hand, and the bags that left the room and
//! came back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    approval::{WrongBags, subject_hash},
    encoding::Hash,
    escape::escape,
    log::Head,
    rule::Rule,
};

/// What people put into the record. It changes no phase and voids no request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Remark {
    /// Anything worth knowing later.
    Remark {
        /// What they say.
        text: String,
    },
    /// Something went otherwise than the script says.
    Incident {
        /// What happened, who was there, what was done about it.
        text: String,
    },
    /// People left the room and the ceremony waits.
    Break {
        /// Who stayed with the machine.
        stayed: Vec<String>,
        /// Why, and until when.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Something was sealed into a tamper-evident bag.
    BagOut(Bag),
    /// A tamper-evident bag came back and was looked at before it was opened.
    BagIn(Bag),
    /// The medium between the machines.
    Medium {
        /// What is printed on it.
        serial: String,
        /// What it is for.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Somebody came.
    Arrival {
        /// Who.
        who: String,
        /// With what, in which role.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Somebody left.
    Departure {
        /// Who.
        who: String,
        /// With what.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// A page was printed.
    Printed {
        /// Which: `script`, `share-cyd`.
        page: String,
        /// The number of the copy, from 1.
        copy: u32,
    },
    /// A video recording of the ceremony.
    Video {
        /// How it is found: file, tape, time code.
        reference: String,
        /// What it shows.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
}

/// A tamper-evident bag at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bag {
    /// What is in it; the same words when it leaves and when it comes back.
    pub item: String,
    /// The number that is printed on it.
    pub number: String,
    /// What it looks like.
    pub condition: Condition,
    /// Whether it comes here for the first time, sealed elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// More about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What a bag looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Closed, and nothing shows that it was opened.
    Intact,
    /// Open, torn, or marked by its seal as opened.
    Damaged,
}

impl Remark {
    /// Every text that somebody typed, for limits.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Remark::Remark { text } | Remark::Incident { text } => vec![text],
            Remark::Printed { page, .. } => vec![page],
            Remark::Break { stayed, text } => {
                (stayed.iter().chain([text])).map(String::as_str).collect()
            }
            Remark::BagOut(bag) | Remark::BagIn(bag) => vec![&bag.item, &bag.number, &bag.text],
            Remark::Medium { serial: what, text }
            | Remark::Arrival { who: what, text }
            | Remark::Departure { who: what, text }
            | Remark::Video { reference: what, text } => vec![what, text],
        }
    }

    /// The remark in one line, as it was typed.
    pub fn line(&self) -> String {
        let with = |said: String, text: &str| match text.is_empty() {
            true => said,
            false => format!("{said}: {text}"),
        };
        let bag = |way: &str, bag: &Bag| {
            let condition = crate::phase::name(&bag.condition);
            let said = format!("bag {} {way} with {}, {condition}", bag.number, bag.item);
            with(said, &bag.text)
        };
        match self {
            Remark::Remark { text } => format!("note: {text}"),
            Remark::Incident { text } => format!("incident: {text}"),
            Remark::Break { stayed, text } => {
                let stayed = stayed.join(", ");
                with(format!("break; with the machine stayed {stayed}"), text)
            }
            Remark::BagOut(one) => bag("out", one),
            Remark::BagIn(one) => bag("in", one),
            Remark::Medium { serial, text } => with(format!("medium {serial}"), text),
            Remark::Arrival { who, text } => with(format!("{who} came"), text),
            Remark::Departure { who, text } => with(format!("{who} left"), text),
            Remark::Video { reference, text } => with(format!("video {reference}"), text),
            Remark::Printed { page, copy } => format!("printed {page}, copy {copy}"),
        }
    }
}

/// A bag that did not come back as it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongBag {
    /// The log entry that says so.
    pub entry: Hash,
    /// What is in it.
    pub item: String,
    /// The number under which it left; absent where it never left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_as: Option<String>,
    /// The number under which it came.
    pub came_as: String,
    /// What it looked like.
    pub condition: Condition,
}

/// The greatest length of one text that is typed into the record, in bytes.
pub const MAX_TEXT: usize = 4096;

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
        self.printed.get(page).copied().unwrap_or_default()
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
        let Remark::BagIn(bag) = remark else {
            return Ok(());
        };
        if bag.first || self.out.contains_key(&bag.item) {
            return Ok(());
        }
        let out: Vec<String> =
            (self.out.iter()).map(|(item, number)| format!("{item:?} in {number}")).collect();
        let out = match out.is_empty() {
            true => "nothing is out".to_owned(),
            false => format!("what is out: {}", out.join(", ")),
        };
        Err(Rule::BagNumber.refuse(
            escape(&format!("a bag with {:?}, which did not go out from here", bag.item)),
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
        if !bags.is_empty() && subject == subject_hash(&WrongBags { bags }) {
            self.wrong.clear();
        }
    }

    /// Whether the next step may be taken, as far as the room is concerned.
    ///
    /// # Errors
    /// `BAG-NUMBER`.
    pub fn require(&self) -> Result<()> {
        let Some(bag) = self.wrong.first() else {
            return Ok(());
        };
        let condition = crate::phase::name(&bag.condition);
        let left_as = bag.left_as.as_deref().unwrap_or("nothing known here");
        Err(Rule::BagNumber.refuse(
            escape(&format!("the bag with {} came in as {}, {condition}", bag.item, bag.came_as)),
            escape(&format!("the bag that went out as {left_as}, intact")),
            "do not use what is in it before two officers have looked; then `deviation` asks them to sign that the ceremony goes on, or `abort` ends it",
        ))
    }
}
