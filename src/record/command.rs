//! Command lines as people type or paste them: whatever a program, a page or a refusal tells
//! somebody to type is made here. A value is quoted where a shell needs it; what only the reader
//! knows is a placeholder in capitals; a program that tells somebody to go on with itself names the
//! folder, mirror, module, token and language that it was given.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use crate::named;
use crate::{Side, escape};

named! {
    /// A program that people are told to type, by its name.
    pub enum Program {
        /// On any machine.
        Audit = "keyferry-audit",
        /// On a custodian's own machine.
        Custodian = "keyferry-custodian",
        /// On the hoster's machine, and on its nodes.
        Hoster = "keyferry-hoster",
        /// On an officer's own machine.
        Officer = "keyferry-officer",
        /// On the tenant's machine.
        Tenant = "keyferry-tenant",
        /// On an officer's own machine, where there is no [`Program::Officer`].
        SshKeygen = "ssh-keygen",
    }
}

/// Programs of others whose lines stand in our texts.
const TOOLS: [&str; 4] = ["iconv", "jq", "openssl", "tr"];

/// An option and its value.
type Given = (&'static str, OsString);

/// The program that runs, and the options of every command of it.
static OWN: OnceLock<(Program, Vec<Given>)> = OnceLock::new();

/// From now on the lines of this program, which is the one that runs, have these options. Only the
/// first call counts.
pub fn go_on_with(program: Program, options: Vec<Given>) {
    let _ = OWN.set((program, options));
}

/// A part of a word.
#[derive(Clone)]
enum Part {
    /// It stands for itself; or in capitals for what only the reader knows.
    Text(String),
    /// It was given.
    Value(OsString),
}

/// A command line: its words, the program first.
#[derive(Clone)]
pub struct CommandLine(Vec<Vec<Part>>);

impl Program {
    /// The program of a side.
    pub fn of(side: Side) -> Self {
        match side {
            Side::Tenant => Program::Tenant,
            Side::Hoster => Program::Hoster,
        }
    }

    /// A command of this program, with the options of the program that runs; of a side that is
    /// elsewhere, with a placeholder for its folder. Words in capitals, of two letters or more, are
    /// placeholders.
    pub fn line(self, words: &'static str) -> CommandLine {
        self.complete(words)
    }

    /// As [`Program::line`], without options: for what knows no ceremony, or runs on another machine
    /// than this.
    pub fn bare(self, words: &'static str) -> CommandLine {
        tool(self.name()).and(words)
    }

    fn complete(self, words: &str) -> CommandLine {
        let CommandLine(mut line) = tool(self.name());
        match OWN.get() {
            Some((own, options)) if *own == self => {
                line.extend(options.iter().flat_map(option));
            }
            _ if [Program::Tenant, Program::Hoster].contains(&self) => {
                line.extend(words_of("--dir CEREMONY"));
            }
            _ => {}
        }
        line.extend(words_of(words));
        CommandLine(line)
    }
}

/// An option as the words of a line: in one where its value would be taken for another option.
fn option((name, value): &Given) -> Vec<Vec<Part>> {
    let (name, value) = (|end| Part::Text(format!("{name}{end}")), Part::Value(value.clone()));
    match &value {
        Part::Value(given) if given.as_bytes().starts_with(b"-") => vec![vec![name("="), value]],
        _ => vec![vec![name("")], vec![value]],
    }
}

/// A command of another program than ours.
pub fn tool(words: &'static str) -> CommandLine {
    CommandLine(words_of(words))
}

impl CommandLine {
    /// The line with more words at its end.
    pub fn and(self, words: &'static str) -> Self {
        CommandLine([self.0, words_of(words)].concat())
    }

    /// The line with a value in a placeholder's place. A file's or folder's name that a program would
    /// take for an option becomes `./-name`; what people say is taken as it is.
    pub fn with(mut self, placeholder: &str, value: impl AsRef<OsStr>) -> Self {
        const SAID: [&str; 5] = ["TEXT", "ITEM", "NUMBER", "SERIAL", "WHO"];
        let value = match SAID.contains(&placeholder) {
            true => value.as_ref().to_owned(),
            false => operand(value.as_ref()),
        };
        for part in self.0.iter_mut().flatten() {
            if matches!(part, Part::Text(name) if name == placeholder) {
                *part = Part::Value(value.clone());
            }
        }
        self
    }

    /// What the program is given: what the shell makes of the line.
    pub fn arguments(&self) -> Vec<OsString> {
        let text = |part: &Part| match part {
            Part::Text(text) => OsString::from(text),
            Part::Value(value) => value.clone(),
        };
        self.0.iter().skip(1).map(|word| word.iter().map(text).collect()).collect()
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.0.iter().enumerate() {
            f.write_str(if n > 0 { " " } else { "" })?;
            for part in word {
                match part {
                    Part::Text(text) => f.write_str(text)?,
                    Part::Value(value) => f.write_str(&quoted(value))?,
                }
            }
        }
        Ok(())
    }
}

/// A value that no program takes for an option.
fn operand(value: &OsStr) -> OsString {
    match value.as_bytes().starts_with(b"-") {
        true => Path::new(".").join(value).into(),
        false => value.to_owned(),
    }
}

/// A text of ours with the commands in it written out: `{custodian share check FILE}`.
pub fn with_commands(text: &'static str) -> String {
    written_out(text)
}

/// As [`with_commands`], with a file's name for `FILE`.
pub fn with_file(text: &'static str, file: &Path) -> String {
    written_out(text).replace("FILE", &quoted(&operand(file.as_os_str())))
}

/// As [`with_commands`], of a text that is compiled in.
pub fn written_out(text: &str) -> String {
    let command = |inside: &str| {
        let (called, words) = inside.split_once(' ')?;
        let name = |program: &Program| program.name().trim_start_matches("keyferry-") == called;
        let own = Program::ALL.into_iter().find(name).map(|program| program.complete(words));
        let other = || TOOLS.contains(&called).then(|| CommandLine(words_of(inside)));
        own.or_else(other).map(|line| line.to_string())
    };
    let mut all = String::with_capacity(text.len());
    for (n, piece) in text.split('{').enumerate() {
        let inside = piece.split_once('}').filter(|_| n > 0);
        match inside.and_then(|(inside, after)| Some((command(inside)?, after))) {
            Some((command, after)) => all.extend([&command, after]),
            None => all.extend([if n > 0 { "{" } else { "" }, piece]),
        }
    }
    all
}

/// A value as a shell takes it for one word (POSIX, Shell Command Language, 2.2): as it is, or in
/// quotation marks. One with characters that no terminal shows is put together by `printf`, which
/// loses nothing but line ends at its end.
fn quoted(value: &OsStr) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(byte);
    match value.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| plain(&byte)) => text.to_owned(),
        Some(text) if escape(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let shown = |byte: &u8| {
                if plain(byte) { char::from(*byte).to_string() } else { format!("\\0{byte:03o}") }
            };
            format!("\"$(printf %b '{}')\"", value.as_bytes().iter().map(shown).collect::<String>())
        }
    }
}

