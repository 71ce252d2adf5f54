//! The texts that explain, a file per language, and how they are filled from what a file says.
//!
//! `{field}` in a text stands for a field of the object that the text is for, `{a.b}` for one
//! within another, `{}` for the value itself, `{^field}` for a field of the object around it, each
//! as it stands in the file. `{field:part}` says it by a part: a text for each value, or a table:
//! `each`, or a text by value and `other`; `none` where nothing is there, `empty` for an empty list,
//! `join` between the members of a list, `all` around them. A line that is nothing but a field
//! becomes as many lines as there are, or none.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use toml::{Table, Value};

use crate::tree::Tree;
use record::escape::MAX_SHOWN;
use record::named;
use record::{Blob, Hash, Plan, Rule, command, escape, fingerprint};

/// The most lines of one foreign text or object that are shown.
const MAX_LINES: usize = 4000;
/// What no text shows, knowingly, by text; `every` text's at the top.
const UNTOLD: &str = include_str!("../../templates/text/untold.toml");
/// Keys of a part that are not values.
const RESERVED: [&str; 6] = ["each", "other", "none", "empty", "join", "all"];

named! {
    /// A language that there are texts in, by its code (ISO 639-1).
    pub enum Language {
        /// English.
        English = "en",
        /// German.
        German = "de",
    }
}

impl Language {
    fn source(self) -> &'static str {
        match self {
            Language::English => include_str!("../../templates/text/show.en.toml"),
            Language::German => include_str!("../../templates/text/show.de.toml"),
        }
    }
}

/// The texts of a file of them, by their keys: `event.init`; with the commands in them written out.
pub fn by_key(source: &str) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    #[expect(clippy::disallowed_methods, reason = "compiled in; tests find each text there")]
    let table: Table = source.parse().unwrap_or_default();
    collect("", &table, &mut texts);
    texts
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
                texts.insert(key, command::written_out(text));
            }
            _ => {}
        }
    }
}

/// What explains, in one language.
pub struct Sentences {
    all: BTreeMap<String, String>,
    untold: BTreeMap<String, String>,
    /// What is wrong where a rule refuses, by its name, where that is not [`Rule::fault`].
    faults: BTreeMap<String, String>,
}

impl Sentences {
    /// The sentences of a language. They are part of the program; a test reads every one of them.
    pub fn of(language: Language) -> Self {
        let faults = match language {
            Language::English => "",
            Language::German => include_str!("../../templates/text/rules.de.toml"),
        };
        Sentences { all: by_key(language.source()), untold: by_key(UNTOLD), faults: by_key(faults) }
    }

    /// What is wrong where the rule of this name refuses; the name itself of one that there is not.
    pub fn fault<'a>(&'a self, name: &'a str) -> &'a str {
        match (self.faults.get(name), Rule::by_name(name)) {
            (Some(fault), _) => fault,
            (None, Some(rule)) => rule.fault(),
            (None, None) => name,
        }
    }

    /// What a plan goes without that waives the rule of this name: the rule, or what may then be.
    pub fn waived<'a>(&'a self, name: &'a str) -> &'a str {
        match Rule::by_name(name) {
            Some(rule) if self.faults.is_empty() => rule.text(),
            _ => self.fault(name),
        }
    }

    /// Every one by its key.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// The lines of a text, filled from this alone.
    pub fn page(&self, key: &str, tree: impl Into<Tree>) -> Vec<String> {
        Telling::new(self, &tree.into(), None).lines(key)
    }

    /// Text made fit for one line; where that has cut it, the line says so.
    pub fn one_line(&self, text: &str) -> String {
        let (shown, all) = (escape(text), text.chars().count());
        match all > MAX_SHOWN {
            true => {
                let facts = json!({ "shown": shown, "most": MAX_SHOWN, "all": all });
                self.page("page.cut", facts).concat()
            }
            false => shown,
        }
    }

    /// What stands in the place of a field.
    fn part(&self, part: &str, key: &str) -> Option<&str> {
        self.all.get(&format!("part.{part}.{key}")).map(String::as_str)
    }

    /// Whether the text of this key leaves a field out knowingly; members of lists have no names.
    fn leaves_out(&self, key: &str, path: &str) -> bool {
        let names: Vec<&str> =
            path.split('.').filter(|name| name.parse::<usize>().is_err()).collect();
        let leads = |of: &str| names.starts_with(&of.split('.').collect::<Vec<_>>());
        let lists = ["every", key].into_iter().filter_map(|key| self.untold.get(key));
        lists.flat_map(|list| list.split_whitespace()).any(leads)
    }
}

/// Texts as they are filled from one tree; it knows what of the tree they have shown.
pub struct Telling<'a> {
    sentences: &'a Sentences,
    tree: &'a Tree,
    /// Who people are, where that is known.
    plan: Option<&'a Plan>,
    told: HashSet<*const Tree>,
}

/// What the fields of a text are looked for in.
#[derive(Clone, Copy)]
struct Scope<'a> {
    value: &'a Tree,
    object: &'a Tree,
    around: &'a Tree,
}

impl<'a> Scope<'a> {
    fn find(self, path: &str) -> Option<Scope<'a>> {
        let (object, path) = match path.strip_prefix('^') {
            Some(path) => (self.around, path),
            None => (self.object, path),
        };
        if path.is_empty() {
            return Some(self);
        }
        path.split('.').try_fold(Scope { value: object, ..self }, |at, name| {
            Some(Scope { value: at.value.field(name)?, object: at.value, ..at })
        })
    }
}

impl<'a> Telling<'a> {
    /// Nothing is told yet; people are called as the plan has them, where there is one.
    pub fn new(sentences: &'a Sentences, tree: &'a Tree, plan: Option<&'a Plan>) -> Self {
        Telling { sentences, tree, plan, told: HashSet::new() }
    }

