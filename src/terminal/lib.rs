//! The people at the keyboard: questions, hidden entry, and how a program ends.

pub mod face;
pub mod manual;
pub mod report;
pub mod words;

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use record::escape::escape;
use record::terms::Mode;
use record::{Error, Result};

/// The greatest length of an answer, in bytes; a code that a hand scanner types has some 420, 32
/// words have some 300.
const MAX_ANSWER: usize = 1024;

/// Ctrl-C as the terminal sends it.
const CTRL_C: u8 = 3;

/// Says something to people, on stderr. That it can't be written changes nothing of what was done.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Gives a command's result, on stdout.
///
/// # Errors
/// [`Error::Failed`] where it can't be written; the command has then done its work all the same.
pub fn give(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    (writeln!(out, "{text}").and_then(|()| out.flush())).map_err(|error| {
        Error::failed(
            format!("what the command did is done, but stdout can't be written: {error}"),
            "look where stdout leads to (a full disk, a closed pipe); in a ceremony, `status` says what is done and what comes next",
        )
    })
}

/// Ends a program that did not end well: says why, line by line and escaped, and gives its exit
/// code.
pub fn fail(error: &Error) -> ExitCode {
    for line in error.to_string().lines() {
        tell(&escape(line));
    }
    ExitCode::from(error.exit_code())
}

/// Asks the person at the keyboard: in production on `/dev/tty` alone, so that nothing can answer
/// in their place; a rehearsal also takes stdin, so that scripts can run it.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    stdin: bool,
}

impl Asker {
    /// The way to the people of a ceremony of this mode. The terminal is opened at the first
    /// question.
    pub fn new(mode: Mode) -> Self {
        Asker { stdin: mode == Mode::Rehearsal && !std::io::stdin().is_terminal() }
    }

    /// Whether somebody can be asked again after a wrong answer.
    pub fn is_interactive(&self) -> bool {
        !self.stdin
    }

    /// Tells people something, on stderr.
    pub fn say(&self, text: &str) {
        tell(text);
    }

    /// Tells people how long work goes on, where somebody may be looking: on stderr, and only where
    /// that is a terminal.
    pub fn progress(&self, text: &str) {
        if std::io::stderr().is_terminal() {
            tell(text);
        }
    }

    /// Asks for a line that may be seen, without its line end. Ctrl-C ends the question and is
    /// said, as Ctrl-D is.
    ///
    /// # Errors
    /// [`Error::Ended`] at Ctrl-D or the end of the input, [`Error::Failed`] without a terminal.
    pub fn line(&self, prompt: &str) -> Result<String> {
        let source = self.open()?;
        let entry = source.entry(Echo::Shown)?;
        source.prompt(prompt)?;
        let answer = read_answer(source.input());
        drop(entry);
        if matches!(answer, Err(Error::Ended { .. })) {
            source.prompt("\n")?;
        }
        Ok(answer?.to_string())
    }

    /// Asks for a line that the terminal does not show. Ctrl-C ends it too, so that the terminal is
    /// never left silent.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn hidden(&self, prompt: &str) -> Result<Zeroizing<String>> {
        let source = self.open()?;
        // Silent before the prompt: what is typed at once is not shown either.
        let entry = source.entry(Echo::Silent)?;
        source.prompt(prompt)?;
        let answer = read_answer(source.input());
        if entry.is_some() {
            drop(entry);
            source.prompt("\n")?;
        }
        answer
    }

    fn open(&self) -> Result<Source> {
        if self.stdin {
            return Ok(Source::Stdin(std::io::stdin()));
        }
        match OpenOptions::new().read(true).write(true).open("/dev/tty") {
            Ok(terminal) => Ok(Source::Terminal(terminal)),
            Err(error) => Err(Error::failed(
                format!("there is no terminal to ask on (/dev/tty: {error})"),
                "run the command at a terminal; only a rehearsal takes its answers from another program",
            )),
        }
    }
}

enum Source {
    Terminal(File),
    Stdin(std::io::Stdin),
}

