//! What `next` looks like: at most 80 columns, colours where the terminal has them and nobody minds
//! (no-color.org).

use std::io::{IsTerminal, stderr};

use rustix::termios::tcgetwinsize;

/// The widest text, in columns.
pub(crate) const WIDEST: usize = 80;
/// The narrowest.
const NARROWEST: usize = 40;

/// How text is shown on stderr.
pub struct Face {
    colour: bool,
    width: usize,
}

impl Face {
    /// As the terminal behind stderr is.
    pub fn of_stderr() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb");
        let columns = tcgetwinsize(stderr()).map_or(0, |size| usize::from(size.ws_col));
        Face {
            colour: stderr().is_terminal() && !plain,
            width: match columns {
                0 => WIDEST,
                columns => columns.clamp(NARROWEST, WIDEST),
            },
        }
    }

    /// A line across.
    pub fn rule(&self) -> String {
        "\u{2500}".repeat(self.width)
    }

    /// What must catch the eye.
    pub fn strong(&self, text: &str) -> String {
        self.coloured("1", text)
    }

    /// What warns.
    pub fn warning(&self, text: &str) -> String {
        self.coloured("1;31", text)
    }

    /// What is good.
    pub fn good(&self, text: &str) -> String {
        self.coloured("32", text)
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    /// A text beside its heading, wrapped.
    pub fn beside(&self, heading: &str, text: &str) -> String {
        const INDENT: usize = 11;
        let options = textwrap::Options::new(self.width - INDENT).break_words(false);
        let lines = textwrap::wrap(text, options);
        let mut shown = String::new();
        for (n, line) in lines.iter().enumerate() {
            let heading = if n == 0 { format!("{heading}:") } else { String::new() };
            // Padded first: what colours a text has no width.
            let padded = format!("{heading:<INDENT$}");
            let padded = if n == 0 { self.strong(&padded) } else { padded };
            shown.push_str(&format!("{padded}{line}\n"));
        }
        shown.trim_end_matches('\n').to_owned()
    }
}
