//! The people at the keyboard: questions, hidden entry, and how a program ends.

pub mod answer;
pub mod face;
pub mod guide;
pub mod manual;
pub mod report;
pub mod texts;
pub mod words;

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::answer::{Answer, Question};
use crate::texts::{Texts, explained, said};
use record::{Error, Mode, Result, Rule, escape};

/// The greatest length of an answer, in bytes; a code that a hand scanner types has some 420, 32
/// words have some 300.
const MAX_ANSWER: usize = 1024;

/// Ctrl-C as the terminal sends it.
const CTRL_C: u8 = 3;

/// Says something to people, on stderr, in lines that fit a terminal. A failure to write is
/// ignored, because it changes nothing that was done.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", for_people(&said(text), std::io::stderr()));
}

/// A text broken to the terminal's width; as it is where there is no terminal.
fn for_people(text: &str, of: impl AsFd) -> String {
    face::columns(of).map_or_else(|| text.to_owned(), |columns| face::fitted(text, columns))
}

/// Gives a command's result, on stdout, in lines that fit a terminal.
///
/// # Errors
/// As [`give_exactly`].
pub fn give(text: &str) -> Result<()> {
    give_exactly(&for_people(&said(text), std::io::stdout()))
}

/// Gives what `tell` writes, as far as it comes, in lines that fit a terminal.
///
/// # Errors
/// What `tell` ends with; as [`give_exactly`].
pub fn give_told(tell: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let mut text = Vec::new();
    let told = tell(&mut text);
    let text = String::from_utf8_lossy(&text);
    match text.strip_suffix('\n') {
        Some(text) => give_exactly(&for_people(&explained(text), std::io::stdout())).and(told),
        None => told,
    }
}

/// Gives a long text page by page where a terminal shows it and somebody can turn the pages.
///
/// # Errors
/// As [`give_exactly`] and [`Asker::line`]; [`Error::Ended`] too where somebody stops.
pub fn give_pages(asker: &Asker, text: &str) -> Result<()> {
    let out = std::io::stdout();
    let rows = face::rows(&out).filter(|_| out.is_terminal() && asker.is_interactive());
    let text = for_people(text, &out);
    let lines: Vec<&str> = text.lines().collect();
    let texts = Texts::spoken();
    // A line for the question, and one that was read before.
    let page = rows.map_or(lines.len(), |rows| rows.saturating_sub(2)).max(1);
    for (n, page) in lines.chunks(page).enumerate() {
        let (question, how) = (texts.get("ask.more", &[]), texts.get("ask.more_how", &[]));
        if n > 0 && asker.decide(Question::GoOn, &question, &how, &mut Paper)? == Decision::No {
            return Err(ended("q"));
        }
        give_exactly(&page.join("\n"))?;
    }
    Ok(())
}

