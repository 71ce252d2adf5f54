//! The way to the people at the keyboard: questions, hidden entry, and foreign text made harmless.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};

use zeroize::Zeroizing;

use crate::{Error, Result, plan::Mode};

/// The greatest length of an answer, in bytes.
const MAX_ANSWER: u64 = 8192;

/// Foreign text as a terminal may show it: control characters, line breaks, directional marks and whatever
/// else does not print are escaped, and more than 2000 characters are cut.
pub fn escape(text: &str) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == 2000 {
            shown.push('…');
            break;
        }
        match c {
            '"' | '\'' => shown.push(c),
            // Marks that reorder text (Unicode UAX #9) print as nothing.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                shown.extend(c.escape_unicode());
            }
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Where questions are asked: on the terminal alone in production; a rehearsal also takes stdin.
pub struct Asker {
    stdin: bool,
}

impl Asker {
    /// The way to the people of a ceremony of this mode.
    pub fn new(mode: Mode) -> Self {
        Asker {
            stdin: mode == Mode::Rehearsal && !std::io::stdin().is_terminal(),
        }
    }

    /// Whether somebody can be asked more than once.
    pub fn is_interactive(&self) -> bool {
        !self.stdin
    }

    /// Tells people something, on stderr.
    pub fn say(&self, text: &str) {
        eprintln!("{text}");
    }

    /// Asks for a line of text.
    ///
    /// # Errors
    /// [`Error::Ended`] at the end of input, [`Error::Failed`] without a terminal.
    pub fn line(&self, prompt: &str) -> Result<String> {
        if self.stdin {
            return Ok(read_line(&mut std::io::stdin().lock())?.as_str().to_owned());
        }
        let mut terminal = open_terminal()?;
        terminal
            .write_all(prompt.as_bytes())
            .and_then(|()| terminal.flush())
            .map_err(no_terminal)?;
        Ok(read_line(&mut BufReader::new(terminal))?
            .as_str()
            .to_owned())
    }

    /// Asks for a secret, without showing what is typed.
    ///
    /// # Errors
    /// As [`Asker::line`].
    #[cfg(feature = "custody")]
    pub fn hidden(&self, prompt: &str) -> Result<Zeroizing<String>> {
        if self.stdin {
            return read_line(&mut std::io::stdin().lock());
        }
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => ended(),
                _ => no_terminal(error),
            })
    }
}

fn open_terminal() -> Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(no_terminal)
}

fn no_terminal(error: std::io::Error) -> Error {
    Error::failed(
        format!("no terminal to ask on: {error}"),
        "run this command on a terminal, not from a script",
    )
}

fn ended() -> Error {
    Error::Ended {
        what: "nothing was changed; run the command again to go on".into(),
    }
}

fn read_line(from: &mut impl BufRead) -> Result<Zeroizing<String>> {
    // Room for the whole answer: growing would leave copies of it behind.
    let mut line = Zeroizing::new(String::with_capacity(MAX_ANSWER as usize + 1));
    from.take(MAX_ANSWER)
        .read_line(&mut line)
        .map_err(no_terminal)?;
    if line.is_empty() {
        return Err(ended());
    }
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(line)
}

/// Ends a program that did not end well.
pub fn fail(error: &Error) -> std::process::ExitCode {
    eprintln!("{error}");
    std::process::ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_can_not_move_the_cursor() {
        assert_eq!(
            escape("a\u{1b}[2Jb\n\u{202e}c\u{7}"),
            "a\\u{1b}[2Jb\\n\\u{202e}c\\u{7}"
        );
        assert_eq!(escape("Zoë \"x\""), "Zoë \"x\"");
        assert_eq!(escape(&"x".repeat(5000)).chars().count(), 2001);
    }

    #[test]
    fn an_empty_line_is_an_answer_and_the_end_is_none() {
        let mut input = "yes\r\n\n".as_bytes();
        assert_eq!(read_line(&mut input).unwrap().as_str(), "yes");
        assert_eq!(read_line(&mut input).unwrap().as_str(), "");
        assert_eq!(read_line(&mut input).unwrap_err().exit_code(), 4);
    }
}
