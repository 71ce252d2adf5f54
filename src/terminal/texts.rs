//! What people read of questions, of `next` and of pages, one file per language; and what programs
//! say besides, by the English that stands in them. Logs, names of rules, commands and JSON stay
//! English.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use record::Rule;
pub use record::show::Language;
use record::show::{Sentences, by_key};

/// The language of every question from now on.
static SPOKEN: OnceLock<Language> = OnceLock::new();

/// The option of every program.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Speech {
    /// The language of what people read: en or de
    #[arg(long, global = true, env = "KEYFERRY_LANGUAGE", value_name = "LANGUAGE")]
    #[arg(default_value = "en", hide_env_values = true)]
    pub language: Language,
}

impl Speech {
    /// From now on people are asked in this language. Only the first call counts.
    pub fn begin(self) {
        let _ = SPOKEN.set(self.language);
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
        Template::of(text).filled(values)
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }
}

/// A text in pieces, and what is filled in between them: by name, or by its place.
struct Template {
    pieces: Vec<String>,
    holes: Vec<String>,
}

impl Template {
    fn of(text: &str) -> Self {
        let mut parts = text.split('{');
        let mut pieces = vec![parts.next().unwrap_or_default().to_owned()];
        let mut holes: Vec<String> = Vec::new();
        for part in parts {
            let (hole, piece) = part.split_once('}').unwrap_or(("{", part));
            holes.push(if hole.is_empty() { holes.len().to_string() } else { hole.to_owned() });
            pieces.push(piece.to_owned());
        }
        Template { pieces, holes }
    }

    /// Once over the text: what a value contains is not looked at again.
    fn filled(&self, values: &[(&str, &str)]) -> String {
        let mut filled = self.pieces[0].clone();
        for (hole, piece) in self.holes.iter().zip(&self.pieces[1..]) {
            match values.iter().find(|(known, _)| known == hole) {
                Some((_, value)) => filled.push_str(value),
                None if hole == "{" => filled.push('{'),
                None => filled.extend(["{", hole, "}"]),
            }
            filled.push_str(piece);
        }
        filled
    }

    /// What stands in a text that is this one, filled in.
    fn values<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, rest) = self.pieces.split_first()?;
        let mut text = text.strip_prefix(first.as_str())?;
        let mut values = Vec::with_capacity(rest.len());
        for (n, piece) in rest.iter().enumerate() {
            let at = match n + 1 == rest.len() {
                true => text.strip_suffix(piece.as_str())?.len(),
                false => text.find(piece.as_str())?,
            };
            values.push(&text[..at]);
            text = &text[at + piece.len()..];
        }
        text.is_empty().then_some(values)
    }

    /// How much of it is always the same, in bytes.
    fn fixed(&self) -> usize {
        self.pieces.iter().map(String::len).sum()
    }
}

/// What programs say besides: each sentence as it stands in them, and in the spoken language; the
/// most definite first.
static SAID: LazyLock<Vec<[Template; 2]>> = LazyLock::new(|| {
    let source = include_str!("../../templates/text/said.de.toml");
    let (mut said, german) = (by_key(source), Sentences::of(Language::German));
    let fault = |rule: &Rule| (rule.fault().to_owned(), german.fault(rule.name()).to_owned());
    said.extend(Rule::ALL.iter().map(fault));
    let texts = Texts::of(Language::German).texts.into_iter();
    said.extend(texts.filter_map(|(key, who)| Some((key.strip_prefix("who.")?.to_owned(), who))));
    let mut said: Vec<_> =
        said.iter().map(|(one, other)| [one, other].map(|it| Template::of(it))).collect();
    said.sort_by_key(|[english, _]| (!english.holes.is_empty(), Reverse(english.fixed())));
    said
});

/// What a program says in English, in the language that people are asked in, line by line; so, too,
/// what is filled in, where that is more than a word. What nobody has put into that language stays
/// as it is.
pub fn said(text: &str) -> String {
    match SPOKEN.get() {
        Some(Language::German) => text.split('\n').map(in_german).collect::<Vec<_>>().join("\n"),
        _ => text.to_owned(),
    }
}

fn in_german(text: &str) -> String {
    let bare = text.trim_start();
    let bare = bare.strip_prefix("- ").unwrap_or(bare);
    let margin = &text[..text.len() - bare.len()];
    for [english, german] in SAID.iter() {
        let Some(values) = english.values(bare) else { continue };
        let spoken = values.iter().map(|value| match value.contains(' ') {
            true => in_german(value),
            false => (*value).to_owned(),
        });
        let spoken: Vec<String> = spoken.collect();
        let named = english.holes.iter().map(String::as_str).zip(spoken.iter().map(String::as_str));
        return margin.to_owned() + &german.filled(&named.collect::<Vec<_>>());
    }
    text.to_owned()
}