/// Gives a command's result for programs, on stdout, as it is.
///
/// # Errors
/// [`Error::Failed`] where it can't be written; the command has then done its work all the same.
pub fn give_exactly(text: &str) -> Result<()> {
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

/// Puts on record what somebody says while a question is open.
pub trait Clerk {
    /// Records it.
    ///
    /// # Errors
    /// What recording can end with.
    fn remark(&mut self, text: String) -> Result<()>;
}

/// Puts on record, besides, what was wrong with answers.
pub trait Recorder: Clerk {
    /// That a rule has refused an answer, and the question goes on.
    ///
    /// # Errors
    /// What recording can end with.
    fn refused(&mut self, rule: Rule, found: String) -> Result<()>;
}

/// Where there is no record, people write on paper.
pub struct Paper;

impl Clerk for Paper {
    fn remark(&mut self, _: String) -> Result<()> {
        tell(&Texts::spoken().get("ask.no_record", &[]));
        Ok(())
    }
}

impl Recorder for Paper {
    fn refused(&mut self, _: Rule, _: String) -> Result<()> {
        Ok(())
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is done.
    Yes,
    /// It is not, or it stops here.
    No,
}

/// As [`fail`]; where the result would have been JSON, the end is JSON too, on stdout.
pub fn fail_as(json: bool, error: &Error) -> ExitCode {
    if json {
        // What can't be written there is said on stderr all the same.
        let _ = give_exactly(&report::end_json(error).to_string());
    }
    fail(error)
}

/// The end of a command, of which nothing is left to say but what it ended with.
pub fn end(json: bool, done: Result<()>) -> ExitCode {
    done.map_or_else(|error| fail_as(json, &error), |()| ExitCode::SUCCESS)
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

    /// Shows people that work goes on: on stderr, and only if that is a terminal.
    pub fn progress(&self, text: &str) {
        if std::io::stderr().is_terminal() {
            tell(text);
        }
    }

    /// Asks for a line that may be seen, without its line end, and asks again if it can't be used.
    /// Ctrl-C and Ctrl-D end the question, and are reported.
    ///
    /// # Errors
    /// [`Error::Ended`] at Ctrl-D or the end of the input, [`Error::Failed`] without a terminal.
    pub fn line(&self, prompt: &str) -> Result<String> {
        self.answered(prompt, Echo::Shown).map(|answer| answer.to_string())
    }

    /// Asks until something is typed, and gives it without the space around it.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn needed(&self, prompt: &str) -> Result<String> {
        loop {
            match self.line(prompt)?.trim() {
                "" => self.say(&Texts::spoken().get("ask.text", &[])),
                text => return Ok(text.to_owned()),
            }
        }
    }

    /// Asks for a line that the terminal does not show. Ctrl-C ends it too, so the terminal is
    /// never left silent.
    ///
    /// # Errors
    /// As [`Asker::line`].
    pub fn hidden(&self, prompt: &str) -> Result<Zeroizing<String>> {
        self.answered(prompt, Echo::Silent)
    }

    fn answered(&self, prompt: &str, echo: Echo) -> Result<Zeroizing<String>> {
        let source = self.open()?;
        loop {
            // Silent before the prompt: what is typed at once is not shown either.
            let entry = source.entry(echo)?;
            source.prompt(prompt)?;
            let answer = read_answer(source.input());
            if entry.is_some() {
                drop(entry);
                if echo == Echo::Silent || matches!(answer, Err(Error::Ended { .. })) {
                    source.prompt("\n")?;
                }
            }
            match answer? {
                TypedLine::Line(answer) => return Ok(answer),
                TypedLine::Unusable(what) if self.is_interactive() => {
                    self.say(&Texts::spoken().get(what.key(), &[]));
                }
                TypedLine::Unusable(what) => return Err(what.error()),
            }
        }
    }

    /// Asks until the answer fits the question; `how` explains it. Remarks go to the clerk
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Asker::line`]; what recording can end with.
    pub fn decide(
        &self,
        question: Question,
        prompt: &str,
        how: &str,
        clerk: &mut dyn Clerk,
    ) -> Result<Decision> {
        loop {
            let typed = self.line(prompt)?;
            match Answer::to(question, &typed) {
                Answer::Yes => return Ok(Decision::Yes),
                Answer::No | Answer::Stop => return Ok(Decision::No),
                Answer::Note => self.remark(clerk)?,
                Answer::Nothing | Answer::Explain | Answer::Other(_) => self.say(how),
            }
        }
    }

    /// Asks for a path until there is one; nothing where nothing (or no) was typed.
    ///
    /// # Errors
    /// As [`Asker::line`]; [`Error::Ended`] too where somebody stops; what recording can end with.
    pub fn path(&self, prompt: &str, clerk: &mut dyn Clerk) -> Result<Option<PathBuf>> {
        loop {
            let typed = self.line(prompt)?;
            match Answer::to(Question::Path, &typed) {
                Answer::Nothing | Answer::No => return Ok(None),
                Answer::Stop => return Err(ended("q")),
                Answer::Note => self.remark(clerk)?,
                Answer::Explain | Answer::Yes => self.say(&Texts::spoken().get("ask.path", &[])),
                Answer::Other(text) => return Ok(Some(answer::path(text))),
            }
        }
    }

    /// Asks for a remark, and has it put on record.
    ///
    /// # Errors
    /// As [`Asker::line`]; what recording can end with.
    pub fn remark(&self, clerk: &mut dyn Clerk) -> Result<()> {
        match self.line(&Texts::spoken().get("ask.remark", &[])) {
            Ok(text) if text.trim().is_empty() => Ok(()),
            Ok(text) => clerk.remark(text.trim().to_owned()),
            // No remark then; what was asked before is asked again.
            Err(Error::Ended { .. }) => Ok(()),
            Err(error) => Err(error),
        }
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
        let prompt = &said(prompt);
        let written = match self {
            Source::Terminal(terminal) => {
                (&mut &*terminal).write_all(for_people(prompt, terminal).as_bytes())
            }
            Source::Stdin(_) => std::io::stderr().write_all(prompt.as_bytes()),
        };
        written.map_err(terminal_failed)
    }
}

/// Whether the terminal shows what is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// What was typed.
enum TypedLine {
    Line(Zeroizing<String>),
    Unusable(Unusable),
}

/// Why a line can't be used.
#[derive(Debug, Clone, Copy)]
enum Unusable {
    Long,
    Encoding,
    Control,
}

impl Unusable {
    fn key(self) -> &'static str {
        match self {
            Unusable::Long => "ask.long",
            Unusable::Encoding => "ask.encoding",
            Unusable::Control => "ask.control",
        }
    }

    fn error(self) -> Error {
        let what = match self {
            Unusable::Long => format!("more than {MAX_ANSWER} bytes"),
            Unusable::Encoding => "not UTF-8".to_owned(),
            Unusable::Control => "a control character (an arrow key?)".to_owned(),
        };
        Error::failed(
            format!("the answer cannot be used: {what}"),
            "run the same command again and type the answer anew",
        )
    }
}

/// Reads one line, byte by byte: nothing stays in a buffer, and the next question finds the next
/// line.
fn read_answer(input: BorrowedFd<'_>) -> Result<TypedLine> {
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
        return Ok(TypedLine::Unusable(Unusable::Long));
    }
    let Ok(text) = std::str::from_utf8(&answer) else {
        return Ok(TypedLine::Unusable(Unusable::Encoding));
    };
    let text = text.strip_suffix('\r').unwrap_or(text);
    // An arrow key in a hidden line would become part of a passphrase that nobody can type again.
    if text.chars().any(|character| character.is_control() && character != '\t') {
        return Ok(TypedLine::Unusable(Unusable::Control));
    }
    Ok(TypedLine::Line(Zeroizing::new(text.to_owned())))
}

/// Shows what nobody else may see, once somebody says that nobody does; then clears it away, the
/// terminal's scrollback too, however the question ends.
///
/// # Errors
/// As [`Asker::line`]; [`Error::Failed`] where it can't be shown.
pub fn show_secret(asker: &Asker, secret: &Zeroizing<String>) -> Result<()> {
    // ECMA-48, and what xterm calls the alternate screen: what was there before comes back.
    const OTHER_SCREEN: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[H";
    const CLEARED: &[u8] = b"\x1b[2J\x1b[3J\x1b[H\x1b[?1049l";
    let texts = Texts::spoken();
    let (question, how) = (texts.get("ask.alone", &[]), texts.get("ask.alone_how", &[]));
    if asker.decide(Question::GoOn, &question, &how, &mut Paper)? == Decision::No {
        return Err(ended("q"));
    }
    let write = |bytes: &[u8]| {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(terminal_failed)
    };
    let shown = write(OTHER_SCREEN).and_then(|()| write(secret.as_bytes()));
    let read = shown.and_then(|()| asker.line(&texts.get("ask.read", &[])));
    write(CLEARED)?;
    match read {
        // It was seen; how the question ended does not matter.
        Ok(_) | Err(Error::Ended { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How a question ends that nobody answers.
pub fn ended(what: &str) -> Error {
    Error::Ended { what: Texts::spoken().get("ask.ended", &[("by", what)]) }
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
        let next = || match read_answer(input.as_fd()).unwrap() {
            TypedLine::Line(line) => line.to_string(),
            TypedLine::Unusable(what) => {
                format!("{what:?}, exit code {}", what.error().exit_code())
            }
        };
        for line in [
            "one",
            "",
            "two\tthree",
            "Long, exit code 1",
            "Encoding, exit code 1",
            "Control, exit code 1",
            "last",
        ] {
            assert_eq!(next(), line);
        }
        assert_eq!(read_answer(input.as_fd()).err().unwrap().exit_code(), 4);
    }
}
