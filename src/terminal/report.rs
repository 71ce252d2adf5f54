//! What a command that ended well says: results for stdout, as text or as JSON.

use serde_json::{Map, Value, json};

use crate::face::{WIDEST, fitted};
use crate::texts::said;
use record::{Error, Id, Plan, escape, list_or};

/// The longest result that needs no headings, in rows of 80 columns: on a terminal of 24 rows what
/// comes next fits below it.
const SHORT: usize = 14;

/// Results, in the order in which they are read.
#[derive(Default)]
pub struct Report {
    text: Vec<String>,
    /// Where each part begins, and its heading.
    parts: Vec<(usize, &'static str)>,
    json: Map<String, Value>,
}

impl Report {
    /// A report that begins with this sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Report { text: vec![text.into()], ..Report::default() }
    }

    /// Begins a part, or goes on with it; where the result is long, it has this heading.
    pub fn part(mut self, heading: &'static str) -> Self {
        if self.parts.last().is_none_or(|(_, last)| *last != heading) {
            self.parts.push((self.text.len(), heading));
        }
        self
    }

    /// Adds a line for people only.
    pub fn line(mut self, text: impl Into<String>) -> Self {
        self.text.push(text.into());
        self
    }

    /// Adds lines for people only.
    pub fn lines(mut self, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.text.extend(texts.into_iter().map(Into::into));
        self
    }

    /// Adds a value, for people and for scripts.
    pub fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let shown = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.text.push(format!("{:<13} {}", said(name) + ":", spoken(&shown)));
        self.json.insert(name.replace(' ', "_"), value);
        self
    }

    /// Adds people of a plan: for people by their names, for scripts by their ids.
    pub fn people<'i>(
        mut self,
        name: &str,
        plan: &Plan,
        ids: impl IntoIterator<Item = &'i Id>,
    ) -> Self {
        let ids: Vec<&Id> = ids.into_iter().collect();
        let names = plan.names_of(&said("nobody"), ids.iter().copied());
        self.text.push(format!("{:<13} {names}", said(name) + ":"));
        self.json.insert(name.replace(' ', "_"), list_or("nobody", ids).into());
        self
    }

    /// Adds what there is of something, or what stands for none of it: each a sentence by itself.
    pub fn each(mut self, name: &str, none: &str, all: &[String]) -> Self {
        let spoken = list_or(&said(none), all.iter().map(|one| said(one)));
        self.text.push(format!("{:<13} {spoken}", said(name) + ":"));
        self.json.insert(name.replace(' ', "_"), list_or(none, all).into());
        self
    }

    /// Adds foreign texts, each under this name.
    pub fn texts(self, name: &str, texts: &[String]) -> Self {
        texts.iter().fold(self, |report, text| report.value(name, escape(text)))
    }

    /// Adds a value for scripts only.
    pub fn data(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.json.insert(name.to_owned(), value.into());
        self
    }

    /// The text for people; a long one in its parts, with a line before what follows it.
    pub fn text(&self) -> String {
        let rows = |line: &String| fitted(&said(line), WIDEST).split('\n').count();
        if self.parts.is_empty() || self.text.iter().map(rows).sum::<usize>() <= SHORT {
            return self.text.join("\n");
        }
        let mut all = String::new();
        for (n, line) in self.text.iter().enumerate() {
            // Of parts that begin here all but the last have nothing in them.
            if let Some((_, heading)) = self.parts.iter().rfind(|(at, _)| *at == n) {
                all.extend(["\n", heading, "\n"]);
            }
            all.extend([line, "\n"]);
        }
        all
    }

    /// The same for scripts.
    pub fn json(&self) -> Value {
        Value::Object(self.json.clone())
    }
}

/// A value of a result: a sentence, or one of the words that are no name of anybody's.
fn spoken(value: &str) -> String {
    let ours = value.contains(' ')
        || ["none", "nothing", "possible", "rehearsal", "production"].contains(&value);
    if ours { said(value) } else { value.to_owned() }
}

/// How a command ended that did not end well, for scripts: `exit_code`, and what was found,
/// expected and is to do, by the rule that refused; or what failed.
pub fn end_json(error: &Error) -> Value {
    let code = error.exit_code();
    match error {
        Error::Refused(refusal) => json!({
            "exit_code": code,
            "rule": refusal.rule.name(),
            "found": refusal.found,
            "expected": refusal.expected,
            "to_do": refusal.remedy,
        }),
        Error::Failed { what, remedy }
        | Error::Usage { what, remedy }
        | Error::Hsm { what, remedy } => {
            json!({ "exit_code": code, "what": what, "to_do": remedy })
        }
        Error::Ended { what } | Error::Waiting { what } => {
            json!({ "exit_code": code, "what": what })
        }
    }
}