impl Source {
    fn input(&self) -> BorrowedFd<'_> {
        match self {
            Source::Terminal(terminal) => terminal.as_fd(),
            Source::Stdin(stdin) => stdin.as_fd(),
        }
    }

    /// Prepares a terminal for an answer; a pipe needs nothing.
    fn entry(&self, echo: Echo) -> Result<Option<Entry<'_>>> {
        match self {
            Source::Terminal(terminal) => Entry::over(terminal, echo).map(Some),
            Source::Stdin(_) => Ok(None),
        }
    }

    fn prompt(&self, prompt: &str) -> Result<()> {
        let written = match self {
            Source::Terminal(terminal) => (&mut &*terminal).write_all(prompt.as_bytes()),
            Source::Stdin(_) => std::io::stderr().write_all(prompt.as_bytes()),
        };
        written.map_err(terminal_failed)
    }
}

/// Whether the terminal shows what is typed.
#[derive(PartialEq, Eq)]
enum Echo {
    Shown,
    Silent,
}

/// While it lives an answer is typed. Line editing stays the terminal's; Ctrl-C comes as a
/// character that ends the line, because a signal would end the program with the terminal still
/// silent, and say nothing.
struct Entry<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Entry<'a> {
    fn over(terminal: &'a File, echo: Echo) -> Result<Self> {
        let before = tcgetattr(terminal).map_err(terminal_failed)?;
        let mut silent = before.clone();
        silent.local_modes.insert(LocalModes::ICANON);
        silent.local_modes.remove(LocalModes::ISIG);
        if echo == Echo::Silent {
            (silent.local_modes).remove(LocalModes::ECHO | LocalModes::ECHONL);
        }
        silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(terminal, OptionalActions::Now, &silent).map_err(terminal_failed)?;
        Ok(Entry { terminal, before })
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // Nothing is left to do if the terminal has gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Reads one line, byte by byte: nothing stays in a buffer, and the next question finds the next
/// line.
fn read_answer(input: BorrowedFd<'_>) -> Result<Zeroizing<String>> {
    // Room from the start, so that no copy is left behind by growing.
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    let mut byte = Zeroizing::new([0u8; 1]);
    let mut too_long = false;
    loop {
        match rustix::io::read(input, &mut byte[..]) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(terminal_failed(error)),
            Ok(0) if answer.is_empty() => return Err(ended("the input ended")),
            Ok(0) => break,
            Ok(_) => {}
        }
        match byte[0] {
            b'\n' => break,
            CTRL_C => return Err(ended("Ctrl-C")),
            _ if answer.len() == MAX_ANSWER => too_long = true,
            other => answer.push(other),
        }
    }
    if too_long {
        return Err(unusable(&format!("more than {MAX_ANSWER} bytes")));
    }
    let text = std::str::from_utf8(&answer).map_err(|_| unusable("not UTF-8"))?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    // An arrow key in a hidden line would become part of a passphrase that nobody can type again.
    if text.chars().any(|character| character.is_control() && character != '\t') {
        return Err(unusable("a control character (an arrow key?)"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn ended(what: &str) -> Error {
    Error::Ended {
        what: format!(
            "{what} at a question; nothing was done with what was typed. Run the same command again to go on"
        ),
    }
}

fn unusable(what: &str) -> Error {
    Error::failed(
        format!("the answer cannot be used: {what}"),
        "run the same command again and type the answer anew",
    )
}

fn terminal_failed(error: impl std::fmt::Display) -> Error {
    Error::failed(format!("the terminal: {error}"), "run the command again in a working terminal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom};

    #[test]
    fn answers_are_lines_of_bounded_length() {
        let long = vec![b'x'; MAX_ANSWER + 1];
        let mut input = tempfile::tempfile().unwrap();
        for part in [b"one\r\n\ntwo\tthree\n", &long[..], b"\n\xff\n\x1b[A\nlast"] {
            input.write_all(part).unwrap();
        }
        input.seek(SeekFrom::Start(0)).unwrap();
        let next = || read_answer(input.as_fd());
        assert_eq!(*next().unwrap(), "one");
        assert_eq!(*next().unwrap(), "");
        assert_eq!(*next().unwrap(), "two\tthree");
        for _ in 0..3 {
            assert_eq!(next().unwrap_err().exit_code(), 1);
        }
        assert_eq!(*next().unwrap(), "last");
        assert_eq!(next().unwrap_err().exit_code(), 4);
    }
}
