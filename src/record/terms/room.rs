//! What was found in the room, and what people said of it.

use crate::encoding::Hash;
use crate::rule::Rule;
use crate::strict_json;

/// What was found of one rule, as the log has it.
#[strict_json]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What was found, fit for a terminal.
    pub found: String,
    /// Whether that keeps the rule.
    pub outcome: RuleOutcome,
}

named! {
    /// Whether a rule is kept.
    pub enum RuleOutcome {
        /// It is.
        Holds = "holds",
        /// It is not, and production is refused.
        Broken = "broken",
        /// It is not, and the plan goes without it.
        Waived = "waived",
    }
}

impl RuleOutcome {
    /// The word that people read.
    pub fn shown(self) -> &'static str {
        match self {
            RuleOutcome::Holds => "holds",
            RuleOutcome::Broken => "BROKEN",
            RuleOutcome::Waived => "broken, but waived",
        }
    }
}

/// What people put into the record. It changes no phase and voids no request.
#[strict_json]
#[serde(tag = "kind", rename_all = "kebab-case")]
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
#[strict_json]
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

named! {
    /// What a bag looks like.
    pub enum Condition {
        /// Closed, and nothing shows that it was opened.
        Intact = "intact",
        /// Open, torn, or marked by its seal as opened.
        Damaged = "damaged",
    }
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
        let bag = |way: &str, Bag { item, number, condition, .. }: &Bag| {
            format!("bag {number} {way} with {item}, {condition}")
        };
        let (said, text) = match self {
            Remark::Remark { text } => return format!("note: {text}"),
            Remark::Incident { text } => return format!("incident: {text}"),
            Remark::Printed { page, copy } => return format!("printed {page}, copy {copy}"),
            Remark::Break { stayed, text } => {
                (format!("break; with the machine stayed {}", stayed.join(", ")), text)
            }
            Remark::BagOut(one) => (bag("out", one), &one.text),
            Remark::BagIn(one) => (bag("in", one), &one.text),
            Remark::Medium { serial, text } => (format!("medium {serial}"), text),
            Remark::Arrival { who, text } => (format!("{who} came"), text),
            Remark::Departure { who, text } => (format!("{who} left"), text),
            Remark::Video { reference, text } => (format!("video {reference}"), text),
        };
        if text.is_empty() { said } else { format!("{said}: {text}") }
    }
}

/// A bag that did not come back as it left.
#[strict_json]
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
