//! What people read of `next` and of pages, one file per language. Logs, rules, commands and JSON
//! stay English.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// A language that there are texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// Every one of them.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// Its code (ISO 639-1).
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Language::English => include_str!("../../templates/text/en.toml"),
            Language::German => include_str!("../../templates/text/de.toml"),
        }
    }
}

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Language::ALL.into_iter().find(|one| one.code() == text);
        found.ok_or_else(|| "expected en or de".into())
    }
}

/// The texts of a language, by their keys.
#[derive(Clone)]
pub struct Texts {
    /// Which.
    pub language: Language,
    texts: BTreeMap<String, String>,
}

impl Texts {
    /// The texts of a language. They are part of the program; a test reads every one of them.
    pub fn of(language: Language) -> Self {
        let mut texts = BTreeMap::new();
        let table: Table = language.source().parse().unwrap_or_default();
        collect("", &table, &mut texts);
        Texts { language, texts }
    }

    /// A text with its `{placeholders}` filled in. An unknown key stands for itself, so that
    /// nothing is silently left out.
    pub fn get(&self, key: &str, values: &[(&str, &str)]) -> String {
        let text = self.texts.get(key).map_or(key, String::as_str);
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        // Once over the text: what a value contains is not looked at again.
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after.split_once('}').and_then(|(name, after)| {
                let value = values.iter().find(|(known, _)| *known == name)?;
                Some((value.1, after))
            });
            match known {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled + rest
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }
}

fn collect(prefix: &str, table: &Table, texts: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = match prefix {
            "" => key.clone(),
            _ => format!("{prefix}.{key}"),
        };
        match value {
            Value::Table(table) => collect(&key, table, texts),
            Value::String(text) => {
                texts.insert(key, text.clone());
            }
            _ => {}
        }
    }
}
