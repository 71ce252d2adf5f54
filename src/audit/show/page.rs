//! The text that explains a file: lines of ours with foreign text in them, all escaped at one
//! place.

use crate::{
    encoding::Hash,
    escape::{MAX_SHOWN, escape},
    fingerprint,
    plan::Mode,
    signature::{self, Namespace},
};

use super::{source::Source, tree::Tree};

/// The most lines of one foreign tree that are shown.
const MAX_LINES: usize = 4000;

/// What is said of a file, line by line.
#[derive(Default)]
pub struct Page {
    lines: Vec<String>,
}

impl Page {
    /// A page that begins with what the file is.
    pub fn new(what: &str) -> Self {
        let mut page = Page::default();
        page.line(what).blank();
        page
    }

    /// A line; whatever is foreign in it is escaped.
    pub fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.lines.push(one_line(text.as_ref()));
        self
    }

    /// An empty line.
    pub fn blank(&mut self) -> &mut Self {
        self.lines.push(String::new());
        self
    }

    /// An empty line and a title.
    pub fn title(&mut self, text: &str) -> &mut Self {
        self.blank().line(text)
    }

    /// A name and its value, in columns.
    pub fn value(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.line(format!("  {:<14}{value}", format!("{name}:")))
    }

    /// Foreign text of several lines, each marked, so that none can look like one of ours.
    pub fn quote(&mut self, text: &str) -> &mut Self {
        for line in text.split('\n').take(MAX_LINES) {
            self.line(format!("  | {line}"));
        }
        self.cut(text.split('\n').count())
    }

    /// Everything that a foreign object says, as `name: value`.
    pub fn tree(&mut self, name: &str, tree: &Tree) -> &mut Self {
        let mut lines = Vec::new();
        tree.lines(name, 2, &mut lines);
        for line in lines.iter().take(MAX_LINES) {
            self.line(line);
        }
        self.cut(lines.len())
    }

    fn cut(&mut self, lines: usize) -> &mut Self {
        match lines > MAX_LINES {
            true => self.line(format!(
                "  NOT EVERYTHING IS SHOWN: {} more lines; sign nothing that you have not read",
                lines - MAX_LINES
            )),
            false => self,
        }
    }

    /// The 32 words of a hash, in rows.
    pub fn words(&mut self, hash: &Hash) -> &mut Self {
        for row in fingerprint::rows(hash.as_bytes()).lines() {
            self.line(format!("  {row}"));
        }
        self
    }

    /// Rehearsal or production, in words that nobody misreads.
    pub fn mode(&mut self, mode: Mode) -> &mut Self {
        let said = match mode {
            Mode::Rehearsal => "REHEARSAL: throwaway keys; production refuses it",
            Mode::Production => "PRODUCTION: real keys",
        };
        self.value("mode", said)
    }

    /// The plan that the file names, with its words.
    pub fn plan(&mut self, hash: &Hash) -> &mut Self {
        self.value("plan", hash)
            .line("    its words, to compare with your own copy of the plan (`plan check` shows them):")
            .words(hash)
    }

    /// What a signature over this file means, and the line that makes it.
    pub fn signing(
        &mut self,
        source: &Source,
        namespace: Namespace,
        meaning: &str,
        who: &[String],
    ) -> &mut Self {
        self.title("WHAT SIGNING IT MEANS")
            .line(format!("  {meaning}"))
            .value("namespace", namespace.name());
        if !source.is_plain() {
            return self.line(
                "  The file's name has characters that a shell takes for more than a name: give it a plain name first.",
            );
        }
        if who.is_empty() {
            self.line("  The line, with your own private key for KEY and your id in the plan for YOUR-ID:")
                .line(format!(
                    "    {}",
                    signature::command_line(namespace, source.path, "YOUR-ID")
                ));
        } else {
            self.line("  The line of each officer, with their own private key for KEY:");
        }
        for id in who {
            self.line(format!("    {}", signature::command_line(namespace, source.path, id)));
        }
        self
    }

    /// The lines of the page.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// Text made fit for one line; where that has cut it, the line says so.
pub fn one_line(text: &str) -> String {
    let (shown, all) = (escape(text), text.chars().count());
    match all > MAX_SHOWN {
        true => format!("{shown} (CUT: the first {MAX_SHOWN} of {all} characters)"),
        false => shown,
    }
}
