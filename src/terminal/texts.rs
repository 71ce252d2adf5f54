//! What people read of questions, of `next` and of pages, one file per language; and what programs
//! say besides, by the English that stands in them. Logs, names of rules, commands and JSON stay
//! English.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{LazyLock, OnceLock};

use record::{Program, Rule, command};
pub use show::Language;
use show::{Sentences, by_key};

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
    /// From now on people are asked in this language, and the lines of this program, which is the
    /// one that runs, have these options and this language. Only the first call counts.
    pub fn begin(self, program: Program, mut options: Vec<(&'static str, OsString)>) {
        let _ = SPOKEN.set(self.language);
        let language = Some(self.language).filter(|it| *it != Language::English);
        options.extend(language.map(|it| ("--language", it.name().into())));
        command::go_on_with(program, options);
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

    /// What stands in a text that is this one, filled in; where that can be in several ways, the one
    /// in which no parenthesis is torn apart.
    fn values<'t>(&self, text: &'t str, effort: &mut usize) -> Option<Vec<&'t str>> {
        let (first, rest) = self.pieces.split_first()?;
        let text = text.strip_prefix(first.as_str())?;
        split(rest, text, is_balanced, effort).or_else(|| split(rest, text, |_| true, effort))
    }

    /// Whether nobody writes such a text by chance.
    fn is_certain(&self) -> bool {
        let ends = [self.pieces.first(), self.pieces.last()];
        let odd = |c: char| c.is_ascii_uppercase() || ":(`\"=".contains(c);
        self.fixed() >= CERTAIN
            || ends.into_iter().flatten().all(|end| !end.is_empty())
            || self.pieces.iter().any(|piece| piece.contains(odd))
    }

    /// How much of it is always the same, in bytes.
    fn fixed(&self) -> usize {
        self.pieces.iter().map(String::len).sum()
    }
}

/// How many places of an output are looked at, besides some for each line of it. What others have
/// written can be parted in more ways than there is time for: what is not found by then stays as
/// it is.
const EFFORT: usize = 1_000_000;
/// So many more for each line.
const EFFORT_A_LINE: usize = 20_000;
/// What it costs to compare a text with every sentence.
const COMPARED: usize = 500;
/// How many bytes of a sentence that begins or ends with a value are its own, at least, where it
/// stands within another: what somebody wrote ("the seal has no number") is not to be taken for
/// "{} has no {name}".
const CERTAIN: usize = 11;

/// Spends some of the effort, where as much is left.
fn spend(effort: &mut usize, cost: usize) -> Option<()> {
    *effort = effort.checked_sub(cost)?;
    Some(())
}

/// What stands before each of these pieces, in a text that ends with the last of them.
fn split<'t>(
    pieces: &[String],
    text: &'t str,
    fits: fn(&str) -> bool,
    effort: &mut usize,
) -> Option<Vec<&'t str>> {
    let Some((piece, rest)) = pieces.split_first() else {
        return text.is_empty().then(Vec::new);
    };
    if rest.is_empty() {
        return text.strip_suffix(piece.as_str()).filter(|value| fits(value)).map(|one| vec![one]);
    }
    for (at, _) in text.match_indices(piece.as_str()) {
        // What stands before it is read once more.
        spend(effort, 1 + at / 256)?;
        let (value, after) = (&text[..at], &text[at + piece.len()..]);
        if let Some(mut values) = fits(value).then(|| split(rest, after, fits, effort)).flatten() {
            values.insert(0, value);
            return Some(values);
        }
    }
    None
}