    /// The lines of a text; not yet escaped.
    pub fn lines(&mut self, key: &str) -> Vec<String> {
        let text = self.sentences.all.get(key).map_or("", String::as_str);
        let tree = self.tree;
        self.fill(text, Scope { value: tree, object: tree, around: tree })
    }

    /// What no text has shown and none leaves out knowingly: its name, a mark, its value.
    pub fn rest(&self, key: &str, mark: &str) -> Vec<String> {
        let mut rest = Vec::new();
        self.tree.walk("", &mut |path, leaf| {
            let empty = matches!(leaf, Tree::List(_) | Tree::Fields(_));
            let told = empty || self.told.contains(&std::ptr::from_ref(leaf));
            if !told && !self.sentences.leaves_out(key, path) {
                rest.push(format!("{path}{mark}{}", leaf.word()));
            }
        });
        rest
    }

    fn fill(&mut self, text: &str, scope: Scope<'a>) -> Vec<String> {
        let mut lines = Vec::new();
        for line in text.lines() {
            let field = line.strip_prefix('{').and_then(|line| line.strip_suffix('}'));
            match field.filter(|field| !field.contains('{')) {
                Some(field) => lines.extend(self.field(field, scope)),
                None => lines.push(self.line(line, scope)),
            }
        }
        lines
    }

    fn line(&mut self, text: &str, scope: Scope<'a>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        // Once over the text: what a value contains is not looked at again.
        while let Some((before, after)) = rest.split_once('{') {
            let (field, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            let said = self.field(field, scope);
            filled.push_str(&said.join(self.join(field)));
            rest = after;
        }
        filled + rest
    }

    fn join(&self, field: &str) -> &'a str {
        self.sentences.part(split(field).1, "join").unwrap_or(", ")
    }

    /// What is said of a field: a line, or one for each member of a list, or none.
    fn field(&mut self, field: &str, scope: Scope<'a>) -> Vec<String> {
        let sentences = self.sentences;
        let (path, part) = split(field);
        let found = scope.find(path);
        self.told.extend(found.map(|found| std::ptr::from_ref(found.value)));
        let said = match found {
            None | Some(Scope { value: Tree::Nothing, .. }) => Vec::new(),
            Some(Scope { value: Tree::List(list), .. }) if part == "count" => {
                vec![list.len().to_string()]
            }
            Some(found @ Scope { value: Tree::List(list), .. }) if part != "tree" => list
                .iter()
                .flat_map(|value| self.member(path, part, Scope { value, ..found }))
                .collect(),
            Some(found) => self.member(path, part, found),
        };
        let is_list = matches!(found, Some(Scope { value: Tree::List(_), .. }));
        match (said.is_empty(), sentences.part(part, "all")) {
            (true, _) => {
                let empty = sentences.part(part, "empty").filter(|_| is_list);
                let absent = empty.or_else(|| sentences.part(part, "none")).unwrap_or("");
                self.fill(absent, scope)
            }
            (false, Some(all)) => vec![all.replacen("{}", &said.join(self.join(field)), 1)],
            (false, None) => said,
        }
    }

    /// What is said of one value.
    fn member(&mut self, path: &str, part: &str, found: Scope<'a>) -> Vec<String> {
        let sentences = self.sentences;
        let value = found.value;
        let each = sentences.part(part, "each");
        let each = each.or_else(|| sentences.all.get(&format!("part.{part}")).map(String::as_str));
        if let (Tree::Fields(_), Some(text)) = (value, each) {
            return self.fill(text, Scope { value, object: value, around: found.object });
        }
        let mut pairs = Vec::new();
        value.walk("", &mut |path, leaf| {
            self.told.insert(leaf);
            pairs.push(format!("{path} {}", leaf.word()));
        });
        let word = value.word();
        let named = || sentences.part(part, word).filter(|_| !RESERVED.contains(&word));
        match (part, value) {
            ("tree", tree) => {
                let mut lines = Vec::new();
                tree.lines(path, 2, &mut lines);
                self.many(lines)
            }
            (_, Tree::List(_) | Tree::Fields(_)) => vec![pairs.join(", ")],
            ("quote", _) => self.many(word.split('\n').map(|line| format!("  | {line}")).collect()),
            ("words", _) => word.parse::<Hash>().map_or(vec![word.to_owned()], |hash| {
                fingerprint::rows(hash.as_bytes()).lines().map(|row| format!("  {row}")).collect()
            }),
            ("person", _) => vec![match (self.plan, word.parse()) {
                (Some(plan), Ok(id)) => plan.name_of(&id),
                _ => word.to_owned(),
            }],
            ("fault", _) => vec![sentences.fault(word).to_owned()],
            ("waived", _) => vec![sentences.waived(word).to_owned()],
            ("sha256", _) => vec![match word.parse::<Blob>() {
                Ok(bytes) => Hash::of(&bytes.0).to_string(),
                Err(_) => word.to_owned(),
            }],
            _ => match each.or_else(named).or_else(|| sentences.part(part, "other")) {
                Some(text) => self.fill(text, found),
                None => vec![word.to_owned()],
            },
        }
    }

    /// Lines of foreign text, but for those beyond what anybody reads.
    fn many(&self, mut lines: Vec<String>) -> Vec<String> {
        let more = lines.len().saturating_sub(MAX_LINES);
        lines.truncate(MAX_LINES);
        if more > 0 {
            lines.extend(self.sentences.page("page.more", json!({ "more": more })));
        }
        lines
    }
}

/// The path of a field, and its part.
fn split(field: &str) -> (&str, &str) {
    field.split_once(':').unwrap_or((field, ""))
}
