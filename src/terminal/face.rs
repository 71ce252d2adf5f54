//! What `next` looks like: at most 80 columns, colours where the terminal has them and nobody minds
//! (no-color.org).

use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

use record::Program;

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
        Face {
            colour: stderr().is_terminal() && !plain,
            width: columns(stderr()).map_or(WIDEST, |columns| columns.clamp(NARROWEST, WIDEST)),
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
        // A program's name is a word, too: no break at its hyphen.
        let options = textwrap::Options::new(self.width - INDENT)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let lines = textwrap::wrap(text, options);
        let mut shown = String::new();
        for (n, line) in lines.iter().enumerate() {
            let heading = if n == 0 { format!("{heading}:") } else { String::new() };
            // Padded first: colour codes take no room.
            let padded = format!("{heading:<INDENT$}");
            let padded = if n == 0 { self.strong(&padded) } else { padded };
            shown.push_str(&format!("{padded}{line}\n"));
        }
        shown.trim_end_matches('\n').to_owned()
    }
}

/// The columns of a terminal; none if it is no terminal, or does not say.
pub fn columns(of: impl AsFd) -> Option<usize> {
    tcgetwinsize(of).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Its rows.
pub fn rows(of: impl AsFd) -> Option<usize> {
    tcgetwinsize(of).ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

/// The text in lines that fit: broken between words, further lines indented as the first is, or
/// below its value. A command is broken as a shell goes on with it, so that it can be copied.
pub fn fitted(text: &str, columns: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| fitted_line(line, columns)).collect();
    lines.join("\n")
}

fn fitted_line(line: &str, columns: usize) -> String {
    if width_of(line) <= columns {
        return line.to_owned();
    }
    let inner = line.trim_start();
    let margin = line.len() - inner.len();
    let is_command = Program::ALL.iter().any(|program| {
        inner.strip_prefix(program.name()).is_some_and(|rest| rest.starts_with(' '))
    });
    let (words, indent, end) = match is_command {
        true => (command_words(inner), margin + 4, " \\"),
        false => (inner.split(' ').collect(), hanging(line, margin), ""),
    };
    let (mut all, mut row) = (String::new(), " ".repeat(margin));
    for (n, word) in words.into_iter().enumerate() {
        match n {
            0 => {}
            _ if width_of(&row) + 1 + width_of(word) + end.len() <= columns => row.push(' '),
            _ => {
                all.extend([row.trim_end(), end, "\n"]);
                row = " ".repeat(indent);
            }
        }
        row.push_str(word);
    }
    all + &row
}

/// Where continuation lines begin: below the value, if the line has one.
fn hanging(line: &str, margin: usize) -> usize {
    const WIDEST_NAME: usize = 24;
    let value = line.find(": ").filter(|at| *at < WIDEST_NAME).map(|at| {
        let rest = &line[at + 1..];
        at + 1 + rest.len() - rest.trim_start().len()
    });
    // A sentence with a colon has one blank behind it; a name has its value in a column.
    value.filter(|at| line[..*at].ends_with("  ")).unwrap_or(margin)
}

/// The columns of a text, without its colour codes.
fn width_of(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// The words of a command, each with its quotation marks.
fn command_words(line: &str) -> Vec<&str> {
    let (mut words, mut from, mut quote) = (Vec::new(), 0, None);
    let mut characters = line.char_indices();
    while let Some((at, c)) = characters.next() {
        match (c, quote) {
            // Outside of quotation marks it takes the next one with it: O'Neil is 'O'\''Neil'.
            ('\\', None) => drop(characters.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(mark)) if c == mark => quote = None,
            (' ', None) => {
                words.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    words.push(&line[from..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_inside_a_word() {
        for (text, columns, fits) in [
            ("short", 8, "short"),
            ("one two three", 8, "one two\nthree"),
            ("  one two three", 9, "  one two\n  three"),
            ("name:         one two", 18, "name:         one\n              two"),
            ("an unbreakableword", 8, "an\nunbreakableword"),
            ("grün grün grün", 9, "grün grün\ngrün"),
        ] {
            assert_eq!(fitted(text, columns), fits, "{text}");
        }
        let face = Face { colour: false, width: NARROWEST };
        let beside = face.beside("At hand", "the share file; keyferry-custodian");
        assert_eq!(beside, "At hand:   the share file;\n           keyferry-custodian");
        // A command goes on as a shell reads it, and its quotation marks stay together.
        for path in ["a b", "O'Neil's stick", "' '"] {
            let line = Program::Hoster.bare("qr PATH --light").with("PATH", path).to_string();
            let broken = fitted(&format!("  {line}"), 24);
            assert_eq!(broken.trim_start().replace(" \\\n      ", " "), line);
            let read = |line: &str| {
                let words = format!("printf '%s|' {line}");
                let shell = std::process::Command::new("sh").args(["-c", &words]).output();
                String::from_utf8(shell.unwrap().stdout).unwrap()
            };
            assert_eq!(read(&broken), format!("keyferry-hoster|qr|{path}|--light|"));
        }
    }
}
