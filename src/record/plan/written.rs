//! How a plan is written before anybody signs it: in the part of TOML that every reader, program or
//! person, reads alike. A ceremony that has begun is read however its plan is written.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::line_of;
use super::{Fault, Faults};
use crate::Rule;

/// Refuses a plan that is written in another way than the format's.
///
/// # Errors
/// `PLAN-SYNTAX`, each place with its line, and how it is written.
pub fn canonical(text: &str) -> Result<(), Faults> {
    let document = DeTable::parse(text).map_err(|error| {
        let (found, expected) = (error.message().to_owned(), "TOML".to_owned());
        Faults(vec![Fault { line: 0, rule: Rule::PlanSyntax, found, expected }])
    })?;
    let mut form = Form { text, quoted: Vec::new(), faults: Vec::new() };
    for (key, value) in document.get_ref() {
        form.section(key, value);
    }
    form.lines();
    form.faults.sort_by_key(|fault| fault.line);
    if form.faults.is_empty() { Ok(()) } else { Err(Faults(form.faults)) }
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

struct Form<'a> {
    text: &'a str,
    /// Where text in quotes stands.
    quoted: Vec<Range<usize>>,
    faults: Vec<Fault>,
}

impl Form<'_> {
    fn raw(&self, span: &Range<usize>) -> &str {
        &self.text[span.clone()]
    }

    fn ensure(&mut self, holds: bool, span: &Range<usize>, expected: impl Into<String>) {
        if !holds {
            let found = self.raw(span).lines().next().map_or(String::new(), str::to_owned);
            let (line, rule) = (line_of(self.text, span.start), Rule::PlanSyntax);
            self.faults.push(Fault { line, rule, found, expected: expected.into() });
        }
    }

    /// A field of the whole plan: a table, or tables, below a header of their own; or a value.
    fn section(&mut self, key: &Key, value: &Spanned<DeValue>) {
        let name = key.get_ref().as_ref();
        let headed = match value.get_ref() {
            DeValue::Table(_) => Some((vec![value], format!("[{name}]"))),
            DeValue::Array(all) if all.iter().any(|one| one.get_ref().is_table()) => {
                Some((all.iter().collect(), format!("[[{name}]]")))
            }
            _ => None,
        };
        let Some((tables, header)) = headed else {
            self.field(key, value);
            return;
        };
        for table in tables {
            let alone = self.raw(&table.span()) == header;
            self.ensure(alone, &table.span(), format!("{header} on a line of its own"));
            self.fields(table, name == "software");
        }
    }

    fn fields(&mut self, table: &Spanned<DeValue>, quoted: bool) {
        for (key, value) in table.get_ref().as_table().into_iter().flatten() {
            match quoted {
                true => {
                    self.string(key.get_ref(), &key.span());
                    self.value(value);
                }
                false => self.field(key, value),
            }
        }
    }

    fn field(&mut self, key: &Key, value: &Spanned<DeValue>) {
        let name = key.get_ref().as_ref();
        self.ensure(self.raw(&key.span()) == name, &key.span(), format!("{name}, without quotes"));
        self.value(value);
        let unequal = value.get_ref().as_str().is_none_or(|text| !text.contains('='));
        self.ensure(name != "name" || unequal, &value.span(), "a name without =");
    }

    fn value(&mut self, value: &Spanned<DeValue>) {
        let (span, raw) = (value.span(), self.raw(&value.span()));
        match value.get_ref() {
            DeValue::String(text) => self.string(text, &span),
            DeValue::Array(all) => all.iter().for_each(|one| self.value(one)),
            DeValue::Table(_) => {
                let braces = raw.starts_with('{');
                self.ensure(braces, &span, "a table inside another in braces, { … }");
                self.fields(value, false);
            }
            DeValue::Integer(_) => {
                let digits = raw.bytes().all(|byte| byte.is_ascii_digit());
                self.ensure(digits, &span, "a number in decimal digits alone");
            }
            DeValue::Boolean(_) | DeValue::Float(_) | DeValue::Datetime(_) => {}
        }
    }

    fn string(&mut self, text: &str, span: &Range<usize>) {
        let plain = self.raw(span) == format!("\"{text}\"") && !text.contains(['{', '}']);
        self.ensure(plain, span, "text in \"…\", without \\, \", { and }");
        self.quoted.push(span.clone());
    }

    /// What stands between values: blanks, and comments on lines of their own.
    fn lines(&mut self) {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let here = start..start + line.len();
            let own = line.trim_start().starts_with('#');
            let quoted = |at: usize| self.quoted.iter().any(|span| span.contains(&at));
            let comment = line.match_indices('#').any(|(at, _)| !quoted(start + at));
            let blanks = !line.contains('\t');
            self.ensure(own || !comment, &here, "a comment on a line of its own");
            self.ensure(own || blanks, &here, "blanks, no tabs");
            start = here.end;
        }
    }
}