fn is_balanced(text: &str) -> bool {
    let depth = text.chars().try_fold(0_usize, |depth, c| match c {
        '(' => depth.checked_add(1),
        ')' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth == Some(0)
}

/// A sentence as it stands in the programs.
struct Sentence {
    english: Template,
    german: Template,
    /// Whether people sign these very words: they are never left out.
    signed: bool,
    /// Whether nobody writes such a text by chance.
    certain: bool,
}

/// What programs say besides, in the spoken language; the most definite first.
static SAID: LazyLock<Vec<Sentence>> = LazyLock::new(|| {
    let source = include_str!("../../templates/text/said.de.toml");
    let (mut said, german) = (by_key(source), Sentences::of(Language::German));
    let fault = |rule: &Rule| (rule.fault().to_owned(), german.fault(rule.name()).to_owned());
    said.extend(Rule::ALL.iter().map(fault));
    let texts = Texts::of(Language::German).texts.into_iter();
    said.extend(texts.filter_map(|(key, who)| Some((key.strip_prefix("who.")?.to_owned(), who))));
    let mut said: Vec<_> = said
        .iter()
        .map(|(key, german)| {
            let (table, bare) = key.split_once('.').unwrap_or_default();
            let of_table = ["signed", "composed", "library"].contains(&table);
            let [english, german] = [if of_table { bare } else { key }, german].map(Template::of);
            // What is counted, and what libraries say, is no sentence of anybody's.
            let certain = english.is_certain() || ["composed", "library"].contains(&table);
            Sentence { english, german, signed: table == "signed", certain }
        })
        .collect();
    said.sort_by_key(|one| (!one.english.holes.is_empty(), Reverse(one.english.fixed())));
    said
});

/// What a program says in English, in the language that people are asked in, line by line; so, too,
/// what is filled in, where that is more than a word. What nobody has put into that language stays
/// as it is, and so do words that people sign: those are followed by what they mean.
pub fn said(text: &str) -> String {
    match SPOKEN.get() {
        Some(Language::German) => {
            let mut effort = effort_for(text);
            let lines = text.split('\n').map(|line| in_german(line, &mut effort));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => text.to_owned(),
    }
}

fn effort_for(text: &str) -> usize {
    EFFORT + EFFORT_A_LINE * text.lines().count()
}

/// What a line means whose words people sign in English, where they are asked in another language.
fn meaning(line: &str, effort: &mut usize) -> Option<String> {
    SPOKEN.get().filter(|language| **language == Language::German)?;
    let (margin, bare) = margin(line);
    let found = Translator { found: BTreeMap::new(), effort }.translated(bare, false)?;
    found.signed.then(|| format!("{margin}(auf Deutsch: {})", found.german))
}

fn margin(line: &str) -> (&str, &str) {
    let bare = line.trim_start();
    let bare = ["- ", "| "].iter().find_map(|mark| bare.strip_prefix(mark)).unwrap_or(bare);
    line.split_at(line.len() - bare.len())
}

fn in_german(line: &str, effort: &mut usize) -> String {
    let (margin, bare) = margin(line);
    match (Translator { found: BTreeMap::new(), effort }).translated(bare, false) {
        Some(Translation { german, signed: false, .. }) => margin.to_owned() + &german,
        Some(Translation { german, .. }) => format!("{line}\n{margin}(auf Deutsch: {german})"),
        None => line.to_owned(),
    }
}

/// A command that is to be pasted, as it is.
fn is_command(text: &str) -> bool {
    let called = |program: &Program| text.strip_prefix(program.name());
    Program::ALL.iter().find_map(called).is_some_and(|rest| rest.starts_with(' '))
}

/// A sentence in German.
#[derive(Clone)]
struct Translation {
    german: String,
    /// Whether its own words are signed.
    signed: bool,
    /// How much of the English is known, in bytes.
    known: usize,
}

/// One line, and what was found of its parts.
struct Translator<'t, 'e> {
    found: BTreeMap<(&'t str, bool), Option<Translation>>,
    effort: &'e mut usize,
}

impl<'t> Translator<'t, '_> {
    /// The translation that knows the most of a text, which is a line or stands within one: as a
    /// sentence with what is filled in, or as several sentences. A command is no text.
    fn translated(&mut self, text: &'t str, within: bool) -> Option<Translation> {
        if is_command(text) {
            return None;
        }
        if let Some(found) = self.found.get(&(text, within)) {
            return found.clone();
        }
        spend(self.effort, COMPARED)?;
        // Of two that know as much, a sentence is right before its parts.
        let mut best: Option<Translation> = None;
        let mut better = |one: Translation| {
            if one.known > best.as_ref().map_or(0, |best| best.known) {
                best = Some(one);
            }
        };
        for Sentence { english, german, signed, certain } in SAID.iter() {
            if within && !certain {
                continue;
            }
            let Some(values) = english.values(text, self.effort) else { continue };
            let mut known = english.fixed();
            let mut named = Vec::with_capacity(values.len());
            for (hole, value) in english.holes.iter().zip(values) {
                let (value, found) = self.filled_in(hole, value);
                known += found;
                named.push((hole.as_str(), value));
            }
            let named: Vec<_> = named.iter().map(|(hole, value)| (*hole, value.as_str())).collect();
            better(Translation { german: german.filled(&named), signed: *signed, known });
        }
        for mark in ["; ", ": "] {
            let Some((first, rest)) = text.split_once(mark) else { continue };
            let (first, rest) = (self.filled_in("", first), self.filled_in("", rest));
            let (german, known) = ([first.0, rest.0].join(mark), first.1 + rest.1);
            better(Translation { german, signed: false, known });
        }
        self.found.insert((text, within), best.clone());
        best
    }

    /// What is filled in, and how much of it is known: names of one word are nobody's to
    /// translate, but where a word of the programs' own stands.
    fn filled_in(&mut self, hole: &str, value: &'t str) -> (String, usize) {
        let ours = ["found", "expected", "kind", "what"].contains(&hole);
        let found = match value.contains(' ') {
            true => self.translated(value, true),
            false if ours => translated_word(value),
            false => None,
        };
        found.map_or((value.to_owned(), 0), |found| (found.german, found.known))
    }
}

/// A word of the programs' own.
fn translated_word(value: &str) -> Option<Translation> {
    let word = SAID.iter().find(|one| one.english.pieces == [value])?;
    Some(Translation { german: word.german.pieces.concat(), signed: false, known: value.len() })
}

/// A text in which words that people sign are followed by what they mean.
pub fn explained(text: &str) -> String {
    let mut effort = effort_for(text);
    let lines = text.lines().flat_map(|line| [Some(line.to_owned()), meaning(line, &mut effort)]);
    lines.flatten().collect::<Vec<_>>().join("\n")
}