/// The words of a line; a placeholder may be a part of one: `LABEL=FILE`.
fn words_of(text: &str) -> Vec<Vec<Part>> {
    const BETWEEN: [char; 3] = ['=', '.', '/'];
    let parts = |piece: &str| {
        let (name, end) = piece.split_at(piece.trim_end_matches(BETWEEN).len());
        [name, end].map(|text| Part::Text(text.to_owned()))
    };
    let word = |word: &str| word.split_inclusive(BETWEEN).flat_map(parts).collect();
    text.split_whitespace().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_takes_what_was_meant() {
        let values: [&[u8]; 14] = [
            b"plain/path-1.json",
            b"",
            b" ",
            b"USB DISK",
            b"O'Neil",
            "Müller/\u{2603}".as_bytes(),
            b"$HOME `id` \"x\" \\ * ? ; & | < > # ! ~",
            b"~",
            b"#",
            b"-n",
            b"a\nb\tc\x1b[2J",
            "\u{202e}txt".as_bytes(),
            b"\xff\xfe'%s'\\0101",
            b"{audit verify FOLDER}",
        ];
        for shell in ["sh", "bash"] {
            for value in values {
                let value = OsStr::from_bytes(value);
                let line = format!("printf '%s|' {}", quoted(value));
                assert!(escape(&line) == line, "{line}");
                let done = Command::new(shell).args(["-c", &line]).output().unwrap();
                assert_eq!(done.stdout, [value.as_bytes(), b"|"].concat(), "{shell}: {line}");
            }
        }
    }

    #[test]
    fn a_line_is_its_words_with_what_was_given() {
        let line =
            Program::SshKeygen.line("-Y sign -f KEY < FILE > FILE.ID.sig").with("KEY", "k y");
        let line = line.with("FILE", "ID").with("ID", "ada");
        assert_eq!(line.to_string(), "ssh-keygen -Y sign -f 'k y' < ID > ID.ada.sig");
        let line = Program::Tenant.line("keys create").and("--existing LABEL=FILE");
        let line = line.with("LABEL", "a").with("CEREMONY", "O'Neil");
        assert_eq!(
            line.to_string(),
            r"keyferry-tenant --dir 'O'\''Neil' keys create --existing a=FILE"
        );
        let words = ["--dir", "O'Neil", "keys", "create", "--existing", "a=FILE"];
        assert_eq!(line.arguments(), words);
        assert_eq!(Program::Hoster.bare("node prove").to_string(), "keyferry-hoster node prove");
    }

    #[test]
    fn a_name_that_begins_like_an_option_is_none() {
        let line = Program::Audit.bare("show FILE LABEL=FILE").with("LABEL", "a");
        assert_eq!(line.with("FILE", "-x").to_string(), "keyferry-audit show ./-x a=./-x");
        let look = with_file("look: {openssl x509 -in FILE -text}, {of}", Path::new("-a b"));
        assert_eq!(look, "look: openssl x509 -in './-a b' -text, {of}");
        for (value, expected) in [("-x", "--token=-x"), ("x", "--token x"), ("", "--token ''")] {
            let line = CommandLine(option(&("--token", value.into())));
            assert_eq!(line.to_string(), expected);
        }
    }

    #[test]
    fn a_text_has_its_commands_written_out() {
        let text = "{of} types {custodian share check FILE}, {n} {audit} {nobody knows}; {";
        let out = "{of} types keyferry-custodian share check FILE, {n} {audit} {nobody knows}; {";
        assert_eq!(written_out(text), out);
    }
}
