//! What people read of questions, of `next` and of pages, one file per language. Logs, rules,
//! commands and JSON stay English.

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub use record::show::Language;
use record::show::by_key;

/// The language of every question from now on.
static SPOKEN: OnceLock<Language> = OnceLock::new();

/// From now on people are asked in this language. Only the first call counts.
pub fn speak(language: Language) {
    let _ = SPOKEN.set(language);
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
        let source = match language {
            Language::English => include_str!("../../templates/text/en.toml"),
            Language::German => include_str!("../../templates/text/de.toml"),
        };
        Texts { language, texts: by_key(source) }
    }

    /// The texts of the language that people are asked in; English where none was chosen.
    pub fn spoken() -> Self {
        Texts::of(*SPOKEN.get_or_init(|| Language::English))
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
