//! The command line of `note`: what people put into the record, by kind.

use clap::{Args, Subcommand, ValueEnum};

use record::{Bag, Condition, Remark, Result};
use terminal::Asker;
use terminal::texts::Texts;

/// Put something into the record: it changes no phase and voids no request.
#[derive(Subcommand)]
pub enum Note {
    /// Anything worth knowing later
    Remark {
        /// What to remember
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Something went otherwise than planned
    Incident {
        /// What happened, who was there, and what was done about it
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// People leave the room and the ceremony waits
    Break {
        /// Who stays with the machine; repeat it
        #[arg(long, value_name = "WHO", required = true, allow_hyphen_values = true)]
        stayed: Vec<String>,
        /// What may be said besides
        #[command(flatten)]
        more: More,
    },
    /// Something is sealed into a tamper-evident bag
    BagOut(BagArgs),
    /// A tamper-evident bag comes back; look at it before it is opened
    BagIn(BagArgs),
    /// The medium between the machines
    Medium {
        /// The serial number that is printed on it
        #[arg(allow_hyphen_values = true)]
        serial: String,
        /// What may be said besides
        #[command(flatten)]
        more: More,
    },
    /// Somebody comes
    Arrival {
        /// Who
        #[arg(allow_hyphen_values = true)]
        who: String,
        /// What may be said besides
        #[command(flatten)]
        more: More,
    },
    /// Somebody leaves
    Departure {
        /// Who
        #[arg(allow_hyphen_values = true)]
        who: String,
        /// What may be said besides
        #[command(flatten)]
        more: More,
    },
    /// The video recording
    Video {
        /// How it is found: file, tape, time code
        #[arg(allow_hyphen_values = true)]
        reference: String,
        /// What may be said besides
        #[command(flatten)]
        more: More,
    },
}

/// What may be said besides.
#[derive(Args)]
pub struct More {
    /// More about it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    text: String,
}

/// A bag.
#[derive(Args)]
pub struct BagArgs {
    /// What is in it; the same words when it leaves and when it comes back
    #[arg(allow_hyphen_values = true)]
    item: String,
    /// The number printed on the bag; asked for where absent, for a scanner that types like a keyboard
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    number: Option<String>,
    /// What it looks like
    #[arg(long, value_enum)]
    condition: BagCondition,
    /// It comes here for the first time: it was sealed elsewhere
    #[arg(long)]
    first: bool,
    #[command(flatten)]
    more: More,
}

#[derive(Clone, Copy, ValueEnum)]
enum BagCondition {
    /// Closed, and nothing shows that it was opened
    Intact,
    /// Open, torn, or marked by its seal as opened
    Damaged,
}

impl BagArgs {
    fn bag(self, asker: &Asker) -> Result<Bag> {
        let asked = || asker.needed(&Texts::spoken().get("ask.bag", &[]));
        Ok(Bag {
            item: self.item,
            number: self.number.map_or_else(asked, Ok)?.trim().to_owned(),
            condition: match self.condition {
                BagCondition::Intact => Condition::Intact,
                BagCondition::Damaged => Condition::Damaged,
            },
            first: self.first,
            text: self.more.text,
        })
    }
}

impl Note {
    /// What goes into the record; a bag's number is asked for where it was not given.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn remark(self, asker: &Asker) -> Result<Remark> {
        Ok(match self {
            Note::Remark { text } => Remark::Remark { text },
            Note::Incident { text } => Remark::Incident { text },
            Note::Break { stayed, more } => Remark::Break { stayed, text: more.text },
            Note::BagOut(bag) => Remark::BagOut(bag.bag(asker)?),
            Note::BagIn(bag) => Remark::BagIn(bag.bag(asker)?),
            Note::Medium { serial, more } => Remark::Medium { serial, text: more.text },
            Note::Arrival { who, more } => Remark::Arrival { who, text: more.text },
            Note::Departure { who, more } => Remark::Departure { who, text: more.text },
            Note::Video { reference, more } => Remark::Video { reference, text: more.text },
        })
    }
}
